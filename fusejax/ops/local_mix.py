"""A local description of how a fused image combines its sources.

For any network, a fused luma F is locally close to a mix of its sources,

    F = a I + b V + g H(I) + k H(V) + o,      H(x) = x minus its 5x5 binomial blur,

with weights a and b, gains g and k of the fine detail, and an offset o. The five coefficients are
found by least squares around the cells of a coarse grid. They describe the decision of the fusion,
separately from the pixels to which it is applied; the light network makes its decisions in the same
form.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.ops.filters import separable_correlate

Plane = Float[Array, "b h w 1"]
Cells = Float[Array, "b n m 5"]

CELL = 8  # pixels
# Weights of a cell and its neighbors in a fit: pixels two cells away have no influence.
_NEAR = np.array([1, 2, 1], np.float32) / 4
_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16
# Where the sources do not determine the coefficients, the fit stays near the plain average. This is
# the square of the deviation, here 2.5 gray levels, at which they are determined half-way.
_PRIOR = np.array([0.5, 0.5, 0.0, 0.0, 0.0], np.float32)
_PRIOR_WEIGHT = 1e-4


def features(ir: Plane, vi_y: Plane) -> Float[Array, "b h w 5"]:
    """I, V, H(I), H(V) and 1 at every pixel, for luma in [0, 1]."""
    fine = [x - separable_correlate(x, _BINOMIAL, _BINOMIAL, padding="edge") for x in (ir, vi_y)]
    return jnp.concatenate([ir, vi_y, *fine, jnp.ones_like(ir)], axis=-1)


def local_mix(fused_y: Plane, seen: Float[Array, "b h w 5"]) -> Cells:
    """The coefficients of the mix, one set for each cell of 8x8 pixels.

    They are least-squares fits over the cell and its eight neighbors, which have smaller weights.

    Args:
        fused_y: luma in [0, 1].
        seen: `features` of its sources.

    Returns:
        Coefficients a, b, g, k, o; cells at the bottom and right may be incomplete.
    """
    both = jnp.concatenate([seen, fused_y], axis=-1)
    blocks = _blocks(both)
    products = jnp.einsum("byixjp,byixjq->byxpq", blocks, blocks) / CELL**2
    b, n, m = products.shape[:3]
    products = separable_correlate(products.reshape(b, n, m, 36), _NEAR, _NEAR, padding="edge").reshape(b, n, m, 6, 6)
    matrix = products[..., :5, :5] + _PRIOR_WEIGHT * jnp.eye(5)
    right = products[..., :5, 5] + _PRIOR_WEIGHT * _PRIOR
    return _solve(matrix, right)


def _solve(matrix: Float[Array, "b n m 5 5"], right: Cells) -> Cells:
    """Solves symmetric positive definite systems by elimination, all of them at once.

    `jnp.linalg.solve` calls LAPACK for one cell at a time, and two such calls in one compiled
    function deadlock on two CPU threads (jaxlib 0.10.2, thousands of systems).
    """
    rows = [[matrix[..., i, j] for j in range(5)] + [right[..., i]] for i in range(5)]
    for k in range(5):
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(5):
            if i != k:
                factor = rows[i][k]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    return jnp.stack([row[5] for row in rows], axis=-1)


def apply_mix(mix: Cells, seen: Float[Array, "b h w 5"]) -> Plane:
    """The mix of the sources, with coefficients interpolated linearly between the centers of
    cells.
    """
    h, w = seen.shape[1:3]
    shape = (mix.shape[0], mix.shape[1] * CELL, mix.shape[2] * CELL, 5)
    return (jax.image.resize(mix, shape, "linear")[:, :h, :w] * seen).sum(axis=-1, keepdims=True)


def cell_means(x: Float[Array, "b h w c"]) -> Float[Array, "b n m c"]:
    """Mean of every cell, over its pixels inside the image."""
    sums, counts = (_blocks(y).sum(axis=(2, 4)) for y in (x, jnp.ones_like(x[..., :1])))
    return sums / counts


def _blocks(x: Float[Array, "b h w c"]) -> Float[Array, "b n 8 m 8 c"]:
    """Pixels by cell; zeros beyond the image, which add nothing to sums."""
    x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % CELL), (0, -x.shape[2] % CELL), (0, 0)))
    b, h, w, c = x.shape
    return x.reshape(b, h // CELL, CELL, w // CELL, CELL, c)
