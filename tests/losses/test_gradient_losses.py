"""Gradient, structure and intensity losses on a source pair: against float64 readings, and the laws
they must obey.
"""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from fusejax.losses.gradient import (
    GOLDEN_WEIGHTS,
    axiswise_gradient_loss,
    direction_aware_gradient_loss,
    joint_gradient_loss,
    shrink,
    signed_sum_gradient_loss,
)
from fusejax.losses.intensity import maximum_intensity_loss
from fusejax.losses.structure import dssim, ssim_loss, ssim_map

THIRDS = (1 / 3, 1 / 3, 1 / 3)
SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float64)
SOBEL_Y = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], np.float64)
SOFT_X = np.array([[-0.2, 0, 0.2], [-1, 0, 1], [-0.2, 0, 0.2]])
SOFT_Y = np.array([[0.2, 1, 0.2], [0, 0, 0], [-0.2, -1, -0.2]])


def luma(seed, *, size=(12, 16), batch=2):
    """Independent uniform pixels: every gradient is textured and no two sources tie."""
    return jnp.asarray(np.random.default_rng(seed).random((batch, *size, 1)), jnp.float32)


def ramp(along_x, along_y, *, size=(12, 16)):
    y, x = np.mgrid[: size[0], : size[1]]
    return jnp.asarray((along_x * x + along_y * y)[None, ..., None], jnp.float32)


def correlate64(x, kernel, border):
    return ndimage.correlate(x, kernel, mode={"zero": "constant", "edge": "nearest"}[border])


def edges64(x, border):
    return correlate64(x, SOBEL_X, border), correlate64(x, SOBEL_Y, border)


def stronger64(i, v):
    return np.where(np.abs(v) >= np.abs(i), v, i)


def joint64(f, i, v, border="zero"):
    f, i, v = (sum(map(np.abs, edges64(x, border))) for x in (f, i, v))
    return np.abs(f - np.maximum(i, v)).mean()


def axiswise64(f, i, v):
    axes = zip(*(edges64(x, "edge") for x in (f, i, v)), strict=True)
    return sum(np.abs(np.abs(a) - np.maximum(np.abs(b), np.abs(c))).mean() for a, b, c in axes)


def signed64(f, i, v):
    f, i, v = (correlate64(x, SOFT_X, "zero") + correlate64(x, SOFT_Y, "zero") for x in (f, i, v))
    return np.abs(f - stronger64(i, v)).mean()


def shrink64(x, level):
    for axis in (0, 1):
        n = x.shape[axis]
        m = max(1, round(n / 2**level))
        centers = (np.arange(m) + 0.5) * n / m - 0.5
        x = np.apply_along_axis(lambda line, n=n, centers=centers: np.interp(centers, np.arange(n), line), axis, x)
    return x


def aware64(f, i, v, weights=THIRDS, border="zero", gate="hard"):
    total = 0.0
    for level, weight in enumerate(weights):
        f_s, i_s, v_s = (edges64(shrink64(x, level), border) for x in (f, i, v))
        share = 1 / (1 + np.exp(-15 * (sum(map(np.abs, i_s)) - sum(map(np.abs, v_s)))))
        for a, b, c in zip(f_s, i_s, v_s, strict=True):
            target = share * b + (1 - share) * c if gate == "soft" else stronger64(b, c)
            total += weight * np.abs(a - target).mean()
    return total


def ssim_map64(x, y):
    """Textbook E[xy] - E[x]E[y], mirrored about the border pixel's center."""
    mean = functools.partial(ndimage.gaussian_filter, sigma=1.5, radius=5, mode="mirror")
    x_m, y_m = mean(x), mean(y)
    variances = mean(x * x) - x_m**2 + mean(y * y) - y_m**2
    covariance = mean(x * y) - x_m * y_m
    return (2 * x_m * y_m + 1e-4) / (x_m**2 + y_m**2 + 1e-4) * (2 * covariance + 9e-4) / (variances + 9e-4)


golden = functools.partial(direction_aware_gradient_loss, weights=GOLDEN_WEIGHTS, padding="edge")
soft = functools.partial(direction_aware_gradient_loss, gate="soft")
single = functools.partial(direction_aware_gradient_loss, weights=(1.0,))
CASES = {
    "joint": (joint_gradient_loss, joint64),
    "joint edge": (functools.partial(joint_gradient_loss, padding="edge"), functools.partial(joint64, border="edge")),
    "axiswise": (axiswise_gradient_loss, axiswise64),
    "signed sum": (signed_sum_gradient_loss, signed64),
    "aware": (direction_aware_gradient_loss, aware64),
    "aware golden": (golden, functools.partial(aware64, weights=(0.5, 0.309, 0.191), border="edge")),
    "aware soft": (soft, functools.partial(aware64, gate="soft")),
    "aware single": (single, functools.partial(aware64, weights=(1.0,))),
    "ssim": (ssim_loss, lambda f, i, v: 1 - (ssim_map64(f, v).mean() + ssim_map64(f, i).mean()) / 2),
    "dssim": (lambda f, i, v: dssim(f, i), lambda f, i, v: np.clip((1 - ssim_map64(f, i)) / 2, 0, 1).mean()),
    "intensity": (maximum_intensity_loss, lambda f, i, v: np.abs(f - np.maximum(i, v)).mean()),
}
GRADIENT_LOSSES = {name: CASES[name][0] for name in ("joint", "axiswise", "signed sum", "aware", "aware soft")}


@jax.jit
def every_loss(f, i, v):
    return {name: loss(f, i, v) for name, (loss, _) in CASES.items()}


SLOPED = ("joint", "axiswise", "signed sum", "aware", "aware soft", "ssim", "dssim", "intensity")


@jax.jit
def every_slope(f, i, v):
    """Values, and gradients of their sums over the batch, by name; other weights and borders are
    the same code.
    """
    losses = {name: loss for name, (loss, _) in CASES.items() if name in SLOPED}

    def summed(f, loss):
        values = loss(f, i, v)
        return values.sum(), values

    with_value = {name: jax.value_and_grad(summed, has_aux=True)(f, loss) for name, loss in losses.items()}
    return {name: (value, slope) for name, ((_, value), slope) in with_value.items()}


aware = jax.jit(direction_aware_gradient_loss, static_argnames=("weights", "padding", "gate", "antialias"))
joint = jax.jit(joint_gradient_loss, static_argnames="padding")
signed = jax.jit(signed_sum_gradient_loss, static_argnames="padding")
similarity = jax.jit(ssim_map)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (12, 16), (33, 48)])
def test_losses_agree_with_float64(size):
    images = [luma(s, size=size) for s in range(3)]
    of_each_image = zip(*(np.asarray(p, np.float64)[..., 0] for p in images), strict=True)
    want = [{name: reference(*x) for name, (_, reference) in CASES.items()} for x in of_each_image]
    want = {name: np.array([w[name] for w in want]) for name in CASES}
    chex.assert_trees_all_close(every_loss(*images), want, rtol=1e-6, atol=1e-6)


def test_gradients_agree_with_finite_differences_in_float64():
    """The pixels are random, so that no residual lies within a step of its kink."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(4)
        point, ir, vi_y = (jnp.asarray(rng.random((1, 4, 5, 1))) for _ in range(3))
        steps = 1e-6 * np.eye(point.size).reshape(-1, *point.shape[1:])
        values = jax.jit(lambda f: every_loss(f, jnp.broadcast_to(ir, f.shape), jnp.broadcast_to(vi_y, f.shape)))
        above, below = values(point + steps), values(point - steps)
        for name, (_, exact) in every_slope(point, ir, vi_y).items():
            slopes = (above[name] - below[name]) / 2e-6
            np.testing.assert_allclose(exact.ravel(), slopes, rtol=1e-5, atol=1e-7, err_msg=name)


def test_flat_and_identical_images_give_finite_values_and_gradients():
    """Every combination of black, gray, white and textured images, as one batch."""
    kinds = [*(jnp.full((1, 12, 16, 1), v) for v in (0.0, 0.5, 1.0)), luma(0, batch=1)]
    images = [jnp.concatenate(p) for p in zip(*itertools.product(kinds, repeat=3), strict=True)]
    both = every_slope(*images)
    chex.assert_tree_all_finite(both)
    for name, (value, _) in both.items():
        chex.assert_shape(value, (64,))
        same = value[:: 64 // 3]  # 000, 111, 222 and 333 in base 4
        np.testing.assert_allclose(same, 0.0, atol=1e-6, err_msg=name)
        assert (value > -1e-6).all()


def test_an_image_does_not_depend_on_its_batch_mates():
    images = [luma(s) for s in range(3)]
    others = [jnp.stack([p[0], 0.5 * p[1]]) for p in images]
    here, there = every_loss(*images), every_loss(*others)
    for name in CASES:
        assert here[name][0] == there[name][0]
        assert here[name][1] != there[name][1]


def test_gradient_targets_carry_no_gradient():
    f, *sources = (luma(s) for s in range(3))
    total = jax.jit(jax.grad(lambda s: sum(loss(f, *s).sum() for loss in GRADIENT_LOSSES.values())))
    chex.assert_trees_all_equal(total(sources), jax.tree.map(jnp.zeros_like, sources))


def test_gradient_losses_are_homogeneous():
    images = [luma(s) for s in range(3)]
    scaled = every_loss(*(0.3 * p for p in images))
    for name in GRADIENT_LOSSES.keys() - {"aware soft"}:
        np.testing.assert_allclose(scaled[name], 0.3 * every_loss(*images)[name], rtol=1e-6)


def test_negating_all_images_changes_no_gradient_loss():
    images = [luma(s) for s in range(3)]
    here, there = every_loss(*images), every_loss(*(-p for p in images))
    for name in GRADIENT_LOSSES:
        np.testing.assert_array_equal(there[name], here[name])


def test_exchanging_the_sources_changes_nothing_without_ties():
    f, i, v = (luma(s) for s in range(3))
    here, there = every_loss(f, i, v), every_loss(f, v, i)
    for name in CASES.keys() - {"dssim"}:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-6)


TURNS = {
    "transpose": lambda x: x.swapaxes(1, 2),
    "left-right": lambda x: x[:, :, ::-1],
    "up-down": lambda x: x[:, ::-1],
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
def test_turning_all_images_changes_nothing(turn):
    """12x16: flips commute with the resize where both sides are multiples of 4.

    The signed sum favors one diagonal.
    """
    images = [luma(s) for s in range(3)]
    here, there = every_loss(*images), every_loss(*map(turn, images))
    for name in CASES.keys() - {"signed sum"}:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-6)


def test_direction_aware_loss_is_zero_where_the_fused_image_has_the_targets():
    v = luma(1)
    for i in (jnp.zeros_like(v), v):
        np.testing.assert_array_equal(aware(v, i, v), 0.0)
        np.testing.assert_array_equal(aware(v, v, i), 0.0)
    assert (aware(v.at[:, 5, 5].add(0.01), jnp.zeros_like(v), v) > 0).all()


def test_each_scale_counts():
    """A change that the finest scale does not see moves the coarser ones, and the weights say how
    much.
    """
    f, i, v = (luma(s) for s in range(3))
    parts = [sum(aware(*(shrink(x, level) for x in (f, i, v)), weights=(1.0,))) for level in range(3)]
    for weights in (THIRDS, GOLDEN_WEIGHTS, (0.0, 1.0), (0.0, 0.0, 1.0)):
        want = sum(w * p for w, p in zip(weights, parts, strict=False))
        np.testing.assert_allclose(sum(aware(f, i, v, weights=weights)), want, rtol=1e-6)


def test_inverted_contrast_is_seen_by_the_direction_aware_loss_only():
    v = luma(1)
    flat = jnp.zeros_like(v)
    np.testing.assert_allclose(joint(1 - v, flat, v, padding="valid"), 0.0, atol=2e-6)
    assert (aware(1 - v, flat, v) > 1.0).all()


def test_the_four_sign_patterns_of_a_ramp():
    """V has gx = 0.08 and gy = 0.16: twice the axes of the wrong sign.

    The conventional loss sees none of it.
    """
    v, flat = ramp(0.01, 0.02), jnp.zeros((1, 12, 16, 1))
    for (x, y), want in {(1, 1): 0.0, (-1, 1): 0.16, (1, -1): 0.32, (-1, -1): 0.48}.items():
        f = ramp(0.01 * x, 0.02 * y)
        np.testing.assert_allclose(aware(f, flat, v, weights=(1.0,), padding="valid"), want, atol=1e-6)
        np.testing.assert_allclose(joint(f, flat, v, padding="valid"), 0.0, atol=1e-6)


def test_signed_sum_is_blind_to_one_diagonal():
    flat = jnp.zeros((1, 12, 16, 1))
    for slope_y, of_sum in ((0.01, 0.0), (-0.01, 0.056)):
        v = ramp(0.01, slope_y)
        np.testing.assert_allclose(signed(flat, flat, v, padding="valid"), of_sum, atol=1e-6)
        np.testing.assert_allclose(aware(flat, flat, v, weights=(1.0,), padding="valid"), 0.16, atol=1e-6)


def test_a_common_constant_changes_nothing_without_false_borders():
    images = [jnp.round(luma(s) * 255) / 256 for s in range(3)]  # so that adding rounds nothing
    lifted = [p + 0.25 for p in images]
    for padding in ("valid", "edge"):
        here, there = aware(*images, padding=padding), aware(*lifted, padding=padding)
        np.testing.assert_allclose(there, here, rtol=1e-6)


def test_zero_padding_makes_false_edges_of_a_bright_source():
    """The specification measured 0.37 on one random 32x48 V; here the mean over eight draws."""
    v = luma(0, size=(32, 48), batch=8)
    np.testing.assert_allclose(aware(v, jnp.full_like(v, 0.9), v).mean(), 0.37, atol=0.02)
    np.testing.assert_array_equal(aware(v, jnp.full_like(v, 0.9), v, padding="edge"), 0.0)


def test_ties_go_to_the_visible():
    v = jnp.round(luma(0) * 64) / 64  # exact in binary, so that 1 - V has exactly the opposite gradients
    np.testing.assert_array_equal(aware(v, 1 - v, v, padding="edge"), 0.0)
    np.testing.assert_allclose(signed(v, -v, v, padding="edge"), 0.0, atol=1e-6)
    assert (aware(v, v, 1 - v, padding="edge") > 1.0).all()


def test_gradient_is_the_adjoint_sobel_of_the_residual_signs():
    textured, i, v = (luma(s, batch=1) for s in (3, 4, 5))
    slope = jax.jit(jax.grad(lambda f: single(f, i, v).sum()))
    for f in (textured, jnp.full_like(v, 0.5)):
        got = slope(f)[0, ..., 0]
        f64, i64, v64 = (np.asarray(x, np.float64)[0, ..., 0] for x in (f, i, v))
        axes = zip(*(edges64(x, "zero") for x in (f64, i64, v64)), (SOBEL_X, SOBEL_Y), strict=True)
        signs = ((np.sign(a - stronger64(b, c)), kernel) for a, b, c, kernel in axes)
        want = sum(ndimage.convolve(s, kernel, mode="constant") for s, kernel in signs) / f64.size
        np.testing.assert_allclose(got, want, atol=1e-7)


def test_sizes_after_shrinking_round_half_to_even():
    for n, half, quarter in ((1, 1, 1), (2, 1, 1), (5, 2, 1), (6, 3, 2), (7, 4, 2), (10, 5, 2), (16, 8, 4)):
        x = luma(0, size=(n, 3), batch=1)
        assert (shrink(x, 1).shape[1:3], shrink(x, 2).shape[1:3]) == ((half, 2), (quarter, 1))


def test_shrinking_takes_two_taps_an_axis():
    x = luma(0)
    cells = np.asarray(x).reshape(2, 3, 4, 4, 4)
    np.testing.assert_allclose(shrink(x, 2)[..., 0], cells[:, :, 1:3, :, 1:3].mean((2, 4)), rtol=1e-6)
    halves = np.asarray(x).reshape(2, 6, 2, 8, 2).mean((2, 4))
    np.testing.assert_allclose(shrink(x, 1)[..., 0], halves, rtol=1e-6)


@pytest.mark.parametrize("size", [(12, 16), (33, 47)])
def test_antialiased_shrinking_agrees_with_jax(size):
    x = luma(0, size=size)
    for level in (1, 2):
        shape = (2, *(round(n / 2**level) for n in size), 1)
        got = shrink(x, level, antialias=True)
        np.testing.assert_allclose(got, jax.image.resize(x, shape, "linear", antialias=True), atol=2e-6)
        assert jnp.abs(got - shrink(x, level)).max() > 0.05
    images = [luma(s, size=size) for s in range(3)]
    assert (aware(*images, antialias=True) < aware(*images)).all()


def test_structure_terms_of_equal_and_of_opposite_images():
    v = luma(0)
    np.testing.assert_allclose(similarity(v, jnp.stack([v, v])), 1.0, atol=1e-6)
    inverted = every_loss(1 - v, v, v)
    assert (inverted["ssim"] > 1.0).all()
    assert (inverted["dssim"] > 0.5).all()
    black, white = jnp.zeros_like(v), jnp.ones_like(v)
    np.testing.assert_allclose(every_loss(black, black, white)["ssim"], 0.5 * (1 - 1e-4 / 1.0001), rtol=1e-6)


@pytest.mark.parametrize("weights", [(), (0.5, 0.4), (1.0, 1.0, 1.0), (1.5, -0.5)])
def test_weights_that_are_not_shares_are_refused(weights):
    with pytest.raises(ValueError, match="sum to 1"):
        direction_aware_gradient_loss(luma(0), luma(1), luma(2), weights=weights)


def test_other_bad_options_are_refused():
    with pytest.raises(ValueError, match="gate is 'smooth'"):
        direction_aware_gradient_loss(luma(0), luma(1), luma(2), gate="smooth")
    small = [luma(s, size=(2, 8)) for s in range(3)]
    for loss in (joint_gradient_loss, axiswise_gradient_loss, signed_sum_gradient_loss, direction_aware_gradient_loss):
        with pytest.raises(ValueError, match="2x8 has no interior"):
            loss(*small, padding="valid")
