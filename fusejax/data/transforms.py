"""Random transforms of a pair for grain; all draws come from the generator that grain derives from
(seed, index).

A pair may have `boxes`, float32 [n, 4], x1, y1, x2, y2 in pixels, and `labels`, n names; both are
transformed with the images.
"""

import dataclasses
import itertools
import os
import zlib

import grain
import numpy as np
from jaxtyping import Bool, Float

from fusejax.data.masking import ComMaskConfig, com_mask
from fusejax.io.annotations import of_classes
from fusejax.io.images import to_float
from fusejax.ops.color import rgb_to_luma

# Minimum part of a box that must be inside a crop (FusionNet, specification section 4, step 3):
# fraction of its area, pixels per side.
MIN_AREA_SHARE = 0.2
MIN_SIDE = 4

BoxArray = Float[np.ndarray, "n 4"]


def _with_boxes(pair: dict, boxes: BoxArray, kept: Bool[np.ndarray, " n"]) -> dict:
    """The pair with only the kept boxes, and their labels if it has labels."""
    labels = {"labels": tuple(itertools.compress(pair["labels"], kept))} if "labels" in pair else {}
    return pair | {"boxes": boxes[kept]} | labels


def _areas(boxes: BoxArray) -> Float[np.ndarray, " n"]:
    return (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)


def crop_boxes(boxes: BoxArray, *, top: int, left: int, size: int) -> tuple[BoxArray, Bool[np.ndarray, " n"]]:
    """Boxes in the coordinates of a size x size window, clipped to it, and whether enough of each
    box remains.
    """
    cut = np.clip(boxes - np.array([left, top, left, top], np.float32), 0, size)
    return cut, ((cut[:, 2:] - cut[:, :2]) >= MIN_SIDE).all(axis=1) & (_areas(cut) >= MIN_AREA_SHARE * _areas(boxes))


def cut_pair(pair: dict, *, top: int, left: int, size: int) -> dict:
    """The size x size window (pixels) of both images of a pair, with the boxes that `crop_boxes`
    keeps.
    """
    window = np.s_[top : top + size, left : left + size]
    cut = pair | {k: pair[k][window] for k in ("ir", "vi")}
    if not len(boxes := pair.get("boxes", ())):
        return cut
    return _with_boxes(cut, *crop_boxes(boxes, top=top, left=left, size=size))


@dataclasses.dataclass(frozen=True)
class RandomPairedCrop(grain.transforms.RandomMap):
    """Cuts the same size x size window (pixels) from both images of the pair.

    Boxes are shifted and clipped; boxes are dropped if less than 20% of their area or less than 4
    pixels of a side remain. With probability `box_share`, the window is drawn from those that
    contain the center of a box at least 2 pixels from the window's border; other windows may
    contain one by chance. Paper: 0.5.

    Attributes:
        size: side of the window in pixels.
        box_share: probability, 0 to 1.
    """

    size: int
    box_share: float = 0.0

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        h, w = pair["ir"].shape[:2]
        if min(h, w) < self.size:
            raise ValueError(f"{pair['id']}: image {w}x{h} is smaller than the crop {self.size}; lower data.crop.")
        top, left = rng.integers(h - self.size + 1), rng.integers(w - self.size + 1)
        boxes = pair.get("boxes", np.zeros((0, 4), np.float32))
        # Drawn after the unconstrained window, so that pairs without boxes get the same window for
        # any share.
        if self.box_share and len(fitting := self._fitting_boxes(boxes)) and rng.random() < self.box_share:
            left, top = self._around(fitting[rng.integers(len(fitting))], (w, h), rng)
        return cut_pair(pair, top=int(top), left=int(left), size=self.size)

    def _fitting_boxes(self, boxes: BoxArray) -> Float[np.ndarray, "m 4"]:
        """Boxes that a crop window can cover sufficiently."""
        sides = boxes[:, 2:] - boxes[:, :2]
        covered = np.minimum(sides, self.size)
        return boxes[(covered >= MIN_SIDE).all(axis=1) & (covered.prod(axis=1) >= MIN_AREA_SHARE * sides.prod(axis=1))]

    def _around(self, box: Float[np.ndarray, "4"], image: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(left, top) of a window that contains the middle MIN_SIDE pixels of the box.

        `image` is (width, height).
        """
        center, last = (box[:2] + box[2:]) / 2, np.array(image) - self.size
        low = np.clip(np.ceil(center + MIN_SIDE / 2 - self.size), 0, last)
        high = np.clip(np.floor(center - MIN_SIDE / 2), low, last)
        return rng.integers(low.astype(int), high.astype(int) + 1)


class RandomPairedFlip(grain.transforms.RandomMap):
    """Mirrors both images and the boxes along each axis with probability 1/2."""

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        for axis in (0, 1):
            if rng.random() < 0.5:
                pair = pair | {k: np.flip(pair[k], axis) for k in ("ir", "vi")}
                if "boxes" in pair:
                    pair["boxes"] = _flip_boxes(pair["boxes"], axis, pair["ir"].shape[axis])
        return pair


def _flip_boxes(boxes: BoxArray, axis: int, side: int) -> BoxArray:
    """Mirrors boxes along the rows (axis 0) or columns (axis 1) of an image with `side` of them."""
    flipped, first = boxes.copy(), 1 - axis
    flipped[:, [first, first + 2]] = side - boxes[:, [first + 2, first]]
    return flipped


class ToLuma(grain.transforms.Map):
    """Converts integer pixels to the arrays used in training.

    The result has `ir` and `vi_y`, float32 [h, w, 1] in [0, 1]. Boxes are kept.
    """

    def map(self, pair: dict) -> dict:
        ir, vi = (to_float(pair[k]) for k in ("ir", "vi"))
        boxes = {k: pair[k] for k in ("boxes", "labels") if k in pair}
        return {"id": pair["id"], "ir": ir, "vi_y": rgb_to_luma(vi)} | boxes


@dataclasses.dataclass(frozen=True)
class MaskInputs(grain.transforms.RandomMap):
    """Adds the network's inputs `ir_input`, `vi_input`.

    They are the pair masked by ComMask, or the clean pair if config is None.

    Attributes:
        config: settings of the masks.
    """

    config: ComMaskConfig | None

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        ir, vi_y = pair["ir"], pair["vi_y"]
        if self.config is not None:
            ir, vi_y = com_mask(ir, vi_y, rng=rng, config=self.config)
        return pair | {"ir_input": ir, "vi_input": vi_y}


@dataclasses.dataclass(frozen=True)
class SelectBoxes(grain.transforms.Map):
    """Selects the boxes of a pair to use and perturbs them, before the crop. Every pair gets
    `boxes`.

    Dropping and shifting boxes are our additions, for measuring the effect of fewer and less exact
    labels. The draws depend only on the pair's id and the box's index: they are the same in every
    epoch and run, and a larger `keep` only adds boxes.

    Attributes:
        classes: names of the classes to keep, ignoring case; all if empty.
        keep: fraction of the boxes to keep.
        jitter: each edge is shifted uniformly by up to this fraction of the box's side, and then
            clipped to the image.
        false: probability that a box is accompanied by a false one: of its size, at a place that is
            uniformly distributed in the image, and of its class.
    """

    classes: tuple[str, ...] = ()
    keep: float = 1.0
    jitter: float = 0.0
    false: float = 0.0

    def map(self, pair: dict) -> dict:
        boxes = pair.get("boxes", np.zeros((0, 4), np.float32))
        labels = pair.get("labels", ("",) * len(boxes))
        draws = np.random.default_rng(zlib.crc32(os.fsencode(pair["id"]))).random((len(boxes), 5))
        kept = of_classes(labels, self.classes) & (draws[:, 0] < self.keep)
        if self.jitter:
            h, w = pair["ir"].shape[:2]
            sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
            shifted = boxes + self.jitter * (2 * draws[:, 1:] - 1) * sides
            boxes = np.clip(shifted, 0, [w, h, w, h]).astype(np.float32)
        if self.false:
            moved = self._moved(pair)
            boxes, kept = np.concatenate([boxes, moved]), np.concatenate([kept, np.ones(len(moved), bool)])
            labels = (*labels, *[""] * len(moved))
        return _with_boxes(pair | {"labels": labels}, boxes, kept)

    def _moved(self, pair: dict) -> BoxArray:
        """False boxes: copies of some of the pair's boxes at other places."""
        boxes = pair.get("boxes", np.zeros((0, 4), np.float32))
        labels = pair.get("labels", ("",) * len(boxes))
        draws = np.random.default_rng([zlib.crc32(os.fsencode(pair["id"])), 1]).random((len(boxes), 3))
        h, w = pair["ir"].shape[:2]
        sides = boxes[:, 2:] - boxes[:, :2]
        corners = draws[:, 1:] * np.maximum(np.array([w, h]) - sides, 0)
        moved = np.concatenate([corners, corners + sides], axis=1).astype(np.float32)
        return moved[of_classes(labels, self.classes) & (draws[:, 0] < self.false)]


@dataclasses.dataclass(frozen=True)
class PadBoxes(grain.transforms.Map):
    """Pads any number of boxes to arrays of one shape, so that pairs can be stacked; drops labels.

    The result has `boxes` float32 [max_boxes, 4], the largest ones in their order followed by
    zeros, and `boxes_valid` bool [max_boxes].

    Attributes:
        max_boxes: maximum number of boxes; 0 removes the boxes from the pair.
        classes: names of the classes to keep, ignoring case; all if empty.
    """

    max_boxes: int
    classes: tuple[str, ...] = ()

    def map(self, pair: dict) -> dict:
        padded = {k: v for k, v in pair.items() if k not in ("boxes", "labels")}
        if not self.max_boxes:
            return padded
        boxes = pair.get("boxes", np.zeros((0, 4), np.float32))
        if self.classes:
            boxes = boxes[of_classes(pair.get("labels", ("",) * len(boxes)), self.classes)]
        boxes = boxes[np.sort(np.argsort(-_areas(boxes), kind="stable")[: self.max_boxes])]
        valid = np.arange(self.max_boxes) < len(boxes)
        filler = np.zeros((self.max_boxes - len(boxes), 4), np.float32)
        return padded | {"boxes": np.concatenate([boxes, filler]), "boxes_valid": valid}
