"""Paired differences of the variants of an ablation, with intervals over seeds and images."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float

from fusejax.evaluation.results import Scores
from fusejax.report.ranking import DRAWS, TAILS
from fusejax.report.tables import Cell, Table, decimals, number

_SEED = 0


@dataclasses.dataclass(frozen=True)
class Differences:
    """Differences of methods from a baseline on the same images and seeds.

    Attributes:
        methods: names of the methods, without the baseline.
        mean: mean of the differences; NaN where a method or the baseline has no finite value.
        low: lower end of the bootstrap's 95% interval.
        high: upper end of the interval.
    """

    methods: tuple[str, ...]
    mean: Float[np.ndarray, "m k"]
    low: Float[np.ndarray, "m k"]
    high: Float[np.ndarray, "m k"]

    @property
    def shown(self) -> Bool[np.ndarray, "m k"]:
        """Where the interval excludes 0, so that there is a difference."""
        return (self.low > 0) | (self.high < 0)


def paired_differences(scores: Scores, baseline: str, *, draws: int = DRAWS) -> Differences:
    """Differences from a baseline; seeds and images are drawn with replacement, independently.

    Runs with the same seed see the same crops in the same order, and all are scored on the same
    images, so both are paired. With three seeds, the draws of seeds are few (27) and the interval
    is a rough one; with one seed, it covers the images alone.

    Args:
        scores: scores whose conditions are the seeds.
        baseline: name of the method to compare with.
        draws: number of bootstrap samples.

    Returns:
        The differences.

    Raises:
        ValueError: if there is no such method.
    """
    place = scores.methods.index(baseline)
    others = [m for m in range(len(scores.methods)) if m != place]
    found = scores.values[others] - scores.values[place]  # [methods, seeds, images, metrics]
    rng = np.random.default_rng(_SEED)
    by_seed, by_image = (rng.multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64) for n in found.shape[1:3])
    finite = np.isfinite(found)
    filled = np.where(finite, found, 0.0)
    counts = np.einsum("ds,dn,msnk->dmk", by_seed, by_image, finite.astype(np.float64), optimize=True)
    sums = np.einsum("ds,dn,msnk->dmk", by_seed, by_image, filled, optimize=True)
    drawn = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    total = finite.sum(axis=(1, 2))
    mean = np.where(total > 0, filled.sum(axis=(1, 2)) / np.maximum(total, 1), np.nan)
    low, high = np.nanquantile(np.where(total > 0, drawn, 0.0), TAILS, axis=0)
    unknown = np.where(total > 0, 0.0, np.nan)
    return Differences(tuple(scores.methods[m] for m in others), mean, low + unknown, high + unknown)


def difference_table(scores: Scores, baseline: str, *, note: str = "") -> Table:
    """The differences as a table; ≈ marks those whose interval contains 0.

    Args:
        scores: scores whose conditions are the seeds.
        baseline: name of the method to compare with.
        note: start of the caption.

    Returns:
        The table, with a row for each of the other methods.
    """
    found = paired_differences(scores, baseline)
    places = [decimals(np.abs(scores.means()[..., k]).ravel()) for k in range(len(scores.metrics))]
    rows = []
    for m, method in enumerate(found.methods):
        cells = [Cell(method)]
        for k, digits in enumerate(places):
            mean, low, high = (x[m, k] for x in (found.mean, found.low, found.high))
            text = f"{'+' if mean > 0 else ''}{number(mean, digits)} ({number(low, digits)} to {number(high, digits)})"
            cells.append(Cell(text, tied=bool(np.isfinite(mean)) and not found.shown[m, k]))
        rows.append(cells)
    caption = (
        f"{note}difference from {baseline!r}, paired, mean over {len(scores.conditions)} seeds and "
        f"{len(scores.images)} images, with its 95% bootstrap interval over seeds x images; ≈ where it contains 0"
    )
    return Table(caption, ["method", *scores.metrics], rows, name=scores.name)
