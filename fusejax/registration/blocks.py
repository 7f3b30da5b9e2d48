"""Local correlation: how well every block of a view fits the other camera at every small shift."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.registration.descriptors import blur, described, self_similarity

_FLOOR = 0.05  # of a block's energy, in units of the mean, so that flat blocks do not count


def block_centers(size: tuple[int, int], cell: int) -> np.ndarray:
    """Centers of the blocks of a view, row by row: [n, 2], x and y in pixels."""
    at = [cell * np.arange(n // cell) + (cell - 1) / 2 for n in size]
    y, x = np.meshgrid(*at, indexing="ij")
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _correlated(a: Float[Array, "h w k"], b: Float[Array, "h w k"], reach: int, cell: int) -> Float[Array, "n m m"]:
    """Sums of products in every block for all shifts; one product of matrices per row shift."""
    h, w, k = a.shape
    rows, columns, m = h // cell, w // cell, 2 * reach + 1
    wide = cell + 2 * reach
    # Blocks as [n, column, row and channel], and the same blocks of b, wider by the reach.
    first = a.reshape(rows, cell, columns, cell, k).transpose(0, 2, 3, 1, 4).reshape(-1, cell, cell * k)
    padded = jnp.pad(b, ((reach, reach), (reach, reach), (0, 0)))
    at = (cell * np.arange(columns)[:, None] + np.arange(wide)).ravel()
    diagonals = np.zeros((cell, wide, m), np.float32)
    for x in range(cell):
        diagonals[x, x + np.arange(m), np.arange(m)] = 1

    def of_row(y: Array) -> Array:
        moved = jax.lax.dynamic_slice(padded, (y, 0, 0), (h, w + 2 * reach, k))[:, at]
        moved = moved.reshape(rows, cell, columns, wide, k).transpose(0, 2, 1, 4, 3).reshape(-1, cell * k, wide)
        return jnp.einsum("nxw,xwd->nd", first @ moved, jnp.asarray(diagonals))

    return jnp.moveaxis(jax.lax.map(of_row, jnp.arange(m)), 0, 1)


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
    parts = [(a, b), (a_energy[..., None], b_valid[..., None]), (a_valid[..., None], b_energy[..., None])]
    sums = jnp.stack([_correlated(x, y, reach, cell) for x, y in parts])
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
