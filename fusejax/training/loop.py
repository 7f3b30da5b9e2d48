"""fit(): where steps, logs, evaluation and saves meet."""

import contextlib
import math
import signal
import time

import jax
from etils import epath
from jax.experimental import multihost_utils

from fusejax.config import TrainConfig
from fusejax.data.pipeline import open_sources, open_validation, training_batches
from fusejax.inference.fuser import Fuser
from fusejax.serialize import to_dict
from fusejax.training.checkpoint import Checkpoints
from fusejax.training.logs import RunLog, rounded
from fusejax.training.meter import Meter
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh, place_batch
from fusejax.training.stages import plan_stages, stage_at
from fusejax.training.state import TrainState
from fusejax.training.validation import validate
from fusejax.weights.files import RUN_FILE, save_weights

RETRY = 75  # EX_TEMPFAIL of sysexits.h: what a launcher starts again


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient became NaN or infinite; the message names step, parts and pictures."""


class Interrupted(SystemExit):
    """The run was asked to stop; it has saved and goes on when the same command is given again. Its code is RETRY."""


def fit(
    config: TrainConfig,
    workdir: epath.PathLike,
    *,
    override: bool = False,
    allow_older: bool = False,
    profile_steps: range = range(0),
) -> TrainState:
    """Trains, or goes on with a run that was stopped, and writes checkpoints, logs, panels and final weights.

    The same configuration and folder again continue exactly where the run was; a finished run returns at once. With
    several processes all of them call this; the first one logs.

    Args:
      workdir: a folder, or a remote one that all processes see (gs://).
      override: go on although the configuration differs from the checkpoint's.
      allow_older: go on from an older checkpoint where the newest is damaged.
      profile_steps: steps of which a profiler trace is written to WORKDIR/profile; the first is 1.
    Raises: ValueError for unusable data, a folder that holds another run or a damaged checkpoint (DamagedCheckpoint);
      PermissionError; CheckpointFailed where saving failed again and again; NonFiniteLoss; Interrupted after a signal.
    """
    workdir = epath.Path(workdir)
    sources, validation = open_sources(config.data), open_validation(config.data)
    stages = plan_stages(config, sum(len(s) for s in sources))
    program = Program(config, make_mesh(config.mesh))
    checkpoints = Checkpoints(workdir / "checkpoints", keep_newest=config.keep_newest, best_metric=config.best_metric)
    with contextlib.ExitStack() as stack:
        stack.callback(checkpoints.close)
        samples_seen, messages = 0, []
        if checkpoints.latest_step is None:
            _check_unused(workdir)
            state = program.create()
        else:
            restored = checkpoints.restore(
                program.target, config=to_dict(config), override=override, allow_older=allow_older
            )
            state, samples_seen, messages = restored.state, restored.data["samples_seen"], [*restored.messages]
        batches = iter(
            training_batches(
                sources,
                config.data,
                batch_size=config.batch_size // jax.process_count(),
                seed=config.seed,
                shard_index=jax.process_index(),
                shard_count=jax.process_count(),
                samples_seen=samples_seen,
            )
        )
        start = int(state.step)
        log = RunLog(workdir if jax.process_index() == 0 else None, steps=stages[-1].end, start=start)
        stack.callback(log.close)
        for source in (*sources, *(validation.sources if validation else ())):
            messages += [f"left out: {line}" for line in getattr(source, "skipped", ())]
        for message in messages:
            log.message(message)
        run = _Run(config, workdir, stages, program, checkpoints, validation, batches, log, profile_steps)
        run.samples_seen = samples_seen
        return run.go(state, start)


def _check_unused(workdir: epath.Path) -> None:
    """Raises ValueError where a new run would overwrite the weights of another one."""
    if (workdir / RUN_FILE).exists():
        raise ValueError(
            f"{workdir} holds {RUN_FILE} but no checkpoint to go on from; give another --workdir, or move it away."
        )


class _Run:
    """The running loop: pending logs, signals and what happens every so many steps."""

    def __init__(self, config, workdir, stages, program, checkpoints, validation, batches, log, profile_steps):
        self.config, self.workdir, self.stages, self.steps = config, workdir, stages, stages[-1].end
        self.program, self.checkpoints, self.validation = program, checkpoints, validation
        self.batches, self.log, self.profile_steps = batches, log, profile_steps
        self.fuser, self.tracing = None, False
        self.pending: list[tuple[int, list[str], dict]] = []
        self.stop_signal: int | None = None
        self.meter = Meter()

    def go(self, state: TrainState, step: int) -> TrainState:
        if step >= self.steps:
            self.log.message(f"{self.workdir} is finished: {step} of {self.steps} steps.")
            return state
        self.log.begin(
            self.config.name, step, self.program.mesh, {stage.config.name: stage.end for stage in self.stages}
        )
        key = self.program.key()
        self.stage = stage_at(self.stages, step)
        step_fn = self._enter()
        self.meter.restart()
        with self._signals(), self._profiler():
            while step < self.steps:
                if step == self.stage.end:
                    self._flush()
                    self.stage = stage_at(self.stages, step)
                    step_fn = self._enter()
                batch, names = self._next()
                self._start_trace(step + 1)
                with jax.transfer_guard("disallow"):  # nothing in a step waits for, or copies from, a device
                    state, logs = step_fn(state, batch, key)
                step += 1
                self.samples_seen += self.config.batch_size
                self.meter.stepped()
                self.pending.append((step, names, logs))
                self.log.advance(step)
                self._end_trace(state, step)
                self._after(state, step)
        self._export(state, step)
        return state

    def _enter(self):
        """The step function of the current stage; it compiles when it is first called."""
        if len(self.stages) > 1:
            self.log.message(f"stage {self.stage.config.name!r}: steps {self.stage.start + 1} to {self.stage.end}")
        return self.program.step(self.stage)

    def _next(self) -> tuple[dict[str, jax.Array], list[str]]:
        """The next batch on the devices, and the names of its pairs that this process has read."""
        start = time.perf_counter()
        batch = next(self.batches)
        names = [str(name) for name in batch.pop("id")]
        placed = place_batch(batch, self.program.batch_sharding)
        self.meter.waited(time.perf_counter() - start)
        return placed, names

    def _after(self, state: TrainState, step: int) -> None:
        last = step == self.steps
        stopping = self._asked_to_stop(step) and not last
        due = last or (self.config.eval_every and step % self.config.eval_every == 0)
        evaluating = due and self.stage.scored and not stopping
        saving = last or stopping or step % self.config.save_every == 0
        if evaluating or saving or step % self.config.log_every == 0:
            self._flush()
            if failure := self.checkpoints.check():
                self.log.message(failure)
                saving = True  # tried again with this state
        scores = self._evaluate(state, step) if evaluating else None
        if saving or scores:
            self._save(state, step, scores, final=last or stopping)
        if stopping:
            self.checkpoints.close()
            self.log.message(f"stopped at step {step}, saved; the same command goes on")
            raise Interrupted(RETRY)

    def _save(self, state: TrainState, step: int, scores: dict[str, float] | None, *, final: bool) -> None:
        """Starts a save; waits for the last one of a process, since nobody would see later that it failed."""
        data = {"samples_seen": self.samples_seen}
        about = {"step": step, "config": to_dict(self.config), "data": data, "scores": scores}
        self.checkpoints.save(state, **about)
        while final and (failure := self.checkpoints.check(wait=True)):
            self.log.message(failure)
            time.sleep(1)  # threads of the failed save may still write to that step's folder
            self.checkpoints.save(state, **about)

    def _flush(self) -> None:
        """Fetches the logs since the last call in one go, refuses what is not finite, reports the means."""
        if not self.pending:
            return
        fetched = jax.device_get([logs for _, _, logs in self.pending])
        broken = [not all(math.isfinite(v) for v in logs.values()) for logs in fetched]
        if any(broken) and (self.config.non_finite == "stop" or all(broken)):
            raise NonFiniteLoss(self._describe(broken.index(True), fetched))
        fine = [logs for logs, bad in zip(fetched, broken, strict=True) if not bad]
        means = {k: sum(float(logs[k]) for logs in fine) / len(fine) for k in fine[0]}
        if "skipped" in means:
            means["skipped"] = float(fetched[-1]["skipped"])
        self.log.scalars("train", self.pending[-1][0], rounded(means | self.meter.report(self.config.batch_size)))
        self.pending = []

    def _describe(self, index: int, fetched: list[dict]) -> str:
        step, names, _ = self.pending[index]
        parts = ", ".join(f"{k} {float(v):.6g}" for k, v in fetched[index].items())
        return (
            f"step {step} is not finite: {parts}. Pictures of that batch: {', '.join(names)}. "
            f"The last checkpoint is step {self.checkpoints.latest_step}; lower the learning rate, look at these "
            "pictures, or leave such steps out with --non-finite skip."
        )

    def _evaluate(self, state: TrainState, step: int) -> dict[str, float] | None:
        if self.validation is None:
            return None
        params = jax.device_put(self.program.whole(state.scored), jax.local_devices()[0])
        if self.fuser is None:
            self.fuser = Fuser(params, self.config.model)
        self.fuser.params = params
        scores, panels = validate(self.fuser, self.validation)
        self.log.scalars("validation", step, rounded(scores))
        for name, panel in panels.items():
            self.log.picture(name, step, panel)
        self.meter.restart()
        return scores

    def _export(self, state: TrainState, step: int) -> None:
        params = self.program.whole(state.scored)
        if jax.process_index() == 0:
            save_weights(self.workdir / RUN_FILE, params, self.config.model, self._provenance(step))
            self.log.message(f"finished; weights in {self.workdir / RUN_FILE}")

    def _provenance(self, step: int) -> dict:
        config = to_dict(self.config)
        config["data"]["root"] = ""  # a folder of this machine, of no use to whoever gets the weights
        return {"steps": step, "config": config, "jax": jax.__version__, "device": jax.devices()[0].device_kind}

    def _asked_to_stop(self, step: int) -> bool:
        """Whether a signal or a notice of pre-emption asks for a stop after this step, the same one everywhere."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self.stop_signal is not None

    @contextlib.contextmanager
    def _signals(self):
        """SIGTERM and Ctrl-C ask for a stop at the next step boundary; a second one acts at once.

        With several processes JAX's own service catches SIGTERM and agrees on a step; it must keep its handler.
        """

        def ask(number, frame):
            if self.stop_signal is not None:
                raise KeyboardInterrupt
            self.stop_signal = number

        try:
            wanted = () if jax.process_count() > 1 else (signal.SIGTERM, signal.SIGINT)
            previous = {s: signal.signal(s, ask) for s in wanted}
        except ValueError:  # not the main thread (notebook executors, tests): nobody can signal it
            previous = {}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def _profiler(self):
        """Ends a trace that the run did not live to end."""
        try:
            yield
        finally:
            if self.tracing:
                self._stop_trace("until the run ended")

    def _start_trace(self, step: int) -> None:
        """Before `step`: starts the profiler's trace where that is the first step of it."""
        if self.profile_steps and step == self.profile_steps[0]:
            jax.profiler.start_trace(str(self.workdir / "profile"))
            self.tracing = True

    def _end_trace(self, state: TrainState, step: int) -> None:
        """After `step`: ends the trace where that is the last step of it, once the devices have done it."""
        if self.tracing and step == self.profile_steps[-1]:
            jax.block_until_ready(state)
            self._stop_trace(f"to {step}")

    def _stop_trace(self, until: str) -> None:
        """Writes the trace; where that fails it says so, and the run goes on."""
        self.tracing = False
        trace = f"trace of steps {self.profile_steps[0]} {until}"
        try:
            jax.profiler.stop_trace()
            self.log.message(f"{trace} in {self.workdir / 'profile'}")
        except (RuntimeError, OSError) as error:
            self.log.message(f"{trace} is not written: {error}")
