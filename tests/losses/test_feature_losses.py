"""CrossFuse's losses on features, rebuilt images and views of the fused image."""

import itertools

import chex
import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage, signal

from fusejax.losses import consistency, reconstruction
from fusejax.losses.features import channel_correlation, decomposition_loss
from fusejax.losses.gradient import joint_gradient_loss
from fusejax.losses.intensity import maximum_intensity_loss
from fusejax.losses.objective import Progress, decay_factor

# Compiled once, instead of operation by operation.
aggressive_view = jax.jit(consistency.aggressive_view)
consistency_loss = jax.jit(consistency.consistency_loss, static_argnames=("crop", "view"))
reconstruction_loss = jax.jit(reconstruction.reconstruction_loss)


def maps(seed, shape=(2, 6, 7, 3)):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def luma(seed, size=(40, 36), batch=2):
    return jnp.asarray(np.random.default_rng(seed).random((batch, *size, 1)), jnp.float32)


def named(*features):
    return dict(zip(("ir_base", "vi_base", "ir_detail", "vi_detail"), features, strict=True))


def correlation64(a, b):
    """[b, c] by NumPy's own correlation."""
    a, b = (np.asarray(x, np.float64).transpose(0, 3, 1, 2).reshape(x.shape[0], x.shape[-1], -1) for x in (a, b))
    return np.array([[np.corrcoef(p, q)[0, 1] for p, q in zip(*pair, strict=True)] for pair in zip(a, b, strict=True)])


def test_decomposition_agrees_with_float64():
    ir_base, vi_base, ir_detail, vi_detail = (maps(s) for s in range(4))
    vi_base, vi_detail = ir_base + vi_base, vi_detail - 0.5 * ir_detail
    expected = correlation64(ir_detail, vi_detail).mean() ** 2 / (1.01 + correlation64(ir_base, vi_base).mean())
    got = decomposition_loss(named(ir_base, vi_base, ir_detail, vi_detail))
    chex.assert_shape(got, (2,))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_decomposition_is_symmetric_not_negative_and_free_of_scale():
    a, b, c, d = (maps(s) for s in range(4))
    value = decomposition_loss(named(a, b, c, d))
    assert (value > 0).all()
    np.testing.assert_allclose(decomposition_loss(named(b, a, d, c)), value, rtol=1e-6)
    np.testing.assert_allclose(decomposition_loss(named(3.0 * a, b, c, 0.2 * d)), value, rtol=1e-5)


def test_uncorrelated_details_cost_nothing():
    ramp = jnp.broadcast_to(jnp.arange(-3.0, 4.0)[None, None, :, None], (1, 6, 7, 1))
    even = jnp.square(ramp) - jnp.square(ramp).mean()
    np.testing.assert_allclose(decomposition_loss(named(ramp, ramp, ramp, even)), 0.0, atol=1e-12)
    np.testing.assert_allclose(decomposition_loss(named(ramp, ramp, ramp, -ramp)), 1.0 / 2.01, rtol=1e-5)


@pytest.mark.slow
def test_constant_maps_have_correlation_zero_and_finite_slopes():
    kinds = [jnp.zeros((1, 4, 5, 2)), jnp.ones((1, 4, 5, 2)), maps(0, (1, 4, 5, 2))]
    value_and_slopes = jax.jit(jax.value_and_grad(lambda x, y: channel_correlation(x, y).sum(), argnums=(0, 1)))
    for a, b in itertools.product(kinds, repeat=2):
        value, slopes = value_and_slopes(a, b)
        chex.assert_tree_all_finite((value, slopes))
        assert value == pytest.approx(float(a is kinds[2] and b is kinds[2]), abs=1e-6)


def ssim64(a, b):
    """Mean of clip((1 - SSIM) / 2, 0, 1), Gaussian 11, sigma 1.5, reflected borders, range 1; [h,
    w] each.
    """
    t = np.arange(11) - 5.0
    window = np.exp(-(t**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2

    def mean(x):
        return signal.convolve2d(np.pad(x, 5, mode="reflect"), window, mode="valid")

    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b, cov = mean(a * a) - mu_a**2, mean(b * b) - mu_b**2, mean(a * b) - mu_a * mu_b
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))
    return np.clip((1 - ssim) / 2, 0, 1).mean()


@pytest.mark.slow
def test_reconstruction_agrees_with_float64():
    ir, vi_y, rebuilt = luma(0), luma(1), {"ir": luma(2), "vi_y": 0.5 * luma(1) + 0.2}
    expected = []
    for n in range(2):
        i, v, ri, rv = (np.asarray(x[n, ..., 0], np.float64) for x in (ir, vi_y, rebuilt["ir"], rebuilt["vi_y"]))
        value = sum(5 * ssim64(a, b) + ((a - b) ** 2).mean() for a, b in ((i, ri), (v, rv)))
        slopes = [
            np.abs(ndimage.sobel(v, axis=k, mode="nearest") - ndimage.sobel(rv, axis=k, mode="nearest")) / 8
            for k in (0, 1)
        ]
        expected.append(value + 5 * np.mean(slopes))
    np.testing.assert_allclose(reconstruction_loss(ir, vi_y, rebuilt), expected, rtol=1e-5)


@pytest.mark.slow
def test_perfect_reconstruction_costs_nothing():
    ir, vi_y = luma(0), luma(1)
    np.testing.assert_allclose(reconstruction_loss(ir, vi_y, {"ir": ir, "vi_y": vi_y}), 0.0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("sigma", [0.1, 0.7, 5.0])
def test_the_blur_is_21_high_and_9_wide(sigma):
    """Against SciPy with the window written out, reflected about the border pixel as PyTorch's
    `reflect`.
    """
    x = luma(3, size=(32, 32))
    rows, columns = (np.exp(-0.5 * (np.arange(-m, m + 1) / sigma) ** 2) for m in (10, 4))
    window = np.outer(rows / rows.sum(), columns / columns.sum())
    expected = [
        signal.correlate2d(
            np.pad(np.asarray(p[..., 0], np.float64), ((10, 10), (4, 4)), mode="reflect"), window, "valid"
        )
        for p in x
    ]
    np.testing.assert_allclose(aggressive_view(x, jnp.float32(sigma))[..., 0], expected, atol=1e-6)


@pytest.mark.slow
def test_consistency_compares_one_crop_of_the_batch_with_its_blur():
    x, key = luma(4), jax.random.key(3)
    value = consistency_loss(key, x)
    rows, columns, for_sigma = jax.random.split(key, 3)
    top, left = int(jax.random.randint(rows, (), 0, 9)), int(jax.random.randint(columns, (), 0, 5))
    weak = x[:, top : top + 32, left : left + 32]
    blurred = aggressive_view(weak, jax.random.uniform(for_sigma, minval=0.1, maxval=5.0))
    np.testing.assert_allclose(value, jnp.square(weak - blurred).mean(axis=(1, 2, 3)), rtol=1e-5)
    assert len({float(consistency_loss(jax.random.key(k), x)[0]) for k in range(4)}) == 4


@pytest.mark.slow
def test_consistency_is_zero_only_for_constant_crops():
    textured = luma(5, size=(32, 32))
    np.testing.assert_allclose(consistency_loss(jax.random.key(0), jnp.full_like(textured, 0.7)), 0.0, atol=1e-12)
    assert (consistency_loss(jax.random.key(0), textured) > 1e-4).all()


def test_consistency_grows_with_sigma_on_a_checkerboard():
    board = jnp.asarray(np.indices((32, 32)).sum(0) % 2, jnp.float32)[None, ..., None]
    values = [float(jnp.square(board - aggressive_view(board, jnp.float32(s))).mean()) for s in (0.1, 0.3, 0.6, 1, 5)]
    # Cut after 9 taps, the widest window leaves 1/189 of the board's contrast: 3e-4 less than at
    # sigma 1.
    assert values[0] < 1e-6 and np.all(np.diff(values) >= -5e-4) and values[-1] > 0.2


@pytest.mark.slow
def test_both_views_carry_a_gradient_and_it_matches_finite_differences():
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).random((1, 6, 7, 1)))
        key = jax.random.key(1)
        slope = jax.jit(jax.grad(lambda f: consistency_loss(key, f).sum()))(x)
        steps = 1e-5 * np.eye(x.size).reshape(-1, *x.shape)
        values = [float((consistency_loss(key, x + d) - consistency_loss(key, x - d)).sum()) / 2e-5 for d in steps[::5]]
    np.testing.assert_allclose(np.ravel(slope)[::5], values, rtol=1e-5, atol=1e-9)


def test_phase_two_costs_nothing_where_all_three_are_equal():
    x = luma(6)
    np.testing.assert_array_equal(maximum_intensity_loss(x, x, x), 0.0)
    np.testing.assert_array_equal(joint_gradient_loss(x, x, x), 0.0)
    assert (maximum_intensity_loss(0.5 * x, x, x) > 0.1).all() and (joint_gradient_loss(0.5 * x, x, x) > 0.1).all()


@jax.jit
def slopes_on_flat_images(flat):
    return {
        "consistency": jax.grad(lambda f: consistency_loss(jax.random.key(0), f).sum())(flat),
        "reconstruction": jax.grad(lambda f: reconstruction_loss(flat, flat, {"ir": f, "vi_y": f}).sum())(flat),
    }


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_losses_have_finite_gradients_on_flat_images(value):
    chex.assert_tree_all_finite(slopes_on_flat_images(jnp.full((1, 12, 12, 1), value, jnp.float32)))


def test_the_weight_falls_from_one_to_zero_and_the_script_rises_again():
    stage = [float(decay_factor("cosine", Progress(e, e + 40, 120))) for e in range(121)]
    assert stage[0] == 1.0 and stage[-1] == pytest.approx(0.0, abs=1e-7) and np.all(np.diff(stage) < 0)
    script = [0.1 * float(decay_factor("global_cosine", Progress(e, e + 40, 120))) for e in range(120)]
    assert script[0] == pytest.approx(0.075, abs=1e-6)
    assert script[80] == pytest.approx(0.0, abs=1e-7)
    assert script[119] == pytest.approx(0.0239, abs=1e-4)


def test_the_jpeg_view_is_that_of_a_jpeg_file():
    x = np.random.default_rng(0).random((24, 40)).astype(np.float32)
    x = cv2.GaussianBlur(x, (0, 0), 2)
    levels = np.round(255 * x).astype(np.uint8)
    for quality in (10, 30, 50):
        _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        expected = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) / 255
        found = consistency.jpeg_view(jnp.asarray(levels[None, ..., None] / np.float32(255)), jnp.float32(quality))
        difference = 255 * np.abs(np.asarray(found)[0, ..., 0] - expected)
        # The codec's transform is in integers; a coefficient near a tie can be rounded otherwise.
        assert (difference < 1.6).mean() > 0.95 and difference.max() < 6


def test_the_jpeg_view_of_any_size_pulls_toward_the_decoded_copy():
    x, quality = jax.random.uniform(jax.random.key(0), (1, 13, 18, 1)), jnp.float32(20)
    decoded = consistency.jpeg_view(x, quality)
    slope = jax.grad(lambda x: jnp.square(x - consistency.jpeg_view(x, quality)).sum())(x)
    np.testing.assert_allclose(slope, 2 * (x - decoded), atol=1e-6)


def test_noise_pulls_nothing_and_cutout_pulls_a_quarter_toward_the_mean():
    x = jax.random.uniform(jax.random.key(1), (2, 16, 16, 1))
    key = jax.random.key(2)
    value, slope = jax.value_and_grad(lambda x: consistency_loss(key, x, crop=16, view="noise").sum())(x)
    assert value > 1e-4
    np.testing.assert_array_equal(slope, 0)
    view = consistency.cutout_view(key, x)
    hidden = np.asarray(view != x)[0, ..., 0]
    assert hidden.sum() == 64 and hidden[hidden.any(1)][:, hidden.any(0)].all()
    np.testing.assert_allclose(np.asarray(view)[1, ..., 0][hidden], np.asarray(x)[1].mean(), rtol=1e-5)
