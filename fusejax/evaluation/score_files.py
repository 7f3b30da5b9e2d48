"""Files of scores, in one layout for every study: metrics.csv and metrics.json."""

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from fusejax.evaluation.results import CLEAN, Scores, finite_mean
from fusejax.io.outputs import write_complete, write_rows

_KEYS = ("set", "convention", "method", "condition", "name")


def write_scores(folder: Path, tables: Sequence[Scores]) -> None:
    """Writes metrics.csv and metrics.json, in the same form for every study.

    metrics.csv has one line per set, convention, method, condition and image (columns `set`,
    `convention`, `method`, `condition`, `name`) and one column per metric, in full precision. A
    cell is empty if the convention does not define the metric, and "nan" if the value is undefined.
    Conditions for which a method has no image have no line. metrics.json holds one record per
    method and condition, with the means and the number of images excluded from each; undefined
    values are null, since JSON has no NaN.

    Args:
        folder: folder for the files, created if needed; existing files are replaced.
        tables: scores of any sets and conventions.
    """
    metrics = list(dict.fromkeys(metric for scores in tables for metric in scores.metrics))
    rows: list[list[str]] = [[*_KEYS, *metrics]]
    records: list[dict[str, Any]] = []
    for scores in tables:
        for labels, values in _blocks(scores):
            for image, row in zip(scores.images, values, strict=True):
                cells = dict(zip(scores.metrics, map(repr, row.tolist()), strict=True))
                rows.append([*labels, image, *(cells.get(metric, "") for metric in metrics)])
            records.append(_record(labels, scores, values))
    write_rows(folder / "metrics.csv", rows)
    write_complete(folder / "metrics.json", json.dumps(records, indent=1, allow_nan=False) + "\n")


def _blocks(scores: Scores) -> Iterator[tuple[list[str], Float[np.ndarray, "images metrics"]]]:
    """Set, convention, method and condition with their values, where there are any."""
    for m, method in enumerate(scores.methods):
        for c, condition in enumerate(scores.conditions):
            values = scores.values[m, c]
            if len(scores.conditions) == 1 or not np.isnan(values).all():
                yield [scores.name, scores.convention, method, condition], values


def _record(labels: Sequence[str], scores: Scores, values: Float[np.ndarray, "images metrics"]) -> dict[str, Any]:
    finite = np.isfinite(values)
    counts = dict(zip(scores.metrics, (~finite).sum(axis=0).tolist(), strict=True))
    return {
        **dict(zip(_KEYS, labels, strict=False)),
        "images": len(scores.images),
        "mean": _numbers(scores.metrics, finite_mean(values, axis=0)),
        "left_out_of_mean": {metric: count for metric, count in counts.items() if count},
        "per_image": {image: _numbers(scores.metrics, row) for image, row in zip(scores.images, values, strict=True)},
    }


def _numbers(metrics: Sequence[str], values: Float[np.ndarray, " metrics"]) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in zip(metrics, values.tolist(), strict=True)}


def read_scores(path: str | Path) -> list[Scores]:
    """Reads a metrics.csv, also one written before it had the columns `set` and `condition`.

    Args:
        path: the file.

    Returns:
        Scores by set and convention, in the order of the file.

    Raises:
        ValueError: if the file has no column `method` or `name`, or a cell is not a number.
        OSError: if it cannot be read.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    if not lines or not {"method", "name"} <= lines[0].keys():
        raise ValueError(f"{path} has no scores: expected the columns method, name and metrics.")
    groups: dict[tuple[str, str], list[dict[str, str]]] = {}
    for line in lines:
        groups.setdefault((line.get("set", ""), line.get("convention", "")), []).append(line)
    try:
        return [_table(*key, group) for key, group in groups.items()]
    except ValueError as error:
        raise ValueError(f"{path}: {error}.") from error


def _table(name: str, convention: str, lines: Sequence[dict[str, str]]) -> Scores:
    metrics = tuple(k for k in lines[0] if k not in _KEYS and any(line[k] for line in lines))
    keys = [[line.get(key, CLEAN) for line in lines] for key in ("method", "condition", "name")]
    places = [{label: n for n, label in enumerate(dict.fromkeys(labels))} for labels in keys]
    values = np.full((*map(len, places), len(metrics)), np.nan)
    for line, *labels in zip(lines, *keys, strict=True):
        place = tuple(found[label] for found, label in zip(places, labels, strict=True))
        values[place] = [float(line[metric] or "nan") for metric in metrics]
    methods, conditions, images = map(tuple, places)
    return Scores(methods, images, metrics, values, convention, conditions, name)
