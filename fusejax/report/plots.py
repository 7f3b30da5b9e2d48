"""Plots of scores and ranks."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fusejax.evaluation.results import Scores
from fusejax.io.outputs import save_figure
from fusejax.report.ranking import Ranking, better

_COLUMNS = 3


def plot_distributions(path: Path, scores: Scores) -> None:
    """Draws the distribution of each metric over the images, one box per method.

    Args:
        path: PNG file to write; its folder is created if needed.
        scores: scores of the methods.
    """
    columns = min(_COLUMNS, len(scores.metrics))
    rows = -(-len(scores.metrics) // columns)
    height = 1.1 + 0.42 * len(scores.methods)
    figure = Figure(figsize=(4.2 * columns, max(1.9, height) * rows + 0.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis, metric in zip(axes, scores.metrics, strict=False):
        _draw_boxes(axis, scores, metric)
    for axis in axes[len(scores.metrics) :]:
        axis.set_axis_off()
    figure.suptitle(f"{len(scores.images)} images, convention {scores.convention!r}; triangle: mean", fontsize=11)
    save_figure(path, figure, dpi=130)


def _draw_boxes(axis: Axes, scores: Scores, metric: str) -> None:
    values = [scores.of(method, metric) for method in scores.methods]
    drawn = axis.boxplot(
        [v[np.isfinite(v)] for v in values],
        orientation="horizontal",
        tick_labels=list(scores.methods),
        widths=0.6,
        patch_artist=True,
        showmeans=True,
    )
    for n, box in enumerate(drawn["boxes"]):
        box.set_facecolor(f"C{n % 10}")
        box.set_alpha(0.5)
    axis.invert_yaxis()
    axis.set_title(f"{metric} ({better(metric)} is better)", fontsize=10)
    axis.grid(axis="x", alpha=0.3)


def plot_ranks(path: Path, overall: Ranking, by_set: Mapping[str, Ranking]) -> None:
    """Draws the mean rank of each method as a bar with its interval, and that of each set as a dot.

    Args:
        path: PNG file to write; its folder is created if needed.
        overall: ranking over all sets.
        by_set: ranking on each set.
    """
    order = overall.order
    figure = Figure(figsize=(8, 1.2 + 0.34 * len(order)), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(order))
    mean, low, high = (values[order] for values in (overall.mean, overall.low, overall.high))
    axis.barh(places, mean, color="0.8", height=0.65)
    errors = np.maximum(np.stack([mean - low, high - mean]), 0)  # the mean of the draws may lie beside the mean
    axis.errorbar(mean, places, xerr=errors, fmt="none", ecolor="0.3", capsize=3, label="95% interval")
    for n, (name, ranking) in enumerate(by_set.items()):
        ranks = dict(zip(ranking.methods, ranking.mean, strict=True))
        dots = [ranks[overall.methods[k]] for k in order]
        axis.plot(dots, places, "o", color=f"C{n}", label=name, markersize=5)
    axis.set_yticks(places, [overall.methods[k] for k in order])
    axis.invert_yaxis()
    axis.set_xlabel("mean rank over the metrics (1 is best); bars: all sets")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(fontsize=8, loc="best")
    save_figure(path, figure, dpi=130)
