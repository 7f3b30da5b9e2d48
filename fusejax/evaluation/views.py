"""What a network and its objective see in training, as images."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from fusejax.config import TrainConfig
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.io.panels import Panel, RgbImage, labeled_row, stacked
from fusejax.losses.config import ObjectiveConfig
from fusejax.losses.consistency import consistency_views
from fusejax.losses.objective import derived_inputs

_CROPS = 3
_ENLARGED = 128  # least side of a crop in pixels, so that captions fit

Plane = Float[np.ndarray, "h w 1"]


class TrainingViews:
    """Draws targets, masks and views of a run's last stage.

    Args:
        config: configuration of the run.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config, self._objective = config, config.stages[-1].objective
        # Whole pairs of a validation set have no boxes.
        whole = tuple(t for t in self._objective.terms if t.name != "target_aware")
        self._of_pair = _compiled(dataclasses.replace(self._objective, terms=whole) if whole else None)
        self._of_crops = _compiled(self._objective)
        self._batch: dict[str, np.ndarray] | None = None

    def targets(self, ir: Plane, vi_y: Plane) -> dict[str, Panel]:
        """The images that the objective computes from a pair to compare the fused one with.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].

        Returns:
            `reference`, and `infrared, resolved` and `visible, resolved`, if a term needs them.
        """
        return _targets(self._of_pair({"ir": ir[None], "vi_y": vi_y[None]}), 0)

    def crops(self, fuse: Callable[..., Any]) -> RgbImage:
        """The first crops that the run trains on, a row each.

        Args:
            fuse: function from infrared and visible luma [b, h, w, 1] to fused luma.

        Returns:
            The clean crops, the network's inputs where masks or augmentation change them, targets
            and object mask of the objective, the fused crop, and for a consistency term one draw of
            its two views.
        """
        if self._batch is None:
            self._batch = self._first_batch()
        batch = self._batch
        inputs = [batch.get(name, batch[clean]) for name, clean in (("ir_input", "ir"), ("vi_input", "vi_y"))]
        fused_y = np.asarray(fuse(*inputs), np.float32)
        derived = self._of_crops(batch)
        views = [
            consistency_views(jax.random.key(0), jnp.asarray(fused_y), **term.options)
            for term in self._objective.terms
            if term.name == "consistency"
        ]
        rows = []
        for n in range(len(fused_y)):
            images = {"infrared": batch["ir"][n], "visible": batch["vi_y"][n]}
            changed = [(x != batch[name]).any() for x, name in zip(inputs, ("ir", "vi_y"), strict=True)]
            if any(changed):
                images |= {"ir input": inputs[0][n], "vi input": inputs[1][n]}
            images |= _targets(derived, n)
            if "mask" in derived:
                images["objects"] = np.clip(np.asarray(derived["mask"][n]), 0, 1)
            images["fused"] = np.clip(fused_y[n], 0, 1)
            for weak, aggressive in views:
                images |= {"weak": np.asarray(weak[n]), "aggressive": np.clip(np.asarray(aggressive[n]), 0, 1)}
            rows.append(labeled_row({name: _enlarged(image, fused_y.shape[1]) for name, image in images.items()}))
        return stacked(rows)

    def _first_batch(self) -> dict[str, np.ndarray]:
        """The first samples of the run, with which it begins for any number of workers."""
        data, count = dataclasses.replace(self._config.data, workers=0), min(_CROPS, self._config.batch_size)
        batch = next(iter(training_batches(open_sources(data), data, batch_size=count, seed=self._config.seed)))
        return {name: np.asarray(values) for name, values in batch.items() if name != "id"}


def _compiled(objective: ObjectiveConfig | None) -> Callable[[dict[str, Any]], dict[str, Any]]:
    if objective is None:
        return lambda given: {}
    return jax.jit(lambda given: derived_inputs(objective, given))


def _targets(derived: dict[str, Any], n: int) -> dict[str, Panel]:
    found = {"reference": derived["reference"]} if "reference" in derived else {}
    if "resolved" in derived:
        resolved = derived["resolved"]
        found |= {"infrared, resolved": resolved.ir, "visible, resolved": resolved.vi_y}
    return {name: np.clip(np.asarray(image[n], np.float32), 0, 1) for name, image in found.items()}


def _enlarged(image: Float[np.ndarray, "h w c"], height: int) -> Float[np.ndarray, "h2 w2 c"]:
    """Repeats pixels; an image that is smaller than the crops is centered on white first."""
    rest = height - image.shape[0], height - image.shape[1]
    pad = [(r // 2, r - r // 2) for r in rest]
    image = np.pad(image, (*pad, (0, 0)), constant_values=1.0)
    factor = max(1, -(-_ENLARGED // height))
    return np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
