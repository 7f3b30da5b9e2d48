"""Scores and panels on a fixed list of whole pairs during training."""

import numpy as np

from fusejax.color import rgb_to_luma
from fusejax.data.images import to_float
from fusejax.inference import Fuser, recolour
from fusejax.metrics import evaluate
from fusejax.panel import side_by_side

CONVENTION = "cddfuse"


def validate(fuser: Fuser, pairs, *, panels: int = 3) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Fuses every pair and returns the mean scores (CDDFuse's convention; NaN left out) and the first pairs' panels."""
    scores, pictures = [], {}
    for index in range(len(pairs)):
        pair = pairs[index]
        ir, vi = to_float(pair["ir"]), to_float(pair["vi"])
        vi_y = rgb_to_luma(vi)
        fused_y = fuser.fuse_luma(ir[None], vi_y[None])
        found = evaluate(fused_y, ir[None], vi_y[None], convention=CONVENTION)
        scores.append({name: float(value[0]) for name, value in found.items()})
        if index < panels:
            pictures[pair["id"]] = side_by_side([ir, vi, fused_y[0], recolour(fused_y[0], vi)])
    return {name: float(np.nanmean([s[name] for s in scores])) for name in scores[0]}, pictures
