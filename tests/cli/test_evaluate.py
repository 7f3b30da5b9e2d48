"""`fusejax evaluate` end to end on synthetic pairs, and with every kind of invalid input."""

import csv
import io
import json

import numpy as np
import pytest
from fusing import save_tiny_weights
from rich.console import Console

from fusejax.cli.evaluate import EvaluateOptions, evaluate_command
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.inference import fuse_folder
from fusejax.io.images import read_image, write_image
from fusejax.metrics import evaluate
from fusejax.report.scores import Scores
from fusejax.report.tables import comparison_markdown, ranks, terminal_table

FEW = ("EN", "SD", "SF", "SCD")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic_folder(root, count=3, size=(40, 48))
    return root


@pytest.fixture(scope="module")
def fused(pairs, tmp_path_factory):
    """Writes the plain average, as a method would."""
    out = tmp_path_factory.mktemp("fused")
    for path in (pairs / "vi").iterdir():
        write_image(out / path.name, read_image(path) // 2 + read_image(pairs / "ir" / path.name) // 2)
    return out


def options(pairs, *folders, **changes):
    return EvaluateOptions(**({"fused": folders, "ir": pairs / "ir", "vi": pairs / "vi", "metrics": FEW} | changes))


def test_scores_are_those_of_the_library(pairs, fused, tmp_path, capsys):
    (scores,) = evaluate_command(options(pairs, fused, convention=("cddfuse",), out=tmp_path))
    assert "cddfuse" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [r["name"] for r in rows] == ["day_000000", "day_000002", "night_000001"]
    assert list(rows[0]) == ["convention", "method", "name", *FEW]
    assert {(r["convention"], r["method"]) for r in rows} == {("cddfuse", fused.name)}
    for row in rows:
        planes = [
            read_image(d / f"{row['name']}.png")[None] / np.float32(255) for d in (fused, pairs / "ir", pairs / "vi")
        ]
        expected = evaluate(*planes, convention="cddfuse", metrics=FEW)
        for metric in FEW:
            assert float(row[metric]) == pytest.approx(float(expected[metric][0]), rel=1e-6)
    document = json.loads((tmp_path / "metrics.json").read_text())["cddfuse"][fused.name]
    assert set(document["per_image"]) == set(scores.names)
    assert document["mean"]["SD"] == pytest.approx(np.mean([float(r["SD"]) for r in rows]))
    assert document["mean"] == pytest.approx(scores.means())
    assert read_image(tmp_path / "distributions.png").size > 10_000


def test_undefined_scores_are_counted_and_left_out(pairs, tmp_path, capsys):
    for path in (pairs / "ir").iterdir():
        write_image(tmp_path / "copy" / path.name, read_image(path))
    flat = tmp_path / "copy" / "day_000000.png"
    write_image(flat, np.full((40, 48), 7, np.uint8))
    (scores,) = evaluate_command(options(pairs, tmp_path / "copy", metrics=("EN", "SCD"), out=tmp_path / "o"))
    assert scores.left_out()["SCD"] >= 2  # a copy of a source has no difference to correlate
    assert np.isfinite(scores.means()["EN"])
    assert "SCD omits" in capsys.readouterr().out
    document = json.loads((tmp_path / "o" / "metrics.json").read_text())["exact"]["copy"]
    assert document["left_out_of_mean"]["SCD"] == scores.left_out()["SCD"]


@pytest.mark.slow
def test_weights_fuse_the_sources_before_they_are_scored(pairs, tmp_path):
    weights = save_tiny_weights(tmp_path)
    fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "fused", weights=weights)
    ready, made = evaluate_command(options(pairs, tmp_path / "fused", weights=(weights,)))
    assert (ready.method, made.method) == ("fused", "tiny.safetensors")
    for metric in FEW:
        np.testing.assert_array_equal(made.values[metric], ready.values[metric])
    with pytest.raises(ValueError, match="Nothing to score"):
        evaluate_command(options(pairs))


def test_methods_are_compared(pairs, fused, tmp_path):
    for path in (pairs / "vi").iterdir():
        write_image(tmp_path / "a" / "mean" / path.name, read_image(path) // 2)
        write_image(tmp_path / "b" / "mean" / path.name, read_image(path)[..., :1])
    folders = (fused, tmp_path / "a" / "mean", tmp_path / "b" / "mean")
    results = evaluate_command(options(pairs, *folders, out=tmp_path / "o"))
    assert len({r.method for r in results}) == 3
    text = (tmp_path / "o" / "comparison.md").read_text()
    assert "convention `exact`" in text
    assert text.count("**") >= 2 * len(FEW)
    rows = list(csv.DictReader((tmp_path / "o" / "metrics.csv").open()))
    assert (
        [r["method"] for r in rows[::3]]
        == [r.method for r in results]
        == list(json.loads((tmp_path / "o" / "metrics.json").read_text())["exact"])
    )


def test_ranks_share_ties_and_put_undefined_last():
    np.testing.assert_array_equal(ranks(np.array([3.0, 1.0, 3.0, np.nan]), metric="EN"), [1.5, 3, 1.5, 4])
    np.testing.assert_array_equal(ranks(np.array([3.0, 1.0, 2.0]), metric="MSE"), [3, 1, 2])


def test_comparison_marks_best_and_second():
    def scores(name, en, mse):
        return Scores(name, "exact", ["x"], {"EN": np.array([en]), "MSE": np.array([mse])})

    text = comparison_markdown([scores("a", 7.0, 3.0), scores("b", 6.0, 1.0), scores("c", 5.0, 2.0)])
    assert "| a | **7.0000** | 3.0000 | 2.00 |" in text
    assert "| b | <u>6.0000</u> | **1.0000** | 1.50 |" in text


def test_narrow_terminals_get_a_row_for_each_metric():
    scores = [Scores(name, "exact", ["x"], {m: np.array([123.4567]) for m in FEW}) for name in ("first", "second")]

    def printed(width):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(terminal_table(scores, width=width))
        return [line.split() for line in console.export_text().splitlines() if "123.4567" in line]

    assert [line[1] for line in printed(80)] == ["first", "second"]
    narrow = printed(36)
    assert [line[1] for line in narrow] == list(FEW)
    assert all(line.count("123.4567") == 2 for line in narrow)


def test_folders_that_do_not_fit_are_refused(pairs, fused, tmp_path):
    write_image(tmp_path / "few" / "day_000000.png", np.zeros((40, 48), np.uint8))
    with pytest.raises(ValueError, match="day_000002 is among both sources but not in"):
        evaluate_command(options(pairs, tmp_path / "few"))
    for path in fused.glob("*.png"):
        write_image(tmp_path / "small" / path.name, np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"is 4x4, .* is 48x40"):
        evaluate_command(options(pairs, tmp_path / "small"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty has no images"):
        evaluate_command(options(pairs, tmp_path / "empty"))
    with pytest.raises(ValueError, match="gives the same folder twice"):
        evaluate_command(options(pairs, fused, fused))


@pytest.mark.slow
def test_conventions_score_what_they_define(pairs, fused):
    (scores,) = evaluate_command(options(pairs, fused, convention=("vifb",), metrics=None))
    assert "EN" in scores.values
    assert "SCD" not in scores.values
    for metrics, message in (((), "No metric given"), (("EN", "XX"), "does not define XX")):
        with pytest.raises(ValueError, match=message):
            evaluate_command(options(pairs, fused, metrics=metrics))


def test_several_conventions_in_one_call(pairs, fused, tmp_path, capsys):
    asked = options(pairs, fused, convention=("vifb", "cddfuse"), metrics=("EN", "EI", "MSE"), out=tmp_path)
    (scores,) = evaluate_command(asked)
    printed = capsys.readouterr().out
    assert "convention 'vifb'" in printed and "convention 'cddfuse'" in printed
    assert list(scores.values) == ["EN", "EI"]
    assert {p.name for p in tmp_path.iterdir()} == {
        *("metrics.csv", "metrics.json", "comparison.md", "distributions.png", "distributions_cddfuse.png")
    }
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [r["convention"] for r in rows] == ["vifb"] * 3 + ["cddfuse"] * 3
    assert rows[0]["MSE"] == "" and rows[3]["EI"] == "" and float(rows[3]["MSE"]) > 0
    with pytest.raises(ValueError, match="FMI_pixel: none of the conventions vifb, cddfuse defines it"):
        evaluate_command(options(pairs, fused, convention=("vifb", "cddfuse"), metrics=("EN", "FMI_pixel")))
    with pytest.raises(ValueError, match="No metric given"):
        evaluate_command(options(pairs, fused, convention=("vifb", "cddfuse"), metrics=()))


def test_existing_scores_are_kept_unless_asked(pairs, fused, tmp_path):
    evaluate_command(options(pairs, fused, metrics=("EN",), out=tmp_path))
    with pytest.raises(FileExistsError, match=r"metrics\.csv already exists; use --overwrite"):
        evaluate_command(options(pairs, fused, metrics=("EN",), out=tmp_path))
    evaluate_command(options(pairs, fused, metrics=("EN",), out=tmp_path, overwrite=True))
    with pytest.raises(NotADirectoryError, match="is a file; name a folder"):
        evaluate_command(options(pairs, fused, out=tmp_path / "metrics.csv"))


def test_bad_images_are_left_out_and_infrared_is_resampled(pairs, fused, tmp_path, capsys):
    for path in (pairs / "ir").iterdir():
        write_image(tmp_path / "ir" / path.name, read_image(path)[::2, ::2])
    for path in list(fused.iterdir())[1:]:
        write_image(tmp_path / "few" / path.name, read_image(path))
    with pytest.raises(ValueError, match=r"is 24x20.*--resize ir|(?s:is 24x20.*--resize ir)"):
        evaluate_command(options(pairs, fused, ir=tmp_path / "ir"))
    (scores,) = evaluate_command(
        options(pairs, tmp_path / "few", ir=tmp_path / "ir", metrics=("EN",), resize="ir", skip_bad=True)
    )
    assert len(scores.names) == 2
    assert "skipped: " in capsys.readouterr().out
