"""Independent float64 implementation of the metrics in NumPy and SciPy, for one image [h, w] of
levels 0..255 at a time.

It is written from the papers and a description of the toolkits, with library routines wherever
possible (convolution, histograms, FFT), so that it shares no arithmetic with the package.
"""

import numpy as np
from scipy import ndimage, signal

SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)


def entropy(f):
    p = np.bincount(np.rint(f).astype(int).ravel(), minlength=256) / f.size
    return -np.sum(p[p > 0] * np.log2(p[p > 0]))


def joint_counts(f, s):
    pairs = np.rint(f).astype(int) * 256 + np.rint(s).astype(int)
    return np.bincount(pairs.ravel(), minlength=65536).reshape(256, 256)


def information(f, s):
    """I(F; S) in nats."""
    p = joint_counts(f, s) / f.size
    independent = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    on = p > 0
    return np.sum(p[on] * np.log(p[on] / independent[on]))


def mutual_information(f, a, b, base=2.0):
    return (information(f, a) + information(f, b)) / np.log(base)


def normalized_mutual_information(f, a, b):
    bits = [information(f, s) / np.log(2) for s in (a, b)]
    return sum(2 * i / (entropy(f) + entropy(s)) for i, s in zip(bits, (a, b), strict=True))


def stretch(x):
    return np.floor((x - x.min()) / (x.max() - x.min()) * 255 + 0.5)


def cross_entropy(f, a, b):
    p = [np.bincount(np.rint(x).astype(int).ravel(), minlength=256) / x.size for x in (f, a, b)]
    total = 0.0
    for source in p[1:]:
        on = (source > 0) & (p[0] > 0)
        total += np.sum(source[on] * np.log2(source[on] / p[0][on]))
    return total / 2


def _fmi_window(x, f):
    """One pair of 3x3 windows, cell by cell."""
    if (x == f).all():
        return 1.0
    laws = []
    for window in (x, f):
        v = window.ravel(order="F")
        v = np.ones(9) if v.max() == v.min() else (v - v.min()) / (v.max() - v.min())
        laws.append(v / v.sum())
    p, q = laws
    c = 0.0 if np.ptp(x) == 0 or np.ptp(f) == 0 else np.corrcoef(p, q)[0, 1]
    cells = np.arange(1, 10)
    sd = [np.sqrt(np.sum(law * (cells - np.sum(law * cells)) ** 2)) for law in laws]
    big_p, big_q = np.cumsum(p), np.cumsum(q)
    bound = np.zeros((10, 10))
    for i in range(9):
        for j in range(9):
            upper, lower = min(big_p[i], big_q[j]), max(big_p[i] + big_q[j] - 1, 0)
            bound[i + 1, j + 1] = upper if c >= 0 else lower
    covariance = np.sum(bound[1:, 1:] - np.outer(big_p, big_q))
    weight = 0.0 if c == 0 or sd[0] * sd[1] == 0 else c / (covariance / (sd[0] * sd[1]))
    law = bound[1:, 1:] - bound[:-1, 1:] - bound[1:, :-1] + bound[:-1, :-1]
    joint = weight * law + (1 - weight) * np.outer(p, q)

    def bits(v):
        v = v[np.abs(v) > 0]
        return -np.sum(v * np.log2(np.abs(v)))

    both = bits(p) + bits(q)
    return 0.0 if both == 0 else 2 * (both - bits(joint)) / both


def feature_mutual_information(f, a, b, feature="pixel"):
    if feature == "gradient":
        f, a, b = (np.gradient(x, axis=1) for x in (f, a, b))
    h, w = f.shape
    windows = [np.s_[i : i + 3, j : j + 3] for i in range(h - 2) for j in range(w - 2)]
    return np.mean([(_fmi_window(a[k], f[k]) + _fmi_window(b[k], f[k])) / 2 for k in windows])


def standard_deviation(f):
    return f.std()


def mse(f, a, b):
    return (np.mean((f - a) ** 2) + np.mean((f - b) ** 2)) / 2


def psnr(f, a, b, peak=255.0):
    return 10 * np.log10(peak**2 / mse(f, a, b))


def correlation(f, a, b):
    return (np.corrcoef(f.ravel(), a.ravel())[0, 1] + np.corrcoef(f.ravel(), b.ravel())[0, 1]) / 2


def scd(f, a, b):
    r = lambda x, y: np.corrcoef(x.ravel(), y.ravel())[0, 1]  # noqa: E731
    return r(f - b, a) + r(f - a, b)


def spatial_frequency(f, over="pixels"):
    dx, dy = np.diff(f, axis=1) ** 2, np.diff(f, axis=0) ** 2
    if over == "pixels":
        return np.sqrt((dx.sum() + dy.sum()) / f.size)
    return np.sqrt(dx.mean() + dy.mean())


def average_gradient(f, difference="forward", over="inner"):
    if difference == "forward":
        gx, gy = np.diff(f, axis=1)[:-1], np.diff(f, axis=0)[:, :-1]
    else:
        gy, gx = np.gradient(f)
    count = f.size if over == "pixels" else (f.shape[0] - 1) * (f.shape[1] - 1)
    return np.sqrt((gx**2 + gy**2) / 2).sum() / count


def edge_intensity(f):
    gx, gy = (ndimage.correlate(f, k, mode="nearest") for k in (SOBEL_X, SOBEL_X.T))
    return np.hypot(gx, gy).mean()


def qabf(f, a, b):
    def edges(x):
        sx = ndimage.convolve(x, SOBEL_X, mode="constant")
        sy = ndimage.convolve(x, -SOBEL_X.T, mode="constant")
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.hypot(sx, sy), np.where(sx == 0, np.pi / 2, np.arctan(sy / sx))

    gf, af = edges(f)
    kept = total = 0.0
    for source in (a, b):
        g, angle = edges(source)
        with np.errstate(divide="ignore", invalid="ignore"):
            strength = np.where(g == 0, 0.0, np.minimum(g, gf) / np.maximum(g, gf))
        alignment = 1 - np.abs(angle - af) / (np.pi / 2)
        q = 0.9994 / (1 + np.exp(-15 * (strength - 0.5))) * 0.9879 / (1 + np.exp(-22 * (alignment - 0.8)))
        kept, total = kept + np.sum(q * g), total + g.sum()
    return kept / total


def nabf(f, a, b):
    def edges(x):
        gx, gy = (ndimage.correlate(x, k / 8, mode="mirror") for k in (SOBEL_X, SOBEL_X.T))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.hypot(gx, gy), np.where((gx == 0) & (gy == 0), 0.0, np.arctan(gx / gy))

    gf, af = edges(f)
    both = [edges(a), edges(b)]
    artefact = (gf > both[0][0]) & (gf > both[1][0])
    lost = total = 0.0
    for g, angle in both:
        with np.errstate(divide="ignore", invalid="ignore"):
            strength = np.where((g == 0) | (gf == 0), 0.0, np.minimum(g, gf) / np.maximum(g, gf))
        alignment = np.abs(np.abs(angle - af) - np.pi / 2) * 2 / np.pi
        q = np.sqrt(0.9999 / (1 + np.exp(-19 * (strength - 0.5))) * 0.9995 / (1 + np.exp(-22 * (alignment - 0.5))))
        weight = np.where(g >= 2, g**1.5, 0.001)
        lost, total = lost + np.sum(artefact * (1 - q) * weight), total + weight.sum()
    return lost / total


def gaussian(size, sigma):
    k = signal.windows.gaussian(size, sigma)
    return k / k.sum()


def smooth(x, taps):
    """Separable window where it fits."""
    half = len(taps) // 2
    y = ndimage.correlate1d(ndimage.correlate1d(x, taps, axis=0), taps, axis=1)
    return y[half : x.shape[0] - half, half : x.shape[1] - half]


def moments(x, y, taps):
    mx, my = smooth(x, taps), smooth(y, taps)
    return mx, my, smooth(x * x, taps) - mx * mx, smooth(y * y, taps) - my * my, smooth(x * y, taps) - mx * my


def ssim_maps(x, y, data_range=255.0, taps=None, sample=1.0):
    mx, my, vx, vy, vxy = moments(x, y, gaussian(11, 1.5) if taps is None else taps)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1), (2 * sample * vxy + c2) / (sample * (vx + vy) + c2)


def ssim(f, a, b, **options):
    return np.mean([np.mean(np.prod(ssim_maps(f, s, **options), axis=0)) for s in (a, b)])


def ms_ssim(f, a, b, data_range=255.0):
    def one(x, y):
        value = 1.0
        powers = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
        for i, power in enumerate(powers):
            luminance, structure = ssim_maps(x, y, data_range)
            value *= max(np.mean(structure * luminance if i == 4 else structure), 0) ** power
            kernel = np.full((2, 2), 0.25)
            x, y = (ndimage.correlate(z, kernel, mode="reflect", origin=-1)[::2, ::2] for z in (x, y))
        return value

    return (one(f, a) + one(f, b)) / 2


def vif_maps(source, target, noise=2.0):
    for i, size in enumerate((17, 9, 5, 3)):
        taps = gaussian(size, size / 5)
        if i:
            source, target = smooth(source, taps)[::2, ::2], smooth(target, taps)[::2, ::2]
        _, _, vs, vt, cov = moments(source, target, taps)
        vs, vt = np.maximum(vs, 0), np.maximum(vt, 0)
        gain = cov / (vs + 1e-10)
        rest = vt - gain * cov
        flat = vs < 1e-10
        gain[flat], rest[flat], vs[flat] = 0, vt[flat], 0
        still = vt < 1e-10
        gain[still], rest[still] = 0, 0
        against = gain < 0
        rest[against], gain[against] = vt[against], 0
        rest = np.maximum(rest, 1e-10)
        yield np.log10(1 + gain**2 * vs / (rest + noise)), np.log10(1 + vs / noise), gain


def vif(f, a, b):
    def one(source):
        maps = list(vif_maps(source, f))
        return sum(k.sum() for k, _, _ in maps) / sum(c.sum() for _, c, _ in maps)

    return (one(a) + one(b)) / 2


def viff(f, a, b):
    value = 0.0
    both = zip(vif_maps(a, f, 0.005 * 255**2), vif_maps(b, f, 0.005 * 255**2), strict=True)
    for weight, (first, second) in zip((1, 0, 0.15, 1), both, strict=True):
        pick = first[2] < second[2]
        kept, carried = (np.where(pick, first[i], second[i]) + 1e-7 for i in (0, 1))
        value += weight / 2.15 * kept.sum() / carried.sum()
    return value
