"""Tables of a stress study."""

import math
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fusejax.evaluation.attack import STEPS
from fusejax.evaluation.conditions import CLEAN, KINDS, SEED, Condition
from fusejax.evaluation.stress import CHANGE, StressResult
from fusejax.io.outputs import write_rows
from fusejax.metrics import higher_is_better
from fusejax.report.tables import markdown_table

_EXPLAINED = (
    "Scores are computed against the clean sources, so copying a degradation is not rewarded; the first row "
    "holds the scores for clean pairs. `change` is the root mean squared difference of the fused luma from "
    "the same method's result for the clean pair, in levels of 255. MI and VIF are sums over the sources: if one is "
    "lost, a mere copy of the other can score higher than the clean pair."
)
_ATTACK = (
    f"Adversarial noise: {STEPS} steps of projected gradient ascent on the squared distance of the fused luma from "
    "that of the clean pair, with both sources changed by at most the strength (maximum norm), for each network; "
    "exported files get the noise computed for the first network."
)


def write_csv(path: Path, result: StressResult) -> None:
    """Writes one line per method, condition and pair in full precision; missing values are
    empty.
    """
    rows: list[list] = [["method", "source", "degradation", "level", "strength", "unit", "pair", *result.values]]
    for m, method in enumerate(result.methods):
        for c, condition in enumerate((None, *result.conditions)):
            for n, pair in enumerate(result.pairs):
                found = (float(v[m, c, n]) for v in result.values.values())
                rows.append([method, *_cells(condition), pair, *(repr(x) if math.isfinite(x) else "" for x in found)])
    write_rows(path, rows)


def _cells(condition: Condition | None) -> list[str | int | float]:
    if condition is None:
        return ["", CLEAN, 0, 0, ""]
    return [condition.source, condition.kind, condition.level, condition.shown, KINDS[condition.kind].unit]


def markdown(result: StressResult) -> str:
    """Means over the pairs: first per degradation, averaged over its strengths, then per strength.

    The best method of each cell is bold.
    """
    titles = list(dict.fromkeys(c.title for c in result.conditions))
    groups = {title: [n + 1 for n, c in enumerate(result.conditions) if c.title == title] for title in titles}
    summary = [[CLEAN, *_row(result, [0])], *([title, *_row(result, columns)] for title, columns in groups.items())]
    every = [[c.title, c.amount, *_row(result, [n + 1])] for n, c in enumerate(result.conditions)]
    header = [f"{metric}, {method}" for metric in result.values for method in result.methods]
    marked = "; **best method**" if len(result.methods) > 1 else ""
    lines = [
        f"# {len(result.pairs)} pairs, degraded in {len(result.conditions)} ways",
        "",
        f"Means over the pairs, convention `{result.convention}`, noise of seed {SEED}{marked}. {_EXPLAINED}",
    ]
    if any(c.source == "both" for c in result.conditions):
        lines += ["", _ATTACK]
    for note in result.notes:
        lines += ["", note]
    lines += ["", "## Means over the strengths", "", *markdown_table(["degradation", *header], summary)]
    lines += ["", "## Every strength", "", *markdown_table(["degradation", "strength", *header], every)]
    return "\n".join(lines) + "\n"


def column_means(result: StressResult, metric: str, columns: list[int]) -> Float[np.ndarray, " m"]:
    """Means of a metric over conditions (0: clean) and all pairs, by method; NaN without values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # mean of an empty slice
        return np.nanmean(result.values[metric][:, columns], axis=(1, 2))


def _row(result: StressResult, columns: list[int]) -> list[str]:
    """Cells of all metrics and methods."""
    cells = []
    for metric in result.values:
        means, digits = column_means(result, metric, columns), 1 if metric == CHANGE else 3
        texts = [f"{x:.{digits}f}" if math.isfinite(x) else "" for x in means]
        signed = means if metric != CHANGE and higher_is_better(metric) else -means
        if len(set(texts)) > 1:
            best = texts[int(np.nanargmax(signed))]
            texts = [f"**{text}**" if text == best else text for text in texts]
        cells += texts
    return cells
