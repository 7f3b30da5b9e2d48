"""Independent float64 implementation of the perceptual metrics and of color deviation."""

import numpy as np
from metrics_reference import SOBEL_X
from scipy import ndimage, signal


def _seen(x, sensitivity, pixels):
    h, w = x.shape
    u, v = np.meshgrid(w / pixels * 2 * np.fft.fftfreq(w), h / pixels * 2 * np.fft.fftfreq(h))
    return np.real(np.fft.ifft2(np.fft.fft2(x) * sensitivity(np.hypot(u, v))))


def qcb(f, a, b):
    def masked(x):
        seen = _seen(x, lambda r: np.exp(-((r / 15.387) ** 2)) - 0.7622 * np.exp(-((r / 1.3456) ** 2)), 30)
        t = np.arange(-15, 16)
        g2, g4 = (np.exp(-(t[:, None] ** 2 + t**2) / (2 * s * s)) / (2 * np.pi * s * s) for s in (2, 4))
        c = np.abs(signal.convolve2d(seen, g2, "same") / signal.convolve2d(seen, g4, "same") - 1)
        return c**3 / (c**2 + 1e-4)

    f, a, b = masked(f), masked(a), masked(b)
    q = [np.minimum(s, f) / np.maximum(s, f) for s in (a, b)]
    return np.mean((a**2 * q[0] + b**2 * q[1]) / (a**2 + b**2))


def qcv(f, a, b):
    def blocks(x):
        x = np.pad(x, ((0, -x.shape[0] % 16), (0, -x.shape[1] % 16)))
        return x.reshape(x.shape[0] // 16, 16, -1, 16).sum((1, 3))

    error = weight = 0.0
    for source in (a, b):
        gx, gy = (ndimage.correlate(source, k, mode="constant") for k in (SOBEL_X, SOBEL_X.T))
        saliency = blocks(np.hypot(gx, gy) ** 5)
        seen = _seen(source - f, lambda r: 2.6 * (0.0192 + 0.144 * r) * np.exp(-((0.144 * r) ** 1.1)), 8)
        error, weight = error + np.sum(saliency * blocks(seen**2) / 256), weight + saliency.sum()
    return error / weight


def color_deviation(fused, vi):
    """Mean angle of RGB vectors, radians; black pixels count as zero."""
    x, y = vi.reshape(-1, 3), fused.reshape(-1, 3)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    on = norms > 0
    return np.arccos(np.clip(np.sum(x * y, axis=1)[on] / norms[on], -1, 1)).sum() / len(x)
