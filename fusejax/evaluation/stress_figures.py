"""Curves and images of a stress study."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from fusejax.evaluation.conditions import CLEAN, KINDS
from fusejax.evaluation.stress import CHANGE, StressResult
from fusejax.io.images import as_visible, to_float, write_image
from fusejax.io.outputs import save_figure
from fusejax.io.panels import RgbImage, labeled_row, stacked
from fusejax.metrics import higher_is_better

_COLUMNS = 4
_THUMBNAIL = 150  # height in pixels
_TITLE = 22  # height in pixels
_BLOCKS = 2  # number of blocks of rows side by side


def curve_name(metric: str) -> str:
    """File name of the figure of a metric."""
    return f"curves_{metric}.png"


def draw_curves(folder: Path, result: StressResult) -> list[Path]:
    """Draws one figure per metric, curves_METRIC.png: the mean over the pairs against the strength.

    The band is the standard error of the mean. Degradations with a single strength share a chart.

    Args:
        folder: existing folder to write to.
        result: result of the study.

    Returns:
        The files written.
    """
    paths = []
    for metric in result.values:
        paths.append(folder / curve_name(metric))
        save_figure(paths[-1], _draw_metric(result, metric), dpi=110)
    return paths


def _draw_metric(result: StressResult, metric: str) -> Figure:
    groups: dict[str, list[int]] = {}
    for n, condition in enumerate(result.conditions):
        groups.setdefault(condition.title, []).append(n)
    graded = {title: found for title, found in groups.items() if len(found) > 1}
    single = {title: found[0] for title, found in groups.items() if len(found) == 1}
    charts = len(graded) + bool(single)
    columns = min(_COLUMNS, charts)
    rows = -(-charts // columns)
    figure = Figure(figsize=(3.4 * columns, 2.5 * rows + 0.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharey=True)).ravel()
    for axis, (title, found) in zip(axes, graded.items(), strict=False):
        _draw_strengths(axis, result, metric, title, found)
    if single:
        _draw_single(axes[len(graded)], result, metric, single)
    for axis in axes[charts:]:
        axis.set_axis_off()
    better = "lower" if metric == CHANGE or not higher_is_better(metric) else "higher"
    unit = ", levels of 255" if metric == CHANGE else ""
    figure.suptitle(f"{metric}{unit} ({better} is better): {len(result.pairs)} pairs, convention {result.convention!r}")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(result.methods))
    return figure


def _draw_strengths(axis: Axes, result: StressResult, metric: str, title: str, found: list[int]) -> None:
    """Draws strengths at equal distances, since they grow roughly geometrically."""
    places = np.arange(1 + len(found))
    for m, method in enumerate(result.methods):
        values = result.values[metric][m][[0, *(n + 1 for n in found)]]
        if not np.isfinite(values[1:]).any():
            continue
        mean, error = _mean_and_error(values)
        axis.plot(places, mean, marker="o", markersize=3.5, color=f"C{m % 10}", label=method)
        axis.fill_between(places, mean - error, mean + error, color=f"C{m % 10}", alpha=0.2, linewidth=0)
    axis.set_xticks(places, ["clean", *(result.conditions[n].shown for n in found)], fontsize=8)
    axis.set_xlabel(KINDS[result.conditions[found[0]].kind].unit, fontsize=8)
    axis.set_title(title, fontsize=9)
    axis.grid(alpha=0.3)


def _draw_single(axis: Axes, result: StressResult, metric: str, single: dict[str, int]) -> None:
    width = 0.8 / len(result.methods)
    for m in range(len(result.methods)):
        mean, error = _mean_and_error(result.values[metric][m][[n + 1 for n in single.values()]])
        places = np.arange(len(single)) + width * (m - (len(result.methods) - 1) / 2)
        axis.bar(places, mean, width, yerr=error, color=f"C{m % 10}", alpha=0.8, error_kw={"elinewidth": 0.8})
    names = [title.replace(", ", ",\n") for title in single]
    axis.set_xticks(np.arange(len(single)), names, fontsize=6.5, rotation=30)
    axis.set_title("a source lost or inverted", fontsize=9)
    axis.grid(axis="y", alpha=0.3)


def _mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over the last axis, ignoring NaN."""
    finite = np.isfinite(values)
    count = np.maximum(finite.sum(axis=1), 1)
    mean = np.where(finite, values, 0).sum(axis=1) / count
    spread = np.sqrt(np.where(finite, np.square(values - mean[:, None]), 0).sum(axis=1) / np.maximum(count - 1, 1))
    return np.where(finite.any(axis=1), mean, np.nan), spread / np.sqrt(count)


def draw_grid(path: Path, result: StressResult) -> None:
    """Draws the first pair under every degradation (third strength): both degraded sources, then
    the result of each method.

    Args:
        path: PNG file to write.
        result: result of the study.
    """
    titles = {CLEAN: CLEAN} | {c.name: ", ".join(filter(None, (c.title, c.amount))) for c in result.conditions}
    rows = [_labeled(titles[name], images) for name, images in result.examples.items()]
    per_block = -(-len(rows) // _BLOCKS)
    blocks = [stacked(rows[n : n + per_block], gap=6) for n in range(0, len(rows), per_block)]
    height = max(block.shape[0] for block in blocks)
    padded = [np.pad(b, ((0, height - b.shape[0]), (0, 16), (0, 0)), constant_values=255) for b in blocks]
    write_image(path, np.concatenate(padded, axis=1))


def _labeled(title: str, images: Mapping[str, np.ndarray]) -> RgbImage:
    """A row of thumbnails with a title and the names of the columns above it."""
    row = labeled_row({name: _thumbnail(image) for name, image in images.items()})
    canvas = Image.new("RGB", (row.shape[1], row.shape[0] + _TITLE), "white")
    canvas.paste(Image.fromarray(row), (0, _TITLE))
    ImageDraw.Draw(canvas).text((4, 2), title, fill="black", font=ImageFont.load_default(15))
    return np.asarray(canvas)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    h, w = image.shape[:2]
    small = cv2.resize(image, (max(1, round(w * _THUMBNAIL / h)), _THUMBNAIL), interpolation=cv2.INTER_AREA)
    return to_float(as_visible(small.reshape(*small.shape[:2], image.shape[-1])))
