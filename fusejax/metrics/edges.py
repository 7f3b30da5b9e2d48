"""Transfer of edges from the sources to the fused image, on gray levels 0..255."""

import math
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import Size, continue_border, masked, valid_size, where_large
from fusejax.ops.filters import Padding, sobel
from fusejax.ops.numerics import divide, image_sum, safe_sqrt, to_levels, undefined
from fusejax.options import checked_options
from fusejax.typing import Extent, Luma, PerImage


def _arctan_coefficients() -> list[float]:
    """arctan(t) / t as a polynomial in t**2 on [0, 1], interpolated at Chebyshev points; error
    below 2e-9.
    """
    t2 = 0.5 + 0.5 * np.cos(np.pi * (np.arange(400) + 0.5) / 400)
    fit = np.polynomial.Chebyshev.fit(t2, np.arctan(np.sqrt(t2)) / np.sqrt(t2), 10, domain=[0, 1])
    return fit.convert(kind=np.polynomial.Polynomial).coef.tolist()


_ARCTAN = _arctan_coefficients()


def edge_angle(gx: Float[Array, "*shape"], gy: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """atan(gy / gx), and pi/2 where gx = 0; absolute error 2e-7.

    On CPU, `jnp.arctan` is one scalar library call per pixel; this polynomial is vectorized and 15
    times as fast.

    Args:
        gx: horizontal gradient.
        gy: vertical gradient.

    Returns:
        The angle, in (-pi/2, pi/2].
    """
    steep = jnp.abs(gy) > jnp.abs(gx)
    small, large = jnp.where(steep, gx, gy), jnp.where(steep, gy, gx)
    t = small / jnp.where(large == 0, 1.0, large)
    value = jnp.full_like(t, _ARCTAN[-1])
    for coefficient in reversed(_ARCTAN[:-1]):
        value = value * (t * t) + coefficient
    value = value * t
    complement = jnp.where(t < 0, -math.pi / 2, math.pi / 2) - value
    return jnp.where(gx == 0, math.pi / 2, jnp.where(steep, complement, value))


def edge_vectors(
    x: Float[Array, "b h w"], size: Size, *, padding: Padding
) -> tuple[Float[Array, "b h w"], Float[Array, "b h w"]]:
    """Sobel gradient of images that may be smaller than their arrays.

    Args:
        x: in any range.
        size: size of the images.
        padding: padding of their border, see `fusejax.ops.filters.pad_hw`.

    Returns:
        The horizontal and vertical responses.
    """
    gx, gy = sobel(continue_border(x[..., None], size, padding), padding=padding)
    return gx[..., 0], gy[..., 0]


@checked_options
@equal_shapes
def qabf(
    fused: Luma, ir: Luma, vi_y: Luma, *, equal: Literal["one", "strength"] = "one", extent: Extent | None = None
) -> PerImage:
    """Qabf, fraction of source edges preserved in strength and direction (Xydeas & Petrovic 2000).

    Sobel with zero border, as in all toolkits; the weights are the edge strengths of the source (L
    = 1). The two sigmoids limit a perfect copy to 0.9748. As in all toolkits, a vertical gradient
    has the angle +pi/2 and never -pi/2, so the sign of gx decides which nearly vertical gradients
    count as aligned. The toolkits' sign comes from a true convolution, hence -gx here.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        equal: relative strength where source and fused edge are equally strong: `one`, their ratio,
            or `strength`, the strength itself, a mistake in all toolkits that saturates the sigmoid
            (0.9753 for a copy).
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..0.975, higher is better; NaN if no source has an edge: both are
        constant. (The toolkits count the edge that the zero border makes around them.)

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> f"{qabf(x, x, x)[0]:.4f}"  # the two sigmoids limit a copy
        '0.9748'
    """

    def strength_and_angle(x: Luma) -> tuple[Array, Array]:
        gx, gy = edge_vectors(to_levels(x), size, padding="zero")
        return safe_sqrt(gx * gx + gy * gy), edge_angle(-gx, gy)

    def preserved(strength: Array, angle: Array) -> Array:
        low, high = jnp.minimum(strength, target), jnp.maximum(strength, target)
        relative = low / jnp.where(high > 0, high, 1.0)
        if equal == "strength":
            relative = jnp.where(strength == target, target, relative)
        alignment = 1.0 - jnp.abs(angle - target_angle) * (2.0 / math.pi)
        quality = _sigmoid(relative, 0.9994, 15.0, 0.5) * _sigmoid(alignment, 0.9879, 22.0, 0.8)
        return jnp.where(strength > 0, quality * strength, 0.0)

    size = valid_size(fused, extent)
    target, target_angle = strength_and_angle(fused)
    kept = weight = jnp.float32(0.0)
    for source in (ir, vi_y):
        strength, angle = strength_and_angle(source)
        kept, weight = kept + image_sum(preserved(strength, angle), size), weight + image_sum(strength, size)
    return jnp.where(varies(ir, size) | varies(vi_y, size), divide(kept, weight), jnp.nan)


def varies(x: Luma, size: Size) -> Bool[Array, " b"]:
    """Whether an image has an edge inside: whether it is not constant.

    Args:
        x: the images, in any range.
        size: size of the images.

    Returns:
        One value per image.
    """
    plane = x[..., 0]
    return masked(plane, size, jnp.inf).min((1, 2)) < masked(plane, size, -jnp.inf).max((1, 2))


def _sigmoid(x: Array, top: float, slope: float, middle: float) -> Array:
    return top / (1.0 + jnp.exp(-slope * (x - middle)))


@equal_shapes
def nabf(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """Nabf, fraction of edges in the fused image that neither source has (Kumar 2013).

    Sobel divided by 8, reflected border. Artifacts count where the fused edge is stronger than the
    edges of both sources, weighted by the source strength to the power of 1.5 (0.001 below strength
    2).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1, lower is better; NaN if a side has one pixel.
    """
    if min(fused.shape[1:3]) < 2:
        return undefined(to_levels(fused))
    size = valid_size(fused, extent)

    def strength_and_angle(x: Luma) -> tuple[Array, Array]:
        gx, gy = (g / 8.0 for g in edge_vectors(to_levels(x), size, padding="reflect"))
        strength = safe_sqrt(gx * gx + gy * gy)
        return strength, jnp.where(strength > 0, edge_angle(gy, gx), 0.0)

    target, target_angle = strength_and_angle(fused)
    sources = [strength_and_angle(source) for source in (ir, vi_y)]
    artifact = (target > sources[0][0]) & (target > sources[1][0])
    lost = weights = jnp.float32(0.0)
    for strength, angle in sources:
        low, high = jnp.minimum(strength, target), jnp.maximum(strength, target)
        relative = low / jnp.where(high > 0, high, 1.0)
        alignment = jnp.abs(jnp.abs(angle - target_angle) - math.pi / 2) * (2.0 / math.pi)
        quality = _sigmoid(relative, 0.9999, 19.0, 0.5) * _sigmoid(alignment, 0.9995, 22.0, 0.5)
        weight = jnp.where(strength >= 2.0, strength * safe_sqrt(strength), 0.001)
        lost = lost + image_sum(jnp.where(artifact, (1.0 - safe_sqrt(quality)) * weight, 0.0), size)
        weights = weights + image_sum(weight, size)
    return where_large(lost / weights, size, 2)


def nabf_first_source(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """Nabf as called by Linfeng Tang's toolkit: the infrared image takes the place of the fused
    one.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1, lower is better; NaN if a side has one pixel.
    """
    return nabf(ir, vi_y, fused, extent=extent)
