"""The ranking of methods, and its uncertainty: a bootstrap over the images that were scored."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from fusejax.evaluation.results import Scores, finite_mean
from fusejax.metrics import METRICS, TEMPORAL_METRICS, merit

Known = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Means that were measured elsewhere, by set, method and metric."""

DRAWS = 2000
"""Bootstrap samples."""

TAILS = (0.025, 0.975)
"""Quantiles of a 95% interval."""

_SEED = 0

# Lower is better for what no metric measures: the difference from the result of clean sources.
_LOWER = ("change",)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Mean ranks of methods over metrics and sets, and the differences that could be due to chance.

    Attributes:
        methods: names of the methods that every set has.
        mean: mean rank of each method; 1 is best.
        low: lower end of the bootstrap's 95% interval.
        high: upper end of the interval.
        drawn: mean rank of each method in every draw. Rankings of the same images under different
            conventions have the same draws.
        ahead: fraction of the draws in which the row's method has a better mean rank than the
            column's; a tie counts one half, and the diagonal is 0.5.
        tied: whether the difference from the best method could be due to chance, by set and
            metric: the 95% interval of the paired difference contains 0. True for the best method.
            False for means that were measured elsewhere, whose images cannot be paired.
    """

    methods: tuple[str, ...]
    mean: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]
    drawn: Float[np.ndarray, "d m"]
    ahead: Float[np.ndarray, "m m"]
    tied: dict[tuple[str, str], Bool[np.ndarray, " m"]]

    @property
    def order(self) -> list[int]:
        """Indices of the methods, best first."""
        return np.argsort(self.mean, kind="stable").tolist()


def merits(metric: str, values: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """`fusejax.metrics.merit`, also for what only a study measures.

    Args:
        metric: name of a metric, or "change".
        values: its values.

    Returns:
        Numbers of which larger ones are better.
    """
    return -values if metric in _LOWER else merit(metric, values)


def better(metric: str) -> str:
    """Which values are better, in words: "higher", "lower", or "closer to" a number."""
    return "lower" if metric in _LOWER else (METRICS | TEMPORAL_METRICS)[metric.removeprefix("ROI-")].better


def arrow(metric: str) -> str:
    """The same as a sign for the heads of tables."""
    return {"higher": "↑", "lower": "↓"}.get(better(metric)) or better(metric).replace("closer to ", "→")


def rank(tables: Sequence[Scores], *, known: Known | None = None, draws: int = DRAWS) -> Ranking:
    """Ranks methods by their means, and again for each random draw of the images (Efron 1979).

    The images of each set are drawn with replacement; the scores of all methods for one image are
    drawn together, so that hard images do not count as differences between methods. Scores under
    several conditions (strengths, seeds) are averaged first, image by image.

    Args:
        tables: scores of one or more sets; the methods that all of them have are ranked, in the
            metrics that all of their methods have.
        known: further means; they have no images, so they are the same in every draw.
        draws: number of bootstrap samples.

    Returns:
        The ranking of the means over all images, and its uncertainty.
    """
    known = known or {}
    names = [(*t.methods, *(k for k in known.get(t.name, {}) if k not in t.methods)) for t in tables]
    methods = tuple(name for name in names[0] if all(name in others for others in names))
    wholes, ranks, tied = [], [], {}
    for number, table in enumerate(tables):
        metrics = shared_metrics(table, known)
        whole, found = drawn_means(
            table, methods, metrics, known=known.get(table.name, {}), draws=draws, seed=_SEED + number
        )
        measured = np.array([method in table.methods for method in methods])
        for k, metric in enumerate(metrics):
            paired = measured & measured[np.argmax(whole[:, k])]
            tied[table.name, metric] = paired & _tied_with_best(found[:, :, k], whole[:, k])
        wholes.append(_ranks(whole[None])[0])
        ranks.append(_ranks(found))
    ranked = np.concatenate(ranks, axis=2).mean(axis=2)
    ahead = (ranked[:, :, None] < ranked[:, None, :]) + 0.5 * (ranked[:, :, None] == ranked[:, None, :])
    low, high = np.quantile(ranked, TAILS, axis=0)
    return Ranking(methods, np.concatenate(wholes, axis=1).mean(axis=1), low, high, ranked, ahead.mean(axis=0), tied)


def shared_metrics(table: Scores, known: Known) -> list[str]:
    """Metrics of a table that all means measured elsewhere on its set have, too.

    Raises:
        ValueError: if there are none.
    """
    rows = [row for method, row in known.get(table.name, {}).items() if method not in table.methods]
    metrics = [metric for metric in table.metrics if all(metric in row for row in rows)]
    if not metrics:
        raise ValueError(f"{table.name}: the rows share no metric with {', '.join(table.metrics)}.")
    return metrics


def drawn_means(
    table: Scores,
    methods: Sequence[str],
    metrics: Sequence[str],
    *,
    known: Mapping[str, Mapping[str, float]] | None = None,
    draws: int = DRAWS,
    seed: int = _SEED,
) -> tuple[Float[np.ndarray, "m k"], Float[np.ndarray, "d m k"]]:
    """Means over all images and over those of each draw, signed so that larger is better.

    Args:
        table: scores of one set.
        methods: the methods, in the order of the result.
        metrics: the metrics, in the order of the result.
        known: means of methods that were measured elsewhere.
        draws: number of bootstrap samples.
        seed: seed of the draws; for the same number of images, the same seed draws the same ones.

    Returns:
        Both means; -inf where they are undefined.
    """
    known = known or {}
    columns = [table.metrics.index(metric) for metric in metrics]
    values = finite_mean(table.values[..., columns], axis=1)  # [methods, images, metrics]
    count = values.shape[1]
    rows = [
        values[table.methods.index(method)]
        if method in table.methods
        else np.tile([known[method][metric] for metric in metrics], (count, 1))
        for method in methods
    ]
    stacked = np.stack(rows).transpose(0, 2, 1)
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)

    def drawn(weights: Float[np.ndarray, "d n"]) -> Float[np.ndarray, "d m k"]:
        means = _weighted_means(stacked, weights)
        good = np.stack([merits(metric, means[..., k]) for k, metric in enumerate(metrics)], axis=-1)
        return np.where(np.isnan(good), -np.inf, good)

    return drawn(np.ones((1, count)))[0], drawn(weights.astype(np.float64))


def _weighted_means(values: Float[np.ndarray, "m k n"], weights: Float[np.ndarray, "d n"]) -> np.ndarray:
    """Means [d, m, k] over the images for which a value is defined; NaN if there are none."""
    finite = np.isfinite(values)
    total = np.einsum("dn,mkn->dmk", weights, np.where(finite, values, 0.0))
    count = np.einsum("dn,mkn->dmk", weights, finite.astype(np.float64))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _ranks(means: Float[np.ndarray, "d m k"]) -> Float[np.ndarray, "d m k"]:
    """Ranks, 1 for the largest; equal values share the mean of their ranks."""
    above = (means[:, None] > means[:, :, None]).sum(axis=2)
    equal = (means[:, None] == means[:, :, None]).sum(axis=2)
    return 1 + above + (equal - 1) / 2


def _tied_with_best(found: Float[np.ndarray, "d m"], whole: Float[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    best = int(np.argmax(whole))
    if not np.isfinite(whole[best]):
        return np.zeros(len(whole), bool)
    defined = np.isfinite(found).all(axis=0)
    difference = found[:, [best]] - np.where(np.isfinite(found), found, 0.0)
    low, high = np.quantile(difference, TAILS, axis=0)
    return defined & (low <= 0) & (high >= 0)
