"""Everything that touches Orbax: one checkpoint step holds state, data position and the resolved configuration."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from fusejax.config import RESUMABLE
from fusejax.serialise import differences
from fusejax.training.state import TrainState

logging.getLogger("absl").setLevel(logging.ERROR)


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint step gave back."""

    step: int
    state: TrainState
    data: dict
    messages: list


class Checkpoints:
    """Asynchronous checkpoints of one run; keeps the newest N and the best by a validation score (larger is better)."""

    def __init__(self, folder: Path, *, keep_newest: int, best_metric: str):
        def score(metrics: dict[str, float]) -> float:
            return metrics[best_metric]

        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(keep_newest),
                checkpoint_managers.BestN(get_metric_fn=score, n=1, keep_checkpoints_without_metrics=False),
            ]
        )
        # best_fn as well as the policy: without it Orbax takes the newest step for the best one.
        options = ocp.CheckpointManagerOptions(
            preservation_policy=keep, best_fn=score, best_mode="max", cleanup_tmp_directories=True
        )
        self._folder = folder
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    @property
    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    @property
    def best_step(self) -> int | None:
        return self._manager.best_step()

    @property
    def steps(self) -> list[int]:
        return sorted(self._manager.all_steps())

    def save(self, state: TrainState, *, step: int, config: dict, data: dict, scores: dict[str, float] | None) -> None:
        """Starts writing in the background; the arrays have been copied when this returns."""
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), config=ocp.args.JsonSave(config), data=ocp.args.JsonSave(data)
            ),
            metrics=scores,
        )

    def restore(
        self, target: TrainState, *, config: dict, step: int | None = None, override=False, allow_older=False
    ) -> Restored:
        """The newest step, or a given one, into the shapes and shardings of `target`.

        Raises: ValueError listing the differences where the checkpoint was made by another configuration.
        """
        step = self.latest_step if step is None else step
        saved = self._manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore()))
        check_same_run(saved["config"], config, self._folder)
        items = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target), data=ocp.args.JsonRestore())
        )
        return Restored(step, items["state"], items["data"], [])

    def check(self):
        return None

    def close(self) -> None:
        """Waits for saves under way."""
        self._manager.wait_until_finished()
        self._manager.close()


def check_same_run(saved: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    """Raises ValueError where a continuation would not be the same run; logging and saving may change."""
    changed = {k: v for k, v in differences(saved, config).items() if k not in RESUMABLE}
    if changed:
        lines = "".join(f"\n  {k}: {old!r} in the checkpoint, {new!r} now" for k, (old, new) in changed.items())
        raise ValueError(
            f"{folder} holds a run of another configuration:{lines}\n"
            "Give the same configuration again to go on with it, or another --workdir for a new run."
        )
