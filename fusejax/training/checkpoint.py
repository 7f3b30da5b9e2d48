"""Checkpoints with Orbax: a step contains state, data position, configuration and fingerprints.

All methods of `Checkpoints` are collective: every process of a run calls them in the same order.
"""

import contextlib
import dataclasses
import logging
import math
import re

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint import checkpoint_managers

from fusejax.training import checks
from fusejax.training.processes import on_any_process
from fusejax.training.saved_step import Damage, KeepBest, move_aside, read_json, read_step
from fusejax.training.state import TrainState
from fusejax.weights.fingerprint import fingerprints, sha256
from fusejax.weights.read_errors import error_summary, means_damage

# Orbax logs several tracebacks for a failed save; the run reports it in one line.
logging.getLogger("absl").setLevel(logging.CRITICAL)
# The same from asyncio, once for each array that cannot be written or read.
_OF_ORBAX = re.compile("orbax|tensorstore_spec")
logging.getLogger("asyncio").addFilter(lambda record: not _OF_ORBAX.search(record.getMessage()))

TRIES = 3


class DamagedCheckpoint(ValueError):
    """A step on disk differs from what was saved; the message names folder, item and array."""


class CheckpointFailed(RuntimeError):
    """Saving failed permanently; the message names the reason and the last good step."""


@dataclasses.dataclass(frozen=True)
class Restored:
    """A restored checkpoint.

    Attributes:
        step: the restored step.
        state: state of the run.
        data: data saved with it.
        messages: messages for the user: overridden settings, skipped damaged steps.
    """

    step: int
    state: TrainState
    data: dict
    messages: tuple[str, ...] = ()


class Checkpoints:
    """Asynchronous checkpoints of one run; keeps the newest ones and the best one.

    Args:
        folder: folder of the checkpoints; may be remote (gs://).
        keep_newest: number of checkpoints to keep in addition to the best one.
        best_metric: validation score that determines the best one; larger is better.

    Raises:
        PermissionError: if the folder is not writable.
    """

    def __init__(self, folder: epath.PathLike, *, keep_newest: int, best_metric: str) -> None:
        folder = epath.Path(folder)
        self._folder = folder if folder.is_absolute() else folder.absolute()  # gs:// is absolute
        self._best_metric = best_metric
        self._scores: dict[int, float] = {}
        self._pending: int | None = None  # step of a save whose result is not known yet
        self._error: Exception | None = None  # of a save that did not even start
        self._failures = 0
        self._leaves_remains = False  # whether a save has failed, whose threads may write for a while
        self._messages: list[str] = []
        self._closed = False
        checks.check_writable(self._folder)
        # Orbax's own metrics are not used, because a damaged metrics file would keep the manager
        # from starting.
        keep = checkpoint_managers.AnyPreservationPolicy(
            [checkpoint_managers.LatestN(keep_newest), KeepBest(self._scores)]
        )
        options = ocp.CheckpointManagerOptions(preservation_policy=keep, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(self._folder, options=options)
        for step in self._manager.all_steps():
            self._note_scores(step, self._saved_scores(step))

    @property
    def steps(self) -> list[int]:
        """Steps on disk.

        Waits for a save in progress, which Orbax would count even if it failed later.
        """
        self._settle(wait=True)
        return sorted(self._manager.all_steps())

    @property
    def latest_step(self) -> int | None:
        """The newest step on disk."""
        return max(self.steps, default=None)

    @property
    def best_step(self) -> int | None:
        """The step on disk with the best score; the later one of two equal ones."""
        scored = [step for step in self.steps if step in self._scores]
        return max(scored, key=lambda step: (self._scores[step], step), default=None)

    def save(self, state: TrainState, *, step: int, config: dict, data: dict, scores: dict[str, float] | None) -> None:
        """Starts saving in the background; the arrays have been copied when this returns.

        An existing step is not changed. Call `check` to find out whether the save succeeded.

        Args:
            state: state of the run.
            step: number of steps taken.
            config: configuration of the run, as JSON types.
            data: further data for resuming, as JSON types.
            scores: validation scores, if there are any.

        Raises:
            CheckpointFailed: after TRIES failures in a row.
        """
        self._settle(wait=True)
        if step in self._manager.all_steps():
            return
        sums = fingerprints(state)
        leaves = {name: [*described, sums[name]] for name, described in checks.described_leaves(state).items()}
        meta = {"leaves": leaves, "scores": scores}
        meta["sha256"] = {"config": sha256(config), "data": sha256(data), "meta": sha256(meta)}
        self._note_scores(step, scores)
        self._pending = step
        items = {"config": config, "data": data, "meta": meta}
        json_items = {name: ocp.args.JsonSave(value) for name, value in items.items()}
        try:
            # force: without it, Orbax silently skips steps that are not beyond the newest one.
            args = ocp.args.Composite(state=ocp.args.StandardSave(state), **json_items)
            self._manager.save(step, args=args, force=True)
        except (OSError, ValueError, RuntimeError) as error:
            self._error = error

    def check(self, *, wait: bool = False) -> str | None:
        """Checks whether a save has failed since the last call.

        Args:
            wait: whether to wait for the save in progress; otherwise a later call reports on it.

        Returns:
            A message if a save has failed; the current state should then be saved again.

        Raises:
            CheckpointFailed: after TRIES failures in a row.
        """
        self._settle(wait=wait)
        messages, self._messages = self._messages, []
        return "\n".join(messages) or None

    def restore(
        self,
        target: TrainState,
        *,
        config: dict,
        step: int | None = None,
        override: bool = False,
        allow_older: bool = False,
    ) -> Restored:
        """Restores a step into the shapes and shardings of `target`.

        Args:
            target: shapes, types and shardings of the state.
            config: configuration of the run that resumes.
            step: step to restore; None for the newest.
            override: accept another configuration; the differences are reported in the messages.
            allow_older: skip damaged steps; they are renamed to STEP.damaged, so that the run can
                save those steps again.

        Returns:
            The state, the data saved with it, and messages for the user.

        Raises:
            DamagedCheckpoint: if the step is damaged or, with `allow_older`, all steps are.
            ValueError: if there is no such step, or if it belongs to another configuration or
                model; the message lists the differences.
        """
        steps = self.steps
        tried = [s for s in reversed(steps) if step is None or s <= step]
        if not steps or (step is not None and step not in steps):
            raise ValueError(
                f"{self._folder} has no step {step or ''}; it has: {checks.summarize_list(steps) or 'none'}."
            )
        damage: dict[int, str] = {}
        for candidate in tried:
            try:
                state, data, messages = read_step(self._manager, candidate, target, config, override=override)
            except Damage as error:
                damage[candidate] = f"{self._folder / str(candidate)} is damaged: {error}."
                if not allow_older or candidate == tried[-1]:
                    older = [s for s in tried if s not in damage]
                    raise DamagedCheckpoint("\n".join((*damage.values(), _advice(older)))) from error.__cause__
            else:
                break
        moved = move_aside(self._manager, list(damage))
        skipped = (f"{damage[s]} It is now {moved[s].name}; the run goes back to step {candidate}." for s in damage)
        return Restored(candidate, state, data, (*skipped, *messages))

    def close(self) -> None:
        """Waits for saves in progress.

        Raises:
            CheckpointFailed: if a save failed and `check` has not reported it.
        """
        if self._closed:
            return
        self._closed = True
        try:
            message = self.check(wait=True)
        finally:
            self._manager.close()
            self._remove_leftovers()
        if message:
            raise CheckpointFailed(message)

    def _settle(self, *, wait: bool) -> None:
        """Collects the result of the pending save.

        Orbax reports an error only from wait_until_finished(), and only once; check_for_errors()
        does not.
        """
        if self._pending is None:
            return
        running = self._error is None and self._manager.is_saving_in_progress()
        if not wait and on_any_process(running):
            return
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            self._error = error
        step, error, self._pending, self._error = self._pending, self._error, None, None
        failed = on_any_process(error is not None)
        self._leaves_remains |= failed
        self._remove_leftovers()
        if not failed:
            self._failures = 0
            return
        self._manager.reload()  # it has forgotten the steps that it was going to delete after this save
        cause = error_summary(error) if error else "another process could not write"
        good = max(self._manager.all_steps(), default=None)
        if good == step:
            self._failures = 0
            self._messages.append(f"step {step} is saved, but older ones could not be deleted: {cause}")
            return
        self._failures += 1
        last_good = f"the last good checkpoint is step {good}" if good is not None else "there is no checkpoint yet"
        text = f"saving step {step} in {self._folder} failed ({self._failures} of {TRIES} tries): {cause}; {last_good}"
        if self._failures >= TRIES:
            raise CheckpointFailed(
                f"{text}. Free some space or grant access, then repeat the command to continue from there."
            )
        self._messages.append(f"{text}; trying again")

    def _remove_leftovers(self) -> None:
        """Deletes the remains of failed saves, because the disk may be full."""
        if self._leaves_remains and jax.process_index() == 0:
            for left in self._folder.glob("*.orbax-checkpoint-tmp*"):
                with contextlib.suppress(OSError):  # one of its threads may still be writing: deleted next time
                    left.rmtree()

    def _note_scores(self, step: int, scores: dict[str, float] | None) -> None:
        self._scores.pop(step, None)
        if scores is not None and not math.isnan(scores.get(self._best_metric, math.nan)):
            self._scores[step] = scores[self._best_metric]

    def _saved_scores(self, step: int) -> dict[str, float] | None:
        """Scores of a step on disk; None if they are damaged, which restoring that step reports.

        Raises:
            Exception: if access, memory or the network fails.
        """
        try:
            return read_json(self._manager, step, "meta")["scores"]
        except Exception as error:
            if not means_damage(error):
                raise
            return None


def _advice(older: list[int]) -> str:
    if not older:
        return "There is no older step to go back to; delete the folder to start over."
    return (
        f"Older steps: {checks.summarize_list(older)}. Use --allow-older, or delete this step, to go back "
        "to the newest intact one."
    )
