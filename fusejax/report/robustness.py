"""Robustness in one number: the area under the curves of the stress study, and its ranking."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from fusejax.evaluation.results import CLEAN, Group, Scores
from fusejax.report.ranking import DRAWS, TAILS
from fusejax.report.tables import Cell, Table, marked

_SEED = 0


@dataclasses.dataclass(frozen=True)
class Areas:
    """Areas under the curves of methods: what they retain of their own clean scores.

    Attributes:
        methods: names of the methods.
        groups: titles of the degradations.
        by_group: area of each degradation, mean over the metrics.
        mean: mean over the degradations.
        low: lower end of the 95% interval of the mean, over the pairs.
        high: upper end of the interval.
    """

    methods: tuple[str, ...]
    groups: tuple[str, ...]
    by_group: Float[np.ndarray, "m g"]
    mean: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]


def areas(scores: Scores, groups: Sequence[Group], *, metrics: Sequence[str], draws: int = DRAWS) -> Areas:
    """Areas under the curves of the metrics against the strength, relative to the clean pair.

    The means over the pairs are taken first, then divided by the same method's mean for clean
    pairs. The strengths of a degradation are equally spaced steps after the clean pair; the area is
    the trapezoid's, divided by its length: 1 if a method loses nothing. A high area does not mean a
    good image: a method with low clean scores has little to lose.

    Args:
        scores: scores under all conditions, of metrics for which higher is better.
        groups: the degradations with their conditions, from mild to severe.
        metrics: the metrics.
        draws: number of bootstrap samples.

    Returns:
        The areas.
    """
    columns = [scores.metrics.index(metric) for metric in metrics]
    values = scores.values[..., columns]  # [methods, conditions, images, metrics]
    count = values.shape[2]
    weights = np.random.default_rng(_SEED).multinomial(count, np.full(count, 1 / count), size=draws)
    weights = np.concatenate([np.ones((1, count)), weights])
    finite = np.isfinite(values)
    total = np.einsum("dn,mcnk->dmck", weights, np.where(finite, values, 0.0), optimize=True)
    number = np.einsum("dn,mcnk->dmck", weights, finite.astype(np.float64), optimize=True)
    means = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    clean = scores.conditions.index(CLEAN)
    kept = means / means[:, :, [clean]]
    found = []
    for group in groups:
        curve = kept[:, :, [clean, *(scores.conditions.index(name) for name in group.conditions)]]
        found.append(((curve[:, :, 1:] + curve[:, :, :-1]) / 2).mean(axis=(2, 3)))
    by_group = np.stack(found, axis=-1)  # [draws, methods, groups]
    mean = np.nanmean(by_group, axis=-1)
    low, high = np.nanquantile(mean[1:], TAILS, axis=0)
    return Areas(scores.methods, tuple(group.title for group in groups), by_group[0], mean[0], low, high)


def area_table(found: Areas, *, metrics: Sequence[str], pairs: int) -> Table:
    """The areas, a row for each method, the most robust one first.

    Args:
        found: the areas.
        metrics: the metrics that they are means of.
        pairs: number of pairs.

    Returns:
        The table.
    """
    order = np.argsort(-found.mean, kind="stable")
    columns = [marked(found.by_group[order, g], "VIF", places=3) for g in range(len(found.groups))]
    rows = []
    for place, m in enumerate(order):
        mean = f"{found.mean[m]:.3f} ({found.low[m]:.3f} to {found.high[m]:.3f})"
        rows.append([Cell(found.methods[m]), Cell(mean), *(column[place] for column in columns)])
    caption = (
        f"area under the curve relative to the method's own clean score, mean over {', '.join(metrics)} and the "
        f"strengths, {pairs} pairs; `all` with its 95% interval over the pairs"
    )
    return Table(caption, ["method", "all ↑", *found.groups], rows)
