"""The bootstrap of ranks."""

import numpy as np
import pytest

from fusejax.evaluation.results import Scores
from fusejax.report.ranking import rank


def ranking(*methods, **options):
    """The ranking of methods "a", "b", ... with the given values per metric on 40 images."""
    metrics = tuple(methods[0])
    values = np.stack([[np.asarray(m[k], float) for k in metrics] for m in methods]).transpose(0, 2, 1)[:, None]
    images = tuple(map(str, range(40)))
    return rank([Scores(tuple("abcdef"[: len(methods)]), images, metrics, values, "exact")], **options)


@pytest.fixture
def hard():
    """An image effect shared by all methods, far larger than the differences between them."""
    return 10 * np.random.default_rng(1).standard_normal(40)


def test_a_method_that_wins_on_every_image_is_surely_ahead(hard):
    found = ranking({"EN": hard, "MSE": hard}, {"EN": hard + 0.1, "MSE": hard - 0.1})
    np.testing.assert_array_equal(found.mean, [2, 1])
    np.testing.assert_array_equal(found.ahead, [[0.5, 0], [1, 0.5]])
    np.testing.assert_array_equal([found.low, found.high], [[2, 1], [2, 1]])
    assert found.tied["", "EN"].tolist() == found.tied["", "MSE"].tolist() == [False, True]


def test_what_could_be_chance_is_said(hard):
    noise = np.random.default_rng(2).standard_normal(40)
    noise -= noise.mean()
    found = ranking({"EN": hard}, {"EN": hard + noise + 0.01})
    np.testing.assert_array_equal(found.mean, [2, 1])
    assert found.tied["", "EN"].tolist() == [True, True]
    assert 0.3 < found.ahead[0, 1] < 0.7
    np.testing.assert_allclose(found.ahead + found.ahead.T, 1)
    assert found.low.tolist() == [1, 1]
    assert found.high.tolist() == [2, 2]


def test_the_interval_is_that_of_resampled_means():
    """Two methods, each ahead on a known fraction of the images, so that a draw can be
    predicted.
    """
    sign = np.where(np.arange(40) < 24, 1.0, -1.0)  # ahead on 60 %
    found = ranking({"EN": sign}, {"EN": 0 * sign}, draws=20000)
    rng = np.random.default_rng(7)
    sums = sign[rng.integers(0, 40, (20000, 40))].sum(axis=1)
    expected = (sums > 0).mean() + 0.5 * (sums == 0).mean()
    assert found.ahead[0, 1] == pytest.approx(expected, abs=0.01)  # 3 standard errors


def test_sets_are_drawn_independently_and_conventions_alike(hard):
    noise = np.random.default_rng(2).standard_normal(40)
    values = np.stack([hard, hard + noise])[:, None, :, None]

    def table(name, convention="exact"):
        return Scores(("a", "b"), tuple(map(str, range(40))), ("EN",), values, convention, name=name)

    alone, twice = rank([table("s")]).drawn[:, 0], rank([table("s"), table("t")]).drawn[:, 0]
    np.testing.assert_array_equal(rank([table("s", "tang")]).drawn[:, 0], alone)
    assert set(alone) <= {1.0, 1.5, 2.0}
    assert np.isin(twice, 1.5).mean() > 0.2, "in some draws, the sets contradict each other"


def test_equal_methods_share_and_undefined_ones_come_last(hard):
    nothing = np.full(40, np.nan)
    found = ranking({"EN": hard}, {"EN": hard}, {"EN": nothing})
    np.testing.assert_array_equal(found.mean, [1.5, 1.5, 3])
    assert found.tied["", "EN"].tolist() == [True, True, False]
    partly = np.where(np.arange(40) == 3, np.nan, hard + 1)
    found = ranking({"EN": hard}, {"EN": partly})
    assert np.isfinite(found.mean).all()


def table(name, metrics, **values):
    """Scores on a set: a number for each metric of each method, the same on three images."""
    stacked = np.repeat(np.array(list(values.values()), float)[:, None, None], 3, axis=2)
    return Scores(tuple(values), ("1", "2", "3"), metrics, stacked, "exact", name=name)


def test_ranks_are_means_over_metrics_and_sets_and_ties_share():
    a = table("a", ("EN", "CE"), x=(3, 1), y=(2, 2), z=(2, 3))
    b = table("b", ("EN",), x=(1,), y=(2,), other=(9,))
    # of x and y alone, since z lacks set b: x is 1, 1 and 2, y is 2, 2 and 1
    found = rank([a, b])
    assert found.methods == ("x", "y")
    np.testing.assert_allclose(found.mean, [4 / 3, 5 / 3])
    np.testing.assert_allclose(rank([a]).mean, [1.0, 2.25, 2.75])  # CE: lower is better
    assert rank([a]).order == [0, 1, 2]


def test_ranks_put_undefined_means_last():
    found = rank([table("", ("EN", "MSE"), a=(3, 3), b=(1, 1), c=(3, 2), d=(np.nan, np.nan))])
    np.testing.assert_array_equal(found.mean, [(1.5 + 3) / 2, (3 + 1) / 2, (1.5 + 2) / 2, 4])


def test_means_measured_elsewhere_are_ranked_but_never_tied():
    noisy = table("s", ("EN", "SD"), x=(5, 1), y=(4.5, 1.2))
    noisy.values[:, :, 0, :] += 3
    found = rank([noisy], known={"s": {"theirs": {"EN": 5.9}, "x": {"EN": 0.0}}, "t": {"no": {"EN": 1.0}}})
    assert found.methods == ("x", "y", "theirs")  # what was scored here is not replaced
    np.testing.assert_array_equal(found.mean, [1, 3, 2])  # SD is not ranked, since theirs has none
    assert not found.tied["s", "EN"][2]
    with pytest.raises(ValueError, match="s: the rows share no metric with EN, SD"):
        rank([noisy], known={"s": {"theirs": {"MI": 1.0}}})


def test_scores_under_several_conditions_are_averaged_image_by_image():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 3, 40, 1))
    several = Scores(("a", "b"), tuple(map(str, range(40))), ("EN",), values, "exact", ("s0", "s1", "s2"))
    one = Scores(several.methods, several.images, ("EN",), values.mean(axis=1, keepdims=True), "exact")
    for field in ("mean", "low", "high", "ahead"):
        np.testing.assert_array_equal(getattr(rank([several]), field), getattr(rank([one]), field))
