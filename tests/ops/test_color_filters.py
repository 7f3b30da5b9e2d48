"""Color conversion against Pillow's JFIF and its inverse; filters against SciPy in float64 for
every padding.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fusejax.ops.color import CHROMA_FLOOR, CHROMA_GAIN, recolor, rgb_to_luma
from fusejax.ops.filters import (
    correlate,
    gaussian_blur,
    gaussian_kernel,
    laplacian,
    separable_correlate,
    sobel,
)

SCIPY_MODE = {"edge": "nearest", "reflect": "mirror", "symmetric": "reflect", "zero": "constant"}
KERNEL = np.random.default_rng(9).normal(size=(3, 5))  # no symmetry: a flip or a transposition shows
# Sums of at most 15 products of order 1 in float32.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture
def rgb(rng):
    return rng.random((2, 7, 9, 3), np.float32)


@pytest.fixture
def image(rng):
    return rng.random((2, 11, 8, 3), np.float32)


def per_plane(function, x):
    """Applies a 2-D SciPy filter to each channel of each image, in float64."""
    planes = np.moveaxis(np.asarray(x, np.float64), -1, 1)
    return np.moveaxis(np.array([[function(p) for p in channels] for channels in planes]), 1, -1)


def test_luma_agrees_with_pillow():
    """Pillow rounds to 8 bits, so half a level and its fixed-point error remain."""
    u8 = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    theirs = np.asarray(Image.fromarray(u8).convert("YCbCr"), np.float64)[..., :1]
    np.testing.assert_allclose(255 * rgb_to_luma(u8.astype(np.float32) / 255), theirs, atol=1.01)


@pytest.mark.parametrize(("color", "expected"), [((1, 0, 0), 0.299), ((0, 1, 0), 0.587), ((0, 0, 1), 0.114)])
def test_pure_colors_have_the_luma_of_bt601(color, expected):
    np.testing.assert_allclose(rgb_to_luma(np.array([[color]], np.float32)), [[[expected]]], atol=1e-6)


def fused_lumas(rgb):
    """Lumas that lift, lower, keep and clip."""
    y, noise = rgb_to_luma(rgb), np.random.default_rng(1).random((*rgb.shape[:-1], 1), np.float32)
    return {"random": noise, "same": y, "brighter": y + 0.4 * (1 - y), "darker": 0.5 * y, "white": y**0, "black": 0 * y}


@pytest.mark.parametrize("kind", ["random", "same", "brighter", "darker", "white", "black"])
def test_the_luma_of_a_recolored_image_is_the_fused_one(rgb, kind):
    fused_y = fused_lumas(rgb)[kind]
    result = recolor(fused_y, rgb)
    assert result.dtype == np.float32
    assert 0 <= result.min() <= result.max() <= 1
    np.testing.assert_allclose(rgb_to_luma(result), fused_y, atol=1e-6)


def test_hue_is_kept_and_chroma_is_never_longer_than_saturation_allows(rgb):
    fused_y, y = fused_lumas(rgb)["random"], rgb_to_luma(rgb)
    before, after = rgb - y, recolor(fused_y, rgb) - fused_y
    cosine = (before * after).sum(-1) / np.linalg.norm(before, axis=-1) / np.linalg.norm(after, axis=-1)
    np.testing.assert_allclose(cosine, 1, atol=1e-4)
    gain = np.linalg.norm(after, axis=-1, keepdims=True) / np.linalg.norm(before, axis=-1, keepdims=True)
    limit = np.minimum((fused_y + CHROMA_FLOOR) / (y + CHROMA_FLOOR), CHROMA_GAIN)
    assert (gain < limit * (1 + 1e-4)).all()
    inside = ((recolor(fused_y, rgb) > 1e-3) & (recolor(fused_y, rgb) < 1 - 1e-3)).all(-1)
    np.testing.assert_allclose(gain[inside], limit[inside], rtol=1e-4)
    assert inside.mean() > 0.2


def test_an_unchanged_luma_gives_the_visible_image_and_gray_stays_gray(rgb):
    np.testing.assert_allclose(recolor(rgb_to_luma(rgb), rgb), rgb, atol=1e-6)
    gray = np.repeat(rgb[..., :1], 3, axis=-1)
    fused_y = fused_lumas(rgb)["random"]
    np.testing.assert_allclose(recolor(fused_y, gray), np.repeat(fused_y, 3, axis=-1), atol=1e-5)


def test_noise_of_the_dark_is_not_amplified():
    dark = np.float32([[[0.02, 0.0, 0.01]]])
    result = recolor(np.float32([[[0.5]]]), dark)
    assert np.ptp(result) < CHROMA_GAIN * np.ptp(dark) * 1.01


def test_numpy_and_jax_give_the_same_colors(rgb):
    fused_y = fused_lumas(rgb)["random"]
    for convert, arguments in ((rgb_to_luma, (rgb,)), (recolor, (fused_y, rgb))):
        on_numpy, on_jax = convert(*arguments), convert(*map(jnp.asarray, arguments))
        assert isinstance(on_numpy, np.ndarray)
        assert isinstance(on_jax, jnp.ndarray)
        np.testing.assert_allclose(on_jax, on_numpy, atol=1e-6)


@pytest.mark.parametrize("padding", SCIPY_MODE)
def test_correlation_agrees_with_scipy(image, padding):
    want = per_plane(lambda p: ndimage.correlate(p, KERNEL, mode=SCIPY_MODE[padding]), image)
    np.testing.assert_allclose(correlate(jnp.asarray(image), KERNEL, padding=padding), want, **CLOSE)


@pytest.mark.parametrize("padding", [*SCIPY_MODE, "valid"])
def test_filters_keep_float64(padding):
    """To rounding of float64, where the comparisons above leave room for float32."""
    image, mode = np.random.default_rng(4).random((1, 11, 8, 1)), SCIPY_MODE.get(padding, "nearest")

    @jax.jit
    def filtered(x):
        horizontal, vertical = sobel(x, padding=padding)
        return correlate(x, KERNEL, padding=padding), horizontal, vertical, laplacian(x, padding=padding)

    with jax.enable_x64(True):
        got = [np.asarray(g) for g in (*filtered(jnp.asarray(image)), gaussian_blur(jnp.asarray(image), 1.5))]
    want = [
        per_plane(lambda p: ndimage.correlate(p, KERNEL, mode=mode), image),
        per_plane(lambda p: ndimage.sobel(p, axis=1, mode=mode), image),
        per_plane(lambda p: ndimage.sobel(p, axis=0, mode=mode), image),
        per_plane(lambda p: ndimage.laplace(p, mode=mode), image),
        per_plane(lambda p: ndimage.gaussian_filter(p, 1.5, mode="reflect", truncate=4.0), image),
    ]
    if padding == "valid":
        want = [want[0][:, 1:-1, 2:-2], *(w[:, 1:-1, 1:-1] for w in want[1:4]), want[4]]
    for g, w in zip(got, want, strict=True):
        assert g.dtype == np.float64
        np.testing.assert_allclose(g, w, rtol=0, atol=1e-12)


def test_valid_correlation_is_the_inside(image):
    want = per_plane(lambda p: ndimage.correlate(p, KERNEL), image)[:, 1:-1, 2:-2]
    np.testing.assert_allclose(correlate(jnp.asarray(image), KERNEL, padding="valid"), want, **CLOSE)


@pytest.mark.parametrize("padding", [*SCIPY_MODE, "valid"])
def test_separable_correlation_is_correlation_with_the_outer_product(image, padding):
    rows, columns = (1.0, -2.0, 0.5), (0.3, 1.0, 0.0, -0.7, 0.2)
    x = jnp.asarray(image)
    want = correlate(x, np.outer(rows, columns), padding=padding)
    np.testing.assert_allclose(separable_correlate(x, rows, columns, padding=padding), want, **CLOSE)


@pytest.mark.parametrize("padding", SCIPY_MODE)
def test_sobel_and_laplacian_agree_with_scipy(image, padding):
    x, mode = jnp.asarray(image), SCIPY_MODE[padding]
    gx, gy = sobel(x, padding=padding)
    np.testing.assert_allclose(gx, per_plane(lambda p: ndimage.sobel(p, axis=1, mode=mode), image), **CLOSE)
    np.testing.assert_allclose(gy, per_plane(lambda p: ndimage.sobel(p, axis=0, mode=mode), image), **CLOSE)
    want = per_plane(lambda p: ndimage.laplace(p, mode=mode), image)
    np.testing.assert_allclose(laplacian(x, padding=padding), want, **CLOSE)


def test_default_borders_make_no_edges():
    flat = jnp.full((1, 5, 6, 1), 0.7)
    for response in (*sobel(flat), laplacian(flat)):
        np.testing.assert_allclose(response, 0.0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (2, 2)])
@pytest.mark.parametrize("padding", ["edge", "symmetric", "zero"])
def test_images_smaller_than_the_kernel(size, padding):
    x = np.random.default_rng(0).random((1, *size, 1), np.float32)
    want = per_plane(lambda p: ndimage.correlate(p, KERNEL, mode=SCIPY_MODE[padding]), x)
    np.testing.assert_allclose(correlate(jnp.asarray(x), KERNEL, padding=padding), want, **CLOSE)


@pytest.mark.parametrize("sigma", [0.8, 2.0, 6.0])  # at 6 the kernel is wider than the image
def test_gaussian_blur_agrees_with_scipy(image, sigma):
    want = per_plane(lambda p: ndimage.gaussian_filter(p, sigma, mode="reflect", truncate=4.0), image)
    np.testing.assert_allclose(gaussian_blur(jnp.asarray(image), sigma), want, **CLOSE)


def test_gaussian_kernel_is_normalized_and_symmetric():
    kernel = gaussian_kernel(11, 1.5)
    assert kernel.dtype == np.float64
    np.testing.assert_allclose(kernel.sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose(kernel, kernel[::-1], rtol=1e-12)
    np.testing.assert_allclose(kernel[6] / kernel[5], np.exp(-1 / (2 * 1.5**2)), rtol=1e-12)


def test_even_kernels_are_refused():
    with pytest.raises(ValueError, match="kernel is 2x3; both sides must be odd"):
        correlate(jnp.zeros((1, 4, 4, 1)), np.ones((2, 3)), padding="edge")
