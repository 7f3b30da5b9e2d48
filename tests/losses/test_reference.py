"""The reference image: CLAHE and global equalization against OpenCV, and the laws of its
ingredients.
"""

import chex
import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from fusejax.losses.config import ReferenceConfig
from fusejax.losses.reference import clahe, equalize, fine_grained_reference, histogram, two_scale_base
from fusejax.ops.filters import laplacian

CONFIGS = {
    "clahe": ReferenceConfig(),
    "global": ReferenceConfig(equalization="global"),
    "two_scale": ReferenceConfig(edge_weight=0.2, equalized_weight=0.1, base="two_scale", base_sigma=2.0),
    "enhance_first": ReferenceConfig(enhance_first=True),
}
PAPER = CONFIGS["clahe"]
jitted_clahe = jax.jit(clahe, static_argnames=("tiles", "clip_limit"))
jitted_equalize = jax.jit(equalize)
reference = jax.jit(fine_grained_reference, static_argnames="config")


def gray_image(seed, size):
    """8-bit, with the smooth regions and uneven histogram of a photograph."""
    x = np.random.default_rng(seed).standard_normal(size)
    x = ndimage.gaussian_filter(x, 3) * 6 + 0.15 * ndimage.gaussian_filter(x, 0.7)
    return np.round(255 / (1 + np.exp(-2 * x - 0.5))).astype(np.uint8)


def luma(seed, *, size=(24, 20), batch=2):
    return jnp.asarray([gray_image(seed + 100 * i, size)[..., None] for i in range(batch)], jnp.float32) / 255


def gray(u8):
    return jnp.asarray(u8, jnp.float32)[None, ..., None] / 255


def assert_close_to_opencv(ours, opencv):
    """Within 1 gray level on 99.9% of the pixels (OpenCV rounds its maps and its result), and never
    far off.
    """
    distance = np.abs(np.round(255 * np.asarray(ours)[0, ..., 0]) - opencv.astype(int))
    assert (distance <= 1).mean() >= 0.999
    assert distance.max() <= 2


# Divisible by the 8 tiles; one side not; both not; fewer pixels than tiles; single rows, columns
# and pixels.
@pytest.mark.parametrize("size", [(96, 128), (40, 56), (120, 97), (97, 131), (5, 7), (3, 40), (1, 9), (9, 1)])
def test_clahe_agrees_with_opencv(size):
    u8 = gray_image(0, size)
    assert_close_to_opencv(jitted_clahe(gray(u8)), cv2.createCLAHE(2.0, (8, 8)).apply(u8))


@pytest.mark.parametrize(("tiles", "clip_limit"), [(4, 1.0), (4, 8.0), (5, 40.0)])
def test_clahe_options_agree_with_opencv(tiles, clip_limit):
    u8 = gray_image(1, (60, 70))
    ours = jitted_clahe(gray(u8), tiles=tiles, clip_limit=clip_limit)
    assert_close_to_opencv(ours, cv2.createCLAHE(clip_limit, (tiles, tiles)).apply(u8))


@pytest.mark.parametrize(
    "path", ["roadscene/val/vi", "roadscene/val/ir", "msrs/test_dev/ir", "msrs/test_dev/vi", "tno/test_dev/ir"]
)
def test_clahe_agrees_with_opencv_on_real_images(data_root, path):
    u8 = cv2.imread(str(min((data_root / path).iterdir())), cv2.IMREAD_GRAYSCALE)
    assert_close_to_opencv(jitted_clahe(gray(u8)), cv2.createCLAHE(2.0, (8, 8)).apply(u8))


def test_equalization_agrees_with_opencv():
    u8 = gray_image(2, (50, 61))
    np.testing.assert_allclose(255 * jitted_equalize(gray(u8))[0, ..., 0], cv2.equalizeHist(u8), atol=0.5 + 1e-3)


def test_equalization_ignores_strictly_increasing_remaps():
    levels = np.random.default_rng(0).integers(0, 64, (1, 20, 22, 1))
    remap = np.cumsum(np.random.default_rng(1).integers(1, 5, 64))  # 64 distinct levels, increasing, below 256
    plain, remapped = (jitted_equalize(jnp.asarray(x, jnp.float32) / 255) for x in (levels, remap[levels]))
    np.testing.assert_array_equal(plain, remapped)


def test_equalization_is_monotone_and_spans_the_range():
    x = luma(3, batch=1)
    order = np.argsort(np.ravel(x), kind="stable")
    equal = np.ravel(jitted_equalize(x))[order]
    assert (np.diff(equal) >= 0).all()
    assert (equal.min(), equal.max()) == (0.0, 1.0)


def test_histogram_counts_every_level():
    levels = np.random.default_rng(0).integers(0, 256, (3, 2, 4097))
    want = [[np.bincount(row, minlength=256) for row in image] for image in levels]
    np.testing.assert_array_equal(histogram(jnp.asarray(levels)), want)
    np.testing.assert_array_equal(histogram(jnp.full((70_000,), 255))[255], 70_000)  # beyond bfloat16 and 16 bit


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_nothing_scatters(config):
    """A scatter-add runs one element after the other on some accelerators."""
    assert "scatter" not in str(jax.make_jaxpr(lambda x: fine_grained_reference(x, x, config=config))(luma(0)))


def test_reference_is_the_stated_blend():
    ir, vi_y = luma(0), luma(1)
    base = np.maximum(ir, vi_y).astype(np.float64)
    edges = [np.clip(b - ndimage.laplace(b, mode="nearest"), 0, 1) for b in base[..., 0]]
    got = reference(ir, vi_y, config=PAPER)
    want = 0.75 * np.stack(edges)[..., None] + 0.25 * np.asarray(jitted_clahe(jnp.maximum(ir, vi_y)))
    np.testing.assert_allclose(got, want, atol=1e-5)
    plain = reference(ir, vi_y, config=ReferenceConfig(edge_weight=0.0, equalized_weight=0.0))
    np.testing.assert_allclose(plain, base, atol=1e-7)  # what the shares leave to 1 is the base


def test_each_source_first_is_the_larger_of_two_references():
    ir, vi_y = luma(0), luma(1)
    alone = [reference(x, x, config=PAPER) for x in (ir, vi_y)]
    got = reference(ir, vi_y, config=CONFIGS["enhance_first"])
    np.testing.assert_allclose(got, jnp.maximum(*alone), atol=1e-6)


def test_two_scale_base_agrees_with_float64():
    ir, vi_y = luma(0), luma(1)
    i, v = (np.asarray(x, np.float64) for x in (ir, vi_y))
    gi, gv = (ndimage.gaussian_filter(x, (0, 3, 3, 0), mode="reflect", truncate=4) for x in (i, v))
    want = 0.5 * np.maximum(i, v) + 0.5 * np.clip(np.maximum(gi, gv) + i - gi + v - gv, 0, 1)
    np.testing.assert_allclose(two_scale_base(ir, vi_y, sigma=3.0), want, atol=1e-5)


def test_sharpening_keeps_the_inside_of_a_ramp():
    rows, columns = np.mgrid[:12, :14]
    ramp = jnp.asarray(0.1 + 0.03 * rows + 0.02 * columns, jnp.float32)[None, ..., None]
    sharp = reference(ramp, ramp, config=ReferenceConfig(edge_weight=1.0, equalized_weight=0.0))
    np.testing.assert_allclose(sharp[:, 1:-1, 1:-1], ramp[:, 1:-1, 1:-1], atol=1e-6)


def test_sharpening_raises_a_bright_line_and_lowers_its_sides():
    line = jnp.full((1, 7, 7, 1), 0.4).at[:, :, 3].set(0.5)
    sharp = reference(line, line, config=ReferenceConfig(edge_weight=1.0, equalized_weight=0.0))
    np.testing.assert_allclose(sharp[0, 3, 1:6, 0], [0.4, 0.3, 0.7, 0.3, 0.4], atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 5), (9, 17)])
def test_any_size_gives_values_in_range(config, size):
    got = reference(luma(0, size=size), luma(1, size=size), config=config)
    chex.assert_shape(got, (2, *size, 1))
    assert got.dtype == jnp.float32
    assert got.min() >= 0
    assert got.max() <= 1 + 1e-6  # the shares and bilinear weights sum to 1 up to rounding


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_constant_images_stay_as_they_are(config):
    x = jnp.concatenate([jnp.full((1, 24, 20, 1), value) for value in (0.0, 0.3, 1.0)])
    np.testing.assert_allclose(reference(x, x, config=config), x, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_an_image_does_not_depend_on_its_batch_mates(config):
    ir, vi_y = luma(0), luma(1)
    replaced = reference(ir.at[1].set(1.0), vi_y, config=config)
    np.testing.assert_array_equal(replaced[0], reference(ir, vi_y, config=config)[0])


@pytest.mark.slow
def test_jit_changes_nothing():
    ir, vi_y = luma(0), luma(1)
    eager = fine_grained_reference(ir, vi_y, config=PAPER)
    np.testing.assert_allclose(reference(ir, vi_y, config=PAPER), eager, atol=1e-6)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_exchanging_the_sources_changes_nothing(config):
    ir, vi_y = luma(0), luma(1)
    swapped = reference(vi_y, ir, config=config)
    np.testing.assert_allclose(reference(ir, vi_y, config=config), swapped, atol=1e-6)


def test_no_gradient_passes():
    ir, vi_y = luma(0), luma(1)
    grads = jax.grad(lambda i, v: reference(i, v, config=PAPER).sum(), argnums=(0, 1))(ir, vi_y)
    chex.assert_trees_all_equal(grads, jax.tree.map(jnp.zeros_like, grads))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edge_weight": 0.8, "equalized_weight": 0.3}, "sum at most 1"),
        ({"edge_weight": -0.1}, "neither negative"),
        ({"equalization": "Clahe"}, "equalization is 'Clahe'; expected one of 'clahe', 'global'"),
        ({"base_sigma": 0.0}, "base_sigma is 0.0 pixels"),
        ({"base": "two_scale", "enhance_first": True}, "does not apply"),
    ],
)
def test_bad_options_are_refused(options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        ReferenceConfig(**options)


@pytest.mark.slow
def test_headroom_shows_warm_detail_in_a_saturated_light_and_changes_nothing_elsewhere():
    ir = jnp.full((1, 48, 48, 1), 0.4).at[:, 20:30, 20:26].set(0.8)
    saturated, dim = jnp.ones_like(ir), jnp.full_like(ir, 0.2)
    contrast = {}
    for headroom in (False, True):
        base = two_scale_base(ir, saturated, sigma=6.0, headroom=headroom)
        contrast[headroom] = base[0, 25, 23, 0] - base[0, 25, 18, 0]
    assert contrast[True] > contrast[False] + 0.2  # the maximum, which is white there, has no share
    plain, roomy = (two_scale_base(ir, dim, sigma=6.0, headroom=headroom) for headroom in (False, True))
    np.testing.assert_array_equal(plain, roomy)
    with pytest.raises(ValueError, match="headroom is for"):
        ReferenceConfig(headroom=True)


def test_a_share_of_zero_leaves_equalization_out():
    ir, vi_y = luma(0), luma(1)
    config = ReferenceConfig(edge_weight=0.3, equalized_weight=0.0)
    base = jnp.maximum(ir, vi_y)
    expected = 0.7 * base + 0.3 * jnp.clip(base - laplacian(base, padding="edge"), 0, 1)
    np.testing.assert_allclose(fine_grained_reference(ir, vi_y, config=config), expected, atol=1e-6)
