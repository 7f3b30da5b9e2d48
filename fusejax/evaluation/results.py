"""Scores of methods on images: the one table that every study fills and every report reads."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fusejax.evaluation.sources import Reading
from fusejax.io.pairing import PairPaths

CLEAN = "clean"
"""The condition of sources that were not changed."""

STRETCHED = " (stretched)"
"""End of the names of methods whose fused images were stretched to the full range."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of methods on the images of one set.

    One value per image, of every method::

        scores = result.scores[0]
        for m, method in enumerate(scores.methods):
            scores.values[m, 0, :, scores.metrics.index("VIF")]  # one value per image

    Attributes:
        methods: names of the methods.
        images: names of the images.
        metrics: names of the metrics. `fusejax.metrics.higher_is_better` returns their directions.
        values: one value for each method, condition, image and metric; NaN where it is undefined or
            where a method has no image.
        convention: convention of the metrics, a name of `fusejax.metrics.CONVENTIONS`, "temporal"
            or "regions".
        conditions: names of the conditions: degradations of the sources, or seeds of a training.
        name: name of the set; empty if there is only one.
    """

    methods: tuple[str, ...]
    images: tuple[str, ...]
    metrics: tuple[str, ...]
    values: Float[np.ndarray, "methods conditions images metrics"]
    convention: str
    conditions: tuple[str, ...] = (CLEAN,)
    name: str = ""

    def __post_init__(self) -> None:
        expected = tuple(map(len, (self.methods, self.conditions, self.images, self.metrics)))
        if self.values.shape != expected:
            raise ValueError(f"values have the shape {self.values.shape}; the names say {expected}.")
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"Two methods have the same name: {', '.join(self.methods)}; rename one (NAME=...).")

    def of(self, method: str, metric: str, *, condition: str | None = None) -> Float[np.ndarray, " images"]:
        """Values of one method in one metric.

        Args:
            method: name of the method.
            metric: name of the metric.
            condition: name of the condition; by default the first.

        Returns:
            One value per image.
        """
        c = 0 if condition is None else self.conditions.index(condition)
        return self.values[self.methods.index(method), c, :, self.metrics.index(metric)]

    def means(self) -> Float[np.ndarray, "methods conditions metrics"]:
        """Means over the images for which a value is finite; NaN if there are none."""
        return finite_mean(self.values, axis=2)

    def mean(self, method: str) -> dict[str, float]:
        """Means of one method over all images and conditions.

        Args:
            method: name of the method.

        Returns:
            Mean by metric; NaN where no value is finite.
        """
        row = finite_mean(self.means()[self.methods.index(method)], axis=0)
        return dict(zip(self.metrics, row.tolist(), strict=True))

    def left_out(self) -> list[tuple[str, str, int]]:
        """Method, metric and number of the images that a mean excludes, where there are any.

        Conditions for which a method has no image at all do not count.
        """
        missing = ~np.isfinite(self.values)
        missing &= ~missing.all(axis=(2, 3), keepdims=True) | (len(self.conditions) == 1)
        counts = missing.sum(axis=(1, 2))
        return [
            (method, metric, int(counts[m, k]))
            for m, method in enumerate(self.methods)
            for k, metric in enumerate(self.metrics)
            if counts[m, k]
        ]

    def select(
        self,
        *,
        methods: Sequence[str] | None = None,
        conditions: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
        images: Sequence[str] | None = None,
    ) -> "Scores":
        """The part of the scores with the given names, in the given order.

        Args:
            methods: names of methods; by default all.
            conditions: names of conditions; by default all.
            metrics: names of metrics; by default all.
            images: names of images; by default all.

        Returns:
            The scores.

        Raises:
            ValueError: if a name is unknown.
        """
        names = {"methods": methods, "conditions": conditions, "images": images, "metrics": metrics}
        chosen = {axis: getattr(self, axis) if given is None else tuple(given) for axis, given in names.items()}
        places = [[getattr(self, axis).index(name) for name in found] for axis, found in chosen.items()]
        return dataclasses.replace(self, **chosen, values=self.values[np.ix_(*places)])


@dataclasses.dataclass(frozen=True)
class Group:
    """Conditions that belong together, such as the strengths of a degradation, from mild to severe.

    Attributes:
        title: what they have in common.
        conditions: their names.
        labels: the strength of each, such as "20"; empty if there is only one.
        unit: unit of the strengths.
    """

    title: str
    conditions: tuple[str, ...]
    labels: tuple[str, ...]
    unit: str = ""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of methods on the same pairs, with the files they belong to.

    Attributes:
        scores: scores by convention; all hold the same methods and images in the same order, and
            the metrics that their convention defines.
        regions: scores inside object boxes, with those of the plain average and the smallest errors
            that any image can have; None without boxes.
        skipped: one line per skipped image.
        pairs: sources of each image, by image name.
        fused: fused file of each image, by method name and then image name.
        looks: further files to look at, by what they show and then image name.
        reading: how the sources are read.
    """

    scores: list[Scores]
    regions: Scores | None
    skipped: list[str]
    pairs: dict[str, PairPaths]
    fused: dict[str, dict[str, Path]]
    looks: dict[str, dict[str, Path]] = dataclasses.field(default_factory=dict)
    reading: Reading = dataclasses.field(default_factory=Reading)

    def read(self, name: str) -> tuple[Float[np.ndarray, "h w 1"], Float[np.ndarray, "h w c"]]:
        """The sources of an image as the network saw them.

        Args:
            name: name of the image.

        Returns:
            Infrared and visible image, float32 in [0, 1], in equal sizes.
        """
        return self.reading.read(self.pairs[name])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the images."""
        return self.scores[0].images

    @property
    def tables(self) -> list[Scores]:
        """All scores, those inside the boxes last."""
        return [*self.scores, *([] if self.regions is None else [self.regions])]


def finite_mean(values: Float[np.ndarray, "..."], axis: int) -> Float[np.ndarray, "..."]:
    """Mean along an axis over the values that are finite.

    Args:
        values: any numbers.
        axis: axis to remove.

    Returns:
        The means; NaN where no value is finite.
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    total = np.where(finite, values, 0.0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def joined(parts: Sequence[Scores]) -> Scores:
    """One table from scores of different methods or conditions on the same images.

    Args:
        parts: scores with the same images, metrics, convention and set.

    Returns:
        The scores with the methods and conditions of all parts; NaN where no part has values.

    Raises:
        ValueError: if the parts do not have the same images or metrics.
    """
    first = parts[0]
    for part in parts:
        if (part.images, part.metrics) != (first.images, first.metrics):
            raise ValueError(f"Scores of {first.methods} and {part.methods} differ in their images or metrics.")
    methods = tuple(dict.fromkeys(x for part in parts for x in part.methods))
    conditions = tuple(dict.fromkeys(x for part in parts for x in part.conditions))
    values = np.full((len(methods), len(conditions), *first.values.shape[2:]), np.nan)
    for part in parts:
        rows, columns = [methods.index(x) for x in part.methods], [conditions.index(x) for x in part.conditions]
        values[np.ix_(rows, columns)] = part.values
    return dataclasses.replace(first, methods=methods, conditions=conditions, values=values)


def printable(name: str) -> str:
    """A name for files and terminals: bytes of a file name that are not UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()
