"""The loop that scores pairs: of folders, of an ablation, and for validation during training.

Every pair is padded to a bucket size, so that a few programs cover all sizes. Several threads read
and score, since reading, compiling and computing all release Python's global lock.
"""

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import numpy as np
from jaxtyping import Float

from fusejax.evaluation.programs import Programs, scoring_program
from fusejax.evaluation.regions import REGION_METRICS, region_mask, region_scores
from fusejax.inference.compilation import keep_compilations
from fusejax.io.images import as_visible, to_float
from fusejax.ops.arrays import check_pixels
from fusejax.ops.color import rgb_to_luma
from fusejax.ops.extent import bucket

_MOST_THREADS = 4  # each thread holds the maps of one pair
_AHEAD = 4  # samples per thread that wait for a thread or for earlier samples

_PROGRAMS = Programs()  # kept for the life of the process, like those of `jax.jit`

PerMethod = Float[np.ndarray, " m"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sample:
    """One pair and the m images that the methods fused from it, float32 in [0, 1].

    Attributes:
        fused: gray or RGB.
        ir: infrared.
        vi: visible, gray or RGB.
        boxes: object boxes (x1, y1, x2, y2 in pixels) inside which to score as well; None or empty
            for none.
    """

    fused: Float[np.ndarray, "m h w c"]
    ir: Float[np.ndarray, "h w 1"]
    vi: Float[np.ndarray, "h w c2"]
    boxes: Float[np.ndarray, "n 4"] | None = None


def make_sample(
    fused: Sequence[np.ndarray],
    ir: Float[np.ndarray, "h w 1"],
    vi: Float[np.ndarray, "h w c"],
    boxes: Float[np.ndarray, "n 4"] | None = None,
) -> Sample:
    """A sample from the images of several methods, of which some may be gray and others in color.

    Args:
        fused: [h, w, 1 or 3] of each method; integers of 8 or 16 bits, or floats in [0, 1].
        ir: infrared in [0, 1].
        vi: visible in [0, 1].
        boxes: see `Sample`.

    Returns:
        The sample; all its fused images are in color if one is.
    """
    planes = [x if np.issubdtype(x.dtype, np.floating) else to_float(x) for x in fused]
    colored = any(x.shape[-1] == 3 for x in planes)
    stack = np.stack([as_visible(x) if colored else x for x in planes])
    return Sample(fused=stack, ir=ir, vi=vi, boxes=boxes)


@dataclasses.dataclass(frozen=True)
class SampleScores:
    """Scores of one sample.

    Attributes:
        conventions: one value per method, by convention and metric.
        regions: values inside the boxes by metric, for each method, the plain average and the bound
            (`region_scores`); empty without boxes.
    """

    conventions: dict[str, dict[str, PerMethod]]
    regions: dict[str, Float[np.ndarray, " rows"]]


def score_samples(
    samples: Iterable[Callable[[], Sample]], metrics: Mapping[str, tuple[str, ...]]
) -> Iterator[SampleScores]:
    """Scores samples in several threads.

    Args:
        samples: functions that return a sample. The threads call them, so that reading files
            overlaps with scoring; anything that must run in the calling thread is done before a
            function is yielded.
        metrics: names of the metrics by convention (`fusejax.metrics.evaluation.chosen_metrics`).

    Yields:
        The scores, in the order of the samples.

    Raises:
        ValueError: if values are not finite or outside [0, 1].
    """
    keep_compilations()
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    waiting = deque[Future]()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="scoring")
    try:
        for sample in samples:
            waiting.append(pool.submit(_score, sample, metrics))
            if len(waiting) > _AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _score(load: Callable[[], Sample], metrics: Mapping[str, tuple[str, ...]]) -> SampleScores:
    sample = load()
    for name in ("fused", "ir", "vi"):
        check_pixels(getattr(sample, name), name)
    extents = np.array([sample.ir.shape[:2]], np.int32)
    fused, ir, vi = _on_bucket(sample.fused), _on_bucket(sample.ir[None]), _on_bucket(sample.vi[None])
    # A single method needs no axis of methods, which halves the time for tracing.
    arrays = (fused if len(fused) == 1 else fused[:, None], ir, vi, extents)
    found = {}
    for convention, names in metrics.items():
        key = (convention, names, *(x.shape for x in arrays))
        program = _PROGRAMS.get(key, partial(scoring_program, *arrays, convention=convention, metrics=names))
        scores = program(*arrays)
        found[convention] = {name: np.asarray(scores[name], np.float64).reshape(-1) for name in names}
    if sample.boxes is None or not len(sample.boxes):
        return SampleScores(found, {})
    mask = region_mask(sample.boxes, height=ir.shape[1], width=ir.shape[2])
    fused_y, vi_y = (rgb_to_luma(x) if x.shape[-1] == 3 else x for x in (fused[:, None], vi))
    arrays = (fused_y, ir, vi_y, mask, extents[0])
    program = _PROGRAMS.get(("regions", fused_y.shape), lambda: region_scores.lower(*arrays).compile())
    regions = program(*arrays)
    return SampleScores(found, {name: np.asarray(regions[name], np.float64)[:, 0] for name in REGION_METRICS})


def _on_bucket(x: Float[np.ndarray, "b h w c"]) -> Float[np.ndarray, "b h2 w2 c"]:
    """Pads images with zeros at the bottom and right to the bucket size."""
    height, width = x.shape[1:3]
    array = np.zeros((x.shape[0], bucket(height), bucket(width), x.shape[3]), np.float32)
    array[:, :height, :width] = x
    return array


def spread_sizes(sizes: Mapping[str, tuple[int, int]]) -> list[str]:
    """Orders images such that the threads compile different programs in parallel.

    Args:
        sizes: height and width of each image, by name.

    Returns:
        The names: first one image of each bucket, then the others by bucket.
    """
    by_bucket: dict[tuple[int, int], list[str]] = {}
    for name, size in sizes.items():
        by_bucket.setdefault((bucket(size[0]), bucket(size[1])), []).append(name)
    first = [names[0] for names in by_bucket.values()]
    return first + [name for names in by_bucket.values() for name in names[1:]]
