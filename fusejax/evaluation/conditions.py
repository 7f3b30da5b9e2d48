"""The fixed conditions of the stress study: which degradation of which source, how strong."""

import dataclasses
import os
import zlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import simplejpeg
from jaxtyping import Float, UInt8

from fusejax.evaluation import degradations
from fusejax.io.images import from_float
from fusejax.ops.extent import bucket

Source = Literal["ir", "vi", "both"]
Pixels = UInt8[np.ndarray, "h w _"]

SEED = 0


@dataclasses.dataclass(frozen=True)
class Kind:
    """A degradation and the strengths to test, from mild to severe.

    Attributes:
        title: title in tables.
        unit: unit of the strengths as shown in tables.
        strengths: strengths to pass to the function.
        function: degradation of the image; None for those that are not array functions (JPEG, and
            adversarial noise, which needs a network).
        shown: strengths in `unit`; by default `strengths` themselves.
    """

    title: str
    unit: str
    strengths: tuple[float, ...]
    function: degradations.Degradation | None = None
    shown: tuple[float, ...] | None = None


def _levels(title: str, levels: tuple[float, ...], function: degradations.Degradation | None = None) -> Kind:
    """A degradation with strengths in gray levels (of 255)."""
    return Kind(title, "levels", tuple(x / 255 for x in levels), function, levels)


_PHOTONS = (400, 100, 25, 10)  # number of photons that make a pixel white
_QUALITIES = (80, 50, 25, 10)

KINDS: Mapping[str, Kind] = {
    "gaussian_noise": _levels("Gaussian noise", (5, 10, 20, 40), degradations.gaussian_noise),
    "poisson_noise": Kind(
        "Poisson noise", "photons", tuple(1 / n for n in _PHOTONS), degradations.poisson_noise, _PHOTONS
    ),
    "stripes": _levels("stripes", (4, 8, 16, 32), degradations.stripes),
    "blur": Kind("blur", "pixels", (0.5, 1, 2, 4), degradations.blur),
    "low_light": Kind("low light", "stops", (1, 2, 3, 5), degradations.low_light),
    "overexposure": Kind("overexposure", "stops", (0.5, 1, 2, 3), degradations.overexposure),
    "fog": Kind("fog", "optical depths", (0.5, 1, 2, 4), degradations.fog),
    "jpeg": Kind("JPEG", "% quality", tuple(100 - q for q in _QUALITIES), None, _QUALITIES),
    "shift": Kind("shift", "pixels", (1, 2, 4, 8), degradations.shift),
    "rotation": Kind("rotation", "degrees", (0.5, 1, 2, 4), degradations.rotation),
    "dead": Kind("dead", "", (1,), degradations.dead),
    "saturated": Kind("saturated", "", (1,), degradations.saturated),
    "inverted": Kind("inverted polarity", "", (1,), degradations.inverted),
    "adversarial_noise": _levels("adversarial noise", (1, 2, 4, 8)),
}

# The sources to which each degradation is applied. For misalignment it does not matter which image
# is moved; light and air affect the visible camera, polarity the infrared camera.
_SOURCES: Mapping[str, tuple[Source, ...]] = {
    **dict.fromkeys(("gaussian_noise", "poisson_noise", "stripes", "blur", "jpeg", "dead", "saturated"), ("ir", "vi")),
    **dict.fromkeys(("low_light", "overexposure", "fog"), ("vi",)),
    **dict.fromkeys(("shift", "rotation", "inverted"), ("ir",)),
    "adversarial_noise": ("both",),
}
_SOURCE_WORDS = {"ir": "infrared", "vi": "visible", "both": "both sources"}


@dataclasses.dataclass(frozen=True)
class Condition:
    """One degradation of one source at one strength.

    Attributes:
        kind: name of a degradation in `KINDS`.
        source: source that is degraded.
        level: index of the strength; 1 is the mildest.
    """

    kind: str
    source: Source
    level: int

    @property
    def strength(self) -> float:
        """The strength to pass to the function."""
        return KINDS[self.kind].strengths[self.level - 1]

    @property
    def shown(self) -> str:
        """The strength in the kind's unit, such as "20"; empty if there is only one."""
        strengths = KINDS[self.kind].shown or KINDS[self.kind].strengths
        return f"{strengths[self.level - 1]:g}" if len(strengths) > 1 else ""

    @property
    def amount(self) -> str:
        """The strength with its unit, such as "20 levels"; empty if there is only one."""
        return f"{self.shown} {KINDS[self.kind].unit}" if self.shown else ""

    @property
    def name(self) -> str:
        """The name for files and folders, such as `ir_blur_2`."""
        return f"{self.source}_{self.kind}_{self.level}"

    @property
    def title(self) -> str:
        """The title of the degradation without its strength, such as "blur, infrared"."""
        return f"{KINDS[self.kind].title}, {_SOURCE_WORDS[self.source]}"


CONDITIONS: tuple[Condition, ...] = tuple(
    Condition(name, source, level)
    for name, kind in KINDS.items()
    for source in _SOURCES[name]
    for level in range(1, len(kind.strengths) + 1)
)


def choose_conditions(kinds: Sequence[str] | None) -> tuple[Condition, ...]:
    """The conditions of the given degradations; all by default.

    Args:
        kinds: names of degradations in `KINDS`.

    Raises:
        ValueError: for unknown names, or if none is given.
    """
    if kinds is None:
        return CONDITIONS
    if not kinds or (unknown := [kind for kind in kinds if kind not in KINDS]):
        named = ", ".join(unknown) if kinds else "none"
        raise ValueError(f"degradations: {named}; known are {', '.join(KINDS)}.")
    return tuple(condition for condition in CONDITIONS if condition.kind in kinds)


def degrade(ir: Pixels, vi: Pixels, condition: Condition, *, name: str) -> tuple[Pixels, Pixels]:
    """Degrades one source of a pair reproducibly; the other source is returned unchanged.

    The result has 8 bits, like a file. The noise depends only on the name and the kind: stronger
    noise is a scaled version of the weaker noise.

    Args:
        ir: infrared image, [h, w, 1].
        vi: visible image, [h, w, 1] or [h, w, 3].
        condition: the condition to apply; not adversarial noise, see `fusejax.evaluation.attack`.
        name: name of the pair.

    Returns:
        Infrared and visible image.

    Raises:
        ValueError: for adversarial noise.
    """
    given = {"ir": ir, "vi": vi}
    if condition.source == "both":
        raise ValueError(f"{condition.name} depends on a network; use fusejax.evaluation.attack.adversarial_pair.")
    image, kind = given[condition.source], KINDS[condition.kind]
    if kind.function is None:
        changed = jpeg(image, quality=round(100 - condition.strength))
    else:
        key = jax.random.fold_in(jax.random.key(SEED), zlib.crc32(os.fsencode(f"{name} {condition.kind}")))
        changed = apply_function(image, kind.function, condition.strength, key=key)
    given[condition.source] = changed
    return given["ir"], given["vi"]


def apply_function(image: Pixels, function: degradations.Degradation, strength: float, *, key: jax.Array) -> Pixels:
    """Applies a degradation to an image of any size; it is compiled once per bucket.

    Args:
        image: 8-bit image.
        function: function of `fusejax.evaluation.degradations`.
        strength: strength to pass to it; 0 changes nothing.
        key: random key for its noise.

    Returns:
        The degraded image, clipped and rounded to 8 bits.
    """
    h, w = image.shape[:2]
    padded = np.pad(image, ((0, bucket(h) - h), (0, bucket(w) - w), (0, 0)))
    unit = padded.astype(np.float32) / np.float32(255)
    changed = _apply(key, unit, np.float32(strength), np.array([h, w], np.int32), function=function)
    return from_float(np.asarray(changed)[:h, :w], np.uint8)


@partial(jax.jit, static_argnames="function")
def _apply(
    key: jax.Array,
    image: Float[jax.Array, "h w c"],
    strength: degradations.Strength,
    extent: degradations.Extent,
    *,
    function: degradations.Degradation,
) -> Float[jax.Array, "h w c"]:
    return jnp.clip(function(key, image, strength, extent), 0.0, 1.0)


def jpeg(image: Pixels, *, quality: int) -> Pixels:
    """Compresses an image with libjpeg, with chroma at half the resolution, and decodes it.

    Args:
        image: gray or RGB.
        quality: 1 to 100.

    Returns:
        The decoded image, with the same shape.
    """
    colorspace = "GRAY" if image.shape[-1] == 1 else "RGB"
    data = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace=colorspace, colorsubsampling="420"
    )
    return simplejpeg.decode_jpeg(data, colorspace=colorspace)
