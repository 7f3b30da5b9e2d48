"""Checks before a run starts, and for checkpoints: folder, settings, arrays."""

import contextlib
from collections.abc import Sequence
from typing import Any

import jax
from etils import epath

from fusejax.config import RESUMABLE, TrainConfig
from fusejax.data.folders import has_boxes
from fusejax.losses.objective import objective_needs
from fusejax.metrics import USUAL
from fusejax.metrics.direction import higher_is_better
from fusejax.serialize import differences, from_dict, to_dict
from fusejax.weights.fingerprint import named_leaves


def check_best_metric(name: str) -> None:
    """Checks that `name` is a validation metric where higher is better.

    Raises:
        ValueError: if it is not.
    """
    known = [metric for metric in USUAL if higher_is_better(metric)]
    if name not in known:
        raise ValueError(f"best_metric is {name!r}; expected one of {', '.join(known)}.")


def missing_boxes(config: TrainConfig, sources: Sequence[Any]) -> str | None:
    """A warning if the objective needs object boxes but no training pair has any.

    Args:
        config: configuration of the run.
        sources: training pairs, from `fusejax.data.pipeline.open_sources`.

    Returns:
        A line that states what is missing and how to fix it; None if there are boxes, or if they
        are not needed or are derived from the infrared images.
    """
    needed = config.data.max_boxes and any("mask" in objective_needs(stage.objective) for stage in config.stages)
    if not needed or any(has_boxes(source) for source in sources):
        return None
    return (
        f"warning: none of the {sum(len(s) for s in sources)} training pairs has an object box, so the terms on object "
        "regions are 0. Put annotations next to the images (data.folders), add synthetic streets, which have boxes "
        "(--data.synthetic 400), or derive regions from the infrared images: "
        "--stages.0.objective.regions.fallback thermal_saliency --data.max-boxes 0 --data.box-share 0"
    )


def check_writable(folder: epath.Path) -> None:
    """Creates the folder if it does not exist.

    Raises:
        PermissionError: if it is not writable.
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
        saved: the checkpoint's settings. Settings that did not exist when it was written count as
            their defaults.
        config: the run's settings; those in RESUMABLE may differ.
        folder: folder of the checkpoints, for the message.
        override: accept different settings.

    Returns:
        Messages about overridden settings.

    Raises:
        ValueError: if resuming would not continue the same run, unless `override` is set.
    """
    with contextlib.suppress(ValueError, TypeError):  # settings that no longer exist are compared as they are
        saved = to_dict(from_dict(TrainConfig, saved))
    found = differences(saved, config)
    changed = {k: v for k, v in found.items() if not any(k == r or k.startswith(f"{r}.") for r in RESUMABLE)}
    if not changed:
        return []
    lines = "".join(f"\n  {k}: {old!r} in the checkpoint, {new!r} now" for k, (old, new) in changed.items())
    if override:
        return [f"continuing with a different configuration because of --override:{lines}"]
    raise ValueError(
        f"{folder} holds a run with a different configuration:{lines}\n"
        "Use the same configuration to continue it, --override to continue with this one, "
        "or another --workdir for a new run."
    )


def check_same_leaves(saved: dict[str, list], target: Any, folder: epath.Path) -> None:
    """Checks that a checkpoint has the arrays of a model.

    Raises:
        ValueError: if it does not; names the arrays that differ.
    """
    existing, wanted = {name: values[:-1] for name, values in saved.items()}, described_leaves(target)
    differing = [
        f"{name} is {_array(existing.get(name))} in the checkpoint, {_array(wanted.get(name))} in this model"
        for name in sorted(existing.keys() | wanted.keys())
        if existing.get(name) != wanted.get(name)
    ]
    if differing:
        raise ValueError(
            f"{folder} is a checkpoint of a different model: {summarize_list(differing, '; ')}. "
            "Use the configuration with which it was made, or another --workdir for a new run."
        )


def described_leaves(tree: Any) -> dict[str, list]:
    """Data type and shape of every array in a tree, by name, as JSON types."""
    return {name: [str(leaf.dtype), list(leaf.shape)] for name, leaf in named_leaves(tree).items()}


def _array(described: list | None) -> str:
    return f"{described[0]}{described[1]}" if described else "missing"


def summarize_list(things: Sequence[Any], separator: str = ", ") -> str:
    """The first four items, and how many more there are."""
    return separator.join(map(str, things[:4])) + (f" and {len(things) - 4} more" if len(things) > 4 else "")
