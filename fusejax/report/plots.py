"""Plots of scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from fusejax.io.outputs import save_figure
from fusejax.metrics import higher_is_better
from fusejax.report.scores import Scores

_COLUMNS = 3


def plot_distributions(path: Path, methods: Sequence[Scores]) -> None:
    """Draws the distribution of each metric over the images, one box per method.

    Args:
        path: PNG file to write; its folder is created if needed.
        methods: scores of the methods, all with the metrics of the first.
    """
    metrics = list(methods[0].values)
    columns = min(_COLUMNS, len(metrics))
    rows = -(-len(metrics) // columns)
    height = 1.1 + 0.42 * len(methods)
    figure = Figure(figsize=(4.2 * columns, max(1.9, height) * rows + 0.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axis, metric in zip(axes, metrics, strict=False):
        _draw_boxes(axis, methods, metric)
    for axis in axes[len(metrics) :]:
        axis.set_axis_off()
    first = methods[0]
    figure.suptitle(f"{len(first.names)} images, convention {first.convention!r}; triangle: mean", fontsize=11)
    save_figure(path, figure, dpi=130)


def _draw_boxes(axis, methods: Sequence[Scores], metric: str) -> None:
    data = [s.values[metric][np.isfinite(s.values[metric])] for s in methods]
    names = [s.method for s in methods]
    drawn = axis.boxplot(
        data, orientation="horizontal", tick_labels=names, widths=0.6, patch_artist=True, showmeans=True
    )
    for n, box in enumerate(drawn["boxes"]):
        box.set_facecolor(f"C{n % 10}")
        box.set_alpha(0.5)
    axis.invert_yaxis()
    axis.set_title(f"{metric} ({'higher' if higher_is_better(metric) else 'lower'} is better)", fontsize=10)
    axis.grid(axis="x", alpha=0.3)
