"""The state from which a run starts."""

from collections.abc import Sequence

from etils import epath

from fusejax.serialize import to_dict
from fusejax.training.checkpoint import Checkpoints
from fusejax.training.continuity import check_same_order
from fusejax.training.program import Program
from fusejax.training.state import TrainState
from fusejax.weights.files import RUN_FILE


def find_start(
    workdir: epath.Path,
    program: Program,
    checkpoints: Checkpoints,
    sources: Sequence,
    *,
    override: bool,
    allow_older: bool,
) -> tuple[TrainState | None, int, list[str]]:
    """Restores the state of a checkpoint, or reads the weights that the configuration starts from.

    Args:
        workdir: folder of the run.
        program: the program of the run.
        checkpoints: manager of the checkpoints in `workdir`.
        sources: training pairs, from `fusejax.data.pipeline.open_sources`.
        override: resume even if the configuration differs from the checkpoint's.
        allow_older: resume from an older checkpoint if the newest is damaged.

    Returns:
        The state, the number of samples it has seen, and messages for the user. The state is None
        if a run starts from random parameters; the loop initializes them later.

    Raises:
        ValueError: if the folder holds weights of another run but no checkpoint; see also
            `Checkpoints.restore`, `check_same_order` and `Program.create`.
    """
    config = program.config
    if checkpoints.latest_step is None:
        if (workdir / RUN_FILE).exists():
            raise ValueError(
                f"{workdir} holds {RUN_FILE} but no checkpoint to continue from; give another "
                "--workdir, or move it away."
            )
        return program.create() if config.start_from else None, 0, []
    restored = checkpoints.restore(program.target, config=to_dict(config), override=override, allow_older=allow_older)
    order = check_same_order(restored.data, sources, config, override=override)
    return restored.state, restored.data["samples_seen"], [*restored.messages, *order]
