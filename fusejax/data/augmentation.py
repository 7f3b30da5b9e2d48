"""Augmentation of training pairs: brightness, contrast, glare, sensor noise and misalignment.

Infrared keeps its polarity. Like crops and flips, the random changes depend only on the sample's
index.
"""

import dataclasses

import grain
import numpy as np
from jaxtyping import Float, Int

from fusejax.data.config import AugmentConfig
from fusejax.data.deformation import displaced, elastic_field, homography_field

Plane = Float[np.ndarray, "h w 1"]


@dataclasses.dataclass(frozen=True)
class Augment(grain.transforms.RandomMap):
    """Changes `ir` and `vi_y`, and in the same way `ir_input` and `vi_input`, which also get noise
    and a shift or a deformation.
    """

    config: AugmentConfig

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        config, changed = self.config, dict(pair)
        if config.pedestal:
            pair = _lifted(pair, config.pedestal, rng)
        if config.dusk and rng.random() < config.dusk:
            pair = _mapped(pair, "vi_y", "vi_input", 0.0, rng.uniform(0.2, 0.8))
        if config.lamps and rng.random() < config.lamps:
            pair = _with_lamps(pair, rng)
        light = draw_light(pair["ir"], rng) if rng.random() < config.glare else 0.0
        for clean, given, added in (("ir", "ir_input", 0.0), ("vi_y", "vi_input", light)):
            gain = 1 + config.contrast * rng.uniform(-1, 1)
            shift = config.brightness * rng.uniform(-1, 1) + (1 - gain) * pair[clean].mean() + added
            masked = pair[given] is not pair[clean]
            changed[clean] = _clipped(gain * pair[clean] + shift)
            changed[given] = _clipped(gain * pair[given] + shift) if masked else changed[clean]
            if sigma := config.noise * rng.uniform():
                noise = rng.standard_normal(changed[given].shape, np.float32)
                changed[given] = _clipped(changed[given] + sigma * noise)
        if limit := config.misalignment:
            changed["ir_input"] = shifted(changed["ir_input"], rng.integers(-limit, limit + 1, 2))
        if config.corners or config.elastic:
            changed |= _deformed(changed, config, rng)
        return changed


def _deformed(pair: dict, config: AugmentConfig, rng: np.random.Generator) -> dict:
    """The infrared images that are deformed."""
    size = pair["ir"].shape[:2]
    field = np.zeros((*size, 2), np.float32)
    if config.corners:
        field += homography_field(size, rng, corner=config.corners)
    if config.elastic:
        field += elastic_field(size, rng, amount=config.elastic, sigma=min(size) / 4)
    given = {"ir_input": displaced(pair["ir_input"], field)}
    if config.deformed == "input":
        return given
    same = pair["ir"] is pair["ir_input"]
    return given | {"ir": given["ir_input"] if same else displaced(pair["ir"], field)}


def _lifted(pair: dict, limit: float, rng: np.random.Generator) -> dict:
    """Half of the pairs with the infrared image on a pedestal, with less contrast above it."""
    if rng.random() < 0.5:
        return pair
    low = limit * rng.uniform()
    return _mapped(pair, "ir", "ir_input", low, (1 - low) * rng.uniform(0.6, 1.0))


def _mapped(pair: dict, clean: str, given: str, low: float, gain: float) -> dict:
    """The pair with low + gain * x in place of one source x and of the network's input of it."""
    changed = {clean: _clipped(low + gain * pair[clean])}
    masked = pair[given] is not pair[clean]
    return pair | changed | {given: _clipped(low + gain * pair[given]) if masked else changed[clean]}


def shifted(x: Plane, by: Int[np.ndarray, " 2"]) -> Plane:
    """The image moved down and right by `by` pixels; the border is repeated."""
    rows, columns = (np.clip(np.arange(n) - b, 0, n - 1) for n, b in zip(x.shape[:2], by, strict=True))
    return x[rows][:, columns]


def draw_light(ir: Plane, rng: np.random.Generator) -> Plane:
    """A lamp: a saturated core with a halo that falls off smoothly.

    Half of the lamps are placed anywhere, half at one of the warmest 1% of the pixels, because a
    network must learn to show people in the glare of headlights from only a few pairs.
    """
    size = ir.shape[:2]
    if rng.random() < 0.5:
        warm = np.flatnonzero(ir >= np.quantile(ir, 0.99))
        center = np.unravel_index(warm[rng.integers(len(warm))], size)
    else:
        center = [rng.uniform(0, n) for n in size]
    rows, columns = (np.arange(n, dtype=np.float32) - c for n, c in zip(size, center, strict=True))
    radius = min(size) * rng.uniform(0.08, 0.35)
    squared = np.square(rows / radius)[:, None] + np.square(columns / radius)
    return (rng.uniform(1, 4) * np.exp(-0.5 * squared))[..., None]


def _with_lamps(pair: dict, rng: np.random.Generator) -> dict:
    """The pair with lamps in both images."""
    planes = dict(zip(("vi_y", "ir"), draw_lamps(pair["ir"].shape[:2], rng), strict=True))
    changed = dict(pair)
    for (clean, plane), given in zip(planes.items(), ("vi_input", "ir_input"), strict=True):
        masked = pair[given] is not pair[clean]
        changed[clean] = _clipped(pair[clean] + plane)
        changed[given] = _clipped(pair[given] + plane) if masked else changed[clean]
    return changed


def draw_lamps(size: tuple[int, int], rng: np.random.Generator) -> tuple[Plane, Plane]:
    """One to three street lamps: saturated dots with a faint halo, which are warm themselves.

    With these, a network learns that a small light with something hot in it is not a person in the
    glare of a large one.

    Args:
        size: height and width of the planes.
        rng: source of their places, sizes and strengths.

    Returns:
        What they add to the visible and to the infrared image.
    """
    light, heat = np.zeros((2, *size), np.float32)
    for _ in range(rng.integers(1, 4)):
        rows, columns = (np.arange(n, dtype=np.float32) - rng.uniform(0, n) for n in size)
        distance = np.hypot(rows[:, None], columns) / rng.uniform(1.5, 6.0)
        light += rng.uniform(1, 3) * np.exp(-0.5 * distance**2) + rng.uniform(0.1, 0.4) * np.exp(-distance / 4)
        heat += rng.uniform(0.2, 0.6) * np.exp(-0.6 * distance**2)
    return light[..., None], heat[..., None]


def _clipped(x: Plane) -> Plane:
    return np.clip(x, 0, 1).astype(np.float32)
