"""Metrics on object regions: against float64 implementations, and the laws they must obey."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from regions import draw, luma, planes
from scipy import ndimage

from fusejax.metrics.fidelity import mean_squared_error
from fusejax.metrics.region import average_fusion, mse_lower_bound, roi_mse, roi_ssim
from fusejax.metrics.structure import ssim

roi_similarity = jax.jit(roi_ssim)
plain_ssim = jax.jit(ssim, static_argnames="border")


def ssim_map64(x, y):
    pad = lambda z: np.pad(255 * z, 5, mode="edge")  # noqa: E731
    mean = lambda z: ndimage.gaussian_filter(z, 1.5, radius=5)[5:-5, 5:-5]  # noqa: E731
    x, y = pad(x), pad(y)
    x_m, y_m, c1, c2 = mean(x), mean(y), 2.55**2, 7.65**2
    variances = mean(x * x) - x_m**2 + mean(y * y) - y_m**2
    covariance = mean(x * y) - x_m * y_m
    return (2 * x_m * y_m + c1) / (x_m**2 + y_m**2 + c1) * (2 * covariance + c2) / (variances + c2)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (17, 24)])
def test_region_metrics_agree_with_float64(size):
    images, mask = [luma(s, size=size) for s in range(3)], luma(9, size=size)
    want = {"ssim": [], "mse": []}
    for f, i, v, m in planes(*images, mask):
        similarity = (ssim_map64(f, i) + ssim_map64(f, v)) / 2
        want["ssim"].append(np.average(similarity, weights=m))
        want["mse"].append(np.average(((f - i) ** 2 + (f - v) ** 2) / 2, weights=m))
    np.testing.assert_allclose(roi_similarity(*images, mask), want["ssim"], atol=1e-6)
    np.testing.assert_allclose(roi_mse(*images, mask), want["mse"], rtol=1e-6)


@pytest.mark.slow
def test_the_whole_image_as_region_gives_the_plain_metrics():
    images = [luma(s) for s in range(3)]
    ones = jnp.ones_like(images[0])
    np.testing.assert_allclose(roi_similarity(*images, ones), plain_ssim(*images, border="edge"), atol=1e-6)
    np.testing.assert_allclose(roi_mse(*images, ones), mean_squared_error(*images, full_scale=1.0), rtol=1e-6)


def test_region_similarity_is_one_iff_all_windows_on_the_region_agree():
    f, mask = luma(0), draw([[[4, 4, 9, 9]]] * 3, [[True]] * 3)
    np.testing.assert_allclose(roi_similarity(f, f, f, mask), 1.0, atol=1e-6)
    far, near = f.at[:, :, 14:].set(0.0), f.at[:, :, 13:].set(0.0)  # windows reach from column -1 to 13
    np.testing.assert_allclose(roi_similarity(far, f, f, mask), 1.0, atol=1e-6)
    assert (roi_similarity(near, f, f, mask) < 1 - 1e-5).all()


def test_images_without_regions_are_undefined():
    images, mask = [luma(s) for s in range(3)], draw()
    for value in (roi_similarity(*images, mask), roi_mse(*images, mask)):
        np.testing.assert_array_equal(np.isnan(value), [False, False, True])
    corner = draw([[[0, 0, 4, 4]]] * 3, [[True]] * 3)
    assert jnp.isfinite(roi_similarity(*images, corner)).all()


def test_averaging_reaches_the_bound_that_no_image_beats():
    f, i, v = (luma(s) for s in range(3))
    ones, bound = jnp.ones_like(f), mse_lower_bound(i, v)
    np.testing.assert_allclose(bound, np.square(np.asarray(i - v, np.float64)).mean((1, 2, 3)) / 4, rtol=1e-6)
    average = average_fusion(i, v)
    np.testing.assert_allclose(roi_mse(average, i, v, ones), bound, rtol=1e-6)
    for other in (f, i, v, jnp.maximum(i, v), average + 0.01):
        assert (roi_mse(other, i, v, ones) > bound).all()
