"""How well two images line up: against a true transform, against points, or by what they share."""

import numpy as np
from jaxtyping import Float

from fusejax.registration.geometry import corners, map_points


def corner_error(matrix: Float[np.ndarray, "3 3"], truth: Float[np.ndarray, "3 3"], *, size: tuple[int, int]) -> float:
    """Mean distance of the image's corners under two transforms (DeTone et al. 2016).

    Args:
        matrix: estimate, from a visible to an infrared pixel.
        truth: the same for the true transform.
        size: height and width of the visible image.

    Returns:
        Pixels of the infrared image.
    """
    frame = corners(size)
    return float(np.linalg.norm(map_points(matrix, frame) - map_points(truth, frame), axis=1).mean())


def endpoint_error(
    matrix: Float[np.ndarray, "3 3"], truth: Float[np.ndarray, "3 3"], *, size: tuple[int, int]
) -> float:
    """Mean distance of all pixels under two transforms (Otte and Nagel 1994).

    Args:
        matrix: estimate, from a visible to an infrared pixel.
        truth: the same for the true transform.
        size: height and width of the visible image.

    Returns:
        Pixels of the infrared image.
    """
    h, w = size
    points = np.stack(np.meshgrid(np.arange(w), np.arange(h)), axis=-1).reshape(-1, 2)
    return float(np.linalg.norm(map_points(matrix, points) - map_points(truth, points), axis=1).mean())


def landmark_error(
    matrix: Float[np.ndarray, "3 3"], vi_points: Float[np.ndarray, "n 2"], ir_points: Float[np.ndarray, "n 2"]
) -> float:
    """Mean distance between mapped points of the visible image and points of the infrared image.

    Target registration error of Fitzpatrick and West 2001; hand-set points carry errors of their
    own.

    Args:
        matrix: from a visible to an infrared pixel.
        vi_points: x and y in the visible image.
        ir_points: the same points in the infrared image.

    Returns:
        Pixels of the infrared image.
    """
    return float(np.linalg.norm(map_points(matrix, vi_points) - ir_points, axis=1).mean())


def mutual_information(a: Float[np.ndarray, "h w"], b: Float[np.ndarray, "h w"], *, bins: int = 32) -> float:
    """Mutual information of the joint histogram of two images (Viola and Wells 1995).

    Args:
        a: image in any range; NaN pixels are left out.
        b: image that should line up with it, likewise.
        bins: number of equal bins from the lowest to the highest value.

    Returns:
        Bits, at least 0; 0 if no pixel is left.
    """
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        return 0.0
    joint, _, _ = np.histogram2d(a[both], b[both], bins=bins)
    joint = joint / joint.sum()
    alone = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    some = joint > 0
    return float((joint[some] * np.log2(joint[some] / alone[some])).sum())


def normalized_correlation(a: Float[np.ndarray, "h w"], b: Float[np.ndarray, "h w"]) -> float:
    """Normalized cross-correlation of two images (Lewis 1995).

    Args:
        a: image in any range; NaN pixels are left out.
        b: image that should line up with it, likewise.

    Returns:
        From -1 to 1; 0 if one of them is flat.
    """
    both = np.isfinite(a) & np.isfinite(b)
    if not both.any():
        return 0.0
    x, y = (v[both].astype(np.float64) - v[both].mean(dtype=np.float64) for v in (a, b))
    energy = np.sqrt((x * x).sum() * (y * y).sum())
    return float((x * y).sum() / energy) if energy > 1e-12 else 0.0


def gradient_correlation(a: Float[np.ndarray, "h w"], b: Float[np.ndarray, "h w"]) -> float:
    """Normalized correlation of gradient magnitudes, by central differences.

    A form of gradient correlation (Penney et al. 1998) that does not depend on the sign of edges,
    which differs between infrared and visible images.

    Args:
        a: image in any range; NaN pixels, and their neighbors, are left out.
        b: image that should line up with it, likewise.

    Returns:
        From -1 to 1; 0 if one of them is flat.
    """
    return normalized_correlation(*(np.hypot(*np.gradient(x)) for x in (a, b)))


def folding(x: Float[np.ndarray, "h w"], y: Float[np.ndarray, "h w"]) -> float:
    """Share of pixels where a deformation folds: a Jacobian that is not positive (Ashburner 2007).

    Args:
        x: column of the other image for every pixel.
        y: row, likewise.

    Returns:
        From 0 to 1.
    """
    (x_down, x_right), (y_down, y_right) = np.gradient(x), np.gradient(y)
    return float((x_right * y_down - x_down * y_right <= 0).mean())
