"""Scores and panels for a fixed list of whole pairs during training."""

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from fusejax.data.folders import JoinedSource
from fusejax.evaluation.loop import Sample, score_samples
from fusejax.inference.fuser import Fuser
from fusejax.io.images import to_float
from fusejax.metrics import USUAL, RunningMean
from fusejax.ops.color import recolor, rgb_to_luma
from fusejax.report.panels import RgbImage, labeled_row

CONVENTION = "cddfuse"


def validate(fuser: Fuser, pairs: JoinedSource, *, panels: int = 3) -> tuple[dict[str, float], dict[str, RgbImage]]:
    """Fuses and scores all pairs.

    With several processes, each fuses its part of the pairs; the scores are those of all pairs.

    Args:
        fuser: network to use.
        pairs: elements with `id`, `ir` [h, w, 1] and `vi` [h, w, 3].
        panels: number of panels to draw.

    Returns:
        Mean scores by metric (CDDFuse's convention; NaN is excluded), and panels of the first pairs
        by id (process 0 only): infrared, visible, fused luma and fused image, with captions.
    """
    drawn: dict[str, RgbImage] = {}

    def samples() -> Iterator[Callable[[], Sample]]:
        for index in range(jax.process_index(), len(pairs), jax.process_count()):
            pair = pairs[index]
            ir, vi = to_float(pair["ir"]), to_float(pair["vi"])
            vi_y = rgb_to_luma(vi)
            fused_y = np.asarray(fuser.fuse_luma(ir[None], vi_y[None]))
            if len(drawn) < panels and jax.process_index() == 0:
                images = {"infrared": ir, "visible": vi, "fused": fused_y[0]}
                drawn[pair["id"]] = labeled_row(images | {"fused in color": recolor(fused_y[0], vi)})
            yield partial(Sample, fused=fused_y, ir=ir, vi=vi_y)

    scores = [found.conventions[CONVENTION] for found in score_samples(samples(), {CONVENTION: USUAL})]
    values = {name: jnp.array([s[name][0] for s in scores], jnp.float32) for name in USUAL}
    mean = _over_processes(RunningMean.empty(USUAL).update(values))
    return {name: float(value) for name, value in mean.result().items()}, drawn


def _over_processes(mean: RunningMean) -> RunningMean:
    if jax.process_count() == 1:
        return mean
    gathered = multihost_utils.process_allgather(mean)
    parts = [jax.tree.map(lambda x, n=n: x[n], gathered) for n in range(jax.process_count())]
    mean = parts[0]
    for part in parts[1:]:
        mean = mean.merge(part)
    return mean
