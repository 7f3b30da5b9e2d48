"""The segments of a JPEG file: what cameras store beside the picture."""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_SCAN, _END = 0xDA, 0xD9
_ALONE = (0x01, *range(0xD0, 0xD8))  # markers without a length
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_APP = 0xE0
JPEG = b"\xff\xd8"


class Segment(NamedTuple):
    """One segment.

    Attributes:
        marker: second byte of the marker, such as 0xE1 for APP1.
        data: content without marker and length.
        whole: whether the file holds all of the segment.
    """

    marker: int
    data: bytes
    whole: bool = True


def segments(file: BinaryIO) -> Iterator[Segment]:
    """The segments before the picture, in the order of the file.

    Args:
        file: a JPEG file, at its start; anything else has no segments. What follows the segments is
            not read, and neither is what follows a byte that is no marker.

    Yields:
        Each segment up to, and without, the start of the scan.
    """
    if file.read(len(JPEG)) != JPEG:
        return
    while (mark := file.read(2))[:1] == b"\xff" and len(mark) == 2:
        while mark[1] == 0xFF and (following := file.read(1)):  # fill bytes
            mark = mark[:1] + following
        marker = mark[1]
        if marker in (_SCAN, _END):
            return
        if marker in _ALONE:
            continue
        length = int.from_bytes(file.read(2), "big")
        if length < 2:
            return
        part = file.read(length - 2)
        yield Segment(marker, part, len(part) == length - 2)


def app(number: int) -> int:
    """The marker of APP segment `number`, 0 to 15."""
    return _APP + number


def frame_size(found: list[Segment]) -> tuple[int, int] | None:
    """Height and width of the picture in pixels, as stored; None without a frame header."""
    for segment in found:
        if segment.marker in _FRAMES and len(segment.data) >= 5:
            return int.from_bytes(segment.data[1:3], "big"), int.from_bytes(segment.data[3:5], "big")
    return None
