"""fit(): the training loop with its steps, logs, evaluations and saves."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from fusejax.config import TrainConfig
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.io.run_log import run_folder
from fusejax.serialize import to_dict
from fusejax.training.board import check_wandb
from fusejax.training.checkpoint import Checkpoints
from fusejax.training.checks import check_best_metric, missing_boxes
from fusejax.training.continuity import data_position
from fusejax.training.feed import Feed, steps_per_dispatch
from fusejax.training.interrupts import StopRequest
from fusejax.training.logs import RunLog, rounded
from fusejax.training.pace import Pace
from fusejax.training.profiling import StepProfiler
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stage_steps import StageSteps
from fusejax.training.stages import Stage, plan_stages, stage_at
from fusejax.training.start import find_start
from fusejax.training.state import TrainState
from fusejax.training.step_logs import NonFiniteLoss, StepLogs
from fusejax.training.workdir_lock import hold_workdir
from fusejax.typing import Params
from fusejax.weights.files import RUN_FILE, save_weights

RETRY = 75  # EX_TEMPFAIL of sysexits.h: asks a launcher to start the command again

Validate = Callable[[Params], tuple[dict[str, float], dict[str, np.ndarray]]]
"""From the parameters to mean scores by metric and 8-bit RGB panels by name."""

__all__ = ["RETRY", "Interrupted", "NonFiniteLoss", "Validate", "fit"]


class Interrupted(SystemExit):
    """The run was asked to stop and has saved; the same command resumes it. Its code is RETRY.

    It is also raised after the last step, so that a command with several runs stops.
    """


def fit(
    config: TrainConfig,
    workdir: epath.PathLike,
    *,
    validate: Validate | None = None,
    override: bool = False,
    allow_older: bool = False,
    profile_steps: range = range(0),
    wandb: str = "",
) -> TrainState:
    """Trains, or resumes a stopped run; writes checkpoints, logs, panels and final weights.

    A call with the same configuration and folder resumes exactly where the run stopped; for a
    finished run, it returns immediately. With several processes, all of them call this; the first
    one logs.

    Args:
        config: the experiment.
        workdir: local folder, or a remote one (gs://) that all processes can access.
        validate: function that scores the parameters every `eval_every` steps, such as
            `fusejax.evaluation.Validation.of(config)`; all processes call it. By default nothing is
            scored.
        override: resume even if the configuration differs from the checkpoint's.
        allow_older: resume from an older checkpoint if the newest is damaged.
        profile_steps: steps to profile, counted from 1; the trace is written to WORKDIR/profile.
        wandb: project of Weights & Biases that also receives the logs and panels; by default none.

    Returns:
        The state after the last step.

    Raises:
        ValueError: if the data cannot be used, if wandb is missing, if the folder holds another run
            or is used by another process (WorkdirInUse), or if a checkpoint is damaged
            (DamagedCheckpoint).
        PermissionError: if the folder cannot be written to.
        CheckpointFailed: if saving failed repeatedly.
        NonFiniteLoss: if the loss or the gradient became NaN or infinite.
        Interrupted: after a signal.
    """
    workdir = run_folder(workdir)
    first = jax.process_index() == 0
    if first and wandb:
        check_wandb()
    sources = open_sources(config.data)
    check_best_metric(config.best_metric)
    stages = plan_stages(config, sum(len(s) for s in sources))
    program = Program(config, make_mesh(config.mesh))
    with contextlib.ExitStack() as stack:
        if first:
            stack.enter_context(hold_workdir(workdir, lambda text: print(text, flush=True)))
        checkpoints = Checkpoints(
            workdir / "checkpoints", keep_newest=config.keep_newest, best_metric=config.best_metric
        )
        stack.callback(checkpoints.close)
        state, samples_seen, messages = find_start(
            workdir, program, checkpoints, sources, override=override, allow_older=allow_older
        )
        step = 0 if state is None else int(state.step)
        log = RunLog(workdir if first else None, steps=stages[-1].end, start=step)
        stack.callback(log.close)
        for source in (*sources, validate):
            messages += [f"skipped: {line}" for line in getattr(source, "skipped", ())]
        if config.data.validation and validate is None:
            messages.append("the validation pairs are not scored, since fit() was given no function `validate`")
        if warning := missing_boxes(config, sources):
            messages.append(warning)
        for message in messages:
            log.message(message)
        batches = training_batches(
            sources,
            config.data,
            batch_size=config.batch_size // jax.process_count(),
            seed=config.seed,
            shard_index=jax.process_index(),
            shard_count=jax.process_count(),
            samples_seen=samples_seen,
        )
        profiler = StepProfiler(workdir / "profile", profile_steps, log.message)
        run = _Run(workdir, stages, program, checkpoints, log, sources, validate, wandb)
        return run.go(state, step, samples_seen, iter(batches), profiler)


class _Run:
    """The running loop, with everything that happens at regular intervals."""

    def __init__(
        self,
        workdir: epath.Path,
        stages: list[Stage],
        program: Program,
        checkpoints: Checkpoints,
        log: RunLog,
        sources: Sequence,
        validate: Validate | None,
        wandb: str,
    ) -> None:
        self.workdir, self.stages, self.steps = workdir, stages, stages[-1].end
        self.program, self.checkpoints, self.log, self.sources = program, checkpoints, log, sources
        self.config = program.config
        self.key = program.key()
        self.step_logs = StepLogs(self.config)
        self.pace = Pace(self.steps)
        self.stop = StopRequest()
        self.samples_seen = 0
        self.validate, self.scored_before = validate, False
        self.wandb = wandb

    def go(
        self,
        saved: TrainState | None,
        step: int,
        samples_seen: int,
        batches: Iterator[dict[str, Any]],
        profiler: StepProfiler,
    ) -> TrainState:
        """Trains from a saved state, or from random parameters, to the end of the last stage and
        writes the weights.
        """
        self.samples_seen = samples_seen
        if saved is not None and step >= self.steps:
            self.log.message(f"{self.workdir} is finished: {step} of {self.steps} steps.")
            return saved
        self._announce(step)
        self._enter(stage_at(self.stages, step))
        # The rest of the preparations happens while the step is compiled.
        self.step_fns.begin(steps_per_dispatch(step, self.stage, self.config.steps_per_dispatch))
        self.log.open_boards(wandb=self.wandb, config=to_dict(self.config))
        state = self.program.create() if saved is None else saved
        feed = Feed(batches, self.program.mesh, self.step_logs.meter)
        self.step_logs.meter.restart()
        with self.stop.watch(self.log.message), profiler.running():
            while step < self.steps:
                if step == self.stage.end:
                    self._flush()
                    self._enter(stage_at(self.stages, step))
                count = steps_per_dispatch(step, self.stage, self.config.steps_per_dispatch)
                batch, names = feed.take(count)
                if count not in self.step_fns:
                    self._wait_for_compilation(count)
                profiler.before(step + 1)
                with jax.transfer_guard("disallow"):  # a step neither waits for a device nor copies from it
                    state, logs = self.step_fns.get(count)(state, batch, self.key)
                step += count
                self.samples_seen += self.config.batch_size * count
                self.step_logs.add(step, names, logs)
                self._progress(step, logs)
                profiler.after(step, state)
                self._after(state, step)
        self._export(state, step)
        if self.stop.signaled:
            raise Interrupted(RETRY)
        return state

    def _announce(self, step: int) -> None:
        self.log.begin(
            self.config.name, step, self.program.mesh, {stage.config.name: stage.end for stage in self.stages}
        )
        count = sum(x.size for x in jax.tree.leaves(self.program.target.params))
        crop = self.config.data.crop
        self.log.message(
            f"{count:,} parameters, {self.steps - step} steps of {self.config.batch_size} crops of {crop}x{crop}"
        )

    def _enter(self, stage: Stage) -> None:
        self.stage, self.step_fns = stage, StageSteps(self.program, stage, self.key, self.log.message)
        if len(self.stages) > 1:
            self.log.message(f"stage {stage.config.name!r}: steps {stage.start + 1} to {stage.end}")

    def _wait_for_compilation(self, count: int) -> None:
        """Waits for the function for `count` steps; the time is not counted as step time."""
        start = time.perf_counter()
        self.step_fns.get(count)
        self.step_logs.meter.exclude(time.perf_counter() - start)
        self.pace.begin()

    def _progress(self, step: int, logs: dict[str, jax.Array]) -> None:
        self.log.advance(step)
        if self.pace.needs_result(step):
            jax.block_until_ready(logs)
        if (line := self.pace.stepped(step)) is not None:
            self.log.pace(line)

    def _after(self, state: TrainState, step: int) -> None:
        last = step == self.steps
        stopping = self.stop.reached(step) and not last
        due = last or (self.config.eval_every > 0 and step % self.config.eval_every == 0)
        evaluating = due and self.stage.scored and not stopping
        saving = last or stopping or step % self.config.save_every == 0
        if evaluating or saving or step % self.config.log_every == 0:
            self._flush()
            if failure := self.checkpoints.check():
                self.log.message(failure)
                saving = True  # tries again with this state
        scores = self._evaluate(state, step, self.validate) if evaluating and self.validate is not None else None
        if saving or scores:
            self._save(state, step, scores, final=last or stopping)
        if stopping:
            self.checkpoints.close()
            self.log.message(f"stopped at step {step}, saved; repeat the command to resume the run")
            raise Interrupted(RETRY)

    def _save(self, state: TrainState, step: int, scores: dict[str, float] | None, *, final: bool) -> None:
        """Starts a save; waits for the last one of a process, whose failure would not be noticed
        later.
        """
        about: dict[str, Any] = {
            "step": step,
            "config": to_dict(self.config),
            "data": data_position(self.sources, self.config, self.samples_seen),
            "scores": scores,
        }
        self.checkpoints.save(state, **about)
        while final and (failure := self.checkpoints.check(wait=True)):
            self.log.message(failure)
            time.sleep(1)  # threads of the failed save may still write to that step's folder
            self.checkpoints.save(state, **about)

    def _flush(self) -> None:
        """Logs the means of the steps since the last call."""
        means = self.step_logs.flush(last_checkpoint=lambda: self.checkpoints.latest_step)
        if means is not None:
            step, values = means
            self.log.scalars("train", step, rounded(values))

    def _evaluate(self, state: TrainState, step: int, validate: Validate) -> dict[str, float]:
        params = jax.device_put(self.program.to_host(state.scored), jax.local_devices()[0])
        if not self.scored_before:
            self.log.message("scoring the validation pairs; the first time, this compiles for each image size")
            self.scored_before = True
        scores, panels = validate(params)
        self.log.scalars("validation", step, rounded(scores))
        for name, panel in panels.items():
            self.log.panel(name, step, panel)
        self.step_logs.meter.restart()
        return scores

    def _export(self, state: TrainState, step: int) -> None:
        params = self.program.to_host(state.scored)
        if jax.process_index() != 0:
            return
        config = to_dict(self.config)
        # Folders of this machine are of no use to the recipients of the weights.
        config["data"] |= {"root": "", "alignment": epath.Path(self.config.data.alignment).name}
        kind = jax.devices()[0].device_kind
        about = {"steps": step, "config": config, "jax": jax.__version__, "device": kind}
        save_weights(self.workdir / RUN_FILE, params, self.config.model, about)
        self.log.message(f"finished; weights in {self.workdir / RUN_FILE}")
