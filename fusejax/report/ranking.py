"""Uncertainty of a ranking of methods: a bootstrap over the images on which they were scored."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from fusejax.metrics import higher_is_better
from fusejax.report.scores import Scores

_DRAWS = 2000
_SEED = 0
_TAILS = (0.025, 0.975)


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Mean ranks of methods over their metrics, and the differences that could be due to chance.

    Attributes:
        mean: mean rank of each method; 1 is best.
        low: lower end of the bootstrap's 95% interval.
        high: upper end of the interval.
        ahead: fraction of the draws in which the row's method has a better mean rank than the
            column's; a tie counts one half, and the diagonal is 0.5.
        level: whether the difference from the best method could be due to chance, by metric and
            method: the 95% interval of the paired difference contains 0. True for the best method.
    """

    mean: Float[np.ndarray, " m"]
    low: Float[np.ndarray, " m"]
    high: Float[np.ndarray, " m"]
    ahead: Float[np.ndarray, "m m"]
    level: dict[str, Bool[np.ndarray, " m"]]


def bootstrap_ranking(methods: Sequence[Scores], *, draws: int = _DRAWS) -> Ranking:
    """Draws the images with replacement and ranks the methods again for each draw (Efron 1979).

    The scores of all methods for one image are drawn together, so that hard images do not count as
    differences between methods.

    Args:
        methods: scores with the same images and metrics.
        draws: number of bootstrap samples.

    Returns:
        The ranking of the means over all images, and its uncertainty.
    """
    metrics = list(methods[0].values)
    values = np.stack([[scores.values[name] for name in metrics] for scores in methods])  # [m, k, n]
    signs = np.array([1.0 if higher_is_better(name) else -1.0 for name in metrics])
    signed = values * signs[None, :, None]
    count = values.shape[-1]
    rng = np.random.default_rng(_SEED)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)
    found = _weighted_means(signed, weights)  # [draws, m, k]
    whole = _weighted_means(signed, np.ones((1, count)))[0]
    ranked = _ranks(found).mean(axis=2)
    ahead = (ranked[:, :, None] < ranked[:, None, :]) + 0.5 * (ranked[:, :, None] == ranked[:, None, :])
    low, high = np.quantile(ranked, _TAILS, axis=0)
    level = {name: _level_with_best(found[:, :, k], whole[:, k]) for k, name in enumerate(metrics)}
    return Ranking(_ranks(whole[None])[0].mean(axis=1), low, high, ahead.mean(axis=0), level)


def _weighted_means(values: Float[np.ndarray, "m k n"], weights: Float[np.ndarray, "d n"]) -> np.ndarray:
    """Means [d, m, k] over the images for which a value is defined."""
    finite = np.isfinite(values)
    total = np.einsum("dn,mkn->dmk", weights, np.where(finite, values, 0.0))
    count = np.einsum("dn,mkn->dmk", weights, finite.astype(np.float64))
    return np.where(count > 0, total / np.maximum(count, 1), -np.inf)


def _ranks(means: Float[np.ndarray, "d m k"]) -> Float[np.ndarray, "d m k"]:
    """Ranks, 1 for the largest; equal values share the mean of their ranks."""
    above = (means[:, None] > means[:, :, None]).sum(axis=2)
    equal = (means[:, None] == means[:, :, None]).sum(axis=2)
    return 1 + above + (equal - 1) / 2


def _level_with_best(found: Float[np.ndarray, "d m"], whole: Float[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    best = int(np.argmax(whole))
    if not np.isfinite(whole[best]):
        return np.zeros(len(whole), bool)
    defined = np.isfinite(found).all(axis=0)
    difference = found[:, [best]] - np.where(np.isfinite(found), found, 0.0)
    low, high = np.quantile(difference, _TAILS, axis=0)
    return defined & (low <= 0) & (high >= 0)
