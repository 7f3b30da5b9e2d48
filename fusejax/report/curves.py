"""Scores under conditions: curves over the strength, and the images of one pair."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from fusejax.evaluation.results import Group, Scores, finite_mean
from fusejax.io.images import as_visible, to_float, write_image
from fusejax.io.outputs import save_figure
from fusejax.io.panels import RgbImage, labeled_row, stacked
from fusejax.report.ranking import better

_COLUMNS = 4
_THUMBNAIL = 150  # height in pixels
_TITLE = 22  # height in pixels
_BLOCKS = 2  # number of blocks of rows side by side


def curve_name(metric: str) -> str:
    """File name of the figure of a metric."""
    return f"curves_{metric}.png"


def draw_curves(folder: Path, scores: Scores, groups: Sequence[Group]) -> list[Path]:
    """Draws one figure per metric, curves_METRIC.png: the mean over the pairs against the strength.

    The band is the standard error of the mean. Degradations with a single strength share a chart.

    Args:
        folder: existing folder to write to.
        scores: scores of the methods; the first condition is that of clean pairs.
        groups: the other conditions by degradation.

    Returns:
        The files written.
    """
    paths = []
    for metric in scores.metrics:
        paths.append(folder / curve_name(metric))
        save_figure(paths[-1], draw_metric(scores, groups, metric), dpi=110)
    return paths


def draw_metric(scores: Scores, groups: Sequence[Group], metric: str) -> Figure:
    """The figure of one metric, see `draw_curves`.

    Args:
        scores: see `draw_curves`.
        groups: see `draw_curves`.
        metric: name of the metric.

    Returns:
        The figure.
    """
    graded = [group for group in groups if len(group.conditions) > 1]
    single = [group for group in groups if len(group.conditions) == 1]
    charts = len(graded) + bool(single)
    columns = min(_COLUMNS, charts)
    rows = -(-charts // columns)
    figure = Figure(figsize=(3.4 * columns, 2.5 * rows + 0.9), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns, sharey=True)).ravel()
    for axis, group in zip(axes, graded, strict=False):
        _draw_strengths(axis, scores, group, metric)
    if single:
        _draw_single(axes[len(graded)], scores, single, metric)
    for axis in axes[charts:]:
        axis.set_axis_off()
    unit = ", levels of 255" if metric == "change" else ""
    title = f"{metric}{unit} ({better(metric)} is better): {len(scores.images)} pairs, convention {scores.convention!r}"
    figure.suptitle(title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(scores.methods))
    return figure


def _draw_strengths(axis: Axes, scores: Scores, group: Group, metric: str) -> None:
    """Draws strengths at equal distances, since they grow roughly geometrically."""
    shown = (scores.conditions[0], *group.conditions)
    places = np.arange(len(shown))
    for m, method in enumerate(scores.methods):
        values = np.stack([scores.of(method, metric, condition=condition) for condition in shown])
        if not np.isfinite(values[1:]).any():
            continue
        mean, error = mean_and_error(values)
        axis.plot(places, mean, marker="o", markersize=3.5, color=f"C{m % 10}", label=method)
        axis.fill_between(places, mean - error, mean + error, color=f"C{m % 10}", alpha=0.2, linewidth=0)
    axis.set_xticks(places, [scores.conditions[0], *group.labels], fontsize=8)
    axis.set_xlabel(group.unit, fontsize=8)
    axis.set_title(group.title, fontsize=9)
    axis.grid(alpha=0.3)


def _draw_single(axis: Axes, scores: Scores, groups: Sequence[Group], metric: str) -> None:
    width = 0.8 / len(scores.methods)
    for m, method in enumerate(scores.methods):
        values = np.stack([scores.of(method, metric, condition=group.conditions[0]) for group in groups])
        mean, error = mean_and_error(values)
        places = np.arange(len(groups)) + width * (m - (len(scores.methods) - 1) / 2)
        bars = {"yerr": error, "error_kw": {"elinewidth": 0.8}}
        axis.bar(places, mean, width, color=f"C{m % 10}", alpha=0.8, label=method, **bars)
    axis.set_xticks(
        np.arange(len(groups)), [group.title.replace(", ", ",\n") for group in groups], fontsize=6.5, rotation=30
    )
    axis.set_title("a source lost or inverted", fontsize=9)
    axis.grid(axis="y", alpha=0.3)


def mean_and_error(
    values: Float[np.ndarray, "conditions images"],
) -> tuple[Float[np.ndarray, " conditions"], Float[np.ndarray, " conditions"]]:
    """Mean and standard error (s / sqrt(n), with n - 1 in s) over the images with a value."""
    finite = np.isfinite(values)
    count, mean = finite.sum(axis=1), finite_mean(values, axis=1)
    squares = np.where(finite, np.square(values - mean[:, None]), 0).sum(axis=1)
    return mean, np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))


def draw_grid(path: Path, examples: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Draws one pair under several conditions: both degraded sources, then each method's result.

    Args:
        path: PNG file to write.
        examples: images by title of the condition and name.
    """
    rows = [_labeled(title, images) for title, images in examples.items()]
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
