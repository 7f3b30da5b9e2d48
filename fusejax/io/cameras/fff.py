"""FLIR's own container (FFF, AFF): records in a JPEG's APP1 segments.

Layout as in ExifTool's table of FLIR tags: a header of 64 bytes, a directory of records of 32 bytes
each, and the records. Byte orders differ between cameras, and between the directory and the
records.
"""

import struct
from typing import Literal, NamedTuple

from fusejax.io.cameras.segments import Segment, app

_NAME = b"FLIR\0"
_HEAD, _ENTRY = 64, 32
_MOST_RECORDS = 1024
RAW, EMBEDDED, CAMERA, PICTURE = 0x01, 0x0E, 0x20, 0x2A
"""Types of records: counts, visible image, camera, picture in picture."""

Order = Literal["<", ">"]


class FlirError(ValueError):
    """A damaged container; the message says what is wrong, without the file's name."""


class Record(NamedTuple):
    """One record.

    Attributes:
        data: its bytes.
        order: byte order of its numbers, as `struct` writes it.
    """

    data: bytes
    order: Order

    def numbers(self, form: str, at: int) -> tuple:
        """Numbers at an offset; `form` as in `struct`, without the byte order.

        Raises:
            FlirError: if the record ends before them.
        """
        try:
            return struct.unpack_from(self.order + form, self.data, at)
        except struct.error as error:
            raise FlirError(f"a record of {len(self.data)} bytes ends before byte {at}") from error

    def text(self, at: int, length: int) -> str:
        """Text of at most `length` bytes up to the first zero; empty if the record ends before."""
        return self.data[at : at + length].split(b"\0")[0].decode("latin-1").strip()


def join(found: list[Segment]) -> bytes | None:
    """The container in the segments of a JPEG file; None if there is none.

    Raises:
        FlirError: if a chunk is missing, cut off, or belongs to another file.
    """
    chunks: dict[int, bytes] = {}
    last = -1
    for segment in found:
        if segment.marker != app(1) or not segment.data.startswith(_NAME):
            continue
        if len(segment.data) < 8 or not segment.whole:
            raise FlirError("a segment with thermal data is cut off")
        number, stated = segment.data[6], segment.data[7]
        if last not in (-1, stated) or number > stated:
            raise FlirError(f"chunk {number} says that {stated + 1} chunks belong together, the first one {last + 1}")
        if number in chunks:
            raise FlirError(f"chunk {number} of the thermal data occurs twice")
        last, chunks[number] = stated, segment.data[8:]
    if not chunks:
        return None
    if missing := [n for n in range(last + 1) if n not in chunks]:
        raise FlirError(f"{len(missing)} of {last + 1} chunks of the thermal data are missing")
    return b"".join(chunks[n] for n in range(last + 1))


def records(data: bytes) -> dict[int, Record]:
    """Records by type; the first of each type.

    Args:
        data: the container.

    Raises:
        FlirError: if it is not one, or a record lies outside it.
    """
    if data[:4] not in (b"FFF\0", b"AFF\0") or len(data) < _HEAD:
        raise FlirError("the thermal data do not begin as FLIR's do")
    order: Order = ">" if 100 <= struct.unpack_from(">I", data, 0x14)[0] < 200 else "<"
    start, count = struct.unpack_from(f"{order}II", data, 0x18)
    if not 100 <= struct.unpack_from(f"{order}I", data, 0x14)[0] < 200 or count > _MOST_RECORDS:
        raise FlirError("the version of the thermal data is unknown")
    if start + _ENTRY * count > len(data):
        raise FlirError("the directory of the thermal data is cut off")
    found: dict[int, Record] = {}
    for n in range(count):
        kind, _, _, _, at, length = struct.unpack_from(f"{order}HHIIII", data, start + _ENTRY * n)
        if not kind or not length or kind in found:
            continue
        if at + length > len(data):
            if kind not in (RAW, EMBEDDED, CAMERA, PICTURE):
                continue
            raise FlirError(f"record {kind} ends {at + length - len(data)} bytes behind the end of the thermal data")
        part = data[at : at + length]
        # Records begin with a small number, which shows their byte order, but for the picture in
        # picture, which is little-endian.
        found[kind] = Record(part, ">" if kind != PICTURE and part[:1] == b"\0" else "<")
    return found
