"""Fine-grained reference image (AngularFuse, arXiv 2510.12260): sharp edges and equalization."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from fusejax.losses.config import ReferenceConfig
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import gaussian_blur, laplacian
from fusejax.ops.numerics import sum_arrays
from fusejax.typing import Luma

LEVELS = 256


@equal_shapes
def fine_grained_reference(ir: Luma, vi_y: Luma, *, config: ReferenceConfig) -> Luma:
    """The target of the fused luma: edge_weight E + equalized_weight Q + remainder B.

    B is the base, E = clip(B - Laplacian(B), 0, 1) with replicated borders, and Q the equalized B
    (section 4.2 of the method).

    Args:
        ir: clean (never masked) infrared luma in [0, 1].
        vi_y: luma of the clean visible image in [0, 1].
        config: weights, base and equalization.

    Returns:
        The reference, in [0, 1]; it carries no gradient.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> from fusejax.losses import ReferenceConfig
        >>> fine_grained_reference(black, white / 2, config=ReferenceConfig()).shape
        (1, 8, 8, 1)
    """
    if config.enhance_first:
        reference = jnp.maximum(_enhance(ir, config), _enhance(vi_y, config))
    elif config.base == "two_scale":
        reference = _enhance(two_scale_base(ir, vi_y, sigma=config.base_sigma, headroom=config.headroom), config)
    else:
        reference = _enhance(jnp.maximum(ir, vi_y), config)
    return jax.lax.stop_gradient(reference)


@equal_shapes
def two_scale_base(ir: Luma, vi_y: Luma, *, sigma: float, headroom: bool = False) -> Luma:
    """Mean of max(I, V) and of max(G I, G V) + (I - G I) + (V - G V), clipped to [0, 1].

    With `headroom`, warm objects stay visible in front of a blown-out visible image, where the
    maximum is white and leaves no room for their detail. The second half is first lowered around
    bright infrared detail, by V^4 (G' o^8)^(1/8) with o = max(V + max(I - G I, 0) - 1, 0). Here G'
    has half the sigma, the power mean stays close to the largest o within sigma, and V^4 keeps dark
    areas next to a light unchanged. In addition, where V is blown out (smoothly from 0.8 to 0.95,
    blurred with a sigma of 3), the result is this second half alone.

    Args:
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        sigma: standard deviation of the Gaussian G, in pixels.
        headroom: whether to make room for bright infrared detail in blown-out areas.

    Returns:
        The base, in [0, 1].
    """
    ir_low, vi_low = gaussian_blur(ir, sigma), gaussian_blur(vi_y, sigma)
    detailed = jnp.maximum(ir_low, vi_low) + (ir - ir_low) + (vi_y - vi_low)
    if headroom:
        overshoot = jnp.maximum(vi_y + jnp.maximum(ir - ir_low, 0.0) - 1.0, 0.0)
        detailed -= vi_y**4 * jnp.maximum(gaussian_blur(overshoot**8, 0.5 * sigma), 0.0) ** (1 / 8)
    detailed = jnp.clip(detailed, 0.0, 1.0)
    share = 0.5
    if headroom:
        blown_out = gaussian_blur(jnp.clip((vi_y - 0.8) / 0.15, 0.0, 1.0), 3.0)
        share = 0.5 * (1.0 - blown_out)
    return detailed + share * (jnp.maximum(ir, vi_y) - detailed)


def _enhance(x: Luma, config: ReferenceConfig) -> Luma:
    sharp = jnp.clip(x - laplacian(x, padding="edge"), 0.0, 1.0)
    rest = 1.0 - config.edge_weight - config.equalized_weight
    if not config.equalized_weight:  # equalization takes longer than everything else
        return config.edge_weight * sharp + rest * x
    equal = clahe(x) if config.equalization == "clahe" else equalize(x)
    return config.edge_weight * sharp + config.equalized_weight * equal + rest * x


def gray_levels(x: Float[Array, "..."]) -> Int[Array, "..."]:
    """Levels 0..255 of values in [0, 1].

    Rounds, because 255 * (n / 255) in float32 can fall just below n.

    Args:
        x: values in [0, 1].

    Returns:
        Levels of the same shape.
    """
    return jnp.clip(jnp.round(x * (LEVELS - 1)), 0, LEVELS - 1).astype(jnp.int32)


def histogram(levels: Int[Array, "*batch n"]) -> Int[Array, "*batch 256"]:
    """Counts each level 0..255 along the last axis, exactly for up to 2^24 values.

    Level 16 i + j is counted in cell (i, j) of a product of two one-hot matrices [n, 16]. This is a
    matrix product on every backend, whereas a scatter-add would serialize on accelerators, and
    comparing each value with each level takes 7 to 20 times as long on CPU. 0 and 1 are exact in
    bfloat16, which halves the memory to 64 bytes per value.

    Args:
        levels: from 0 to 255.

    Returns:
        Number of values at each level.
    """
    digits = (levels // 16, levels % 16)
    high, low = ((d[..., None] == jnp.arange(16)).astype(jnp.bfloat16) for d in digits)
    counts = jnp.einsum("...ni,...nj->...ij", high, low, preferred_element_type=jnp.float32)
    return counts.reshape(*levels.shape[:-1], LEVELS).astype(jnp.int32)


def equalize(x: Luma) -> Luma:
    """Global histogram equalization: (cdf(x) - cdf_min) / (N - cdf_min).

    Args:
        x: luma in [0, 1].

    Returns:
        Luma in [0, 1]; an image with a single gray level is returned unchanged.
    """
    b, h, w, _ = x.shape
    levels = gray_levels(x).reshape(b, h * w)
    cdf = jnp.cumsum(histogram(levels), axis=-1)
    smallest = jnp.min(jnp.where(cdf > 0, cdf, h * w), axis=-1, keepdims=True)
    span = h * w - smallest
    table = jnp.clip((cdf - smallest) / jnp.maximum(span, 1), 0.0, 1.0).astype(x.dtype)
    equal = jnp.take_along_axis(table, levels, axis=-1).reshape(x.shape)
    return jnp.where((span > 0)[..., None, None], equal, x)


def clahe(x: Luma, *, tiles: int = 8, clip_limit: float = 2.0) -> Luma:
    """Contrast-limited adaptive histogram equalization in OpenCV's convention (Zuiderveld 1994).

    There are tiles x tiles regions with 256 bins. Counts above max(1, floor(clip_limit * area /
    256)) are clipped and distributed evenly over all bins, with the remainder distributed one by
    one at equal steps. The cumulative maps of the regions are interpolated bilinearly. If the tiles
    do not divide the size, the image is padded at the bottom and right by reflection. Pixel 0
    counts as half a tile from the first center, which is half a pixel too far, so the result for a
    mirrored image is mirrored only up to that shift.

    Departures from OpenCV: maps and result are not rounded to 8 bits, and an image with a single
    gray level is returned unchanged. Equalization amplifies differences, and such an image has
    none; OpenCV moves its level to wherever the redistributed counts happen to add up: 64 of 255
    becomes 72 at 64x64 pixels and 67 at 256x256. Here the reference of a uniform scene keeps its
    brightness.

    Args:
        x: luma in [0, 1], of any size.
        tiles: number of regions along each side.
        clip_limit: largest count of a bin, in multiples of the mean count.

    Returns:
        Luma in [0, 1].
    """
    b, h, w, _ = x.shape
    plain = gray_levels(x)
    levels = _pad_to_tiles(plain[..., 0], tiles)
    th, tw = levels.shape[1] // tiles, levels.shape[2] // tiles
    cells = levels.reshape(b, tiles, th, tiles, tw).swapaxes(2, 3).reshape(b, tiles, tiles, th * tw)
    counts = _clip_counts(histogram(cells), max(1, int(clip_limit * th * tw / LEVELS)))
    table = (jnp.cumsum(counts, axis=-1) / (th * tw)).astype(x.dtype)
    # One image at a time: indices into the batch would be gathered from all devices, and the
    # results summed.
    interpolate = partial(_interpolate, th=th, tw=tw)
    equal = jax.vmap(interpolate)(table, levels[:, :h, :w])[..., None]
    constant = jnp.all(plain == plain[:, :1, :1], axis=(1, 2, 3), keepdims=True)
    return jnp.where(constant, x, equal)


def _pad_to_tiles(levels: Int[Array, "b h w"], tiles: int) -> Int[Array, "b h2 w2"]:
    """OpenCV's rule: if one side is not divisible, both are padded, a divisible one by `tiles`
    pixels.
    """
    h, w = levels.shape[1:]
    if h % tiles == 0 and w % tiles == 0:
        return levels
    return jnp.pad(levels, ((0, 0), (0, tiles - h % tiles), (0, tiles - w % tiles)), mode="reflect")


def _clip_counts(counts: Int[Array, "*batch 256"], limit: int) -> Int[Array, "*batch 256"]:
    excess = jnp.sum(jnp.maximum(counts - limit, 0), axis=-1, keepdims=True)
    share, residual = excess // LEVELS, excess % LEVELS
    step = jnp.maximum(LEVELS // jnp.maximum(residual, 1), 1)
    bins = jnp.arange(LEVELS)
    gets_one = (bins % step == 0) & (bins // step < residual)
    return jnp.minimum(counts, limit) + share + gets_one


def _interpolate(table: Float[Array, "t t 256"], levels: Int[Array, "h w"], *, th: int, tw: int) -> Float[Array, "h w"]:
    """Maps each level with the tables of its four nearest tile centers, weighted bilinearly."""
    tiles = table.shape[0]
    rows, columns = (_neighbors(n, size, tiles) for n, size in zip(levels.shape, (th, tw), strict=True))

    def row_of_tiles(i: np.ndarray) -> Array:
        return sum_arrays(table[i[:, None], j, levels] * weight for j, weight in columns)

    return sum_arrays(row_of_tiles(i) * weight[:, None] for i, weight in rows)


def _neighbors(n: int, size: int, tiles: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For n pixels along one axis: index and weight of the tile center before and after them."""
    position = np.arange(n) / size - 0.5
    before = np.floor(position).astype(int)
    after_weight = (position - before).astype(np.float32)
    inside = [np.clip(before + k, 0, tiles - 1) for k in (0, 1)]
    return list(zip(inside, (1 - after_weight, after_weight), strict=True))
