"""Reads the metadata of JPEG, PNG and TIFF files."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from fusejax.io.cameras.segments import JPEG, Segment, app, segments
from fusejax.io.image_headers import ImageError
from fusejax.io.metadata.content import Metadata
from fusejax.io.tiff_layout import MAGIC

EXIF, XMP, XMP_MORE = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP, PROFILE = b"Photoshop 3.0\0", b"ICC_PROFILE\0"
PNG = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
_PNG_COLOR = (b"cICP", b"sRGB", b"gAMA", b"cHRM")

# What Pillow raises for damaged directories.
DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    OverflowError,
    struct.error,
)

# More than any camera or editor writes; what is larger is not carried into every fused image.
_MOST_BYTES = 2**20

# Tags of a TIFF file: what describes the pixels, which the fused image has of its own, and what is
# kept apart.
_XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG, _ICC_TAG = 700, 33723, 34377, 34675
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291),
    *(292, 293, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 338, 339, 340, 341),
    *(342, 347, 512, 513, 514, 529, 530, 531, 532, 37724, 50706),
}
_GEO = (33550, 33922, 34264, 34735, 34736, 34737, 42112)
_APART = {*_STRUCTURE, *_GEO, _XMP_TAG, _IPTC_TAG, _PHOTOSHOP_TAG, _ICC_TAG, _EXIF_IFD, _GPS_IFD}
_ORIENTATION = 0x0112


def read_metadata(path: str | os.PathLike) -> Metadata:
    """Reads what a picture says beside its pixels.

    Args:
        path: readable image file.

    Returns:
        Its metadata; none for formats that have none.

    Raises:
        ImageError: if a part has more than a megabyte; names the file and says what to do.
        OSError: if the file cannot be opened.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(8)
        if head[:2] == JPEG:
            file.seek(0)
            found = _from_jpeg(list(segments(file)))
        elif head == PNG:
            found = _from_png(_chunks(file.read()))
        elif head[:4] in MAGIC:
            found = _from_tiff(path)
        else:
            return Metadata()
    parts = {"EXIF": found.exif, "XMP": found.xmp, "IPTC": found.iptc, "color profile": found.icc}
    for name, part in parts.items():
        if len(part) > _MOST_BYTES:
            raise ImageError(
                f"{path}: its {name} has {len(part) / 2**20:.1f} MiB, more than the {_MOST_BYTES / 2**20:.0f} MiB that "
                "are kept; remove it from the file, or fuse with --no-metadata."
            )
    return found


def _from_jpeg(found: list[Segment]) -> Metadata:
    def parts(number: int, name: bytes) -> list[bytes]:
        return [s.data[len(name) :] for s in found if s.marker == app(number) and s.data.startswith(name)]

    exif, xmp, profile = parts(1, EXIF), parts(1, XMP), parts(2, PROFILE)
    more = ("extended XMP",) if parts(1, XMP_MORE) else ()
    return Metadata(
        exif=exif[0] if exif else b"",
        xmp=xmp[0] if xmp else b"",
        iptc=b"".join(parts(13, PHOTOSHOP)),
        # Number and count come before each part.
        icc=b"".join(part[2:] for part in sorted(profile, key=lambda part: part[:1])),
        left_out=more,
    )


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the chunks behind the signature."""
    at = 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name = data[at + 4 : at + 8]
        yield name, data[at + 8 : at + 8 + length]
        at += length + 12


def _from_png(found: Iterator[tuple[bytes, bytes]]) -> Metadata:
    exif = xmp = icc = iptc = b""
    color = []
    for name, content in found:
        if name == b"eXIf":
            exif = content.removeprefix(EXIF)
        elif name == b"iCCP":
            icc = _inflated(content.split(b"\0", 1)[-1][1:])
        elif name == b"iTXt" and content.startswith(XMP_KEYWORD + b"\0"):
            packed, _, rest = content[len(XMP_KEYWORD) + 1], None, content[len(XMP_KEYWORD) + 3 :]
            text = rest.split(b"\0", 2)[-1]
            xmp = _inflated(text) if packed else text
        elif name == b"zTXt" and content.lower().startswith((b"raw profile type iptc\0", b"raw profile type 8bim\0")):
            iptc = _from_hex(_inflated(content.split(b"\0", 1)[1][1:]))
        elif name in _PNG_COLOR:
            color.append((name, content))
    return Metadata(exif=exif, xmp=xmp, icc=icc, iptc=iptc, png=tuple(color))


def _inflated(data: bytes) -> bytes:
    """Decompresses at most a little more than is kept, so that a bomb is found and not unpacked."""
    try:
        return zlib.decompressobj().decompress(data, _MOST_BYTES + 1)
    except zlib.error:
        return b""


def _from_hex(text: bytes) -> bytes:
    """A profile as ImageMagick writes it into PNG: name, length, hexadecimal digits."""
    lines = text.split(b"\n")
    try:
        return bytes.fromhex(b"".join(lines[3:]).decode("ascii"))
    except ValueError:
        return b""


def _from_tiff(path: Path) -> Metadata:
    try:
        with Image.open(path) as image:
            tags: Any = getattr(image, "tag_v2", {})
            types: Any = getattr(tags, "tagtype", {})
            exif = Image.Exif()
            exif.endian = getattr(tags, "_endian", "<")
            own = image.getexif()
            for tag, value in own.items():
                if tag not in _APART:
                    exif[tag] = value
            for directory in (_EXIF_IFD, _GPS_IFD):
                if held := own.get_ifd(directory):
                    exif.get_ifd(directory).update(held)
            named = set(exif) - {_ORIENTATION}
            block = exif.tobytes().removeprefix(EXIF) if named or exif.get_ifd(_EXIF_IFD) else b""
            geo = tuple((tag, types[tag], _values(tags[tag])) for tag in _GEO if tag in tags)
            return Metadata(
                exif=block,
                xmp=_bytes(tags.get(_XMP_TAG)),
                iptc=_bytes(tags.get(_PHOTOSHOP_TAG)) or _as_resource(_bytes(tags.get(_IPTC_TAG))),
                icc=_bytes(tags.get(_ICC_TAG)),
                geo=geo,
            )
    except (*DAMAGED, Image.DecompressionBombError) as error:
        return Metadata(left_out=(f"all metadata ({error})",))


def _values(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value,)


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    return value if isinstance(value, bytes) else bytes(v for v in _values(value) if isinstance(v, int) and v < 256)


def _as_resource(iptc: bytes) -> bytes:
    """IPTC as a Photoshop resource, the form in which JPEG holds it."""
    if not iptc:
        return b""
    return b"8BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def iptc_of(resources: bytes) -> bytes:
    """IPTC alone, from Photoshop resources: name padded to even length, length, content."""
    at = 0
    while resources[at : at + 4] == b"8BIM" and at + 12 <= len(resources):
        name = 1 + resources[at + 6]
        start = at + 6 + name + name % 2
        length = int.from_bytes(resources[start : start + 4], "big")
        if resources[at + 4 : at + 6] == b"\x04\x04":
            return resources[start + 4 : start + 4 + length]
        at = start + 4 + length + length % 2
    return b""
