"""Random transforms of a pair, for grain: each draw comes from the generator that grain derives from (seed, index)."""

import dataclasses

import grain
import numpy as np

from fusejax.color import rgb_to_luma
from fusejax.data.images import to_float
from fusejax.data.masking import ComMaskConfig, com_mask


@dataclasses.dataclass(frozen=True)
class RandomPairedCrop(grain.transforms.RandomMap):
    """Cuts the same size x size window (pixels) from both pictures of the pair."""

    size: int

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        h, w = pair["ir"].shape[:2]
        if min(h, w) < self.size:
            raise ValueError(f"{pair['id']}: picture {h}x{w} is smaller than the crop {self.size}; lower data.crop.")
        top, left = rng.integers(h - self.size + 1), rng.integers(w - self.size + 1)
        window = np.s_[top : top + self.size, left : left + self.size]
        return pair | {k: pair[k][window] for k in ("ir", "vi")}


class RandomPairedFlip(grain.transforms.RandomMap):
    """Mirrors both pictures, each axis with probability 1/2."""

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        for axis in (0, 1):
            if rng.random() < 0.5:
                pair = pair | {k: np.flip(pair[k], axis) for k in ("ir", "vi")}
        return pair


class ToLuma(grain.transforms.Map):
    """Integer pixels to what training needs: `ir` and `vi_y`, float32 [h, w, 1] in [0, 1]."""

    def map(self, pair: dict) -> dict:
        ir, vi = (to_float(pair[k]) for k in ("ir", "vi"))
        return {"id": pair["id"], "ir": ir, "vi_y": rgb_to_luma(vi)}


@dataclasses.dataclass(frozen=True)
class MaskInputs(grain.transforms.RandomMap):
    """Adds the network's inputs `ir_input`, `vi_input`: ComMask on the pair, or the clean pair where config is None."""

    config: ComMaskConfig | None

    def random_map(self, pair: dict, rng: np.random.Generator) -> dict:
        ir, vi_y = pair["ir"], pair["vi_y"]
        if self.config is not None:
            ir, vi_y = com_mask(ir, vi_y, rng=rng, config=self.config)
        return pair | {"ir_input": ir, "vi_input": vi_y}
