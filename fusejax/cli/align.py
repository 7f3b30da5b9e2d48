"""`fusejax align`: selects and corrects patches of an auxiliary set that match a target set."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from fusejax.cli.parsing import parse
from fusejax.data.alignment import CHANNELS, AlignConfig
from fusejax.data.alignment_folders import align_folders
from fusejax.data.alignment_plan import AlignPlan
from fusejax.io.matching import NameOptions

_FILE_WIDTH = 240


@dataclasses.dataclass(frozen=True)
class AlignOptions(NameOptions):
    """Selects the auxiliary patches closest in brightness to a target set and fits one gamma per
    color channel.

    Writes only the plan, from which training cuts its patches, and an image for judging it.

    Attributes:
        target: pair folder whose brightness the patches should match.
        auxiliary: pair folder to select patches from; the path includes the split.
        out: FILE.json (FILE.png is written next to it), or a folder for plan.json and plan.png.
        config: settings for cutting, selecting and fitting.
        target_split: subfolder to use if the target folder does not hold the images itself; keeps
            test images out.
        skip_bad: skip unusable pairs and list them, instead of stopping.
        overwrite: replace an existing plan.
    """

    target: Path = tyro.MISSING
    auxiliary: Path = tyro.MISSING
    out: Path = tyro.MISSING
    config: Annotated[AlignConfig, tyro.conf.arg(name="")] = dataclasses.field(default_factory=AlignConfig)
    target_split: str | None = "train"
    skip_bad: bool = False
    overwrite: bool = False


def align_command(options: AlignOptions) -> AlignPlan:
    """Aligns the folders given by the options and prints the table.

    Raises:
        ValueError: see `align_folders`.
        OSError: see `align_folders`.
    """
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    aligned = align_folders(**values)
    for line in aligned.skipped:
        print(f"skipped: {line}")
    _report(aligned.plan, aligned.path, aligned.figure)
    return aligned.plan


def _report(plan: AlignPlan, path: Path, figure: Path) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(_table(plan))
    console.print(
        f"{plan.summary}; distance at rank {len(plan.patches)}: {plan.last_distance:.2f} gray levels over the "
        "three channels"
    )
    for warning in plan.warnings:
        console.print(f"warning: {warning}")
    console.print(f"written to {path} and {figure}")


def _table(plan: AlignPlan) -> Table:
    table = Table(title="channel means in gray levels, 0 to 255")
    table.add_column("channel")
    for name in ("before", "target", "after", "gamma"):
        table.add_column(name, justify="right")
    rows = zip(CHANNELS, plan.mean_before, plan.target_mean, plan.mean_after, plan.gammas, strict=True)
    for channel, *means, gamma in rows:
        table.add_row(channel, *(f"{mean:.2f}" for mean in means), f"{gamma:.4f}")
    return table


def run(arguments: list[str]) -> None:
    """The command."""
    align_command(parse(AlignOptions, "align", arguments))
