"""The configuration of a training run, and loading of configurations. Does not import JAX."""

import dataclasses
import functools
import importlib.util
import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from fusejax.data.config import DataConfig
from fusejax.losses.config import ObjectiveConfig
from fusejax.models.config import ModelConfig
from fusejax.options import check_at_least, check_choices


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """How the devices of a run are arranged; may change when a run is resumed.

    Attributes:
        data: number of devices along the axis `data`; -1 for all that `fsdp` leaves.
        fsdp: number of devices that share one copy of parameters and optimizer state; -1 for all
            that `data` leaves.
        min_sharded: arrays with fewer elements than this are replicated on every device.
    """

    data: int = -1
    fsdp: int = 1
    min_sharded: int = 4096

    def __post_init__(self) -> None:
        sizes = (self.data, self.fsdp)
        if any(size < 1 and size != -1 for size in sizes) or sizes == (-1, -1):
            raise ValueError(f"mesh.data is {self.data} and mesh.fsdp {self.fsdp}; give sizes, of which one may be -1.")


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """Adam (no weight decay) after clipping by global norm, and the learning rate of a stage.

    Attributes:
        learning_rate: learning rate at the start, after the warm-up.
        final_learning_rate: learning rate at the end (`cosine`), or its lower bound (`step`).
        schedule: `cosine` decays to the final rate at the last step of the stage; `step` multiplies
            by `decay_factor` every `decay_epochs` epochs, counted for each module from its own
            first update.
        decay_epochs: see `schedule`.
        decay_factor: see `schedule`.
        warmup_steps: number of steps of a linear warm-up from 0.
        clip_norm: maximum L2 norm of the gradient.
    """

    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-6
    schedule: Literal["cosine", "step"] = "cosine"
    decay_epochs: int = 20
    decay_factor: float = 0.5
    warmup_steps: int = 0
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        check_choices(self)
        for name in ("learning_rate", "decay_factor", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a number above 0.")
        check_at_least(self, 0, "final_learning_rate", "warmup_steps")
        check_at_least(self, 1, "decay_epochs")


@dataclasses.dataclass(frozen=True)
class StageConfig:
    """A part of a run with its own objective.

    Attributes:
        objective: loss of the stage.
        name: name of the stage, for logs.
        optim: optimizer and learning rate.
        epochs: number of passes over the training pairs; one step uses `batch_size` of them.
        steps: length in steps instead of epochs.
        trains: top-level modules of the network to update; empty for all. Needs
            `optimize_by_module`.
    """

    objective: ObjectiveConfig
    name: str = "main"
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)
    epochs: int = 70
    steps: int | None = None
    trains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("epochs", "steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"Stage {self.name!r} has {name} {value}; it must be at least 1.")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One experiment.

    Attributes:
        name: name of the experiment, for logs.
        model: the network.
        stages: stages, run one after the other; parameters and optimizer state carry over.
        data: the training pairs.
        optimize_by_module: clip gradients and count updates separately for each top-level module of
            the network.
        batch_size: number of pairs per step, over all devices.
        micro_batches: number of parts in which a step's batch is processed, one after the other,
            which gives the same gradient with less memory. Leave it at 1 on CPU, where XLA's
            convolutions are more than ten times slower inside this loop.
        steps_per_dispatch: number of steps that the devices take in a row without the host, for
            accelerators on which a step is shorter than its dispatch; log_every, save_every and
            eval_every must be multiples of it. Leave it at 1 on CPU, for the reason above.
        mesh: how the devices are arranged.
        average_decay: decay of the exponential moving average of the parameters, which is then
            scored and exported; 0 keeps no average.
        non_finite: what happens if a loss or gradient is NaN or infinite. `stop` ends the run and
            reports the names of the images; `skip` skips and counts the step, and stops if no step
            between two log lines was finite.
        seed: seed of the parameters, the data order and every random draw.
        start_from: weights with which the run starts (a shipped name, a .safetensors file, a run's
            folder or FOLDER@STEP), for fine-tuning; the optimizer state is not taken over. Empty
            for random parameters.
        log_every: number of steps between log lines.
        eval_every: number of steps between evaluations; 0 evaluates only at the end. Stages that do
            not train the fused image are not scored.
        save_every: number of steps between checkpoints.
        keep_newest: number of checkpoints to keep in addition to the best one.
        best_metric: validation score that determines the best checkpoint; larger is better.
    """

    name: str
    model: ModelConfig
    stages: tuple[StageConfig, ...]
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    optimize_by_module: bool = False
    batch_size: int = 8
    micro_batches: int = 1
    steps_per_dispatch: int = 1
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)
    average_decay: float = 0.0
    non_finite: Literal["stop", "skip"] = "stop"
    seed: int = 0
    start_from: str = ""
    log_every: int = 50
    eval_every: int = 0
    save_every: int = 500
    keep_newest: int = 2
    best_metric: str = "SSIM"

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0 <= self.average_decay < 1:
            raise ValueError(f"average_decay is {self.average_decay}; it must be at least 0 and below 1.")
        check_at_least(self, 1, "batch_size", "micro_batches", "steps_per_dispatch")
        check_at_least(self, 1, "log_every", "save_every", "keep_newest")
        check_at_least(self, 0, "eval_every", "seed")
        if self.batch_size % self.micro_batches:
            raise ValueError(f"batch_size {self.batch_size} does not split into {self.micro_batches} micro-batches.")
        for name in ("log_every", "save_every", "eval_every"):
            if getattr(self, name) % self.steps_per_dispatch:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; with steps_per_dispatch {self.steps_per_dispatch} it must be a "
                    "multiple of that."
                )
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"A run needs stages of different names; got {', '.join(names) or 'none'}.")
        for stage in self.stages:
            if stage.trains and not self.optimize_by_module:
                raise ValueError(f"Stage {stage.name!r} trains some modules only; set optimize_by_module.")


# Settings that may change when a run is resumed, without changing its result.
RESUMABLE = ("mesh", "steps_per_dispatch", "log_every", "eval_every", "save_every", "keep_newest", "data.workers")


def shipped_configs(kind: str = ".") -> dict[str, Path]:
    """Configurations included in the package, by name.

    Args:
        kind: subfolder, such as "ablations".
    """
    package = Path(__file__).parent
    folders = (package / "configs" / kind, package.parent / "configs" / kind)  # in a wheel; in a checkout
    return {p.stem: p for folder in folders if folder.is_dir() for p in sorted(folder.glob("*.py"))}


def load_config(name_or_path: str) -> TrainConfig:
    """Loads the configuration returned by `get_config()` of a Python file.

    Args:
        name_or_path: path of the file, or the name of a shipped one.

    Raises:
        ValueError: if there is no such file, it cannot be run, or it returns something else.
    """
    config = run_user_code(_function_of(name_or_path, "get_config", shipped_configs()), name_or_path)
    if not isinstance(config, TrainConfig):
        kind = type(config).__name__
        raise ValueError(f"{name_or_path}: get_config() must return a TrainConfig; it returned {kind}.")
    return config


def load_ablation(name_or_path: str) -> Callable:
    """Loads `get_ablation(data_root, out, full_size)` of a Python file
    (`fusejax.evaluation.ablation`).

    Args:
        name_or_path: path of the file, or the name of a shipped one.

    Raises:
        ValueError: if there is no such file, or it cannot be run.
    """
    return _function_of(name_or_path, "get_ablation", shipped_configs("ablations"))


def _function_of(name_or_path: str, function: str, shipped: dict[str, Path]) -> Callable:
    path = Path(name_or_path)
    if not path.is_file():
        if name_or_path not in shipped:
            raise ValueError(
                f"{name_or_path} is neither a file nor a shipped configuration; known: {', '.join(shipped) or 'none'}."
            )
        path = shipped[name_or_path]
    spec = importlib.util.spec_from_file_location(f"fusejax_config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{path}: a configuration must be a Python file (.py) with a function {function}().")
    module = importlib.util.module_from_spec(spec)
    run_user_code(functools.partial(spec.loader.exec_module, module), str(path))
    if not hasattr(module, function):
        raise ValueError(f"{path} has no function {function}().")
    return getattr(module, function)


def run_user_code(user_code: Callable[[], Any], path: str) -> Any:
    """Runs code of a configuration file; an error in it becomes a ValueError with its line."""
    try:
        return user_code()
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""  # without one for zero bytes
        raise ValueError(f"{error.filename or path}{line}: {error.msg}.") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        in_file = [f for f in frames if Path(f.filename).stem == Path(path).stem]
        where = f"{in_file[-1].filename}, line {in_file[-1].lineno}" if in_file else path
        raise ValueError(f"{where}: {type(error).__name__}: {error}") from error
