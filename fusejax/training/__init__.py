"""Training: `fit` runs and resumes a configuration on any number of devices and processes."""

from etils import epy

with epy.lazy_api_imports(globals()):
    from fusejax.training.checkpoint import CheckpointFailed, Checkpoints, DamagedCheckpoint, Restored
    from fusejax.training.loop import Interrupted, NonFiniteLoss, fit
    from fusejax.training.program import Program
    from fusejax.training.sharding import make_mesh
    from fusejax.training.stages import Stage, plan_stages
    from fusejax.training.state import TrainState, init_params
    from fusejax.training.step import train_step

__all__ = [
    "CheckpointFailed",
    "Checkpoints",
    "DamagedCheckpoint",
    "Interrupted",
    "NonFiniteLoss",
    "Program",
    "Restored",
    "Stage",
    "TrainState",
    "fit",
    "init_params",
    "make_mesh",
    "plan_stages",
    "train_step",
]
