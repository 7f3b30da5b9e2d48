"""Comparing methods: what is fused, scored and ranked, and rows measured elsewhere."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from fusejax.cli.compare import CompareOptions, compare_command
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.comparison import ComparedSet, apply_rule, compare_methods
from fusejax.evaluation.comparison_tables import comparison_tables, mean_ranks, means_of, read_rows, write_means
from fusejax.io.images import read_image, write_image
from fusejax.metrics import evaluate
from fusejax.report.scores import Scores

SET = "streets/val"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two pairs, and a folder of another method's results on them: the infrared images."""
    root = tmp_path_factory.mktemp("data")
    write_synthetic_folder(root / SET, count=2, size=(48, 56))
    for path in (root / SET / "ir").iterdir():
        write_image(root / "copies" / SET / path.name, read_image(path))
    return root


@pytest.fixture(scope="module")
def compared(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    rows = out / "rows.md"
    rows.write_text(f"## {SET} (2 pairs)\n\n| row | EN | SSIM |\n|---|---|---|\n| known | 9.5 | 0.1 (1 pair) |\n")
    options = CompareOptions(root, out, (SET,), weights=("light",), others=(root / "copies",), rows=rows, shown=1)
    return options, compare_command(options)


def unit_pairs(root):
    for ir in sorted((root / SET / "ir").iterdir()):
        yield tuple(read_image(path)[None] / np.float32(255) for path in (ir, root / SET / "vi" / ir.name))


@pytest.mark.slow
def test_every_method_is_fused_scored_and_ranked(compared, root):
    options, sets = compared
    assert list(sets[SET]) == ["light", "average", "maximum", "copies", "known"]
    assert sets[SET]["known"] == {"EN": 9.5, "SSIM": 0.1}  # only what all rows have is compared
    place = options.out / "streets_val"
    for method in ("light", "average", "maximum"):
        assert len(list((place / method).glob("*.png"))) == 2
    copied = [evaluate(ir, ir, vi, metrics=("EN",), convention="cddfuse")["EN"][0] for ir, vi in unit_pairs(root)]
    assert sets[SET]["copies"]["EN"] == pytest.approx(np.mean(copied), abs=1e-3)
    text = (options.out / "table.md").read_text()
    assert "| known | **9.500** | 0.100 |" in text
    lines = list(csv.DictReader((options.out / "table.csv").open()))
    assert [line["method"] for line in lines] == list(sets[SET])
    assert read_rows(options.out / "table.csv") == sets
    for name in ("ranks.png", "streets_val/distributions.png", "streets_val/grids/day_000000.png"):
        assert read_image(options.out / name).std() > 5
    assert read_image(options.out / "streets_val/grids/day_000000.png").shape[1] == 3 * 56 + 2 * 4


@pytest.mark.slow
def test_a_finished_comparison_is_not_replaced_and_its_images_are_kept(compared):
    options, _ = compared
    with pytest.raises(FileExistsError, match=r"table\.md already exists; use --overwrite"):
        compare_command(options)


def test_rules_are_what_their_names_say(root, tmp_path):
    for rule, function in (("average", np.mean), ("maximum", np.max)):
        apply_rule(rule, root / SET / "ir", root / SET / "vi", tmp_path / rule)
        ir, vi = (read_image(root / SET / kind / "night_000001.png").astype(float) for kind in ("ir", "vi"))
        luma = np.round(vi @ [0.299, 0.587, 0.114])
        expected = np.round(function([ir[..., 0], luma], axis=0))
        fused = read_image(tmp_path / rule / "night_000001.png")[..., 0]
        np.testing.assert_array_equal(fused, expected)


def test_ranks_are_means_over_metrics_and_sets_and_ties_share():
    sets = {
        "a": {"x": {"EN": 3.0, "CE": 1.0}, "y": {"EN": 2.0, "CE": 2.0}, "z": {"EN": 2.0, "CE": 3.0}},
        "b": {"x": {"EN": 1.0}, "y": {"EN": 2.0}, "only here": {"EN": 9.0}},
    }
    # of x and y alone, since z lacks set b: x is 1, 1 and 2, y is 2, 2 and 1
    assert mean_ranks(sets) == pytest.approx({"x": 4 / 3, "y": 5 / 3})
    assert mean_ranks({"a": sets["a"]}) == pytest.approx({"x": 1.0, "y": 2.25, "z": 2.75})  # CE: lower is better
    assert "| y | 2.000 | 2.000 |" in comparison_tables({"a": sets["a"]}, convention="exact")


def test_rows_are_read_as_they_were_written(tmp_path):
    sets = {"a/b": {"m": {"EN": 1.25, "SD": math.nan}, "n": {"EN": 2.5, "SD": 3.0}}}
    write_means(tmp_path / "t.csv", sets)
    found = read_rows(tmp_path / "t.csv")
    assert found["a/b"]["n"] == sets["a/b"]["n"]
    assert math.isnan(found["a/b"]["m"]["SD"])


def test_tables_of_a_model_card_are_rows(tmp_path):
    (tmp_path / "card.md").write_text(
        "# Card\n\n| | |\n|---|---|\n| data | some |\n\n**one/val**\n\n| row | EN | speed | SCD |\n|---|---|---|---|\n"
        "| **ours** | 7.1 | 3 | undefined |\n\n## two (8 pairs)\n| row | EN |\n|---|---|\n| theirs | 6.5 |\n"
    )
    found = read_rows(tmp_path / "card.md")
    assert found["one/val"]["ours"]["EN"] == 7.1
    assert found["one/val"]["ours"].keys() == {"EN", "SCD"}  # `speed` is no metric
    assert math.isnan(found["one/val"]["ours"]["SCD"])
    assert found["two"] == {"theirs": {"EN": 6.5}}


def test_files_without_means_are_refused(tmp_path):
    (tmp_path / "t.md").write_text("| a | b |\n|---|---|\n| 1 | 2 |\n")
    with pytest.raises(ValueError, match=r"t\.md has no means: expected a CSV with the columns set, method"):
        read_rows(tmp_path / "t.md")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": ("median",)}, "Unknown rule 'median'; the rules are average, maximum"),
        ({"rules": ()}, "Nothing to compare"),
        ({"rules": ("average", "average")}, "Two methods have the same name: average, average"),
        ({"weights": ("nothing",)}, "No weights at nothing"),
        ({"others": {"other": "elsewhere"}}, "elsewhere has no subfolder streets/val"),
    ],
)
def test_what_cannot_be_compared_is_said_before_any_work(root, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        compare_methods(root, [SET, "streets/val/."], tmp_path, **({"rules": ("average",)} | options))
    assert not list(tmp_path.iterdir())


def test_rows_that_share_no_metric_are_refused():
    scores = Scores("ours", "exact", ["p"], {"EN": np.array([1.0])})
    compared = ComparedSet("a", [scores], {}, Path(), Path())
    assert means_of([compared], {"a": {"theirs": {"EN": 2.0}, "ours": {"EN": 9.0}}}) == {
        "a": {"ours": {"EN": 1.0}, "theirs": {"EN": 2.0}}
    }
    with pytest.raises(ValueError, match="a: the rows share no metric with EN"):
        means_of([compared], {"a": {"theirs": {"SD": 2.0}}})
