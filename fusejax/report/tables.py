"""Tables of scores: one marking of the best, in Markdown, LaTeX and for the terminal.

Every table names its convention. The best value is bold, the second best underlined; ≈ marks what
may be tied with the best (see `fusejax.report.ranking`).
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from rich.table import Table as TerminalTable
from rich.text import Text

from fusejax.evaluation.results import Scores, finite_mean
from fusejax.metrics.table import METRICS
from fusejax.metrics.temporal_table import TEMPORAL_METRICS
from fusejax.report.ranking import Known, Ranking, arrow, merits, shared_metrics

UNDEFINED = "–"
_DIGITS = 4  # significant digits of the largest value in a column
_MOST_DECIMALS = 6

Mark = Literal["", "best", "second"]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: content without marks.
        mark: whether it is the best or second best of the values that it competes with.
        tied: whether it may be tied with the best although it is not.
    """

    text: str
    mark: Mark = ""
    tied: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table, ready to be written.

    Attributes:
        caption: what the numbers are.
        header: names of the columns; "↑", "↓", "→0" and "→1" say which values are better.
        rows: as many cells as columns; the first is a name.
        notes: sentences about the table.
        name: name of the set of images; empty if there is only one.
    """

    caption: str
    header: list[str]
    rows: list[list[Cell]]
    notes: list[str] = dataclasses.field(default_factory=list)
    name: str = ""

    @property
    def has_marks(self) -> bool:
        """Whether a cell is the best."""
        return any(cell.mark for row in self.rows for cell in row)

    @property
    def has_ties(self) -> bool:
        """Whether a cell may be tied with the best."""
        return any(cell.tied for row in self.rows for cell in row)


def decimals(values: Iterable[float]) -> int:
    """Number of decimals that gives the largest of some values four significant digits."""
    largest = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    return min(_MOST_DECIMALS, max(0, _DIGITS - 1 - math.floor(math.log10(largest)))) if largest else _DIGITS - 1


def number(value: float, places: int) -> str:
    """A value with a number of decimals; `UNDEFINED` for NaN, and no negative zero."""
    if not math.isfinite(value):
        return UNDEFINED if math.isnan(value) else f"{value:g}"
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if not text.strip("-0.") else text


def marked(
    values: Float[np.ndarray, " m"],
    metric: str,
    *,
    spreads: Float[np.ndarray, " m"] | None = None,
    tied: Bool[np.ndarray, " m"] | None = None,
    competing: Bool[np.ndarray, " m"] | None = None,
    places: int | None = None,
) -> list[Cell]:
    """Cells of values that compete with each other: the best and the second best are marked.

    Values that print alike share a mark. Nothing is marked if all print alike, and nothing is the
    second best if several are the best.

    Args:
        values: one value per competitor; NaN if undefined.
        metric: name of the metric, which determines the better direction.
        spreads: standard deviations to add to the text.
        tied: which may be tied with the best.
        competing: which can be the best; by default all.
        places: number of decimals; by default that of `decimals`.

    Returns:
        The cells.
    """
    places = decimals(values) if places is None else places
    texts = [number(v, places) for v in values]
    able = np.isfinite(values) & (True if competing is None else competing)
    rivals = [text for text, one in zip(texts, able, strict=True) if one]
    distinct = sorted(set(rivals))
    good = merits(metric, np.array(distinct, float))
    order = [distinct[n] for n in np.argsort(-good, kind="stable")]
    marks: dict[str, Mark] = {}
    if len(order) > 1:
        marks[order[0]] = "best"
        if rivals.count(order[0]) == 1:
            marks[order[1]] = "second"
    cells = []
    for n, text in enumerate(texts):
        mark = marks.get(text, "") if able[n] else ""
        spread = "" if spreads is None or not math.isfinite(spreads[n]) else f" ± {number(spreads[n], places)}"
        level = tied is not None and len(rivals) > 1 and mark != "best" and bool(tied[n])
        cells.append(Cell(text + spread, mark, level))
    return cells


def score_table(
    scores: Scores,
    ranking: Ranking | None = None,
    *,
    known: Known | None = None,
    unit: str = "images",
) -> Table:
    """Means of methods, a row each; with several conditions, mean ± standard deviation over them.

    Args:
        scores: scores of the methods.
        ranking: ranking of the methods, or of some of them, which compete; adds the mean rank with
            its 95% interval, and the marks of ties. Without one, nothing is marked.
        known: means measured elsewhere; further rows.
        unit: what is scored, for the heading.

    Returns:
        The table.
    """
    rows = {m: row for m, row in (known or {}).get(scores.name, {}).items() if m not in scores.methods}
    metrics = shared_metrics(scores, known or {})
    columns = [scores.metrics.index(metric) for metric in metrics]
    by_condition = scores.means()[..., columns]
    measured = np.array([[row[metric] for metric in metrics] for row in rows.values()]).reshape(-1, len(metrics))
    means = np.concatenate([finite_mean(by_condition, axis=1), measured])
    spreads = None
    if len(scores.conditions) > 1:
        deviations = np.sqrt(finite_mean(np.square(by_condition - means[: len(scores.methods), None]), axis=1))
        deviations[np.isfinite(by_condition).sum(axis=1) < 2] = np.nan
        spreads = np.concatenate([deviations, np.full_like(measured, np.nan)])
    methods = [*scores.methods, *rows]
    competing = np.array([ranking is not None and method in ranking.methods for method in methods])
    cells = []
    for k, metric in enumerate(metrics):
        spread = None if spreads is None else spreads[:, k]
        tied = _tied(ranking, scores, metric, methods)
        cells.append(marked(means[:, k], metric, spreads=spread, tied=tied, competing=competing))
    header = ["method", *(_arrow(metric) for metric in metrics)]
    if ranking is not None:
        header.append("mean rank ↓")
        cells.append([_rank_cell(ranking, method) for method in methods])
    notes = [_omission(scores, *one, unit=unit) for one in scores.left_out()]
    if rows:
        notes.append(f"Measured elsewhere: {', '.join(rows)}.")
    lines = [[Cell(method), *row] for method, row in zip(methods, zip(*cells, strict=True), strict=True)]
    return Table(_caption(scores, unit, ranking), header, lines, notes, scores.name)


def _tied(
    ranking: Ranking | None, scores: Scores, metric: str, methods: Sequence[str]
) -> Bool[np.ndarray, " m"] | None:
    found = None if ranking is None else ranking.tied.get((scores.name, metric))
    if ranking is None or found is None:
        return None
    return np.array([m in ranking.methods and bool(found[ranking.methods.index(m)]) for m in methods])


def _rank_cell(ranking: Ranking, method: str) -> Cell:
    if method not in ranking.methods:
        return Cell("")
    n = ranking.methods.index(method)
    return Cell(f"{ranking.mean[n]:.2f} ({ranking.low[n]:.2f} to {ranking.high[n]:.2f})")


def _arrow(metric: str) -> str:
    return f"{metric} {arrow(metric)}"


def _caption(scores: Scores, unit: str, ranking: Ranking | None) -> str:
    seeds = len(scores.conditions)
    over = f"means over {len(scores.images)} {unit}"
    over = over if seeds == 1 else f"mean ± standard deviation over {seeds} seeds, {len(scores.images)} {unit}"
    text = f"{over}, convention {scores.convention}"
    return text if ranking is None else f"{text}; mean rank over the metrics with its 95% interval"


def _omission(scores: Scores, method: str, metric: str, count: int, *, unit: str) -> str:
    info = (METRICS | TEMPORAL_METRICS).get(metric)
    reason = "has no value" if info is None else f"is undefined where {info.undefined}"
    total = len(scores.images) * len(scores.conditions)
    return f"{method}: the mean of {metric} omits {count} of {total} {unit}; it {reason}."


def rank_table(ranking: Ranking, tables: Sequence[Scores]) -> Table:
    """Mean ranks over several sets, best first.

    Args:
        ranking: ranking of the methods.
        tables: scores on the sets.

    Returns:
        The table.
    """
    where = f"{len(ranking.methods)} methods over {len(tables)} sets, convention {tables[0].convention}"
    rows = [[Cell(ranking.methods[n]), _rank_cell(ranking, ranking.methods[n])] for n in ranking.order]
    return Table(f"mean rank of {where}, with its 95% interval", ["method", "mean rank ↓"], rows)


def condition_table(scores: Scores, rows: Mapping[tuple[str, ...], Sequence[int]], header: Sequence[str]) -> Table:
    """Means under conditions, a row each; the methods stand beside each other and compete.

    Args:
        scores: scores of the methods.
        rows: conditions to average, by the labels of the row.
        header: names of the labels.

    Returns:
        The table.
    """
    means = scores.means()
    lines = []
    grouped = {labels: finite_mean(means[:, list(found)], axis=1) for labels, found in rows.items()}  # [m, k]
    places = [decimals(np.concatenate([x[:, k] for x in grouped.values()])) for k in range(len(scores.metrics))]
    for labels, found in grouped.items():
        cells = [marked(found[:, k], name, places=places[k]) for k, name in enumerate(scores.metrics)]
        lines.append([*map(Cell, labels), *(cell for group in cells for cell in group)])
    columns = [f"{metric}, {method}" for metric in map(_arrow, scores.metrics) for method in scores.methods]
    return Table(_caption(scores.select(conditions=scores.conditions[:1]), "pairs", None), [*header, *columns], lines)


def terminal_table(table: Table, *, width: int) -> TerminalTable:
    """The table for a terminal: with a row for each metric if it would be too wide.

    Args:
        table: the table.
        width: width of the terminal in characters.

    Returns:
        A table for `rich.console.Console.print`.
    """
    grid = [[Cell(name) for name in table.header], *table.rows]
    widths = [max(len(cell.text) for cell in column) for column in zip(*grid, strict=True)]
    if sum(widths) + 3 * len(widths) + 1 > width:
        grid = [list(row) for row in zip(*grid, strict=True)]
        grid[0][0] = Cell("metric")
    shown = TerminalTable()
    for n, cell in enumerate(grid[0]):
        shown.add_column(Text(cell.text), justify="right" if n else "left", overflow="fold")
    styles = {"best": "bold", "second": "underline", "": ""}
    for row in grid[1:]:
        shown.add_row(*(Text(cell.text + (" ≈" if cell.tied else ""), style=styles[cell.mark]) for cell in row))
    return shown
