"""Local correlation: how well every block of a view fits the other camera at every small shift."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.registration.descriptors import blur, described, self_similarity

_STRIP = 16  # rows
_FLOOR = 0.05  # of a block's energy, in units of the mean, so that flat blocks do not count


def block_centers(size: tuple[int, int], cell: int) -> np.ndarray:
    """Centers of the blocks of a view, row by row: [n, 2], x and y in pixels."""
    at = [cell * np.arange(n // cell) + (cell - 1) / 2 for n in size]
    y, x = np.meshgrid(*at, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _correlated(parts: list[tuple[Array, Array]], reach: int, cell: int) -> Float[Array, "p n m m"]:
    """Sums of products of several pairs of arrays [k, h, w], in every block for all shifts."""
    h, w = parts[0][0].shape[1:]
    m = 2 * reach + 1
    # Strips of the images that stay in the processor's cache for all shifts.
    high = max(n for n in range(cell, max(cell, _STRIP) + 1, cell) if h % n == 0)
    padded = [jnp.pad(b, ((0, 0), (reach, reach), (reach, reach))) for _, b in parts]
    of_column = jnp.asarray(np.repeat(np.eye(w // cell, dtype=np.float32), cell, axis=0))
    shifts = jnp.asarray(list(np.ndindex(m, m)))

    def of_strip(top: Array) -> Array:
        a = [jax.lax.dynamic_slice(x, (0, top, 0), (len(x), high, w)) for x, _ in parts]
        b = [jax.lax.dynamic_slice(x, (0, top, 0), (len(x), high + 2 * reach, w + 2 * reach)) for x in padded]

        def at(shift: Array) -> Array:
            sums = []
            for x, wide in zip(a, b, strict=True):
                y = jax.lax.dynamic_slice(wide, (0, shift[0], shift[1]), x.shape)
                # Channel by channel, which compiles to one vectorized loop.
                product = functools.reduce(jnp.add, [x[k] * y[k] for k in range(len(x))])
                sums.append(product.reshape(-1, cell, w).sum(axis=1))
            return jnp.stack(sums) @ of_column

        return jax.lax.map(at, shifts)

    sums = jax.lax.map(of_strip, high * jnp.arange(h // high))  # [strips, m m, p, rows, columns]
    return sums.transpose(2, 0, 3, 4, 1).reshape(len(parts), -1, m, m)


@functools.partial(jax.jit, static_argnames=("reach", "cell", "window"))
def block_surfaces(
    vi: Float[Array, "h w"],
    vi_mask: Float[Array, "h w"],
    ir: Float[Array, "h w"],
    ir_mask: Float[Array, "h w"],
    *,
    reach: int,
    cell: int,
    window: float = 0.0,
) -> tuple[Float[Array, "n m m"], Float[Array, " n"], Float[Array, ""], Float[Array, ""]]:
    """Normalized correlation of descriptors in every block, for all shifts within a reach.

    Args:
        vi: visible view; its sides are multiples of `cell`.
        vi_mask: 1 where it is valid.
        ir: infrared view, warped by the transform so far.
        ir_mask: 1 where it is valid.
        reach: largest shift in x and in y, pixels.
        cell: side of a block, pixels.
        window: standard deviation of a Gaussian, in blocks, over which neighbors are summed.

    Returns:
        Correlation of every block for shifts in y and x from -reach to reach (m is 2 reach + 1),
        the blocks' energy, relative to the mean, the correlation of the whole views at no shift,
        and the share of the view that both cameras see.
    """
    h, w = vi.shape
    a, b = self_similarity(vi, vi_mask), self_similarity(ir, ir_mask)
    a_valid, b_valid = described(a), described(b)
    a_energy, b_energy = (a**2).sum(axis=-1), (b**2).sum(axis=-1)
    parts = [(jnp.moveaxis(a, -1, 0), jnp.moveaxis(b, -1, 0)), (a_energy[None], b_valid[None])]
    sums = _correlated([*parts, (a_valid[None], b_energy[None])], reach, cell)
    middle = sums[:, :, reach, reach].sum(axis=1)
    whole = middle[0] / jnp.sqrt(middle[1] * middle[2] + 1e-12)
    n, m = sums.shape[1:3]
    if window:
        blocks = jnp.moveaxis(sums.reshape(3, h // cell, w // cell, m * m), 0, 2).reshape(h // cell, w // cell, -1)
        sums = jnp.moveaxis(blur(blocks, window).reshape(n, 3, m, m), 1, 0)
    cross, of_a, of_b = sums
    energy = jnp.sqrt(of_a * of_b + 1e-12)
    typical = energy.mean() + 1e-9
    fits = cross / (energy + _FLOOR * typical)
    return fits, energy.mean(axis=(1, 2)) / typical, whole, (a_valid * b_valid).mean()
