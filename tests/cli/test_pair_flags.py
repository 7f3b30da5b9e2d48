"""Commands take pairs in the same ways: patterns, lists, and files that hold both images."""

import dataclasses
import json

import numpy as np
import pytest
from camera_files import dji_jpeg, flir_jpeg
from PIL import Image

from fusejax.cli.main import main
from fusejax.data.config import DataConfig
from fusejax.data.pipeline import open_sources, open_validation
from fusejax.io.images import read_image, write_image

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Sets of two pairs: `flat` with odd names, a list of them, and radiometric files."""
    root, rng = tmp_path_factory.mktemp("sets"), np.random.default_rng(0)
    for n in range(2):
        ir, vi = (rng.integers(0, 256, (48, 64, channels), np.uint8) for channels in (1, 3))
        write_image(root / "flat" / f"{n}-hot.png", ir)
        write_image(root / "flat" / f"{n}-day.png", vi)
        counts = (14000 + 10 * ir[..., 0].astype(np.uint16)).astype(np.uint16)
        (root / "flir").mkdir(exist_ok=True)
        (root / "flir" / f"FLIR{n}.jpg").write_bytes(flir_jpeg(counts, np.repeat(np.repeat(vi, 2, 0), 2, 1)))
    (root / "pairs.csv").write_text("ir,vi\n" + "".join(f"flat/{n}-hot.png,flat/{n}-day.png\n" for n in range(2)))
    return root


def given(root, kind):
    patterns = ["--ir-pattern", "*-hot.*", "--vi-pattern", "*-day.*"]
    return {
        "patterns": ["--ir", root / "flat", *patterns],
        "two folders": ["--ir", root / "flat", "--vi", root / "flat", *patterns],
        "list": ["--ir", root / "pairs.csv"],
        "camera": ["--ir", root / "flir"],
        "one file": ["--ir", root / "flir" / "FLIR0.jpg"],
        "quoted": ["--ir", root / "flir" / "FLIR*.jpg"],
    }[kind]


KINDS = ("patterns", "two folders", "list", "camera", "one file", "quoted")


@pytest.mark.parametrize("kind", KINDS)
def test_sources_are_named_alike(root, tmp_path, weights, kind, capsys):
    sources, fused, count = given(root, kind), tmp_path / "fused", 1 if kind == "one file" else 2
    run("fuse", *sources, "--out", fused, "--weights", weights)
    assert len(list(fused.iterdir())) == count
    run("evaluate", *sources, "--fused", fused, "--weights", weights, "--metrics", "EN", "MI", "--out", tmp_path / "e")
    rows = json.loads((tmp_path / "e" / "metrics.json").read_text())
    text = json.dumps(rows)
    assert all(path.stem in text for path in fused.iterdir())
    means = (tmp_path / "e" / "metrics.csv").read_text().splitlines()[1:]
    values = {tuple(line.split(",")[-2:]) for line in means}
    assert len(values) == count, "the same images score alike, whoever has fused them"
    if kind in ("two folders", "one file", "quoted"):  # as above, and slow
        return
    words = ["--weights", weights, "--degradations", "shift", "--metrics", "MI"]
    run("stress", *sources, *words, "--out", tmp_path / "s", "--write-inputs", tmp_path / "i")
    assert len(list((tmp_path / "i" / "clean" / "ir").iterdir())) == count
    words = ["--fused", f"a={fused}", "--fused", f"b={fused}", "--out", tmp_path / "b"]
    run("blind", *sources, *words)
    assert (tmp_path / "b" / "blind.html").is_file()
    run("register", *sources, "--out", tmp_path / "r")
    assert len(json.loads((tmp_path / "r" / "transforms.json").read_text())) == count


def run(*words):
    main([str(word) for word in words])


def test_sets_of_compare_and_align_are_named_alike(root, tmp_path, weights):
    patterns = ["--ir-pattern", "*-hot.*", "--vi-pattern", "*-day.*"]
    for sets, more in ((["flat"], patterns), (["pairs.csv", "flir"], [])):
        out = tmp_path / sets[0]
        words = ["--sets", *sets, "--weights", weights, "--rules", "average", "--metrics", "EN", *more]
        run("compare", "--data-root", root, *words, "--out", out)
        assert {name for name in sets if (out / name / "average").is_dir()} == set(sets)
    words = ["--target", root / "flat", "--auxiliary", root / "flat", *patterns, "--patch", "16", "--stride", "16"]
    run("align", *words, "--out", tmp_path / "plan.json")
    words = ["--target", root / "flir", "--auxiliary", root / "pairs.csv", "--patch", "16", "--stride", "16"]
    run("align", *words, "--out", tmp_path / "other.json")


def test_training_takes_patterns_lists_and_files_with_both_images(root):
    shared = {"root": str(root), "crop": 16, "com_mask": None}
    flat = DataConfig(**shared, folders=("flat",), validation=("flat",), ir_pattern="*-hot.*", vi_pattern="*-day.*")
    named = DataConfig(**shared, folders=("pairs.csv",), validation=("pairs.csv",))
    for opened in (open_sources, lambda config: [open_validation(config)]):
        (one,), (other,) = opened(flat), opened(named)
        np.testing.assert_array_equal(one[1]["ir"], other[1]["ir"])
        np.testing.assert_array_equal(one[1]["ir"], read_image(root / "flat" / "1-hot.png"))
    camera = DataConfig(**shared, folders=("flir",))
    with pytest.raises(ValueError, match=r"FLIR0\.jpg holds temperatures in degrees Celsius, .*--data\.ir-range LOW"):
        open_sources(camera)
    (found,) = open_sources(dataclasses.replace(camera, ir_range=(0.0, 60.0)))
    pair = found[0]
    assert pair["ir"].dtype == np.uint16 and pair["ir"].shape == (96, 128, 1) and pair["vi"].shape == (96, 128, 3)
    assert np.ptp(pair["ir"]) > 0


def test_training_reads_counts_and_not_the_picture_of_a_drone(tmp_path):
    counts = np.random.default_rng(0).integers(3000, 9000, (120, 160), np.uint16)
    (tmp_path / "DJI_1_T.JPG").write_bytes(dji_jpeg(counts))
    Image.fromarray(np.zeros((120, 160, 3), np.uint8)).save(tmp_path / "DJI_1_V.JPG")
    config = DataConfig(root=str(tmp_path), crop=16, com_mask=None)
    with pytest.raises(ValueError, match=r"DJI_1_T\.JPG holds counts, not a display image"):
        open_sources(config)
    (found,) = open_sources(dataclasses.replace(config, ir_range=(3000.0, 9000.0)))
    expected = np.round(65535 * (counts.astype(np.float64) - 3000) / 6000)
    np.testing.assert_allclose(found[0]["ir"][..., 0], expected, atol=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--ir-pattern", "*_T.*"], "--ir-pattern is given alone"),
        (["--vi-pattern", "*_V.*"], "--vi-pattern is given alone"),
        (["--ir-pattern", "a.png", "--vi-pattern", "b.png"], "give a file name with wildcards"),
        (["--ir-pattern", "x/*.png", "--vi-pattern", "y/*.png"], "give a file name with wildcards"),
    ],
)
@pytest.mark.parametrize("command", ["fuse", "evaluate", "stress", "register"])
def test_patterns_that_cannot_be_meant_are_refused(root, tmp_path, command, words, message, capsys):
    fused = ["--fused", root / "flat"] if command == "evaluate" else []
    with pytest.raises(SystemExit):
        run(command, "--ir", root / "flat", "--vi", root / "flat", *words, *fused, "--out", tmp_path / "o")
    assert message in " ".join(capsys.readouterr().err.split())
