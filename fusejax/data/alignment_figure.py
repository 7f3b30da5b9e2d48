"""The figure for judging an alignment."""

import dataclasses
from pathlib import Path

import numpy as np

from fusejax.data.alignment import CHANNELS, Alignment
from fusejax.data.alignment_plan import AlignedPatches, AlignPlan
from fusejax.data.folders import PairFolder
from fusejax.io.outputs import save_figure

_SHOWN = 8
_LEVELS_A_BIN = 8


def plot_alignment(path: Path, alignment: Alignment, plan: AlignPlan, auxiliary: PairFolder) -> None:
    """Draws the result of an alignment as a PNG file: histograms, and patches before and after.

    The patches range from the closest to the last one selected.

    Args:
        path: PNG file to write.
        alignment: the result of `align`.
        plan: the plan made from it.
        auxiliary: the folder that the patches are cut from.
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
    heading = f"{plan.summary} ({config.patch} px, stride {config.stride}, {config.order})"
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
            axis.imshow(patches.visible(rank), interpolation="nearest")
    for axis, rank in zip(strip[0], ranks, strict=False):
        axis.set_title(f"rank {rank + 1}\ndistance {alignment.patches[rank].distance:.1f}", fontsize=9)
    save_figure(path, figure, dpi=110)


def _plot_histograms(axis, channel: int, alignment: Alignment, plan: AlignPlan) -> None:
    edges = np.arange(0, 257, _LEVELS_A_BIN)
    means = {"before": plan.mean_before, "target": plan.target_mean, "after": plan.mean_after}
    histograms = {"before": alignment.before, "target": alignment.target, "after": alignment.after}
    for color, (name, histogram) in zip(("0.7", "k", "C1"), histograms.items(), strict=True):
        counts = histogram[channel].reshape(-1, _LEVELS_A_BIN).sum(axis=1)
        axis.stairs(100 * counts / counts.sum(), edges, color=color, label=name, fill=name == "before", linewidth=1.4)
        axis.axvline(means[name][channel], color=color, linestyle=":", linewidth=1.2)
    axis.set_xlim(0, 256)
    axis.set_xlabel("gray level (dotted: means)", fontsize=9)
    before, target, after = (values[channel] for values in means.values())
    axis.set_title(
        f"{CHANNELS[channel]}: gamma {plan.gammas[channel]:.3f}, mean {before:.1f} to {after:.1f}, target {target:.1f}",
        fontsize=10,
    )
