"""Homographies between two images: 3x3 matrices on pixels (x, y), whose centers are at integers."""

import numpy as np


def map_points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Maps points by a homography.

    Args:
        matrix: [3, 3].
        points: [n, 2], x and y in pixels.

    Returns:
        float64 [n, 2], in pixels.
    """
    points = np.asarray(points, np.float64)
    mapped = np.concatenate([points, np.ones((len(points), 1))], axis=1) @ np.asarray(matrix, np.float64).T
    return mapped[:, :2] / mapped[:, 2:]


def corners(size: tuple[int, int]) -> np.ndarray:
    """Centers of the corner pixels of an image.

    Args:
        size: height and width in pixels.

    Returns:
        float64 [4, 2]: x and y, clockwise from the upper left.
    """
    h, w = size
    return np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], np.float64)


def resampling(x: float, y: float) -> np.ndarray:
    """Matrix from a pixel of an image to the pixel of the image resampled by these factors."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]], np.float64)


def translation(x: float, y: float) -> np.ndarray:
    """Matrix of a shift by (x, y) pixels."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def to_unit(size: tuple[int, int]) -> np.ndarray:
    """Matrix from pixels to coordinates with origin at the center and 1 at half the longer side."""
    h, w = size
    half = max(h, w) / 2
    return np.array([[1 / half, 0, -(w - 1) / 2 / half], [0, 1 / half, -(h - 1) / 2 / half], [0, 0, 1]])
