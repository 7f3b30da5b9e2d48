"""Checks around a checkpoint: its folder, whether it belongs to the run, what an error in reading it means."""

from collections.abc import Sequence
from typing import Any

import jax
from etils import epath

from fusejax.config import RESUMABLE
from fusejax.serialize import differences
from fusejax.training.fingerprint import named_leaves


def check_writable(folder: epath.Path) -> None:
    """Makes the folder where it is missing. Raises: PermissionError where no file can be written there."""
    probe = folder / f".write-test-{jax.process_index()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise PermissionError(f"Cannot write to {folder} ({error}); get access or give another --workdir.") from error


def check_same_run(saved: dict, config: dict, folder: epath.PathLike, *, override: bool = False) -> list[str]:
    """Messages about settings that differ from the checkpoint's; those of RESUMABLE may.

    Raises: ValueError where a continuation would not be the same run, unless `override`.
    """
    found = differences(saved, config)
    changed = {k: v for k, v in found.items() if not any(k == r or k.startswith(f"{r}.") for r in RESUMABLE)}
    if not changed:
        return []
    lines = "".join(f"\n  {k}: {old!r} in the checkpoint, {new!r} now" for k, (old, new) in changed.items())
    if override:
        return [f"going on with another configuration, as --override asks:{lines}"]
    raise ValueError(
        f"{folder} holds a run of another configuration:{lines}\n"
        "Give the same configuration again to go on with it, --override to go on with this one, "
        "or another --workdir for a new run."
    )


def check_same_leaves(saved: dict[str, list], target: Any, folder: epath.Path) -> None:
    """Raises ValueError naming the arrays that the checkpoint and the model do not share."""
    there, here = {name: values[:-1] for name, values in saved.items()}, described_leaves(target)
    differing = [
        f"{name} is {_array(there.get(name))} in the checkpoint, {_array(here.get(name))} in this model"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    ]
    if differing:
        raise ValueError(
            f"{folder} is a checkpoint of another model: {some(differing, '; ')}. "
            "Give the configuration it was made with, or another --workdir for a new run."
        )


def described_leaves(tree: Any) -> dict[str, list]:
    """[type, shape] of every array of a tree, by name, in JSON types."""
    return {name: [str(leaf.dtype), list(leaf.shape)] for name, leaf in named_leaves(tree).items()}


def _array(described: list | None) -> str:
    return f"{described[0]}{described[1]}" if described else "missing"


def means_damage(error: Exception) -> bool:
    """Whether an error while reading speaks of the files, not of access, memory or the network."""
    elsewhere = ("PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
    kinds = (PermissionError, ConnectionError, TimeoutError, MemoryError)
    return not isinstance(error, kinds) and not any(code in str(error) for code in elsewhere)


def reason(error: Exception) -> str:
    """What went wrong, on one line; Orbax wraps it and adds long specifications."""
    while error.__cause__:
        error = error.__cause__
    text = f"{type(error).__name__}: {' '.join(str(error).split()).split(' [tensorstore_spec')[0]}"
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


def some(things: Sequence[Any], separator: str = ", ") -> str:
    """The first four, and how many there are beside them."""
    return separator.join(map(str, things[:4])) + (f" and {len(things) - 4} more" if len(things) > 4 else "")
