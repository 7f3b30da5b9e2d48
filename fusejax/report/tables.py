"""Tables of scores for the terminal and in Markdown, and ranks. Every table names its
convention.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float
from rich.table import Table

from fusejax.metrics import higher_is_better
from fusejax.report.scores import Scores


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table.

    Args:
        header: names of the columns.
        rows: cells of each row, as many as in the header.

    Returns:
        The lines (header, separator, rows), without line breaks.
    """
    table = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in table]


def ranks(means: Float[np.ndarray, " n"], *, metric: str) -> Float[np.ndarray, " n"]:
    """Ranks of the methods in one metric.

    Args:
        means: one value per method; NaN if undefined.
        metric: name of the metric, which determines the better direction.

    Returns:
        Rank of each method: 1 is best, equal values share the mean of their ranks, and undefined
        values come last.
    """
    keyed = np.where(np.isfinite(means), -means if higher_is_better(metric) else means, np.inf)
    below = (keyed[None, :] < keyed[:, None]).sum(axis=1)
    equal = (keyed[None, :] == keyed[:, None]).sum(axis=1)
    return below + (equal + 1) / 2


def terminal_table(methods: Sequence[Scores], *, width: int) -> Table:
    """A table with one row of means per method, or one row per metric if that would be too wide.

    Args:
        methods: scores of the methods; the metrics of the first are the columns.
        width: width of the terminal in characters.

    Returns:
        A table for `rich.console.Console.print`.
    """
    first = methods[0]
    means = [scores.means() for scores in methods]
    rows = (
        [s.method, *(_short(mean[m]) if m in mean else "" for m in first.values)]
        for s, mean in zip(methods, means, strict=True)
    )
    grid = [["method", *first.values], *rows]
    cells = [max(map(len, column)) for column in zip(*grid, strict=True)]
    if sum(cells) + 3 * len(cells) + 1 > width:
        grid = [list(row) for row in zip(*grid, strict=True)]
        grid[0][0] = "metric"
    table = Table()
    for n, name in enumerate(grid[0]):
        table.add_column(name, justify="right" if n else "left", overflow="fold")
    for row in grid[1:]:
        table.add_row(*row)
    return table


def comparison_markdown(methods: Sequence[Scores]) -> str:
    """Means of several methods with their mean rank; best in bold, second best underlined.

    Args:
        methods: scores of the methods, all with the metrics and images of the first.

    Returns:
        A Markdown document: a line on the convention, the table, and one line per metric that is
        undefined for some images.
    """
    metrics = list(methods[0].values)
    means = np.array([[s.means()[m] for m in metrics] for s in methods])
    places = np.stack([ranks(means[:, j], metric=m) for j, m in enumerate(metrics)], axis=1)
    arrows = [f"{m} {'↑' if higher_is_better(m) else '↓'}" for m in metrics]
    rows = [
        [scores.method, *(_mark(_short(v), p) for v, p in zip(row, place, strict=True)), f"{place.mean():.2f}"]
        for scores, row, place in zip(methods, means, places, strict=True)
    ]
    lines = [
        f"Means over {len(methods[0].names)} images, convention `{methods[0].convention}`; "
        "**best**, <u>second best</u>; mean rank over the metrics.",
        "",
        *markdown_table(["method", *arrows, "mean rank"], rows),
    ]
    for scores in methods:
        for metric, count in scores.left_out().items():
            lines += ["", f"{scores.method}: the mean of {metric} excludes {count} images, where it is undefined."]
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "undefined"


def _mark(text: str, place: float) -> str:
    if text == "undefined":
        return text
    return f"**{text}**" if place < 2 else f"<u>{text}</u>" if place < 3 else text
