"""ComMask, AngularFuse's complementary input masks (arXiv 2510.12260), in NumPy.

The masks affect only the network's inputs; losses and the reference use the clean pair, because
block borders are strong edges that no scene has.
"""

import numpy as np
from jaxtyping import Bool, Float

from fusejax.data.config import ComMaskConfig

Plane = Float[np.ndarray, "h w 1"]
Mask = Bool[np.ndarray, "h w 1"]


def com_mask(ir: Plane, vi_y: Plane, *, rng: np.random.Generator, config: ComMaskConfig) -> tuple[Plane, Plane]:
    """The pair as seen by the network: (ir * M_ir, vi_y * M_vi), or unchanged.

    Args:
        ir: infrared luma.
        vi_y: luma of the visible image.
        rng: generator for the draws.
        config: masking probability, cell sizes and fill value.

    Returns:
        Both images, [h, w, 1] in [0, 1].
    """
    if rng.random() >= config.probability:
        return ir, vi_y
    patch = int(rng.choice(config.patch_sizes))
    ir_mask, vi_mask = draw_masks(ir.shape[:2], patch, rng=rng, config=config)
    return _hide(ir, ir_mask, config.fill), _hide(vi_y, vi_mask, config.fill)


def _hide(x: Plane, mask: Mask, fill: str) -> Plane:
    return np.where(mask, x, x.dtype.type(0) if fill == "zero" else x.mean())


def draw_masks(
    size: tuple[int, int], patch: int, *, rng: np.random.Generator, config: ComMaskConfig
) -> tuple[Mask, Mask]:
    """Draws which cells of each image are visible (True).

    The masks are constant in each square cell; the last cells may be incomplete.
    """
    cells = tuple(-(-side // patch) for side in size)
    kept = rng.random(cells) < config.keep
    if config.variant == "grid":
        ir_cells, vi_cells = kept, ~kept
    else:
        hides_ir = rng.random(cells) < 0.5
        ir_cells, vi_cells = kept | ~hides_ir, kept | hides_ir
    ir_mask, vi_mask = (
        np.kron(c, np.ones((patch, patch), bool))[: size[0], : size[1], None] for c in (ir_cells, vi_cells)
    )
    return ir_mask, vi_mask
