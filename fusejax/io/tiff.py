"""Pixels of TIFF files of any layout, decoded here so that the result depends on the file alone.

OpenCV and Pillow each read only some combinations of byte order, depth, planes, photometric
interpretation and orientation, and the others wrongly without an error. Of their code, only the
decompression is used, which sees bytes and no pixels.
"""

from typing import BinaryIO

import numpy as np
import simplejpeg
from jaxtyping import Shaped, UInt8

from fusejax.io.tiff_compression import check_compression, decompress
from fusejax.io.tiff_layout import FLOAT, PACKED_IN_RECTANGLES, SIGNED, UNSIGNED, TiffLayout, block_bytes

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_MEANINGS = {4: "a mask", 8: "CIE Lab", 9: "ICC Lab", 10: "ITU Lab", 32803: "a raw color mosaic", 34892: "linear raw"}
_COLOR_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_REVERSED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"  # followed by one byte: 0 for RGB, 1 for YCbCr

Pixels = Shaped[np.ndarray, "h w c"]


def read_tiff(file: BinaryIO, layout: TiffLayout) -> tuple[Pixels, Shaped[np.ndarray, "h w 1"] | None]:
    """Decodes the first page.

    Args:
        file: open file.
        layout: its layout, see `read_layout`.

    Returns:
        Gray [h, w, 1] or RGB [h, w, 3] in the stored orientation, and a further channel (alpha) if
        there is one. Color tables, CMYK and YCbCr become RGB, and "0 is white" is inverted unless
        values are signed or floats. Fewer than 8 bits are scaled to uint8; 9 to 15 bits are uint16
        with the values of the file. Signed and 32-bit integers become float32 or float64, exactly.

    Raises:
        ValueError: if the pixels are damaged or of a kind that is not read; says why.
    """
    channels = check_kind(layout)
    pixels = _decode_blocks(file, layout)
    if layout.photometric == _YCBCR and layout.compression != PACKED_IN_RECTANGLES:
        pixels = _from_ycbcr(pixels)
    main, further = pixels[..., :channels], pixels[..., channels:]
    top = 2**layout.bits - 1
    if layout.photometric == _PALETTE:
        main = _look_up(main[..., 0], layout)
    elif layout.photometric == _WHITE_IS_ZERO and layout.kind == UNSIGNED:
        main = (top - main.astype(np.uint64)).astype(main.dtype)
    elif layout.photometric == _CMYK:
        light = (top - main.astype(np.float64)) / top
        main = np.round(light[..., :3] * light[..., 3:] * top).astype(main.dtype)
    if layout.bits < 8 and layout.photometric != _PALETTE:
        main = np.round(main * (255 / top)).astype(np.uint8)
    return _widened(main), further if further.shape[-1] else None


def check_kind(layout: TiffLayout) -> int:
    """Checks that pixels of this kind are read.

    Returns:
        The number of channels of the image itself, without alpha.

    Raises:
        ValueError: if they are not; says what they are and how to save them.
    """
    check_compression(layout.compression)
    if layout.photometric not in _COLOR_CHANNELS:
        meaning = _MEANINGS.get(layout.photometric, f"of kind {layout.photometric}")
        raise ValueError(f"its pixels are {meaning}, which is not read; save it as gray or RGB")
    if layout.kind not in (UNSIGNED, SIGNED, FLOAT):
        raise ValueError("its pixels are complex numbers; save their magnitude")
    good = (16, 32, 64) if layout.kind == FLOAT else (8, 16, 32) if layout.kind == SIGNED else (*range(1, 17), 32)
    if layout.bits not in good:
        raise ValueError(f"its pixels are {layout.stored_type()}, which is not read; save it with 8, 16 or 32 bits")
    channels = _COLOR_CHANNELS[layout.photometric]
    if layout.photometric == _BLACK_IS_ZERO and layout.samples in (3, 4):  # as several writers store color
        channels = 3
    if not channels <= layout.samples <= channels + 1:
        raise ValueError(
            f"it has {layout.samples} channels; expected gray or RGB, with or without transparency. Save the "
            "channels as files of their own"
        )
    if layout.photometric in (_PALETTE, _CMYK, _YCBCR) and (layout.kind != UNSIGNED or layout.bits > 16):
        raise ValueError(f"its colors are {layout.stored_type()}, which is not read; save it as RGB")
    if layout.photometric == _YCBCR and layout.planar and layout.subsampling != (1, 1):
        raise ValueError("its YCbCr pixels are stored in an unusual way; save it as RGB")
    return channels


def _widened(pixels: Pixels) -> Pixels:
    """One of uint8, uint16, float32, float64, with the same values."""
    if pixels.dtype in (np.int8, np.int16, np.float16):
        return pixels.astype(np.float32)
    return pixels.astype(np.float64) if pixels.dtype in (np.int32, np.uint32) else pixels


def _decode_blocks(file: BinaryIO, layout: TiffLayout) -> Pixels:
    (h, w), (block_h, block_w), (rows, columns) = layout.size, layout.block, layout.grid
    out = None
    for n, (start, length) in enumerate(zip(layout.starts, layout.lengths, strict=True)):
        plane, place = divmod(n, rows * columns)
        top, left = place // columns * block_h, place % columns * block_w
        kept_h, kept_w = min(block_h, h - top), min(block_w, w - left)
        held = block_h if layout.tiled else kept_h
        if start == 0:  # GDAL leaves out blocks without data
            continue
        file.seek(start)
        wanted = min(length, block_bytes(layout, held)) if layout.compression == 1 else length
        block = _decode_block(file.read(max(wanted, 0)), layout, held)
        if out is None:
            out = np.zeros((h, w, layout.samples), block.dtype)
        channels = slice(plane, plane + 1) if layout.planar else slice(None)
        out[top : top + kept_h, left : left + kept_w, channels] = block[:kept_h, :kept_w]
    if out is None:
        raise ValueError("it has no pixels")
    return out


def _decode_block(data: bytes, layout: TiffLayout, rows: int) -> Pixels:
    """The pixels of one strip or tile, [rows, block width, channels]."""
    width, channels = layout.block[1], 1 if layout.planar else layout.samples
    if layout.compression == PACKED_IN_RECTANGLES:
        return _decode_jpeg(data, layout, rows)
    if layout.reversed_bits:
        data = data.translate(_REVERSED)
    if layout.photometric == _YCBCR and not layout.planar:
        return _subsampled(data, layout, rows)
    raw = decompress(data, layout, block_bytes(layout, rows), rows)
    if layout.bits in (8, 16, 32, 64):
        kind = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}[layout.kind]
        return _undo_predictor(raw, layout, rows, kind).reshape(rows, width, channels)
    if layout.predictor != 1:
        raise ValueError(f"its {layout.bits}-bit pixels are stored as differences, which is not read; save it again")
    bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(rows, -1), axis=1)[:, : width * channels * layout.bits]
    weights = 1 << np.arange(layout.bits - 1, -1, -1, dtype=np.uint16)
    values = bits.reshape(rows, width, channels, layout.bits) @ weights
    return values.astype(np.uint8 if layout.bits < 8 else np.uint16)


def _undo_predictor(raw: bytes, layout: TiffLayout, rows: int, kind: str) -> Shaped[np.ndarray, "rows _"]:
    """Numbers in native byte order, one row of the image a row."""
    size, channels = layout.bits // 8, 1 if layout.planar else layout.samples
    native = np.dtype(f"{kind}{size}")
    if layout.predictor == 3:
        if layout.kind != FLOAT:
            raise ValueError("it is damaged: differences of floats without floats")
        steps = np.frombuffer(raw, np.uint8).reshape(rows, -1, channels)
        planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, size, -1)
        values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(native.newbyteorder(">"))
        return values.reshape(rows, -1).astype(native)
    values = np.frombuffer(raw, native.newbyteorder("<" if layout.order == "<" else ">")).astype(native)
    if layout.predictor == 2:
        whole = np.dtype(f"u{size}")
        values = np.cumsum(values.view(whole).reshape(rows, -1, channels), axis=1, dtype=whole).view(native)
    elif layout.predictor != 1:
        raise ValueError(f"it is damaged: predictor {layout.predictor} is unknown")
    return values.reshape(rows, -1)


def _decode_jpeg(data: bytes, layout: TiffLayout, rows: int) -> UInt8[np.ndarray, "rows w c"]:
    """One block of JPEG data; an Adobe marker states whether its channels are RGB or YCbCr."""
    width, channels = layout.block[1], 1 if layout.planar else layout.samples
    if layout.bits != 8 or channels not in (1, 3):
        raise ValueError(f"its JPEG data have {channels} channels of {layout.bits} bits; save it with LZW or Deflate")
    start = data.find(b"\xff\xd8")
    if start < 0:
        raise ValueError("its JPEG data are damaged")
    marker = _ADOBE + bytes([layout.photometric == _YCBCR]) if channels == 3 else b""
    tables = layout.jpeg_tables[2:-2] if len(layout.jpeg_tables) > 4 else b""
    try:
        whole = b"\xff\xd8" + marker + tables + data[start + 2 :]
        block = simplejpeg.decode_jpeg(whole, colorspace="RGB" if channels == 3 else "GRAY", strict=True)
    except ValueError as error:
        raise ValueError(f"its JPEG data are damaged ({str(error).strip('.')})") from error
    if block.shape[0] < rows or block.shape[1] < width:
        raise ValueError("its JPEG data are smaller than a strip or tile")
    return block[:rows, :width]


def _subsampled(data: bytes, layout: TiffLayout, rows: int) -> UInt8[np.ndarray, "rows w 3"]:
    """Y, Cb and Cr of a block in which several luma values share the chroma."""
    (across, down), width = layout.subsampling, layout.block[1]
    if layout.bits != 8 or layout.samples != 3 or layout.predictor != 1 or {across, down} - {1, 2, 4}:
        raise ValueError("its YCbCr pixels are stored in an unusual way; save it as RGB")
    units = -(-rows // down), -(-width // across)
    size = units[0] * units[1] * (across * down + 2)
    raw = np.frombuffer(decompress(data, layout, size, units[0]), np.uint8).reshape(*units, -1)
    luma = raw[..., :-2].reshape(*units, down, across).swapaxes(1, 2).reshape(units[0] * down, units[1] * across)
    chroma = raw[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.dstack([luma, chroma])[:rows, :width]


def _from_ycbcr(pixels: Pixels) -> UInt8[np.ndarray, "h w 3"]:
    """RGB of BT.601 with full range, which is TIFF's default."""
    y, cb, cr = np.moveaxis(pixels.astype(np.float32), -1, 0)
    cb, cr = cb - 128, cr - 128
    rgb = np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], axis=-1)
    return np.clip(np.round(rgb), 0, 255).astype(np.uint8)


def _look_up(numbers: Shaped[np.ndarray, "h w"], layout: TiffLayout) -> UInt8[np.ndarray, "h w 3"]:
    """Colors of a table, which has 16 bits by the standard but 8 in files of careless writers."""
    table = layout.colors
    if table is None or len(table) <= int(numbers.max()):
        raise ValueError("it is damaged: its color table is missing or too short")
    return (table >> 8 if table.max() > 255 else table).astype(np.uint8)[numbers]
