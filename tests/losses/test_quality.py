"""Metrics as training terms: against the metrics, float64 implementations, slopes, degenerate
images.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import ndimage

from fusejax.losses.quality import metric_ssim_loss, qabf_loss, scd_loss, vif_loss, windowed_mean
from fusejax.metrics.edges import qabf
from fusejax.metrics.fidelity import sum_of_correlations_of_differences
from fusejax.metrics.structure import ssim
from fusejax.metrics.visual_information import vif

LOSSES = {"qabf": qabf_loss, "metric_ssim": metric_ssim_loss, "scd": scd_loss, "vif": vif_loss}


def luma(seed, *, size=48, batch=2):
    """Smooth 8-bit images: like photographs, fused images have edges several pixels wide."""
    noise = np.random.default_rng(seed).random((batch, size, size))
    smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5))
    low, high = smooth.min(), smooth.max()
    return jnp.asarray(np.round(255 * (smooth - low) / (high - low)) / 255, jnp.float32)[..., None]


def sources(size=48):
    return luma(0, size=size), luma(1, size=size)


@functools.cache
def value_and_slope(name):
    return jax.jit(jax.value_and_grad(lambda f, i, v: LOSSES[name](f, i, v).sum()))


@pytest.mark.slow
def test_scd_is_the_metric():
    ir, vi_y = sources()
    fused = 0.6 * ir + 0.5 * vi_y**2
    metric = sum_of_correlations_of_differences(fused, ir, vi_y)
    np.testing.assert_allclose(scd_loss(fused, ir, vi_y), 1 - metric / 2, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "metric", "atol"), [("vif", vif, 0.01), ("metric_ssim", ssim, 0.01)])
def test_every_second_window_gives_the_metric(name, metric, atol, say):
    ir, vi_y = sources(96)
    fused = jnp.round(255 * jnp.maximum(ir, 0.9 * vi_y)) / 255
    options = {"window": "box", "data_range": 8.0} if name == "metric_ssim" else {}
    errors = np.abs(1 - LOSSES[name](fused, ir, vi_y) - metric(fused, ir, vi_y, **options))
    say(f"{name} as a term against the metric: {errors.max():.4f}")
    assert errors.max() < atol


@pytest.mark.slow
def test_ssim_of_bright_and_nearly_flat_images_is_that_of_float64():
    # Variances of a level or less beside squares of 230: without the image's mean taken off first,
    # float32 is 1.2e-3 off.
    rng = np.random.default_rng(0)
    fused, ir, vi_y = (230 + rng.integers(0, 3, (32, 32)).astype(float) for _ in range(3))

    def windows(x):
        return np.lib.stride_tricks.sliding_window_view(x, (7, 7))[::2, ::2].reshape(-1, 49)

    def ssim64(x, y):
        x, y = windows(x), windows(y)
        covariance = ((x - x.mean(1, keepdims=True)) * (y - y.mean(1, keepdims=True))).sum(1) / 48
        means, variances = (x.mean(1), y.mean(1)), x.var(1, ddof=1) + y.var(1, ddof=1)
        c1, c2 = (0.01 * 8) ** 2, (0.03 * 8) ** 2
        luminance = (2 * means[0] * means[1] + c1) / (means[0] ** 2 + means[1] ** 2 + c1)
        return (luminance * (2 * covariance + c2) / (variances + c2)).mean()

    expected = 1 - (ssim64(fused, ir) + ssim64(fused, vi_y)) / 2
    images = (jnp.asarray(x / 255, jnp.float32)[None, ..., None] for x in (fused, ir, vi_y))
    np.testing.assert_allclose(metric_ssim_loss(*images), expected, atol=2e-5)


@pytest.mark.slow
def test_vif_of_a_copy_is_one_and_contrast_raises_it():
    ir, vi_y = sources()
    assert np.all(vif_loss(ir, ir, ir) < 1e-3)
    middle = 0.5 + 0.8 * (ir - 0.5)
    assert np.all(vif_loss(0.5 + 1.2 * (middle - 0.5), middle, middle) < -0.05)
    assert np.all(vif_loss(vi_y, ir, ir) > 0.5)


def qabf64(fused, *sources):
    """The documented form: repeated borders, edges as lines, strengths sqrt(gx^2 + gy^2 + 1)."""

    def edges(x):
        x = 255 * np.float64(x[..., 0])
        gx, gy = (np.stack([ndimage.sobel(image, axis=axis, mode="nearest") for image in x]) for axis in (1, 0))
        return np.sqrt(gx**2 + gy**2 + 1), np.arctan2(gy, gx)

    strength, angle = edges(fused)
    kept = weight = 0.0
    for source, direction in map(edges, sources):
        relative = np.minimum(source, strength) / np.maximum(source, strength)
        between = np.abs(angle - direction) % np.pi
        aligned = 1 - np.minimum(between, np.pi - between) / (np.pi / 2)
        quality = 0.9994 / (1 + np.exp(-15 * (relative - 0.5))) * 0.9879 / (1 + np.exp(-22 * (aligned - 0.8)))
        kept, weight = kept + (source * quality).sum((1, 2)), weight + source.sum((1, 2))
    return kept / weight


@pytest.mark.slow
def test_qabf_is_its_formula_and_near_the_metric():
    frame = ((0, 0), (2, 2), (2, 2), (0, 0))  # black, so that both kinds of border are the same
    ir, vi_y = (jnp.pad(x, frame) for x in sources())
    for fused in (ir, (ir + vi_y) / 2, jnp.maximum(ir, vi_y)):
        np.testing.assert_allclose(1 - qabf_loss(fused, ir, vi_y), qabf64(fused, ir, vi_y), atol=2e-3)
        np.testing.assert_allclose(1 - qabf_loss(fused, ir, vi_y), qabf(fused, ir, vi_y), atol=0.08)
    assert np.all(qabf_loss(jnp.flip(ir, 1), ir, ir) > 0.5)


def test_windowed_mean_is_a_convolution():
    x, taps = luma(3, size=20)[..., 0], [0.1, 0.2, 0.4, 0.2, 0.1]
    full = ndimage.correlate1d(ndimage.correlate1d(np.float64(x), taps, axis=1), taps, axis=2)
    np.testing.assert_allclose(windowed_mean(x[None], taps, stride=2)[0], full[:, 2:-2:2, 2:-2:2], atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_match_finite_differences(name):
    """Along one direction, since a single pixel moves these sums by less than float32 resolves."""
    ir, vi_y = sources()
    fused = 0.55 * ir + 0.4 * vi_y + 0.02 * luma(2)
    direction = luma(4) - luma(5)

    def along(t):
        return 10 * LOSSES[name](fused + t * direction, ir, vi_y).sum()

    check_grads(jax.jit(along), (0.0,), order=1, modes=["rev"], eps=2e-3, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.slow
def test_degenerate_images_have_finite_values_and_slopes(name):
    ir, vi_y = sources()
    flat, black, white = (jnp.full_like(ir, level) for level in (0.5, 0.0, 1.0))
    saturated = jnp.where(ir > 0.5, 1.0, ir)
    cases = [(flat, flat, flat), (black, black, black), (white, ir, white), (ir, ir, ir), (saturated, saturated, white)]
    for fused, i, v in [*cases, (black, ir, vi_y), (flat, black, vi_y)]:
        value, slope = value_and_slope(name)(fused, i, v)
        assert np.isfinite(value)
        assert np.all(np.isfinite(slope))


@pytest.mark.parametrize("name", LOSSES)
def test_contrast_that_saving_clips_does_not_pay(name):
    ir, vi_y = sources()
    fused = 1.8 * ir - 0.4
    outside = np.asarray((fused < 0) | (fused > 1))
    assert outside.mean() > 0.02
    value, slope = value_and_slope(name)(fused, ir, vi_y)
    saved, _ = value_and_slope(name)(jnp.clip(fused, 0, 1), ir, vi_y)
    np.testing.assert_array_equal(value, saved)
    np.testing.assert_array_equal(slope[outside], 0)
    assert np.abs(slope).max() > 0


@pytest.mark.slow
def test_images_smaller_than_the_windows_have_a_value():
    ir, vi_y = (x[:, :5, :6] for x in sources())
    for name in ("metric_ssim", "vif"):
        assert np.all(LOSSES[name](ir, ir, ir) < 1e-3)
        assert np.all(LOSSES[name](vi_y, ir, ir) > 0.1)
