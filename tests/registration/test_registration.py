"""Registration: warps with gradients, transforms found, refused pairs, rigs and measures."""

import json

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fusejax.registration import (
    Rig,
    corner_error,
    endpoint_error,
    estimate,
    find_rig,
    folding,
    gradient_correlation,
    landmark_error,
    mutual_information,
    normalized_correlation,
    read_rig,
    warp,
    write_rig,
)
from fusejax.registration.estimation import Registration
from fusejax.registration.geometry import map_points, translation
from fusejax.registration.made_up import deformed_pair
from fusejax.registration.rig import rig_of
from fusejax.registration.search import SIDE, similarity
from fusejax.registration.trust import verdict
from fusejax.registration.views import gray

pytestmark = pytest.mark.optimized

TILTED = np.array([[1.03, -0.04, 3.2], [0.05, 0.98, -2.1], [1e-4, -2e-4, 1.0]])


def scene(seed=0, size=(192, 256)):
    """A pair of one scene: random rectangles whose brightness is inverted in infrared."""
    rng = np.random.default_rng(seed)
    vi, ir = np.full(size, 0.4, np.float32), np.full(size, 0.5, np.float32)
    for _ in range(60):
        x, y = rng.integers(0, size[1]), rng.integers(0, size[0])
        w, h, level = rng.integers(8, 50), rng.integers(8, 50), rng.uniform(0.1, 0.9)
        vi[y : y + h, x : x + w], ir[y : y + h, x : x + w] = level, 1 - level**2
    noise = [rng.normal(0, 0.01, size).astype(np.float32) for _ in range(2)]
    return cv2.GaussianBlur(ir, (0, 0), 1.0) + noise[0], cv2.GaussianBlur(vi, (0, 0), 1.0) + noise[1]


def test_warp_agrees_with_opencv_and_says_where_it_has_pixels():
    image = scene()[0]
    ours, mask = warp(jnp.asarray(image)[None, ..., None], jnp.asarray(TILTED, jnp.float32)[None], size=(150, 200))
    theirs = cv2.warpPerspective(image, TILTED, (200, 150), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    inside = np.asarray(mask[0, ..., 0]) > 0
    assert 0.9 < inside.mean() < 1
    assert np.abs(np.asarray(ours[0, ..., 0]) - theirs)[inside].max() < 0.02  # OpenCV rounds to 1/32 pixel
    assert (np.asarray(ours[0, ..., 0])[~inside] == 0).all()


@pytest.mark.parametrize(
    ("contrast", "second", "scale", "reason"),
    [(1.1, 0.9, 1.0, ""), (0.9, 0.0, 1.0, "do not match"), (1.1, 0.97, 1.0, "two answers"), (1.1, 0.0, 1.9, "scale")],
)
def test_an_answer_is_refused_without_contrast_beside_an_equal_one_or_out_of_range(contrast, second, scale, reason):
    found = verdict(contrast, 2.0, 2.0 * second, scale, (0.6, 1.5))
    assert reason in found and bool(found) == bool(reason)


def test_colors_count_by_their_luma():
    """The range is that of the image, so black and white say where a color lies between them."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[8:], image[16:], image[24:] = (0, 0, 255), (255, 0, 0), (255, 255, 255)
    black, blue, red, white = gray(image)[4::8, 0]
    np.testing.assert_allclose(
        (np.exp([blue, red]) - np.exp(black)) / (np.exp(white) - np.exp(black)), [0.114, 0.299], atol=2e-3
    )


@pytest.mark.parametrize(("scale", "step"), [(0.5, 1.0), (2.0, 2.0)])
def test_shifts_of_the_search_are_in_pixels_of_the_smaller_image(scale, step):
    center = np.full((1, 2), (SIDE - 1) / 2)
    np.testing.assert_allclose(
        map_points(similarity(scale, 0.3, 3, -1), center) - center, [[3 * step, -step]], atol=1e-9
    )


def test_a_rig_is_the_median_of_the_pairs_that_agree():
    def found(x):
        return Registration(translation(x, 0.0), "translation", 1.0, 0.9, 1.0, 0.5, 0.5, 1.0, "")

    rig = rig_of([found(x) for x in (2.0, 2.0, 2.0, 6.0)], [((48, 64), (48, 64))] * 4)
    np.testing.assert_allclose(rig.matrix, translation(2.0, 0.0), atol=1e-9)
    assert (rig.images, rig.tried) == (4, 4)


@pytest.mark.slow
def test_gradients_of_warp_match_finite_differences():
    # A plane, which bilinear interpolation reproduces, so that no pixel border is a kink.
    y, x = np.mgrid[0:9, 0:11].astype(np.float32)
    image = jnp.asarray(0.03 * x + 0.05 * y)[None, ..., None]
    matrix = jnp.array([[[0.9, 0.02, 1.3], [0.01, 0.92, 1.2], [0.001, 0.0, 1.0]]])
    weights = jnp.asarray(np.random.default_rng(0).uniform(0, 1, (1, 6, 7, 1)), jnp.float32)

    @jax.jit
    def total(image, change):  # entries move points by similar distances
        change = change * jnp.array([[0.1, 0.1, 1.0], [0.1, 0.1, 1.0], [0.01, 0.01, 0.1]])
        return (warp(image, matrix + change, size=(6, 7))[0] * weights).mean()

    check_grads(total, (image, jnp.zeros_like(matrix)), order=1, modes=["rev"], atol=2e-2, rtol=2e-2, eps=1e-2)


def test_warp_gives_equal_results_in_any_batch():
    image = jnp.asarray(scene()[0])[None, ..., None]
    matrix = jnp.asarray(TILTED, jnp.float32)[None]
    alone = warp(image, matrix, size=(60, 80))[0]
    many = warp(jnp.repeat(image, 3, axis=0), jnp.repeat(matrix, 3, axis=0), size=(60, 80))[0]
    np.testing.assert_allclose(many, jnp.repeat(alone, 3, axis=0), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["E", "M"])
def test_a_known_deformation_is_found_to_a_pixel(level):
    ir, vi, truth = deformed_pair(*scene(), name="scene", level=level)
    found = estimate(ir, vi)
    assert not found.refused
    assert corner_error(found.matrix, truth, size=vi.shape) < 1.0


@pytest.mark.slow
def test_the_result_does_not_depend_on_units_or_on_the_call():
    ir, vi, _ = deformed_pair(*scene(), name="scene", level="M")
    first = estimate(ir, vi)
    again = estimate(ir, vi)
    np.testing.assert_array_equal(first.matrix, again.matrix)
    counts = np.round(7000 + 900 * ir).astype(np.uint16)
    other = estimate(counts, vi)
    assert corner_error(first.matrix, other.matrix, size=vi.shape) < 0.5


@pytest.mark.slow
def test_unequal_resolutions_are_registered():
    ir, vi, truth = deformed_pair(*scene(), name="scene", level="E")
    small = cv2.resize(ir, (ir.shape[1] // 2, ir.shape[0] // 2), interpolation=cv2.INTER_AREA)
    half = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])
    assert corner_error(estimate(small, vi).matrix, half @ truth, size=vi.shape) < 1.0


@pytest.mark.parametrize(
    ("ir", "vi", "expected"),
    [
        (np.full((64, 64), 0.5), np.random.default_rng(0).uniform(size=(64, 64)), "infrared image is flat"),
        (np.random.default_rng(0).uniform(size=(64, 64)), np.zeros((64, 64, 3), np.uint8), "visible image is flat"),
        (np.random.default_rng(0).uniform(size=(64, 64, 3)), np.ones((64, 64)), "wrong order"),
        (
            np.random.default_rng(0).uniform(size=(64, 64)),
            np.where(np.random.default_rng(1).uniform(size=(64, 64)) < 0.2, 0.0, 1.0),
            "lowest or highest",
        ),
    ],
)
def test_images_without_content_are_refused_by_name(ir, vi, expected):
    found = estimate(ir, vi)
    assert expected in found.refused
    assert found.uncertainty == np.inf


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ir": np.zeros((8, 64))}, "8x64 pixels; registration needs"),
        ({"ir": np.full((64, 64), np.nan)}, "4096 values that are NaN"),
        ({"ir": np.zeros((64, 64, 2))}, "expected numbers"),
        ({"scales": (1.2, 0.8)}, "two rising numbers"),
        ({"scales": (0.01, 2.0)}, "two rising numbers"),
        ({"rotations": (-90.0, 90.0)}, "from -45 to 45"),
        ({"model": "rigid"}, "model is 'rigid'"),
    ],
)
def test_impossible_inputs_are_errors_that_say_what_to_do(unchecked, change, message):
    images = {"ir": np.zeros((64, 64)), "vi": np.zeros((64, 64))}
    with pytest.raises(ValueError, match=message):
        estimate(**images | change)


@pytest.mark.slow
def test_different_scenes_and_mirrored_images_are_refused():
    (ir, vi), (other, _) = scene(seed=0), scene(seed=1)
    assert estimate(other, vi).refused
    assert estimate(ir[:, ::-1], vi).refused


def test_corner_and_endpoint_errors_of_a_shift_are_its_length():
    shifted = np.array([[1, 0, 3.0], [0, 1, 4.0], [0, 0, 1]])
    assert corner_error(shifted, np.eye(3), size=(30, 40)) == pytest.approx(5)
    assert endpoint_error(shifted, np.eye(3), size=(30, 40)) == pytest.approx(5)
    points = np.array([[1.0, 2.0], [7.0, 5.0]])
    assert landmark_error(shifted, points, points + np.array([3.0, 4.0])) == pytest.approx(0)


def test_similarity_of_images_is_highest_where_they_line_up():
    ir, vi = (x.astype(np.float64) for x in scene())
    moved = np.roll(ir, 5, axis=1)
    for measure in (mutual_information, gradient_correlation):
        assert measure(ir, vi) > measure(moved, vi)
    assert normalized_correlation(ir, 2 * ir + 1) == pytest.approx(1)
    assert normalized_correlation(ir, -ir) == pytest.approx(-1)
    assert normalized_correlation(ir, np.ones_like(ir)) == 0


def test_mutual_information_of_an_image_with_itself_is_its_entropy():
    levels = np.repeat(np.arange(4.0), 100).reshape(20, 20)
    assert mutual_information(levels, levels, bins=4) == pytest.approx(2)
    assert mutual_information(levels, np.full_like(levels, np.nan)) == 0


def test_folding_counts_pixels_where_the_field_turns_over():
    y, x = np.mgrid[0:20, 0:30].astype(float)
    assert folding(x, y) == 0
    assert folding(-x, y) == 1


def rig(**changes):
    values = {"matrix": TILTED, "ir_size": (120, 160), "vi_size": (480, 640), "model": "homography"}
    return Rig(**values | {"uncertainty": 0.5, "images": 9, "tried": 10} | changes)


def test_a_rig_is_read_as_it_was_written(tmp_path):
    write_rig(tmp_path / "rig.json", rig())
    again = read_rig(tmp_path / "rig.json")
    np.testing.assert_array_equal(again.matrix, TILTED)
    assert (again.ir_size, again.vi_size, again.images) == ((120, 160), (480, 640), 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "is no rig: malformed JSON"),
        (lambda text: text.replace("0.98", "0.99"), "does not fit its checksum"),
        (lambda text: "[1, 2]", "lacks every field"),
        (lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "matrix"}), r"lacks \['matrix'\]"),
        (lambda text: text.replace('"format": 1', '"format": 7'), "has format 7"),
    ],
)
def test_damaged_rigs_are_refused_by_name(tmp_path, change, message):
    file = tmp_path / "rig.json"
    write_rig(file, rig())
    file.write_text(change(file.read_text()))
    with pytest.raises(ValueError, match=message) as error:
        read_rig(file)
    assert str(file) in str(error.value)


def test_a_rig_scales_with_the_images_and_refuses_other_aspects():
    twice = rig().scaled((240, 320), (960, 1280))
    for x, y in ((0.0, 0.0), (639.0, 479.0), (100.0, 300.0)):
        u, v, w = TILTED @ [x, y, 1]
        s, t, r = twice.matrix @ [2 * x + 0.5, 2 * y + 0.5, 1]
        np.testing.assert_allclose([s / r, t / r], [2 * u / w + 0.5, 2 * v / w + 0.5], atol=1e-6)
    assert twice.uncertainty == pytest.approx(1.0)
    with pytest.raises(ValueError, match="visible images of 640x480 pixels and these have 1280x720"):
        rig().scaled((120, 160), (720, 1280))


@pytest.mark.slow
def test_a_rig_holds_in_spite_of_a_bad_pair():
    pairs = [deformed_pair(*scene(seed), name="same", level="E") for seed in range(3)]
    truth = pairs[0][2]
    mixed = [(ir, vi) for ir, vi, _ in pairs] + [(pairs[0][0], pairs[1][1])]
    found, each = find_rig(mixed)
    assert len(each) == 4
    assert corner_error(found.matrix, truth, size=found.vi_size) < 1.0
    assert found.images == 3


def test_a_rig_of_nothing_or_of_unequal_sizes_is_an_error():
    with pytest.raises(ValueError, match="no pairs"):
        find_rig([])
    flat = np.zeros((64, 64))
    with pytest.raises(ValueError, match="a rig needs equal sizes"):
        find_rig([(flat, flat), (flat, np.zeros((64, 80)))])
