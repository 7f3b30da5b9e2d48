"""Tables of an ablation: means, standard deviations and ranks of its variants."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fusejax.evaluation.ablation import Ablation
from fusejax.evaluation.regions import REGION_METRICS
from fusejax.evaluation.run import CONVENTION, References, Results
from fusejax.io.outputs import write_rows
from fusejax.metrics import USUAL
from fusejax.report.tables import markdown_table, ranks


class Ranked(NamedTuple):
    """Mean over the seeds, standard deviation (normalized by their number), rank of the mean."""

    mean: float
    spread: float
    rank: float


def ranked(results: Results, folder: str) -> dict[str, dict[str, Ranked]]:
    """Statistics over the seeds on one pair folder.

    Args:
        results: results returned by `run_ablation`.
        folder: an entry of the ablation's `scored_on`.

    Returns:
        variant -> metric -> mean, spread and rank among the variants (1 is best).
    """
    metrics = next(iter(results.values()))[0][folder]
    values = {metric: np.array([[r[folder][metric] for r in runs] for runs in results.values()]) for metric in metrics}
    places = {m: ranks(v.mean(axis=1), metric=m) for m, v in values.items()}
    return {
        name: {m: Ranked(float(v[n].mean()), float(v[n].std()), float(places[m][n])) for m, v in values.items()}
        for n, name in enumerate(results)
    }


def markdown(ablation: Ablation, results: Results, references: References | None = None) -> str:
    """One table per pair folder: mean ± standard deviation over the seeds, and mean rank.

    Sets with boxes have a second table with the scores inside the boxes. It has no rank, because
    the plain average is best in two of its three columns.

    Args:
        ablation: ablation that was run.
        results: results of all variants.
        references: additional rows without standard deviation and rank; by default none.

    Returns:
        A Markdown document.
    """
    seeds = len(next(iter(results.values())))
    count = f"{seeds} seed" if seeds == 1 else f"{seeds} seeds"
    lines = [f"{ablation.title}; mean ± standard deviation over {count}, convention `{CONVENTION}`."]
    for folder, note in ablation.scored_on.items():
        rows = ranked(results, folder)
        reference_rows = {k: v.get(folder, {}) for k, v in (references or {}).items()}
        places = {name: f"{np.mean([row[m].rank for m in USUAL]):.2f}" for name, row in rows.items()}
        lines += ["", f"**{folder}** ({note})", "", *_table(USUAL, rows, reference_rows, places)]
        if folder in ablation.boxed:
            lines += ["", f"**{folder}**, inside the boxes, and MSE over the whole images; errors on [0, 1]", ""]
            lines += _table(REGION_METRICS, rows, reference_rows, None, digits=4)
    return "\n".join(lines) + "\n"


def _table(
    metrics: Sequence[str],
    rows: Mapping[str, Mapping[str, Ranked]],
    reference_rows: Mapping[str, Mapping[str, float]],
    mean_ranks: Mapping[str, str] | None,
    *,
    digits: int = 3,
) -> list[str]:
    """Lines of a table: the variants, then the references that have at least one of the metrics."""
    last = [] if mean_ranks is None else ["mean rank"]
    cells = []
    for name, row in rows.items():
        values = [f"{row[m].mean:.{digits}f} ± {row[m].spread:.{digits}f}" for m in metrics]
        cells.append([name, *values, *([] if mean_ranks is None else [mean_ranks[name]])])
    for name, row in reference_rows.items():
        if row.keys() & set(metrics):
            values = [f"{row[m]:.{digits}f}" if m in row else "" for m in metrics]
            cells.append([name, *values, *([""] * len(last))])
    return markdown_table(["variant", *metrics, *last], cells)


def write_csv(path: Path, ablation: Ablation, results: Results, references: References | None = None) -> None:
    """Writes one line per folder, variant and metric in full precision.

    Args:
        path: file to write.
        ablation: ablation that was run.
        results: results of all variants.
        references: additional rows, without standard deviation, rank and number of seeds.
    """
    rows: list[list] = [["folder", "variant", "metric", "mean", "standard_deviation", "rank", "seeds"]]
    for folder in ablation.scored_on:
        for name, row in ranked(results, folder).items():
            for metric, numbers in row.items():
                rows.append([folder, name, metric, *map(repr, numbers), len(results[name])])
        for name, sets in (references or {}).items():
            for metric, value in sets.get(folder, {}).items():
                rows.append([folder, name, metric, repr(value), "", "", ""])
    write_rows(path, rows)
