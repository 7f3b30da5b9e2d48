"""Synthetic infrared-visible pairs, drawn from a seed, for the demo, tests and notebooks.

Each pair shows a street by day or at night. A scene consists of the reflectance of surfaces, the
light they emit, and their temperature. The visible image is reflectance times light, and the
infrared image is temperature. Each image therefore contains information that the other lacks: road
markings, signs, lit windows and color in the visible image; people and engines in the dark, a warm
pipe behind a wall and a warm manhole in the infrared image.
"""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np

from fusejax.data.synthetic_scene import Scene, draw_background
from fusejax.data.synthetic_targets import draw_targets
from fusejax.io.images import from_float, write_image
from fusejax.io.outputs import write_complete
from fusejax.typing import Pair


@dataclasses.dataclass(frozen=True)
class SyntheticPairs:
    """Random-access source of synthetic pairs, see `synthetic_pair`.

    Attributes:
        count: number of pairs.
        size: height and width in pixels.
        seed: seed of all pairs.

    Example:
        >>> pairs = SyntheticPairs(3, size=(32, 48))
        >>> len(pairs), pairs[0]["ir"].shape
        (3, (32, 48, 1))
    """

    count: int
    size: tuple[int, int] = (256, 256)
    seed: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Pair:
        if not 0 <= index < self.count:
            raise IndexError(f"Index {index} is out of range for {self.count} pairs.")
        return synthetic_pair(self.seed * 1_000_003 + index, size=self.size)


def write_synthetic_folder(
    root: str | Path, *, count: int, size: tuple[int, int] = (256, 256), seed: int = 0, boxes: bool = False
) -> None:
    """Writes `count` pairs as root/ir/NAME.png and root/vi/NAME.png.

    Args:
        root: folder to write to.
        count: number of pairs.
        size: height and width in pixels.
        seed: seed of the pairs.
        boxes: whether to also write root/boxes/NAME.json.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_synthetic_folder(folder, count=2, size=(32, 48))
        ...     print(len(list(pathlib.Path(folder).rglob("*.png"))))
        4
    """
    root = Path(root)
    for pair in SyntheticPairs(count, size, seed):
        for kind, pixels in (("ir", pair["ir"]), ("vi", pair["vi"])):
            write_image(root / kind / f"{pair['id']}.png", pixels)
        if boxes:
            objects = zip(pair.get("labels", ()), pair.get("boxes", np.empty((0, 4))).tolist(), strict=True)
            text = json.dumps([{"label": label, "xyxy": xyxy} for label, xyxy in objects])
            write_complete(root / "boxes" / f"{pair['id']}.json", text + "\n")


def synthetic_pair(seed: int, *, size: tuple[int, int] = (256, 256), shift: float = 0.0, noise: int = 0) -> Pair:
    """Draws one pair, which is determined by the seed.

    Args:
        seed: seed of all draws; odd seeds are night scenes.
        size: height and width in pixels, 16 or more each.
        shift: distance in pixels by which the nearest targets have moved to the right; farther ones
            have moved less.
        noise: index of the frame in a scene; every frame has different noise.

    Returns:
        `id`; `ir` uint8 [h, w, 1]; `vi` uint8 RGB [h, w, 3]; `boxes` float32 [n, 4], (x1, y1, x2,
        y2) in pixels; `labels`, "person" or "car" for each box.

    Raises:
        ValueError: if a side is shorter than 16 pixels.

    Example:
        >>> pair = synthetic_pair(1, size=(32, 48))  # odd seeds are night scenes
        >>> pair["ir"].shape, pair["vi"].shape, pair["vi"].dtype
        ((32, 48, 1), (32, 48, 3), dtype('uint8'))
    """
    if min(size) < 16:
        raise ValueError(f"size is {size}; each side must have at least 16 pixels.")
    scene = Scene(np.random.default_rng(seed), *size, night=seed % 2 == 1)
    lamps = draw_background(scene)
    boxes, labels = draw_targets(scene, shift=shift)
    if noise:
        scene.rng = np.random.default_rng((seed, noise))
    return {
        "id": f"{'night' if scene.night else 'day'}_{seed:06d}",
        "ir": from_float(_infrared(scene)[..., None], np.uint8),
        "vi": from_float(_visible(scene, lamps), np.uint8),
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": tuple(labels),
    }


def _visible(scene: Scene, lamps: list[np.ndarray]) -> np.ndarray:
    """Reflectance times light plus emitted light, blurred by a lens, with noise: [h, w, 3]."""
    noise = scene.rng.standard_normal((scene.h, scene.w, 3), np.float32)
    if not scene.night:
        image = scene.reflectance * scene.shade[..., None] * (1.05, 1.0, 0.94) + scene.shine
        return cv2.GaussianBlur(image.astype(np.float32), (0, 0), 0.6) + 0.006 * noise
    y, x = np.mgrid[: scene.h, : scene.w].astype(np.float32)
    light = np.full((scene.h, scene.w), 0.045, np.float32)
    glare = np.zeros_like(light)
    for lamp_x, lamp_y, tall in lamps:
        down = np.clip((y - lamp_y) / tall, 0, None)  # 0 at the head, 1 at the foot: a cone that widens and fades
        light += 0.8 * np.exp(-(((x - lamp_x) / (tall * (0.12 + 0.7 * down))) ** 2)) * down * np.exp(1 - 1.5 * down)
        from_head = np.hypot(x - lamp_x, y - lamp_y) / tall
        glare += np.exp(-((from_head / 0.05) ** 2)) + 0.1 * np.exp(-from_head / 0.12)
    warm = np.array([1.0, 0.84, 0.58], np.float32)
    image = scene.reflectance * light[..., None] * warm + scene.shine + glare[..., None] * warm
    return cv2.GaussianBlur(image, (0, 0), 0.8) + 0.01 * noise


def _infrared(scene: Scene) -> np.ndarray:
    """Temperature blurred by a lens, with a bolometer's noise and faint column pattern: [h, w]."""
    columns = scene.rng.standard_normal((1, scene.w), np.float32)
    noise = scene.rng.standard_normal((scene.h, scene.w), np.float32)
    blurred = cv2.GaussianBlur(scene.warmth, (0, 0), max(0.7, 0.004 * scene.h))
    return blurred + 0.008 * noise + 0.003 * columns
