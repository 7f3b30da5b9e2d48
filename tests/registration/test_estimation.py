"""Registration of whole pairs: accuracy, so that a relapse shows, and input to refuse."""

import json

import cv2
import numpy as np
import pytest
from test_registration import scene

from fusejax.io.images import as_infrared, as_visible, read_image
from fusejax.registration import corner_error, estimate
from fusejax.registration.geometry import map_points, resampling, translation
from fusejax.registration.made_up import deformed_pair

pytestmark = pytest.mark.optimized


@pytest.mark.slow
@pytest.mark.parametrize("level", ["M", "H"])
def test_an_image_is_registered_with_its_own_copy_to_a_tenth_of_a_pixel(level):
    _, image = scene(2)
    ir, vi, truth = deformed_pair(image, image, name="copy", level=level)
    found = estimate(ir, vi)
    assert corner_error(found.matrix, truth, size=vi.shape) < 0.1
    assert not found.refused


@pytest.mark.slow
def test_frames_of_another_field_and_aspect_are_found(data_root):
    folder = data_root / "registration" / "frames"
    truths, errors = json.loads((folder / "truth.json").read_text()), []
    for name in ("FLIR_01871", "FLIR_05955", "FLIR_09465"):
        ir, vi = (
            as_infrared(read_image(folder / "ir" / f"{name}.png"))[..., 0],
            read_image(folder / "vi" / f"{name}.jpg"),
        )
        found = estimate(ir, vi)
        assert not found.refused
        errors.append(corner_error(found.matrix, np.array(truths[name]["H"]), size=vi.shape[:2]))
    assert np.median(errors) < 3.5
    assert max(errors) < 5


@pytest.mark.slow
def test_a_hard_deformation_of_a_real_pair_is_found_again_and_another_scene_refused(data_root):
    folder = data_root / "roadscene" / "train"
    (ir, vi), (_, other) = (
        (as_infrared(read_image(folder / "ir" / name))[..., 0], as_visible(read_image(folder / "vi" / name)))
        for name in ("FLIR_00211.jpg", "FLIR_05987.jpg")
    )
    at_rest = estimate(*deformed_pair(ir, vi, name="FLIR_00211", level="Z")[:2])
    moved, window, truth = deformed_pair(ir, vi, name="FLIR_00211", level="H")
    found = estimate(moved, window)
    # The set itself is off by 3.9 pixels at the corners of this pair, so the two are compared.
    assert corner_error(found.matrix, truth @ at_rest.matrix, size=window.shape[:2]) < 1.8
    assert not found.refused
    assert estimate(ir, other).refused


def street(shape=(600, 800)):
    return scene(7, size=shape)


@pytest.mark.slow
def test_images_without_common_field_or_of_another_scale_are_refused():
    ir, vi = street((192, 512))
    assert estimate(ir[:, :250], vi[:, 262:]).refused
    ir, vi = street((480, 640))
    zoomed = cv2.resize(ir[140:340, 190:450], (640, 480), interpolation=cv2.INTER_LINEAR)
    assert estimate(zoomed, vi).refused


@pytest.mark.slow
def test_a_facade_that_fits_at_every_window_is_refused():
    y, x = np.mgrid[:192, :256]
    windows = ((x % 32 > 10) & (y % 32 > 14)).astype(np.float32)
    rng = np.random.default_rng(0)
    vi, ir = (cv2.GaussianBlur(w, (0, 0), 1.0) + rng.normal(0, 0.01, w.shape) for w in (windows, 1 - windows))
    assert "equally good" in estimate(ir[:, 8:], vi[:, :-8]).refused


@pytest.mark.slow
def test_a_logo_and_a_scale_bar_in_the_infrared_image_do_not_mislead():
    ir, vi, truth = deformed_pair(*scene(), name="scene", level="M")
    ir = cv2.rectangle(ir.copy(), (0, 0), (45, 14), 1.0, -1)
    ir[20:120, -8:] = np.linspace(1, 0, 100)[:, None]
    shown = np.clip(255 * ir, 0, 255).astype(np.uint8)
    cv2.putText(shown, "36.5 C", (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 0.0)
    found = estimate(shown, vi)
    assert found.refused or corner_error(found.matrix, truth, size=vi.shape) < 1.5


@pytest.mark.slow
def test_a_small_thermal_image_is_found_inside_a_large_visible_one():
    ir, vi = street()
    large = cv2.resize(vi, (4000, 3000), interpolation=cv2.INTER_LINEAR)
    small = cv2.resize(ir[150:450, 200:600], (160, 120), interpolation=cv2.INTER_AREA)
    found = estimate(small, large, scales=(1.4, 2.8))
    truth = resampling(0.4, 0.4) @ translation(-200, -150) @ resampling(0.2, 0.2)
    at = np.array([[1100.0, 800.0], [2900.0, 2200.0]])
    assert not found.refused
    assert np.abs(map_points(found.matrix, at) - map_points(truth, at)).max() < 1.0


@pytest.mark.slow
def test_the_model_follows_the_evidence():
    ir, vi = scene()
    tilted = translation(128, 96) @ [[1, 0, 0], [0, 1, 0], [4e-4, 0, 1]] @ translation(-128, -96)
    moved = cv2.warpPerspective(ir, tilted, (256, 192), borderMode=cv2.BORDER_REFLECT)
    assert estimate(moved, vi, model="auto").model == "homography"
    ir, vi = (x.copy() for x in scene(3))
    for x in (ir, vi):  # a flat sky: perspective cannot be seen
        x[:120] = x.mean() + np.random.default_rng(int(1e6 * x.mean())).normal(0, 0.01, x[:120].shape)
    found = estimate(ir[:, 4:], vi[:, :-4], model="auto")
    assert found.model == "similarity"
    assert (
        np.abs(map_points(found.matrix, np.array([[20.0, 160.0], [220.0, 160.0]])) - [[16, 160], [216, 160]]).max() < 1
    )
