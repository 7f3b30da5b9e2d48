"""ComMask, AngularFuse's complementary input masks (arXiv 2510.12260). NumPy, for the input pipeline.

The masks touch the network's inputs only; losses and the reference use the clean pair, because block borders are
strong edges that no scene has.
"""

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from fusejax.typing import check_choices

Plane = Float[np.ndarray, "h w 1"]
Mask = Bool[np.ndarray, "h w 1"]


@dataclasses.dataclass(frozen=True)
class ComMaskConfig:
    """Numbers are ours; the paper gives the idea and names the patch size k.

    Attributes:
      probability: share of pairs that are masked at all, so that the network also sees clean pairs.
      patch_sizes: side k of a square cell in pixels, drawn per pair.
      keep: probability rho that a cell shows infrared (`grid`) or stays visible in both (`random`).
      variant: `grid`, complementary matrices: every pixel is seen in exactly one modality; `random`, a random subset
        of the cells is hidden, half of it in infrared and half in visible, the rest stays visible in both.
      fill: what hidden pixels hold: `zero`, or `mean` of that picture.
    """

    probability: float = 0.5
    patch_sizes: tuple[int, ...] = (8, 16, 32)
    keep: float = 0.5
    variant: Literal["grid", "random"] = "grid"
    fill: Literal["zero", "mean"] = "zero"

    def __post_init__(self):
        check_choices(self)
        for name in ("probability", "keep"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it is a probability, 0 to 1.")
        if not self.patch_sizes or min(self.patch_sizes) < 1:
            raise ValueError(f"patch_sizes is {self.patch_sizes}; name at least one side of 1 pixel or more.")


def com_mask(ir: Plane, vi_y: Plane, *, rng: np.random.Generator, config: ComMaskConfig) -> tuple[Plane, Plane]:
    """The pair as the network sees it: (ir * M_ir, vi_y * M_vi), or the pair itself with probability 1 - p."""
    if rng.random() >= config.probability:
        return ir, vi_y
    patch = int(rng.choice(config.patch_sizes))
    masks = draw_masks(ir.shape[:2], patch, rng=rng, config=config)
    return tuple(
        np.where(mask, x, x.dtype.type(0) if config.fill == "zero" else x.mean())
        for x, mask in zip((ir, vi_y), masks, strict=True)
    )


def draw_masks(
    size: tuple[int, int], patch: int, *, rng: np.random.Generator, config: ComMaskConfig
) -> tuple[Mask, Mask]:
    """True where infrared, and where visible, can be seen; constant in each square cell (the last may be cut)."""
    cells = tuple(-(-side // patch) for side in size)
    kept = rng.random(cells) < config.keep
    if config.variant == "grid":
        ir_cells, vi_cells = kept, ~kept
    else:
        hides_ir = rng.random(cells) < 0.5
        ir_cells, vi_cells = kept | ~hides_ir, kept | hides_ir
    return tuple(np.kron(c, np.ones((patch, patch), bool))[: size[0], : size[1], None] for c in (ir_cells, vi_cells))
