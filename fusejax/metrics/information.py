"""Entropy and mutual information of 8-bit gray levels, from exact integer histograms.

Pixels are rounded to the 256 levels of an 8-bit file, so these metrics have no useful gradient.
"""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.backend import by_platform
from fusejax.ops.extent import Size, masked, valid_size
from fusejax.ops.numerics import divide, quantize, stretch, to_levels
from fusejax.options import checked_options
from fusejax.typing import Extent, Luma, PerImage

BINS = 256
_CHUNK = 4096  # pixels per one-hot product: 4 MB of bfloat16 per image
_BASES = {"bits": math.log(2.0), "nats": 1.0}


def _scatter_histogram(first: Int[Array, " n"], second: Int[Array, " n"]) -> Int[Array, "256 256"]:
    """Counts by scatter: half a millisecond for 640x480 on CPU, but serial on accelerators."""
    return jnp.zeros((BINS * BINS,), jnp.int32).at[first * BINS + second].add(1).reshape(BINS, BINS)


def _matmul_histogram(first: Int[Array, " n"], second: Int[Array, " n"]) -> Int[Array, "256 256"]:
    """Counts as products of one-hot matrices; exact, since partial counts stay below 2**24."""
    padding = -first.shape[0] % _CHUNK
    firsts, seconds = (jnp.pad(x, (0, padding), constant_values=BINS).reshape(-1, _CHUNK) for x in (first, second))

    def add_chunk(counts: Array, chunk: tuple[Array, Array]) -> tuple[Array, None]:
        hot_first, hot_second = (jax.nn.one_hot(x, BINS, dtype=jnp.bfloat16) for x in chunk)
        product = jnp.einsum("nf,ns->fs", hot_first, hot_second, preferred_element_type=jnp.float32)
        return counts + product.astype(jnp.int32), None

    return lax.scan(add_chunk, jnp.zeros((BINS, BINS), jnp.int32), (firsts, seconds))[0]


def joint_histogram(first: Int[Array, "b h w"], second: Int[Array, "b h w"], size: Size) -> Int[Array, "b 256 256"]:
    """Counts the pixels with level i in `first` and level j in `second`, exactly.

    Args:
        first: levels from 0 to 255.
        second: levels from 0 to 255.
        size: size of the images.

    Returns:
        The counts.
    """
    first = masked(first, size, BINS)  # a level that neither implementation counts
    first, second = (x.reshape(x.shape[0], -1) for x in (first, second))
    return by_platform(first, second, cpu=jax.vmap(_scatter_histogram), accelerator=jax.vmap(_matmul_histogram))


def _integer_levels(x: Luma, size: Size, *, stretched: bool = False) -> Int[Array, "b h w"]:
    levels = to_levels(quantize(x))
    return (stretch(levels, size) if stretched else levels).astype(jnp.int32)


def _staged_sum(x: Float[Array, "b 256 *rest"]) -> Float[Array, " b"]:
    while x.ndim > 1:
        x = lax.optimization_barrier(x.reshape(*x.shape[:-1], 16, -1).sum(-1)).sum(-1)
        x = lax.optimization_barrier(x)
    return x


def _entropy_nats(counts: Int[Array, "b 256 *rest"]) -> Float[Array, " b"]:
    counts = counts.astype(jnp.float32)
    total = counts.sum(tuple(range(1, counts.ndim)), keepdims=True)
    p = counts / total
    return -_staged_sum(jnp.where(p > 0, p * jnp.log(jnp.where(p > 0, p, 1.0)), 0.0))


def _information_nats(joint: Int[Array, "b 256 256"]) -> Float[Array, " b"]:
    """Sum of p(i, j) log(p(i, j) / (p(i) p(j))); a difference of entropies would lose precision."""
    joint, row, column = (x.astype(jnp.float32) for x in (joint, joint.sum(2), joint.sum(1)))
    total = row.sum(1)[:, None, None]
    row, column = jnp.maximum(row, 1.0)[:, :, None], jnp.maximum(column, 1.0)[:, None, :]
    ratio = (joint / row) * (total / column)
    return _staged_sum(jnp.where(joint > 0, joint / total * jnp.log(jnp.where(joint > 0, ratio, 1.0)), 0.0))


def _saturation_gain(joint: Int[Array, "b 256 256"]) -> Float[Array, " b"]:
    """Decrease of the joint entropy, in nats, when levels 254 and 255 share a cell."""
    shared = joint.at[:, 254].add(joint[:, 255]).at[:, 255].set(0)
    shared = shared.at[:, :, 254].add(shared[:, :, 255]).at[:, :, 255].set(0)
    return _entropy_nats(joint) - _entropy_nats(shared)


@equal_shapes
def entropy(fused: Luma, ir: Luma | None = None, vi_y: Luma | None = None, *, extent: Extent | None = None) -> PerImage:
    """EN, Shannon entropy of the fused gray levels (Roberts et al. 2008).

    Args:
        fused: fused luma in [0, 1].
        ir: not used.
        vi_y: not used.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..8 bits, higher is better; 0 for a constant image.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> half = jnp.concatenate([black, white], axis=1)
        >>> entropy(half, half, half).tolist()  # two levels, equally often
        [1.0]
    """
    size = valid_size(fused, extent)
    levels = _integer_levels(fused, size)
    return jnp.abs(_entropy_nats(joint_histogram(levels, levels, size).sum(2))) / math.log(2.0)  # no negative zero


@checked_options
@equal_shapes
def mutual_information(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    unit: Literal["bits", "nats"] = "bits",
    stretched: bool = False,
    saturated: bool = False,
    extent: Extent | None = None,
) -> PerImage:
    """MI = I(F; A) + I(F; B) (Qu et al. 2002).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        unit: bits (papers, Linfeng Tang's toolkit) or nats (CDDFuse, VIFB).
        stretched: whether every image is first stretched to 0..255 and rounded (VIFB).
        saturated: whether levels 254 and 255 share a cell of the joint histogram but not of the
            marginals (`uint8 + 1` in Tang's code).
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..16 bits, higher is better.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> half = jnp.concatenate([black, white], axis=1)
        >>> mutual_information(half, half, half).tolist()  # one bit from each source
        [2.0]
    """
    size = valid_size(fused, extent)
    levels, *sources = (_integer_levels(x, size, stretched=stretched) for x in (fused, ir, vi_y))
    joints = [joint_histogram(levels, source, size) for source in sources]
    parts = [_information_nats(joint) + (_saturation_gain(joint) if saturated else 0.0) for joint in joints]
    return (parts[0] + parts[1]) / _BASES[unit]


@equal_shapes
def normalized_mutual_information(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """NMI = 2 I(F;A) / (H(F) + H(A)) + 2 I(F;B) / (H(F) + H(B)) (Hossny et al. 2008).

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..2, higher is better; NaN if the fused image and a source are both
        constant.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> half = jnp.concatenate([black, white], axis=1)
        >>> normalized_mutual_information(half, half, half).tolist()
        [2.0]
    """
    size = valid_size(fused, extent)
    levels, *sources = (_integer_levels(x, size) for x in (fused, ir, vi_y))
    joints = [joint_histogram(levels, source, size) for source in sources]
    terms = [
        divide(2.0 * _information_nats(joint), _entropy_nats(joint.sum(2)) + _entropy_nats(joint.sum(1)))
        for joint in joints
    ]
    return terms[0] + terms[1]


@equal_shapes
def cross_entropy(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """CE, mean over the sources of sum p_S log2(p_S / p_F) (VIFB).

    As in VIFB, only levels that occur in both images count, so this is not a true divergence and
    can be negative.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image in bits, lower is better.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> half = jnp.concatenate([black, white], axis=1)
        >>> abs(cross_entropy(half, half, half)).tolist()
        [0.0]
    """

    def divergence(joint: Array) -> Array:
        p_fused, p_source = (joint.sum(axis).astype(jnp.float32) for axis in (2, 1))
        shared = (p_fused > 0) & (p_source > 0)
        ratio = jnp.where(shared, p_source, 1.0) / jnp.where(shared, p_fused, 1.0)
        return _staged_sum(p_source / p_source.sum(1, keepdims=True) * jnp.log(ratio)) / math.log(2.0)

    size = valid_size(fused, extent)
    levels, *sources = (_integer_levels(x, size) for x in (fused, ir, vi_y))
    return jnp.stack([divergence(joint_histogram(levels, source, size)) for source in sources]).mean(0)
