"""Changes an EXIF block in place, so that everything else in it stays byte for byte.

Maker notes hold offsets that only their maker knows; a block that is written anew breaks them.
"""

import struct
from collections.abc import Iterator

_ORIENTATION, _WIDTH, _HEIGHT, _EXIF_IFD = 0x0112, 0x0100, 0x0101, 0x8769
_EXIF_WIDTH, _EXIF_HEIGHT = 0xA002, 0xA003
_BYTE, _SHORT, _LONG, _UNDEFINED = 1, 3, 4, 7
_MOST_ENTRIES = 4096
_MAGIC = 42  # of TIFF, behind the byte order
_ORDERS = {b"II": "<", b"MM": ">"}


class ExifError(ValueError):
    """A damaged block; the message says what is wrong."""


def for_upright_picture(block: bytes, size: tuple[int, int]) -> bytes:
    """The block of an upright picture of another size, without a preview.

    Args:
        block: EXIF from its byte order on.
        size: height and width in pixels.

    Raises:
        ExifError: if its directories are damaged.
    """
    changed = bytearray(block)
    order = _ORDERS.get(bytes(block[:2]))
    if order is None or len(block) < 8 or struct.unpack_from(f"{order}H", block, 2) != (_MAGIC,):
        raise ExifError("it does not begin as EXIF does")
    (first,) = struct.unpack_from(f"{order}I", block, 4)
    height, width = size
    values = {_ORIENTATION: 1, _WIDTH: width, _HEIGHT: height, _EXIF_WIDTH: width, _EXIF_HEIGHT: height}
    inner = None
    for tag, kind, count, at in _entries(block, order, first):
        if tag == _EXIF_IFD and kind == _LONG and count == 1:
            (inner,) = struct.unpack_from(f"{order}I", block, at)
        _set(changed, order, kind, count, at, values.get(tag) if tag < _EXIF_IFD else None)
    for tag, kind, count, at in _entries(block, order, inner) if inner else ():
        _set(changed, order, kind, count, at, values.get(tag))
    (entries,) = struct.unpack_from(f"{order}H", block, first)
    following = first + 2 + 12 * entries
    if following + 4 <= len(block):
        struct.pack_into(f"{order}I", changed, following, 0)  # the directory of the preview
    return bytes(changed)


def bytes_as_undefined(made: bytes, source: bytes) -> bytes:
    """Marks values of the EXIF directory as undefined where the source does.

    Pillow writes such values as bytes; the two types differ in their code only.

    Args:
        made: TIFF directory with an EXIF directory, from its byte order on.
        source: block that its tags come from.
    """
    changed = bytearray(made)
    kinds = {tag: kind for tag, kind, _, _ in _exif_entries(source)}
    for tag, kind, _, at in _exif_entries(made):
        if kind == _BYTE and kinds.get(tag) == _UNDEFINED:
            struct.pack_into(f"{_ORDERS[made[:2]]}H", changed, at - 6, _UNDEFINED)
    return bytes(changed)


def _exif_entries(block: bytes) -> list[tuple[int, int, int, int]]:
    order = _ORDERS[block[:2]]
    for tag, kind, count, at in _entries(block, order, struct.unpack_from(f"{order}I", block, 4)[0]):
        if tag == _EXIF_IFD and kind == _LONG and count == 1:
            return list(_entries(block, order, struct.unpack_from(f"{order}I", block, at)[0]))
    return []


def _entries(block: bytes, order: str, at: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and place of the value of each entry."""
    if at + 2 > len(block):
        raise ExifError("a directory lies outside it")
    (count,) = struct.unpack_from(f"{order}H", block, at)
    if count > _MOST_ENTRIES or at + 2 + 12 * count > len(block):
        raise ExifError("a directory is cut off")
    for n in range(count):
        place = at + 2 + 12 * n
        yield (*struct.unpack_from(f"{order}HHI", block, place), place + 8)


def _set(block: bytearray, order: str, kind: int, count: int, at: int, value: int | None) -> None:
    if value is None or count != 1:
        return
    if kind == _LONG:
        struct.pack_into(f"{order}I", block, at, value)
    elif kind == _SHORT and value < 2**16:
        struct.pack_into(f"{order}H", block, at, value)
