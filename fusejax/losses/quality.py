"""Fusion metrics as training terms: Qabf, SSIM, SCD and VIF in inexpensive forms.

Like the metrics, they are computed on gray levels 0..255, but without rounding to 8 bits. Windowed
means are products with banded matrices at every second position only. Gradients are finite on flat,
equal and saturated images.

The fused image is clipped to [0, 1], as it will be saved. Otherwise a loss rewards contrast above
white, which is lost on saving. An additional intensity term is needed to bring pixels back into the
range.

These metrics reward copying a source and increasing contrast. A term keeps improving its metric
long after the image has stopped looking better: keep the weights small and look at the images.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.metrics.edges import edge_angle
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import gaussian_kernel, pad_hw, sobel
from fusejax.ops.numerics import isolate_on_cpu, pixel_mean, sum_arrays, with_forward_gradient
from fusejax.typing import Luma, PerImage

_LEVELS = 255.0
_STRIDE = 2
_VIF_WINDOWS = (17, 9, 5, 3)
_VIF_NOISE = 2.0
_VIF_SIDE = 41  # contains one window of the fourth scale
_SSIM_WINDOW = 7

Planes = Float[Array, "n b h w"]


@equal_shapes
def qabf_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """1 - Qabf: the fraction of source edges that is lost (Xydeas & Petrovic 2000).

    Departures from `fusejax.metrics.edges.qabf`: borders are replicated instead of zero; edges are
    compared by the angle between them as lines, so that two nearly upright edges on either side of
    the vertical count as aligned; strengths are sqrt(gx^2 + gy^2 + 1), which gives flat areas a
    gradient.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        One value per image, in [0.02, 1].

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> f"{qabf_loss(x, x, x)[0]:.2f}"  # a copy keeps 97.5 %
        '0.03'
    """
    fused, *sources = (isolate_on_cpu(_levels_gradient, x) for x in (_saved(fused_y), ir, vi_y))
    kept = sum_arrays(_kept_edges(fused, source) for source in sources)
    return 1.0 - kept / sum_arrays(pixel_mean(jax.lax.stop_gradient(_strength(source))) for source in sources)


def _levels_gradient(x: Luma) -> tuple[Luma, Luma]:
    gx, gy = sobel(_LEVELS * x, padding="edge")
    return gx, gy


@with_forward_gradient
def _kept_edges(fused: tuple[Luma, Luma], source: tuple[Luma, Luma]) -> PerImage:
    """Mean over the pixels of the strength times the fraction of it that is preserved."""
    return pixel_mean(jax.lax.stop_gradient(_strength(source)) * _preserved(fused, source))


def _strength(gradient: tuple[Luma, Luma]) -> Luma:
    return jnp.sqrt(gradient[0] ** 2 + gradient[1] ** 2 + 1.0)


def _preserved(fused: tuple[Luma, Luma], source: tuple[Luma, Luma]) -> Luma:
    (fx, fy), (sx, sy) = fused, source
    strengths = _strength(fused), _strength(source)
    relative = jnp.minimum(*strengths) / jnp.maximum(*strengths)
    # The added 1 keeps the gradient finite where both products vanish.
    angle = edge_angle(jnp.abs(fx * sx + fy * sy) + 1.0, jnp.abs(fx * sy - fy * sx))
    aligned = 1.0 - angle * (2.0 / math.pi)
    return 0.9994 * jax.nn.sigmoid(15.0 * (relative - 0.5)) * 0.9879 * jax.nn.sigmoid(22.0 * (aligned - 0.8))


@equal_shapes
def scd_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """1 - SCD / 2 (Aslantas & Bendes 2015).

    SCD correlates the difference between the fused image and one source with the other source. A
    constant source or difference, for which SCD is undefined, counts as uncorrelated.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        One value per image, in [0, 2].

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> scd_loss(x, x, x).round(3).tolist()  # no difference, hence no correlation
        [1.0]
    """
    fused_y = _saved(fused_y)
    return 1.0 - 0.5 * (_correlation(fused_y - vi_y, ir) + _correlation(fused_y - ir, vi_y))


def _correlation(x: Luma, y: Luma) -> PerImage:
    x, y = (z - z.mean(axis=(1, 2, 3), keepdims=True) for z in (x, y))
    xx, yy, xy = ((p * q).mean(axis=(1, 2, 3)) for p, q in ((x, x), (y, y), (x, y)))
    product = xx * yy
    alive = product > 1e-14  # both deviations above about 0.03 levels; below that, only rounding correlates
    return jnp.where(alive, xy * jax.lax.rsqrt(jnp.where(alive, product, 1.0)), 0.0)


@equal_shapes
def metric_ssim_loss(fused_y: Luma, ir: Luma, vi_y: Luma, *, data_range: float = 8.0) -> PerImage:
    """1 - (SSIM(F, I) + SSIM(F, V)) / 2, as convention `cddfuse` defines SSIM.

    It uses a 7x7 box with sample covariance. Sides below 7 pixels are padded by reflection.
    Departures from `fusejax.metrics.structure.ssim`: only every second position is used, and the
    constants are for a range of 8 instead of 2 levels. At 2, the constants are below the rounding
    noise of an 8-bit image, and all of the gradient comes from flat areas.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        data_range: range L in levels in the constants (0.01 L)^2 and (0.03 L)^2.

    Returns:
        One value per image, in [0, 2].

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> metric_ssim_loss(x, x, x).round(3).tolist()
        [0.0]
    """
    fused, sources = _levels(fused_y, ir, vi_y, least=_SSIM_WINDOW)
    mean_f, means, variance_f, variances, covariances = _moments(fused, sources, [1 / _SSIM_WINDOW] * _SSIM_WINDOW)
    sample = _SSIM_WINDOW**2 / (_SSIM_WINDOW**2 - 1)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2.0 * mean_f * means + c1) / (mean_f**2 + means**2 + c1)
    structure = (2.0 * sample * covariances + c2) / (sample * (variance_f + variances) + c2)
    return 1.0 - pixel_mean((luminance * structure)[..., None]).mean(axis=0)


@equal_shapes
def vif_loss(fused_y: Luma, ir: Luma, vi_y: Luma) -> PerImage:
    """1 - (VIF(F, I) + VIF(F, V)) / 2.

    The pixel-domain VIF (Sheikh & Bovik 2006) of `fusejax.metrics.visual_information.vif` at every
    second window position of each scale, which is its mean over a quarter of the windows. A source
    without variance counts as preserved.

    Sides below 41 pixels, the minimum for the fourth scale, are padded by reflection.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        One value per image, at most 1; negative if contrast exceeds that of the sources.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> abs(vif_loss(x, x, x)).round(3).tolist()
        [0.0]
    """
    fused, sources = _levels(fused_y, ir, vi_y, least=_VIF_SIDE)
    kept = carried = jnp.zeros(())
    for scale, size in enumerate(_VIF_WINDOWS):
        taps = gaussian_kernel(size, size / 5)
        if scale:
            fused, sources = (windowed_mean(x, taps, stride=2) for x in (fused, sources))
        _, _, variance_f, variances, covariances = _moments(fused, sources, taps)
        gain = jnp.maximum(covariances, 0.0) / (variances + 1e-3)
        distortion = jnp.maximum(variance_f - gain * covariances, 0.0)
        count = variances.shape[2] * variances.shape[3]
        kept += count * pixel_mean(jnp.log1p(gain**2 * variances / (distortion + _VIF_NOISE))[..., None])
        carried += count * pixel_mean(jnp.log1p(variances / _VIF_NOISE)[..., None])
    alive = carried > 1e-2
    return 1.0 - jnp.where(alive, kept / jnp.where(alive, carried, 1.0), 1.0).mean(axis=0)


def _saved(fused_y: Luma) -> Luma:
    return jnp.clip(fused_y, 0.0, 1.0)


def _levels(
    fused_y: Luma, ir: Luma, vi_y: Luma, *, least: int
) -> tuple[Float[Array, "1 b h2 w2"], Float[Array, "2 b h2 w2"]]:
    rows, columns = ((0, max(0, least - side)) for side in ir.shape[1:3])
    fused, ir, vi_y = (_LEVELS * pad_hw(x, rows, columns, "reflect")[..., 0] for x in (_saved(fused_y), ir, vi_y))
    return fused[None], jnp.stack([ir, vi_y])


def _moments(fused: Float[Array, "1 b h w"], sources: Planes, taps: Sequence[float] | np.ndarray) -> tuple[Array, ...]:
    """Windowed means of F and sources, their variances, and covariances, at every second position.

    Variances are E[x^2] - E[x]^2 (non-negative) of x minus its mean over the image, because squares
    of gray levels would leave an error of a few hundredths in float32, as large as SSIM's
    constants.
    """
    shift_f, shifts = (jax.lax.stop_gradient(x.mean(axis=(2, 3), keepdims=True)) for x in (fused, sources))
    fused, sources = fused - shift_f, sources - shifts
    mean_f, means = (windowed_mean(x, taps, stride=_STRIDE) for x in (fused, sources))
    square_f, squares, products = (
        windowed_mean(x, taps, stride=_STRIDE) for x in (fused**2, sources**2, fused * sources)
    )
    variance_f, variances = jnp.maximum(square_f - mean_f**2, 0.0), jnp.maximum(squares - means**2, 0.0)
    return mean_f + shift_f, means + shifts, variance_f, variances, products - mean_f * means


def windowed_mean(
    x: Float[Array, "n b h w"], taps: Sequence[float] | np.ndarray, *, stride: int
) -> Float[Array, "n b h2 w2"]:
    """Mean under the window outer(taps, taps) where it fits, at every `stride`-th position along
    both sides.
    """
    rows, columns = (jnp.asarray(_band_matrix(n, tuple(taps), stride), x.dtype) for n in x.shape[2:])
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("nbij,kj->nbik", jnp.einsum("nbij,ki->nbkj", x, rows, precision=exact), columns, precision=exact)


def _band_matrix(n: int, taps: tuple[float, ...], stride: int) -> np.ndarray:
    """[positions, n]: row i has the taps from column i * stride on."""
    starts = np.arange(0, n - len(taps) + 1, stride)
    matrix = np.zeros((len(starts), n))
    matrix[np.arange(len(starts))[:, None], starts[:, None] + np.arange(len(taps))] = taps
    return matrix
