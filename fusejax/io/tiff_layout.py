"""The directory of a TIFF file: how its pixels are stored (TIFF 6.0, BigTIFF, GDAL).

Errors are `ValueError` with a reason that does not name the file; the caller adds the name.
"""

import dataclasses
import struct
from typing import BinaryIO, Literal

import numpy as np

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF file, in both byte orders, classic and BigTIFF."""

MOST_PIXELS = 2**28
"""Images with more pixels are refused before memory is taken for them."""

# Codes of the types of values that are read, and how `struct` names them.
_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_AT, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANAR = 273, 274, 277, 278, 279, 284
_T4_OPTIONS, _PREDICTOR, _COLORS, _TILE_WIDTH, _TILE_HEIGHT = 292, 317, 320, 322, 323
_TILE_AT, _TILE_BYTES, _INK_SET, _FORMAT, _JPEG_TABLES, _SUBSAMPLING = 324, 325, 332, 339, 347, 530
_SUBFILE, _NO_DATA = 254, 42113
_WANTED = {
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER, _STRIP_AT, _ORIENTATION, _SAMPLES),
    *(_STRIP_ROWS, _STRIP_BYTES, _PLANAR, _T4_OPTIONS, _PREDICTOR, _COLORS, _TILE_WIDTH, _TILE_HEIGHT),
    *(_TILE_AT, _TILE_BYTES, _INK_SET, _FORMAT, _JPEG_TABLES, _SUBSAMPLING, _NO_DATA),
}
_TEXTS, _TEXT_TYPES = (_JPEG_TABLES, _NO_DATA), (2, 7)  # tags of bytes, and the types of those
_REDUCED_OR_MASK = 0b101  # bits of the subfile type: a smaller version, a transparency mask
_MOST_PAGES = 100_000
# No codec packs more pixels into one byte: deflate packs 1032 bytes of 8 one-bit pixels.
_PIXELS_PER_BYTE = 8 * 1100

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
_PADDING = 16  # bytes between blocks that some writers count in
PACKED_IN_RECTANGLES = 7  # the compression in which a block is a JPEG file


@dataclasses.dataclass(frozen=True)
class TiffLayout:
    """What the directory of the first page says.

    Attributes:
        order: byte order, "<" or ">".
        pages: number of full-size pages in the file.
        size: (height, width) as stored, in pixels.
        samples: channels per pixel.
        bits: bits per channel.
        kind: `UNSIGNED`, `SIGNED` or `FLOAT`.
        compression: code of the compression, 1 for none.
        photometric: code of what the channels mean.
        planar: whether every channel has blocks of its own.
        predictor: 1 for none, 2 for differences, 3 for differences of floats.
        reversed_bits: whether the bits of every byte are stored in reverse.
        orientation: 1 (upright) to 8, as in EXIF.
        block: (height, width) of a strip or tile in pixels.
        tiled: whether blocks at the right and bottom edge are padded.
        starts: places of the blocks in the file, 0 for one that is not stored.
        lengths: bytes of the blocks.
        colors: color table, [entries, 3].
        jpeg_tables: what the JPEG data of all blocks share.
        subsampling: horizontal and vertical factor of the chroma.
        fax_options: options of the fax compression.
        no_data: value of pixels that were not measured, from GDAL.
    """

    order: Literal["<", ">"]
    pages: int
    size: tuple[int, int]
    samples: int
    bits: int
    kind: int
    compression: int
    photometric: int
    planar: bool
    predictor: int
    reversed_bits: bool
    orientation: int
    block: tuple[int, int]
    tiled: bool
    starts: tuple[int, ...]
    lengths: tuple[int, ...]
    colors: np.ndarray | None
    jpeg_tables: bytes
    subsampling: tuple[int, int]
    fax_options: int
    no_data: float | None

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        (h, w), (block_h, block_w) = self.size, self.block
        return -(-h // block_h), -(-w // block_w)

    def stored_type(self) -> str:
        """The type of the channels as users call it, such as "int16" or "12-bit"."""
        if self.bits in (8, 16, 32, 64):
            return {UNSIGNED: "uint", SIGNED: "int", FLOAT: "float"}.get(self.kind, "complex") + str(self.bits)
        return f"{self.bits}-bit"


def read_layout(file: BinaryIO) -> TiffLayout:
    """Reads the directory of the first page and checks that it describes an image.

    Args:
        file: open file, read from its start.

    Returns:
        The layout.

    Raises:
        ValueError: if the directory is damaged, or the image too large; says why.
    """
    length = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    if head[:4] not in MAGIC or len(head) < 8:
        raise ValueError("it is not a TIFF file")
    order: Literal["<", ">"] = "<" if head[:2] == b"II" else ">"
    big = head[2:4] in (b"+\0", b"\0+")
    if big and len(head) < 16:
        raise ValueError("it is truncated")
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    tags, pages, visited = None, 0, set()
    while at and at not in visited and len(visited) < _MOST_PAGES:
        visited.add(at)
        entries, following = _entries(file, at, order, big, length)
        if tags is None:
            tags = {tag: _values(file, tag, entry, order, length) for tag, entry in entries.items() if tag in _WANTED}
        shown = _values(file, _SUBFILE, entries[_SUBFILE], order, length) if _SUBFILE in entries else (0,)
        pages += not (shown and int(shown[0]) & _REDUCED_OR_MASK)
        at = following
    if tags is None:
        raise ValueError("it has no directory")
    if bad := [tag for tag, values in tags.items() if not values and tag not in _TEXTS]:
        raise ValueError(f"it is damaged: tag {bad[0]} has no numbers")
    return _checked(_layout(tags, order, max(pages, 1), length), length)


_Entry = tuple[int, int, bytes]  # code of the type, number of values, the values or their place


def _entries(file: BinaryIO, at: int, order: str, big: bool, length: int) -> tuple[dict[int, _Entry], int]:
    """The entries of one directory, and the place of the next one."""
    count_form, entry, place = ("Q", 20, 8) if big else ("H", 12, 4)
    head = struct.calcsize(order + count_form)
    if at + head > length:
        raise ValueError("it is truncated: its directory lies behind its end")
    file.seek(at)
    (count,) = struct.unpack(order + count_form, file.read(head))
    if at + head + count * entry > length:
        raise ValueError("it is truncated within its directory")
    block = file.read(count * entry + place)
    found = {}
    for n in range(count):
        tag, kind = struct.unpack_from(order + "HH", block, n * entry)
        (number,) = struct.unpack_from(order + ("Q" if big else "I"), block, n * entry + 4)
        found[tag] = (kind, number, block[n * entry + entry - place : (n + 1) * entry])
    end = block[count * entry :]
    following = struct.unpack(order + ("Q" if big else "I"), end)[0] if len(end) == place else 0
    return found, following


def _values(file: BinaryIO, tag: int, entry: _Entry, order: str, length: int) -> tuple:
    kind, number, inline = entry
    if kind not in _TYPES or (kind in _TEXT_TYPES) != (tag in _TEXTS):
        return ()
    form = f"{order}{number}{_TYPES[kind]}"
    if number > length or (size := struct.calcsize(form)) > length:
        raise ValueError("it is truncated or damaged: a tag is longer than the file")
    if size > len(inline):
        (at,) = struct.unpack(order + ("Q" if len(inline) == 8 else "I"), inline)
        file.seek(at)
        inline = file.read(size)
        if len(inline) < size:
            raise ValueError("it is truncated: the values of a tag lie behind its end")
    return struct.unpack(form, inline[:size])


def _layout(tags: dict[int, tuple], order: Literal["<", ">"], pages: int, length: int) -> TiffLayout:
    def one(tag: int, default: int) -> int:
        value = tags.get(tag) or (default,)
        if len(value) > 1:
            raise ValueError(f"it is damaged: tag {tag} has {len(value)} values instead of one")
        return int(value[0])

    height, width, samples = one(_HEIGHT, 0), one(_WIDTH, 0), one(_SAMPLES, 1)
    bits, kinds = set(tags.get(_BITS) or (1,)), set(tags.get(_FORMAT) or (UNSIGNED,))
    if len(bits) > 1 or len(kinds) > 1:
        raise ValueError(f"its channels differ in type (bits {sorted(bits)}); save it with one type for all")
    if not (width > 0 and height > 0 and samples > 0):
        raise ValueError("it has no pixels")
    if height * width > MOST_PIXELS:
        raise ValueError(f"it has {height * width / 1e6:.0f} megapixels; at most {MOST_PIXELS / 1e6:.0f} are read")
    tiled = _TILE_WIDTH in tags
    block = (one(_TILE_HEIGHT, 0), one(_TILE_WIDTH, 0)) if tiled else (min(one(_STRIP_ROWS, height), height), width)
    starts = tags.get(_TILE_AT) or tags.get(_STRIP_AT) or ()
    colors = tags.get(_COLORS)
    kind = kinds.pop()
    return TiffLayout(
        order=order,
        pages=pages,
        size=(height, width),
        samples=samples,
        bits=int(bits.pop()),
        kind=UNSIGNED if kind == 4 else int(kind),  # 4: not defined
        compression=one(_COMPRESSION, 1),
        photometric=one(_PHOTOMETRIC, 1),
        planar=one(_PLANAR, 1) == 2 and samples > 1,
        predictor=one(_PREDICTOR, 1),
        reversed_bits=one(_FILL_ORDER, 1) == 2,
        orientation=one(_ORIENTATION, 1) if one(_ORIENTATION, 1) in range(1, 9) else 1,
        block=block,
        tiled=tiled,
        starts=starts,
        lengths=tags.get(_TILE_BYTES) or tags.get(_STRIP_BYTES) or (length,) * len(starts),
        colors=np.array(colors[: len(colors) // 3 * 3]).reshape(3, -1).T if colors else None,
        jpeg_tables=bytes(tags.get(_JPEG_TABLES) or ()),
        subsampling=tuple(map(int, (tags.get(_SUBSAMPLING) or (2, 2))[:2])),  # pyright: ignore[reportArgumentType]
        fax_options=one(_T4_OPTIONS, 0),
        no_data=_number(bytes(tags.get(_NO_DATA) or ())),
    )


def _number(text: bytes) -> float | None:
    try:
        return float(text.split(b"\0")[0])
    except ValueError:
        return None


def _checked(layout: TiffLayout, length: int) -> TiffLayout:
    """Checks what the tags say against each other and against the length of the file."""
    if min(layout.block) < 1 or max(layout.block) > 2**24 or layout.block[0] * layout.block[1] > MOST_PIXELS:
        raise ValueError("it is damaged: the size of its strips or tiles is impossible")
    if not 1 <= layout.bits <= 64 or layout.samples > 2**10:
        raise ValueError(f"it is damaged: it declares {layout.samples} channels of {layout.bits} bits")
    rows, columns = layout.grid
    needed = rows * columns * (layout.samples if layout.planar else 1)
    if len(layout.starts) < needed or len(layout.lengths) < needed:
        raise ValueError(f"it is damaged: it lists {len(layout.starts)} of {needed} strips or tiles")
    if layout.compression != 1 and layout.size[0] * layout.size[1] > length * _PIXELS_PER_BYTE and any(layout.starts):
        raise ValueError("it is damaged: it declares more pixels than it can hold")
    layout = dataclasses.replace(layout, starts=layout.starts[:needed], lengths=layout.lengths[:needed])
    subsampled = layout.photometric == 6  # YCbCr, whose blocks have other sizes
    if layout.compression == 1 and needed > 1 and not subsampled:
        most = block_bytes(layout, layout.block[0]) + _PADDING
        if max(layout.lengths) > most:
            raise ValueError(
                f"it is damaged: a strip or tile of {max(layout.lengths)} bytes, but its pixels need {most}"
            )
    return layout


def block_bytes(layout: TiffLayout, rows: int) -> int:
    """Bytes of `rows` rows of a block without compression."""
    channels = 1 if layout.planar else layout.samples
    return rows * -(-layout.block[1] * channels * layout.bits // 8)


def is_cut_off(layout: TiffLayout, length: int) -> bool:
    """Whether a block ends behind the end of the file of that many bytes.

    Lengths that a writer got wrong do not matter where the pixels are not compressed.
    """
    ends = np.asarray(layout.starts, np.float64) + np.asarray(layout.lengths, np.float64)
    return bool((ends[np.asarray(layout.starts) > 0] > length).any())
