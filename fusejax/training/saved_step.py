"""One saved step: reading and verifying it, moving it aside if damaged, keeping the best."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from fusejax.training import checks
from fusejax.training.processes import barrier, on_any_process
from fusejax.training.state import TrainState
from fusejax.weights.fingerprint import fingerprints, sha256
from fusejax.weights.read_errors import error_summary, means_damage


class Damage(Exception):
    """Describes the damage of the step that is being read."""


class KeepBest:
    """Orbax's policy that keeps the step with the best score."""

    def __init__(self, scores: dict[int, float]) -> None:
        self._scores = scores  # shared with Checkpoints

    def should_preserve(self, checkpoints: Any, *, context: Any) -> list[bool]:  # noqa: ARG002 - Orbax's signature
        """Whether to keep each of the steps."""
        scores = self._scores
        best = max((i.step for i in checkpoints if i.step in scores), key=lambda s: (scores[s], s), default=None)
        return [info.step == best for info in checkpoints]


def read_json(manager: ocp.CheckpointManager, step: int, item: str) -> Any:
    """One of the JSON items of a step."""
    return manager.restore(step, args=ocp.args.Composite(**{item: ocp.args.JsonRestore()}))[item]


def read_step(
    manager: ocp.CheckpointManager, step: int, target: TrainState, config: dict, *, override: bool
) -> tuple[Any, dict, list[str]]:
    """Reads the state, data position and messages of a step, and verifies all fingerprints.

    Args:
        manager: manager of the folder.
        step: step to read.
        target: shapes, types and shardings of the state.
        config: configuration of the run that resumes.
        override: accept another configuration.

    Raises:
        Damage: if the step is damaged.
        ValueError: if it belongs to another run or model.
    """
    folder = epath.Path(manager.directory)
    meta = _attempt("meta", lambda: read_json(manager, step, "meta"))
    saved = {name: _attempt(name, lambda name=name: read_json(manager, step, name)) for name in ("config", "data")}
    sums = meta.get("sha256") or {}
    hashed = saved | {"meta": {k: v for k, v in meta.items() if k != "sha256"}}
    if changed := [name for name, value in hashed.items() if sums.get(name) != sha256(value)]:
        raise Damage(f"item {', '.join(map(repr, changed))} is not what was saved (SHA-256 differs)")
    messages = checks.check_same_run(saved["config"], config, folder, override=override)
    checks.check_same_leaves(meta["leaves"], target, folder / str(step))
    composite = ocp.args.Composite(state=ocp.args.StandardRestore(target))
    state = _attempt("state", lambda: manager.restore(step, args=composite)["state"])
    wrong = [name for name, value in fingerprints(state).items() if value != meta["leaves"][name][-1]]
    if wrong:
        raise Damage(f"item 'state' has values that were not saved, in {checks.summarize_list(wrong)}")
    return state, saved["data"], messages


def move_aside(manager: ocp.CheckpointManager, steps: list[int]) -> dict[int, epath.Path]:
    """Renames damaged steps to names that Orbax does not list."""
    folder, aside = epath.Path(manager.directory), {}
    for step in steps:
        names = itertools.chain([f"{step}.damaged"], (f"{step}.damaged-{n}" for n in itertools.count(2)))
        aside[step] = next(path for name in names if not (path := folder / name).exists())
    if steps:
        barrier("fusejax: names for damaged steps chosen")
        if jax.process_index() == 0:
            for step in steps:
                (folder / str(step)).rename(aside[step])
        barrier("fusejax: damaged steps renamed")
        manager.reload()
    return aside


def _attempt(item: str, read: Callable[[], Any]) -> Any:
    """Returns the result of `read`.

    Raises:
        Damage: on all processes if it fails on one, so that none waits for the others.
    """
    result = error = None
    try:
        result = read()
    except Exception as caught:
        if not means_damage(caught):
            raise
        error = caught
    if on_any_process(error is not None):
        cause = error_summary(error) if error else "another process could not read it"
        raise Damage(f"item {item!r} cannot be read ({cause})") from error
    return result
