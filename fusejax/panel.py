"""Pictures side by side."""

import numpy as np

from fusejax.data.images import from_float


def side_by_side(pictures: list[np.ndarray], *, gap: int = 4) -> np.ndarray:
    """Pictures of equal height, grey [h, w, 1] or RGB [h, w, 3] in [0, 1], in one row: RGB uint8, gaps in white."""
    height = pictures[0].shape[0]
    white = np.ones((height, gap, 3), np.float32)
    row = []
    for picture in pictures:
        row += [np.broadcast_to(picture, (*picture.shape[:2], 3)), white]
    return from_float(np.concatenate(row[:-1], axis=1), np.uint8)
