"""Scores and panels for a fixed list of whole pairs; training is given it as a function."""

from collections.abc import Callable, Iterator
from functools import partial

import jax
import numpy as np
from jax.experimental import multihost_utils

from fusejax.config import TrainConfig
from fusejax.data.folders import JoinedSource
from fusejax.data.pipeline import open_validation
from fusejax.evaluation.loop import Sample, make_sample, score_samples
from fusejax.evaluation.views import TrainingViews
from fusejax.inference.fuser import Fuser
from fusejax.io.images import to_float
from fusejax.io.panels import RgbImage, labeled_row
from fusejax.metrics import USUAL
from fusejax.models.config import ModelConfig
from fusejax.ops.color import recolor, rgb_to_luma
from fusejax.typing import Params

CONVENTION = "cddfuse"
"""Convention of scores during training, for all runs, so that their logs can be compared."""

_PANELS = 3


class Validation:
    """Fuses and scores validation pairs; `fusejax.training.fit` calls it with the parameters.

    With several processes, each fuses its part of the pairs; the scores are those of all pairs.

    Args:
        pairs: elements with `id`, `ir` [h, w, 1] and `vi` [h, w, 3].
        model: configuration of the network.
        views: draws what an objective compares with; None draws the sources and results alone.

    Attributes:
        skipped: one line per pair that cannot be used.
    """

    def __init__(self, pairs: JoinedSource, model: ModelConfig, *, views: TrainingViews | None = None) -> None:
        self.skipped = [line for source in pairs.sources for line in getattr(source, "skipped", ())]
        self._pairs, self._model, self._views = pairs, model, views
        self._fuser: Fuser | None = None

    @classmethod
    def of(cls, config: TrainConfig) -> "Validation | None":
        """Opens the validation pairs of a configuration.

        Args:
            config: configuration of the run.

        Returns:
            The validation; None if no pairs are configured.

        Raises:
            PairError: if the pairs cannot be used.
        """
        pairs = open_validation(config.data)
        return None if pairs is None else cls(pairs, config.model, views=TrainingViews(config))

    def __call__(self, params: Params) -> tuple[dict[str, float], dict[str, RgbImage]]:
        """Fuses and scores all pairs.

        Args:
            params: parameters of the network.

        Returns:
            Mean scores by metric (`CONVENTION`; NaN is excluded), and panels of the first pairs by
            id (process 0 only): infrared, visible, the targets of the objective (its reference, if
            it has one), fused luma and fused image, with captions; and a panel of training crops,
            see `TrainingViews.crops`.
        """
        if self._fuser is None:
            self._fuser = Fuser(params, self._model)
        self._fuser.params = params
        drawn: dict[str, RgbImage] = {}
        found = [s.conventions[CONVENTION] for s in score_samples(self._samples(drawn), {CONVENTION: USUAL})]
        scores = np.array([[s[name][0] for name in USUAL] for s in found]).reshape(-1, len(USUAL))
        finite = np.isfinite(scores)
        sums = np.stack([np.where(finite, scores, 0.0).sum(axis=0), finite.sum(axis=0)])
        if jax.process_count() > 1:
            sums = multihost_utils.process_allgather(sums).sum(axis=0)
        means = np.where(sums[1] > 0, sums[0] / np.maximum(sums[1], 1), np.nan)
        if self._views is not None and jax.process_index() == 0:
            drawn["training_crops"] = self._views.crops(self._fuser.fuse_luma)
        return dict(zip(USUAL, means.tolist(), strict=True)), drawn

    def _samples(self, drawn: dict[str, RgbImage]) -> Iterator[Callable[[], Sample]]:
        """The pairs of this process, fused; adds panels to `drawn`."""
        assert self._fuser is not None
        for index in range(jax.process_index(), len(self._pairs), jax.process_count()):
            pair = self._pairs[index]
            ir, vi = to_float(pair["ir"]), to_float(pair["vi"])
            vi_y = rgb_to_luma(vi)
            fused_y = np.asarray(self._fuser.fuse_luma(ir[None], vi_y[None]))
            if len(drawn) < _PANELS and jax.process_index() == 0:
                targets = {} if self._views is None else self._views.targets(ir, vi_y)
                fused = {"fused": fused_y[0], "fused in color": recolor(fused_y[0], vi)}
                drawn[pair["id"]] = labeled_row({"infrared": ir, "visible": vi} | targets | fused)
            yield partial(make_sample, [*fused_y], ir, vi_y)
