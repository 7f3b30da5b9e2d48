"""The configuration of a training run, and where configurations are found."""

import dataclasses
import importlib.util
from pathlib import Path

from fusejax.data.pipeline import DataConfig
from fusejax.losses import AngularObjectiveConfig
from fusejax.models import ModelConfig


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """Adam with a cosine schedule over the whole run.

    Attributes:
      learning_rate, final_learning_rate: at the start (after the warm-up) and at the last step.
      warmup_steps: linear rise from 0.
      clip_norm: largest global L2 norm of the gradient.
    """

    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-6
    warmup_steps: int = 0
    clip_norm: float = 1.0


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One experiment.

    Attributes:
      epochs: passes over the training pairs; one step takes `batch_size` of them.
      steps: length in steps instead of epochs.
      batch_size: pairs per step over all devices.
      micro_batches: parts that a step's batch is computed in, one after the other; same gradient, less memory. Leave it
        at 1 on CPU: inside the loop XLA runs convolutions there more than ten times slower.
      seed: of parameters, data order and every random draw.
      log_every, eval_every, save_every: in steps; eval_every = 0 scores at the end only.
      keep_newest: checkpoints kept beside the best one.
      best_metric: validation score, larger is better, that says which checkpoint is best.
    """

    name: str
    model: ModelConfig
    objective: AngularObjectiveConfig = dataclasses.field(default_factory=AngularObjectiveConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    optim: OptimConfig = dataclasses.field(default_factory=OptimConfig)
    epochs: int = 70
    steps: int | None = None
    batch_size: int = 8
    micro_batches: int = 1
    seed: int = 0
    log_every: int = 50
    eval_every: int = 0
    save_every: int = 500
    keep_newest: int = 2
    best_metric: str = "SSIM"

    def __post_init__(self):
        for name in ("epochs", "batch_size", "micro_batches", "log_every", "save_every", "keep_newest"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if self.batch_size % self.micro_batches:
            raise ValueError(f"batch_size {self.batch_size} does not split into {self.micro_batches} micro-batches.")


# What may differ between a run and its continuation without changing its result.
RESUMABLE = ("log_every", "eval_every", "save_every", "keep_newest")


def shipped_configs() -> dict[str, Path]:
    """Configurations that come with the package, by name."""
    package = Path(__file__).parent
    folders = (package / "configs", package.parent / "configs")  # in a wheel; in a checkout
    return {p.stem: p for folder in folders if folder.is_dir() for p in sorted(folder.glob("*.py"))}


def load_config(name_or_path: str) -> TrainConfig:
    """What `get_config()` of a Python file returns; the file is given by path, or by name if it is a shipped one."""
    shipped = shipped_configs()
    path = Path(name_or_path)
    if not path.is_file():
        if name_or_path not in shipped:
            raise ValueError(
                f"{name_or_path}: neither a file nor a shipped configuration; shipped: {', '.join(shipped) or 'none'}."
            )
        path = shipped[name_or_path]
    spec = importlib.util.spec_from_file_location(f"fusejax_config_{path.stem}", path)
    if spec is None:
        raise ValueError(f"{path}: a configuration is a Python file (.py) with a function get_config().")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise ValueError(f"{path} has no function get_config() that returns a TrainConfig.")
    return module.get_config()
