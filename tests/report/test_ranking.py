"""The bootstrap of ranks."""

import numpy as np
import pytest

from fusejax.report.ranking import bootstrap_ranking
from fusejax.report.scores import Scores


def scores(name, **values):
    return Scores(name, "exact", [str(n) for n in range(40)], {k: np.asarray(v, float) for k, v in values.items()})


@pytest.fixture
def hard():
    """An image effect shared by all methods, far larger than the differences between them."""
    return 10 * np.random.default_rng(1).standard_normal(40)


def test_a_method_that_wins_on_every_image_is_surely_ahead(hard):
    found = bootstrap_ranking([scores("a", EN=hard, MSE=hard), scores("b", EN=hard + 0.1, MSE=hard - 0.1)])
    np.testing.assert_array_equal(found.mean, [2, 1])
    np.testing.assert_array_equal(found.ahead, [[0.5, 0], [1, 0.5]])
    np.testing.assert_array_equal([found.low, found.high], [[2, 1], [2, 1]])
    assert found.level["EN"].tolist() == found.level["MSE"].tolist() == [False, True]


def test_what_could_be_chance_is_said(hard):
    noise = np.random.default_rng(2).standard_normal(40)
    noise -= noise.mean()
    found = bootstrap_ranking([scores("a", EN=hard), scores("b", EN=hard + noise + 0.01)])
    np.testing.assert_array_equal(found.mean, [2, 1])
    assert found.level["EN"].tolist() == [True, True]
    assert 0.3 < found.ahead[0, 1] < 0.7
    np.testing.assert_allclose(found.ahead + found.ahead.T, 1)
    assert found.low.tolist() == [1, 1]
    assert found.high.tolist() == [2, 2]


def test_the_interval_is_that_of_resampled_means():
    """Two methods, each ahead on a known fraction of the images, so that a draw can be
    predicted.
    """
    sign = np.where(np.arange(40) < 24, 1.0, -1.0)  # ahead on 60 %
    found = bootstrap_ranking([scores("a", EN=sign), scores("b", EN=0 * sign)], draws=20000)
    rng = np.random.default_rng(7)
    sums = sign[rng.integers(0, 40, (20000, 40))].sum(axis=1)
    expected = (sums > 0).mean() + 0.5 * (sums == 0).mean()
    assert found.ahead[0, 1] == pytest.approx(expected, abs=0.01)  # 3 standard errors


def test_equal_methods_share_and_undefined_ones_come_last(hard):
    nothing = np.full(40, np.nan)
    found = bootstrap_ranking([scores("a", EN=hard), scores("b", EN=hard), scores("c", EN=nothing)])
    np.testing.assert_array_equal(found.mean, [1.5, 1.5, 3])
    assert found.level["EN"].tolist() == [True, True, False]
    partly = np.where(np.arange(40) == 3, np.nan, hard + 1)
    found = bootstrap_ranking([scores("a", EN=hard), scores("b", EN=partly)])
    assert np.isfinite(found.mean).all()
