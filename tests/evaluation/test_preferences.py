"""Counting what viewers preferred, against closed forms and a general optimizer."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import minimize

from fusejax.evaluation.preferences import Choice, agreement, bradley_terry, merits, predictions, preferences
from fusejax.evaluation.results import Scores


def choice(left, right, side, *, image="a", viewer="x"):
    return Choice(viewer, image, left, right, side)


def test_two_methods_have_the_closed_form():
    ability = bradley_terry(np.float64([[0, 30], [10, 0]]))
    assert ability[0] - ability[1] == pytest.approx(np.log(30.5 / 10.5), abs=1e-6)
    assert ability.sum() == pytest.approx(0, abs=1e-9)


def test_abilities_maximize_the_likelihood(rng):
    won = rng.integers(1, 9, (4, 4)).astype(float)
    np.fill_diagonal(won, 0)

    def loss(free):
        ability = np.append(free, -free.sum())
        chance = 1 / (1 + np.exp(ability[None] - ability[:, None]))
        return -((won + 0.5 * (1 - np.eye(4))) * np.log(chance)).sum()

    best = minimize(loss, np.zeros(3), tol=1e-12).x
    np.testing.assert_allclose(bradley_terry(won), np.append(best, -best.sum()), atol=1e-4)


def test_a_method_that_always_wins_is_first_with_an_interval_that_says_so():
    choices = [choice("good", "bad", "left", image=str(n)) for n in range(9)]
    choices += [choice("bad", "good", "right", image=str(n)) for n in range(9)]
    first, last = preferences(choices)
    assert (first.method, first.wins, first.ties, first.losses) == ("good", 18, 0, 0)
    assert (last.wins, last.losses) == (0, 18)
    assert 0 < first.low <= first.ability <= first.high


def test_the_interval_holds_95_percent_of_the_draws_of_images():
    """Two methods on 40 images, so that the number of wins in a draw is binomial."""
    choices = [choice("a", "b", "left" if n < 24 else "right", image=f"{n:02d}") for n in range(40)]
    first, _ = preferences(choices)
    wins = np.random.default_rng(1).binomial(40, 0.6, 100_000)
    low, high = np.quantile(np.log((wins + 0.5) / (40 - wins + 0.5)) / 2, (0.025, 0.975))
    assert (first.low, first.high) == pytest.approx((low, high), abs=0.06)  # one win more or less is 0.05


def test_sides_do_not_matter_and_ties_count_half():
    one = [choice("a", "b", "left"), choice("a", "b", "equal"), choice("b", "a", "left", image="c")]
    other = [choice("b", "a", "right"), choice("b", "a", "equal"), choice("a", "b", "right", image="c")]
    assert preferences(one) == preferences(other)
    assert [row.ability for row in preferences(one)] == pytest.approx([0, 0], abs=1e-9)


def test_agreement_is_the_share_of_equal_answers_of_two_viewers():
    assert agreement([choice("a", "b", "left")]) is None
    answers = [choice("a", "b", "left"), choice("b", "a", "right", viewer="y")]
    assert agreement(answers) == 1
    answers += [choice("a", "b", "left", image="q"), choice("a", "b", "equal", image="q", viewer="y")]
    assert agreement(answers) == 0.5
    assert agreement([*answers, choice("a", "b", "right")]) == pytest.approx(1 / 3), "not with one's own answers"


def test_metrics_that_predict_choices_are_found():
    choices = [choice("a", "b", "left"), choice("a", "b", "right", image="c"), choice("a", "b", "equal", image="d")]
    values = {("a", "a"): 2.0, ("b", "a"): 1.0, ("a", "c"): 1.0, ("b", "c"): 2.0}
    down = {key: -value for key, value in values.items()}
    scores = {"up": values, "down": down, "flat": dict.fromkeys(values, 1.0), "nan": dict.fromkeys(values, np.nan)}
    found = predictions(choices, scores)
    assert found["up"] == (1.0, 2)
    assert found["down"] == (0.0, 2)
    assert found["flat"] == (0.5, 2)
    assert np.isnan(found["nan"][0])


def test_scores_become_merits_by_convention_set_and_image():
    """Veil is best at 0, below and above which it is a fault, and saturation at 1."""
    values = np.array([[[[3.0, 0.9]]], [[[-1.0, 1.3]]]])
    scores = Scores(("a", "b"), ("x",), ("veil", "saturation"), values, "look", name="night")
    found = merits([scores, dataclasses.replace(scores, name="", convention="")])
    assert found["look veil"] == {("a", "night/x"): -3.0, ("b", "night/x"): -1.0}
    assert found["saturation"] == pytest.approx({("a", "x"): -0.1, ("b", "x"): -0.3})


def test_no_answers_are_no_preference():
    with pytest.raises(ValueError, match="no answers"):
        preferences([])
