"""Areas under the curves of the stress study."""

import numpy as np
import pytest

from fusejax.evaluation.results import CLEAN, Group, Scores
from fusejax.report.robustness import area_table, areas

GROUPS = [Group("noise", ("n1", "n2"), ("1", "2")), Group("dead", ("d",), ("",))]


def stressed(*methods):
    """Scores from values for clean, n1, n2 and d of each method, with an effect of each pair."""
    pair = np.array([1.0, 2.0, 4.0])
    values = np.array(methods)[:, :, None, None] * pair[:, None]
    names = tuple(f"m{n}" for n in range(len(methods)))
    return Scores(names, ("a", "b", "c"), ("VIF",), values, "exact", (CLEAN, "n1", "n2", "d"))


def test_the_area_is_the_trapezoid_relative_to_the_clean_score():
    found = areas(stressed([2, 1, 0, 0], [8, 8, 8, 8]), GROUPS, metrics=["VIF"])
    np.testing.assert_allclose(found.by_group, [[(0.75 + 0.25) / 2, 0.5], [1, 1]])
    np.testing.assert_allclose(found.mean, [0.5, 1])
    np.testing.assert_allclose([found.low, found.high], [[0.5, 1], [0.5, 1]])  # an effect of pairs cancels


def test_the_most_robust_method_is_first_and_marked():
    table = area_table(areas(stressed([2, 1, 0, 0], [8, 8, 8, 8]), GROUPS, metrics=["VIF"]), metrics=["VIF"], pairs=3)
    assert [row[0].text for row in table.rows] == ["m1", "m0"]
    assert table.header == ["method", "all ↑", "noise", "dead"]
    assert table.rows[0][1].text == "1.000 (1.000 to 1.000)" and table.rows[0][2].mark == "best"


def test_the_interval_is_that_of_the_pairs():
    scores = stressed([2, 1, 1, 1], [1, 1, 1, 1])
    scores.values[0, 1:, 0] = 2 * scores.values[0, 1:, 0]  # the first pair loses nothing
    found = areas(scores, GROUPS, metrics=["VIF"])
    assert found.low[0] == pytest.approx(areas(stressed([2, 1, 1, 1]), GROUPS, metrics=["VIF"]).mean[0])
    assert found.high[0] == pytest.approx(1)
    assert found.low[0] < found.mean[0] < found.high[0]
