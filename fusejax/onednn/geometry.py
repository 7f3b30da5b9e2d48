"""Sizes of a convolution, and how its work is divided among threads."""

import itertools
import math
from typing import NamedTuple

# What a call computes, and the order of its two operands and its result: the features `x`, the
# kernel `k` and the output `y`, or gradients with respect to them.
FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT = range(3)
ORDER = ("xky", "ykx", "xyk")

# Of float32.
_BYTES = 4


class Geometry(NamedTuple):
    """The sizes of a convolution, stored in the attribute of a call."""

    batch: int
    height: int
    width: int
    channels: int
    rows: int
    columns: int
    features: int
    stride: int
    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(
        cls, x: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: tuple[int, int, int, int]
    ) -> "Geometry":
        """Builds it from shapes in JAX's order of axes, and padding (top, bottom, left, right)."""
        (batch, height, width, channels), (rows, columns, _, features) = x, kernel
        return cls(batch, height, width, channels, rows, columns, features, stride, *padding)

    @property
    def output(self) -> tuple[int, int]:
        """Height and width of the output."""
        height = self.height + self.top + self.bottom - self.rows
        width = self.width + self.left + self.right - self.columns
        return height // self.stride + 1, width // self.stride + 1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of features, kernel and output, in JAX's order of axes."""
        return {
            "x": (self.batch, self.height, self.width, self.channels),
            "k": (self.rows, self.columns, self.channels, self.features),
            "y": (self.batch, *self.output, self.features),
        }

    @property
    def multiplications(self) -> int:
        """Number of products of an element of the features with one of the kernel."""
        return math.prod((self.batch, *self.output, self.rows, self.columns, self.channels, self.features))

    def rows_between(self, start: int, stop: int) -> "Piece":
        """The convolution that computes some rows of the output of a single image.

        Args:
            start: first row.
            stop: the row after the last.
        """
        first = start * self.stride - self.top
        after = (stop - 1) * self.stride - self.top + self.rows
        top, bottom = max(0, -first), max(0, after - self.height)
        first, after = first + top, after - bottom
        geometry = self._replace(height=after - first, top=top, bottom=bottom)
        x_row, y_row = self.width * self.channels, self.output[1] * self.features
        return Piece(geometry, first * x_row * _BYTES, start * y_row * _BYTES)

    def images_between(self, start: int, stop: int) -> "Piece":
        """The convolution of some of the images.

        Args:
            start: first image.
            stop: the image after the last.
        """
        x, y = (math.prod(self.shapes()[name][1:]) * _BYTES for name in "xy")
        return Piece(self._replace(batch=stop - start), start * x, start * y)


class Piece(NamedTuple):
    """A part of a convolution: its sizes, and the bytes before its features and its output."""

    geometry: Geometry
    x: int
    y: int


def divide(what: int, geometry: Geometry, most: int, least: int) -> list[Piece]:
    """Divides a computation into pieces of about equal size that may run at once.

    Every piece has a range of the images, or, where one image's output is computed, of its rows, so
    that its operands and its result are in one block of memory. Kernel gradients of the pieces are
    summed.

    Args:
        what: `FORWARD`, `INPUT_GRADIENT` or `KERNEL_GRADIENT`.
        geometry: sizes of the whole.
        most: largest number of pieces.
        least: multiplications that a piece should have at least.

    Returns:
        One or more pieces.
    """
    by_rows = what == FORWARD and geometry.batch == 1
    parts, part = (geometry.output[0], geometry.rows_between) if by_rows else (geometry.batch, geometry.images_between)
    count = max(1, min(most, parts, geometry.multiplications // least))
    ends = (parts * n // count for n in range(count + 1))
    return [part(start, stop) for start, stop in itertools.pairwise(ends)]
