"""Scores and panels on a fixed list of whole pairs during training."""

import jax
import numpy as np
from jax.experimental import multihost_utils

from fusejax.data.images import to_float
from fusejax.inference.fuser import Fuser, recolour
from fusejax.metrics import USUAL, RunningMean, evaluate
from fusejax.ops.color import rgb_to_luma
from fusejax.report.panels import side_by_side

CONVENTION = "cddfuse"


def validate(fuser: Fuser, pairs, *, panels: int = 3) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Mean scores over all pairs (CDDFuse's convention; NaN left out), and panels of the first ones.

    Each of several processes fuses its share of the pairs; the scores are of all of them, the panels of process 0's.
    """
    found, pictures = {name: [] for name in USUAL}, {}
    for index in range(jax.process_index(), len(pairs), jax.process_count()):
        pair = pairs[index]
        ir, vi = to_float(pair["ir"]), to_float(pair["vi"])
        vi_y = rgb_to_luma(vi)
        fused_y = fuser.fuse_luma(ir[None], vi_y[None])
        scores = evaluate(fused_y, ir[None], vi_y[None], convention=CONVENTION, metrics=USUAL)
        for name, value in scores.items():
            found[name].append(float(value[0]))
        if len(pictures) < panels and jax.process_index() == 0:
            pictures[pair["id"]] = side_by_side([ir, vi, fused_y[0], recolour(fused_y[0], vi)])
    mean = RunningMean.empty(USUAL).update({name: np.array(values, np.float32) for name, values in found.items()})
    if jax.process_count() > 1:
        gathered = multihost_utils.process_allgather(mean)
        parts = [jax.tree.map(lambda x, n=n: x[n], gathered) for n in range(jax.process_count())]
        mean = parts[0]
        for part in parts[1:]:
            mean = mean.merge(part)
    return {name: float(value) for name, value in mean.result().items()}, pictures
