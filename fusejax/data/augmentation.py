"""Changes of training pairs: brightness, contrast, glare and sensor noise.

Infrared keeps its polarity. What is drawn follows from the sample's index alone, like crops and
flips.
"""

import dataclasses

import grain
import numpy as np
from jaxtyping import Float

from fusejax.data.config import AugmentConfig

Plane = Float[np.ndarray, "h w 1"]


@dataclasses.dataclass(frozen=True)
class Augment(grain.transforms.RandomMap):
    """Changes `ir` and `vi_y`, and `ir_input` and `vi_input` alike, which also get the noise."""

    config: AugmentConfig

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        config, changed = self.config, dict(pair)
        light = draw_light(pair["vi_y"].shape[:2], rng) if rng.random() < config.glare else 0.0
        for clean, given, added in (("ir", "ir_input", 0.0), ("vi_y", "vi_input", light)):
            gain = 1 + config.contrast * rng.uniform(-1, 1)
            shift, middle = config.brightness * rng.uniform(-1, 1), pair[clean].mean()
            for name in (clean, given):
                changed[name] = _clipped(middle + gain * (pair[name] - middle) + shift + added)
            sigma = config.noise * rng.uniform()
            changed[given] = _clipped(changed[given] + sigma * rng.standard_normal(changed[given].shape))
        return changed


def draw_light(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    """A lamp anywhere in the image: a core that saturates, a halo that falls off smoothly."""
    rows, columns = (np.arange(n)[:, None] - rng.uniform(0, n) for n in size)
    squared = np.square(rows) + np.square(columns).T
    radius = min(size) * rng.uniform(0.08, 0.35)
    return (rng.uniform(1, 2) * np.exp(-0.5 * squared / radius**2))[..., None]


def _clipped(x: Plane) -> Plane:
    return np.clip(x, 0, 1).astype(np.float32)
