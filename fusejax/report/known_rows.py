"""Means that were measured elsewhere, as further rows of a table."""

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fusejax.metrics.table import METRICS

Rows = dict[str, dict[str, dict[str, float]]]
"""Set -> method -> metric -> mean; NaN where undefined."""


def read_rows(path: str | Path, *, convention: str | None = None) -> Rows:
    """Reads means from a CSV or Markdown file.

    Args:
        path: CSV with the columns `set`, `method` and metrics (a metrics.csv, too: several lines of
            a method are averaged), or Markdown with tables whose columns are metrics, each under a
            heading that starts with the name of its set (as in the model cards).
        convention: convention of the table that the rows are for.

    Returns:
        Means by set, method and metric; NaN for cells without a number. Columns that are not
        metrics are ignored.

    Raises:
        ValueError: if the file has no such table, or states another convention.
        OSError: if it cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.DictReader(text.splitlines())) if path.suffix.lower() == ".csv" else list(_markdown_rows(text))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8 ({error.reason}).") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a table: {error}.") from error
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for line in lines:
        values = {k: _number(v) for k, v in line.items() if k in METRICS and v != ""}
        if values and {"set", "method"} <= line.keys():
            if convention is not None and line.get("convention", convention) != convention:
                raise ValueError(
                    f"{path} was measured with the convention {line['convention']}, which cannot be ranked with "
                    f"{convention}; give --convention {line['convention']}."
                )
            found.setdefault((line["set"], line["method"]), []).append(values)
    if not found:
        raise ValueError(
            f"{path} has no means: expected a CSV with the columns set, method and metrics, or Markdown tables "
            "with metrics as columns, each under a heading that names its set."
        )
    rows: Rows = {}
    for (name, method), parts in found.items():
        rows.setdefault(name, {})[method] = {k: _mean([part.get(k, math.nan) for part in parts]) for k in parts[0]}
    return rows


def _mean(values: list[float]) -> float:
    finite = [v for v in values if math.isfinite(v)]
    return float(np.mean(finite)) if finite else math.nan


def _markdown_rows(text: str) -> Iterator[dict[str, str]]:
    """Yields each table row with the method and the set from the heading above."""
    name, header = "", []
    for line in text.splitlines():
        if heading := re.match(r"(?:#+ +|\*\*)([^\s*]+)", line):
            name, header = heading[1], []
        elif not line.startswith("|"):
            header = []
        else:
            cells = [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
            if not header:
                header = [cell.rstrip(" ↑↓") for cell in cells]
            elif not set(cells[0]) <= set("-: "):
                yield dict(zip(header, cells, strict=False)) | {"set": name, "method": cells[0]}


def _number(text: str) -> float:
    found = re.match(r"\s*(?:\**|<u>)\s*([-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?)", text or "")
    return float(found[1]) if found else math.nan
