"""`fusejax evaluate` end to end on synthetic pairs, and with every kind of invalid input."""

import csv
import json

import cv2
import numpy as np
import pytest
from fusing import save_tiny_weights

from fusejax.cli.evaluate import EvaluateOptions, evaluate_command
from fusejax.cli.main import main
from fusejax.evaluation.score_files import read_scores
from fusejax.inference import fuse_folder
from fusejax.io.images import read_image, write_image
from fusejax.metrics import evaluate

FEW = ("EN", "SD", "SF", "SCD")


@pytest.fixture(scope="module")
def fused(pairs, tmp_path_factory):
    """Writes the plain average, as a method would."""
    out = tmp_path_factory.mktemp("fused")
    for path in (pairs / "vi").iterdir():
        write_image(out / path.name, read_image(path) // 2 + read_image(pairs / "ir" / path.name) // 2)
    return out


def options(pairs, *folders, weights=(), **changes):
    given = {"fused": tuple((str(folder),) for folder in folders), "weights": tuple((str(w),) for w in weights)}
    return EvaluateOptions(**(given | {"ir": pairs / "ir", "vi": pairs / "vi", "metrics": FEW} | changes))


def make(folder):
    folder.mkdir(exist_ok=True)
    return folder


def records(out):
    return {(r["convention"], r["method"]): r for r in json.loads((out / "metrics.json").read_text())}


def test_scores_are_those_of_the_library(pairs, fused, tmp_path, capsys):
    (scores,) = evaluate_command(options(pairs, fused, convention=("cddfuse",), out=tmp_path))
    assert "cddfuse" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [r["name"] for r in rows] == ["day_000000", "day_000002", "night_000001"]
    assert list(rows[0]) == ["set", "convention", "method", "condition", "name", *FEW]
    assert {(r["convention"], r["method"]) for r in rows} == {("cddfuse", fused.name)}
    for row in rows:
        planes = [
            read_image(d / f"{row['name']}.png")[None] / np.float32(255) for d in (fused, pairs / "ir", pairs / "vi")
        ]
        expected = evaluate(*planes, convention="cddfuse", metrics=FEW)
        for metric in FEW:
            assert float(row[metric]) == pytest.approx(float(expected[metric][0]), rel=1e-6)
    document = records(tmp_path)["cddfuse", fused.name]
    assert set(document["per_image"]) == set(scores.images)
    assert document["mean"]["SD"] == pytest.approx(np.mean([float(r["SD"]) for r in rows]))
    assert document["mean"] == pytest.approx(scores.mean(fused.name))
    (read,) = read_scores(tmp_path / "metrics.csv")
    assert (read.methods, read.images, read.metrics) == (scores.methods, scores.images, scores.metrics)
    np.testing.assert_array_equal(read.values, scores.values)


def test_undefined_scores_are_counted_and_left_out(pairs, tmp_path, capsys):
    for path in (pairs / "ir").iterdir():
        write_image(tmp_path / "copy" / path.name, read_image(path))
    flat = tmp_path / "copy" / "day_000000.png"
    write_image(flat, np.full((40, 48), 7, np.uint8))
    (scores,) = evaluate_command(options(pairs, tmp_path / "copy", metrics=("EN", "SCD"), out=tmp_path / "o"))
    ((method, metric, count),) = scores.left_out()
    assert (method, metric) == ("copy", "SCD")
    assert count >= 2  # a copy of a source has no difference to correlate
    assert np.isfinite(scores.mean("copy")["EN"])
    assert f"copy: the mean of SCD omits {count} of 3 images" in capsys.readouterr().out
    assert records(tmp_path / "o")["exact", "copy"]["left_out_of_mean"] == {"SCD": count}


@pytest.mark.slow
def test_weights_fuse_the_sources_before_they_are_scored(pairs, tmp_path):
    weights = save_tiny_weights(tmp_path)
    fuse_folder(pairs / "ir", pairs / "vi", tmp_path / "fused", weights=weights)
    (scores,) = evaluate_command(options(pairs, tmp_path / "fused", weights=(weights,)))
    assert scores.methods == ("tiny", "fused")
    np.testing.assert_array_equal(scores.values[0], scores.values[1])
    with pytest.raises(ValueError, match="Nothing to score"):
        evaluate_command(options(pairs))


def test_methods_are_compared(pairs, fused, tmp_path):
    for path in (pairs / "vi").iterdir():
        write_image(tmp_path / "a" / "mean" / path.name, read_image(path) // 2)
        write_image(tmp_path / "b" / "mean" / path.name, read_image(path)[..., :1])
    folders = (fused, tmp_path / "a" / "mean", tmp_path / "b" / "mean")
    (scores,) = evaluate_command(options(pairs, *folders, out=tmp_path / "o"))
    assert scores.methods == (fused.name, "a", "b")  # the parts in which the paths differ
    text = (tmp_path / "o" / "table.md").read_text()
    assert "convention exact" in text
    assert text.count("**") >= 2 * len(FEW)
    best = max(scores.methods, key=lambda method: scores.mean(method)["SD"])
    (line,) = [x for x in (tmp_path / "o" / "table.tex").read_text().splitlines() if x.startswith(f"{best} &")]
    assert f"\\textbf{{{scores.mean(best)['SD']:.2f}}}" in line
    rows = list(csv.DictReader((tmp_path / "o" / "metrics.csv").open()))
    assert tuple(r["method"] for r in rows[::3]) == scores.methods
    assert [method for _, method in records(tmp_path / "o")] == list(scores.methods)


def test_names_are_given_and_no_folder_of_this_machine_is_told(pairs, fused, tmp_path, capsys):
    arguments = ["evaluate", "--ir", str(pairs / "ir"), "--vi", str(pairs / "vi"), "--metrics", "EN"]
    names = [f"mine={fused}", str(tmp_path / "again")]
    for path in fused.glob("*.png"):
        write_image(tmp_path / "again" / path.name, read_image(path))
    weights = ["--weights", "x=average", "--weights", "maximum"]
    main([*arguments, "--fused", *names, *weights, "--out", str(tmp_path / "o")])
    said = capsys.readouterr().out
    files = ("metrics.csv", "metrics.json", "table.md", "table.tex")
    written = "".join((tmp_path / "o" / name).read_text() for name in files)
    assert "convention exact" in said
    for text in (said.replace(str(tmp_path), ""), written):
        assert "tmp" not in text
        assert all(name in text for name in ("x", "maximum", "mine", "again"))
    (scores,) = read_scores(tmp_path / "o" / "metrics.csv")
    assert scores.methods == ("x", "maximum", "mine", "again")
    with pytest.raises(SystemExit):
        main([*arguments, "--fused", f"x={fused}", "--weights", "x=average"])
    assert "Two methods are called x; give one another name" in capsys.readouterr().err


def test_raw_thermal_is_scored_as_the_network_saw_it(pairs, tmp_path):
    """Counts of 14 bits, and degrees in a float TIFF: the scene of the 8-bit images."""
    for path in (pairs / "ir").iterdir():
        levels = read_image(path)[..., 0].astype(np.float64)
        write_image(tmp_path / "counts" / path.name, (7000 + 4 * levels).astype(np.uint16))
        cv2.imwrite(str(make(tmp_path / "degrees") / f"{path.stem}.tif"), (levels / 10 - 5).astype(np.float32))
    expected = None
    for kind, ends in (("ir", "full"), ("counts", (7000.0, 8020.0)), ("degrees", (-5.0, 20.5))):
        sources = pairs if kind == "ir" else tmp_path
        (scores,) = evaluate_command(options(pairs, ir=sources / kind, weights=("average",), ir_range=ends))
        expected = scores.values if expected is None else expected
        np.testing.assert_allclose(scores.values, expected, rtol=2e-3)
    with pytest.warns(UserWarning, match="mapped to black and white"):
        (raw,) = evaluate_command(options(pairs, ir=tmp_path / "counts", weights=("average",), metrics=("MI", "CC")))
    folder = tmp_path / "fused"
    fuse_folder(tmp_path / "counts", pairs / "vi", folder, weights="average")
    (full,) = evaluate_command(options(pairs, folder, ir=tmp_path / "counts", ir_range="full", metrics=("MI", "CC")))
    assert full.mean("fused")["MI"] < 0.7 * raw.mean("average")["MI"], "the image that the network never saw"


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
    with pytest.raises(ValueError, match="The same method is given twice"):
        evaluate_command(options(pairs, fused, fused))


@pytest.mark.slow
def test_conventions_score_what_they_define(pairs, fused):
    (scores,) = evaluate_command(options(pairs, fused, convention=("vifb",), metrics=None))
    assert "EN" in scores.metrics
    assert "SCD" not in scores.metrics
    for metrics, message in (((), "No metric given"), (("EN", "XX"), "does not define XX")):
        with pytest.raises(ValueError, match=message):
            evaluate_command(options(pairs, fused, metrics=metrics))


def test_several_conventions_in_one_call(pairs, fused, tmp_path, capsys):
    asked = options(pairs, fused, convention=("vifb", "cddfuse"), metrics=("EN", "EI", "MSE"), out=tmp_path)
    vifb, cddfuse = evaluate_command(asked)
    printed = capsys.readouterr().out
    assert "convention vifb" in printed and "convention cddfuse" in printed
    assert (vifb.metrics, cddfuse.metrics) == (("EN", "EI"), ("EN", "MSE"))
    tables = ("metrics.csv", "metrics.json", "table.md", "table.tex")
    assert {p.name for p in tmp_path.iterdir()} == {*tables, "distributions.png", "distributions_cddfuse.png"}
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
    assert len(scores.images) == 2
    assert "skipped: " in capsys.readouterr().out
