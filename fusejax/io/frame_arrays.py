"""Arrays of images that are the frames of a video."""

import fractions
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.io.images import as_infrared, as_visible, from_float, to_float
from fusejax.io.pyav import VideoError
from fusejax.ops.color import recolor, rgb_to_luma

Plane = Float[np.ndarray, "h w 1"]


class ArrayFrame(NamedTuple):
    """One frame.

    Attributes:
        seconds: time since the first frame.
        pixels: gray [h, w, 1] or RGB [h, w, 3]; uint8 or uint16, for infrared also floats.
    """

    seconds: float
    pixels: Shaped[np.ndarray, "h w c"]

    # What follows a fused frame in a video; frames of files have more to keep.
    stamp = None

    def infrared(self) -> Shaped[np.ndarray, "h w 1"]:
        """The values, one channel."""
        return as_infrared(self.pixels)

    def luma(self) -> Plane:
        """BT.601 luma in [0, 1]."""
        unit = to_float(self.pixels)
        return rgb_to_luma(unit) if unit.shape[-1] == 3 else unit

    def with_luma(self, fused_y: Plane) -> Shaped[np.ndarray, "h w c"]:
        """An image of the same data type with different luma."""
        gray = self.pixels.shape[-1] == 1
        return from_float(fused_y if gray else recolor(fused_y, to_float(self.pixels)), self.pixels.dtype)

    def rgb(self) -> Float[np.ndarray, "h w 3"]:
        """RGB for display, in [0, 1]."""
        return as_visible(to_float(self.pixels))


class ArrayFrames:
    """A sequence of arrays in the order of time."""

    file = aspect = None

    def __init__(self, frames: Shaped[np.ndarray, "t h w *c"], rate: float, *, name: str = "array"):
        """Stores the array.

        Args:
            frames: gray [t, h, w] or [t, h, w, 1], or RGB [t, h, w, 3].
            rate: frames per second.
            name: name in messages.

        Raises:
            VideoError: if there are no frames, or no rate.
        """
        if not len(frames) or not rate > 0:
            raise VideoError(f"{name} has {len(frames)} frames at {rate:g} per second; expected some.")
        self.frames = frames if frames.ndim == 4 else frames[..., None]
        self.rate, self.path = fractions.Fraction(rate).limit_denominator(1001), name
        self.count, self.size = len(frames), (frames.shape[1], frames.shape[2])

    def __iter__(self) -> Iterator[ArrayFrame]:
        for number, pixels in enumerate(self.frames):
            yield ArrayFrame(float(number / self.rate), pixels)

    def sample(self, number: int) -> Iterator[ArrayFrame]:
        """Takes frames spread evenly over the sequence.

        Args:
            number: how many, at most.

        Yields:
            The frames in order.
        """
        for k in np.unique(np.linspace(0, self.count - 1, number).astype(int)).tolist():
            yield ArrayFrame(float(k / self.rate), self.frames[k])
