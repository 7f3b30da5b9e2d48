"""Finds weights in the folder of a run, which may still be active."""

from etils import epath

CHECKPOINTS = "checkpoints"
RUN_FILE = "weights.safetensors"


def find_run(text: str) -> tuple[epath.Path, int | None] | None:
    """Parses FOLDER@STEP, or the FOLDER of a run without final weights.

    Returns:
        The folder of the run and the step, where None means the newest; None if the text is
        something else.

    Raises:
        ValueError: if the folder has no such step.
    """
    folder, at, step = text.rpartition("@")
    if at and step.isdigit() and (epath.Path(folder) / CHECKPOINTS).is_dir():
        if int(step) not in (steps := saved_steps(epath.Path(folder))):
            raise ValueError(
                f"{folder} has no checkpoint of step {step}; it has: {', '.join(map(str, steps)) or 'none'}."
            )
        return epath.Path(folder), int(step)
    run = epath.Path(text)
    if (run / CHECKPOINTS).is_dir() and not (run / RUN_FILE).exists():
        return run, None
    return None


def saved_steps(run: epath.Path) -> list[int]:
    """Completely saved steps of a run, in order."""
    folders = [path for path in (run / CHECKPOINTS).iterdir() if path.name.isdigit()]
    return sorted(int(p.name) for p in folders if (p / "_CHECKPOINT_METADATA").exists())
