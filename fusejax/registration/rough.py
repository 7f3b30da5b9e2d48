"""A rough measure of misalignment that costs a twentieth of a second and needs no compilation."""

import cv2
import numpy as np
from jaxtyping import Float

from fusejax.registration.views import gray

_WIDTH = 320  # of the working images, pixels
_BINS = 6  # of the direction of gradients, modulo 180 degrees
_NEAR, _FAR = 1.2, 6.0  # sigmas: of the channels, and of the strength that they are divided by
_REACH = 0.06  # of the width: largest shift that is looked for


def rough_residual(ir: np.ndarray, vi: np.ndarray) -> float:
    """Median over the four quarters of the image of the shift at which gradient directions agree.

    The channels of gradient directions are a simple form of CFOG (Ye et al. 2019). Much less sure
    than `is_aligned`: what it finds above 3 pixels should be looked at by that.

    Args:
        ir: infrared image, [h, w] or [h, w, c], any number type and range.
        vi: visible image, likewise; infrared is resampled to its size.

    Returns:
        Pixels of the visible image.
    """
    width = min(_WIDTH, vi.shape[1])
    height = max(16, round(vi.shape[0] * width / vi.shape[1]))
    a, b = (_channels(cv2.resize(gray(x), (width, height), interpolation=cv2.INTER_AREA)) for x in (vi, ir))
    rows, columns = height // 2, width // 2
    window = np.outer(np.hanning(rows), np.hanning(columns)).astype(np.float32)[..., None]
    shifts = []
    for top in (0, height - rows):
        for left in (0, width - columns):
            part = np.s_[top : top + rows, left : left + columns]
            shifts.append(_shift(a[part] * window, b[part] * window, reach=int(np.ceil(_REACH * width))))
    return float(np.median(shifts)) * vi.shape[1] / width


def _channels(image: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w c"]:
    x, y = (cv2.Sobel(image, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    strength, angle = np.hypot(x, y), np.arctan2(y, x)
    found = [np.maximum(np.cos(2 * (angle - np.pi * k / _BINS)), 0) ** 2 * strength for k in range(_BINS)]
    found = cv2.GaussianBlur(np.stack(found, axis=-1), (0, 0), _NEAR)
    around = cv2.GaussianBlur(strength, (0, 0), _FAR) + 0.05 * strength.mean() + 1e-6
    found = found / around[..., None]
    return found - found.mean(axis=-1, keepdims=True)


def _shift(a: np.ndarray, b: np.ndarray, *, reach: int) -> float:
    """Length of the shift with the highest correlation, in pixels."""
    spectra = (np.fft.rfft2(x, axes=(0, 1)) for x in (a, b))
    rows, columns = a.shape[:2]
    surface = np.fft.irfft2((next(spectra).conj() * next(spectra)).sum(axis=-1), s=(rows, columns))
    y, x = (np.minimum(reach, n // 2 - 1) for n in (rows, columns))
    near = np.roll(surface, (y, x), axis=(0, 1))[: 2 * y + 1, : 2 * x + 1]
    row, column = np.unravel_index(near.argmax(), near.shape)
    return float(np.hypot(row - y, column - x))
