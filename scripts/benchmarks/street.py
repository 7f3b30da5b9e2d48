"""A made-up street at night in visible light and in infrared, for the first image of the README.

Everything is drawn by the functions below at twice the size and then reduced. Light adds up in
linear units and is exposed at the end, so lamps blow out as on a sensor.
"""

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float, UInt8

WIDTH, HEIGHT = 960, 600
_SCALE = 2
_HORIZON = 0.44  # of the height
_VANISHING = (0.52, _HORIZON)
_WARM, _COOL, _NEON = (1.0, 0.72, 0.38), (0.75, 0.85, 1.0), (1.0, 0.16, 0.45)

Point = tuple[float, float]
Color = tuple[float, ...]


@dataclasses.dataclass
class Street:
    """Two canvases of one scene: linear visible light, and infrared radiation.

    Attributes:
        light: reflected and emitted light, RGB.
        glow: light of lamps in front of everything, which adds up.
        heat: infrared radiation, 0 cold to 1 hot.
        rng: for textures and windows.
    """

    light: Float[np.ndarray, "h w 3"]
    glow: Float[np.ndarray, "h w 3"]
    heat: Float[np.ndarray, "h w"]
    rng: np.random.Generator

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Pixel of a point in units of the width and the height."""
        h, w = self.heat.shape
        return round(x * w), round(y * h)

    def fill(self, points: list[Point], color: Color, heat: float) -> None:
        """Draws a polygon into both canvases."""
        corners = np.array([self.place(*p) for p in points], np.int32)
        cv2.fillPoly(self.light, [corners], color, cv2.LINE_AA)
        cv2.fillPoly(self.heat, [corners], [heat], cv2.LINE_AA)

    def ellipse(self, x: float, y: float, a: float, b: float, color: Color, heat: float) -> None:
        """Draws an ellipse with half axes a and b in units of the height."""
        h = self.heat.shape[0]
        axes = (max(1, round(a * h)), max(1, round(b * h)))
        cv2.ellipse(self.light, self.place(x, y), axes, 0, 0, 360, color, -1, cv2.LINE_AA)
        cv2.ellipse(self.heat, self.place(x, y), axes, 0, 0, 360, heat, -1, cv2.LINE_AA)

    def stroke(self, points: list[Point], width: float, color: Color, heat: float) -> None:
        """Draws a line of a width in units of the height."""
        corners = np.array([self.place(*p) for p in points], np.int32)
        thick = max(1, round(width * self.heat.shape[0]))
        cv2.polylines(self.light, [corners], False, color, thick, cv2.LINE_AA)
        cv2.polylines(self.heat, [corners], False, [heat], thick, cv2.LINE_AA)

    def lamp(self, x: float, y: float, radius: float, color: Color, strength: float, *, squash: float = 1.0) -> None:
        """Adds light that falls off from a point; `squash` flattens it to a pool on the road."""
        h, w = self.heat.shape
        rows, columns = np.mgrid[:h, :w].astype(np.float32)
        distance = np.hypot((columns - x * w) / (radius * h), squash * (rows - y * h) / (radius * h))
        self.glow += strength * np.exp(-2.5 * distance)[..., None] * np.array(color, np.float32)


def draw_street(seed: int = 7) -> tuple[UInt8[np.ndarray, "h w 1"], UInt8[np.ndarray, "h w 3"]]:
    """Infrared and visible image of the street."""
    h, w = HEIGHT * _SCALE, WIDTH * _SCALE
    zero = np.zeros((h, w, 3), np.float32)
    street = Street(zero, zero.copy(), np.zeros((h, w), np.float32), np.random.default_rng(seed))
    _sky_and_city(street)
    _facade(street, 0.0, 0.375, 0.02, 0.82, floors=6, columns=7, paint=(0.030, 0.024, 0.020), heat=0.34)
    _facade(street, 1.0, 0.66, -0.12, 0.80, floors=5, columns=6, paint=(0.034, 0.018, 0.014), heat=0.38)
    _road(street)
    _tree(street, 0.235, 0.70, 0.30)
    _tree(street, 0.845, 0.68, 0.33)
    _lamps(street)
    _parked_car(street)
    _oncoming_car(street)
    for person in (
        (0.532, 0.705, 0.20, 1, (0.020, 0.020, 0.026)),  # in front of the headlights
        (0.145, 0.865, 0.34, -1, (0.018, 0.020, 0.030)),
        (0.255, 0.745, 0.22, 1, (0.026, 0.014, 0.014)),
        (0.905, 0.815, 0.30, -1, (0.016, 0.020, 0.016)),
    ):
        _person(street, *person)
    return _infrared(street), _visible(street)


def _sky_and_city(street: Street) -> None:
    h = street.heat.shape[0]
    down = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    zenith, haze = (np.array(c, np.float32) for c in ((0.004, 0.006, 0.014), (0.040, 0.028, 0.026)))
    street.light[:] = zenith * (1 - down) + haze * down
    street.heat[:] = 0.06 + 0.10 * down[..., 0]
    x = 0.30
    while x < 0.75:
        width, top = street.rng.uniform(0.02, 0.05), _HORIZON - street.rng.uniform(0.04, 0.17)
        street.fill([(x, 0.5), (x, top), (x + width, top), (x + width, 0.5)], (0.012, 0.011, 0.014), 0.22)
        for _ in range(14):
            a, b = street.rng.uniform(x + 0.003, x + width - 0.004), street.rng.uniform(top + 0.01, _HORIZON)
            street.fill([(a, b), (a + 0.0018, b), (a + 0.0018, b + 0.004), (a, b + 0.004)], (0.5, 0.36, 0.18), 0.24)
        x += width


def _facade(
    street: Street,
    near: float,
    far: float,
    top: float,
    bottom: float,
    *,
    floors: int,
    columns: int,
    paint: Color,
    heat: float,
) -> None:
    """A house front from the border of the image (`near`) towards the vanishing point."""

    def at(u: float, v: float) -> Point:
        u = u / (u + 1.9 * (1 - u)) if u < 1 else 1.0  # columns get narrower with distance
        x = near + (far - near) * u
        k = (x - _VANISHING[0]) / (near - _VANISHING[0])
        y = top + (bottom - top) * v
        return x, _VANISHING[1] + (y - _VANISHING[1]) * k

    def panel(u0: float, u1: float, v0: float, v1: float, color: Color, warmth: float) -> None:
        street.fill([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)], color, warmth)

    panel(0, 1, 0, 1, paint, heat)
    for floor in range(floors):
        v = 0.05 + floor * 0.80 / floors
        panel(0, 1, v - 0.018, v - 0.006, tuple(1.5 * c for c in paint), heat + 0.04)
        for column in range(columns):
            u, lit = 0.05 + column / columns, street.rng.random() < 0.3
            color = tuple(street.rng.uniform(0.5, 1.0) * c for c in _WARM) if lit else (0.006, 0.007, 0.011)
            frame = tuple(1.9 * c for c in paint)
            panel(u - 0.012, u + 0.082, v - 0.004, v + 0.093, frame, heat + 0.05)
            panel(u, u + 0.07, v + 0.004, v + 0.085, color, heat + (0.07 if lit else -0.10))
            panel(u + 0.033, u + 0.038, v + 0.004, v + 0.085, frame, heat + 0.03)
    for column in range(0, columns, 2):  # shops
        u = 0.06 + column / columns
        color = _COOL if column % 4 else _WARM
        panel(u, u + 0.22, 0.875, 0.985, tuple(0.35 * c for c in color), heat + 0.09)
        panel(u - 0.01, u + 0.23, 0.855, 0.873, (0.05, 0.012, 0.016), heat - 0.04)
        x, y = at(u + 0.11, 0.99)
        street.lamp(x, y + 0.03, 0.16, color, 0.05, squash=2.0)
    x, y = at(0.42, 0.83)
    if near == 0:
        letters = np.zeros(street.heat.shape, np.uint8)
        cv2.putText(letters, "CAFE", street.place(x - 0.032, y), cv2.FONT_HERSHEY_DUPLEX, 1.5, 255, 4, cv2.LINE_AA)
        share = letters / np.float32(255)
        street.glow += share[..., None] * np.array(_NEON, np.float32)
        street.heat += 0.16 * share
        street.lamp(x, y, 0.09, _NEON, 0.05)


def _road(street: Street) -> None:
    vx, vy = _VANISHING
    pavement = [(-0.3, 1.05), (vx - 0.15, vy + 0.01), (vx + 0.15, vy + 0.01), (1.3, 1.05)]
    street.fill(pavement, (0.030, 0.028, 0.027), 0.40)
    street.fill([(0.02, 1.05), (vx - 0.012, vy), (vx + 0.012, vy), (0.98, 1.05)], (0.016, 0.016, 0.018), 0.47)
    for edge in (0.02, 0.98):
        street.stroke([(edge, 1.05), (vx + (edge - 0.5) * 0.025, vy)], 0.006, (0.055, 0.052, 0.048), 0.43)
    for k in range(9):
        near, far = (vy + (1.05 - vy) * 0.78 ** (2 * k + s) for s in (0, 1))
        wide = [0.007 * (y - vy) / (1 - vy) for y in (near, far)]
        middle = [vx + (0.5 - vx) * (y - vy) / (1 - vy) for y in (near, far)]
        left, right = (
            [(m + side * a, y) for m, a, y in zip(middle, wide, (near, far), strict=True)] for side in (-1, 1)
        )
        street.fill(left + right[::-1], (0.16, 0.15, 0.13), 0.42)
    for k in range(9):  # a crossing
        x = 0.11 + 0.09 * k
        top = [(vx + (x + s - vx) * 0.83, 0.80) for s in (0.0, 0.042)]
        street.fill([(x, 0.865), top[0], top[1], (x + 0.042, 0.865)], (0.13, 0.125, 0.115), 0.43)
    h, w = street.heat.shape
    for canvas, amount in ((street.light, 0.20), (street.heat, 0.035)):
        for sigma in (1.5, 9.0):
            grain = cv2.GaussianBlur(street.rng.standard_normal((h, w)).astype(np.float32), (0, 0), sigma) * sigma * 1.8
            rows = slice(round(h * (vy + 0.02)), None)
            shade = 1 + amount * np.clip(grain[rows], -2, 2)
            canvas[rows] *= shade[..., None] if canvas.ndim == 3 else shade
    street.ellipse(0.40, 0.94, 0.045, 0.012, (0.012, 0.012, 0.013), 0.66)  # a manhole


def _tree(street: Street, x: float, y: float, size: float) -> None:
    def branch(x: float, y: float, angle: float, length: float, width: float) -> None:
        if length < 0.012:
            return
        dx, dy = length * np.cos(angle) * HEIGHT / WIDTH, -length * np.sin(angle)
        street.stroke([(x, y), (x + dx, y + dy)], width, (0.010, 0.011, 0.008), 0.27)
        for _ in range(street.rng.integers(2, 4)):
            turn, shrink = street.rng.uniform(-0.62, 0.62), street.rng.uniform(0.62, 0.83)
            branch(x + dx, y + dy, angle + turn, length * shrink, width * 0.66)

    branch(x, y, np.pi / 2, size * 0.33, size * 0.045)


def _lamps(street: Street) -> None:
    for x, base, tall in ((0.318, 0.66, 0.46), (0.428, 0.545, 0.22), (0.735, 0.66, 0.46), (0.615, 0.545, 0.22)):
        side = 1 if x < 0.5 else -1
        head = x + side * 0.035 * tall / 0.46
        pole = [(x, base), (x, base - tall), (head, base - tall - 0.012)]
        street.stroke(pole, 0.010 * tall, (0.02, 0.02, 0.02), 0.33)
        street.ellipse(head, base - tall - 0.008, 0.018 * tall, 0.010 * tall, (2.5, 1.9, 1.1), 0.60)
        street.lamp(head, base - tall, 0.12 * tall, _WARM, 1.0)
        street.lamp(head, base + 0.02, 0.8 * tall, _WARM, 0.05, squash=2.4)


def _parked_car(street: Street) -> None:
    """A cold car at the curb, seen from behind."""
    x, y = 0.775, 0.775
    _car_body(street, x, y, 0.085, (0.030, 0.010, 0.009), 0.27, glass=0.20, low=0.30)
    for side in (-0.062, 0.062):
        street.ellipse(x + side * 0.88, y - 0.055, 0.010, 0.008, (0.20, 0.008, 0.008), 0.27)


def _oncoming_car(street: Street) -> None:
    x, y, wide = 0.555, 0.665, 0.056
    _car_body(street, x, y, wide, (0.010, 0.011, 0.013), 0.52, glass=0.24, low=0.74)
    for side in (-0.72, 0.72):
        at = x + side * wide
        street.ellipse(at, y - 0.048, 0.014, 0.011, (30.0, 28.0, 25.0), 0.70)
        street.lamp(at, y - 0.048, 0.10, (1.0, 0.94, 0.82), 5.0)
        street.lamp(at, y + 0.11, 0.26, (1.0, 0.92, 0.78), 0.16, squash=1.6)


def _car_body(
    street: Street, x: float, y: float, wide: float, color: Color, heat: float, *, glass: float, low: float
) -> None:
    tall = 1.55 * wide * WIDTH / HEIGHT

    def at(u: float, v: float) -> Point:
        return x + u * wide, y - v * tall

    for u in (-0.78, 0.62):
        street.fill([at(u, 0.0), at(u, 0.28), at(u + 0.2, 0.28), at(u + 0.2, 0.0)], (0.006, 0.006, 0.006), low)
    street.fill([at(-1, 0.12), at(-1, 0.46), at(-0.86, 0.58), at(0.86, 0.58), at(1, 0.46), at(1, 0.12)], color, heat)
    roof = [at(-0.84, 0.56), at(-0.60, 0.98), at(0.60, 0.98), at(0.84, 0.56)]
    street.fill(roof, tuple(0.7 * c for c in color), heat - 0.06)
    street.fill([at(-0.72, 0.58), at(-0.53, 0.91), at(0.53, 0.91), at(0.72, 0.58)], (0.008, 0.009, 0.012), glass)
    street.fill([at(-0.56, 0.20), at(-0.56, 0.38), at(0.56, 0.38), at(0.56, 0.20)], tuple(0.4 * c for c in color), low)
    street.fill([at(-0.9, 0.04), at(-0.9, 0.12), at(0.9, 0.12), at(0.9, 0.04)], (0.004, 0.004, 0.004), low - 0.06)


def _person(street: Street, x: float, y: float, tall: float, facing: int, coat: Color) -> None:
    """A walking person whose feet are at (x, y)."""

    def at(u: float, v: float) -> Point:
        return x + facing * u * tall * HEIGHT / WIDTH, y - v * tall

    skin, dark = (0.055, 0.036, 0.028), (0.010, 0.010, 0.012)
    street.stroke([at(0.00, 0.47), at(-0.05, 0.25), at(-0.15, 0.03)], 0.085 * tall, dark, 0.76)
    street.stroke([at(0.00, 0.47), at(0.10, 0.25), at(0.13, 0.02)], 0.088 * tall, dark, 0.80)
    for foot in (-0.14, 0.15):
        street.ellipse(*at(foot + 0.025, 0.012), 0.05 * tall, 0.018 * tall, dark, 0.62)
    street.stroke([at(-0.02, 0.78), at(-0.13, 0.62), at(-0.10, 0.46)], 0.062 * tall, coat, 0.72)
    street.fill([at(-0.115, 0.80), at(0.095, 0.80), at(0.125, 0.42), at(-0.125, 0.42)], coat, 0.77)
    street.ellipse(*at(-0.01, 0.80), 0.105 * tall, 0.045 * tall, coat, 0.77)
    street.stroke([at(0.05, 0.78), at(0.13, 0.61), at(0.20, 0.50)], 0.062 * tall, coat, 0.74)
    street.ellipse(*at(0.205, 0.485), 0.026 * tall, 0.026 * tall, skin, 0.92)
    street.stroke([at(0.0, 0.80), at(0.012, 0.87)], 0.06 * tall, skin, 0.93)
    street.ellipse(*at(0.015, 0.905), 0.056 * tall, 0.070 * tall, skin, 0.95)
    street.ellipse(*at(-0.012, 0.935), 0.058 * tall, 0.052 * tall, (0.010, 0.008, 0.007), 0.70)


def _visible(street: Street) -> UInt8[np.ndarray, "h w 3"]:
    lit = street.light * (1.0 + 9.0 * cv2.GaussianBlur(street.glow, (0, 0), 60.0)) + street.glow
    bright = np.maximum(lit - 0.8, 0.0)
    for sigma, amount in ((6.0, 0.25), (28.0, 0.06), (90.0, 0.015)):
        lit = lit + amount * cv2.GaussianBlur(bright, (0, 0), sigma)
    small = cv2.resize(lit, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    exposed = (1.0 - np.exp(-2.2 * np.maximum(small, 0.0))) ** (1 / 2.2)
    noise = street.rng.standard_normal(exposed.shape).astype(np.float32) * 0.006
    return np.round(255 * np.clip(exposed + noise, 0, 1)).astype(np.uint8)


def _infrared(street: Street) -> UInt8[np.ndarray, "h w 1"]:
    small = cv2.resize(cv2.GaussianBlur(street.heat, (0, 0), 1.6), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 0.8)
    noise = 0.004 * street.rng.standard_normal(small.shape) + 0.003 * street.rng.standard_normal(small.shape[1])
    return np.round(255 * np.clip(small + noise, 0, 1)).astype(np.uint8)[..., None]
