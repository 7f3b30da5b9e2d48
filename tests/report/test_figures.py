"""Figures and panels are tested by what they show: numbers, bars, captions."""

import cv2
import numpy as np
import pytest

from fusejax.evaluation.results import Group, Scores
from fusejax.io.images import read_image
from fusejax.io.panels import labeled_row, side_by_side, stacked
from fusejax.report import plots
from fusejax.report.curves import draw_grid, draw_metric, mean_and_error
from fusejax.report.ranking import rank


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, instead of their files."""
    found = []
    monkeypatch.setattr(plots, "save_figure", lambda path, figure, dpi: found.append(figure))
    return found


@pytest.fixture
def scores():
    values = np.random.default_rng(0).standard_normal((2, 4, 6, 1)) + 5
    values[1] += 1
    conditions = ("clean", "n1", "n2", "dead")
    return Scores(("a", "b"), tuple("123456"), ("EN",), values, "exact", conditions)


GROUPS = [Group("noise", ("n1", "n2"), ("5", "10"), "levels"), Group("dead", ("dead",), ("",))]


def test_the_band_of_a_curve_is_the_standard_error_of_the_mean(scores):
    """R13: with n - 1 in the variance; two numbers by hand."""
    mean, error = mean_and_error(np.array([[1.0, 3.0, np.nan], [2.0, 2.0, 2.0]]))
    np.testing.assert_allclose(mean, [2.0, 2.0])
    np.testing.assert_allclose(error, [np.sqrt(2) / np.sqrt(2), 0.0])  # s of (1, 3) is sqrt(2); n is 2
    figure = draw_metric(scores, GROUPS, "EN")
    curves, bars = figure.axes[:2]
    assert (curves.get_title(), curves.get_xlabel()) == ("noise", "levels")
    assert [label.get_text() for label in curves.get_xticklabels()] == ["clean", "5", "10"]
    for m, (line, band) in enumerate(zip(curves.lines, curves.collections, strict=True)):
        expected = scores.values[m, :3, :, 0]
        np.testing.assert_allclose(line.get_ydata(), expected.mean(axis=1))
        error = expected.std(axis=1, ddof=1) / np.sqrt(6)
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.max() == pytest.approx((expected.mean(axis=1) + error).max())
        assert heights.min() == pytest.approx((expected.mean(axis=1) - error).min())
    np.testing.assert_allclose([bar.get_height() for bar in bars.patches], scores.values[:, 3, :, 0].mean(axis=1))
    centers = [bar.get_x() + bar.get_width() / 2 for bar in bars.patches]
    assert centers == pytest.approx([-0.2, 0.2]), "side by side around the tick"
    assert "EN (higher is better): 6 pairs" in figure.get_suptitle()


def test_boxes_show_the_values_of_each_method(scores, figures, tmp_path):
    plots.plot_distributions(tmp_path / "x.png", scores)
    (axis,) = [axis for axis in figures[0].axes if axis.get_title()]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]
    assert axis.get_title() == "EN (higher is better)"
    medians = sorted({float(line.get_xdata()[0]) for line in axis.lines if len(set(line.get_xdata())) == 1})
    for values in scores.values[:, 0, :, 0]:
        assert any(np.isclose(np.median(values), x) for x in medians)


def test_bars_of_ranks_are_the_means_and_their_whiskers_the_intervals(scores, figures, tmp_path):
    scores.values[1] += 0.1 - (scores.values[1] - scores.values[0]).mean()  # ahead by less than chance
    ranking = rank([scores])
    assert (ranking.low < ranking.mean).any() and (ranking.high > ranking.mean).any()
    plots.plot_ranks(tmp_path / "x.png", ranking, {"s": ranking})
    (axis,) = figures[0].axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "a"]  # the best first
    np.testing.assert_allclose([bar.get_width() for bar in axis.patches], ranking.mean[[1, 0]])
    ends = sorted(path.vertices[:, 0].tolist() for path in axis.collections[0].get_paths())
    assert ends == sorted([ranking.low[n], ranking.high[n]] for n in (0, 1))


def test_panels_show_their_images_with_a_caption_above_each():
    """R7: the text of each caption begins above its own image."""
    levels = (51, 102, 204)
    names = ("one", "two", "x")
    images = {name: np.full((40, 60, 1), n / 255, np.float32) for name, n in zip(names, levels, strict=True)}
    row = labeled_row(images)
    caption = row.shape[0] - 40
    for n, gray in enumerate(levels):
        left = n * 64
        assert (row[caption:, left : left + 60] == gray).all()
        text = row[:caption, left : left + 60] < 128
        assert text.any()
        assert text[:, :30].any(), "begins at the left end of its image"
    assert (row[caption:, 60:64] == 255).all()
    np.testing.assert_array_equal(row[caption:], side_by_side(list(images.values())))


def test_stacked_rows_keep_their_pixels():
    rows = [np.full((4, 6, 3), 10, np.uint8), np.full((5, 3, 3), 20, np.uint8)]
    found = stacked(rows, gap=2)
    assert found.shape == (11, 6, 3)
    assert (found[:4] == 10).all() and (found[6:, :3] == 20).all()
    assert (found[4:6] == 255).all() and (found[6:, 3:] == 255).all()


def test_the_grid_shows_each_condition_under_its_title(tmp_path):
    images = {name: np.full((150, 200, 1), gray, np.uint8) for name, gray in (("infrared", 40), ("a", 200))}
    draw_grid(tmp_path / "grid.png", {"clean": images, "noise, 5 levels": images})
    grid = read_image(tmp_path / "grid.png")
    assert grid.shape[1] == 2 * (2 * 200 + 4 + 16)  # two blocks beside each other
    for left in (0, 420):
        assert (grid[-150:, left : left + 200] == 40).all() and (grid[-150:, left + 204 : left + 404] == 200).all()
        assert (grid[:22, left : left + 200] < 128).any(), "the title"
    assert cv2.imread(str(tmp_path / "grid.png")).shape == grid.shape
