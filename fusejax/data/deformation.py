"""Made-up deformations: a small homography and a smooth elastic field, in pixels."""

import cv2
import numpy as np
from jaxtyping import Float, Shaped

Field = Float[np.ndarray, "h w 2"]


def homography_field(size: tuple[int, int], rng: np.random.Generator, *, corner: float) -> Field:
    """Displacements of a random homography.

    Args:
        size: height and width in pixels.
        rng: source of the draws.
        corner: largest displacement of each corner along each axis, in pixels; uniform.

    Returns:
        x and y displacement of every pixel, float32.
    """
    h, w = size
    frame = np.array([[0, 0], [w - 1, 0], [w - 1, h - 1], [0, h - 1]], np.float32)
    moved = frame + rng.uniform(-corner, corner, (4, 2)).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(frame, moved)
    points = _grid(size).reshape(-1, 1, 2)
    return (cv2.perspectiveTransform(points, matrix) - points).reshape(h, w, 2).astype(np.float32)


def elastic_field(size: tuple[int, int], rng: np.random.Generator, *, amount: float, sigma: float) -> Field:
    """A smooth random field of displacements.

    Args:
        size: height and width in pixels.
        rng: source of the draws.
        amount: standard deviation of the displacement along each axis over the image, in pixels.
        sigma: of the Gaussian that smooths it, in pixels.

    Returns:
        x and y displacement of every pixel, float32.
    """
    margin = int(np.ceil(3 * sigma))
    noise = rng.standard_normal((size[0] + 2 * margin, size[1] + 2 * margin, 2)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)[margin : margin + size[0], margin : margin + size[1]]
    # Smoothing with a Gaussian leaves white noise the deviation 1 / (2 sqrt(pi) sigma).
    return (amount * 2 * np.sqrt(np.pi) * sigma * smooth).astype(np.float32)


def displaced(image: Shaped[np.ndarray, "h w c"], field: Field) -> Shaped[np.ndarray, "h w c"]:
    """Samples an image at displaced pixels.

    Args:
        image: [h, w, c], float32 or uint8.
        field: x and y displacement of every pixel; what lies beyond the image repeats its border.

    Returns:
        The image whose pixel p shows that of `image` at p + field(p), bilinearly.
    """
    x, y = np.moveaxis(_grid(image.shape[:2]) + field, -1, 0)
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(image.shape)


def _grid(size: tuple[int, int]) -> Float[np.ndarray, "h w 2"]:
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return np.stack([x, y], axis=-1)
