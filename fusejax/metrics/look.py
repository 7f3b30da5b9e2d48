"""What the eye sees first: contrast kept and cancelled, texture in flat areas, veil, saturation.

Contrast at scale s is C_s(X) = G_s X - G_2s X with Gaussians of standard deviation s and 2 s
pixels, mirrored about the border pixels and truncated at 4 standard deviations.
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.color import LUMA_WEIGHTS
from fusejax.ops.extent import Size, masked, valid_size
from fusejax.ops.filters import gaussian_kernel
from fusejax.ops.numerics import divide, image_sum, safe_sqrt, sum_arrays
from fusejax.typing import Extent, Luma, PerImage, Rgb

_SCALES = (2, 4, 8, 16)
_SALIENT = 0.03  # contrast from which a viewer notices a detail, in units of the range
_FLAT = 0.012  # local standard deviation below which the visible image is flat
_STRUCTURE = 0.05  # |G_4 I - G_16 I| from which the infrared image shows something
_LEAST_AREA = 0.02
_DARK_TENTHS = 3

Plane = Float[Array, "b h w"]


@equal_shapes
def kept_contrast(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """sum m min(|C_F| / m, 1) / sum m over the pixels and s = 2, 4, 8, 16; ours.

    m = max(|C_I|, |C_V|), where that is above 0.03. The sign is not looked at: a detail that is
    inverted counts as kept, see `cancelled_contrast` for one that is lost.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1, higher is better; NaN if no contrast is above 0.03.
    """
    kept, _, total = _contrasts(fused, ir, vi_y, valid_size(fused, extent))
    return divide(kept, total)


@equal_shapes
def cancelled_contrast(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """Fraction of sum m of `kept_contrast` where opposite signs of the sources cancel; ours.

    Counted where C_I and C_V differ in sign, both are above 0.015 in size, and less than half of m
    is kept: a dark person in front of gray asphalt who is bright in infrared and gray when fused.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1, lower is better; NaN if no contrast is above 0.03.
    """
    _, cancelled, total = _contrasts(fused, ir, vi_y, valid_size(fused, extent))
    return divide(cancelled, total)


def _contrasts(fused: Luma, ir: Luma, vi_y: Luma, size: Size) -> tuple[PerImage, PerImage, PerImage]:
    """Sums of the kept, the cancelled and all salient contrast."""
    planes = [x[..., 0] for x in (ir, vi_y, fused)]
    blurred = [{s: mirrored_blur(x, s, size) for s in (*_SCALES, 2 * _SCALES[-1])} for x in planes]
    kept = cancelled = total = jnp.zeros(fused.shape[0])
    for s in _SCALES:
        ci, cv, cf = (b[s] - b[2 * s] for b in blurred)
        strongest = jnp.maximum(jnp.abs(ci), jnp.abs(cv))
        weight = jnp.where(strongest > _SALIENT, strongest, 0.0)
        ratio = jnp.minimum(jnp.abs(cf) / jnp.maximum(strongest, 1e-6), 1.0)
        opposite = (ci * cv < 0) & (jnp.minimum(jnp.abs(ci), jnp.abs(cv)) > _SALIENT / 2)
        kept += image_sum(weight * ratio, size)
        cancelled += image_sum(jnp.where(opposite & (ratio < 0.5), weight, 0.0), size)
        total += image_sum(weight, size)
    return kept, cancelled, total


@equal_shapes
def flat_texture(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """RMS of X - G_3 X of the fused minus that of the visible image in flat areas, in levels; ours.

    Flat is where the standard deviation of the visible image under G_5 is below 0.012 and the
    infrared image has no structure (|G_4 I - G_16 I| < 0.05), eroded by 9x9 pixels: skies and walls
    that show banding and grain of the infrared camera. Blurring a noisy visible image gives
    negative values.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, in levels of 255, lower is better; NaN if less than 2% of the image is
        flat.
    """
    size = valid_size(fused, extent)
    fused_plane, ir_plane, vi_plane = (x[..., 0] for x in (fused, ir, vi_y))
    # About the middle of the range, squares lose less to rounding; a variance does not change.
    shifted = vi_plane - 0.5
    variance = mirrored_blur(shifted * shifted, 5, size) - mirrored_blur(shifted, 5, size) ** 2
    flat = (jnp.maximum(variance, 0.0) < _FLAT**2) & ~_structure(ir_plane, size)
    flat = _eroded(flat, size)
    area = image_sum(flat.astype(jnp.float32), size)

    def rms(x: Plane) -> PerImage:
        squares = jnp.square(x - mirrored_blur(x, 3, size))
        return 255.0 * safe_sqrt(divide(image_sum(jnp.where(flat, squares, 0.0), size), area))

    return jnp.where(area >= _LEAST_AREA * size[0] * size[1], rms(fused_plane) - rms(vi_plane), jnp.nan)


@equal_shapes
def veil(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """Mean of F - V over the darkest 30% of the visible image, in levels; ours.

    Only where the infrared image has no structure (|G_4 I - G_16 I| < 0.05): an infrared image with
    a high pedestal lays a gray veil over a night, although it shows nothing there.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, -255..255 levels, 0 is best: below, dark places got darker; NaN if such
        areas are less than 2% of the image.
    """
    size = valid_size(fused, extent)
    fused_plane, ir_plane, vi_plane = (x[..., 0] for x in (fused, ir, vi_y))
    ordered = jnp.sort(masked(vi_plane, size, jnp.inf).reshape(vi_plane.shape[0], -1), axis=1)
    count = size[0] * size[1]
    last = (_DARK_TENTHS * count + 9) // 10 - 1
    limit = lax.dynamic_slice_in_dim(ordered, last, 1, axis=1)[:, :, None]
    dark = (vi_plane <= limit) & ~_structure(ir_plane, size)
    area = image_sum(dark.astype(jnp.float32), size)
    lifted = 255.0 * divide(image_sum(jnp.where(dark, fused_plane - vi_plane, 0.0), size), area)
    return jnp.where(area >= _LEAST_AREA * count, lifted, jnp.nan)


@equal_shapes
def saturation(fused: Rgb, vi: Rgb, *, extent: Extent | None = None) -> PerImage:
    """Sum of chroma / luma of the fused over that of the visible image, in colored areas; ours.

    Chroma is the length of RGB minus its luma; the luma counts as at least 0.03. Colored is where
    chroma / luma of the visible image is above 0.15 and its luma above 0.06. 1 keeps the
    saturation, above 1 exaggerates it.

    Args:
        fused: fused RGB in [0, 1].
        vi: visible RGB in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0 and up; NaN if less than 1% of the visible image is colored.
    """
    size = valid_size(fused, extent)

    def relative(x: Rgb) -> tuple[Plane, Plane]:
        y = sum_arrays(float(w) * x[..., i] for i, w in enumerate(LUMA_WEIGHTS))
        chroma = safe_sqrt(jnp.square(x - y[..., None]).sum(-1))
        return chroma / jnp.maximum(y, 0.03), y

    (wanted, luma), (found, _) = relative(vi), relative(fused)
    colored = (wanted > 0.15) & (luma > 0.06)
    area = image_sum(colored.astype(jnp.float32), size)
    sums = (image_sum(jnp.where(colored, x, 0.0), size) for x in (found, wanted))
    return jnp.where(area > 0.01 * size[0] * size[1], divide(*sums), jnp.nan)


def _structure(ir: Plane, size: Size) -> Bool[Array, "b h w"]:
    return jnp.abs(mirrored_blur(ir, 4, size) - mirrored_blur(ir, 16, size)) >= _STRUCTURE


def _eroded(mask: Bool[Array, "b h w"], size: Size) -> Bool[Array, "b h w"]:
    """True where the whole 9x9 square is; what is beyond the border does not count."""
    holes = masked((~mask).astype(jnp.float32), size)
    found = lax.reduce_window(holes, 0.0, lax.max, (1, 9, 9), (1, 1, 1), "SAME")
    return found == 0


def mirrored_blur(x: Plane, sigma: int, size: Size) -> Plane:
    """Gaussian blur with borders mirrored about the center of the border pixel.

    Args:
        x: in any range.
        sigma: standard deviation in pixels; the kernel has 8 sigma + 1 taps, as in OpenCV.
        size: size of the images.

    Returns:
        The blurred array; zero beyond the images.
    """
    rows, columns = (_mirrored_matrix(n, side, sigma) for n, side in zip(x.shape[1:], size, strict=True))
    exact = lax.Precision.HIGHEST
    return jnp.einsum("ij,bjk,lk->bil", rows, masked(x, size), columns, precision=exact)


def _mirrored_matrix(n: int, side: int | Int[Array, ""], sigma: int) -> Float[Array, "{n} {n}"]:
    """[n, n]; row i has the weight of every pixel in blurred pixel i; zero beyond the side."""
    taps = np.asarray(gaussian_kernel(8 * sigma + 1, sigma), np.float32)
    xp = np if isinstance(side, int) else jnp
    source = (xp.arange(n)[:, None] + xp.arange(-4 * sigma, 4 * sigma + 1)) % xp.maximum(2 * (side - 1), 1)
    source = xp.where(source < side, source, 2 * (side - 1) - source)
    rows = np.broadcast_to(np.arange(n)[:, None], source.shape)
    weights = np.broadcast_to(taps, source.shape)
    if xp is np:
        matrix = np.zeros((n, n), np.float32)
        np.add.at(matrix, (rows, source), weights)
        return jnp.asarray(matrix)
    return masked(jnp.zeros((n, n)).at[rows, source].add(weights, mode="drop"), (side, side))
