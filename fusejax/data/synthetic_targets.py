"""People and cars of a synthetic pair, with their boxes."""

import numpy as np

from fusejax.data.synthetic_scene import Scene, disc

# Shapes in units of their box: x to the right, y down, with the ground at y = 1.
_CAR = ((0, 0.9), (0, 0.56), (0.04, 0.47), (0.22, 0.42), (0.35, 0.06), (0.72, 0.04), (0.9, 0.43), (1, 0.52), (1, 0.9))
_CAR_WINDOWS = (
    ((0.27, 0.43), (0.375, 0.13), (0.53, 0.13), (0.53, 0.43)),
    ((0.56, 0.43), (0.56, 0.13), (0.7, 0.13), (0.82, 0.43)),
)
_CAR_BONNET = ((0.01, 0.58), (0.05, 0.49), (0.24, 0.45), (0.29, 0.6), (0.02, 0.8))
_TORSO = ((0.28, 0.19), (0.72, 0.19), (0.8, 0.52), (0.68, 0.58), (0.32, 0.58), (0.2, 0.52))
_ARMS = (((0.22, 0.2), (0.34, 0.24), (0.2, 0.56), (0.06, 0.54)), ((0.66, 0.24), (0.78, 0.2), (0.94, 0.54), (0.8, 0.56)))


def draw_targets(scene: Scene, *, shift: float = 0.0) -> tuple[list[tuple[float, float, float, float]], list[str]]:
    """Draws two to five people and cars, farther ones first; returns their boxes and labels.

    `shift` moves them to the right, in pixels at the nearest depth.
    """
    depths = np.sort(scene.rng.uniform(0.12, 1.0, scene.rng.integers(2, 6)))
    boxes, labels = [], []
    for depth in depths:
        foot = scene.horizon + (0.06 + 0.72 * depth) * (scene.h - scene.horizon)
        height = max(6.0, scene.h * (0.06 + 0.26 * depth))
        is_car = scene.rng.random() < 0.4
        height, width = (0.8 * height, 1.9 * height) if is_car else (height, 0.42 * height)
        x = scene.rng.uniform(0, max(1.0, scene.w - width)) + shift * depth
        _cast_shadow(scene, x, foot, width, height)
        (_draw_car if is_car else _draw_person)(scene, x, foot - height, width, height)
        if x >= scene.w - 1:
            continue
        boxes.append((x, foot - height, min(x + width, scene.w), min(foot, scene.h)))
        labels.append("car" if is_car else "person")
    return boxes, labels


def _cast_shadow(scene: Scene, x: float, foot: float, width: float, height: float) -> None:
    if not scene.night:
        window, share = scene.cover(disc(x + 0.55 * width, foot, 0.65 * width, 0.07 * height))
        scene.shade[window] *= 1 - 0.55 * share


def _draw_person(scene: Scene, x: float, y: float, width: float, height: float) -> None:
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
    scene.paint(to_pixels(disc(0.5, 0.1, 0.2, 0.1)), (0.42, 0.31, 0.25), 0.95)
    scene.paint(to_pixels(disc(0.5, 0.055, 0.2, 0.055)), (0.12, 0.09, 0.07), 0.85)  # hair


def _draw_car(scene: Scene, x: float, y: float, width: float, height: float) -> None:
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
        scene.paint(to_pixels(disc(middle, 0.86, 0.27 * height / width, 0.14)), (0.06, 0.06, 0.06), 0.68)
        scene.paint(to_pixels(disc(middle, 0.86, 0.13 * height / width, 0.07)), (0.45, 0.45, 0.46), 0.8)
    scene.paint(to_pixels(disc(0.98, 0.86, 0.03, 0.04)), warmth=0.98)  # exhaust
