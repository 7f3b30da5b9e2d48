"""`fusejax train`: trains a configuration, or resumes a run."""

import dataclasses
import sys

import tyro

from fusejax.cli.configured import parse_configured
from fusejax.training.processes import Processes, join_processes


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """Where a run is stored and how it resumes.

    Attributes:
        workdir: folder of the run, local or remote (gs://); repeat the command to resume the run.
        override: resume even if settings differ from those in the checkpoint.
        allow_older: resume from an older checkpoint if the newest is damaged.
        profile_steps: FIRST:END, the steps to profile, END excluded; the trace is written to
            WORKDIR/profile.
        wandb: project of Weights & Biases that also receives the logs and panels; needs the extra
            wandb.
        register: the same as data.register: auto, rig, pair, or the file of a rig or of transforms.
    """

    workdir: str = tyro.MISSING
    override: bool = False
    allow_older: bool = False
    profile_steps: str = ""
    wandb: str = ""
    register: str = ""


def run(arguments: list[str]) -> None:
    """Trains; exits with status 3 if the loss is not finite or saving fails permanently.

    Raises:
        ValueError: if the settings, the data or the folder cannot be used; see
        `fusejax.training.loop.fit`.
    """
    config, given = parse_configured("train", arguments, options=TrainOptions, processes=Processes)
    options = given["options"]
    if options.register:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, register=options.register))
    profile_steps = parse_steps(options.profile_steps)
    join_processes(given["processes"])  # before anything touches a device
    from fusejax.evaluation.validation import Validation
    from fusejax.training.checkpoint import CheckpointFailed
    from fusejax.training.loop import NonFiniteLoss, fit

    try:
        fit(
            config,
            options.workdir,
            validate=Validation.of(config),
            override=options.override,
            allow_older=options.allow_older,
            profile_steps=profile_steps,
            wandb=options.wandb,
        )
    except (NonFiniteLoss, CheckpointFailed) as error:
        print(f"fusejax train: {error}", file=sys.stderr)
        sys.exit(3)


def parse_steps(text: str) -> range:
    """Parses FIRST:END as a range, END excluded as in Python; an empty text is an empty range."""
    first, colon, end = text.partition(":")
    if text and not (colon and first.isdigit() and end.isdigit() and 0 < int(first) < int(end)):
        raise ValueError(f"--profile-steps is {text!r}; expected FIRST:END, such as 100:110 for steps 100 to 109.")
    return range(int(first), int(end)) if text else range(0)
