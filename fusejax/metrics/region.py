"""Agreement inside object regions (FusionNet, arXiv 2509.11476, section 6).

The paper does not define its measures; these interpretations are ours. Errors are on the range [0,
1], as in its table. `average_fusion` and `mse_lower_bound` show what averaging the sources would
score.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.structure import ssim_maps, with_margin
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import Size, valid_size
from fusejax.ops.numerics import divide, image_mean, image_sum, sum_arrays, to_levels
from fusejax.typing import Extent, Luma, PerImage

_MARGIN = 5


@equal_shapes
def roi_ssim(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    mask: Luma,
    *,
    extent: Extent | None = None,
) -> PerImage:
    """ROI-SSIM: the SSIM map averaged with the weights M, mean over both sources.

    Gaussian 11x11, sigma 1.5. Every pixel counts its full window, so boxes below 11 pixels contain
    mostly background. Borders are replicated, so that boxes there count. With M = 1 it is
    `ssim(..., border="edge")`.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        mask: non-negative weights M.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, -1..1, higher is better; NaN for images without boxes.
    """
    size = valid_size(fused, extent)
    target, *sources = (to_levels(with_margin(x, size, _MARGIN, "edge")) for x in (fused, ir, vi_y))
    luminance, structure = ssim_maps(target, jnp.stack(sources), "gaussian", 255.0)
    return _weighted_mean((luminance * structure).mean(0), mask[..., 0], size)


@equal_shapes
def roi_mse(fused: Luma, ir: Luma, vi_y: Luma, mask: Luma, *, extent: Extent | None = None) -> PerImage:
    """Mean squared error weighted with M, mean over both sources.

    A published value below `mse_lower_bound` of the same pixels was measured against one source
    only.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        mask: non-negative weights M.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..1, lower is better; NaN for images without boxes.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> roi_mse(white / 2, white, black, white).tolist()
        [0.25]
    """
    squares = sum_arrays(jnp.square(fused - source) for source in (ir, vi_y))
    return _weighted_mean(0.5 * squares[..., 0], mask[..., 0], valid_size(fused, extent))


@equal_shapes
def mse_lower_bound(ir: Luma, vi_y: Luma, mask: Luma | None = None, *, extent: Extent | None = None) -> PerImage:
    """mean (I - V)^2 / 4: the smallest two-source MSE of any image, attained by `average_fusion`.

    Args:
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        mask: weights M of `roi_mse`, for the bound of that metric; None weights all pixels equally.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0..0.25.

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> mse_lower_bound(white, black, white).tolist()
        [0.25]
    """
    squares, size = 0.25 * jnp.square(ir - vi_y)[..., 0], valid_size(ir, extent)
    return image_mean(squares, size) if mask is None else _weighted_mean(squares, mask[..., 0], size)


@equal_shapes
def average_fusion(ir: Luma, vi_y: Luma) -> Luma:
    """(I + V) / 2: optimal in two-source MSE and high in SSIM, hence a baseline for models.

    Args:
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].

    Returns:
        Luma in [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> black, white = jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1))
        >>> average_fusion(white, black)[0, 0, 0].tolist()
        [0.5]
    """
    return 0.5 * (ir + vi_y)


def _weighted_mean(values: Float[Array, "b h w"], weight: Float[Array, "b h w"], size: Size) -> Float[Array, " b"]:
    return divide(image_sum(values * weight, size), image_sum(weight, size))
