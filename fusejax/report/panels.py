"""Pictures side by side."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fusejax.data.images import from_float


def side_by_side(pictures: list[np.ndarray], *, gap: int = 4) -> np.ndarray:
    """Pictures of equal height, grey [h, w, 1] or RGB [h, w, 3] in [0, 1], in one row: RGB uint8, gaps in white."""
    height = pictures[0].shape[0]
    white = np.ones((height, gap, 3), np.float32)
    row = []
    for picture in pictures:
        row += [np.broadcast_to(picture, (*picture.shape[:2], 3)), white]
    return from_float(np.concatenate(row[:-1], axis=1), np.uint8)


def stacked(rows: Sequence[np.ndarray], *, gap: int = 4) -> np.ndarray:
    """RGB uint8 pictures below each other, white where one is narrower than the widest."""
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, gap), (0, width - row.shape[1]), (0, 0)), constant_values=255) for row in rows]
    return np.concatenate(padded)[:-gap]


def labelled_row(pictures: dict[str, np.ndarray], *, gap: int = 4) -> np.ndarray:
    """`side_by_side` with each picture's name above it."""
    row = side_by_side(list(pictures.values()), gap=gap)
    size = max(12, min(28, row.shape[0] // 16))
    canvas = Image.new("RGB", (row.shape[1], row.shape[0] + size + 8), "white")
    canvas.paste(Image.fromarray(row), (0, size + 8))
    draw, font, x = ImageDraw.Draw(canvas), ImageFont.load_default(size), 0
    for name, picture in pictures.items():
        draw.text((x + 4, 3), name, fill="black", font=font)
        x += picture.shape[1] + gap
    return np.asarray(canvas)
