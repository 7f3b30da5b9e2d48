"""Images arranged in rows and columns, with or without captions."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from fusejax.io.images import from_float

Panel = Float[np.ndarray, "h _ _"]
RgbImage = UInt8[np.ndarray, "_ _ 3"]

_GAP = 4  # pixels of white between two images


def side_by_side(images: Sequence[Panel]) -> RgbImage:
    """Puts images of equal height in one row.

    Args:
        images: gray [h, w, 1] or RGB [h, w, 3], values in [0, 1].

    Returns:
        The row as 8-bit RGB.
    """
    height = images[0].shape[0]
    white = np.ones((height, _GAP, 3), np.float32)
    row = []
    for image in images:
        row += [np.broadcast_to(image, (*image.shape[:2], 3)), white]
    return from_float(np.concatenate(row[:-1], axis=1), np.uint8)


def stacked(rows: Sequence[RgbImage], *, gap: int = _GAP) -> RgbImage:
    """Puts 8-bit RGB images below each other.

    Args:
        rows: images of any size; those narrower than the widest are padded with white.
        gap: height in pixels of the white space between two images.

    Returns:
        The stack as 8-bit RGB.
    """
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, gap), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded)[:-gap]


def labeled_row(images: Mapping[str, Panel]) -> RgbImage:
    """Like `side_by_side`, with the name of each image above it.

    Args:
        images: images by name; gray [h, w, 1] or RGB [h, w, 3], values in [0, 1], of equal height.

    Returns:
        The row with its captions as 8-bit RGB.
    """
    row = side_by_side(list(images.values()))
    size = max(12, min(28, row.shape[0] // 16))
    canvas = Image.new("RGB", (row.shape[1], row.shape[0] + size + 8), "white")
    canvas.paste(Image.fromarray(row), (0, size + 8))
    draw, font, x = ImageDraw.Draw(canvas), ImageFont.load_default(size), 0
    for name, image in images.items():
        draw.text((x + 4, 3), name, fill="black", font=font)
        x += image.shape[1] + _GAP
    return np.asarray(canvas)
