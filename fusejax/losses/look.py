"""Terms for the look: every band of detail follows one source, without noise, veil or cancellation.

The nine usual metrics reward texture of the infrared camera in a flat sky, and do not notice that a
dark person in the visible image and a bright one in the infrared image add up to a gray one. These
terms compare the fused image with a *resolved* pair (`fusejax.losses.resolved`).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.losses.resolved import LEVEL, SIGMAS, Resolved, split_bands
from fusejax.ops.arrays import check_equal_shapes
from fusejax.ops.filters import gaussian_blur
from fusejax.ops.numerics import pixel_mean, sum_arrays
from fusejax.typing import Luma, PerImage


@jax.custom_vjp
def clip_inward(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x clipped to [0, 1], with a slope of 1 for whatever leads back into the range.

    With a plain clip, what is white by more than 1 never learns to be less white: in the glare of a
    lamp, the loss of a person in front of it would have no slope at all.

    Args:
        x: any array.

    Returns:
        The clipped array. Outside of [0, 1], descent moves x towards the range and never away.
    """
    return jnp.clip(x, 0.0, 1.0)


def _clip_forward(x: Array) -> tuple[Array, Array]:
    return jnp.clip(x, 0.0, 1.0), x


def _clip_backward(x: Array, slope: Array) -> tuple[Array]:
    return (jnp.where((x > 1.0) & (slope < 0.0) | (x < 0.0) & (slope > 0.0), 0.0, slope),)


clip_inward.defvjp(_clip_forward, _clip_backward)


def chosen_bands_loss(fused_y: Luma, resolved: Resolved, *, surplus: float = 0.5, hot_weight: float = 0.0) -> PerImage:
    """Mean over pixels, summed over bands, of the distance to the wanted detail (ours).

    Missing detail, or detail of the wrong sign, counts in full; detail beyond 1.15 times the wanted
    one counts with the weight `surplus`, but in full where none is wanted, which is where the
    infrared image has nothing but noise.

    Args:
        fused_y: fused luma in [0, 1]; clipped, as it will be saved.
        resolved: from `resolve_pair`.
        surplus: weight of an excess.
        hot_weight: additional weight of the hottest objects, which are few and small.

    Returns:
        One value per image, non-negative.

    Raises:
        ValueError: if shapes differ.
    """
    check_equal_shapes("chosen_bands_loss", fused_y=fused_y, resolved=resolved)
    bands, _ = split_bands(clip_inward(fused_y))
    weight = 1.0 + hot_weight * jnp.maximum(resolved.hot, resolved.glare)
    return sum_arrays(
        pixel_mean(weight * _distance(f, wanted, surplus)) for f, wanted in zip(bands, resolved.bands, strict=True)
    )


def kept_contrast_loss(fused_y: Luma, resolved: Resolved, *, floor: float = 0.03) -> PerImage:
    """Fraction of the wanted salient contrast that is missing (ours): `kept`, `cancelled` as term.

    Args:
        fused_y: fused luma in [0, 1]; clipped, as it will be saved.
        resolved: from `resolve_pair`.
        floor: contrast below which a detail has little weight.

    Returns:
        One value per image, non-negative; 1 if nothing is kept, above 1 if signs are wrong.

    Raises:
        ValueError: if shapes differ.
    """
    check_equal_shapes("kept_contrast_loss", fused_y=fused_y, resolved=resolved)
    bands, _ = split_bands(clip_inward(fused_y))
    missing = total = jnp.zeros(())
    for found, wanted in zip(bands[1:], resolved.bands[1:], strict=True):
        sign, size = jnp.where(wanted < 0, -1.0, 1.0), jnp.abs(wanted)
        salient = jax.nn.sigmoid((size - floor) * (8.0 / floor))
        missing += pixel_mean(salient * jnp.maximum(size - sign * found, 0.0))
        total += pixel_mean(salient * size)
    return missing / (total + 5e-3)


def glare_contrast_loss(fused_y: Luma, resolved: Resolved) -> PerImage:
    """Distance to the wanted detail in front of a blown-out light, as a share of the infrared one.

    Hot objects in such places are few and small, and the shape of the light is all of the contrast
    of the visible image. Without a term of their own, a network learns to leave the light as it is
    (ours).

    Args:
        fused_y: fused luma in [0, 1]; clipped, as it will be saved.
        resolved: from `resolve_pair`.

    Returns:
        One value per image, non-negative: 0 if there are no such places or they are as wanted,
        about 1 if the visible image is unchanged, above 1 if signs are wrong.

    Raises:
        ValueError: if shapes differ.
    """
    check_equal_shapes("glare_contrast_loss", fused_y=fused_y, resolved=resolved)
    found, (detail, _) = split_bands(clip_inward(fused_y))[0], split_bands(resolved.ir)
    distance = total = jnp.zeros(())
    for f, wanted, ir in zip(found[1:-1], resolved.bands[1:-1], detail[1:-1], strict=True):
        distance += pixel_mean(resolved.glare * jnp.abs(f - wanted))
        total += pixel_mean(resolved.glare * jnp.abs(ir))
    return distance / (total + 1e-3)


def _distance(found: Luma, wanted: Luma, surplus: float) -> Luma:
    sign, size = jnp.where(wanted < 0, -1.0, 1.0), jnp.abs(wanted)
    weight = surplus + (1.0 - surplus) * jnp.exp(-size / (2.0 * LEVEL))
    missing = jnp.maximum(size - sign * found, 0.0)
    return missing + weight * jnp.maximum(sign * found - 1.15 * size, 0.0)


def resolved_base_loss(fused_y: Luma, resolved: Resolved, *, hot_weight: float = 0.0) -> PerImage:
    """Mean squared distance of the smoothed fused image to the wanted base (ours).

    Args:
        fused_y: fused luma in [0, 1].
        resolved: from `resolve_pair`.
        hot_weight: additional weight of the hottest objects.

    Returns:
        One value per image, non-negative.

    Raises:
        ValueError: if shapes differ.
    """
    check_equal_shapes("resolved_base_loss", fused_y=fused_y, resolved=resolved)
    weight = 1.0 + hot_weight * jnp.maximum(resolved.hot, resolved.glare)
    return pixel_mean(weight * jnp.square(gaussian_blur(fused_y, SIGMAS[-1]) - resolved.base))


def flat_texture_loss(fused_y: Luma, ir: Luma, vi_y: Luma, resolved: Resolved) -> PerImage:
    """RMS of fine detail that is added to a flat visible image (ours): `texture` as a term.

    Args:
        fused_y: fused luma in [0, 1].
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        resolved: from `resolve_pair`; infrared structure is exempt.

    Returns:
        One value per image, non-negative.

    Raises:
        ValueError: if shapes differ.
    """
    check_equal_shapes("flat_texture_loss", fused_y=fused_y, ir=ir, vi_y=vi_y, resolved=resolved)
    deviation = jnp.sqrt(jnp.maximum(gaussian_blur(vi_y**2, 5.0) - gaussian_blur(vi_y, 5.0) ** 2, 1e-8))
    structure = jnp.abs(gaussian_blur(ir, 4.0) - gaussian_blur(ir, 16.0))
    flat = jax.nn.sigmoid((0.014 - deviation) / 0.002) * jax.nn.sigmoid((0.05 - structure) / 0.01)
    flat = jax.lax.stop_gradient(flat * resolved.noise)
    added = fused_y - vi_y
    added = added - gaussian_blur(added, 3.0)
    return jnp.sqrt(pixel_mean(flat * added**2) / (pixel_mean(flat) + 0.02) + 1e-6)


def undershoot_loss(fused_y: Luma, resolved: Resolved) -> PerImage:
    """Mean over pixels of how far the fused image falls below the floor of the pair (ours).

    Crushed shadows and dark rings around lamps. Contrast and correlation with the sources increase
    with them, so the terms that measure those do not mind.

    Args:
        fused_y: fused luma in [0, 1].
        resolved: from `resolve_pair`.

    Returns:
        One value per image, non-negative; 0 if nothing is darker than the floor.

    Raises:
        ValueError: if shapes differ.
    """
    check_equal_shapes("undershoot_loss", fused_y=fused_y, resolved=resolved)
    return pixel_mean(jnp.maximum(resolved.floor - gaussian_blur(fused_y, 1.0), 0.0))
