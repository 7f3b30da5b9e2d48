"""The protocol of frames and of what they come from: files, folders, arrays and cameras."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.io.video import VideoFile

Plane = Float[np.ndarray, "h w 1"]


@runtime_checkable
class Frame(Protocol):
    """One frame of a source."""

    @property
    def seconds(self) -> float:
        """Time since the first frame."""
        ...

    @property
    def stamp(self) -> tuple[Any, Any] | None:
        """Time stamp and its unit in a video file; None if the rate of the source decides."""
        ...

    def infrared(self) -> Shaped[np.ndarray, "h w 1"]:
        """The values as stored, for an infrared frame."""
        ...

    def luma(self) -> Plane:
        """Luma in [0, 1], for a visible frame."""
        ...

    def rgb(self) -> Float[np.ndarray, "h w 3"]:
        """RGB for display, in [0, 1]."""
        ...

    def with_luma(self, fused_y: Plane) -> Any:
        """The frame in its own format with different luma.

        Args:
            fused_y: luma in [0, 1].

        Returns:
            What the writer of the source takes. The frame must not be used afterwards.
        """
        ...


@runtime_checkable
class FrameSource(Protocol):
    """Frames in the order of their times: a video file, a folder, a camera, `ArrayFrames`."""

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames."""
        ...


@runtime_checkable
class Recording(FrameSource, Protocol):
    """A source that is known as a whole: a video file, a folder, `ArrayFrames`.

    Attributes:
        path: path or name, for messages.
        rate: frames per second.
        count: number of frames.
        size: height and width in pixels.
        aspect: width of a pixel divided by its height, if it is known.
        file: the video file whose sound and pixel format a result keeps; None for images.
    """

    @property
    def path(self) -> Path | str:
        """See above."""
        ...

    @property
    def rate(self) -> Fraction:
        """See above."""
        ...

    @property
    def count(self) -> int:
        """See above."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """See above."""
        ...

    @property
    def aspect(self) -> Fraction | None:
        """See above."""
        ...

    @property
    def file(self) -> VideoFile | None:
        """See above."""
        ...

    def sample(self, number: int) -> Iterator[Frame]:
        """Takes frames spread evenly over the recording.

        Args:
            number: how many, at most.

        Yields:
            The frames in order.
        """
        ...
