"""What of warm objects is left in the glare of lights: one number per image and method.

    python scripts/table.py glare --ir DIR/vifb/test_dev/ir --vi DIR/vifb/test_dev/vi
    [--names elecbike manlight] [--weights light light_metrics]

Inside the area where the visible luma is at least 0.95, warm pixels are those above the 95th
percentile of the infrared image there. The number is the mean fused luma of warm pixels minus that
of the others of this area within 8 pixels of a warm one, in levels of 255. The row "infrared" is
what a method could show at most.
"""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from fusejax.evaluation.sources import choose_reading
from fusejax.inference.loading import load
from fusejax.inference.rules import RULES
from fusejax.io.pair_finding import find_pairs
from fusejax.ops.color import rgb_to_luma
from fusejax.report.markdown import markdown_table
from fusejax.weights.files import shipped_weights

SATURATED, WARM, NEAR = 0.95, 0.95, 8

Plane = Float[np.ndarray, "h w"]


@dataclasses.dataclass(frozen=True)
class GlareOptions:
    """Which pairs and methods.

    Attributes:
        ir: folder of infrared images.
        vi: folder of visible images.
        names: stems of the pairs.
        weights: what fuses; by default all shipped weights and the rules.
    """

    ir: Path
    vi: Path
    names: tuple[str, ...] = ("elecbike", "manlight")
    weights: tuple[str, ...] = ()


def main(options: GlareOptions) -> None:
    """Prints the table."""
    pairs = {pair.id: pair for pair in find_pairs(options.ir, options.vi, same_size=True)[0]}
    methods = options.weights or (*shipped_weights(), *RULES)
    rows = {name: [name] for name in ("infrared", *methods)}
    for name in options.names:
        ir, vi = choose_reading([pairs[name]], "auto", quiet=True).read(pairs[name])
        vi_y = rgb_to_luma(vi) if vi.shape[-1] == 3 else vi
        fused = {method: np.asarray(load(method).fuse_luma(ir[None], vi_y[None]))[0] for method in methods}
        for method, image in {"infrared": ir, **fused}.items():
            rows[method].append(f"{left_in_glare(image[..., 0], ir[..., 0], vi_y[..., 0]):.1f}")
    print("\n".join(markdown_table(["method", *options.names], rows.values())))


def left_in_glare(fused: Plane, ir: Plane, vi_y: Plane) -> float:
    """The number of one image, in levels; NaN if nothing is saturated."""
    area = vi_y >= SATURATED
    if not area.any():
        return float("nan")
    warm = area & (ir > np.quantile(ir[area], WARM))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * NEAR + 1, 2 * NEAR + 1))
    around = area & ~warm & cv2.dilate(warm.astype(np.uint8), disc).astype(bool)
    return float(255 * (fused[warm].mean() - fused[around].mean()))
