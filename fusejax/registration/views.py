"""Working images: logarithmic gray, canvases and views of a fixed set of sizes."""

import cv2
import numpy as np

from fusejax.registration.geometry import corners, map_points, resampling, translation

_LOG_OFFSET = 0.03  # lifts dark structure without turning sensor noise into structure
_SMALLEST = 48  # shorter side of the top of a pyramid, pixels


def gray(image: np.ndarray) -> np.ndarray:
    """Luma on a scale from the first to the last half percent of the image, as a logarithm.

    Args:
        image: [h, w], [h, w, 1] or [h, w, 3], any number type and range.

    Returns:
        float32 [h, w].
    """
    x = np.asarray(image, np.float32)
    if x.ndim == 3:
        x = x @ np.array([0.299, 0.587, 0.114], np.float32) if x.shape[2] == 3 else x[..., 0]
    step = max(1, max(x.shape) // 512)
    low, high = np.percentile(x[::step, ::step], [0.5, 99.5])
    return np.log(np.clip((x - low) / max(high - low, 1e-9), 0, 1.2) + _LOG_OFFSET).astype(np.float32)


def canvas(image: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A whole image on a square, its longer side as long as the square.

    Returns:
        The canvas [side, side], with repeated border pixels; the mask of the image; the matrix from
        pixels of the image to pixels of the canvas.
    """
    h, w = image.shape
    factor = side / max(h, w)
    rows, columns = (max(8, round(n * factor)) for n in (h, w))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    top, left = (side - rows) // 2, (side - columns) // 2
    around = (top, side - rows - top, left, side - columns - left)
    mask = cv2.copyMakeBorder(np.ones_like(small), *around, cv2.BORDER_CONSTANT, value=0)
    matrix = translation(left, top) @ resampling(columns / w, rows / h)
    return cv2.copyMakeBorder(small, *around, cv2.BORDER_REPLICATE), mask, matrix


class Pyramid:
    """An image at halved sizes, to be warped without aliasing.

    Attributes:
        size: height and width of the image.
    """

    def __init__(self, image: np.ndarray):
        """Halves a float32 image [h, w] down to a shorter side of about 48 pixels."""
        self.size = image.shape
        self._levels = [(image, np.eye(3))]
        while min(self._levels[-1][0].shape) > 2 * _SMALLEST:
            x, matrix = self._levels[-1]
            h, w = x.shape
            half = cv2.resize(x, ((w + 1) // 2, (h + 1) // 2), interpolation=cv2.INTER_AREA)
            self._levels.append((half, resampling(half.shape[1] / w, half.shape[0] / h) @ matrix))

    def view(self, matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """A view of that size, and where it is valid; `matrix` leads from it to the image."""
        h, w = size
        p = map_points(matrix, np.array([[w / 2, h / 2], [w / 2 + 1, h / 2], [w / 2, h / 2 + 1]]))
        step = np.sqrt(abs(np.linalg.det(np.stack([p[1] - p[0], p[2] - p[0]]))))
        level = int(np.clip(np.floor(np.log2(max(step, 1e-6) * 1.01)), 0, len(self._levels) - 1))
        image, to_level = self._levels[level]
        rest = step / 2**level
        if rest > 1.05:
            image = cv2.GaussianBlur(image, (0, 0), 0.5 * np.sqrt(min(rest, 64.0) ** 2 - 1))
        flags, full = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, to_level @ matrix
        seen = cv2.warpPerspective(image, full, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpPerspective(np.ones_like(image), full, (w, h), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        return seen, (mask > 0.99).astype(np.float32)


def common_view(
    matrix: np.ndarray, vi_size: tuple[int, int], ir_size: tuple[int, int], side: int
) -> tuple[np.ndarray, tuple[int, int]] | None:
    """The part of the visible image that the infrared camera sees, as a grid of fixed size.

    Returns:
        The matrix from a pixel of the grid to one of the visible image, and the height (half, three
        quarters or all of `side`) and width of the grid; None if the images hardly overlap.
    """
    seen, whole = map_points(np.linalg.inv(matrix), corners(ir_size)), corners(vi_size)
    low, high = np.maximum(seen.min(axis=0), whole.min(axis=0)), np.minimum(seen.max(axis=0), whole.max(axis=0))
    extent = high - low
    if not np.isfinite(extent).all() or min(extent) < 8:
        return None
    factor = (side - 1) / extent.max()
    rows = next((r for r in (side // 2, side * 3 // 4) if r - 1 >= extent[1] * factor), side)
    left, top = (side - 1 - extent[0] * factor) / 2, (rows - 1 - extent[1] * factor) / 2
    return translation(*low) @ np.diag([1 / factor, 1 / factor, 1.0]) @ translation(-left, -top), (rows, side)
