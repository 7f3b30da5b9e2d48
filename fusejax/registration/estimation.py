"""From an infrared and a visible image to the transform between them, with a measure of trust."""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from fusejax.options import checked_options
from fusejax.registration import search
from fusejax.registration.fitting import (
    FAR,
    MIDDLE,
    NEAR,
    Fit,
    Round,
    Surfaces,
    contrast,
    fit,
    halves,
    leaning,
    simplest,
    spread,
    surfaces,
)
from fusejax.registration.geometry import corners, map_points
from fusejax.registration.inputs import checked_pair, unusable
from fusejax.registration.refinement import Model
from fusejax.registration.trust import relative_contrast, uncertainty, verdict
from fusejax.registration.views import Pyramid, canvas, gray

Choice = Literal["auto", "translation", "similarity", "affine", "homography"]

_SCALE_STEP, _ANGLE_STEP = 1.09, 4.5  # of the search; ratio and degrees
_CANDIDATES, _FINALISTS = 5, 3
_APART = 0.05  # of the infrared image's longer side: nearer candidates are one
_SAME = 0.02  # likewise, once they are refined


@dataclasses.dataclass(frozen=True)
class Registration:
    """The transform between two images.

    Attributes:
        matrix: 3x3, from a pixel (x, y) of the visible image to the pixel of the infrared image
            that shows the same point; pixel centers are at integers.
        model: which transforms were allowed, or chosen by evidence.
        uncertainty: below which most errors at the corners of the common view are, in pixels of the
            visible image; see `fusejax.registration.trust` for how it was set.
        correlation: of the descriptors under `matrix`, at most 1.
        score: correlation of the best answer after the coarse refinement.
        second_score: that of the best answer elsewhere; 0 if all starts lead to one.
        contrast: how much better the blocks fit under `matrix` than a few pixels beside it, in
            units of what chance reaches with different scenes; at least 1 is needed.
        overlap: share of the visible image that the infrared camera sees.
        refused: why the transform should not be used; empty if it should.
    """

    matrix: np.ndarray
    model: Model
    uncertainty: float
    correlation: float
    score: float
    second_score: float
    contrast: float
    overlap: float
    refused: str


@checked_options
def estimate(
    ir: Shaped[np.ndarray, "..."],
    vi: Shaped[np.ndarray, "..."],
    *,
    model: Choice = "homography",
    scales: tuple[float, float] = (0.55, 1.6),
    rotations: tuple[float, float] = (-9.0, 9.0),
) -> Registration:
    """Registers a pair of images of any sizes.

    Descriptors of both images are correlated over all shifts for a grid of scales and rotations;
    the best candidates are refined from coarse to fine. Deterministic. The images may shift as long
    as at least 30 % of the smaller field is common; their longer sides are taken to see equally
    much unless `scales` says otherwise.

    Args:
        ir: infrared image, [h, w] or [h, w, 1] or gray [h, w, 3], any number type and range.
        vi: visible image, [h, w] or [h, w, 3], likewise.
        model: which transforms are allowed; "auto" takes the simplest that the images do not speak
            against, so that perspective needs structure that shows it.
        scales: least and largest magnification, as the part of the visible image's longer side that
            the infrared image's longer side would hold: 2 if the infrared camera sees half as far.
        rotations: least and largest rotation of the infrared image in degrees.

    Returns:
        The transform; check `refused` before use.

    Raises:
        ValueError: if an image is no image, is smaller than 32 pixels or not finite, or if a range
            is empty or beyond scales of 1/8 to 8 or rotations of 45 degrees.
    """
    allowed: Model = "homography" if model == "auto" else model
    ir, vi = checked_pair(ir, vi)
    _check_ranges(scales, rotations)
    reason = unusable(ir, vi)
    if reason:
        return _failed(reason, allowed)
    dark_ir, dark_vi = gray(ir), gray(vi)
    candidates = _search(dark_ir, dark_vi, scales, rotations, count=_CANDIDATES)
    if not candidates:
        return _failed("no transform within the ranges leaves enough overlap", allowed)
    pyramids = Pyramid(dark_vi), Pyramid(dark_ir)
    answers = _answers(*pyramids, [m for m, _ in candidates], allowed)
    best = _climbed(*pyramids, answers[0].matrix, allowed, NEAR) if answers else None
    if best is not None and model == "auto":
        allowed, start = simplest(*best)
        best = best if allowed == "homography" else _climbed(*pyramids, start, allowed, NEAR)
    if best is None:
        return _failed("the refined transform leaves no overlap", allowed)
    seen, found = best
    frame, far = corners(vi.shape[:2]), _APART * max(ir.shape[:2])
    result = Registration(
        matrix=found.matrix,
        model=allowed,
        uncertainty=uncertainty(
            spread(seen, found, allowed), halves(seen, allowed), leaning(answers[0].seen, allowed), vi.shape[:2]
        ),
        correlation=seen.correlation,
        score=answers[0].score,
        second_score=max((a.score for a in answers if _gap(a.matrix, answers[0].matrix, frame) > far), default=0.0),
        contrast=relative_contrast(middle=contrast(answers[0].seen), near=contrast(seen)),
        overlap=float(seen.shared * np.prod(seen.size) * seen.grid[0, 0] ** 2 / dark_vi.size),
        refused="",
    )
    magnified = np.sqrt(abs(np.linalg.det(found.matrix[:2, :2]))) * max(vi.shape[:2]) / max(ir.shape[:2])
    reason = verdict(result.contrast, result.score, result.second_score, magnified, scales)
    return dataclasses.replace(result, refused=reason)


@dataclasses.dataclass(frozen=True)
class _Answer:
    matrix: np.ndarray
    score: float
    seen: Surfaces  # of the middle round


def _gap(one: np.ndarray, other: np.ndarray, points: np.ndarray) -> float:
    return float(np.linalg.norm(map_points(one, points) - map_points(other, points), axis=1).mean())


def _answers(vi: Pyramid, ir: Pyramid, starts: list[np.ndarray], model: str) -> list[_Answer]:
    """Transforms refined from some starts, the likeliest first."""
    matrices = starts
    for of in FAR:
        reached = [far for m in matrices if (far := _climbed(vi, ir, m, model, (of,))) is not None]
        reached.sort(key=lambda far: -far[1].mean * min(far[0].shared / 0.6, 1.0) ** 0.5)
        matrices = _distinct([found.matrix for _, found in reached], vi.size, _SAME * max(ir.size))
    answers = []
    for matrix in matrices[:_FINALISTS]:
        seen = surfaces(vi, ir, matrix, MIDDLE)
        found = None if seen is None else fit(seen, model)
        if seen is not None and found is not None:
            score = seen.correlation * min(seen.shared / 0.6, 1.0) ** 0.5
            answers.append(_Answer(found.matrix, score, seen))
    return sorted(answers, key=lambda answer: -answer.score)


def _distinct(matrices: list[np.ndarray], size: tuple[int, int], apart: float) -> list[np.ndarray]:
    """Those that no earlier one is near to, which would be refined to the same transform."""
    kept: list[np.ndarray] = []
    for one in matrices:
        if all(_gap(one, other, corners(size)) > apart for other in kept):
            kept.append(one)
    return kept


def _climbed(
    vi: Pyramid, ir: Pyramid, matrix: np.ndarray, model: str, rounds: Sequence[Round]
) -> tuple[Surfaces, Fit] | None:
    """What the last of some rounds sees and finds; None if the images stop to overlap."""
    last = None
    for of in rounds:
        seen = surfaces(vi, ir, matrix if last is None else last[1].matrix, of)
        found = None if seen is None else fit(seen, model)
        if seen is None or found is None:
            return None
        last = seen, found
    return last


def _search(
    ir: np.ndarray, vi: np.ndarray, scales: tuple[float, float], rotations: tuple[float, float], *, count: int
) -> list[tuple[np.ndarray, float]]:
    """The highest peaks that are apart from each other: matrices and scores."""
    (ir_canvas, ir_mask, ir_in), (vi_canvas, vi_mask, vi_in) = canvas(ir, search.SIDE), canvas(vi, search.SIDE)
    steps = int(np.ceil(np.log(scales[1] / scales[0]) / np.log(_SCALE_STEP))) + 1
    turns = int(np.ceil((rotations[1] - rotations[0]) / _ANGLE_STEP)) + 1
    grid = np.geomspace(*scales, steps), np.radians(np.linspace(*rotations, turns))
    images = (jnp.asarray(x, jnp.float32) for x in (vi_canvas, vi_mask, ir_canvas, ir_mask))
    below = int((grid[0] <= 1).sum())
    given = (jnp.asarray(g, jnp.float32) for g in (grid[0][:below], grid[0][below:], grid[1]))
    values, xs, ys = map(np.asarray, search.peaks(search.surfaces(*images, *given)))
    found: list[tuple[np.ndarray, float]] = []
    back, frame = np.linalg.inv(ir_in), corners(vi.shape)
    for place in itertools.islice(
        zip(*np.unravel_index(np.argsort(-values, axis=None), values.shape), strict=True), 400
    ):
        s, a, _ = place
        if values[place] <= 0 or len(found) == count:
            break
        m = back @ search.similarity(float(grid[0][s]), float(grid[1][a]), float(xs[place]), float(ys[place])) @ vi_in
        if all(_gap(m, f, frame) > _APART * max(ir.shape) for f, _ in found):
            found.append((m, float(values[place])))
    return found


def _failed(reason: str, model: Model) -> Registration:
    return Registration(np.eye(3), model, float("inf"), 0.0, 0.0, 0.0, 0.0, 0.0, reason)


def _check_ranges(scales: tuple[float, float], rotations: tuple[float, float]) -> None:
    if not (1 / 8 <= scales[0] < scales[1] <= 8):
        raise ValueError(f"scales are {scales}; expected two rising numbers from 0.125 to 8, such as (0.7, 1.4).")
    if not (-45 <= rotations[0] < rotations[1] <= 45):
        raise ValueError(f"rotations are {rotations}; expected two rising numbers of degrees from -45 to 45.")
