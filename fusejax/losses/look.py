"""Terms for the look: every band of detail follows one source, without noise, veil or cancellation.

The nine usual metrics reward texture of the infrared camera in a flat sky, and do not notice that a
dark person in the visible image and a bright one in the infrared image add up to a gray one. These
terms compare the fused image with a *resolved* pair: the sources without noise of the infrared
camera, and without the weaker one of two details of opposite sign at the same place.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.arrays import check_equal_shapes, equal_shapes
from fusejax.ops.filters import gaussian_blur
from fusejax.ops.numerics import pixel_mean, sum_arrays
from fusejax.typing import Luma, PerImage

# Band k is the difference of neighboring entries, from the image itself on; the last is the base.
_SIGMAS = (1.0, 2.0, 4.0, 8.0, 16.0)
_WINDOWS = (2.0, 2.0, 3.0, 6.0, 12.0)  # within which the energy of a band is compared, in pixels
_LEVEL = 1.0 / 255.0
# Noise of a band relative to that of the finest; infrared cameras of the development sets have 0.4
# to 0.7 at the coarser bands. Structure does not fall off, so this keeps it from counting as noise.
_NOISE_RATIO = (1.0, 0.8, 0.7, 0.6, 0.5)
_NOISE_QUANTILE = 0.25
# A hot object wins with a third of the contrast. Anywhere else, where the signs differ, the
# infrared image needs three times the contrast: trees that outshine the sky look wrong.
_ADVANTAGE = 8.0


class Resolved(NamedTuple):
    """A pair without noise and conflicts, and what a fused image should contain of it.

    Attributes:
        ir: infrared luma, [b, h, w, 1], without noise, and without detail that a stronger one of
            opposite sign in the visible image would cancel.
        vi_y: luma of the visible image, likewise without what the infrared image would cancel.
        bands: wanted detail of every band, finest first, [b, h, w, 1].
        base: wanted brightness, Gaussian-smoothed with the largest sigma.
        noise: 1 where the finest infrared detail is noise, 0 where it is structure.
        hot: 1 around the hottest objects, 0 elsewhere.
    """

    ir: Luma
    vi_y: Luma
    bands: list[Luma]
    base: Luma
    noise: Luma
    hot: Luma


@equal_shapes
def resolve_pair(ir: Luma, vi_y: Luma, *, noise_gain: float = 2.0) -> Resolved:
    """Decides, for every band and place, which source the fused image should follow.

    Bands are differences of Gaussians (sigma 0, 1, 2, 4, 8, 16). Energies are local means of their
    squares. Infrared detail passes with e^4 / (e^4 + t^4), where e is its local RMS and t is
    `noise_gain` times the noise of the image: the lower quartile of e in the finest band, and a
    fixed fraction of that in the others, because fixed-pattern noise, unlike structure, falls off.
    No infrared detail passes where the visible image is white and the infrared image cold: a sky.

    Where the bands of the sources are correlated negatively, the weaker one is removed. The visible
    image counts as the stronger one up to three times its contrast, so that trees do not outshine
    the sky; it is then raised towards the contrast of what it replaces, at most twofold. Around
    the hottest objects, it is the infrared image that needs only a third of the contrast. The
    wanted detail is the larger one where the signs agree, and otherwise a mix weighted by E^4.

    The wanted base is the brighter of the two smoothed sources, of which the infrared one is first
    lowered by its pedestal. Around warm objects in front of a blown-out light, it is lowered to
    leave room for them, as in `fusejax.losses.reference.two_scale_base`.

    Args:
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        noise_gain: multiple of the noise at which half of the infrared detail passes.

    Returns:
        The resolved pair; it carries no gradient.
    """
    bands, bases = split_bands(jnp.concatenate([ir, vi_y]))
    (ir_base, vi_base), half = jnp.split(bases, 2), ir.shape[0]
    void, hot = _cold_white(ir, vi_y), _hot(ir)
    clean_ir, clean_vi, wanted, passes = [], [], [], []
    noise = jnp.zeros(half)
    for k, (band, window, ratio) in enumerate(zip(bands, _WINDOWS, _NOISE_RATIO, strict=True)):
        i, v = band[:half], band[half:]
        energies = gaussian_blur(jnp.concatenate([band * band, i * v]), window)
        ir_energy, vi_energy, product = jnp.split(energies, 3)
        ir_energy, vi_energy = jnp.maximum(ir_energy, 0.0), jnp.maximum(vi_energy, 0.0)
        noise = noise if k else noise_of(ir_energy)
        gate = _gate(ir_energy, jnp.square(noise_gain * ratio * noise)[:, None, None, None]) * (1.0 - void)
        passes.append(gate)
        ir_energy = gate**2 * ir_energy
        correlation = gate * product / jnp.sqrt(ir_energy * vi_energy + _LEVEL**4 / 16)
        conflict = jax.nn.sigmoid(-12.0 * (correlation + 0.25))
        rival = vi_energy * (1.0 + _ADVANTAGE * conflict * (1.0 - hot)) / (1.0 + _ADVANTAGE * hot)
        share = _gate(ir_energy + _LEVEL**2 / 4, rival + _LEVEL**2 / 4, power=4)
        boost = jnp.sqrt(jnp.clip(conflict * ir_energy / (vi_energy + _LEVEL**2), 1.0, 4.0))
        i, v = gate * (1.0 - conflict * (1.0 - share)) * i, (1.0 - conflict * share) * v
        clean_ir.append(i)
        clean_vi.append(v)
        larger = jnp.where(jnp.abs(i) > jnp.abs(v), i, v)
        wanted.append(jnp.where(i * v > 0, larger, share * i + (1.0 - share) * boost * v))
    base = jnp.maximum(ir_base - _pedestal(ir, vi_y), vi_base)
    base = base - _headroom((1.0 - void) * vi_y, base + sum_arrays(wanted))
    resolved = Resolved(
        ir=ir_base + sum_arrays(clean_ir),
        vi_y=vi_base + sum_arrays(clean_vi),
        bands=wanted,
        base=base,
        noise=1.0 - passes[0],
        hot=hot,
    )
    return jax.tree.map(jax.lax.stop_gradient, resolved)


def split_bands(x: Luma) -> tuple[list[Luma], Luma]:
    """Differences of Gaussians, finest first, and the remaining smooth image; they add up to x."""
    lows = [x, *(gaussian_blur(x, sigma) for sigma in _SIGMAS)]
    return [fine - coarse for fine, coarse in itertools.pairwise(lows)], lows[-1]


def noise_of(energy: Luma) -> Float[Array, " b"]:
    """Lower quartile over an image of the local RMS, from every fourth pixel along each axis."""
    sampled = energy[:, ::4, ::4].reshape(energy.shape[0], -1)
    return jnp.sqrt(jnp.quantile(sampled, _NOISE_QUANTILE, axis=1))


def _gate(energy: Luma, threshold: Float[Array, "_ _ _ 1"], *, power: int = 2) -> Luma:
    """E^p / (E^p + T^p)."""
    ratio = (energy / (threshold + 1e-9)) ** power
    return 1.0 - 1.0 / (1.0 + ratio)


def _cold_white(ir: Luma, vi_y: Luma) -> Luma:
    """1 where the visible image is white and the infrared image dark and cold, such as in skies.

    Infrared detail has no room there: of a bright wire, only its dark halo would be seen. Cold is
    below the median of the infrared image, or near its minimum; people in the glare of a lamp and
    in smoke are not.
    """
    ir_low, vi_low = gaussian_blur(ir, 3.0), gaussian_blur(vi_y, 3.0)
    cold = jnp.maximum(_quantiles(ir, 0.5)[0], ir_low.min(axis=(1, 2, 3), keepdims=True) + 0.12)
    darker = jax.nn.sigmoid((vi_low - ir_low - 0.35) / 0.05)
    return darker * jax.nn.sigmoid((vi_low - 0.8) / 0.03) * jax.nn.sigmoid((cold - ir_low) / 0.02)


def _hot(ir: Luma) -> Luma:
    """1 around the hottest 5% of the infrared image, if they stand out from its median by 0.12."""
    middle, high = _quantiles(ir, 0.5, 0.95)
    low = gaussian_blur(ir, 1.5)
    hot = jax.nn.sigmoid((low - jnp.maximum(high, middle + 0.12)) / 0.02)
    return jnp.minimum(2.0 * gaussian_blur(hot, 3.0), 1.0)


def _quantiles(x: Luma, *q: float) -> list[Float[Array, "b 1 1 1"]]:
    sampled = x[:, ::4, ::4].reshape(x.shape[0], -1)
    return [value[:, None, None, None] for value in jnp.quantile(sampled, jnp.asarray(q), axis=1)]


def _pedestal(ir: Luma, vi_y: Luma) -> Float[Array, "b 1 1 1"]:
    """Mean excess of the infrared image in the darker half of the visible one, at least 0.

    All of it if the infrared image has little contrast (0.35 between its 5% and 95% quantiles), and
    a third if it has much (0.7): there it is not a pedestal but warm ground.
    """
    (middle,), (low, high) = _quantiles(vi_y, 0.5), _quantiles(ir, 0.05, 0.95)
    dark, axes = (vi_y <= middle).astype(ir.dtype), (1, 2, 3)
    excess = (dark * (ir - vi_y)).sum(axes, keepdims=True) / jnp.maximum(dark.sum(axes, keepdims=True), 1.0)
    return jnp.maximum(excess, 0.0) * (1.0 - 0.65 * jnp.clip((high - low - 0.35) / 0.35, 0.0, 1.0))


def _headroom(vi_y: Luma, wanted: Luma) -> Luma:
    overshoot = jnp.maximum(wanted - 1.0, 0.0)
    return vi_y**4 * jnp.maximum(gaussian_blur(overshoot**8, 5.0), 0.0) ** (1 / 8)


def chosen_bands_loss(
    fused_y: Luma, resolved: Resolved, *, boost: float = 1.2, surplus: float = 0.5, hot_weight: float = 0.0
) -> PerImage:
    """Mean over pixels, summed over bands, of the distance to the wanted detail (ours).

    Missing detail, or detail of the wrong sign, counts in full; detail beyond 1.15 times the wanted
    one counts with the weight `surplus`, but in full where none is wanted, which is where the
    infrared image has nothing but noise.

    Args:
        fused_y: fused luma in [0, 1]; clipped, as it will be saved.
        resolved: from `resolve_pair`.
        boost: factor of the wanted detail.
        surplus: weight of an excess.
        hot_weight: additional weight of the hottest objects, which are few and small.

    Returns:
        One value per image, non-negative.

    Raises:
        ValueError: if shapes differ.
    """
    check_equal_shapes("chosen_bands_loss", fused_y=fused_y, resolved=resolved)
    bands, _ = split_bands(jnp.clip(fused_y, 0.0, 1.0))
    weight = 1.0 + hot_weight * resolved.hot
    return sum_arrays(
        pixel_mean(weight * _distance(f, boost * wanted, surplus))
        for f, wanted in zip(bands, resolved.bands, strict=True)
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
    bands, _ = split_bands(jnp.clip(fused_y, 0.0, 1.0))
    missing = total = jnp.zeros(())
    for found, wanted in zip(bands[1:], resolved.bands[1:], strict=True):
        sign, size = jnp.where(wanted < 0, -1.0, 1.0), jnp.abs(wanted)
        salient = jax.nn.sigmoid((size - floor) * (8.0 / floor))
        missing += pixel_mean(salient * jnp.maximum(size - sign * found, 0.0))
        total += pixel_mean(salient * size)
    return missing / (total + 5e-3)


def _distance(found: Luma, wanted: Luma, surplus: float) -> Luma:
    sign, size = jnp.where(wanted < 0, -1.0, 1.0), jnp.abs(wanted)
    weight = surplus + (1.0 - surplus) * jnp.exp(-size / (2.0 * _LEVEL))
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
    weight = 1.0 + hot_weight * resolved.hot
    return pixel_mean(weight * jnp.square(gaussian_blur(fused_y, _SIGMAS[-1]) - resolved.base))


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
