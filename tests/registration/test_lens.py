"""Lens distortion: points, files, rigs and pairs."""

import dataclasses
import json

import cv2
import numpy as np
import pytest
from test_register_commands import folders, shifted_rig
from test_registration import scene
from test_residual import registration

from fusejax.cli.fuse import run as fuse
from fusejax.cli.register import run as register
from fusejax.cli.registering import RegisterFlags
from fusejax.registration import Lens, Lenses, RegisterInfrared, lens_points, read_rig, tracking, write_rig
from fusejax.registration import aligner as aligners
from fusejax.registration import rig as rigs
from fusejax.registration.aligner import warp_pixels
from fusejax.registration.geometry import corners, map_points
from fusejax.registration.lens import sampling_map
from fusejax.registration.scores import measure_alignment

BARREL = Lens(280.0, 285.0, 127.0, 96.5, (-0.3, 0.0, 0.0, 0.0), 256, 192)
KINDS = {
    "barrel": BARREL,
    "cushion": dataclasses.replace(BARREL, distortion=(0.25, 0.05, 0.0, 0.0)),
    "tangential": dataclasses.replace(BARREL, distortion=(-0.3, 0.12, 0.004, -0.003, -0.02)),
    "rational": dataclasses.replace(BARREL, distortion=(0.1, -0.2, 0.001, 0.002, 0.01, 0.3, -0.1, 0.02)),
}
SHIFT = np.array([[1.02, 0.01, 3.0], [-0.01, 1.01, -2.0], [1e-5, 0, 1.0]])


def grid(size, step=8):
    y, x = np.mgrid[: size[0] : step, : size[1] : step]
    return np.stack([x.ravel(), y.ravel()], axis=-1).astype(float)


def by_formula(points, lens):
    """The published radial and tangential model, without OpenCV."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*lens.distortion, 0, 0, 0, 0)[:8]
    x, y = ((points - (lens.cx, lens.cy)) / (lens.fx, lens.fy)).T
    r = x**2 + y**2
    radial = (1 + k1 * r + k2 * r**2 + k3 * r**3) / (1 + k4 * r + k5 * r**2 + k6 * r**3)
    u = x * radial + 2 * p1 * x * y + p2 * (r + 2 * x**2)
    v = y * radial + p1 * (r + 2 * y**2) + 2 * p2 * x * y
    return np.stack([u * lens.fx + lens.cx, v * lens.fy + lens.cy], axis=-1)


@pytest.mark.parametrize("kind", KINDS)
def test_points_follow_the_formula_and_come_back_when_the_distortion_is_undone(kind):
    lens, points = KINDS[kind], grid((192, 256))
    distorted = lens_points(points, lens)
    np.testing.assert_allclose(distorted, by_formula(points, lens), atol=1e-6)
    assert np.abs(distorted - points).max() > 5
    np.testing.assert_allclose(lens_points(distorted, lens, inverse=True), points, atol=0.01)


def test_the_image_as_taken_is_undone_up_to_its_corners():
    """Corners lie further out than where OpenCV's own five steps are exact."""
    lens = dataclasses.replace(BARREL, fx=240.0, fy=240.0)
    straight = lens_points(corners((192, 256)), lens, inverse=True)
    np.testing.assert_allclose(by_formula(straight, lens), corners((192, 256)), atol=1e-3)


def test_points_beyond_the_fold_of_the_model_are_nowhere():
    """A radius of 1 / sqrt(0.9) is seen furthest out; the formula brings others back."""
    far = np.array([[BARREL.cx + BARREL.fx * r, BARREL.cy] for r in (1.04, 1.07, 1.8)])
    assert 0 < by_formula(far, BARREL)[2, 0] < 256
    np.testing.assert_array_equal(np.isnan(lens_points(far, BARREL)[:, 0]), [False, True, True])
    assert np.isnan(lens_points(np.array([[BARREL.cx + BARREL.fx * 0.71, BARREL.cy]]), BARREL, inverse=True)).all()
    assert sampling_map(np.diag([8.0, 8.0, 1.0]), (24, 64), BARREL).min() == -1e4


def test_a_lens_of_a_larger_image_distorts_it_alike():
    points, twice = grid((192, 256)), BARREL.scaled((384, 512))
    np.testing.assert_allclose(lens_points(2 * points + 0.5, twice), 2 * lens_points(points, BARREL) + 0.5, atol=1e-6)
    with pytest.raises(ValueError, match="lens is for images of 256x192 pixels and these have 256x144, another aspect"):
        BARREL.scaled((144, 256))


def calibrated(path, lens, **changes):
    """A file as OpenCV's calibration sample writes it."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    values = {"image_width": lens.width, "image_height": lens.height, "camera_matrix": lens.camera}
    values |= {"distortion_coefficients": np.array(lens.distortion)[:, None], "avg_reprojection_error": 0.2} | changes
    for name, value in values.items():
        if value is not None:
            storage.write(name, value)
    storage.release()
    return path


def taken(image, lens):
    """What a camera with this lens takes of a scene that one without distortion sees as `image`."""
    at = lens_points(grid(image.shape[:2], 1), lens, inverse=True).reshape(*image.shape[:2], 2).astype(np.float32)
    return cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


def meets(step, ir, vi):
    """How far four points near the visible corners are from where the infrared camera saw them."""
    frame = corners((172, 236)) + 10
    lens = step.lens.scaled(ir.shape[:2], vi.shape[:2])
    at = frame if lens.vi is None else lens_points(frame, lens.vi, inverse=True)
    at = map_points(step.transform(ir[..., None], vi[..., None]), at)
    at = at if lens.ir is None else lens_points(at, lens.ir)
    return np.linalg.norm(at - by_formula(frame, BARREL), axis=1)


@pytest.mark.slow
def test_a_distorted_pair_meets_at_the_corners_with_its_lens_and_not_without(tmp_path):
    pairs = [(taken(ir, BARREL), vi) for ir, vi in (scene(n) for n in range(3))]
    rig, _ = rigs.find_rig(pairs, lens=Lenses(ir=BARREL))
    write_rig(tmp_path / "rig.json", rig)
    assert meets(RegisterInfrared(tmp_path / "rig.json"), *pairs[0]).max() < 0.5
    without, _ = rigs.find_rig(pairs)
    assert meets(RegisterInfrared(without), *pairs[0]).max() > 3


def placed(**lenses):
    """A rig between images without distortion whose transform is known."""
    return (
        dataclasses.replace(shifted_rig(0), matrix=SHIFT, ir_size=(192, 256), vi_size=(192, 256))
        if not lenses
        else (dataclasses.replace(placed(), lens=Lenses(**lenses)))
    )


def smooth(size=(192, 256), at=None):
    x, y = (grid(size, 1) if at is None else at).T
    return (0.5 + 0.2 * np.sin(x / 17) + 0.2 * np.cos(y / 13)).reshape(*size, 1).astype(np.float32)


@pytest.mark.parametrize(
    "lenses", [{"ir": BARREL}, {"vi": BARREL}, {"ir": KINDS["cushion"], "vi": KINDS["tangential"]}]
)
def test_each_grid_shows_the_point_that_its_pixel_was_taken_of(lenses):
    """The scene is a formula, which both cameras are let see through their lenses."""
    ir_points, vi_points = (
        lens_points(grid((192, 256), 1), lenses[kind], inverse=True) if kind in lenses else grid((192, 256), 1)
        for kind in ("ir", "vi")
    )
    ir, vi = smooth(at=ir_points), smooth(at=map_points(SHIFT, vi_points))
    for kind in ("vi", "ir", "common"):
        done = RegisterInfrared(placed(**lenses), grid=kind)(ir, vi)
        inside = np.ones(done.ir.shape, bool) if done.share is None else done.share == 1
        inside &= done.vi > 0  # on the infrared grid, where the visible camera sees it
        assert inside.mean() > 0.7
        assert np.abs(done.ir - done.vi)[inside].max() < 0.01
        assert done.vi is vi if kind == "vi" else done.ir is ir if kind == "ir" else min(done.ir.shape[:2]) > 100


def test_a_pair_and_its_shift_are_estimated_without_distortion(monkeypatch):
    ir = smooth(at=lens_points(grid((192, 256), 1), BARREL, inverse=True))
    seen = []

    def estimate(a, b, **_):
        seen.append((a, b))
        from test_residual import registration

        return registration(np.eye(3))

    monkeypatch.setattr(aligners, "estimate", estimate)
    RegisterInfrared(lens=Lenses(ir=BARREL)).transform(ir, smooth())
    near = dataclasses.replace(placed(ir=BARREL), matrix=np.eye(3))
    RegisterInfrared(near, near=aligners.Near()).transform(ir, smooth())
    for infrared, visible in seen:
        assert np.abs(infrared - visible).max() < 0.01
    assert np.abs(ir - smooth()).max() > 0.1


@pytest.mark.slow
def test_landmarks_are_measured_through_the_lenses(tmp_path):
    folders(tmp_path, [scene()])
    from fusejax.io.pairing import PairPaths

    pair = PairPaths("0", tmp_path / "ir" / "0.png", tmp_path / "vi" / "0.png")
    points = grid((192, 256), 60)[1:-1]
    there = lens_points(map_points(SHIFT, points), BARREL)
    step = RegisterInfrared(placed(ir=BARREL))
    found = measure_alignment([pair], step=step, truths={"0": (points, there)})
    assert found.values[1, 0, found.measures.index("landmark")] < 1e-6


def test_a_rig_keeps_its_lenses_and_one_without_them_is_written_as_ever(tmp_path):
    path = tmp_path / "rig.json"
    write_rig(path, placed(ir=BARREL))
    assert read_rig(path).lens == Lenses(ir=BARREL)
    assert json.loads(path.read_text())["format"] == 2  # so that versions that know no lenses refuse it
    path.write_text(path.read_text().replace("-0.3", "-0.4"))
    with pytest.raises(ValueError, match="does not fit its checksum"):
        read_rig(path)
    write_rig(path, placed())
    values = json.loads(path.read_text())
    assert values["format"] == 1 and "lens" not in values
    assert not read_rig(path).lens


def test_a_rig_of_before_is_read_with_the_checksum_that_it_has(tmp_path):
    values = {"matrix": [[1.0, 0.0, 5.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], "ir_size": [48, 64], "vi_size": [48, 64]}
    values |= {"model": "translation", "uncertainty": 0.1, "images": 1, "tried": 1, "format": 1, "fusejax": "0.2.0"}
    values["checksum"] = "a5025cc8279203a06d311f7822a27a42a480037d698cd0caf7adb0af031dc005"
    (tmp_path / "rig.json").write_text(json.dumps(values))
    assert read_rig(tmp_path / "rig.json").ir_size == (48, 64)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "are for registering; also give --register"),
        ({"register": "rig.json"}, "lenses are given beside a rig, .* register --rig --ir-lens FILE"),
    ],
)
def test_lenses_without_a_registration_or_beside_a_rig_are_refused(tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    write_rig("rig.json", shifted_rig(5))
    given = RegisterFlags(**flags, ir_lens=calibrated(tmp_path / "camera.yml", BARREL))
    for ask in (lambda: given.aligner(list), lambda: given.stream_aligner(live=False)):
        with pytest.raises(ValueError, match=message):
            ask()


def test_a_stream_is_found_without_distortion_and_warped_through_the_lenses(tmp_path, monkeypatch):
    """As with a rig that knows lenses and transform, which other tests hold against formulas."""
    ir, vi = smooth(), smooth(at=grid((192, 256), 1) + 3)
    seen = []
    monkeypatch.setattr(tracking, "estimate", lambda *pair, **_: seen.append(pair) or registration(SHIFT))
    flags = RegisterFlags(register="auto", ir_lens=calibrated(tmp_path / "camera.yml", BARREL))
    done = flags.stream_aligner(live=False)(ir, vi)
    known = RegisterInfrared(placed(ir=BARREL))(ir, vi)
    np.testing.assert_allclose(done.ir, known.ir, atol=1e-6)
    np.testing.assert_array_equal(done.share, known.share)
    np.testing.assert_array_equal(seen[0][0], Lenses(ir=BARREL).straight(ir, vi)[0])


@pytest.mark.slow
def test_commands_take_the_files_and_rigs_with_them(tmp_path):
    sources = folders(tmp_path, [(taken(ir, BARREL), vi) for ir, vi in (scene(n) for n in range(2))])
    lens = ["--ir-lens", str(calibrated(tmp_path / "camera.yml", BARREL))]
    register([*sources, "--out", str(tmp_path / "found"), "--rig", *lens])
    assert read_rig(tmp_path / "found" / "rig.json").lens == Lenses(ir=BARREL)
    written = cv2.imread(str(tmp_path / "found" / "ir" / "0.png"), 0) / 255
    mask = cv2.imread(str(tmp_path / "found" / "mask" / "0.png"), 0) > 0
    assert mask.mean() > 0.9
    assert np.abs(written - scene()[0])[mask].mean() < 0.02
    given = [*sources, "--weights", "average", "--register", str(tmp_path / "found" / "rig.json")]
    fuse([*given, "--out", str(tmp_path / "out")])
    assert cv2.imread(str(tmp_path / "out" / "0.png")).shape[:2] == (192, 256)
    with pytest.raises(ValueError, match="beside a rig"):
        fuse([*given, "--out", str(tmp_path / "again"), "--vi-lens", str(tmp_path / "camera.yml")])


def test_a_warp_without_lenses_is_the_one_through_lenses_that_do_not_distort():
    straight = dataclasses.replace(BARREL, distortion=(0.0,) * 4)
    image = (255 * smooth()).astype(np.uint8)
    plain, through = (warp_pixels(image, SHIFT, (192, 256), source=one, target=one)[0] for one in (None, straight))
    assert np.abs(plain.astype(int) - through).max() <= 2
