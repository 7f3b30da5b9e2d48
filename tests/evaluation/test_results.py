"""The table of scores: its means, its parts, and its files."""

import json

import numpy as np
import pytest

from fusejax.evaluation.results import Scores, joined
from fusejax.evaluation.score_files import read_scores, write_scores


@pytest.fixture
def scores():
    """Two methods, three conditions, four images, two metrics; one method lacks a condition."""
    values = np.random.default_rng(0).standard_normal((2, 3, 4, 2))
    values[1, 2] = np.nan
    values[0, 0, 1, 0] = np.nan
    values[0, 0, 2, 1] = np.inf
    return Scores(("a", "b, c"), ("1", "2", "3", "4"), ("EN", "PSNR"), values, "exact", ("clean", "x", "y"), "s/t")


def test_files_hold_the_table_exactly(scores, tmp_path):
    other = Scores(("m",), ("é",), ("SD",), np.full((1, 1, 1, 1), np.nan), "vifb")
    write_scores(tmp_path, [scores, other])
    first, second = read_scores(tmp_path / "metrics.csv")
    for field in ("methods", "images", "metrics", "convention", "conditions", "name"):
        assert getattr(first, field) == getattr(scores, field)
    np.testing.assert_array_equal(first.values, scores.values)
    assert second.methods == ("m",) and second.images == ("é",) and np.isnan(second.values).all()
    lines = (tmp_path / "metrics.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 5 * 4 + 1  # no line for the condition that a method lacks
    assert lines[-1] == ",vifb,m,clean,é,,,nan"
    record = json.loads((tmp_path / "metrics.json").read_text())[0]
    assert (record["set"], record["method"], record["condition"], record["images"]) == ("s/t", "a", "clean", 4)
    assert record["left_out_of_mean"] == {"EN": 1, "PSNR": 1}
    assert record["per_image"]["3"] == {"EN": scores.values[0, 0, 2, 0], "PSNR": None}


def test_older_files_are_read(tmp_path):
    (tmp_path / "metrics.csv").write_text(
        "convention,method,name,EN,MSE\nexact,a,x,1.5,\nexact,a,y,nan,\ncddfuse,a,x,2.5,3.0\ncddfuse,a,y,4.0,5.0\n"
    )
    exact, cddfuse = read_scores(tmp_path / "metrics.csv")
    assert (exact.metrics, exact.conditions, exact.name) == (("EN",), ("clean",), "")
    np.testing.assert_array_equal(exact.of("a", "EN"), [1.5, np.nan])
    np.testing.assert_array_equal(cddfuse.of("a", "MSE"), [3.0, 5.0])


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match=r"a\.csv has no scores: expected the columns method, name"):
        read_scores(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("method,name,EN\na,x,high\n")
    with pytest.raises(ValueError, match=r"a\.csv: could not convert string to float: 'high'"):
        read_scores(tmp_path / "a.csv")


def test_a_method_without_any_value_is_counted_where_there_is_only_one_condition():
    values = np.zeros((2, 1, 3, 1))
    values[1] = np.nan
    alone = Scores(("a", "b"), ("1", "2", "3"), ("EN",), values, "exact")
    assert alone.left_out() == [("b", "EN", 3)]
    both = Scores(
        ("a", "b"),
        ("1", "2", "3"),
        ("EN",),
        np.concatenate([values, 0 * np.zeros_like(values)], 1),
        "exact",
        ("c", "d"),
    )
    assert both.left_out() == [], "a condition that a method lacks"


def test_means_leave_out_and_count_what_is_not_finite(scores):
    mean = scores.mean("a")
    by_condition = [np.mean(scores.values[0, 0, [0, 2, 3], 0]), *scores.values[0, 1:, :, 0].mean(axis=1)]
    assert mean["EN"] == pytest.approx(np.mean(by_condition))
    assert scores.left_out() == [("a", "EN", 1), ("a", "PSNR", 1)]
    assert np.isnan(scores.means()[1, 2]).all()


def test_parts_are_selected_and_joined(scores):
    parts = [scores.select(methods=["b, c"]), scores.select(methods=["a"], conditions=["y", "clean"])]
    again = joined(parts)
    assert (again.methods, again.conditions) == (("b, c", "a"), ("clean", "x", "y"))
    np.testing.assert_array_equal(again.values[0], scores.values[1])
    np.testing.assert_array_equal(again.values[1, [0, 2]], scores.values[0, [0, 2]])
    assert np.isnan(again.values[1, 1]).all()
    other = Scores(("a",), ("1",), ("EN",), np.zeros((1, 1, 1, 1)), "exact")
    with pytest.raises(ValueError, match="differ in their images or metrics"):
        joined([scores, other])


def test_names_must_fit_the_values_and_be_unique():
    with pytest.raises(ValueError, match=r"shape \(1, 1, 1, 1\); the names say \(1, 1, 2, 1\)"):
        Scores(("a",), ("1", "2"), ("EN",), np.zeros((1, 1, 1, 1)), "exact")
    with pytest.raises(ValueError, match="Two methods have the same name: a, a"):
        Scores(("a", "a"), ("1",), ("EN",), np.zeros((2, 1, 1, 1)), "exact")
