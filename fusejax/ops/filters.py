"""Fixed linear filters on NHWC arrays, shared by losses, metrics and the reference image.

Written as sums of shifted slices: XLA fuses them into one pass on every backend, while a depthwise convolution
(`feature_group_count = c`) runs several times slower on CPU.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.options import checked_options

Padding = Literal["edge", "reflect", "symmetric", "zero", "valid"]

LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)


def pad_hw(x: Float[Array, "b h w c"], rows: tuple[int, int], columns: tuple[int, int], padding: Padding) -> Array:
    """Pads by (before, after) pixels. `reflect` mirrors about the border pixel's centre, `symmetric` about its edge."""
    if padding == "valid":
        return x
    mode = "constant" if padding == "zero" else padding
    # Picture by picture: `edge` would slice the batch too, whose gradient then travels between devices.
    return jax.vmap(lambda picture: jnp.pad(picture, (rows, columns, (0, 0)), mode=mode))(x)


@checked_options
def correlate(x: Float[Array, "b h w c"], kernel: np.ndarray, *, padding: Padding) -> Float[Array, "b h2 w2 c"]:
    """Cross-correlates every channel with one small odd-sized 2-D kernel (no flip). `valid` drops the border.

    Args: x: any range; kernel: [kh, kw], both odd, known at trace time.  Returns: same size as x, or the valid part.
    """
    kernel = np.asarray(kernel)
    kh, kw = kernel.shape
    if kh % 2 == 0 or kw % 2 == 0:
        raise ValueError(f"kernel is {kh}x{kw}; both sides must be odd so that the result is centred.")
    x = pad_hw(x, (kh // 2, kh // 2), (kw // 2, kw // 2), padding)
    h, w = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    taps = [float(kernel[i, j]) * x[:, i : i + h, j : j + w] for i in range(kh) for j in range(kw) if kernel[i, j] != 0]
    return sum(taps[1:], taps[0])


@checked_options
def separable_correlate(
    x: Float[Array, "b h w c"], rows: Sequence[float], columns: Sequence[float], *, padding: Padding
) -> Float[Array, "b h2 w2 c"]:
    """Correlates with outer(rows, columns): one vertical and one horizontal pass."""
    rows, columns = np.asarray(rows), np.asarray(columns)
    return correlate(correlate(x, rows[:, None], padding=padding), columns[None, :], padding=padding)


def gaussian_kernel(size: int, sigma: float) -> np.ndarray:
    """One-dimensional Gaussian of `size` taps (pixels), normalised to sum 1 in float64."""
    t = np.arange(size) - (size - 1) / 2
    k = np.exp(-(t**2) / (2 * sigma**2))
    return k / k.sum()


@checked_options
def sobel(
    x: Float[Array, "b h w c"], *, padding: Padding = "edge"
) -> tuple[Float[Array, "b h2 w2 c"], Float[Array, "b h2 w2 c"]]:
    """Horizontal and vertical 3x3 Sobel response (1-2-1, not normalised, cross-correlation)."""
    smooth, difference = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)
    gx = separable_correlate(x, smooth, difference, padding=padding)
    gy = separable_correlate(x, difference, smooth, padding=padding)
    return gx, gy


@checked_options
def laplacian(x: Float[Array, "b h w c"], *, padding: Padding = "edge") -> Float[Array, "b h2 w2 c"]:
    """Four-neighbour Laplacian with centre -4: sharpening is x minus this."""
    return correlate(x, LAPLACIAN, padding=padding)


def gaussian_blur(x: Float[Array, "b h w c"], sigma: float) -> Float[Array, "b h w c"]:
    """Gaussian blur with symmetric borders, sigma in pixels, cut at 4 sigma.

    Two dense products with banded matrices made at trace time: the cost does not grow with sigma.
    """
    rows, columns = (jnp.asarray(_blur_matrix(n, sigma), x.dtype) for n in x.shape[1:3])
    return jnp.einsum("ij,bjkc,lk->bilc", rows, x, columns)


def _blur_matrix(n: int, sigma: float) -> np.ndarray:
    """[n, n]; row i holds the weights of the pixels that make blurred pixel i, mirrored at both ends."""
    radius = max(1, round(4 * sigma))
    source = np.mod(np.arange(n)[:, None] + np.arange(-radius, radius + 1), 2 * n)
    source = np.where(source < n, source, 2 * n - 1 - source)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], source), gaussian_kernel(2 * radius + 1, sigma))
    return matrix
