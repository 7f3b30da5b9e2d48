"""Scores of fusion methods on a set of pairs, and the files in which they are stored."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from fusejax.io.outputs import write_complete, write_rows


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one method.

    Attributes:
        method: name of the method.
        convention: name of the convention that the metrics follow.
        names: names of the images, in the order of the values.
        values: values by metric; `values[metric][n]` belongs to image `names[n]` and is NaN where
            undefined.
    """

    method: str
    convention: str
    names: list[str]
    values: dict[str, Float[np.ndarray, " n"]]

    def means(self) -> dict[str, float]:
        """Mean over the images for which the metric is defined; NaN if there are none."""
        return {
            k: float(np.mean(v[np.isfinite(v)])) if np.isfinite(v).any() else math.nan for k, v in self.values.items()
        }

    def left_out(self) -> dict[str, int]:
        """Number of images excluded from each mean because the metric is undefined there."""
        counts = {k: int((~np.isfinite(v)).sum()) for k, v in self.values.items()}
        return {k: n for k, n in counts.items() if n}


@dataclasses.dataclass(frozen=True)
class FolderScores:
    """Scores of one or more methods on the same pairs, with the files they belong to.

    Tables, plots and pages are made from this alone:

        for scores in result.methods:                # one per method, in the order given
            for n, name in enumerate(scores.names):  # the same images for every method
                scores.values["VIF"][n]              # NaN where undefined
                result.fused[scores.method][name], result.ir[name], result.vi[name]  # the files

    `fusejax.metrics.higher_is_better(metric)` returns the direction of a metric, `METRICS[metric]`
    its title, range and source, and `CONVENTIONS[scores.convention].summary` what was computed.

    Attributes:
        conventions: scores of each method, by name of the convention. All hold the same images in
            the same order; the metrics are those that the convention defines.
        regions: scores inside object boxes, with those of the plain average and the smallest errors
            that any image can have; empty without boxes.
        skipped: one line per skipped image.
        ir: infrared file of each image, by image name. Its size differs from that of the visible
            image if it was resampled (`resize`).
        vi: visible file of each image, by image name.
        fused: fused file of each image, by method name and then image name.
    """

    conventions: dict[str, list[Scores]]
    regions: list[Scores]
    skipped: list[str]
    ir: dict[str, Path]
    vi: dict[str, Path]
    fused: dict[str, dict[str, Path]]

    @property
    def methods(self) -> list[Scores]:
        """Scores of each method under the first convention, in the order of the folders."""
        return next(iter(self.conventions.values()))

    @property
    def names(self) -> list[str]:
        """Names of the images, the same for every method and convention."""
        return self.methods[0].names


def write_scores(folder: Path, conventions: Mapping[str, Sequence[Scores]]) -> None:
    """Writes metrics.csv and metrics.json, in the same form for one method and for many.

    metrics.csv has one line per convention, method and image (`convention`, `method`, `name`), and
    one column per metric, in full precision. A cell is empty if the convention does not define the
    metric, and "nan" if the value is undefined. metrics.json holds the same values by convention
    and method, with the means and the number of images excluded from each; undefined values are
    null, since JSON has no NaN.

    Args:
        folder: folder for the files, created if needed; existing files are replaced.
        conventions: scores of each method, by convention (`FolderScores.conventions`).
    """
    every = [scores for methods in conventions.values() for scores in methods]
    metrics = list(dict.fromkeys(metric for scores in every for metric in scores.values))
    rows: list[list[str]] = [["convention", "method", "name", *metrics]]
    for scores in every:
        for n, name in enumerate(scores.names):
            cells = (repr(float(scores.values[m][n])) if m in scores.values else "" for m in metrics)
            rows.append([scores.convention, scores.method, name, *cells])
    write_rows(folder / "metrics.csv", rows)
    document = {
        name: {scores.method: _json_scores(scores) for scores in methods} for name, methods in conventions.items()
    }
    write_complete(folder / "metrics.json", json.dumps(document, indent=1, allow_nan=False) + "\n")


def _json_scores(scores: Scores) -> dict[str, Any]:
    return {
        "images": len(scores.names),
        "mean": _json_numbers(scores.means()),
        "left_out_of_mean": scores.left_out(),
        "per_image": {
            name: _json_numbers({k: float(v[n]) for k, v in scores.values.items()})
            for n, name in enumerate(scores.names)
        },
    }


def _json_numbers(values: dict[str, float]) -> dict[str, float | None]:
    return {k: v if math.isfinite(v) else None for k, v in values.items()}
