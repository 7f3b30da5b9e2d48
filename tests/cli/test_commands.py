"""`fusejax fuse` and `fusejax evaluate` end to end on made-up pairs, and each way they can be given nonsense."""

import csv
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.cli.evaluate import EvaluateOptions, evaluate_command
from fusejax.cli.fuse import FuseOptions, fuse_command
from fusejax.cli.main import main
from fusejax.data.images import read_image, write_image
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.inference.fuser import Fuser
from fusejax.metrics import evaluate
from fusejax.models import AngularFuseConfig, FusionNetConfig, build
from fusejax.report.scores import Scores
from fusejax.report.tables import comparison_markdown, ranks
from fusejax.weights.files import save_weights

CONFIG = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1)
FEW = ("EN", "SD", "SF", "SCD")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    root = tmp_path_factory.mktemp("pairs")
    write_synthetic_folder(root, count=3, size=(40, 48))
    return root


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    pair = jnp.zeros((1, 8, 8, 1))
    params = jax.jit(build(CONFIG).init)(jax.random.key(0), pair, pair)["params"]
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, params, CONFIG, {})
    return str(path)


@pytest.fixture(scope="module")
def fused(pairs, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("fused")
    fuse_command(FuseOptions(pairs / "ir", pairs / "vi", out, weights=weights, panel=True))
    return out


def options(pairs, *folders, **changes):
    return EvaluateOptions(**({"fused": folders, "ir": pairs / "ir", "vi": pairs / "vi", "metrics": FEW} | changes))


def test_a_folder_equals_its_pictures_one_by_one(pairs, weights, fused):
    names = sorted(p.name for p in (pairs / "vi").iterdir())
    assert sorted(p.name for p in fused.glob("*.png")) == names
    fuser = Fuser.load(weights)
    for name in names:
        alone = fuser.fuse(read_image(pairs / "ir" / name), read_image(pairs / "vi" / name))
        np.testing.assert_array_equal(read_image(fused / name), alone)
    panel = read_image(fused / "panels" / names[0])
    assert panel.shape[1] == 4 * 48 + 3 * 4
    assert panel.shape[0] > 40


def test_two_files_keep_stem_depth_and_lossless_format(pairs, weights, tmp_path):
    ir, vi = pairs / "ir" / "day_000000.png", read_image(pairs / "vi" / "day_000000.png")
    write_image(tmp_path / "deep.tif", vi.astype(np.uint16) * 257)
    write_image(tmp_path / "photo.jpg", vi)
    for name, expected, dtype in (("deep.tif", "deep.tif", np.uint16), ("photo.jpg", "photo.png", np.uint8)):
        (path,) = fuse_command(FuseOptions(ir, tmp_path / name, tmp_path / "out", weights=weights))
        assert path.name == expected
        assert read_image(path).dtype == dtype
        assert read_image(path).shape == vi.shape


def test_nothing_is_overwritten_unless_asked(pairs, weights, fused):
    before = {p: p.read_bytes() for p in fused.glob("*.png")}
    with pytest.raises(FileExistsError, match=r"3 fused pictures are already there.*--overwrite"):
        fuse_command(FuseOptions(pairs / "ir", pairs / "vi", fused, weights=weights))
    assert before == {p: p.read_bytes() for p in fused.glob("*.png")}


def test_sizes_that_differ_are_refused_or_resampled(pairs, weights, tmp_path):
    write_image(tmp_path / "ir" / "a.png", np.full((20, 24), 90, np.uint8))
    write_image(tmp_path / "vi" / "a.png", read_image(pairs / "vi" / "day_000000.png"))
    given = {"ir": tmp_path / "ir", "vi": tmp_path / "vi", "weights": weights}
    with pytest.raises(ValueError, match=r"a\.png is 20x24 but .*a\.png is 40x48(?s:.*)--resize ir"):
        fuse_command(FuseOptions(out=tmp_path / "o", **given))
    assert not (tmp_path / "o").exists()
    (path,) = fuse_command(FuseOptions(out=tmp_path / "o", resize="ir", **given))
    assert read_image(path).shape == (40, 48, 3)


def test_missing_partners_and_mixed_arguments_are_named(pairs, weights, tmp_path):
    write_image(tmp_path / "vi" / "other.png", np.zeros((8, 8, 3), np.uint8))
    write_image(tmp_path / "vi" / "night_000001.png", np.zeros((40, 48, 3), np.uint8))
    with pytest.raises(ValueError, match=r"day_000000\.png has no visible partner"):
        fuse_command(FuseOptions(pairs / "ir", tmp_path / "vi", tmp_path / "o", weights=weights))
    with pytest.raises(ValueError, match="give two files, or two folders"):
        fuse_command(FuseOptions(pairs / "ir", tmp_path / "vi" / "other.png", tmp_path / "o", weights=weights))


def test_scores_are_those_of_the_library(pairs, fused, tmp_path, capsys):
    (scores,) = evaluate_command(options(pairs, fused, convention="cddfuse", out=tmp_path))
    assert "cddfuse" in capsys.readouterr().out
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [r["name"] for r in rows] == ["day_000000", "day_000002", "night_000001"]
    assert list(rows[0]) == ["name", *FEW]
    for row in rows:
        planes = [
            read_image(d / f"{row['name']}.png")[None] / np.float32(255) for d in (fused, pairs / "ir", pairs / "vi")
        ]
        expected = evaluate(*planes, convention="cddfuse", metrics=FEW)
        for metric in FEW:
            assert float(row[metric]) == pytest.approx(float(expected[metric][0]), rel=1e-6)
    document = json.loads((tmp_path / "metrics.json").read_text())
    assert document["convention"] == "cddfuse"
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
    assert "SCD left out" in capsys.readouterr().out
    document = json.loads((tmp_path / "o" / "metrics.json").read_text())
    assert document["left_out_of_mean"]["SCD"] == scores.left_out()["SCD"]


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
    assert (tmp_path / "o" / "a_mean" / "metrics.csv").is_file()


def test_ranks_share_ties_and_put_undefined_last():
    np.testing.assert_array_equal(ranks(np.array([3.0, 1.0, 3.0, np.nan]), metric="EN"), [1.5, 3, 1.5, 4])
    np.testing.assert_array_equal(ranks(np.array([3.0, 1.0, 2.0]), metric="MSE"), [3, 1, 2])


def test_comparison_marks_best_and_second():
    def scores(name, en, mse):
        return Scores(name, "exact", ["x"], {"EN": np.array([en]), "MSE": np.array([mse])})

    text = comparison_markdown([scores("a", 7.0, 3.0), scores("b", 6.0, 1.0), scores("c", 5.0, 2.0)])
    assert "| a | **7.0000** | 3.0000 | 2.00 |" in text
    assert "| b | <u>6.0000</u> | **1.0000** | 1.50 |" in text


def test_folders_that_do_not_fit_are_refused(pairs, fused, tmp_path):
    write_image(tmp_path / "few" / "day_000000.png", np.zeros((40, 48), np.uint8))
    with pytest.raises(ValueError, match="day_000002 is among both sources but not in"):
        evaluate_command(options(pairs, tmp_path / "few"))
    for path in fused.glob("*.png"):
        write_image(tmp_path / "small" / path.name, np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"is 4x4, .* is 40x48"):
        evaluate_command(options(pairs, tmp_path / "small"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no pictures"):
        evaluate_command(options(pairs, tmp_path / "empty"))
    with pytest.raises(ValueError, match="names a folder twice"):
        evaluate_command(options(pairs, fused, fused))


def test_both_commands_from_the_shell(pairs, weights, tmp_path):
    def run(*arguments):
        command = [sys.executable, "-c", "from fusejax.cli.main import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    sources = ("--ir", pairs / "ir", "--vi", pairs / "vi")
    result = run("fuse", *sources, "--out", tmp_path / "f", "--weights", weights)
    assert result.returncode == 0, result.stderr
    assert "fusing 3/3" in result.stderr
    result = run("evaluate", "--fused", tmp_path / "f", *sources, "--metrics", "EN", "SD", "--out", tmp_path / "s")
    assert result.returncode == 0, result.stderr
    assert "convention 'exact'" in result.stdout
    result = run("fuse", *sources, "--out", tmp_path / "f", "--weights", weights)
    assert result.returncode == 2
    assert "already there" in result.stderr
    assert run("melt").returncode == 1
    assert "usage: fusejax COMMAND" in run("--help").stdout


def test_maps_are_written_with_their_scale_and_refused_where_there_are_none(tmp_path, capsys):
    config = FusionNetConfig(widths=(4, 4), attention_width=4, alpha_width=4)
    pair = jnp.zeros((1, 8, 8, 1))
    params = jax.jit(build(config).init)(jax.random.key(0), pair, pair)["params"]
    noise = np.random.default_rng(0)
    params = jax.tree.map(lambda x: x + 0.3 * noise.standard_normal(x.shape, dtype=np.float32), params)
    save_weights(tmp_path / "w.safetensors", params, config, {})
    write_synthetic_folder(tmp_path / "set", count=1, size=(48, 64))
    folders = ["--ir", str(tmp_path / "set" / "ir"), "--vi", str(tmp_path / "set" / "vi")]
    main(["fuse", *folders, "--out", str(tmp_path / "out"), "--weights", str(tmp_path / "w.safetensors"), "--maps"])
    (stem,) = (p.stem for p in (tmp_path / "out").glob("*.png"))
    maps = tmp_path / "out" / "maps"
    assert {p.name for p in maps.iterdir()} == {f"{stem}{s}.png" for s in ("", "_alpha", "_w_ir", "_w_vi")}
    for name in ("alpha", "w_ir", "w_vi"):
        picture = read_image(maps / f"{stem}_{name}.png")
        assert picture.shape == (48, 64, 3)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3  # colours of a map that varies
    with pytest.raises(SystemExit):
        main(["fuse", *folders, "--out", str(tmp_path / "other"), "--maps"])
    assert "AngularFuse has no maps; networks that do: FusionNet." in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
