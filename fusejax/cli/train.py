"""`fusejax train`: trains a configuration, or continues a run."""

import dataclasses
import sys

import tyro

from fusejax.cli.configured import parse_configured
from fusejax.training.processes import Processes, join_processes


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Where a run lives and how it continues.

    Attributes:
        workdir: folder of the run, local or remote (gs://); the same command again continues it.
        override: continue although settings differ from the checkpoint's.
        allow_older: continue from an older checkpoint if the newest is damaged.
        profile_steps: FIRST:END, steps of which a profiler trace is written to WORKDIR/profile;
            END is left out.
    """

    workdir: str = tyro.MISSING
    override: bool = False
    allow_older: bool = False
    profile_steps: str = ""


def run(arguments: list[str]) -> None:
    """Trains; ends the process with status 3 if the loss or saving failed for good.

    Raises:
        ValueError: for settings, data or a folder that cannot be used; see
        `fusejax.training.loop.fit`.
    """
    config, given = parse_configured("train", arguments, options=TrainOptions, processes=Processes)
    options = given["options"]
    profile_steps = parse_steps(options.profile_steps)
    join_processes(given["processes"])  # before anything touches a device
    from fusejax.training.checkpoint import CheckpointFailed
    from fusejax.training.loop import NonFiniteLoss, fit

    try:
        fit(
            config,
            options.workdir,
            override=options.override,
            allow_older=options.allow_older,
            profile_steps=profile_steps,
        )
    except (NonFiniteLoss, CheckpointFailed) as error:
        print(f"fusejax train: {error}", file=sys.stderr)
        sys.exit(3)


def parse_steps(text: str) -> range:
    """FIRST:END as a range, END left out as in Python; an empty range for an empty text."""
    first, colon, end = text.partition(":")
    if text and not (colon and first.isdigit() and end.isdigit() and 0 < int(first) < int(end)):
        raise ValueError(f"--profile-steps is {text!r}; give FIRST:END, such as 100:110 for steps 100 to 109.")
    return range(int(first), int(end)) if text else range(0)
