"""Patches of people and other objects, cut at the same positions from every kind of image."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Float

from fusejax.io.images import to_float
from fusejax.ops.color import rgb_to_luma
from fusejax.typing import Pair

PATCH = (32, 16)
"""Height and width of a patch in pixels."""

NEGATIVES = 10
"""Number of patches without people per scene."""

_MARGIN = 1.25  # sides of a patch relative to its box
_ASPECT = 0.42  # width of a person relative to the height
_HEIGHTS = (0.06, 0.35)  # heights of negatives relative to the image
_OVERLAP = 0.2  # fraction of a negative that may overlap a person
_JITTER = 0.08  # standard deviation of a jittered box's center and size, relative to its sides
_TRIES = 50

Planes = Float[np.ndarray, "h w c"]
Fuse = Callable[[Float[np.ndarray, "b h w 1"], Float[np.ndarray, "b h w 1"]], Float[np.ndarray, "b h w 1"]]


@dataclasses.dataclass(frozen=True)
class Patches:
    """Patches of one kind of image.

    Attributes:
        images: patches in [0, 1].
        people: whether a patch shows a person.
    """

    images: Float[np.ndarray, "n 32 16 c"]
    people: Bool[np.ndarray, " n"]


def image_kinds(pair: Pair, methods: Mapping[str, Fuse]) -> dict[str, Planes]:
    """The images to compare: visible luma, infrared, each fused luma, and both sources as channels.

    Args:
        pair: pair with `ir` and `vi` as integers.
        methods: fusion functions of infrared and visible luma, by name.

    Returns:
        Images in [0, 1] by name, [h, w, 1]; "both sources" has two channels.
    """
    ir, vi_y = to_float(pair["ir"]), rgb_to_luma(to_float(pair["vi"]))
    fused = {name: np.clip(np.asarray(fuse(ir[None], vi_y[None]))[0], 0, 1) for name, fuse in methods.items()}
    return {"visible": vi_y, "infrared": ir} | fused | {"both sources": np.concatenate([ir, vi_y], axis=-1)}


def cut_patches(
    kinds: Mapping[str, Planes],
    boxes: Float[np.ndarray, "n 4"],
    labels: Sequence[str],
    *,
    rng: np.random.Generator,
    copies: int = 0,
) -> dict[str, Patches]:
    """Cuts patches at the same positions from every kind of image.

    Negatives are the boxes of other objects, and random boxes with the shape of a person, of which
    at most one fifth overlaps a person.

    Args:
        kinds: images of one scene by name, of equal size.
        boxes: (x1, y1, x2, y2) in pixels.
        labels: labels of the boxes; "person" is positive.
        rng: generator for the negatives and the jitter.
        copies: number of additional copies of each person, slightly moved and scaled.

    Returns:
        Patches by name.
    """
    h, w = next(iter(kinds.values())).shape[:2]
    person = np.array([label.lower() == "person" for label in labels], bool)
    people = boxes[person] if len(boxes) else np.zeros((0, 4), np.float32)
    moved = [_jittered(box, rng) for box in people for _ in range(copies)]
    others = [*boxes[~person]] if len(boxes) else []
    negatives = [*others, *_random_boxes(people, (h, w), rng, count=NEGATIVES - len(others))]
    places = [*people, *moved, *negatives]
    truth = np.arange(len(places)) < len(people) + len(moved)
    return {name: Patches(np.stack([_patch(image, box) for box in places]), truth) for name, image in kinds.items()}


def joined(parts: Sequence[Mapping[str, Patches]]) -> dict[str, Patches]:
    """Concatenates the patches of several scenes."""
    return {
        name: Patches(
            np.concatenate([part[name].images for part in parts]), np.concatenate([part[name].people for part in parts])
        )
        for name in parts[0]
    }


def _jittered(box: Float[np.ndarray, " 4"], rng: np.random.Generator) -> Float[np.ndarray, " 4"]:
    middle, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    middle = middle + _JITTER * sides * rng.standard_normal(2)
    sides = sides * np.exp(_JITTER * rng.standard_normal())
    return np.concatenate([middle - sides / 2, middle + sides / 2])


def _random_boxes(
    people: Float[np.ndarray, "n 4"], size: tuple[int, int], rng: np.random.Generator, *, count: int
) -> list[Float[np.ndarray, " 4"]]:
    h, w = size
    found = []
    for _ in range(_TRIES * max(count, 0)):
        height = h * np.exp(rng.uniform(*np.log(_HEIGHTS)))
        x, y = rng.uniform(0, max(w - _ASPECT * height, 1)), rng.uniform(0, h - height)
        box = np.array([x, y, x + _ASPECT * height, y + height])
        if not len(people) or _covered(box, people).max() <= _OVERLAP:
            found.append(box)
        if len(found) >= count:
            break
    return found[: max(count, 0)]


def _covered(box: Float[np.ndarray, " 4"], others: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, " n"]:
    """Fraction of the smaller of two boxes that lies in the other."""
    sides = np.clip(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0, None)
    areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (box, others)]
    return sides.prod(axis=1) / np.minimum(*areas)


def _patch(image: Planes, box: Float[np.ndarray, " 4"]) -> Float[np.ndarray, "32 16 c"]:
    """The box with its margin, resampled; beyond the image its border is repeated."""
    middle, sides = (box[:2] + box[2:]) / 2, _MARGIN * (box[2:] - box[:2])
    scale = sides / np.array(PATCH[::-1])
    step = max(1.0, *scale)
    if step > 2.01:  # area-average first, or pixels between the samples would be skipped
        small = cv2.resize(image, None, fx=2 / step, fy=2 / step, interpolation=cv2.INTER_AREA)
        return _patch(small.reshape(*small.shape[:2], -1), box * 2 / step)
    x, y = ((np.arange(n) + 0.5) / n for n in PATCH[::-1])
    columns = (middle[0] - sides[0] / 2 + sides[0] * x - 0.5).astype(np.float32)
    rows = (middle[1] - sides[1] / 2 + sides[1] * y - 0.5).astype(np.float32)
    across, down = np.meshgrid(columns, rows)
    planes = [
        cv2.remap(np.ascontiguousarray(plane), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for plane in np.moveaxis(image, -1, 0)
    ]
    return np.stack(planes, axis=-1)
