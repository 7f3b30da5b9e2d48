"""Made-up infrared-visible pairs, drawn by code from a seed: for the demo, tests and notebooks; nothing to download.

A street at day or night. The visible picture has texture, colour, shadows and lamps; the infrared one has smooth
materials and warm targets (people, vehicles) whose boxes are known. Some detail exists in one of the two only: road
markings and signs in the visible, targets in the dark and a warm pipe in the infrared.
"""

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from fusejax.data.images import from_float, write_image


@dataclasses.dataclass(frozen=True)
class SyntheticPairs:
    """Random-access source of `count` pairs, uint8: `{"id", "ir": [h, w, 1], "vi": [h, w, 3], "boxes": [n, 4]}`."""

    count: int
    size: tuple[int, int] = (256, 256)
    seed: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, str | np.ndarray]:
        return synthetic_pair(self.seed * 1_000_003 + index, size=self.size)


def synthetic_pair(seed: int, *, size: tuple[int, int] = (256, 256)) -> dict[str, str | np.ndarray]:
    """One pair of (height, width) pixels; every draw follows from the seed. Odd seeds are nights.

    Returns: `id`; `ir` uint8 [h, w, 1]; `vi` uint8 RGB [h, w, 3]; `boxes` float32 [n, 4], (x1, y1, x2, y2) in pixels.
    """
    rng = np.random.default_rng(seed)
    night = seed % 2 == 1
    h, w = size
    horizon = int(h * rng.uniform(0.3, 0.45))
    vi, ir = _background(rng, h, w, horizon)
    _draw_buildings(rng, vi, ir, horizon)
    _draw_road(rng, vi, ir, horizon)
    light = _night_light(rng, h, w, horizon) if night else np.float32(1.0)
    boxes = [_draw_target(rng, vi, ir, horizon) for _ in range(rng.integers(2, 5))]
    vi = vi * light + (0.02 if night else 0.0)
    vi = cv2.GaussianBlur(vi, (0, 0), 0.6) + rng.normal(0, 0.012 if night else 0.006, vi.shape)
    ir = cv2.GaussianBlur(ir, (0, 0), 1.0) + rng.normal(0, 0.008, ir.shape)
    return {
        "id": f"{'night' if night else 'day'}_{seed:06d}",
        "ir": from_float(ir[..., None], np.uint8),
        "vi": from_float(vi, np.uint8),
        "boxes": np.array(boxes, np.float32).reshape(-1, 4),
    }


def write_synthetic_folder(root: str | Path, *, count: int, size: tuple[int, int] = (256, 256), seed: int = 0) -> None:
    """Writes `count` pairs as root/ir/NAME.png and root/vi/NAME.png."""
    source = SyntheticPairs(count, size, seed)
    for index in range(count):
        pair = source[index]
        for kind in ("ir", "vi"):
            write_image(Path(root) / kind / f"{pair['id']}.png", pair[kind])


def _texture(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Noise over several octaves, mean 0, roughly within -1..1."""
    total = np.zeros((h, w), np.float32)
    for cells, weight in ((4, 0.45), (12, 0.3), (36, 0.25)):
        noise = rng.standard_normal((max(2, cells * h // max(h, w)), cells)).astype(np.float32)
        total += weight * cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC)
    return total


def _background(rng: np.random.Generator, h: int, w: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    sky = np.array([0.62, 0.74, 0.9], np.float32) + 0.06 * _texture(rng, h, w)[..., None] + 0.15 * rows[..., None]
    trees = (
        np.array([0.24, 0.34, 0.16], np.float32)
        * (1 + 0.45 * _texture(rng, h, w) + rng.normal(0, 0.18, (h, w)))[..., None]
    )
    is_sky = rows[..., None] * h < horizon * (0.75 + 0.12 * _texture(rng, 1, w))[0, None, :, None]
    vi = np.where(is_sky, sky, trees).astype(np.float32)
    ir = np.where(is_sky[..., 0], 0.12 + 0.03 * rows, 0.3 + 0.04 * _texture(rng, h, w)).astype(np.float32)
    return np.ascontiguousarray(vi), np.ascontiguousarray(ir)


def _draw_buildings(rng: np.random.Generator, vi: np.ndarray, ir: np.ndarray, horizon: int) -> None:
    h, w = ir.shape
    x = 0
    while x < w:
        width = int(w * rng.uniform(0.12, 0.3))
        if rng.random() < 0.65:
            top = int(horizon * rng.uniform(0.2, 0.8))
            wall = rng.uniform(0.35, 0.75) * np.array([1.0, rng.uniform(0.85, 1), rng.uniform(0.7, 1)])
            vi[top : horizon + 4, x : x + width] = wall * (1 + 0.05 * rng.standard_normal((1, min(width, w - x), 1)))
            ir[top : horizon + 4, x : x + width] = rng.uniform(0.32, 0.42)
            step = max(6, h // 24)
            for wy in range(top + step // 2, horizon - step // 2, step):
                for wx in range(x + step // 2, min(x + width, w) - step // 2, step):
                    vi[wy : wy + step // 2, wx : wx + step // 2] = (0.16, 0.19, 0.24)
                    ir[wy : wy + step // 2, wx : wx + step // 2] += 0.07 * rng.random()
            pipe = x + width // 3  # warm behind the wall: infrared only
            ir[top : horizon + 4, pipe : pipe + max(1, w // 160)] = 0.55
        x += width


def _draw_road(rng: np.random.Generator, vi: np.ndarray, ir: np.ndarray, horizon: int) -> None:
    h, w = ir.shape
    vanish = np.array([w * rng.uniform(0.35, 0.65), horizon])
    road = np.array([vanish, vanish, [w * 1.15, h], [-w * 0.15, h]]).astype(np.int32)
    mask = cv2.fillPoly(np.zeros((h, w), np.uint8), [road], 1).astype(bool)
    asphalt = 0.34 + 0.03 * _texture(rng, h, w) + rng.normal(0, 0.02, (h, w))
    vi[mask] = asphalt[mask][:, None] * np.array([1.0, 1.0, 1.03])
    ir[mask] = (0.4 + 0.02 * _texture(rng, h, w))[mask]
    for t in np.arange(0.08, 1.0, 0.16):  # markings: visible only
        a, b = (vanish + (np.array([w * 0.5, h]) - vanish) * s for s in (t, t + 0.07))
        cv2.line(vi, a.astype(int).tolist(), b.astype(int).tolist(), (0.85, 0.85, 0.8), max(1, int(6 * t * w / 320)))
    sign = (int(w * rng.uniform(0.05, 0.3)), int(h * rng.uniform(0.4, 0.5)))
    cv2.circle(vi, sign, max(2, w // 40), (0.8, 0.1, 0.1), -1, cv2.LINE_AA)
    cv2.circle(vi, sign, max(1, w // 70), (0.95, 0.95, 0.95), -1, cv2.LINE_AA)


def _night_light(rng: np.random.Generator, h: int, w: int, horizon: int) -> np.ndarray:
    """[h, w, 3] light: a dim floor and warm cones under a few street lamps."""
    y, x = np.mgrid[:h, :w].astype(np.float32)
    light = np.full((h, w), 0.05, np.float32)
    for _ in range(rng.integers(1, 4)):
        cx, cy = rng.uniform(0, w), rng.uniform(0.6, 0.95) * horizon
        light += 0.55 * np.exp(-(((x - cx) / (0.16 * w)) ** 2) - ((y - cy) / (0.4 * h)) ** 2)
        light += 2.5 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (0.014 * w) ** 2)
    return light[..., None] * np.array([1.0, 0.86, 0.62], np.float32)


def _draw_target(rng: np.random.Generator, vi: np.ndarray, ir: np.ndarray, horizon: int) -> tuple[int, int, int, int]:
    """A person or a vehicle on the ground, warm in infrared, dull in visible; larger when nearer. Returns its box."""
    h, w = ir.shape
    depth = rng.uniform(0.15, 1.0)
    foot = int(horizon + depth * 0.55 * (h - horizon))
    height = max(6, int(h * (0.08 + 0.2 * depth)))
    dull = rng.uniform(0.1, 0.35) * np.array([1.0, rng.uniform(0.8, 1.0), rng.uniform(0.7, 1.1)])
    if rng.random() < 0.6:
        width = max(3, int(height * 0.36))
        x = int(rng.uniform(0.05, 0.95) * (w - width))
        parts = [  # head, torso, legs as (centre x, centre y, half width, half height, warmth), relative to the box
            (0.5, 0.1, 0.22, 0.1, 0.97),
            (0.5, 0.38, 0.42, 0.2, 0.8),
            (0.32, 0.76, 0.16, 0.24, 0.72),
            (0.68, 0.76, 0.16, 0.24, 0.72),
        ]
    else:
        width, height = int(height * 1.5), max(6, int(height * 0.8))
        x = int(rng.uniform(0.0, 1.0) * (w - width))
        parts = [
            (0.5, 0.62, 0.5, 0.3, 0.5),
            (0.5, 0.28, 0.32, 0.26, 0.45),
            (0.5, 0.72, 0.22, 0.14, 0.85),
            (0.2, 0.88, 0.1, 0.12, 0.75),
            (0.8, 0.88, 0.1, 0.12, 0.75),
        ]
    top = foot - height
    for cx, cy, rx, ry, warmth in parts:
        centre = (round(x + cx * width), round(top + cy * height))
        axes = (max(1, round(rx * width)), max(1, round(ry * height)))
        cv2.ellipse(vi, centre, axes, 0, 0, 360, (dull * (0.8 + 0.4 * cy)).tolist(), -1, cv2.LINE_AA)
        cv2.ellipse(ir, centre, axes, 0, 0, 360, float(warmth), -1, cv2.LINE_AA)
    return max(0, x), max(0, top), min(w, x + width), min(h, foot)
