"""Checks before a run starts, and around a checkpoint: folder, run, errors in reading it."""

import contextlib
from collections.abc import Sequence
from typing import Any

import jax
from etils import epath

from fusejax.config import RESUMABLE, TrainConfig
from fusejax.data.folders import has_boxes
from fusejax.metrics import USUAL
from fusejax.metrics.table import higher_is_better
from fusejax.serialize import differences, from_dict, to_dict
from fusejax.training.fingerprint import named_leaves


def check_best_metric(name: str) -> None:
    """Checks that validation gives a score of that name, of which larger values are better.

    Raises:
        ValueError: if not.
    """
    known = [metric for metric in USUAL if higher_is_better(metric)]
    if name not in known:
        raise ValueError(f"best_metric is {name!r}; it is one of {', '.join(known)}.")


def missing_boxes(config: TrainConfig, sources: Sequence[Any]) -> str | None:
    """A warning if the objective needs object boxes and no training pair has any.

    Args:
        config: of the run.
        sources: the training pairs, from `fusejax.data.pipeline.open_sources`.

    Returns:
        A line that says what is missing and what can be done; None if boxes are there, or not
        needed, or derived from the infrared images.
    """
    needed = config.data.max_boxes and any("mask" in stage.objective.needs for stage in config.stages)
    if not needed or any(has_boxes(source) for source in sources):
        return None
    return (
        f"warning: none of the {sum(len(s) for s in sources)} training pairs has an object box, so the terms on object "
        "regions are 0. Put annotations beside the images (data.folders), add made-up streets, which have boxes "
        "(--data.synthetic 400), or derive regions from the infrared images: "
        "--stages.0.objective.regions.fallback thermal_saliency --data.max-boxes 0 --data.box-share 0"
    )


def check_writable(folder: epath.Path) -> None:
    """Makes the folder if it is missing.

    Raises:
        PermissionError: if no file can be written there.
    """
    probe = folder / f".write-test-{jax.process_index()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise PermissionError(f"Cannot write to {folder} ({error}); get access or give another --workdir.") from error


def check_same_run(saved: dict, config: dict, folder: epath.PathLike, *, override: bool = False) -> list[str]:
    """Compares the settings of a run with a checkpoint's.

    Args:
        saved: the checkpoint's settings. Those that it does not name did not exist when it was
            written; they count as their defaults.
        config: the run's settings; those of RESUMABLE may differ.
        folder: the checkpoints, for the message.
        override: accept other settings.

    Returns:
        Messages about settings that were overridden.

    Raises:
        ValueError: if a continuation would not be the same run, unless `override`.
    """
    with contextlib.suppress(ValueError, TypeError):  # settings that no longer exist: compared as they are
        saved = to_dict(from_dict(TrainConfig, saved))
    found = differences(saved, config)
    changed = {k: v for k, v in found.items() if not any(k == r or k.startswith(f"{r}.") for r in RESUMABLE)}
    if not changed:
        return []
    lines = "".join(f"\n  {k}: {old!r} in the checkpoint, {new!r} now" for k, (old, new) in changed.items())
    if override:
        return [f"continuing with another configuration, as --override asks:{lines}"]
    raise ValueError(
        f"{folder} holds a run of another configuration:{lines}\n"
        "Give the same configuration again to continue it, --override to continue with this one, "
        "or another --workdir for a new run."
    )


def check_same_leaves(saved: dict[str, list], target: Any, folder: epath.Path) -> None:
    """Checks that a checkpoint holds the arrays of a model.

    Raises:
        ValueError: if not; it names the arrays that differ.
    """
    existing, wanted = {name: values[:-1] for name, values in saved.items()}, described_leaves(target)
    differing = [
        f"{name} is {_array(existing.get(name))} in the checkpoint, {_array(wanted.get(name))} in this model"
        for name in sorted(existing.keys() | wanted.keys())
        if existing.get(name) != wanted.get(name)
    ]
    if differing:
        raise ValueError(
            f"{folder} is a checkpoint of another model: {summarize_list(differing, '; ')}. "
            "Give the configuration it was made with, or another --workdir for a new run."
        )


def described_leaves(tree: Any) -> dict[str, list]:
    """Type and shape of every array of a tree, by name, as JSON types."""
    return {name: [str(leaf.dtype), list(leaf.shape)] for name, leaf in named_leaves(tree).items()}


def _array(described: list | None) -> str:
    return f"{described[0]}{described[1]}" if described else "missing"


def means_damage(error: Exception) -> bool:
    """Whether a read error points at the files, not at access, memory or the network."""
    not_the_files = ("PERMISSION_DENIED", "UNAUTHENTICATED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
    kinds = (PermissionError, ConnectionError, TimeoutError, MemoryError)
    return not isinstance(error, kinds) and not any(code in str(error) for code in not_the_files)


def error_summary(error: BaseException) -> str:
    """The root cause of an error on one line; Orbax wraps it and adds long specifications."""
    while error.__cause__:
        error = error.__cause__
    text = f"{type(error).__name__}: {' '.join(str(error).split()).split(' [tensorstore_spec')[0]}"
    return text if len(text) <= 400 else f"{text[:200]} ... {text[-200:]}"


def summarize_list(things: Sequence[Any], separator: str = ", ") -> str:
    """The first four things, and how many more there are."""
    return separator.join(map(str, things[:4])) + (f" and {len(things) - 4} more" if len(things) > 4 else "")
