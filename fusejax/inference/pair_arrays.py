"""The arrays of one pair: checks, conversion to [0, 1] and back, contrast of the result."""

import dataclasses
import functools
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Bool, Float, Shaped

from fusejax.inference.content import empty_weight
from fusejax.inference.styles import Style, styled
from fusejax.inference.thermal import (
    Polarity,
    Range,
    RangeOption,
    choose_ranges,
    to_unit,
)
from fusejax.io.align import Aligned, Aligner, check_aligned
from fusejax.io.images import as_infrared, from_float, to_float
from fusejax.ops.color import recolor, rgb_to_luma

Plane = Float[np.ndarray, "*b h w 1"]
Planes = Float[np.ndarray, "b h w 1"]
Index = slice | np.ndarray

# A pair in which neither image varies by more than this holds only noise, which must not be
# stretched.
_LEAST_SPAN = 1.5 / 255
# Number of pixels converted at once: their floats stay in the cache, and memory use stays low.
_STRIP = 2**18


@dataclasses.dataclass(frozen=True)
class Sources:
    """A batch of checked pairs in their original data types; only the needed parts become floats.

    Attributes:
        ir: [b, h, w, 1 or 3], uint8, uint16 or float.
        vi: [b, h, w, 1 or 3], uint8, uint16, or float in [0, 1].
        ir_range: values of `ir` that map to 0 and 1.
        polarity: whether hot is white or black in `ir`.
        mask: [b, h, w, 1], share of the fused image in the result, see `Aligned`; None for 1. Where
            it is 0, the network sees the visible image twice.
        strength: 0 for the visible image, 1 for the fused one, up to 2 for warmer targets.
        share: [b, h, w, 1], a further factor of the fused image in the result, which the network
            does not see, see `Aligned`; None for 1.
    """

    ir: np.ndarray
    vi: np.ndarray
    ir_range: Range = (0.0, 1.0)
    polarity: Polarity = "white"
    mask: Planes | None = None
    strength: float = 1.0
    share: Planes | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.vi.shape[1], self.vi.shape[2]

    def luma(self, rows: Index = slice(None), columns: Index = slice(None)) -> tuple[Planes, Planes]:
        """Infrared and visible luma of a window, float32 in [0, 1]."""
        ir, vi = (x[:, rows][:, :, columns] for x in (self.ir, self.vi))
        ir_y = _to_luma(to_unit(ir, self.ir_range, polarity=self.polarity))
        vi_y = _to_luma(_to_unit_visible(vi))
        if self.mask is not None:
            ir_y = vi_y + self.mask[:, rows][:, :, columns] * (ir_y - vi_y)
        return ir_y, vi_y

    @functools.cached_property
    def planes(self) -> tuple[Planes, Planes]:
        """`luma` of all pixels; the result is cached."""
        planes = tuple(np.empty((*self.vi.shape[:3], 1), np.float32) for _ in range(2))
        for rows in self._strips():
            for plane, part in zip(planes, self.luma(rows), strict=True):
                plane[:, rows] = part
        return planes[0], planes[1]

    def reduced(self, height: int, width: int) -> tuple[Planes, Planes]:
        """`luma` of the images at a smaller size, area-averaged in the original values."""

        def shrink(images: np.ndarray) -> np.ndarray:
            exact = images if np.issubdtype(images.dtype, np.integer) else images.astype(np.float32, copy=False)
            small = [cv2.resize(x, (width, height), interpolation=cv2.INTER_AREA) for x in exact]
            return np.stack(small).reshape(len(images), height, width, -1)

        mask = None if self.mask is None else shrink(self.mask)
        return dataclasses.replace(self, ir=shrink(self.ir), vi=shrink(self.vi), mask=mask).luma()

    def strip(self, rows: slice) -> tuple[Planes, Planes]:
        """`luma` of some rows; not computed again if `planes` is cached."""
        if "planes" in self.__dict__:
            return self.planes[0][:, rows], self.planes[1][:, rows]
        return self.luma(rows)

    def have_contrast(self) -> Bool[np.ndarray, "b 1 1 1"]:
        """Whether each pair holds more than noise in at least one of its images."""
        least, greatest = np.full((1, 1, 1, 2), np.inf), np.full((1, 1, 1, 2), -np.inf)
        for rows in self._strips():
            luma = np.concatenate(self.strip(rows), axis=-1)
            least = np.minimum(least, luma.min(axis=(1, 2), keepdims=True))
            greatest = np.maximum(greatest, luma.max(axis=(1, 2), keepdims=True))
        return (greatest - least).max(axis=-1, keepdims=True) > _LEAST_SPAN

    def infrared(self, dtype: type[np.integer]) -> Shaped[np.ndarray, "b h w 1"]:
        """The infrared images as `shown_ir` has them, converted to uint8 or uint16."""
        images = np.empty((*self.vi.shape[:3], 1), dtype)
        for rows in self._strips():
            images[:, rows] = from_float(self.shown_ir(rows), dtype)
        return images

    def shown_ir(self, rows: slice = slice(None)) -> Planes:
        """Infrared luma of some rows, with the visible luma where infrared shows nothing."""
        ir_y, vi_y = self.strip(rows)
        return ir_y if self.share is None else vi_y + self.share[:, rows] * (ir_y - vi_y)

    def blended(self, fused_y: Planes) -> Planes:
        """V + strength mask share (F - V), clipped: the visible image where a factor is 0."""
        if self.mask is None and self.share is None and self.strength == 1:
            return fused_y
        blend = np.empty_like(fused_y)
        for rows in self._strips():
            vi_y = self.strip(rows)[1]
            share = np.float32(self.strength)
            for factor in (self.mask, self.share):
                share = share if factor is None else share * factor[:, rows]
            blend[:, rows] = np.clip(vi_y + share * (fused_y[:, rows] - vi_y), 0, 1)
        return blend

    def colored(self, fused_y: Planes, dtype: np.dtype) -> np.ndarray:
        """Images with the fused luma and the colors of `vi`, in the shape of `vi`.

        Args:
            fused_y: in [0, 1].
            dtype: uint8, uint16 or a floating type in [0, 1].
        """
        images = np.empty(self.vi.shape, dtype)
        for rows in self._strips():
            luma, vi = fused_y[:, rows], _to_unit_visible(self.vi[:, rows])
            vi_y = self.planes[1][:, rows] if "planes" in self.__dict__ else None
            fused = luma if vi.shape[-1] == 1 else recolor(luma, vi, vi_y=vi_y)
            images[:, rows] = fused if np.issubdtype(dtype, np.floating) else from_float(fused, dtype)
        return images

    def _strips(self) -> Iterator[slice]:
        b, h, w = self.vi.shape[:3]
        rows = max(1, _STRIP // (b * w))
        return (slice(top, min(top + rows, h)) for top in range(0, h, rows))


@dataclasses.dataclass(frozen=True)
class Fused:
    """Result of fusing one pair.

    Attributes:
        image: the fused image, with the shape and data type of the visible image.
        luma: its luma before color is added, float32 in [0, 1].
        maps: the network's maps by name, in [0, 1]; empty unless requested.
        sources: the pair, or batch of pairs.
    """

    image: np.ndarray
    luma: Plane
    maps: dict[str, Plane]
    sources: Sources

    @property
    def ir(self) -> Plane:
        """The infrared image, see `Sources.shown_ir`, float32 in [0, 1]."""
        return self.sources.shown_ir().reshape(self.luma.shape)


def make_sources(
    ir: np.ndarray,
    vi: np.ndarray,
    ir_range: RangeOption,
    polarity: Polarity,
    align: Aligner,
    strength: float = 1.0,
) -> Sources:
    """Checks a pair, or batch of pairs, finds the range of its infrared values, and aligns it.

    A range chosen by `auto` is reported in a warning.
    """
    ir, vi = (x if x.ndim >= 3 else x[..., None] for x in (ir, vi))
    chosen = _choose_range(ir, ir_range)
    ir, vi = (x if x.ndim == 4 else x[None] for x in (ir, vi))
    return align_all(ir, vi, align, ir_range=chosen, polarity=polarity, strength=strength)


def align_all(
    ir: np.ndarray,
    vi: np.ndarray,
    align: Aligner,
    *,
    ir_range: Range,
    polarity: Polarity,
    name: str | None = None,
    strength: float = 1.0,
) -> Sources:
    """The sources of pairs [b, h, w, c] after the step `align`, without areas that are empty."""
    pairs = [without_empty(check_aligned(align(*pair, name=name), name=name)) for pair in zip(ir, vi, strict=True)]
    mask, share = _stacked([pair.mask for pair in pairs]), _stacked([pair.share for pair in pairs])
    if len(pairs) == 1:  # large images are not copied
        return Sources(pairs[0].ir[None], pairs[0].vi[None], ir_range, polarity, mask, strength, share)
    images = (np.stack([p.ir for p in pairs]), np.stack([p.vi for p in pairs]))
    return Sources(*images, ir_range, polarity, mask, strength, share)


def _stacked(masks: list[Plane | None]) -> Planes | None:
    """Masks of images of one size, of which None is 1 everywhere."""
    shape = next((mask.shape for mask in masks if mask is not None), None)
    if shape is None:
        return None
    return np.stack([np.ones(shape, np.float32) if mask is None else mask for mask in masks])


def without_empty(pair: Aligned) -> Aligned:
    """Masks areas of the infrared image that have no content, see `empty_weight`."""
    weight = empty_weight(pair.ir)
    if weight is None:
        return pair
    return pair._replace(mask=1 - weight if pair.mask is None else pair.mask * (1 - weight))


def _to_unit_visible(vi: np.ndarray) -> Float[np.ndarray, "b h w c"]:
    return vi.astype(np.float32) if np.issubdtype(vi.dtype, np.floating) else to_float(vi)


def _to_luma(x: Float[np.ndarray, "b h w c"]) -> Planes:
    return rgb_to_luma(x) if x.shape[-1] == 3 else x


def _choose_range(ir: np.ndarray, ir_range: RangeOption) -> Range:
    if ir_range == "full" and np.issubdtype(ir.dtype, np.floating) and not (ir.min() >= 0 and ir.max() <= 1):
        raise ValueError(
            f"ir has values from {ir.min():g} to {ir.max():g}; floats must lie in [0, 1], or choose another ir_range."
        )
    images = ir.reshape(-1, *ir.shape[-3:]) if ir.dtype != np.uint8 else ()  # every image of a batch
    ranges = choose_ranges(ir_range, map(as_infrared, images))
    for line in ranges.lines():
        warnings.warn(line, stacklevel=5)
    return ranges.of(ir.dtype)


def stretch_range(fused_y: Plane) -> Plane:
    """Maps each image linearly onto [0, 1]; constant images are not changed."""
    low = fused_y.min(axis=(-3, -2, -1), keepdims=True)
    span = fused_y.max(axis=(-3, -2, -1), keepdims=True) - low
    return np.where(span > 0, (fused_y - low) / np.where(span > 0, span, 1), fused_y)


def finish(
    sources: Sources, fused_y: Planes, *, stretch: bool, dtype: np.dtype, style: Style = "fused"
) -> tuple[np.ndarray, Planes]:
    """Color images and their luma, which is stretched by `stretch` if the pair has contrast.

    Styles other than "fused" show the sources in RGB, see `fusejax.inference.styles`.
    """
    if style != "fused":
        shown = [styled(ir, vi, style) for ir, vi in zip(sources.shown_ir(), _to_unit_visible(sources.vi), strict=True)]
        rgb = np.stack(shown)
        return (rgb.astype(dtype) if np.issubdtype(dtype, np.floating) else from_float(rgb, dtype)), rgb_to_luma(rgb)
    fused_y = sources.blended(fused_y)
    if stretch:
        fused_y = np.where(sources.have_contrast(), stretch_range(fused_y), fused_y)
    return sources.colored(fused_y, dtype), fused_y
