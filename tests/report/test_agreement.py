"""Agreement of evaluators, the effect of a stretch, and paired differences of variants."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from fusejax.evaluation.results import STRETCHED, Scores
from fusejax.report.agreement import agreement_tables, kendall_tau, stretch_tables
from fusejax.report.differences import difference_table, paired_differences


def scores(by_method, *, metrics=("EN", "MSE"), convention="exact", name="a"):
    """Scores from values [images, metrics] by method."""
    values = np.stack([np.asarray(v, float) for v in by_method.values()])[:, None]
    images = tuple(map(str, range(values.shape[2])))
    return Scores(tuple(by_method), images, metrics, values, convention, name=name)


def test_tau_is_that_of_scipy_also_with_ties():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, (2, 30, 9)).astype(np.float64)
    expected = [kendalltau(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(kendall_tau(a, b), expected, atol=1e-12)
    assert np.isnan(kendall_tau(np.ones(4), np.arange(4.0)))


def test_conventions_that_order_inversely_have_a_tau_of_minus_one_and_reverse_every_pair():
    image = np.random.default_rng(1).standard_normal((20, 1))  # an image effect larger than the methods'
    columns = {m: np.concatenate([image + 0.1 * n, -image - 0.1 * n], axis=1) for n, m in enumerate("xyz")}
    first = scores(columns)
    second = scores(columns, convention="tang")
    flipped = scores({m: -v for m, v in columns.items()}, convention="vifb")
    ranks, own, shared, metrics = agreement_tables({"exact": [first], "tang": [second], "vifb": [flipped]}, draws=50)
    assert [row[0].text for row in ranks.rows] == ["z", "y", "x"]
    assert [row[1].text.split()[0] for row in own.rows] == ["1.00", "-1.00", "-1.00"]
    assert "EN, MSE" in shared.caption
    assert [cell.text for cell in metrics.rows[0]] == ["EN", "1.00", "-1.00", "-1.00", "6 of 9"]


def test_a_metric_that_a_convention_lacks_is_not_compared():
    image = np.random.default_rng(1).standard_normal((20, 2))
    first = scores({"x": image, "y": image + 1})
    second = scores({"x": image[:, :1], "y": image[:, :1] + 1}, metrics=("EN",), convention="vifb")
    *_, shared, metrics = agreement_tables({"exact": [first], "vifb": [second]}, draws=20)
    assert "over EN alone" in shared.caption
    assert [[cell.text for cell in row] for row in metrics.rows] == [["EN", "1.00", "0 of 1"], ["MSE", "–", "0 of 0"]]


def test_the_stretch_is_stated_per_metric_and_by_the_rank_that_one_method_gains():
    image = 5 + np.random.default_rng(2).random((20, 1))
    plain = {m: np.concatenate([image + n, image - n], axis=1) for n, m in enumerate("xyz")}
    stretched = {m + STRETCHED: v * [1.5, 2.0] for m, v in plain.items()}
    changes, alone = stretch_tables({"exact": [scores(plain | stretched)]}, draws=50)
    assert [row[1].text for row in changes.rows] == ["+50.0 (+50.0 to +50.0)", "+100.0 (+100.0 to +100.0)"]
    # x is last in EN (worst) and in MSE; stretched, it is first in EN alone and stays last in MSE.
    assert alone.rows[0][1].text == "3.00 → 2.00"


def test_a_difference_is_shown_only_if_seeds_and_images_agree():
    rng = np.random.default_rng(3)
    hard = 10 * rng.standard_normal((1, 3, 40, 1))
    seed = np.array([1.0, -1.0, 0.3]).reshape(1, 3, 1, 1)
    noise = 0.05 * rng.standard_normal((3, 3, 40, 1))
    values = np.concatenate([hard, hard + 0.5, hard + seed]) + noise  # by the seeds alone, not surely
    images = tuple(map(str, range(40)))
    found = Scores(("base", "better", "by luck"), images, ("VIF",), values, "exact", ("0", "1", "2"))
    differences = paired_differences(found, "base")
    assert differences.methods == ("better", "by luck")
    assert differences.shown[:, 0].tolist() == [True, False]
    assert differences.mean[0, 0] == pytest.approx(0.5, abs=0.02)
    assert differences.low[1, 0] < -0.5 and differences.high[1, 0] > 0.5
    table = difference_table(found, "base")
    assert [row[1].tied for row in table.rows] == [False, True]


def test_undefined_values_are_left_out_of_differences():
    values = np.ones((2, 1, 4, 2))
    values[1, 0, 0, 0], values[1, :, :, 1] = np.nan, np.nan
    values[1, 0, 1:, 0] = 2
    found = paired_differences(Scores(("a", "b"), tuple("wxyz"), ("EN", "VIF"), values, "exact"), "a")
    assert found.mean[0, 0] == found.low[0, 0] == found.high[0, 0] == 1
    assert np.isnan(found.mean[0, 1]) and not found.shown[0, 1]
