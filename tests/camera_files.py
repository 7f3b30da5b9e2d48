"""Made-up files as FLIR and DJI cameras write them."""

import io
import struct

import numpy as np
from PIL import Image

PLANCK = {"r1": 15665.0, "r2": 0.0113, "b": 1411.4, "f": 1.0, "o": -6273}


def jpeg(pixels, *, exif=b"", quality=95):
    """A JPEG file of the pixels, gray or RGB."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=quality, exif=exif)
    return data.getvalue()


def png(pixels):
    """A PNG file of the pixels."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def with_segments(picture, parts):
    """The JPEG file with segments (number of APP, content) behind its first marker."""
    inside = b"".join(struct.pack(">BBH", 0xFF, 0xE0 + n, len(part) + 2) + part for n, part in parts)
    return picture[:2] + inside + picture[2:]


def make_exif(*, make="FLIR Systems AB", model="A made-up one", orientation=1, gps=None):
    """An EXIF block."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0112] = make, model, orientation
    exif[0x0132] = "2026:05:04 03:02:01"
    if gps:
        exif.get_ifd(0x8825).update({1: "N", 2: (gps[0], 0.0, 0.0), 3: "E", 4: (gps[1], 0.0, 0.0)})
    return exif.tobytes()


def camera_record(
    *, emissivity=0.95, distance=1.0, planck=PLANCK, model="FLIR made up", span=(253.15, 393.15), order="<"
):
    """FLIR's record of the camera."""
    data = bytearray(0x400)
    struct.pack_into(f"{order}H", data, 0, 2)
    struct.pack_into(f"{order}6f", data, 0x20, emissivity, distance, 293.15, 293.15, 293.15, 1.0)
    struct.pack_into(f"{order}f", data, 0x3C, 0.5)
    struct.pack_into(f"{order}3f", data, 0x58, planck["r1"], planck["b"], planck["f"])
    struct.pack_into(f"{order}5f", data, 0x70, 0.006569, 0.01262, -0.002276, -0.00667, 1.9)
    struct.pack_into(f"{order}2f", data, 0x90, span[1], span[0])
    data[0xD4 : 0xD4 + len(model)] = model.encode()
    data[0x104:0x107] = b"007"
    struct.pack_into(f"{order}if", data, 0x308, int(planck["o"]), planck["r2"])
    return bytes(data)


def raw_record(counts, *, form="png", size=None, order="<"):
    """FLIR's record of counts: "png" in the wrong byte order, "png right", or "raw"."""
    height, width = size or counts.shape
    if form == "raw":
        pixels = counts.astype(f"{order}u2").tobytes()
    else:
        pixels = png(counts if form == "png right" else counts.byteswap())
    return struct.pack(f"{order}3H", 2, width, height).ljust(32, b"\0") + pixels


def visible_record(pixels, *, size=None, data=None, order="<"):
    """FLIR's record of a visible image."""
    height, width = size or pixels.shape[:2]
    return struct.pack(f"{order}3H", 3, width, height).ljust(32, b"\0") + (data or jpeg(pixels))


def picture_record(ratio, x, y):
    """FLIR's record of the picture in picture."""
    return struct.pack("<f6h", ratio, x, y, 0, 10, 0, 10).ljust(64, b"\0")


def container(records, *, order=">"):
    """FLIR's container of (type, data)."""
    start = 64 + 32 * len(records)
    directory, body = b"", b""
    for kind, data in records:
        directory += struct.pack(f"{order}HHIIII", kind, 1, 100, 1, start + len(body), len(data)).ljust(32, b"\0")
        body += data
    head = b"FFF\0" + b"made up".ljust(16, b"\0") + struct.pack(f"{order}III", 100, 64, len(records))
    return head.ljust(64, b"\0") + directory + body


def flir_jpeg(
    counts, visible=None, *, alignment=(1.0, 0, 0), camera=None, form="png", exif=None, order=">", chunk=65000, raw=None
):
    """A FLIR radiometric JPEG."""
    records = [(0x01, raw or raw_record(counts, form=form)), (0x20, camera or camera_record())]
    if visible is not None:
        records.append((0x0E, visible_record(visible)))
        if alignment:
            records.append((0x2A, picture_record(*alignment)))
    return flir_picture(counts, container(records, order=order), exif=exif, chunk=chunk)


def flir_picture(counts, data, *, exif=None, chunk=65000, turn=list):
    """A JPEG file with a container, whose segments `turn` may put in any order."""
    parts = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    shown = (255 * (counts - counts.min()) / max(1, np.ptp(counts))).astype(np.uint8)
    picture = jpeg(shown, exif=make_exif() if exif is None else exif)
    named = [(1, b"FLIR\0\x01" + bytes([n, len(parts) - 1]) + part) for n, part in enumerate(parts)]
    return with_segments(picture, turn(named))


def dji_jpeg(counts, *, number=3, shown=None, exif=None, others=()):
    """A DJI radiometric JPEG whose counts lie in the APP segments of a number."""
    data = counts.astype("<u2").tobytes()
    parts = [(number, data[at : at + 65532]) for at in range(0, len(data), 65532)]
    picture = jpeg(np.zeros(shown or counts.shape, np.uint8), exif=make_exif(make="DJI") if exif is None else exif)
    return with_segments(picture, [*others, *parts])
