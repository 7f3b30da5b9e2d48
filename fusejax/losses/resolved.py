"""What a fused image should contain: every band of detail from one source, without noise or veil.

A *resolved* pair is the sources without noise of the infrared camera, and without the weaker one of
two details of opposite sign at the same place.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.ops.arrays import equal_shapes
from fusejax.ops.filters import gaussian_blur
from fusejax.ops.numerics import sum_arrays
from fusejax.typing import Luma

# Band k is the difference of neighboring entries, from the image itself on; the last is the base.
SIGMAS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_WINDOWS = (2.0, 2.0, 3.0, 6.0, 12.0, 24.0)  # within which the energy of a band is compared, in pixels
LEVEL = 1.0 / 255.0
# Noise of a band relative to that of the finest; infrared cameras of the development sets have 0.4
# to 0.7 at the coarser bands. Structure does not fall off, so this keeps it from counting as noise.
_NOISE_RATIO = (1.0, 0.8, 0.7, 0.6, 0.5, 0.5)
_NOISE_QUANTILE = 0.25
# A hot object wins with a third of the contrast. Anywhere else, where the signs differ, the
# infrared image needs twice the contrast, and three times that of the coarse bands: trees that
# outshine the sky look wrong.
_HOT_ADVANTAGE = 8.0
_VISIBLE_ADVANTAGE = (3.0, 3.0, 3.0, 3.0, 8.0, 8.0)
_COARSE = 4  # from this band on, competing sources are mixed: the seam between them would show
# How much more than the detail of the sources is wanted. The coarsest bands get little or no more,
# because it would only make dark places darker.
_BOOST = (1.2, 1.2, 1.2, 1.2, 1.1, 1.0)
_GLARE_GAIN = 1.5  # of infrared contrast in front of a blown-out light, most of which has little
_DARK_SHARE = 0.8  # of the luma of the darker source, or of a shadow, that should be left


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
        glare: 1 in and around hot objects where the visible image is blown out, 0 elsewhere.
        floor: smoothed luma (sigma 1) below which the fused image should not fall.
    """

    ir: Luma
    vi_y: Luma
    bands: list[Luma]
    base: Luma
    noise: Luma
    hot: Luma
    glare: Luma
    floor: Luma


@equal_shapes
def resolve_pair(ir: Luma, vi_y: Luma, *, noise_gain: float = 2.0) -> Resolved:
    """Decides, for every band and place, which source the fused image should follow.

    Bands are differences of Gaussians (sigma 0, 1, 2, 4, ..., 32). Energies are local means of
    their squares. Infrared detail passes with e^4 / (e^4 + t^4), where e is its local RMS and t is
    `noise_gain` times the noise of the image: the lower quartile of e in the finest band, and a
    fixed fraction of that in the others, because fixed-pattern noise, unlike structure, falls off.
    No infrared detail passes where the visible image is white and the infrared image cold: a sky.

    Where the bands of the sources are correlated negatively, the weaker one is dropped. The visible
    image counts as the stronger one up to twice its contrast, so that trees do not outshine the
    sky; it is then raised towards the contrast of what it replaces, at most twofold. Around the
    hottest objects, it is the infrared image that needs only a third of the contrast. The wanted
    detail is the larger one where the signs agree, and otherwise that of the source that wins, and
    a fifth more than that.

    The wanted base is the brighter of the two smoothed sources, of which the infrared one is first
    lowered by its pedestal. Where a hot object is in front of a blown-out light, the visible image
    has no detail to choose and no room above: the infrared detail is added to the shape of the
    light in both signs, with half more contrast, and the sum is smoothly lowered as far as it
    would exceed the range.

    Args:
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible image in [0, 1].
        noise_gain: multiple of the noise at which half of the infrared detail passes.

    Returns:
        The resolved pair; it carries no gradient.
    """
    bands, bases = split_bands(jnp.concatenate([ir, vi_y]))
    (ir_base, vi_base), half = jnp.split(bases, 2), ir.shape[0]
    hot = _hot(ir)
    white = jax.nn.sigmoid((gaussian_blur(vi_y, 1.5) - 0.86) / 0.03)
    glare, lamp = _glare(hot, white)
    favored = hot * (1.0 - jnp.maximum(lamp, white) * (1.0 - glare))
    void = _cold_white(ir, vi_y) * (1.0 - glare)
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
        correlation = gate * product / jnp.sqrt(ir_energy * vi_energy + LEVEL**4 / 16)
        conflict = jax.nn.sigmoid(-12.0 * (correlation + 0.25))
        rival = (
            vi_energy * (1.0 + _VISIBLE_ADVANTAGE[k] * conflict * (1.0 - favored)) / (1.0 + _HOT_ADVANTAGE * favored)
        )
        share = _gate(ir_energy + LEVEL**2 / 4, rival + LEVEL**2 / 4, power=4)
        boost = jnp.sqrt(jnp.clip(conflict * ir_energy / (vi_energy + LEVEL**2), 1.0, 4.0))
        i = gate * i
        conflict *= 1.0 - glare
        clean_ir.append((1.0 - conflict * (1.0 - share)) * i)
        clean_vi.append((1.0 - conflict * share) * v)
        larger = jnp.where(jnp.abs(i) > jnp.abs(v), i, v)
        share = share if k >= _COARSE else (share > 0.5).astype(ir.dtype)
        chosen = jnp.where(i * v > 0, larger, share * i + (1.0 - share) * boost * v)
        wanted.append((1.0 - glare) * _BOOST[k] * chosen + glare * (v + _GLARE_GAIN * i))
    base = jnp.maximum(ir_base - _pedestal(ir, vi_y), vi_base)
    room = _headroom((1.0 - void) * vi_y, base + sum_arrays(wanted))
    # The room goes to the bands that its shape belongs to; left to the base, they would oppose it.
    room_bands, room_base = split_bands(room)
    resolved = Resolved(
        ir=ir_base + sum_arrays(clean_ir),
        vi_y=vi_base + sum_arrays(clean_vi),
        bands=[w - r for w, r in zip(wanted, room_bands, strict=True)],
        base=base - room_base,
        noise=1.0 - passes[0],
        hot=hot,
        glare=glare,
        floor=_floor(ir, vi_y, jnp.minimum(2.0 * lamp, 1.0) * (1.0 - glare)),
    )
    return jax.tree.map(jax.lax.stop_gradient, resolved)


def split_bands(x: Luma) -> tuple[list[Luma], Luma]:
    """Differences of Gaussians, finest first, and the remaining smooth image; they add up to x."""
    lows = [x, *(gaussian_blur(x, sigma) for sigma in SIGMAS)]
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


def _glare(hot: Luma, white: Luma) -> tuple[Luma, Luma]:
    """1 in and around hot objects, about 15 pixels wide, in a light that is larger than they are.

    The light is blown out and has a diameter of 25 pixels or more. The second is 1 in and around
    smaller ones: a street lamp is hot itself, but has nothing to show.
    """
    large = jax.nn.sigmoid((gaussian_blur(white, 8.0) - 0.75) / 0.05)
    near = jnp.minimum(3.0 * gaussian_blur(large, 8.0), 1.0)
    inside = jnp.concatenate([hot * white * near, hot * white * (1.0 - near)])
    glare, lamp = jnp.split(jnp.minimum(6.0 * gaussian_blur(inside, 9.0), 1.0), 2)
    return glare, lamp


def _floor(ir: Luma, vi_y: Luma, lamp: Luma) -> Luma:
    """Smoothed luma that a fused image should not fall below.

    That is a share of the darker source, and of the visible image where that is in shadow, however
    cold it is there in infrared: shadows and bushes should not turn black. Around a lamp, it is the
    visible image itself, without the dark ring of an infrared camera.
    """
    ir_low, vi_low = gaussian_blur(ir, 1.0), gaussian_blur(vi_y, 1.0)
    shadow = jax.nn.sigmoid((0.35 - gaussian_blur(vi_y, 4.0)) / 0.05)
    least = _DARK_SHARE * jnp.maximum(jnp.minimum(ir_low, vi_low), shadow * vi_low) - 2 * LEVEL
    return jnp.maximum(least, lamp * (vi_low - 4 * LEVEL))


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
    """By how much to lower a white visible image: the largest overshoot nearby, smoothly."""
    overshoot = jnp.maximum(wanted - 1.0, 0.0)
    # The factor makes up for what the mean of order 8 lacks at the maximum of a small object.
    return 1.2 * vi_y**4 * jnp.maximum(gaussian_blur(overshoot**8, 5.0), 0.0) ** (1 / 8)
