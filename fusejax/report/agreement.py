"""Whether evaluators agree: the same images under several conventions, and after a stretch."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from fusejax.evaluation.results import STRETCHED, Scores, finite_mean
from fusejax.report.ranking import DRAWS, TAILS, Ranking, better, drawn_means, rank
from fusejax.report.tables import Cell, Table

ByConvention = Mapping[str, Sequence[Scores]]
"""Scores of each set, in the same order, by convention."""


def kendall_tau(a: Float[np.ndarray, "*d m"], b: Float[np.ndarray, "*d m"]) -> Float[np.ndarray, "*d"]:
    """Kendall's tau-b between two rankings of the same methods (Kendall 1945).

    Args:
        a: a value of each method, such as its mean rank.
        b: likewise; a row of `a` is compared with the same row of `b`.

    Returns:
        1 if both order all methods alike, -1 if they order them inversely; NaN if one of them
        orders nothing.
    """
    signs = [np.sign(x[..., :, None] - x[..., None, :]) for x in (a, b)]
    both, first, second = ((x * y).sum(axis=(-2, -1)) for x, y in (signs, signs[:1] * 2, signs[1:] * 2))
    with np.errstate(invalid="ignore"):
        return np.asarray(both / np.sqrt(first * second))


def agreement_tables(tables: ByConvention, *, draws: int = DRAWS) -> list[Table]:
    """How far conventions rank the same methods alike.

    Args:
        tables: the scores; methods with `STRETCHED` names are left out.
        draws: number of bootstrap samples.

    Returns:
        Mean ranks under each convention, Kendall's tau between them, and each metric against itself
        under the other conventions.
    """
    plain = {name: [_plain(each) for each in found] for name, found in tables.items()}
    shared = _shared_metrics(list(plain.values()))
    rankings = {name: rank(found, draws=draws) for name, found in plain.items()}
    alike = {name: rank([_only(each, shared) for each in found], draws=draws) for name, found in plain.items()}
    captions = {
        "Kendall's tau between the mean ranks, each convention with its own metrics": rankings,
        f"Kendall's tau between the mean ranks over {', '.join(shared)} alone, which all of them define": alike,
    }
    return [_rank_table(rankings), *(_tau_table(*each) for each in captions.items()), _metric_table(plain, draws)]


def _rank_table(rankings: Mapping[str, Ranking]) -> Table:
    first = next(iter(rankings.values()))
    rows = []
    for n in first.order:
        method, cells = first.methods[n], []
        for found in rankings.values():
            m = found.methods.index(method)
            cells.append(Cell(f"{found.mean[m]:.2f} ({found.low[m]:.2f} to {found.high[m]:.2f})"))
        rows.append([Cell(method), *cells])
    caption = f"mean rank of {len(rows)} methods under each convention, with its 95% interval"
    return Table(caption, ["method", *rankings], rows)


def _tau_table(caption: str, rankings: Mapping[str, Ranking]) -> Table:
    rows = []
    for a, b in itertools.combinations(rankings, 2):
        first, second = rankings[a], rankings[b]
        order = [second.methods.index(method) for method in first.methods]
        tau = kendall_tau(first.mean, second.mean[order])
        low, high = np.nanquantile(kendall_tau(first.drawn, second.drawn[:, order]), TAILS)
        rows.append([Cell(f"{a}, {b}"), Cell(f"{tau:.2f} ({low:.2f} to {high:.2f})")])
    return Table(f"{caption}; 95% interval over the images", ["conventions", "tau"], rows)


def _metric_table(plain: ByConvention, draws: int) -> Table:
    """Kendall's tau of each metric with itself, and the pairs of methods that it reverses."""
    pairs = list(itertools.combinations(plain, 2))
    metrics = list(dict.fromkeys(m for found in plain.values() for m in found[0].metrics))
    rows = []
    for metric in metrics:
        cells, reversed_pairs, compared = [], 0, 0
        for a, b in pairs:
            both = [
                (x, y) for x, y in zip(plain[a], plain[b], strict=True) if metric in x.metrics and metric in y.metrics
            ]
            if not both:
                cells.append(Cell("–"))
                continue
            taus = []
            for n, (x, y) in enumerate(both):
                wholes, orders = zip(*(_order(s, x.methods, metric, draws=draws, seed=n) for s in (x, y)), strict=True)
                taus.append(kendall_tau(*wholes))
                reversed_pairs += int((orders[0] * orders[1] < 0).sum()) // 2
                compared += len(x.methods) * (len(x.methods) - 1) // 2
            cells.append(Cell(f"{np.mean(taus):.2f}"))
        rows.append([Cell(metric), *cells, Cell(f"{reversed_pairs} of {compared}")])
    caption = (
        "Kendall's tau of a metric with itself under two conventions, mean over the sets; reversed: pairs of methods "
        "of which each convention prefers another, both with a 95% interval that excludes 0, over all sets and pairs "
        "of conventions"
    )
    return Table(caption, ["metric", *(f"{a}, {b}" for a, b in pairs), "reversed"], rows)


def _order(
    scores: Scores, methods: Sequence[str], metric: str, *, draws: int, seed: int
) -> tuple[Float[np.ndarray, " m"], Int[np.ndarray, "m m"]]:
    """Means of the methods, and 1 or -1 where the row is surely better or worse than the column."""
    whole, found = drawn_means(scores, methods, [metric], draws=draws, seed=seed)
    found = np.where(np.isfinite(found), found, np.finfo(np.float64).min / 4)  # undefined ones are last
    difference = found[:, :, None, 0] - found[:, None, :, 0]
    low, high = np.quantile(difference, TAILS, axis=0)
    return whole[:, 0], (low > 0).astype(int) - (high < 0)


def stretch_tables(tables: ByConvention, *, draws: int = DRAWS) -> list[Table]:
    """What a stretch of the fused images on saving does to metrics and ranks.

    Args:
        tables: the scores, in which each method is also there with a `STRETCHED` name.
        draws: number of bootstrap samples.

    Returns:
        The change of each metric, and that of the mean rank of a method if it alone is stretched.
    """
    metrics = list(dict.fromkeys(m for found in tables.values() for m in found[0].metrics))
    rows = [
        [
            Cell(metric),
            *(
                _change_cell(found, metric, draws) if metric in found[0].metrics else Cell("–")
                for found in tables.values()
            ),
        ]
        for metric in metrics
    ]
    changes = Table(
        "change of the mean by stretching all images, in percent, mean over the sets and methods, with its 95% "
        "interval over the images",
        ["metric", *tables],
        rows,
    )
    ranks = {name: _ranks_alone(found) for name, found in tables.items()}
    lines = [
        [Cell(method), *(Cell(f"{found[method][0]:.2f} → {found[method][1]:.2f}") for found in ranks.values())]
        for method in next(iter(ranks.values()))
    ]
    alone = Table("mean rank as saved → if this method alone is stretched", ["method", *tables], lines)
    return [changes, alone]


def _change_cell(found: Sequence[Scores], metric: str, draws: int) -> Cell:
    if metric not in found[0].metrics:
        return Cell("–")
    changes: list[Float[np.ndarray, " d1"]] = []
    for n, scores in enumerate(found):
        plain = list(_plain(scores).methods)
        parts = [drawn_means(scores, names, [metric], draws=draws, seed=n) for names in (plain, _stretched(plain))]
        whole, stretched = (np.concatenate([w[None], d])[..., 0] for w, d in parts)
        usable = np.isfinite(whole) & np.isfinite(stretched) & (whole != 0)  # undefined ones are -inf
        with np.errstate(invalid="ignore", divide="ignore"):
            changes.append(finite_mean(np.where(usable, (stretched - whole) / np.abs(whole), np.nan), axis=1))
    change = 100 * finite_mean(np.array(changes), axis=0) * (-1 if better(metric) == "lower" else 1)
    low, high = np.quantile(change[1:], TAILS)
    return Cell(f"{change[0]:+.1f} ({low:+.1f} to {high:+.1f})", tied=bool(low <= 0 <= high))


def _ranks_alone(found: Sequence[Scores]) -> dict[str, tuple[float, float]]:
    """Mean rank of each method as saved, and if it alone is stretched."""
    plain = _plain(found[0]).methods
    before = _mean_ranks(found, plain)
    return {
        m: (before(m), _mean_ranks(found, [n for n in plain if n != m] + _stretched([m]))(m + STRETCHED)) for m in plain
    }


def _mean_ranks(found: Sequence[Scores], methods: Sequence[str]) -> Callable[[str], float]:
    ranking = rank([each.select(methods=methods) for each in found], draws=1)
    return lambda method: float(ranking.mean[ranking.methods.index(method)])


def _stretched(methods: Sequence[str]) -> list[str]:
    return [method + STRETCHED for method in methods]


def _plain(scores: Scores) -> Scores:
    return scores.select(methods=[m for m in scores.methods if not m.endswith(STRETCHED)])


def _shared_metrics(tables: Sequence[Sequence[Scores]]) -> list[str]:
    first, *rest = (found[0].metrics for found in tables)
    return [metric for metric in first if all(metric in names for names in rest)]


def _only(scores: Scores, metrics: Sequence[str]) -> Scores:
    return scores.select(metrics=metrics)
