"""Fixed linear filters on NHWC arrays, shared by losses, metrics and the reference image.

They are sums of shifted slices, which XLA fuses into one pass on every backend, whereas a depthwise
convolution (`feature_group_count = c`) is several times slower on CPU.
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


def pad_hw(
    x: Float[Array, "b h w c"], rows: tuple[int, int], columns: tuple[int, int], padding: Padding
) -> Float[Array, "b h2 w2 c"]:
    """Pads rows and columns.

    Args:
        x: in any range.
        rows: pixels added above and below.
        columns: pixels added on the left and on the right.
        padding: `reflect` mirrors about the center of the border pixel, `symmetric` about its outer
            edge; `edge` repeats it; `zero` adds zeros; `valid` adds nothing.

    Returns:
        The padded array.
    """
    if padding == "valid":
        return x
    mode = "constant" if padding == "zero" else padding
    # One image at a time: `edge` would also slice the batch, whose gradient would then move between
    # devices.
    return jax.vmap(lambda image: jnp.pad(image, (rows, columns, (0, 0)), mode=mode))(x)


@checked_options
def correlate(x: Float[Array, "b h w c"], kernel: np.ndarray, *, padding: Padding) -> Float[Array, "b h2 w2 c"]:
    """Cross-correlates every channel with one small 2-D kernel (without flipping it).

    Args:
        x: in any range.
        kernel: [kh, kw], both odd, known while tracing.
        padding: padding of the border, see `pad_hw`; `valid` omits the border.

    Returns:
        Array with the size of `x`, or its valid part.

    Raises:
        ValueError: if a side of the kernel is even.
    """
    kernel = np.asarray(kernel)
    kh, kw = kernel.shape
    if kh % 2 == 0 or kw % 2 == 0:
        raise ValueError(f"kernel is {kh}x{kw}; both sides must be odd so that the result is centered.")
    x = pad_hw(x, (kh // 2, kh // 2), (kw // 2, kw // 2), padding)
    h, w = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    taps = [float(kernel[i, j]) * x[:, i : i + h, j : j + w] for i in range(kh) for j in range(kw) if kernel[i, j] != 0]
    return sum(taps[1:], taps[0])


@checked_options
def separable_correlate(
    x: Float[Array, "b h w c"],
    rows: Sequence[float] | np.ndarray,
    columns: Sequence[float] | np.ndarray,
    *,
    padding: Padding,
) -> Float[Array, "b h2 w2 c"]:
    """Correlates with outer(rows, columns), in one vertical and one horizontal pass.

    Args:
        x: in any range.
        rows: vertical taps, an odd number.
        columns: horizontal taps, an odd number.
        padding: padding of the border, see `pad_hw`.

    Returns:
        Array with the size of `x`, or its valid part.
    """
    vertical, horizontal = np.asarray(rows)[:, None], np.asarray(columns)[None, :]
    return correlate(correlate(x, vertical, padding=padding), horizontal, padding=padding)


def gaussian_kernel(size: int, sigma: float) -> np.ndarray:
    """One-dimensional Gaussian, normalized to sum 1 in float64.

    Args:
        size: number of taps (pixels).
        sigma: standard deviation in pixels.

    Returns:
        float64 [size].
    """
    t = np.arange(size) - (size - 1) / 2
    k = np.exp(-(t**2) / (2 * sigma**2))
    return k / k.sum()


@checked_options
def sobel(
    x: Float[Array, "b h w c"], *, padding: Padding = "edge"
) -> tuple[Float[Array, "b h2 w2 c"], Float[Array, "b h2 w2 c"]]:
    """Sobel gradient: 3x3, smoothed with 1-2-1, not normalized, as a cross-correlation.

    Args:
        x: in any range.
        padding: padding of the border, see `pad_hw`.

    Returns:
        The horizontal and vertical responses, in [-4, 4] for x in [0, 1].
    """
    smooth, difference = (1.0, 2.0, 1.0), (-1.0, 0.0, 1.0)
    gx = separable_correlate(x, smooth, difference, padding=padding)
    gy = separable_correlate(x, difference, smooth, padding=padding)
    return gx, gy


@checked_options
def laplacian(x: Float[Array, "b h w c"], *, padding: Padding = "edge") -> Float[Array, "b h2 w2 c"]:
    """Laplacian over the four neighbors, with center -4; x minus this is a sharpened x.

    Args:
        x: in any range.
        padding: padding of the border, see `pad_hw`.

    Returns:
        Array with the size of `x`, or its valid part.
    """
    return correlate(x, LAPLACIAN, padding=padding)


def gaussian_blur(x: Float[Array, "b h w c"], sigma: float) -> Float[Array, "b h w c"]:
    """Gaussian blur with symmetric borders, truncated at 4 sigma.

    It consists of two dense products with banded matrices that are built during tracing, so the
    cost does not grow with sigma.

    Args:
        x: in any range.
        sigma: standard deviation in pixels.

    Returns:
        The blurred array.
    """
    rows, columns = (jnp.asarray(_blur_matrix(n, sigma), x.dtype) for n in x.shape[1:3])
    return jnp.einsum("ij,bjkc,lk->bilc", rows, x, columns)


def _blur_matrix(n: int, sigma: float) -> np.ndarray:
    """[n, n]; row i has the weight of every pixel in blurred pixel i, mirrored at the ends."""
    radius = max(1, round(4 * sigma))
    source = np.mod(np.arange(n)[:, None] + np.arange(-radius, radius + 1), 2 * n)
    source = np.where(source < n, source, 2 * n - 1 - source)
    matrix = np.zeros((n, n))
    np.add.at(matrix, (np.arange(n)[:, None], source), gaussian_kernel(2 * radius + 1, sigma))
    return matrix
