"""The table of how well pairs line up."""

import numpy as np

from fusejax.registration.scores import MEASURES, Alignment
from fusejax.report.tables import Cell, Table, decimals, number


def alignment_table(found: Alignment) -> Table:
    """Medians over the pairs, a row for pairs as taken and one for registered pairs.

    Args:
        found: what was measured.

    Returns:
        The table.
    """
    rows = []
    with np.errstate(all="ignore"):
        counts = np.isfinite(found.values).sum(axis=1)
        medians = np.array(
            [
                [np.median(column[np.isfinite(column)]) if np.isfinite(column).any() else np.nan for column in state.T]
                for state in found.values
            ]
        )
    places = [decimals(column) for column in medians.T]
    for state, values, told in zip(found.states, medians, counts, strict=True):
        cells = [
            Cell(number(value, most) + (f" (n = {n})" if 0 < n < len(found.pairs) else ""))
            for value, most, n in zip(values, places, told, strict=True)
        ]
        rows.append([Cell(state), *cells])
    arrows = ["\N{UPWARDS ARROW}" if MEASURES[m].better == "higher" else "\N{DOWNWARDS ARROW}" for m in found.measures]
    header = ["pairs", *(f"{name} {arrow}" for name, arrow in zip(found.measures, arrows, strict=True))]
    notes = [f"{name}: {MEASURES[name].title} ({MEASURES[name].source})." for name in found.measures]
    return Table(f"alignment: medians over {len(found.pairs)} pairs", header, rows, notes)
