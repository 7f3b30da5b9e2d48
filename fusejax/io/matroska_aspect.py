"""The aspect of pixels in the header of a Matroska file, which PyAV cannot set.

FFmpeg leaves an empty element behind the description of the picture. The display size takes its
place: the ratio of width to height, in DisplayUnit 3. Elements: https://www.matroska.org/technical.
"""

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _VOID, _CRC = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0xEC, 0xBF
_WIDTH, _HEIGHT, _UNIT = 0x54B0, 0x54BA, 0x54B2
_HEAD_BYTES = 2**16
_LARGEST = 60_000  # fits into two bytes


class _Element(NamedTuple):
    """Number of an element, where it starts, where its content starts, and where it ends."""

    number: int
    start: int
    content: int
    end: int


def write_aspect(path: Path, aspect: Fraction, size: tuple[int, int]) -> bool:
    """Writes the display aspect of the first track into the header of a complete file.

    Args:
        path: Matroska file as FFmpeg writes it.
        aspect: width of a pixel divided by its height.
        size: height and width of the picture in pixels.

    Returns:
        Whether there was room for it; otherwise the file is unchanged.
    """
    with path.open("r+b") as file:
        head = bytearray(file.read(_HEAD_BYTES))
        try:
            display = aspect * size[1] / size[0]
            changed = _with_aspect(head, display.limit_denominator(int(_LARGEST / max(display, 1))))
        except (StopIteration, IndexError):  # another layout than FFmpeg's
            changed = None
        if changed is None:
            return False
        file.seek(0)
        file.write(changed)
    return True


def _with_aspect(head: bytearray, display: Fraction) -> bytearray | None:
    segment = _find(head, 0, len(head), _SEGMENT)
    tracks = _find(head, segment.content, len(head), _TRACKS)
    entry = _find(head, tracks.content, tracks.end, _ENTRY)
    video = _find(head, entry.content, entry.end, _VIDEO)
    void = next(e for e in _elements(head, video.end, entry.end) if e.number == _VOID)
    kept = [e for e in _elements(head, video.content, video.end) if e.number not in (_WIDTH, _HEIGHT, _UNIT)]
    content = b"".join(head[e.start : e.end] for e in kept)
    content += _number(_WIDTH, display.numerator) + _number(_HEIGHT, display.denominator) + _number(_UNIT, 3)
    between, room = bytes(head[video.end : void.start]), void.end - video.start
    for length in (1, 2):  # of the size of the element: an empty element of one byte does not exist
        size = len(content) | (0x80 if length == 1 else 0x4000)
        new = bytes([_VIDEO]) + size.to_bytes(length, "big") + content + between
        left = room - len(new)
        if left == 0 or 2 <= left < 0x80:
            break
    else:
        return None
    head[video.start : void.end] = new + (bytes([_VOID, 0x80 | (left - 2)]) + bytes(left - 2) if left else b"")
    check = next(_elements(head, tracks.content, tracks.end))
    if check.number == _CRC:
        head[check.content : check.end] = zlib.crc32(head[check.end : tracks.end]).to_bytes(4, "little")
    return head


def _find(head: bytearray, start: int, end: int, number: int) -> _Element:
    return next(element for element in _elements(head, start, end) if element.number == number)


def _elements(head: bytearray, start: int, end: int) -> Iterator[_Element]:
    """The elements between two places."""
    while start < end:
        length = 9 - head[start].bit_length()
        number, at = int.from_bytes(head[start : start + length], "big"), start + length
        length = 9 - head[at].bit_length()
        size = int.from_bytes(head[at : at + length], "big") & ((1 << 7 * length) - 1)
        yield _Element(number, start, at + length, at + length + size)
        start = at + length + size


def _number(element: int, value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return element.to_bytes(2, "big") + bytes([0x80 | len(data)]) + data
