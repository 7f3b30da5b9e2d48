"""Frames in pixel formats whose luma can be read and written in place.

Video formats store luma in many ways: packed between chroma (YUYV from USB cameras), with the bytes
swapped (16-bit PNG video), in the high bits (P010), with alpha, or one bit per pixel. Three kinds
remain here: luma in a plane of its own, native byte order, at bit 0; RGB of 8 bits; RGB of 16 bits.
Anything else is converted by FFmpeg's swscale to the nearest of them, without loss except for alpha
and for what exceeds 16 bits.
"""

import re
import sys
from typing import TYPE_CHECKING, Any

from fusejax.io.pyav import VideoError, import_av

if TYPE_CHECKING:
    import av

_NATIVE = "le" if sys.byteorder == "little" else "be"
_DEPTHS = (8, 9, 10, 12, 14, 16)
_LUMA = re.compile(
    rf"gray|gray(9|10|12|14|16){_NATIVE}|yuvj?4\d\dp|yuva4\d\dp|yuva?4\d\dp(9|10|12|14|16){_NATIVE}"
    rf"|nv(12|21|16|24|42)|nv20{_NATIVE}"
)
_ABORTS = "yaf32"  # swscale 9.5 ends the process at an assertion
RGB8, RGB16 = "rgb24", f"rgb48{_NATIVE}"


def has_luma_plane(name: str) -> bool:
    """Whether the first plane of a pixel format is luma in native byte order at bit 0."""
    return _LUMA.fullmatch(name) is not None


def plain(frame: "av.VideoFrame") -> "av.VideoFrame":
    """Converts a frame to a format with a luma plane, or to RGB.

    Args:
        frame: decoded frame of any pixel format.

    Returns:
        The same frame if its luma can be used in place; otherwise one with the same times and color
        description, in a format with a luma plane, `RGB8` or `RGB16`.

    Raises:
        VideoError: if FFmpeg cannot convert the format; names it.
    """
    name = frame.format.name
    if has_luma_plane(name) or name in (RGB8, RGB16):
        return frame
    text = f"the pixel format {name} cannot be converted; convert the video first, as with ffmpeg -pix_fmt gray16le."
    if name.startswith(_ABORTS):
        raise VideoError(text)
    wanted = _nearest(frame.format)
    try:
        if wanted == RGB8 and "bayer" not in name and _bits(frame.format) < 8:
            frame = frame.reformat(format=RGB16)  # swscale's direct way to 8 bits ignores the order of the bytes
        return frame.reformat(format=wanted)
    except (OSError, ValueError, import_av().error.FFmpegError) as error:
        raise VideoError(text) from error


def _bits(pixel_format: Any) -> int:
    """Bits of the deepest component."""
    return max((part.bits for part in pixel_format.components), default=8)


def _nearest(pixel_format: Any) -> str:
    """Name of the closest plain format."""
    parts, name, bits = pixel_format.components, pixel_format.name, _bits(pixel_format)
    depth = next((depth for depth in _DEPTHS if bits <= depth), 16)
    if pixel_format.is_rgb or pixel_format.has_palette or name.startswith(("xyz", "bayer")):
        return RGB8 if bits <= 8 else RGB16
    wide = "" if depth == 8 else f"{depth}{_NATIVE}"
    if len(parts) < 3:
        return f"gray{wide}"
    across, down = (round(a / b) for a, b in zip(*_sizes(pixel_format), strict=True))
    chroma = {(1, 1): "444", (2, 1): "422", (2, 2): "420", (4, 1): "411", (4, 4): "410", (1, 2): "440"}[across, down]
    if depth == 9 and chroma not in ("420", "422", "444"):
        wide = f"10{_NATIVE}"
    return f"yuv{chroma}p{wide}"


def _sizes(pixel_format: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """Sizes of luma and chroma."""
    luma, chroma = pixel_format.components[0], pixel_format.components[1]
    return (luma.width, luma.height), (chroma.width, chroma.height)
