"""The step between reading a pair and fusing it, where the pair may be changed.

Every way into the library takes it: `fuse`, `fuse_folder`, `fuse_video` and `FrameFuser`. By
default pairs pass as they are and must have equal sizes.
"""

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from fusejax.io.images import resample
from fusejax.io.pair_images import Correct, Pixels

Mask = Float[np.ndarray, "_ _ 1"]


class AlignError(ValueError):
    """A pair that a step before fusion refuses, such as a registration that cannot be trusted."""


class Aligned(NamedTuple):
    """A pair that is ready to be fused.

    Attributes:
        ir: infrared image in its data type, with the size of `vi`.
        vi: visible image in its data type.
        mask: share of the fused image in the result, float32 in [0, 1]: 0 where infrared shows
            nothing, so that the visible image is kept. None for 1 everywhere.
        share: the same where `ir` continues smoothly beyond what the camera saw: the network sees
            it as it is, so that the end of the field is no edge to it, and only the result is
            blended. None for 1 everywhere.
    """

    ir: Pixels
    vi: Pixels
    mask: Mask | None = None
    share: Mask | None = None


@runtime_checkable
class Aligner(Protocol):
    """Turns a pair as it was read into one that can be fused, such as a registration."""

    @property
    def any_size(self) -> bool:
        """Whether the two images may have different sizes."""
        ...

    def __call__(self, ir: Pixels, vi: Pixels, *, name: str | None = None) -> Aligned:
        """Changes a pair.

        Args:
            ir: infrared image [h, w, 1 or 3], in the values of the file.
            vi: visible image [h, w, 1 or 3]; for videos, its luma as floats in [0, 1].
            name: name of the pair, if it has one.

        Returns:
            The pair. Videos must keep the size of `vi`, whose chroma is theirs.
        """
        ...


@dataclasses.dataclass(frozen=True)
class AsRead:
    """Changes nothing.

    Attributes:
        correct: what to change where one file holds both images and says how they lie, such as
            `fusejax.registration.SmallShift()`.
    """

    correct: Correct | None = None
    any_size: bool = dataclasses.field(default=False, init=False)

    def __call__(self, ir: Pixels, vi: Pixels, *, name: str | None = None) -> Aligned:
        """See `Aligner`."""
        del name
        return Aligned(ir, vi)


@dataclasses.dataclass(frozen=True)
class ResampleInfrared:
    """Resamples the infrared image to the size of the visible image.

    Attributes:
        correct: see `AsRead`.
    """

    correct: Correct | None = None
    any_size: bool = dataclasses.field(default=True, init=False)

    def __call__(self, ir: Pixels, vi: Pixels, *, name: str | None = None) -> Aligned:
        """See `Aligner`."""
        del name
        return Aligned(resample(ir, height=vi.shape[0], width=vi.shape[1]), vi)


def chosen_aligner(align: Aligner | None, resize: str | None) -> Aligner:
    """The step that two options name.

    Args:
        align: a step, or None.
        resize: "ir" for `ResampleInfrared`, or None.

    Returns:
        The step.

    Raises:
        ValueError: if both are given.
    """
    if isinstance(align, AsRead) and align.correct is not None and resize is not None:
        return ResampleInfrared(align.correct)
    if align is not None and resize is not None:
        raise ValueError("Give resize or align, not both: the aligner decides the size of the infrared image.")
    return align or (ResampleInfrared() if resize else AsRead())


def correction(align: Aligner | None) -> Correct | None:
    """What a step changes where one file holds both images, see `AsRead`."""
    return getattr(align, "correct", None)


def check_aligned(pair: Aligned, *, name: str | None = None) -> Aligned:
    """Checks what an `Aligner` returns.

    Args:
        pair: the result.
        name: name of the pair in messages.

    Returns:
        The same pair.

    Raises:
        ValueError: if sizes differ, or the mask has another shape or values outside [0, 1].
    """
    size, where = pair.vi.shape[:2], f"{name}: " if name else ""
    if pair.ir.shape[:2] != size:
        ir, vi = (f"{x.shape[1]}x{x.shape[0]}" for x in (pair.ir, pair.vi))
        raise ValueError(f"{where}ir is {ir} but vi is {vi} (width x height); register the pair first.")
    for kind, mask in (("mask", pair.mask), ("share", pair.share)):
        if mask is None:
            continue
        if mask.shape != (*size, 1):
            raise ValueError(f"{where}the {kind} has the shape {mask.shape}; expected {(*size, 1)}.")
        if not (mask.min() >= 0 and mask.max() <= 1):
            raise ValueError(f"{where}the {kind} has values outside [0, 1].")
    return pair
