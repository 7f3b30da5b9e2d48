"""`fusejax align`.

Patches of an auxiliary set that fit a target set, and the gammas that fit them better.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from fusejax.cli.parsing import parse
from fusejax.data.alignment import CHANNELS, AlignConfig, Alignment, align
from fusejax.data.alignment_plan import AlignedPatches, AlignPlan, VisibleImages, make_plan, save_plan
from fusejax.data.folders import PairFolder
from fusejax.report.progress import track

_FILE_WIDTH = 240
_SHOWN = 8
_LEVELS_A_BIN = 8


@dataclasses.dataclass(frozen=True)
class AlignOptions:
    """Chooses the auxiliary patches nearest in brightness to a target set and fits a gamma per
    color channel.

    Nothing is written but the plan, which training cuts its patches from, and an image to judge it
    by.

    Attributes:
      target: pair folder whose brightness is wanted.
      auxiliary: pair folder to choose patches from, named down to the split.
      out: FILE.json, with FILE.png beside it; or a folder for plan.json and plan.png.
      config: what is cut, chosen and fitted.
      target_split: looked for in a target folder that does not hold the images itself; keeps test
        images out.
      skip_bad: leave out unusable pairs and list them, instead of stopping.
      overwrite: replace a plan that is already there.
    """

    target: Path
    auxiliary: Path
    out: Path
    config: Annotated[AlignConfig, tyro.conf.arg(name="")] = dataclasses.field(default_factory=AlignConfig)
    target_split: str | None = "train"
    skip_bad: bool = False
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class _Watched(VisibleImages):
    """Reports how far each pass is."""

    description: str

    def __iter__(self) -> Iterator[tuple[str, np.ndarray]]:
        return track(super().__iter__(), len(self), description=self.description, unit="images")


def align_command(options: AlignOptions) -> AlignPlan:
    """Aligns, prints the table and writes plan and image.

    Raises before any work where they are there already.
    """
    path = options.out if options.out.suffix.lower() == ".json" else options.out / "plan.json"
    image = path.with_suffix(".png")
    if not options.overwrite and (there := [p for p in (path, image) if p.exists()]):
        raise FileExistsError(f"{there[0]} is already there; use --overwrite, or another --out.")
    target = PairFolder(options.target, split=options.target_split, skip_bad=options.skip_bad)
    auxiliary = PairFolder(options.auxiliary, skip_bad=options.skip_bad)
    for line in (*target.skipped, *auxiliary.skipped):
        print(f"left out: {line}")
    path.parent.mkdir(parents=True, exist_ok=True)
    alignment = align(
        _Watched(target, "measuring the target"),
        _Watched(auxiliary, "ranking patches"),
        options.config,
    )
    plan = make_plan(alignment, auxiliary, options.config)
    save_plan(path, plan)
    plot_alignment(image, alignment, plan, auxiliary)
    _report(plan, path, image)
    return plan


def _report(plan: AlignPlan, path: Path, image: Path) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH
    console.print(_table(plan))
    console.print(
        f"{_chosen(plan)}; distance at rank {len(plan.patches)}: {plan.last_distance:.2f} gray levels over the "
        "three channels"
    )
    for warning in plan.warnings:
        console.print(f"warning: {warning}")
    console.print(f"written to {path} and {image}")


def _chosen(plan: AlignPlan) -> str:
    fewer = f", fewer than the {plan.config.k} asked for" if len(plan.patches) < plan.config.k else ""
    return f"{len(plan.patches)} of {plan.seen} patches kept{fewer}"


def _table(plan: AlignPlan) -> Table:
    table = Table(title="means, gray levels 0 to 255")
    table.add_column("channel")
    for name in ("before", "target", "after", "gamma"):
        table.add_column(name, justify="right")
    rows = zip(CHANNELS, plan.mean_before, plan.target_mean, plan.mean_after, plan.gammas, strict=True)
    for channel, *means, gamma in rows:
        table.add_row(channel, *(f"{mean:.2f}" for mean in means), f"{gamma:.4f}")
    return table


def plot_alignment(path: Path, alignment: Alignment, plan: AlignPlan, auxiliary: PairFolder) -> None:
    """Histograms before, wanted and after, and patches from the nearest to the last chosen.

    Written as PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.15))
    axes = above.subplots(1, 3, sharey=True)
    for c, axis in enumerate(axes):
        _plot_histograms(axis, c, alignment, plan)
    axes[0].set_ylabel(f"% of pixels per {_LEVELS_A_BIN} levels")
    axes[0].legend(frameon=False)
    config = plan.config
    heading = f"{_chosen(plan)} ({config.patch} px, stride {config.stride}, {config.order})"
    above.suptitle("\n".join([heading, *plan.warnings]), fontsize=11)

    ranks = np.unique(np.linspace(0, len(plan.patches) - 1, _SHOWN).astype(int)).tolist()
    uncorrected = AlignedPatches(auxiliary, dataclasses.replace(plan, gammas=(1.0, 1.0, 1.0)))
    rows = {"before": uncorrected, "after": AlignedPatches(auxiliary, plan)}
    strip = below.subplots(2, _SHOWN, squeeze=False)
    for axis in strip.ravel():
        axis.set(xticks=[], yticks=[], frame_on=False)
    for row, (name, patches) in zip(strip, rows.items(), strict=True):
        row[0].set_ylabel(name, fontsize=11)
        for axis, rank in zip(row, ranks, strict=False):
            axis.imshow(patches[rank]["vi"], interpolation="nearest")
    for axis, rank in zip(strip[0], ranks, strict=False):
        axis.set_title(f"rank {rank + 1}\ndistance {alignment.patches[rank].distance:.1f}", fontsize=9)
    figure.savefig(path, dpi=110)


def _plot_histograms(axis, channel: int, alignment: Alignment, plan: AlignPlan) -> None:
    edges = np.arange(0, 257, _LEVELS_A_BIN)
    means = {"before": plan.mean_before, "target": plan.target_mean, "after": plan.mean_after}
    histograms = {"before": alignment.before, "target": alignment.target, "after": alignment.after}
    for color, (name, histogram) in zip(("0.7", "k", "C1"), histograms.items(), strict=True):
        counts = histogram[channel].reshape(-1, _LEVELS_A_BIN).sum(axis=1)
        axis.stairs(100 * counts / counts.sum(), edges, color=color, label=name, fill=name == "before", linewidth=1.4)
        axis.axvline(means[name][channel], color=color, linestyle=":", linewidth=1.2)
    axis.set_xlim(0, 256)
    axis.set_xlabel("gray level; dotted: means", fontsize=9)
    before, target, after = (values[channel] for values in means.values())
    axis.set_title(
        f"{CHANNELS[channel]}: gamma {plan.gammas[channel]:.3f}, mean {before:.1f} to {after:.1f}, wanted {target:.1f}",
        fontsize=10,
    )


def run(arguments: list[str]) -> None:
    """The command."""
    align_command(parse(AlignOptions, "align", arguments))
