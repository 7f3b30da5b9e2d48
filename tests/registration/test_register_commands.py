"""`fusejax register` and `fusejax fuse --register` on files."""

import json

import cv2
import numpy as np
import pytest
from test_registration import scene

from fusejax.cli.fuse import run as fuse
from fusejax.cli.register import run as register
from fusejax.inference.align import AlignError
from fusejax.registration import RegisterInfrared, Rig, corner_error, read_rig, write_rig
from fusejax.registration.made_up import deformed_pair

pytestmark = pytest.mark.optimized


def folders(root, pairs):
    """Writes pairs as 8-bit images and returns the options that name them."""
    for n, (ir, vi) in enumerate(pairs):
        for kind, image in (("ir", ir), ("vi", vi)):
            (root / kind).mkdir(exist_ok=True)
            cv2.imwrite(str(root / kind / f"{n}.png"), np.round(255 * np.clip(image, 0, 1)).astype(np.uint8))
    return ["--ir", str(root / "ir"), "--vi", str(root / "vi")]


def shifted_rig(x):
    matrix = np.array([[1, 0, x], [0, 1, 0], [0, 0, 1.0]])
    return Rig(matrix, (48, 64), (48, 64), "translation", 0.1, 1, 1)


def test_an_aligner_with_a_rig_shifts_infrared_and_masks_what_it_does_not_show():
    ir = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64, 1)
    done = RegisterInfrared(shifted_rig(5))(ir, np.zeros((48, 64, 3), np.uint8))
    np.testing.assert_array_equal(done.ir[:, :59], ir[:, 5:])
    assert done.ir.dtype == np.uint16
    assert done.mask[:, :59].min() == 1 and done.mask[:, 59:].max() == 0


def test_a_pair_that_cannot_be_registered_is_refused_with_its_name():
    flat = np.zeros((64, 64, 1), np.uint8)
    with pytest.raises(AlignError, match="street: the pair cannot be registered: the infrared image is flat"):
        RegisterInfrared()(flat, flat, name="street")


def test_fuse_takes_a_rig_and_keeps_the_visible_image_outside_infrared(tmp_path, capsys):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    write_rig(tmp_path / "rig.json", shifted_rig(20))
    fuse([*sources, "--out", str(tmp_path / "out"), "--register", str(tmp_path / "rig.json")])
    fused, vi = (cv2.imread(str(tmp_path / kind / "0.png"), 0).astype(int) for kind in ("out", "vi"))
    assert np.abs(fused - vi)[:, 46:].max() <= 1
    assert np.abs(fused - vi)[:, :40].mean() > 2


def test_fuse_names_a_rig_that_is_not_there(tmp_path):
    sources = folders(tmp_path, [scene(size=(48, 64))])
    with pytest.raises(ValueError, match="--register nowhere is neither `pair` nor a file"):
        fuse([*sources, "--out", str(tmp_path / "out"), "--register", "nowhere"])


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
