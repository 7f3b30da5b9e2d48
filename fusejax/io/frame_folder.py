"""Folders of images that are the frames of a video."""

import dataclasses
import fractions
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.io.frame_arrays import ArrayFrame, Plane
from fusejax.io.image_headers import image_size
from fusejax.io.images import as_infrared, read_image, read_thermal
from fusejax.io.pairing import list_images
from fusejax.io.pyav import VideoError


def natural_key(path: Path) -> tuple[list[tuple[str, int]], str]:
    """Sorts names by the numbers in them: frame 9 before frame 10.

    Args:
        path: a file; its folder does not count.

    Returns:
        Pieces of text, each with the number that follows it, and the whole name to break ties.
    """
    pieces = re.findall(r"(\D*)(\d*)", path.stem)
    return [(text, int(number or -1)) for text, number in pieces], path.name


@dataclasses.dataclass(frozen=True)
class ImageFrame:
    """One frame from an image file.

    Attributes:
        seconds: time since the first frame.
        path: path of the image.
    """

    seconds: float
    path: Path

    stamp = None

    @functools.cached_property
    def _shown(self) -> ArrayFrame:
        return ArrayFrame(self.seconds, read_image(self.path))

    def infrared(self) -> Shaped[np.ndarray, "h w 1"]:
        """The stored values, one channel."""
        return as_infrared(read_thermal(self.path))

    def luma(self) -> Plane:
        """BT.601 luma in [0, 1]."""
        return self._shown.luma()

    def with_luma(self, fused_y: Plane) -> Shaped[np.ndarray, "h w c"]:
        """An image of the same data type with different luma."""
        return self._shown.with_luma(fused_y)

    def rgb(self) -> Float[np.ndarray, "h w 3"]:
        """RGB for display, in [0, 1]."""
        return self._shown.rgb()


class FrameFolder:
    """A folder of images that are the frames of a video, in the order of the numbers in their
    names.
    """

    file = aspect = None

    def __init__(self, path: Path, rate: fractions.Fraction):
        """Lists the images; `rate` is in frames per second."""
        self.path, self.rate = path, rate
        self.files = sorted(list_images(path).values(), key=natural_key)
        self.count, self.size = len(self.files), image_size(self.files[0])
        for file in self.files:
            if image_size(file) != self.size:
                raise VideoError(f"{file} differs in size from {self.files[0]}; all frames must have the same size.")

    def __iter__(self) -> Iterator[ImageFrame]:
        for number, file in enumerate(self.files):
            yield ImageFrame(float(number / self.rate), file)

    def sample(self, number: int) -> Iterator[ImageFrame]:
        """Yields frames spread evenly over the video."""
        for k in np.unique(np.linspace(0, self.count - 1, number).astype(int)):
            yield ImageFrame(float(k / self.rate), self.files[k])
