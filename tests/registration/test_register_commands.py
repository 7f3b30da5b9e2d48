"""`fusejax register` and `fusejax fuse --register` on files."""

import base64
import dataclasses
import io
import json
import re

import cv2
import numpy as np
import pytest
from PIL import Image
from test_registration import scene

from fusejax.cli.evaluate import EvaluateOptions, evaluate_command
from fusejax.cli.evaluate import run as evaluate
from fusejax.cli.fuse import run as fuse
from fusejax.cli.parsing import parse
from fusejax.cli.register import run as register
from fusejax.cli.stress import run as stress
from fusejax.io.align import AlignError
from fusejax.registration import RegisterInfrared, Rig, corner_error, read_rig, write_rig
from fusejax.registration.made_up import deformed_pair

pytestmark = pytest.mark.optimized


def folders(root, pairs):
    """Writes pairs as 8-bit images and returns the options that name them."""
    for n, (ir, vi) in enumerate(pairs):
        for kind, image in (("ir", ir), ("vi", vi)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / kind / f"{n}.png"), np.round(255 * np.clip(image, 0, 1)).astype(np.uint8))
    return ["--ir", str(root / "ir"), "--vi", str(root / "vi")]


def shifted_rig(x):
    matrix = np.array([[1, 0, x], [0, 1, 0], [0, 0, 1.0]])
    return Rig(matrix, (48, 64), (48, 64), "translation", 0.1, 1, 1)


@pytest.mark.slow
def test_an_aligner_with_a_rig_shifts_infrared_and_masks_what_it_does_not_show():
    ir = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64, 1)
    done = RegisterInfrared(shifted_rig(5))(ir, np.zeros((48, 64, 3), np.uint8))
    np.testing.assert_array_equal(done.ir[:, :59], ir[:, 5:])
    assert done.ir.dtype == np.uint16
    assert done.share[:, :55].min() == 1 and done.share[:, 59:].max() == 0
    assert (np.abs(np.diff(done.share[:, 54:60, 0], axis=1)) < 0.4).all()  # it fades


def test_a_pair_that_cannot_be_registered_is_refused_with_its_name():
    flat = np.zeros((64, 64, 1), np.uint8)
    with pytest.raises(AlignError, match="street: the pair cannot be registered: the infrared image is flat"):
        RegisterInfrared()(flat, flat, name="street")


@pytest.mark.slow
def test_fuse_takes_a_rig_and_keeps_the_visible_image_outside_infrared(tmp_path, capsys):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    write_rig(tmp_path / "rig.json", shifted_rig(20))
    fuse([*sources, "--out", str(tmp_path / "out"), "--register", str(tmp_path / "rig.json")])
    fused, vi = (cv2.imread(str(tmp_path / kind / "0.png"), 0).astype(int) for kind in ("out", "vi"))
    assert np.abs(fused - vi)[:, 46:].max() <= 1
    assert np.abs(fused - vi)[:, :40].mean() > 2


def test_fuse_names_a_rig_that_is_not_there(tmp_path):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    with pytest.raises(ValueError, match="--register nowhere is none of auto, rig, pair, nor a file"):
        fuse([*sources, "--out", str(tmp_path / "out"), "--register", "nowhere"])


def rig_file(root, **changes):
    write_rig(root / "rig.json", dataclasses.replace(shifted_rig(20), **changes))
    return ["--register", str(root / "rig.json")]


def test_a_damaged_rig_stops_every_command_before_any_work(tmp_path):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    rig = rig_file(tmp_path)
    (tmp_path / "rig.json").write_text((tmp_path / "rig.json").read_text()[:100])
    (tmp_path / "fused").mkdir()
    cv2.imwrite(str(tmp_path / "fused" / "0.png"), np.zeros((48, 64), np.uint8))
    given = [*sources, *rig, "--out", str(tmp_path / "out")]
    for command, more in (
        (fuse, []),
        (evaluate, ["--fused", str(tmp_path / "fused")]),
        (stress, ["--weights", "light"]),
    ):
        with pytest.raises(ValueError, match=r"rig\.json is no rig: malformed JSON"):
            command([*given, *more])
        assert not (tmp_path / "out").exists()


def test_a_rig_of_another_aspect_names_pair_and_sizes(tmp_path):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    rig = rig_file(tmp_path, vi_size=(30, 64))
    with pytest.raises(ValueError, match=r"0: the rig was found on visible images of 64x30 .* have 64x48"):
        fuse([*sources, *rig, "--out", str(tmp_path / "out"), "--weights", "average"])


def test_fuse_keeps_the_grid_that_is_asked_for(tmp_path):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    rig = rig_file(tmp_path)
    for grid, width in (("vi", 64), ("ir", 64), ("common", 44)):
        out = tmp_path / f"on_{grid}"
        fuse([*sources, *rig, "--out", str(out), "--weights", "average", "--frame", grid])
        fused = cv2.imread(str(out / "0.png"), 0)
        assert fused.shape == (48, width)
    with pytest.raises(ValueError, match="--frame common is for files that hold both images, and for --register"):
        fuse([*sources, "--out", str(tmp_path / "out"), "--frame", "common"])


def test_scores_of_unregistered_pairs_equal_those_of_registered_ones(tmp_path, capsys):
    """Warping while scoring is the same as warping the files first."""
    sources = folders(tmp_path / "a", [scene(n, size=(48, 64)) for n in range(2)])
    rig = rig_file(tmp_path)
    step = RegisterInfrared(tmp_path / "rig.json")
    (tmp_path / "b" / "ir").mkdir(parents=True)
    for n in range(2):
        ir, vi = (cv2.imread(str(tmp_path / "a" / kind / f"{n}.png"), 0)[..., None] for kind in ("ir", "vi"))
        done = step(ir, vi)
        mixed = vi + done.share * (done.ir.astype(np.float32) - vi)
        cv2.imwrite(str(tmp_path / "b" / "ir" / f"{n}.png"), np.round(mixed).astype(np.uint8))
    registered = ["--ir", str(tmp_path / "b" / "ir"), "--vi", str(tmp_path / "a" / "vi")]
    common = ["--weights", "average", "--metrics", "EN", "CC", "PSNR", "--out"]
    first = evaluate_command(parse(EvaluateOptions, "evaluate", [*sources, *rig, *common, str(tmp_path / "1")]))
    second = evaluate_command(parse(EvaluateOptions, "evaluate", [*registered, *common, str(tmp_path / "2")]))
    np.testing.assert_allclose(first[0].values, second[0].values, rtol=2e-3)


@pytest.mark.slow
def test_stress_registers_before_it_degrades(tmp_path):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    given = [*sources, *rig_file(tmp_path), "--write-inputs", str(tmp_path / "out"), "--degradations", "blur"]
    stress(given)
    ir, moved = (
        cv2.imread(str(p), 0) for p in (tmp_path / "ir" / "0.png", tmp_path / "out" / "clean" / "ir" / "0.png")
    )
    np.testing.assert_allclose(moved[:, :40], ir[:, 20:60], atol=1)


def test_a_refused_pair_has_no_images(tmp_path, capsys):
    flat = np.full((48, 64), 0.5, np.float32)
    register([*folders(tmp_path, [(flat, flat)]), "--out", str(tmp_path / "out")])
    assert "0 of 1 pairs registered" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["transforms.json"]
    assert json.loads((tmp_path / "out" / "transforms.json").read_text())["0"]["refused"]


@pytest.mark.slow
def test_register_writes_transforms_images_and_a_rig(tmp_path, capsys):
    pairs = [deformed_pair(*scene(seed), name="same", level="E") for seed in range(2)]
    sources = folders(tmp_path, [(ir, vi) for ir, vi, _ in pairs])
    register([*sources, "--out", str(tmp_path / "out"), "--rig"])
    assert "2 of 2 pairs registered" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "transforms.json").read_text())
    size = pairs[0][1].shape
    for one in found.values():
        assert not one["refused"]
        assert corner_error(np.array(one["matrix"]), pairs[0][2], size=size) < 1
    assert corner_error(read_rig(tmp_path / "out" / "rig.json").matrix, pairs[0][2], size=size) < 1
    assert all((tmp_path / "out" / kind / "1.png").is_file() for kind in ("ir", "mask", "overlay", "checkerboard"))
    with pytest.raises(FileExistsError, match="use --overwrite"):
        register([*sources, "--out", str(tmp_path / "out")])


def test_the_page_shows_overlays_before_and_after_registration(tmp_path):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    given = [*sources, *rig_file(tmp_path), "--weights", "average", "--metrics", "EN", "--page", str(tmp_path / "page")]
    evaluate(given)
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    layers = {layer["title"]: layer["uri"] for layer in data["images"][0]["layers"]}
    assert list(layers) == ["infrared", "visible", "average", "overlay as taken", "overlay registered"]
    files = {title: io.BytesIO(base64.b64decode(uri.split(",")[1])) for title, uri in layers.items()}
    images = {title: np.asarray(Image.open(file)) for title, file in files.items()}
    taken, registered = images["overlay as taken"].astype(int), images["overlay registered"].astype(int)
    np.testing.assert_array_equal(taken[..., 1], registered[..., 1])  # the visible image stays
    # Infrared moves by 20 pixels; each overlay has its own contrast.
    assert np.corrcoef(taken[:, 20:, 0].ravel(), registered[:, :44, 0].ravel())[0, 1] > 0.99
    assert np.corrcoef(taken[..., 0].ravel(), registered[..., 0].ravel())[0, 1] < 0.8
    assert registered[:, 46:, 0].max() == 0


def test_a_pair_in_the_wrong_order_is_refused_by_name_or_left_out(tmp_path, capsys):
    ir, vi = scene(size=(64, 64))
    for name, color in (("first", True), ("second", False)):
        for kind, gray in (("ir", ir), ("vi", vi)):
            (tmp_path / kind).mkdir(exist_ok=True)
            image = np.round(255 * np.clip(gray, 0, 1)).astype(np.uint8)
            # Swapped: the infrared file is the one with colors.
            colored = color and kind == "ir"
            pixels = np.stack([image, image // 2, 255 - image], axis=-1) if colored else image
            cv2.imwrite(str(tmp_path / kind / f"{name}.png"), pixels)
    flat = np.full((64, 64), 90, np.uint8)
    cv2.imwrite(str(tmp_path / "ir" / "second.png"), flat)
    given = ["--ir", str(tmp_path / "ir"), "--vi", str(tmp_path / "vi"), "--weights", "average", "--register", "pair"]
    with pytest.raises(AlignError, match=r"first: the pair cannot be registered: .* wrong order"):
        fuse([*given, "--out", str(tmp_path / "out")])
    fuse([*given, "--out", str(tmp_path / "left"), "--skip-bad"])
    printed = capsys.readouterr().out
    assert "skipped: first: the pair cannot be registered" in printed
    assert "skipped: second: the pair cannot be registered: the infrared image is flat" in printed
    assert not list((tmp_path / "left").glob("*.png"))


@pytest.mark.slow
def test_a_video_is_registered_from_its_first_frames(tmp_path, capsys):
    ir, vi, truth = deformed_pair(*scene(), name="scene", level="E")
    sources = folders(tmp_path, [(ir, vi)] * 3)
    given = [*sources, "--weights", "average", "--rate", "10"]
    fuse([*given, "--out", str(tmp_path / "fused"), "--register", "auto"])
    assert "the cameras' transform is found" in capsys.readouterr().err
    inner = np.s_[20:-20, 20:-20]
    wanted = cv2.warpPerspective(ir, truth, vi.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    for n in range(3):
        fused = cv2.imread(str(tmp_path / "fused" / f"{n}.png"), 0).astype(float)[inner] / 255
        off = np.abs(fused - (np.clip(wanted, 0, 1) + np.clip(vi, 0, 1))[inner] / 2).mean()
        plain = np.abs(fused - (np.clip(ir, 0, 1) + np.clip(vi, 0, 1))[inner] / 2).mean()
        assert off < 0.02 and off < 0.5 * plain
    with pytest.raises(ValueError, match="--register pair would register every frame anew, which flickers"):
        fuse([*given, "--out", str(tmp_path / "again"), "--register", "pair"])
