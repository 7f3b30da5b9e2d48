"""Fine-grained reference image (AngularFuse, arXiv 2510.12260): sharpened edges blended with an equalised picture."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from fusejax.losses.config import ReferenceConfig
from fusejax.ops.filters import gaussian_blur, laplacian
from fusejax.typing import Luma

LEVELS = 256


def fine_grained_reference(ir: Luma, vi_y: Luma, *, config: ReferenceConfig) -> Luma:
    """The picture that the fused luma is pulled to: edge_weight * E + equalised_weight * Q + rest * B.

    B is the base, E = clip(B - Laplacian(B), 0, 1) with replicated borders, Q the equalised B (specification section
    4.2 of the method). Carries no gradient.

    Args: clean (never masked) luma in [0, 1].  Returns: [0, 1].
    """
    if config.enhance_first:
        reference = jnp.maximum(_enhance(ir, config), _enhance(vi_y, config))
    else:
        reference = _enhance(_base(ir, vi_y, config), config)
    return jax.lax.stop_gradient(reference)


def _base(ir: Luma, vi_y: Luma, config: ReferenceConfig) -> Luma:
    if config.base == "max":
        return jnp.maximum(ir, vi_y)
    return two_scale_base(ir, vi_y, sigma=config.base_sigma, headroom=config.headroom)


def two_scale_base(ir: Luma, vi_y: Luma, *, sigma: float, headroom: bool = False) -> Luma:
    """Mean of max(I, V) and of max(G I, G V) + (I - G I) + (V - G V), clipped to [0, 1]; sigma in
    pixels.

    With `headroom` the second half is first lowered around bright infrared detail that a blown-out
    visible image has no room for: by V^4 (G' o^8)^(1/8), with o = max(V + max(I - G I, 0) - 1, 0).
    G' has half the sigma; the power mean stays near the largest o within sigma, and V^4 leaves what
    is dark beside a light as it is.
    """
    ir_low, vi_low = gaussian_blur(ir, sigma), gaussian_blur(vi_y, sigma)
    detailed = jnp.maximum(ir_low, vi_low) + (ir - ir_low) + (vi_y - vi_low)
    if headroom:
        overshoot = jnp.maximum(vi_y + jnp.maximum(ir - ir_low, 0.0) - 1.0, 0.0)
        detailed -= vi_y**4 * jnp.maximum(gaussian_blur(overshoot**8, 0.5 * sigma), 0.0) ** (1 / 8)
    return 0.5 * (jnp.maximum(ir, vi_y) + jnp.clip(detailed, 0.0, 1.0))


def _enhance(x: Luma, config: ReferenceConfig) -> Luma:
    sharp = jnp.clip(x - laplacian(x, padding="edge"), 0.0, 1.0)
    equal = clahe(x) if config.equalisation == "clahe" else equalise(x)
    rest = 1.0 - config.edge_weight - config.equalised_weight
    return config.edge_weight * sharp + config.equalised_weight * equal + rest * x


def grey_levels(x: Float[Array, "..."]) -> Int[Array, "..."]:
    """Level 0..255 of values in [0, 1]. Rounds, because 255 * (n / 255) in float32 can fall just below n."""
    return jnp.clip(jnp.round(x * (LEVELS - 1)), 0, LEVELS - 1).astype(jnp.int32)


def histogram(levels: Int[Array, "*batch n"]) -> Int[Array, "*batch 256"]:
    """Counts of each level 0..255 along the last axis, exact up to 2^24 values.

    Level 16 i + j is counted in cell (i, j) of a product of two one-hot matrices [n, 16]: a matrix product on every
    backend, where a scatter-add would serialise on accelerators and comparing each value with each level takes 7 to 20
    times as long on CPU. 0 and 1 are exact in bfloat16, which halves the memory to 64 bytes per value.
    """
    digits = (levels // 16, levels % 16)
    high, low = ((d[..., None] == jnp.arange(16)).astype(jnp.bfloat16) for d in digits)
    counts = jnp.einsum("...ni,...nj->...ij", high, low, preferred_element_type=jnp.float32)
    return counts.reshape(*levels.shape[:-1], LEVELS).astype(jnp.int32)


def equalise(x: Luma) -> Luma:
    """Global histogram equalisation: (cdf(x) - cdf_min) / (N - cdf_min); a picture of one grey level is returned."""
    b, h, w, _ = x.shape
    levels = grey_levels(x).reshape(b, h * w)
    cdf = jnp.cumsum(histogram(levels), axis=-1)
    smallest = jnp.min(jnp.where(cdf > 0, cdf, h * w), axis=-1, keepdims=True)
    span = h * w - smallest
    table = jnp.clip((cdf - smallest) / jnp.maximum(span, 1), 0.0, 1.0).astype(x.dtype)
    equal = jnp.take_along_axis(table, levels, axis=-1).reshape(x.shape)
    return jnp.where((span > 0)[..., None, None], equal, x)


def clahe(x: Luma, *, tiles: int = 8, clip_limit: float = 2.0) -> Luma:
    """Contrast-limited adaptive histogram equalisation in OpenCV's convention (Zuiderveld 1994).

    tiles x tiles regions of 256 bins; counts above max(1, floor(clip_limit * area / 256)) are cut and spread evenly
    over all bins, the remainder one by one at equal steps; the regions' cumulative maps are joined bilinearly. A size
    that the tiles do not divide is extended at the bottom and right by reflection. Pixel 0 counts as half a tile from
    the first centre, which is half a pixel too far: a mirrored picture is mirrored only up to that shift. Departures:
    maps and result are not rounded to 8 bit, and a picture of one grey level is returned as it is.

    Args: x in [0, 1], any size.  Returns: [0, 1].
    """
    b, h, w, _ = x.shape
    plain = grey_levels(x)
    levels = _pad_to_tiles(plain[..., 0], tiles)
    th, tw = levels.shape[1] // tiles, levels.shape[2] // tiles
    cells = levels.reshape(b, tiles, th, tiles, tw).swapaxes(2, 3).reshape(b, tiles, tiles, th * tw)
    counts = _clip_counts(histogram(cells), max(1, int(clip_limit * th * tw / LEVELS)))
    table = (jnp.cumsum(counts, axis=-1) / (th * tw)).astype(x.dtype)
    # Picture by picture: indices into the batch would be gathered from all devices, and the results summed.
    equal = jax.vmap(lambda *picture: _interpolate(*picture, th, tw))(table, levels[:, :h, :w])[..., None]
    constant = jnp.all(plain == plain[:, :1, :1], axis=(1, 2, 3), keepdims=True)
    return jnp.where(constant, x, equal)


def _pad_to_tiles(levels: Int[Array, "b h w"], tiles: int) -> Int[Array, "b h2 w2"]:
    """OpenCV's rule: where one side is not divisible both are extended, the divisible one by a whole `tiles` pixels."""
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


def _interpolate(table: Float[Array, "t t 256"], levels: Int[Array, "h w"], th: int, tw: int) -> Array:
    """Each pixel's level through the maps of its four nearest tile centres, weighted bilinearly."""
    tiles = table.shape[0]
    rows, columns = (_neighbours(n, size, tiles) for n, size in zip(levels.shape, (th, tw), strict=True))

    def row_of_tiles(i: np.ndarray) -> Array:
        return sum(table[i[:, None], j, levels] * weight for j, weight in columns)

    return sum(row_of_tiles(i) * weight[:, None] for i, weight in rows)


def _neighbours(n: int, size: int, tiles: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For n pixels along one axis: index and weight of the tile centre before, and of the one after."""
    position = np.arange(n) / size - 0.5
    before = np.floor(position).astype(int)
    after_weight = (position - before).astype(np.float32)
    inside = [np.clip(before + k, 0, tiles - 1) for k in (0, 1)]
    return list(zip(inside, (1 - after_weight, after_weight), strict=True))
