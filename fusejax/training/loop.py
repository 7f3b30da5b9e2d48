"""fit(): where steps, logs, evaluation and saves meet."""

import contextlib
import functools
import math
import signal
import time
from pathlib import Path

import jax

from fusejax.config import TrainConfig
from fusejax.data.pipeline import open_sources, open_validation, training_batches
from fusejax.inference import Fuser
from fusejax.losses import check_objective
from fusejax.models import build
from fusejax.serialise import to_dict
from fusejax.training.checkpoint import Checkpoints
from fusejax.training.logs import RunLog, rounded
from fusejax.training.sharding import batch_sharding, check_batch_size, make_mesh, place_batch, replicated
from fusejax.training.stages import Stage, plan_stages, stage_at
from fusejax.training.state import TrainState, abstract_state, create_state
from fusejax.training.step import train_step
from fusejax.training.validation import validate
from fusejax.weights_io import RUN_FILE, save_weights


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient became NaN or infinite; the message names step, parts and pictures."""


class Interrupted(SystemExit):
    """The run was asked to stop; it has saved and goes on when the same command is given again."""


def fit(config: TrainConfig, workdir: str | Path) -> TrainState:
    """Trains, or goes on with a run that was stopped, and writes checkpoints, logs, panels and final weights.

    The same configuration and folder again continue exactly where the run was; a finished run returns at once.
    Raises: ValueError for unusable data or a folder that holds another run; NonFiniteLoss; Interrupted after a signal.
    """
    workdir = Path(workdir)
    sources, validation = open_sources(config.data), open_validation(config.data)
    stages = plan_stages(config, sum(len(s) for s in sources))
    mesh = make_mesh()
    check_batch_size(config.batch_size, jax.device_count() * config.micro_batches)

    model = build(config.model)
    for stage in stages:
        check_objective(
            stage.config.objective, model=type(model).__name__, provides=model.provides, boxes=config.data.max_boxes > 0
        )
    by_module = config.optimize_by_module
    target = abstract_state(model, by_module=by_module, sharding=replicated(mesh))
    _check_modules(config, target)
    workdir.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(workdir / "checkpoints", keep_newest=config.keep_newest, best_metric=config.best_metric)
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.set_mesh(mesh))
        stack.callback(checkpoints.close)
        samples_seen = 0
        if checkpoints.latest_step is None:
            state = create_state(model, jax.random.key(config.seed), by_module=by_module, sharding=replicated(mesh))
        else:
            restored = checkpoints.restore(target, config=to_dict(config))
            state, samples_seen = restored.state, restored.data["samples_seen"]
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
        run = _Run(config, workdir, stages, int(state.step), checkpoints, validation, batches)
        stack.callback(run.log.close)
        for source in (*sources, *(validation.sources if validation else ())):
            for line in getattr(source, "skipped", ()):
                run.log.message(f"left out: {line}")

        def outputs(params, ir, vi_y):
            return model.apply({"params": params}, ir, vi_y, method="outputs")

        def compile_stage(stage: Stage):
            step = functools.partial(
                train_step, outputs_fn=outputs, stage=stage, by_module=by_module, micro_batches=config.micro_batches
            )
            return jax.jit(step, donate_argnums=0, out_shardings=replicated(mesh))

        return run.go(state, compile_stage, batch_sharding(mesh))


def _check_modules(config: TrainConfig, state: TrainState) -> None:
    """Raises ValueError where a stage trains a module that the network does not have."""
    for stage in config.stages:
        if unknown := [name for name in stage.trains if name not in state.params]:
            raise ValueError(
                f"Stage {stage.name!r} trains {', '.join(unknown)}; the network has {', '.join(state.params)}."
            )


class _Run:
    """The running loop: pending logs, signals and what happens every so many steps."""

    def __init__(self, config, workdir, stages, start, checkpoints, validation, batches):
        self.config, self.workdir, self.stages, self.steps = config, workdir, stages, stages[-1].end
        self.checkpoints, self.validation, self.batches = checkpoints, validation, batches
        self.stage = stage_at(stages, start)
        self.log = RunLog(workdir, steps=self.steps, start=start)
        self.fuser = None
        self.pending: list[tuple[int, list[str], dict]] = []
        self.stop_signal: int | None = None
        self.last_flush = time.perf_counter()

    def go(self, state: TrainState, compile_stage, sharding) -> TrainState:
        step = int(state.step)
        if step >= self.steps:
            self.log.message(f"{self.workdir} is finished: {step} of {self.steps} steps.")
            return state
        verb = "goes on" if step else "starts"
        self.log.message(f"{self.config.name} {verb} at step {step} of {self.steps} on {jax.device_count()} device(s)")
        key = jax.random.fold_in(jax.random.key(self.config.seed), 1)
        step_fn = self._enter(compile_stage)
        with self._signals():
            while step < self.steps:
                if step == self.stage.end:
                    self._flush()
                    self.stage = stage_at(self.stages, step)
                    step_fn = self._enter(compile_stage)
                batch = next(self.batches)
                names = [str(name) for name in batch.pop("id")]
                state, logs = step_fn(state, place_batch(batch, sharding), key)
                step += 1
                self.pending.append((step, names, logs))
                self.log.advance(step)
                self._after(state, step)
        save_weights(self.workdir / RUN_FILE, state.params, self.config.model, self._provenance(step))
        self.log.message(f"finished; weights in {self.workdir / RUN_FILE}")
        return state

    def _enter(self, compile_stage):
        """The step function of the current stage; it compiles when it is first called."""
        if len(self.stages) > 1:
            self.log.message(f"stage {self.stage.config.name!r}: steps {self.stage.start + 1} to {self.stage.end}")
        return compile_stage(self.stage)

    def _after(self, state: TrainState, step: int) -> None:
        last = step == self.steps
        stopping = self.stop_signal is not None
        due = last or (self.config.eval_every and step % self.config.eval_every == 0)
        evaluating = due and self.stage.scored
        saving = last or stopping or step % self.config.save_every == 0
        if evaluating or saving or step % self.config.log_every == 0:
            self._flush()
        scores = self._evaluate(state, step) if evaluating and not (stopping and not last) else None
        if saving or scores:
            data = {"samples_seen": step * self.config.batch_size, "stage": self.stage.config.name}
            self.checkpoints.save(state, step=step, config=to_dict(self.config), data=data, scores=scores)
        if stopping and not last:
            self.checkpoints.close()
            self.log.message(f"stopped by signal {self.stop_signal} at step {step}, saved; the same command goes on")
            raise Interrupted(128 + self.stop_signal)

    def _flush(self) -> None:
        """Fetches the logs since the last call in one go, refuses what is not finite, reports the means."""
        if not self.pending:
            return
        fetched = jax.device_get([logs for _, _, logs in self.pending])
        for (step, names, _), logs in zip(self.pending, fetched, strict=True):
            if not all(math.isfinite(v) for v in logs.values()):
                parts = ", ".join(f"{k} {float(v):.6g}" for k, v in logs.items())
                raise NonFiniteLoss(
                    f"step {step} is not finite: {parts}. Pictures of that batch: {', '.join(names)}. "
                    f"The last checkpoint is step {self.checkpoints.latest_step}; lower the learning rate or "
                    "look at these pictures."
                )
        now, count = time.perf_counter(), len(fetched)
        means = {k: sum(float(logs[k]) for logs in fetched) / count for k in fetched[0]}
        means["images_per_second"] = count * self.config.batch_size / (now - self.last_flush)
        self.log.scalars("train", self.pending[-1][0], rounded(means))
        self.pending, self.last_flush = [], now

    def _evaluate(self, state: TrainState, step: int) -> dict[str, float] | None:
        if self.validation is None:
            return None
        if self.fuser is None:
            self.fuser = Fuser(state.params, self.config.model)
        self.fuser.params = state.params
        scores, panels = validate(self.fuser, self.validation)
        self.log.scalars("validation", step, rounded(scores))
        for name, panel in panels.items():
            self.log.picture(name, step, panel)
        self.last_flush = time.perf_counter()
        return scores

    def _provenance(self, step: int) -> dict:
        config = to_dict(self.config)
        config["data"]["root"] = ""  # a folder of this machine, of no use to whoever gets the weights
        return {"steps": step, "config": config, "jax": jax.__version__, "device": jax.devices()[0].device_kind}

    @contextlib.contextmanager
    def _signals(self):
        """SIGTERM and Ctrl-C ask for a stop at the next step boundary; a second one acts at once."""

        def ask(number, frame):
            if self.stop_signal is not None:
                raise KeyboardInterrupt
            self.stop_signal = number

        try:
            previous = {s: signal.signal(s, ask) for s in (signal.SIGTERM, signal.SIGINT)}
        except ValueError:  # not the main thread (notebook executors, tests): nobody can signal it
            previous = {}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
