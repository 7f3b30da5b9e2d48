"""Undoing the compression of strips and tiles of TIFF files; errors are `ValueError`."""

import io
import lzma
import struct
import zlib

from PIL import Image

from fusejax.io.tiff_layout import PACKED_IN_RECTANGLES, TiffLayout, block_bytes

_NONE, _DEFLATE, _LZMA, _ZSTD = 1, (8, 32946), 34925, 50000
_FAX, _BY_LIBTIFF, _PACK_BITS = (2, 3, 4), (2, 3, 4, 5), 32773
_NAMES = {
    6: "old-style JPEG",
    32809: "ThunderScan",
    33003: "JPEG 2000",
    33005: "JPEG 2000",
    34661: "JBIG",
    34676: "SGI LogLuv",
    34677: "SGI LogLuv",
    34712: "JPEG 2000",
    34887: "LERC",
    34892: "lossy JPEG",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


def check_compression(code: int) -> None:
    """Raises ValueError if a compression is not read; names it."""
    if code not in (_NONE, *_DEFLATE, _LZMA, _ZSTD, _PACK_BITS, *_BY_LIBTIFF, PACKED_IN_RECTANGLES):
        name = _NAMES.get(code, f"method {code}")
        raise ValueError(f"it is compressed with {name}, which cannot be read; save it with LZW or Deflate")


def decompress(data: bytes, layout: TiffLayout, size: int, rows: int) -> bytes:
    """Decompresses one strip or tile.

    Args:
        data: its bytes in the file.
        layout: layout of the file.
        size: number of bytes that the pixels need.
        rows: number of rows.

    Returns:
        Exactly `size` bytes.

    Raises:
        ValueError: if the data are damaged or hold fewer bytes, or more than a whole strip.
    """
    code, most = layout.compression, max(size, block_bytes(layout, layout.block[0]))
    try:
        if code in _DEFLATE:  # one byte more, so that the checksum behind the last one is compared
            data = zlib.decompressobj().decompress(data, most + 1)
        elif code == _LZMA:
            data = lzma.LZMADecompressor().decompress(data, most + 1)
        elif code == _PACK_BITS:
            data = _unpack_bits(data, most)
        elif code == _ZSTD:
            data = _decompress_zstd(data, size)
        elif code in _BY_LIBTIFF:
            data = _decompress_by_libtiff(data, layout, size, rows)
    except (zlib.error, lzma.LZMAError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"its pixels are damaged ({error})") from error
    if len(data) < size:
        raise ValueError(f"its pixels are damaged or truncated: {len(data)} of {size} bytes of a block")
    if code != _NONE and len(data) > most:
        raise ValueError(f"its pixels are damaged: more than {most} bytes of a block")
    return data[:size]


def _unpack_bits(data: bytes, most: int) -> bytes:
    """Undoes PackBits; stops behind `most` bytes."""
    out, at = bytearray(), 0
    while at < len(data) and len(out) <= most:
        count = data[at]
        if count < 128:
            piece = data[at + 1 : at + 2 + count]
            if len(piece) <= count:
                raise ValueError("its pixels are damaged or truncated within a run of bytes")
            out += piece
            at += 2 + count
        elif count > 128:
            out += data[at + 1 : at + 2] * (257 - count)
            at += 2
        else:  # nothing
            at += 1
    return bytes(out)


def _decompress_zstd(data: bytes, size: int) -> bytes:
    try:
        import imagecodecs
    except ImportError as error:
        raise ValueError(
            "it is compressed with ZSTD, which cannot be read; save it with LZW or Deflate, or install imagecodecs"
        ) from error
    try:
        return bytes(imagecodecs.zstd_decode(data, out=size))
    except RuntimeError as error:
        raise ValueError(f"its pixels are damaged ({error})") from error


def _decompress_by_libtiff(data: bytes, layout: TiffLayout, size: int, rows: int) -> bytes:
    """Lets Pillow's libtiff decompress one block, wrapped as a gray image of bytes.

    For fax compression, which has to know the width, the image has one bit per pixel.
    """
    fax = layout.compression in _FAX
    width, bits = (layout.block[1], 1) if fax else (size // max(rows, 1), 8)
    tags = {256: width, 257: rows, 258: bits, 259: layout.compression, 262: 1, 273: 8, 277: 1, 278: rows}
    tags |= {279: len(data)} | ({292: layout.fax_options} if layout.compression == 3 else {})
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    padding = bytes(len(data) % 2)
    head = struct.pack("<2sHI", b"II", 42, 8 + len(data) + len(padding))
    file = io.BytesIO(head + data + padding + struct.pack("<H", len(tags)) + entries + bytes(4))
    with Image.open(file) as image:
        return image.tobytes()
