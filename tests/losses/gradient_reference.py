"""Gradient and structure losses in float64, and the compiled losses compared with them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from fusejax.losses.gradient import (
    GOLDEN_WEIGHTS,
    axiswise_gradient_loss,
    direction_aware_gradient_loss,
    joint_gradient_loss,
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
    return np.where(np.abs(v) >= np.abs(i) - 1e-4, v, i)


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
