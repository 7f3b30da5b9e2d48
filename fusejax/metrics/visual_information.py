"""Visual information fidelity: how much of the sources' information survives in the fused picture, in a Gaussian model."""

from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.metrics.numerics import both, divide, picture_sum, to_levels, undefined
from fusejax.metrics.windows import gaussian_taps, local_covariance, local_mean
from fusejax.typing import Luma, PerImage

_WINDOWS = tuple(gaussian_taps(size, size / 5) for size in (17, 9, 5, 3))
_TINY = 1e-10  # variances (levels squared) below this count as zero in every public implementation
MIN_SIDE = 41  # smallest side for which the fourth scale still holds one whole window


def _scales(x: Float[Array, "b h w"]) -> list[Array]:
    """Four scales: before each but the first, smooth with that scale's window and keep every second pixel."""
    scales = [x]
    for taps in _WINDOWS[1:]:
        scales.append(local_mean(scales[-1], taps, stride=2))
    return scales


def _channel(
    reference: Float[Array, "b h w"], target: Float[Array, "b h w"], taps: tuple[float, ...], noise: float
) -> tuple[Array, Array, Array]:
    """Information (nats) about the reference that target and reference carry, and the gain, at every window.

    Model of Sheikh & Bovik 2006: target = gain * reference + noise of the local variance, seen through a further
    channel of variance `noise`. Windows with no variance in the reference carry nothing; a negative gain counts as none.
    """
    variance = jnp.maximum(local_covariance(reference, reference, taps), 0.0)
    target_variance = jnp.maximum(local_covariance(target, target, taps), 0.0)
    covariance = local_covariance(reference, target, taps)
    alive = (variance >= _TINY) & (target_variance >= _TINY) & (covariance > 0)
    gain = jnp.where(alive, covariance / jnp.where(alive, variance, 1.0), 0.0)
    distortion = jnp.maximum(jnp.where(alive, target_variance - gain * covariance, target_variance), _TINY)
    variance = jnp.where(variance >= _TINY, variance, 0.0)
    kept = jnp.log1p(gain * gain * variance / (distortion + noise))
    return kept, jnp.log1p(variance / noise), gain


def vif(
    fused: Luma,
    ir: Luma,
    vi_y: Luma,
    *,
    combine: Literal["sum", "mean"] = "mean",
    flat_source: float = float("nan"),
) -> PerImage:
    """VIF, pixel-domain VIFp with each source as reference; 0 and up per source, 1 for a copy (Sheikh & Bovik 2006).

    Four scales, Gaussian windows of 17, 9, 5, 3 pixels ('valid'), noise variance 2; information is summed over pixels
    and scales before the one division.

    Args:
        combine: mean, or the sum over the sources that the fusion toolkits print.
        flat_source: value for a source that carries no information (constant): NaN, or 1 in CDDFuse.
    NaN where a side is below 41 pixels.
    """
    target = to_levels(fused)
    if min(target.shape[1:]) < MIN_SIDE:
        return undefined(target)
    targets = _scales(target)

    def fidelity(source: Array) -> Array:
        kept = carried = 0.0
        for reference, distorted, taps in zip(_scales(source), targets, _WINDOWS, strict=True):
            kept_map, carried_map, _ = _channel(reference, distorted, taps, noise=2.0)
            kept, carried = kept + picture_sum(kept_map), carried + picture_sum(carried_map)
        return jnp.where(carried > 0, divide(kept, carried), flat_source)

    return both(fidelity(to_levels(ir)), fidelity(to_levels(vi_y)), combine)
