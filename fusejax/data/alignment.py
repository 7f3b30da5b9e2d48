"""Top-K selective channel alignment (CrossFuse, arXiv 2502.14493), visible images only.

The K patches of an auxiliary set that are closest in brightness to a target set are selected, and
one gamma per color channel maps their mean to the target's. Everything is computed from histograms
of patches, so images are processed one at a time and memory does not grow with their number. Colors
are in the order R, G, B on the scale 0..255; the author's code, `top_k_alignment.py`, uses B, G, R.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy.lib.stride_tricks import sliding_window_view

from fusejax.io.images import as_visible, from_float, to_float

CHANNELS = ("red", "green", "blue")
IDENTITY = np.tile(np.arange(256), (3, 1))

_BISECTIONS = 60  # of a range of log(cap): below the spacing of float64
_FLOOR_SLACK = 1e-9  # 255 * (x / 255) may be just below x, and the floor would then lose a whole level

Rgb3 = tuple[float, float, float]
Images = Iterable[tuple[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class AlignConfig:
    """Settings for cutting, selecting and fitting.

    Attributes:
        patch: side of the square patches in pixels.
        stride: distance between patches in pixels, from the top left corner; incomplete patches are
            dropped.
        k: number of patches to keep; all if there are fewer. The author's scripts use 800 and 1000.
        gamma_cap: gammas are limited to 1/cap to cap; a black channel cannot reach any target.
        order: `choose_then_fit` fits the gammas to the selected patches (the author's code);
            `fit_then_choose` fits them to all auxiliary patches and selects among the corrected
            ones (the paper, according to a review of it).
    """

    patch: int = 64
    stride: int = 200
    k: int = 800
    gamma_cap: float = 20.0
    order: Literal["choose_then_fit", "fit_then_choose"] = "choose_then_fit"

    def __post_init__(self):
        for name in ("patch", "stride", "k"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}; it must be an integer of at least 1.")
        if not 1 < self.gamma_cap < math.inf:
            raise ValueError(f"gamma_cap is {self.gamma_cap}; it must be above 1.")
        if self.order not in ("choose_then_fit", "fit_then_choose"):
            raise ValueError(f"order is {self.order!r}; expected choose_then_fit or fit_then_choose.")


@dataclasses.dataclass(frozen=True)
class Patch:
    """One auxiliary patch.

    It holds the distance to the target in gray levels, the position, and the histogram [3, 256].
    """

    distance: float
    name: str
    top: int
    left: int
    histogram: np.ndarray

    def rank(self) -> tuple:
        """The sort key of patches.

        The position breaks ties, so that the result does not depend on the order of the images.
        """
        return self.distance, self.name, self.top, self.left


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Result of selecting and fitting.

    Attributes:
        target: pooled histograms [3, 256] of the target's patches.
        before: pooled histograms [3, 256] of the selected patches, as they are.
        after: the same, corrected by the tables.
        gammas: one per channel.
        patches: selected patches, closest first.
        seen: number of auxiliary patches that were compared.
        warnings: one line per gamma that reached its cap, and one if more than half of the patches
            were kept.
    """

    target: np.ndarray
    before: np.ndarray
    after: np.ndarray
    gammas: Rgb3
    patches: list[Patch]
    seen: int
    warnings: tuple[str, ...]


def eight_bit(pixels: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """Converts a visible image to 8-bit RGB.

    16-bit values are rounded to the nearest level; gray is repeated.
    """
    pixels = as_visible(pixels)
    return pixels if pixels.dtype == np.uint8 else from_float(to_float(pixels), np.uint8)


def patch_rows(images: Images, config: AlignConfig) -> Iterator[tuple[str, int, range, np.ndarray]]:
    """Cuts one row of patches after the other; an image smaller than the patch has none.

    Args:
        images: iterable of (name, uint8 [h, w, 3]).
        config: patch size and stride.

    Yields:
        Name of the image, top, lefts, histograms int64 [n, 3, 256].

    Raises:
        ValueError: at the end, if no image contained a patch.
    """
    side, largest, found = config.patch, (0, 0, "none"), False
    for name, image in images:
        h, w = image.shape[:2]
        largest = max(largest, (h, w, name), key=lambda x: min(x[:2]))
        if min(h, w) < side:
            continue
        found = True
        lefts = range(0, w - side + 1, config.stride)
        first_bin = 256 * np.arange(3 * len(lefts)).reshape(-1, 3, 1)
        for top in range(0, h - side + 1, config.stride):
            windows = sliding_window_view(image[top : top + side], side, axis=1)[:, :: config.stride]
            counts = np.bincount((windows + first_bin).ravel(), minlength=first_bin.size * 256)
            yield name, top, lefts, counts.reshape(-1, 3, 256)
    if not found:
        h, w, name = largest
        raise ValueError(f"No patch of {side}x{side} fits: the largest image, {name}, is {w}x{h}; lower the patch.")


def pooled_histogram(images: Images, config: AlignConfig) -> Int[np.ndarray, "3 256"]:
    """Histogram over all patches, per channel; its mean is the mean of the patches' means."""
    rows = (counts.sum(axis=0) for _, _, _, counts in patch_rows(images, config))
    return functools.reduce(np.add, rows)


def channel_means(histograms: Int[np.ndarray, "*n 3 256"], levels: np.ndarray = IDENTITY) -> Float[np.ndarray, "*n 3"]:
    """Means per channel, where gray level x counts as `levels[channel, x]`."""
    return (histograms * levels).sum(axis=-1) / histograms.sum(axis=-1)


class NearestPatches:
    """The k patches closest to a target, closest first, updated with rows of patches.

    It never holds more than k patches. The distance is the sum over channels of |mean of the patch
    - mean of the target|, in gray levels.

    Args:
        target_mean: R, G, B.
        k: number of patches to keep.
        levels: [3, 256], the value of each gray level; the identity compares uncorrected patches.
    """

    def __init__(self, target_mean: np.ndarray, k: int, levels: np.ndarray = IDENTITY):
        self.target_mean, self.k, self.levels = target_mean, k, levels
        self.best: list[Patch] = []
        self.seen = 0

    def add(self, name: str, top: int, lefts: range, histograms: np.ndarray) -> None:
        distances = np.abs(channel_means(histograms, self.levels) - self.target_mean).sum(axis=-1)
        self.seen += len(distances)
        worst = self.best[-1].distance if len(self.best) == self.k else math.inf
        new = [
            Patch(float(distances[n]), name, top, lefts[n], histograms[n].astype(np.uint32))
            for n in np.flatnonzero(distances <= worst)
        ]
        if new:
            self.best = sorted(self.best + new, key=Patch.rank)[: self.k]


def gamma_curve(gamma: float) -> Float[np.ndarray, "256"]:
    """255 (x / 255)^(1 / gamma) for x = 0..255; above 1 brightens."""
    return 255 * (np.arange(256) / 255) ** (1 / gamma)


def gamma_table(gamma: float) -> UInt8[np.ndarray, "256"]:
    """`gamma_curve` rounded down to gray levels, as in the author's code.

    Levels 0 and 255 are fixed, and a gamma of 1 changes nothing.
    """
    return np.floor(gamma_curve(gamma) + _FLOOR_SLACK).astype(np.uint8)


def gamma_tables(gammas: Rgb3) -> UInt8[np.ndarray, "3 256"]:
    return np.stack([gamma_table(gamma) for gamma in gammas])


def fit_gamma(
    histogram: Int[np.ndarray, "256"],
    target_mean: float,
    *,
    cap: float,
    curve: Callable[[float], np.ndarray] = gamma_table,
) -> float:
    """The gamma in [1/cap, cap] that brings the mean of one channel closest to the target.

    The mean never decreases as gamma increases, so bisection in log gamma finds it; the author's
    code minimizes the same distance with Nelder-Mead. With the table, the target is reached to
    within the fraction of pixels in one gray level; with `gamma_curve`, to rounding.
    """

    def excess(log_gamma: float) -> float:
        return float((histogram * curve(math.exp(log_gamma))).sum() / histogram.sum()) - target_mean

    if abs(excess(0.0)) < _FLOOR_SLACK:
        return 1.0
    low, high = -math.log(cap), math.log(cap)
    if excess(high) <= 0:
        return cap
    if excess(low) >= 0:
        return 1 / cap
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if excess(middle) < 0:
            low = middle
        else:
            high = middle
    nearest = math.exp(min(low, high, key=lambda x: abs(excess(x))))
    return min(max(nearest, 1 / cap), cap)


def align(target: Images, auxiliary: Images, config: AlignConfig) -> Alignment:
    """Selects the patches and fits the gammas.

    Args:
        target: iterable of (name, uint8 [h, w, 3]); names are unique.
        auxiliary: likewise. `fit_then_choose` iterates over it twice, so it must not be a generator
            in that case.
        config: settings for cutting, selecting and fitting.

    Returns:
        The selected patches, the gammas, and the histograms for judging them.

    Raises:
        ValueError: if no patch fits into any image of a set.
    """
    wanted = pooled_histogram(target, config)
    target_mean = channel_means(wanted)

    def fit(histogram: np.ndarray) -> Rgb3:
        red, green, blue = (fit_gamma(histogram[c], float(target_mean[c]), cap=config.gamma_cap) for c in range(3))
        return red, green, blue

    gammas = None if config.order == "choose_then_fit" else fit(pooled_histogram(auxiliary, config))
    nearest = NearestPatches(target_mean, config.k, IDENTITY if gammas is None else gamma_tables(gammas))
    for row in patch_rows(auxiliary, config):
        nearest.add(*row)
    before = np.stack([patch.histogram for patch in nearest.best]).sum(axis=0, dtype=np.int64)
    gammas = gammas or fit(before)
    after = _moved(before, gamma_tables(gammas))
    return Alignment(
        target=wanted,
        before=before,
        after=after,
        gammas=gammas,
        patches=nearest.best,
        seen=nearest.seen,
        warnings=_cap_warnings(gammas, target_mean, channel_means(after), config.gamma_cap)
        + _choice_warnings(len(nearest.best), nearest.seen),
    )


def _moved(histogram: np.ndarray, tables: np.ndarray) -> Int[np.ndarray, "3 256"]:
    """The histogram after applying one table per channel."""
    moved = np.zeros_like(histogram)
    for channel, table in enumerate(tables):
        np.add.at(moved[channel], table, histogram[channel])
    return moved


def _cap_warnings(gammas: Rgb3, target_mean: np.ndarray, reached: np.ndarray, cap: float) -> tuple[str, ...]:
    return tuple(
        f"{CHANNELS[c]}: gamma {gamma:.4g} is at its cap with mean {reached[c]:.2f} instead of {target_mean[c]:.2f}; "
        f"the channel is too {'dark' if gamma > 1 else 'bright'}."
        for c, gamma in enumerate(gammas)
        if gamma in (cap, 1 / cap)
    )


def _choice_warnings(kept: int, seen: int) -> tuple[str, ...]:
    if kept <= seen / 2:
        return ()
    return (f"{kept} of {seen} patches are kept, more than half, so the selection is weak; lower k or the stride.",)
