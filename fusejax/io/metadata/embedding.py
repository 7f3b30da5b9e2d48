"""Puts metadata into encoded JPEG, PNG and WebP files, and writes TIFF files with them."""

import binascii
import io
import struct
import zlib

import numpy as np
from jaxtyping import Shaped
from PIL import Image, TiffImagePlugin

from fusejax.io.metadata.content import Metadata
from fusejax.io.metadata.exif import bytes_as_undefined
from fusejax.io.metadata.reading import DAMAGED, EXIF, PHOTOSHOP, PNG, PROFILE, XMP, XMP_KEYWORD, iptc_of

_MOST_IN_SEGMENT = 65533
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG, _ICC_TAG, _EXIF_IFD, _GPS_IFD = 700, 33723, 34377, 34675, 0x8769, 0x8825
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STARTS = 256, 257, 258, 259, 262, 273
_SAMPLES, _ROWS, _BYTES, _FORMAT, _PREDICTOR = 277, 278, 279, 339, 317
_DEFLATE, _GRAY, _RGB, _UNSIGNED, _FLOAT = 8, 1, 2, 1, 3
_STRIP_BYTES = 2**18
_HEADER = b"II*\0\x08\0\0\0"
_HEX_WIDTH = 72
_MAKER_NOTE = 0x927C


def embed(data: bytes, suffix: str, found: Metadata) -> tuple[bytes, list[str]]:
    """Puts metadata into an encoded image.

    Args:
        data: JPEG, PNG or WebP file without metadata; other formats hold none.
        suffix: its suffix in lower case.
        found: metadata of the picture.

    Returns:
        The file, and what the format cannot hold.
    """
    left_out = list(found.left_out)
    if found.geo:
        left_out.append("GeoTIFF tags (use --format tif)")
    if suffix in (".jpg", ".jpeg"):
        return _into_jpeg(data, found, left_out), left_out
    if suffix == ".png":
        return _into_png(data, found), left_out
    if suffix == ".webp":
        return _into_webp(data, found, left_out), left_out
    return data, left_out + [f"all metadata, which {suffix} files do not hold"] * bool(found.exif or found.xmp)


def _into_jpeg(data: bytes, found: Metadata, left_out: list[str]) -> bytes:
    parts = []
    for name, marker, head, content in (
        ("EXIF", 1, EXIF, found.exif),
        ("XMP", 1, XMP, found.xmp),
        ("IPTC", 13, PHOTOSHOP, found.iptc),
    ):
        if len(head) + len(content) > _MOST_IN_SEGMENT:
            left_out.append(f"{name} of more than 64 KiB, which JPEG files do not hold (use --format png)")
        elif content:
            parts.append((marker, head + content))
    each = _MOST_IN_SEGMENT - len(PROFILE) - 2
    pieces = [found.icc[at : at + each] for at in range(0, len(found.icc), each)]
    parts += [(2, PROFILE + bytes([n, len(pieces)]) + piece) for n, piece in enumerate(pieces, start=1)]
    # Behind the JFIF segment, if there is one, because that must be the first.
    at = 2
    if data[2:4] == b"\xff\xe0":
        at += 2 + int.from_bytes(data[4:6], "big")
    inside = b"".join(struct.pack(">BBH", 0xFF, 0xE0 + n, len(part) + 2) + part for n, part in parts)
    return data[:at] + inside + data[at:]


def _into_png(data: bytes, found: Metadata) -> bytes:
    chunks = [(name, content) for name, content in found.png if not (found.icc and name == b"sRGB")]
    if found.icc:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(found.icc)))
    if found.exif:
        chunks.append((b"eXIf", found.exif))
    if found.xmp:
        chunks.append((b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + found.xmp))
    if found.iptc:
        digits = found.iptc.hex()
        lines = [digits[at : at + _HEX_WIDTH] for at in range(0, len(digits), _HEX_WIDTH)]
        text = f"\n8bim\n{len(found.iptc):8d}\n" + "\n".join(lines) + "\n"
        chunks.append((b"zTXt", b"Raw profile type 8bim\0\0" + zlib.compress(text.encode())))
    made = b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", binascii.crc32(name + content))
        for name, content in chunks
    )
    at = len(PNG) + 25  # behind the header chunk
    return data[:at] + made + data[at:]


def _into_webp(data: bytes, found: Metadata, left_out: list[str]) -> bytes:
    """Chunks of the extended format (RIFF container); sizes are padded to even numbers."""
    if found.iptc:
        left_out.append("IPTC, which WebP files do not hold")
    with Image.open(io.BytesIO(data)) as image:
        width, height = image.size
    flags = (0x20 if found.icc else 0) | (0x08 if found.exif else 0) | (0x04 if found.xmp else 0)
    if not flags:
        return data
    size = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    picture = [(name, part) for name, part in _riff(data) if name in (b"VP8 ", b"VP8L")]
    chunks = [(b"VP8X", bytes([flags, 0, 0, 0]) + size), (b"ICCP", found.icc), *picture]
    chunks += [(b"EXIF", found.exif), (b"XMP ", found.xmp)]
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) % 2) for name, part in chunks if part
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _riff(data: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def encode_tiff(
    pixels: Shaped[np.ndarray, "h w c"], found: Metadata, *, description: str = ""
) -> tuple[bytes, list[str]]:
    """A TIFF file, compressed without loss.

    Args:
        pixels: uint8, uint16 or float32, gray or RGB.
        found: metadata of the picture.
        description: text for the tag ImageDescription; by default that of the metadata.

    Returns:
        The file, and what it cannot hold.
    """
    height, width, channels = pixels.shape
    left_out = list(found.left_out)
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    if found.exif:
        try:
            _copy_exif(found.exif, TiffImagePlugin.ImageFileDirectory_v2()).tobytes()
            _copy_exif(found.exif, directory)
            if _holds_maker_note(found.exif):
                left_out.append("maker notes (use --format png or jpg)")
        except DAMAGED as error:
            left_out.append(f"EXIF ({error})")
    for tag, kind, values in found.geo:
        directory.tagtype[tag] = kind
        directory[tag] = values[0] if len(values) == 1 else values
    apart = {_XMP_TAG: found.xmp, _IPTC_TAG: iptc_of(found.iptc), _PHOTOSHOP_TAG: found.iptc, _ICC_TAG: found.icc}
    for tag, content in apart.items():
        if content:
            directory.tagtype[tag] = 7 if tag != _XMP_TAG else 1
            directory[tag] = content
    if description:
        directory[270] = description
    floating = np.issubdtype(pixels.dtype, np.floating)
    directory[_WIDTH], directory[_HEIGHT] = width, height
    directory[_BITS] = (8 * pixels.dtype.itemsize,) * channels
    directory[_COMPRESSION], directory[_PHOTOMETRIC] = _DEFLATE, _RGB if channels == 3 else _GRAY
    directory[_SAMPLES] = channels
    directory[_FORMAT] = (_FLOAT if floating else _UNSIGNED,) * channels
    if not floating:
        directory[_PREDICTOR] = 2
    rows = max(1, _STRIP_BYTES // (width * channels * pixels.dtype.itemsize))
    strips = [_packed(pixels[at : at + rows]) for at in range(0, height, rows)]
    directory[_ROWS] = rows
    directory[_BYTES] = tuple(len(strip) for strip in strips)
    directory.tagtype[_STARTS] = directory.tagtype[_BYTES] = 4
    # Counted from the end of the directory, whose length Pillow adds.
    directory[_STARTS] = tuple(int(at) for at in np.cumsum([0, *(len(strip) for strip in strips[:-1])]))
    head = _HEADER + directory.tobytes(len(_HEADER))
    if _EXIF_IFD in directory:
        head = bytes_as_undefined(head, found.exif)
    return head + b"".join(strips), left_out


def _packed(rows: Shaped[np.ndarray, "h w c"]) -> bytes:
    little = rows.astype(rows.dtype.newbyteorder("<"))
    if np.issubdtype(rows.dtype, np.integer):
        little[:, 1:] = rows[:, 1:] - rows[:, :-1]  # differences wrap around, as the format wants it
    return zlib.compress(little.tobytes())


def _holds_maker_note(block: bytes) -> bool:
    exif = Image.Exif()
    exif.load(EXIF + block)
    return _MAKER_NOTE in exif.get_ifd(_EXIF_IFD)


def _copy_exif(block: bytes, directory: TiffImagePlugin.ImageFileDirectory_v2) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Copies the tags of an EXIF block; its directories become those of the file."""
    exif = Image.Exif()
    exif.load(EXIF + block)
    for tag, value in exif.items():
        if tag not in (_EXIF_IFD, _GPS_IFD):
            directory[tag] = value
    for tag in (_EXIF_IFD, _GPS_IFD):
        # Maker notes point to places in the file that they came from.
        if held := {name: value for name, value in exif.get_ifd(tag).items() if name != _MAKER_NOTE}:
            directory[tag] = held
    return directory
