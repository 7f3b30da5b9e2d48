"""A plot of mean ranks."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from fusejax.io.outputs import save_figure


def plot_ranks(path: Path, overall: Mapping[str, float], by_set: Mapping[str, Mapping[str, float]]) -> None:
    """Draws the mean rank of each method as a bar, and its mean rank on each set as a dot.

    Args:
        path: PNG file to write; its folder is created if needed.
        overall: mean rank by method, best first.
        by_set: mean rank by set and method.
    """
    figure = Figure(figsize=(8, 1.2 + 0.34 * len(overall)), layout="constrained")
    axis = figure.subplots()
    places = range(len(overall))
    axis.barh(places, list(overall.values()), color="0.8", height=0.65)
    for n, (name, means) in enumerate(by_set.items()):
        axis.plot([means[method] for method in overall], places, "o", color=f"C{n}", label=name, markersize=5)
    axis.set_yticks(places, list(overall))
    axis.invert_yaxis()
    axis.set_xlabel("mean rank over the metrics (1 is best); bars: all sets")
    axis.grid(axis="x", alpha=0.3)
    axis.legend(fontsize=8, loc="best")
    save_figure(path, figure, dpi=130)
