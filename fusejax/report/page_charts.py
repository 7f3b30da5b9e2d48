"""Positions of the marks in a page's charts, in pixels of the drawing area."""

import dataclasses

import numpy as np
from jaxtyping import Float, Int
from matplotlib.ticker import MaxNLocator

from fusejax.evaluation.results import Scores
from fusejax.report.ranking import Ranking

WIDTH = 320
"""Width of a chart; each row is `ROW` pixels high."""

ROW = 40
_MARGIN = 14
_MOST_DOTS = 80
_TICKS = 4


@dataclasses.dataclass(frozen=True)
class Scale:
    """Maps values to horizontal positions.

    Attributes:
        low: value at the left margin.
        high: value at the right margin.
        whole: whether ticks are at whole numbers only.
    """

    low: float
    high: float
    whole: bool = False

    def __call__(self, value: float) -> float:
        """Position in pixels, rounded to a tenth."""
        span = (self.high - self.low) or 1.0
        return round(_MARGIN + (WIDTH - 2 * _MARGIN) * (value - self.low) / span, 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Positions and labels of round values."""
        found = MaxNLocator(_TICKS, integer=self.whole).tick_values(self.low, self.high)
        return [(self(v), f"{v:g}") for v in np.round(found, 10) if self.low <= v <= self.high]


@dataclasses.dataclass(frozen=True)
class Row:
    """One method of a chart; all positions are horizontal.

    Attributes:
        method: name of the method.
        color: index of its color.
        line: ends of the thin line.
        box: ends of the thick bar.
        middle: mark on the bar.
        dots: position and image of single values.
        text: text for screen readers.
    """

    method: str
    color: int
    line: tuple[float, float]
    box: tuple[float, float]
    middle: float
    dots: list[tuple[float, str]]
    text: str


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart: rows on one scale."""

    title: str
    rows: list[Row]
    ticks: list[tuple[float, str]]

    @property
    def height(self) -> int:
        """Height in pixels, including the axis."""
        return ROW * len(self.rows) + 24


def distribution_chart(scores: Scores, metric: str) -> Chart | None:
    """Quartiles (bar), 5th and 95th percentiles (line), median (mark) and the values of single
    images.

    Args:
        scores: scores of the methods.
        metric: name of the metric.

    Returns:
        The chart; None if no method has a value.
    """
    values = {method: scores.of(method, metric) for method in scores.methods}
    every = np.concatenate([v[np.isfinite(v)] for v in values.values()])
    if not every.size:
        return None
    scale = Scale(float(every.min()), float(every.max()))
    rows = [
        _distribution(n, method, v, list(scores.images), scale)
        for n, (method, v) in enumerate(values.items())
        if np.isfinite(v).any()
    ]
    return Chart(metric, rows, scale.ticks)


def _distribution(color: int, method: str, values: Float[np.ndarray, " n"], images: list[str], scale: Scale) -> Row:
    finite = np.flatnonzero(np.isfinite(values))
    low, first, median, third, high = np.quantile(values[finite], (0.05, 0.25, 0.5, 0.75, 0.95))
    some = finite[_spread(len(finite))]
    text = f"{method}: median {median:.4g}, middle half {first:.4g} to {third:.4g}"
    dots = [(scale(float(values[n])), images[n]) for n in some]
    return Row(method, color, (scale(low), scale(high)), (scale(first), scale(third)), scale(median), dots, text)


def _spread(count: int) -> Int[np.ndarray, " n"]:
    """At most `_MOST_DOTS` of `count` indices, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_DOTS)).round().astype(int))


def rank_chart(ranking: Ranking) -> Chart:
    """Mean rank (mark) and its 95% interval (bar).

    Args:
        ranking: ranking of the methods.

    Returns:
        The chart, best method first.
    """
    scale = Scale(1.0, float(max(len(ranking.methods), 2)), whole=True)
    rows = []
    for n in ranking.order:
        low, mean, high = (float(values[n]) for values in (ranking.low, ranking.mean, ranking.high))
        ends = scale(low), scale(high)
        text = f"{ranking.methods[n]}: mean rank {mean:.2f}, {low:.2f} to {high:.2f}"
        rows.append(Row(ranking.methods[n], n, ends, ends, scale(mean), [], text))
    return Chart("mean rank", rows, scale.ticks)
