"""Color conversion against Pillow's JFIF and its inverse; filters against SciPy in float64 for
every padding.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fusejax.ops.color import rgb_to_luma, rgb_to_ycbcr, ycbcr_to_rgb
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


@pytest.mark.parametrize("array", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_color_survives_the_round_trip(rgb, array):
    ycbcr = rgb_to_ycbcr(array(rgb))
    assert ycbcr.dtype == np.float32
    np.testing.assert_allclose(ycbcr_to_rgb(ycbcr), rgb, atol=1e-6)


def test_numpy_and_jax_give_the_same_colors(rgb):
    for convert in (rgb_to_luma, rgb_to_ycbcr, ycbcr_to_rgb):
        on_numpy, on_jax = convert(rgb), convert(jnp.asarray(rgb))
        assert isinstance(on_numpy, np.ndarray)
        assert on_numpy.shape == on_jax.shape
        np.testing.assert_allclose(on_jax, on_numpy, atol=1e-6)


def test_color_agrees_with_pillow():
    """Pillow's conversion is JFIF's and rounds to 8 bit, so half a level and its fixed-point error
    remain.
    """
    u8 = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    ours = 255 * rgb_to_ycbcr(u8.astype(np.float32) / 255)
    ours[..., 1:] += 0.5  # JFIF's chroma is centered at 128, not at 127.5
    theirs = np.asarray(Image.fromarray(u8).convert("YCbCr"), np.float64)
    np.testing.assert_allclose(np.clip(ours, 0, 255), theirs, atol=1.01)


@pytest.mark.parametrize(
    ("color", "expected"),
    [
        ((1, 0, 0), (0.299, 0.5 - 0.299 / 1.772, 1.0)),
        ((0, 1, 0), (0.587, 0.5 - 0.587 / 1.772, 0.5 - 0.587 / 1.402)),
        ((0, 0, 1), (0.114, 1.0, 0.5 - 0.114 / 1.402)),
        ((0, 0, 0), (0.0, 0.5, 0.5)),
        ((1, 1, 1), (1.0, 0.5, 0.5)),
    ],
)
def test_pure_colors_have_the_values_of_bt601(color, expected):
    np.testing.assert_allclose(rgb_to_ycbcr(np.array([[color]], np.float32))[0, 0], expected, atol=1e-6)


def test_gray_stays_gray(rng):
    gray = np.repeat(rng.random((5, 6, 1), np.float32), 3, axis=-1)
    ycbcr = rgb_to_ycbcr(gray)
    np.testing.assert_allclose(ycbcr[..., 0], gray[..., 0], atol=1e-6)
    np.testing.assert_allclose(ycbcr[..., 1:], 0.5, atol=1e-6)
    np.testing.assert_allclose(rgb_to_luma(gray), gray[..., :1], atol=1e-6)


def test_luma_is_the_first_channel(rgb):
    assert rgb_to_luma(rgb).shape == (2, 7, 9, 1)
    np.testing.assert_allclose(rgb_to_luma(rgb)[..., 0], rgb_to_ycbcr(rgb)[..., 0], atol=1e-6)


def test_a_changed_luma_moves_all_channels_alike(rgb):
    ycbcr = rgb_to_ycbcr(rgb) + np.array([0.1, 0, 0], np.float32)
    np.testing.assert_allclose(ycbcr_to_rgb(ycbcr), rgb + 0.1, atol=1e-6)


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
