"""Visual information fidelity: how much of the sources' information the fused image keeps."""

import math
from collections.abc import Iterator
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.windows import gaussian_taps, local_mean, local_statistics
from fusejax.ops.arrays import equal_shapes
from fusejax.ops.extent import Size, valid_size, where_large
from fusejax.ops.numerics import combined, divide, image_sum, to_levels, undefined
from fusejax.options import checked_options
from fusejax.typing import Extent, Luma, PerImage

_WINDOWS = tuple(gaussian_taps(size, size / 5) for size in (17, 9, 5, 3))
_TINY = 1e-10  # variances (levels squared) below this count as zero in every public implementation
_HAN_NOISE = 0.005 * 255.0**2
_HAN_WEIGHTS = (1 / 2.15, 0.0, 0.15 / 2.15, 1 / 2.15)
_HAN_FLOOR = 1e-7 * math.log(10.0)  # the published code adds 1e-7 to decimal logarithms
MIN_SIDE = 41  # smallest side for which the fourth scale still contains one whole window


def _channels(
    target: Float[Array, "b h w"], sources: Float[Array, "n b h w"], size: Size, *, noise: float
) -> Iterator[tuple[Array, Array, Array, Size]]:
    """Per scale: information (in nats) carried by target and source, and the gain, at every window,
    and the number of rows and columns of windows within the images.

    Model of Sheikh & Bovik 2006: target = gain * source + distortion with the local variance, seen
    through a further channel of variance `noise`. Windows without variance in the source carry no
    information; a negative gain counts as zero. Before every scale except the first, the images are
    smoothed with the window of that scale and halved.
    """
    for scale, taps in enumerate(_WINDOWS):
        if scale:
            target, sources = local_mean(target, taps, stride=2), local_mean(sources, taps, stride=2)
            size = ((size[0] - len(taps)) // 2 + 1, (size[1] - len(taps)) // 2 + 1)
        statistics = local_statistics(target, sources, taps)
        variance, target_variance = (jnp.maximum(v, 0.0) for v in (statistics.variance_y, statistics.variance_x))
        covariance = statistics.covariance
        alive = (variance >= _TINY) & (target_variance >= _TINY) & (covariance > 0)
        gain = jnp.where(alive, covariance / jnp.where(alive, variance, 1.0), 0.0)
        distortion = jnp.maximum(jnp.where(alive, target_variance - gain * covariance, target_variance), _TINY)
        variance = jnp.where(variance >= _TINY, variance, 0.0)
        windows = (size[0] - len(taps) + 1, size[1] - len(taps) + 1)
        yield jnp.log1p(gain * gain * variance / (distortion + noise)), jnp.log1p(variance / noise), gain, windows


@checked_options
@equal_shapes
def vif(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    combine: Literal["sum", "mean"] = "mean",
    flat_source: float = float("nan"),
    extent: Extent | None = None,
) -> PerImage:
    """VIF, pixel-domain VIFp with each source as reference (Sheikh & Bovik 2006).

    Four scales, Gaussian windows of 17, 9, 5 and 3 pixels ('valid'), noise variance 2; information
    is summed over pixels and scales before it is divided.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        combine: mean over the sources, or the sum, as in the fusion toolkits.
        flat_source: value for a constant source, which carries no information: NaN, or 1 in
            CDDFuse.
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0 and up per source, 1 for a copy, higher is better; NaN if a side is
        below 41 pixels.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> vif(x, x, x).round(4).tolist()
        [1.0]
    """
    target, sources = to_levels(fused), jnp.stack([to_levels(ir), to_levels(vi_y)])
    if min(target.shape[1:]) < MIN_SIDE:
        return undefined(target)
    size = valid_size(fused, extent)
    kept = carried = jnp.float32(0.0)
    for kept_map, carried_map, _, windows in _channels(target, sources, size, noise=2.0):
        kept, carried = kept + image_sum(kept_map, windows), carried + image_sum(carried_map, windows)
    value = combined(jnp.where(carried > 0, divide(kept, carried), flat_source), combine)
    return where_large(value, size, MIN_SIDE)


@equal_shapes
def viff(fused: Luma, ir: Luma, vi_y: Luma, *, extent: Extent | None = None) -> PerImage:
    """VIFF, information kept from the source that the fused image follows less (Han et al. 2013).

    Four scales as in `vif`, noise variance 0.005 * 255^2. At every window, the source with the
    smaller gain counts; the weights of the scales are 1, 0, 0.15 and 1, divided by 2.15.

    Args:
        fused: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        extent: height and width of the images, if the arrays are larger.

    Returns:
        One value per image, 0 and up, above 1 if contrast is raised, higher is better; NaN if a
        side is below 41 pixels.

    Example:
        >>> import jax
        >>> x = jax.random.uniform(jax.random.key(0), (1, 48, 48, 1))
        >>> viff(x, x, x).shape
        (1,)
    """
    target, sources = to_levels(fused), jnp.stack([to_levels(ir), to_levels(vi_y)])
    if min(target.shape[1:]) < MIN_SIDE:
        return undefined(target)
    total, size = jnp.float32(0.0), valid_size(fused, extent)
    channels = _channels(target, sources, size, noise=_HAN_NOISE)
    for weight, (kept, carried, gain, windows) in zip(_HAN_WEIGHTS, channels, strict=True):
        first = gain[0] < gain[1]
        sums = [image_sum(jnp.where(first, x[0], x[1]) + _HAN_FLOOR, windows) for x in (kept, carried)]
        total = total + weight * sums[0] / sums[1]
    return where_large(total, size, MIN_SIDE)
