"""The scene of a synthetic pair: its canvas and its background."""

import cv2
import numpy as np

Color = tuple[float, float, float] | np.ndarray


class Scene:
    """The canvas of a scene.

    It holds reflectance and emitted light [h, w, 3], temperature and shade [h, w], all in about
    0..1.
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
        """Smooth noise [h, w] with mean 0, standard deviation about 1, and `cells` along the longer
        side.
        """
        longer = max(self.h, self.w)
        shape = [max(2, cells * side // longer) for side in (self.h, self.w)]
        coarse = self.rng.standard_normal(shape, np.float32)
        return cv2.resize(coarse, (self.w, self.h), interpolation=cv2.INTER_CUBIC)

    def cover(self, outline: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        """The window around a polygon of (x, y) points, and the fraction of each pixel inside
        it.
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
        """Fills a polygon with a reflectance, a temperature, or both.

        `rough` is the contrast of the color's texture.
        """
        window, share = self.cover(outline)
        texture = rough * self.rough[window]
        if color is not None:
            textured = np.asarray(color, np.float32) * (1 + texture)[..., None]
            self.reflectance[window] += share[..., None] * (textured - self.reflectance[window])
            self.shine[window] *= 1 - share[..., None]
        if warmth is not None:
            self.warmth[window] += share * (warmth + 0.04 * texture - self.warmth[window])


def box(x1: float, y1: float, x2: float, y2: float) -> np.ndarray:
    """Corners of an upright rectangle, [4, 2]."""
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def disc(x: float, y: float, rx: float, ry: float) -> np.ndarray:
    """Outline of an ellipse, [24, 2]."""
    t = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + ry * np.sin(t)], axis=1)


def draw_background(scene: Scene) -> list[np.ndarray]:
    """Draws sky, trees, houses and the street with its lamps.

    Returns:
        Positions of the heads of the lamps, as (x, y, height of the post).
    """
    _draw_sky_and_trees(scene)
    _draw_houses(scene)
    _draw_street(scene)
    return _draw_lamps(scene)


def _draw_sky_and_trees(scene: Scene) -> None:
    rng, h, w = scene.rng, scene.h, scene.w
    height = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    clouds = np.clip(0.5 * scene.grain[4] + 0.25 * scene.grain[14], 0, 1)[..., None]
    day_sky = np.array([0.42, 0.6, 0.86]) + height * np.array([0.55, 0.4, 0.14])
    scene.shine[:] = (0.02, 0.025, 0.045) if scene.night else day_sky + (0.93 - day_sky) * 0.7 * clouds
    scene.warmth[:] = 0.08 + 0.08 * height[..., 0] + 0.05 * clouds[..., 0]
    for _ in range(9):  # a line of trees, with nearer trees in front of farther ones
        x, radius = rng.uniform(0, w), h * rng.uniform(0.06, 0.13)
        green = np.array([0.2, 0.3, 0.13]) * rng.uniform(0.8, 1.3)
        crown = disc(x, scene.horizon - 0.6 * radius, radius * rng.uniform(1.2, 1.9), radius)
        scene.paint(crown, green, rng.uniform(0.26, 0.32), rough=0.5)
    scene.paint(box(-1, scene.horizon, w + 1, h + 1), (0.27, 0.36, 0.17), 0.3, rough=0.45)


def _draw_houses(scene: Scene) -> None:
    rng, x = scene.rng, -scene.w * scene.rng.uniform(0, 0.1)
    while x < scene.w:
        width = scene.w * rng.uniform(0.14, 0.28)
        if rng.random() < 0.7:
            _draw_house(scene, x, width, scene.horizon * rng.uniform(0.15, 0.7))
        x += width * rng.uniform(1.0, 1.3)


def _draw_house(scene: Scene, x: float, width: float, top: float) -> None:
    rng, foot = scene.rng, scene.horizon + 0.03 * scene.h
    tint = np.array([(0.68, 0.5, 0.42), (0.72, 0.68, 0.58), (0.55, 0.57, 0.6), (0.74, 0.62, 0.42)])[rng.integers(4)]
    wall_warmth = rng.uniform(0.33, 0.41)
    scene.paint(box(x, top, x + width, foot), tint * rng.uniform(0.75, 1.1), wall_warmth, rough=0.09)
    scene.paint(box(x - 1, top - 0.02 * scene.h, x + width + 1, top), tint * 0.45, wall_warmth - 0.1)
    pitch = max(5.0, 0.055 * scene.h)
    for wy in np.arange(top + 0.45 * pitch, foot - pitch, pitch):
        for wx in np.arange(x + 0.4 * pitch, x + width - 0.75 * pitch, pitch):
            pane = box(wx, wy, wx + 0.45 * pitch, wy + 0.6 * pitch)
            scene.paint(pane, (0.17, 0.21, 0.27), wall_warmth + rng.uniform(-0.07, 0.05))
            if scene.night and rng.random() < 0.15:  # light behind a pane: visible only
                window, share = scene.cover(pane)
                scene.shine[window] += share[..., None] * np.array([0.85, 0.66, 0.34], np.float32)
    pipe = x + width * rng.uniform(0.15, 0.85)  # warm behind the wall: infrared only
    scene.paint(box(pipe, top, pipe + max(1.0, 0.006 * scene.w), foot), warmth=wall_warmth + 0.17)


def _draw_street(scene: Scene) -> None:
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
    hole_x, hole_y = far + (middle - far) * rng.uniform(0.4, 0.85) + (w * rng.uniform(-0.15, 0.15), 0)
    scene.paint(disc(hole_x, hole_y, 0.022 * w, 0.012 * h), warmth=0.62)  # infrared only
    x, y, radius = w * rng.uniform(0.05, 0.22), scene.horizon + 0.02 * h, max(2.0, 0.024 * w)  # a sign: visible only
    scene.paint(box(x - 0.1 * radius, y, x + 0.1 * radius, y + 5 * radius), (0.5, 0.5, 0.52))
    scene.paint(disc(x, y, radius, radius), (0.78, 0.08, 0.08))
    scene.paint(box(x - 0.65 * radius, y - 0.2 * radius, x + 0.65 * radius, y + 0.2 * radius), (0.95, 0.95, 0.95))


def _draw_lamps(scene: Scene) -> list[np.ndarray]:
    """Draws one to three lamp posts at the side of the road.

    Returns the positions of their heads, as (x, y, height of the post).
    """
    lamps = []
    for side in scene.rng.permutation([-1, 1, 1])[: scene.rng.integers(1, 4)]:
        depth = scene.rng.uniform(0.15, 0.5)
        x = scene.vanishing[0] + side * scene.w * (0.06 + 0.6 * depth)
        foot, tall = scene.horizon + depth * 0.6 * (scene.h - scene.horizon), scene.h * (0.2 + 0.35 * depth)
        thick = max(0.7, 0.008 * scene.w * depth)
        scene.paint(box(x - thick, foot - tall, x + thick, foot), (0.3, 0.31, 0.33), 0.27)
        head = disc(x - side * 3 * thick, foot - tall, 4 * thick, 1.6 * thick)
        scene.paint(head, (0.4, 0.4, 0.4), 0.75 if scene.night else 0.3)
        lamps.append(np.array([x - side * 3 * thick, foot - tall, tall], np.float32))
    return lamps
