"""Ranks and tables of a comparison, including rows that were measured elsewhere."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fusejax.evaluation.comparison import ComparedSet
from fusejax.io.outputs import write_rows
from fusejax.metrics.table import METRICS
from fusejax.report.tables import markdown_table, ranks

Means = dict[str, dict[str, float]]
"""Method -> metric -> mean over the images of a set; NaN where undefined."""

DIGITS = 3  # decimals in the tables; means that agree to this many decimals share a rank


def means_of(compared: Sequence[ComparedSet], rows: Mapping[str, Means] | None = None) -> dict[str, Means]:
    """Means of a comparison by set, including rows measured elsewhere.

    Args:
        compared: results on the sets.
        rows: further means by set, as returned by `read_rows`. They do not replace means of methods
            that were scored here.

    Returns:
        The means of every method by set, rounded to `DIGITS`, for the metrics that all methods
        have.

    Raises:
        ValueError: if a row has none of the metrics of its set.
    """
    found = {}
    for each in compared:
        means = {s.method: s.means() for s in each.scores}
        means = means | {k: v for k, v in (rows or {}).get(each.name, {}).items() if k not in means}
        metrics = [m for m in each.scores[0].values if all(m in row for row in means.values())]
        if not metrics:
            raise ValueError(f"{each.name}: the rows share no metric with {', '.join(each.scores[0].values)}.")
        found[each.name] = {k: {m: round(row[m], DIGITS) for m in metrics} for k, row in means.items()}
    return found


def mean_ranks(sets: Mapping[str, Means]) -> dict[str, float]:
    """Mean rank over all metrics and sets, best first, for the methods that every set has."""
    shared = [method for method in next(iter(sets.values())) if all(method in means for means in sets.values())]
    places = [
        ranks(np.array([means[method][metric] for method in shared]), metric=metric)
        for means in sets.values()
        for metric in next(iter(means.values()))
    ]
    overall = np.mean(places, axis=0)
    return {shared[n]: float(overall[n]) for n in np.argsort(overall, kind="stable")}


def comparison_tables(sets: Mapping[str, Means], *, convention: str) -> str:
    """A Markdown document: mean ranks over all sets, then the means on each set.

    Args:
        sets: means as returned by `means_of`.
        convention: convention of the metrics, for the heading.

    Returns:
        The text; the best value of each column is bold.
    """
    overall = mean_ranks(sets)
    lines = [f"Mean rank of {len(overall)} methods over {len(sets)} sets, convention `{convention}`.", ""]
    lines += markdown_table(["method", "mean rank"], [[k, f"{v:.2f}"] for k, v in overall.items()])
    for name, means in sets.items():
        metrics = list(next(iter(means.values())))
        best = {m: ranks(np.array([row[m] for row in means.values()]), metric=m) for m in metrics}
        rows = [
            [method, *(_cell(row[m], best[m][n]) for m in metrics)] for n, (method, row) in enumerate(means.items())
        ]
        lines += ["", f"**{name}**", "", *markdown_table(["method", *metrics], rows)]
    return "\n".join(lines) + "\n"


def _cell(value: float, place: float) -> str:
    text = f"{value:.{DIGITS}f}" if math.isfinite(value) else "undefined"
    return f"**{text}**" if place < 2 and math.isfinite(value) else text


def write_means(path: Path, sets: Mapping[str, Means]) -> None:
    """Writes a CSV with one line per set and method, which `read_rows` can read."""
    metrics = list(dict.fromkeys(m for means in sets.values() for row in means.values() for m in row))
    rows = [["set", "method", *metrics]]
    for name, means in sets.items():
        for method, row in means.items():
            rows.append([name, method, *(f"{row[m]:.{DIGITS}f}" if m in row else "" for m in metrics)])
    write_rows(path, rows)


def read_rows(path: str | Path) -> dict[str, Means]:
    """Reads means that were measured elsewhere.

    Args:
        path: CSV file as written by `write_means`, or Markdown file. In Markdown, each table needs
            a heading (# or bold) above it that begins with the name of the set, and its first
            column must be the method.

    Returns:
        Means by set, method and metric; NaN for cells without a number. Columns that are not
        metrics are ignored.

    Raises:
        ValueError: if the file has no such table.
        OSError: if it cannot be read.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines())) if path.suffix.lower() == ".csv" else list(_markdown_rows(text))
    found: dict[str, Means] = {}
    for row in rows:
        values = {k: _number(v) for k, v in row.items() if k in METRICS}
        if values and {"set", "method"} <= row.keys():
            found.setdefault(row["set"], {})[row["method"]] = values
    if not found:
        raise ValueError(
            f"{path} has no means: expected a CSV with the columns set, method and metrics, or Markdown tables "
            "with metrics as columns, each under a heading that names its set."
        )
    return found


def _markdown_rows(text: str):
    """Yields each table row as a dict, with the method and the set from the heading above."""
    name, header = "", []
    for line in text.splitlines():
        if heading := re.match(r"(?:#+ +|\*\*)([^\s*]+)", line):
            name, header = heading[1], []
        elif not line.startswith("|"):
            header = []
        else:
            cells = [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
            if not header:
                header = cells
            elif not set(cells[0]) <= set("-: "):
                yield dict(zip(header, cells, strict=False)) | {"set": name, "method": cells[0]}


def _number(text: str) -> float:
    found = re.match(r"\s*\**\s*([-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)", text or "")
    return float(found[1]) if found else math.nan
