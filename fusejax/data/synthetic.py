"""Made-up infrared-visible pairs, drawn by code from a seed: for the demo, tests and notebooks;
nothing to download.

A street by day or by night. A scene holds what surfaces reflect, what shines by itself, and how
warm things are; the visible image is reflectance times light, the infrared one is warmth. So each
tells what the other does not: road markings, signs, lit windows and color in the visible; people
and engines in the dark, a warm pipe behind a wall and a warm manhole in the infrared.
"""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np

from fusejax.data.images import from_float, write_image

Color = tuple[float, float, float] | np.ndarray

# Shapes in units of their box: x to the right, y down, the ground at y = 1.
_CAR = ((0, 0.9), (0, 0.56), (0.04, 0.47), (0.22, 0.42), (0.35, 0.06), (0.72, 0.04), (0.9, 0.43), (1, 0.52), (1, 0.9))
_CAR_WINDOWS = (
    ((0.27, 0.43), (0.375, 0.13), (0.53, 0.13), (0.53, 0.43)),
    ((0.56, 0.43), (0.56, 0.13), (0.7, 0.13), (0.82, 0.43)),
)
_CAR_BONNET = ((0.01, 0.58), (0.05, 0.49), (0.24, 0.45), (0.29, 0.6), (0.02, 0.8))
_TORSO = ((0.28, 0.19), (0.72, 0.19), (0.8, 0.52), (0.68, 0.58), (0.32, 0.58), (0.2, 0.52))
_ARMS = (((0.22, 0.2), (0.34, 0.24), (0.2, 0.56), (0.06, 0.54)), ((0.66, 0.24), (0.78, 0.2), (0.94, 0.54), (0.8, 0.56)))


@dataclasses.dataclass(frozen=True)
class SyntheticPairs:
    """Random-access source of `count` pairs, see `synthetic_pair`."""

    count: int
    size: tuple[int, int] = (256, 256)
    seed: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, str | np.ndarray | tuple[str, ...]]:
        if not 0 <= index < self.count:
            raise IndexError(f"index {index} of {self.count} pairs.")
        return synthetic_pair(self.seed * 1_000_003 + index, size=self.size)


def write_synthetic_folder(
    root: str | Path, *, count: int, size: tuple[int, int] = (256, 256), seed: int = 0, boxes: bool = False
) -> None:
    """Writes `count` pairs as root/ir/NAME.png and root/vi/NAME.png.

    With boxes also root/boxes/NAME.json.
    """
    root = Path(root)
    for pair in SyntheticPairs(count, size, seed):
        for kind in ("ir", "vi"):
            write_image(root / kind / f"{pair['id']}.png", pair[kind])
        if boxes:
            (root / "boxes").mkdir(exist_ok=True)
            objects = zip(pair["labels"], pair["boxes"].tolist(), strict=True)
            text = json.dumps([{"label": label, "xyxy": xyxy} for label, xyxy in objects])
            (root / "boxes" / f"{pair['id']}.json").write_text(text + "\n")


def synthetic_pair(seed: int, *, size: tuple[int, int] = (256, 256)) -> dict[str, str | np.ndarray | tuple[str, ...]]:
    """One pair of (height, width) pixels, 16 or more each; every draw follows from the seed. Odd
    seeds are nights.

    Returns: `id`; `ir` uint8 [h, w, 1]; `vi` uint8 RGB [h, w, 3]; `boxes` float32 [n, 4], (x1, y1,
    x2, y2) in pixels;
      `labels`, "person" or "car" for each box.
    """
    if min(size) < 16:
        raise ValueError(f"size is {size}; a street needs 16 pixels or more on each side.")
    scene = _Scene(np.random.default_rng(seed), *size, night=seed % 2 == 1)
    _draw_sky_and_trees(scene)
    _draw_houses(scene)
    _draw_street(scene)
    lamps = _draw_lamps(scene)
    boxes, labels = _draw_targets(scene)
    return {
        "id": f"{'night' if scene.night else 'day'}_{seed:06d}",
        "ir": from_float(_infrared(scene)[..., None], np.uint8),
        "vi": from_float(_visible(scene, lamps), np.uint8),
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
        "labels": tuple(labels),
    }


class _Scene:
    """What is painted on.

    Reflectance and own light [h, w, 3], warmth and shade [h, w], all about 0..1.
    """

    def __init__(self, rng: np.random.Generator, h: int, w: int, *, night: bool):
        self.rng, self.h, self.w, self.night = rng, h, w, night
        self.horizon = int(h * rng.uniform(0.34, 0.46))
        self.vanishing = np.array([w * rng.uniform(0.35, 0.65), self.horizon], np.float32)
        self.reflectance, self.shine = np.zeros((2, h, w, 3), np.float32)
        self.warmth = np.full((h, w), 0.3, np.float32)
        self.shade = np.ones((h, w), np.float32)
        self.grain = {cells: self.noise(cells) for cells in (4, 14, 50)}
        self.rough = 0.4 * self.grain[14] + 0.4 * self.grain[50] + 0.25 * rng.standard_normal((h, w), np.float32)

    def noise(self, cells: int) -> np.ndarray:
        """Smooth noise [h, w], mean 0, deviation about 1, `cells` along the longer side."""
        longer = max(self.h, self.w)
        shape = [max(2, cells * side // longer) for side in (self.h, self.w)]
        coarse = self.rng.standard_normal(shape, np.float32)
        return cv2.resize(coarse, (self.w, self.h), interpolation=cv2.INTER_CUBIC)

    def cover(self, outline: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        """The window around a polygon of (x, y) points, and the share of each of its pixels inside,
        anti-aliased.
        """
        outline = np.asarray(outline)
        limits = np.array([self.w, self.h])
        x1, y1 = np.clip(np.floor(outline.min(axis=0)).astype(int) - 1, 0, limits)
        x2, y2 = np.clip(np.ceil(outline.max(axis=0)).astype(int) + 2, 0, limits)
        mask = np.zeros((y2 - y1, x2 - x1), np.uint8)
        if mask.size:
            points = np.round((outline - (x1, y1)) * 16).astype(np.int32)
            cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, shift=4)
        return np.s_[y1:y2, x1:x2], mask.astype(np.float32) / 255

    def paint(
        self, outline: np.ndarray, color: Color | None = None, warmth: float | None = None, rough: float = 0.0
    ) -> None:
        """Fills a polygon with a reflectance, a warmth, or both.

        `rough` is the depth of the color's texture.
        """
        window, share = self.cover(outline)
        texture = rough * self.rough[window]
        if color is not None:
            textured = np.asarray(color, np.float32) * (1 + texture)[..., None]
            self.reflectance[window] += share[..., None] * (textured - self.reflectance[window])
            self.shine[window] *= 1 - share[..., None]
        if warmth is not None:
            self.warmth[window] += share * (warmth + 0.04 * texture - self.warmth[window])


def _box(x1, y1, x2, y2) -> np.ndarray:
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def _disc(x, y, rx, ry) -> np.ndarray:
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


def _draw_sky_and_trees(scene: _Scene) -> None:
    rng, h, w = scene.rng, scene.h, scene.w
    height = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    clouds = np.clip(0.5 * scene.grain[4] + 0.25 * scene.grain[14], 0, 1)[..., None]
    day_sky = np.array([0.42, 0.6, 0.86]) + height * np.array([0.55, 0.4, 0.14])
    scene.shine[:] = (0.02, 0.025, 0.045) if scene.night else day_sky + (0.93 - day_sky) * 0.7 * clouds
    scene.warmth[:] = 0.08 + 0.08 * height[..., 0] + 0.05 * clouds[..., 0]
    for _ in range(9):  # a tree line, nearer trees in front of farther ones
        x, radius = rng.uniform(0, w), h * rng.uniform(0.06, 0.13)
        green = np.array([0.2, 0.3, 0.13]) * rng.uniform(0.8, 1.3)
        crown = _disc(x, scene.horizon - 0.6 * radius, radius * rng.uniform(1.2, 1.9), radius)
        scene.paint(crown, green, rng.uniform(0.26, 0.32), rough=0.5)
    scene.paint(_box(-1, scene.horizon, w + 1, h + 1), (0.27, 0.36, 0.17), 0.3, rough=0.45)


def _draw_houses(scene: _Scene) -> None:
    rng, x = scene.rng, -scene.w * scene.rng.uniform(0, 0.1)
    while x < scene.w:
        width = scene.w * rng.uniform(0.14, 0.28)
        if rng.random() < 0.7:
            _draw_house(scene, x, width, scene.horizon * rng.uniform(0.15, 0.7))
        x += width * rng.uniform(1.0, 1.3)


def _draw_house(scene: _Scene, x: float, width: float, top: float) -> None:
    rng, foot = scene.rng, scene.horizon + 0.03 * scene.h
    tint = np.array([(0.68, 0.5, 0.42), (0.72, 0.68, 0.58), (0.55, 0.57, 0.6), (0.74, 0.62, 0.42)])[rng.integers(4)]
    wall_warmth = rng.uniform(0.33, 0.41)
    scene.paint(_box(x, top, x + width, foot), tint * rng.uniform(0.75, 1.1), wall_warmth, rough=0.09)
    scene.paint(_box(x - 1, top - 0.02 * scene.h, x + width + 1, top), tint * 0.45, wall_warmth - 0.1)
    pitch = max(5.0, 0.055 * scene.h)
    for wy in np.arange(top + 0.45 * pitch, foot - pitch, pitch):
        for wx in np.arange(x + 0.4 * pitch, x + width - 0.75 * pitch, pitch):
            pane = _box(wx, wy, wx + 0.45 * pitch, wy + 0.6 * pitch)
            scene.paint(pane, (0.17, 0.21, 0.27), wall_warmth + rng.uniform(-0.07, 0.05))
            if scene.night and rng.random() < 0.15:  # light behind a pane: visible only
                window, share = scene.cover(pane)
                scene.shine[window] += share[..., None] * np.array([0.85, 0.66, 0.34], np.float32)
    pipe = x + width * rng.uniform(0.15, 0.85)  # warm behind the wall: infrared only
    scene.paint(_box(pipe, top, pipe + max(1.0, 0.006 * scene.w), foot), warmth=wall_warmth + 0.17)


def _draw_street(scene: _Scene) -> None:
    rng, h, w, far = scene.rng, scene.h, scene.w, scene.vanishing
    left, right = -w * rng.uniform(0.0, 0.3), w * rng.uniform(1.0, 1.3)
    for wider, color, warmth in ((0.22, (0.52, 0.5, 0.47), 0.36), (0.0, (0.3, 0.3, 0.32), 0.42)):  # pavement, road
        gap = np.array([0.012 * w * (1 + 2 * wider), 0])
        near = (right + wider * w, h + 1), (left - wider * w, h + 1)
        scene.paint(np.array([far - gap, far + gap, *near]), color, warmth, rough=0.12)
    middle = np.array([(left + right) / 2, h])
    for t in np.geomspace(0.06, 0.8, 7):  # markings: visible only
        near, away = (far + (middle - far) * s for s in (1.25 * t, t))
        half = np.array([0.012 * w * t, 0])
        scene.paint(np.array([away - half, away + half, near + half * 1.25, near - half * 1.25]), (0.85, 0.85, 0.8))
    hole = far + (middle - far) * rng.uniform(0.4, 0.85) + (w * rng.uniform(-0.15, 0.15), 0)  # infrared only
    scene.paint(_disc(*hole, 0.022 * w, 0.012 * h), warmth=0.62)
    x, y, radius = w * rng.uniform(0.05, 0.22), scene.horizon + 0.02 * h, max(2.0, 0.024 * w)  # a sign: visible only
    scene.paint(_box(x - 0.1 * radius, y, x + 0.1 * radius, y + 5 * radius), (0.5, 0.5, 0.52))
    scene.paint(_disc(x, y, radius, radius), (0.78, 0.08, 0.08))
    scene.paint(_box(x - 0.65 * radius, y - 0.2 * radius, x + 0.65 * radius, y + 0.2 * radius), (0.95, 0.95, 0.95))


def _draw_lamps(scene: _Scene) -> list[np.ndarray]:
    """One to three lamp posts beside the road.

    Returns where their heads are, as (x, y, height of the post).
    """
    lamps = []
    for side in scene.rng.permutation([-1, 1, 1])[: scene.rng.integers(1, 4)]:
        depth = scene.rng.uniform(0.15, 0.5)
        x = scene.vanishing[0] + side * scene.w * (0.06 + 0.6 * depth)
        foot, tall = scene.horizon + depth * 0.6 * (scene.h - scene.horizon), scene.h * (0.2 + 0.35 * depth)
        thick = max(0.7, 0.008 * scene.w * depth)
        scene.paint(_box(x - thick, foot - tall, x + thick, foot), (0.3, 0.31, 0.33), 0.27)
        head = _disc(x - side * 3 * thick, foot - tall, 4 * thick, 1.6 * thick)
        scene.paint(head, (0.4, 0.4, 0.4), 0.75 if scene.night else 0.3)
        lamps.append(np.array([x - side * 3 * thick, foot - tall, tall], np.float32))
    return lamps


def _draw_targets(scene: _Scene) -> tuple[list[tuple[float, float, float, float]], list[str]]:
    """Two to five people and cars, farther ones first; returns their boxes and labels."""
    depths = np.sort(scene.rng.uniform(0.12, 1.0, scene.rng.integers(2, 6)))
    boxes, labels = [], []
    for depth in depths:
        foot = scene.horizon + (0.06 + 0.72 * depth) * (scene.h - scene.horizon)
        height = max(6.0, scene.h * (0.06 + 0.26 * depth))
        is_car = scene.rng.random() < 0.4
        height, width = (0.8 * height, 1.9 * height) if is_car else (height, 0.42 * height)
        x = scene.rng.uniform(0, max(1.0, scene.w - width))
        _cast_shadow(scene, x, foot, width, height)
        (_draw_car if is_car else _draw_person)(scene, x, foot - height, width, height)
        boxes.append((x, foot - height, min(x + width, scene.w), min(foot, scene.h)))
        labels.append("car" if is_car else "person")
    return boxes, labels


def _cast_shadow(scene: _Scene, x: float, foot: float, width: float, height: float) -> None:
    if not scene.night:
        window, share = scene.cover(_disc(x + 0.55 * width, foot, 0.65 * width, 0.07 * height))
        scene.shade[window] *= 1 - 0.55 * share


def _draw_person(scene: _Scene, x: float, y: float, width: float, height: float) -> None:
    rng, to_pixels = scene.rng, (lambda points: np.asarray(points) * (width, height) + (x, y))
    coat = np.array([(0.16, 0.17, 0.2), (0.2, 0.16, 0.13), (0.13, 0.2, 0.16), (0.3, 0.12, 0.12)])[rng.integers(4)]
    stride = rng.uniform(0.02, 0.16)
    for side in (-1, 1):  # legs
        hip, ankle = 0.5 + 0.1 * side, 0.5 + (0.1 + stride) * side
        leg = [(hip - 0.13, 0.55), (hip + 0.13, 0.55), (ankle + 0.09, 1.0), (ankle - 0.09, 1.0)]
        scene.paint(to_pixels(leg), (0.13, 0.14, 0.19), rng.uniform(0.66, 0.72), rough=0.1)
    for arm in _ARMS:
        scene.paint(to_pixels(arm), coat * 0.9, 0.72, rough=0.1)
    scene.paint(to_pixels(_TORSO), coat, rng.uniform(0.76, 0.84), rough=0.1)
    scene.paint(to_pixels(_disc(0.5, 0.1, 0.2, 0.1)), (0.42, 0.31, 0.25), 0.95)
    scene.paint(to_pixels(_disc(0.5, 0.055, 0.2, 0.055)), (0.12, 0.09, 0.07), 0.85)  # hair


def _draw_car(scene: _Scene, x: float, y: float, width: float, height: float) -> None:
    rng, mirrored = scene.rng, scene.rng.random() < 0.5

    def to_pixels(points):
        points = np.asarray(points) * (-1, 1) + (1, 0) if mirrored else np.asarray(points)
        return points * (width, height) + (x, y)

    paint = np.array([(0.35, 0.07, 0.07), (0.1, 0.16, 0.3), (0.3, 0.31, 0.33), (0.1, 0.1, 0.11)])[rng.integers(4)]
    scene.paint(to_pixels(_CAR), paint, 0.56)
    scene.paint(to_pixels(((0, 0.9), (0, 0.72), (1, 0.72), (1, 0.9))), paint * 0.7, 0.62)
    for window in _CAR_WINDOWS:
        scene.paint(to_pixels(window), (0.12, 0.15, 0.18), 0.26)  # glass mirrors the cold sky
    scene.paint(to_pixels(_CAR_BONNET), warmth=0.88)
    for middle in (0.2, 0.8):
        scene.paint(to_pixels(_disc(middle, 0.86, 0.27 * height / width, 0.14)), (0.06, 0.06, 0.06), 0.68)
        scene.paint(to_pixels(_disc(middle, 0.86, 0.13 * height / width, 0.07)), (0.45, 0.45, 0.46), 0.8)
    scene.paint(to_pixels(_disc(0.98, 0.86, 0.03, 0.04)), warmth=0.98)  # exhaust


def _visible(scene: _Scene, lamps: list[np.ndarray]) -> np.ndarray:
    """Reflectance times light plus own light, softened by a lens, with the noise of little light.
    [h, w, 3]
    """
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


def _infrared(scene: _Scene) -> np.ndarray:
    """Warmth through a soft lens, with a bolometer's noise and faint column pattern. [h, w]"""
    columns = scene.rng.standard_normal((1, scene.w), np.float32)
    noise = scene.rng.standard_normal((scene.h, scene.w), np.float32)
    blurred = cv2.GaussianBlur(scene.warmth, (0, 0), max(0.7, 0.004 * scene.h))
    return blurred + 0.008 * noise + 0.003 * columns
