"""From an infrared and a visible image to the transform between them, with a measure of trust."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Shaped

from fusejax.options import checked_options
from fusejax.registration import search
from fusejax.registration.geometry import corners, map_points, to_unit
from fusejax.registration.inputs import checked_pair, unusable
from fusejax.registration.refinement import FREE, Model, basis, deviation, refine
from fusejax.registration.trust import INFLATION, verdict
from fusejax.registration.views import Pyramid, canvas, common_view, gray

_SCALE_STEP, _ANGLE_STEP = 1.09, 4.5  # of the search; ratio and degrees
_CANDIDATES, _FINALISTS = 6, 2
_APART = 0.08  # of the infrared image's longer side: nearer candidates are one
_ROUGH, _MIDDLE, _FINE = 128, 256, 384  # longer sides of the views


@dataclasses.dataclass(frozen=True)
class Registration:
    """The transform between two images.

    Attributes:
        matrix: 3x3, from a pixel (x, y) of the visible image to the pixel of the infrared image
            that shows the same point; pixel centers are at integers.
        model: which transforms were allowed.
        uncertainty: below which most errors at the corners of the common view are, in pixels of the
            visible image; see `fusejax.registration.trust` for how it was set.
        correlation: of the descriptors under `matrix`, at most 1.
        score: height of the best peak of the search.
        second_score: height of the highest peak elsewhere.
        mirrored_score: height of the best peak for the mirrored infrared image, which chance and
            the scene's layout alone reach.
        overlap: share of the visible image that the infrared camera sees.
        refused: why the transform should not be used; empty if it should.
    """

    matrix: np.ndarray
    model: Model
    uncertainty: float
    correlation: float
    score: float
    second_score: float
    mirrored_score: float
    overlap: float
    refused: str


@checked_options
def estimate(
    ir: Shaped[np.ndarray, "..."],
    vi: Shaped[np.ndarray, "..."],
    *,
    model: Model = "homography",
    scales: tuple[float, float] = (0.7, 1.4),
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
        model: which transforms are allowed.
        scales: least and largest magnification, as the part of the visible image's longer side that
            the infrared image's longer side would hold: 2 if the infrared camera sees half as far.
        rotations: least and largest rotation of the infrared image in degrees.

    Returns:
        The transform; check `refused` before use.

    Raises:
        ValueError: if an image is no image, is smaller than 32 pixels or not finite, or if a range
            is empty or beyond scales of 1/8 to 8 or rotations of 45 degrees.
    """
    ir, vi = checked_pair(ir, vi)
    _check_ranges(scales, rotations)
    reason = unusable(ir, vi)
    if reason:
        return _failed(reason, model)
    dark_ir, dark_vi = gray(ir), gray(vi)
    candidates = _search(dark_ir, dark_vi, scales, rotations, count=_CANDIDATES)
    mirrored = _search(np.ascontiguousarray(dark_ir[:, ::-1]), dark_vi, scales, rotations, count=1)
    if not candidates:
        return _failed("no transform within the ranges leaves enough overlap", model)
    pyramids = Pyramid(dark_vi), Pyramid(dark_ir)
    tried = [
        _refined(*pyramids, m, "translation" if model == "translation" else "similarity", _ROUGH) for m, _ in candidates
    ]
    tried = sorted((t for t in tried if t is not None), key=lambda t: -t.merit)[:_FINALISTS]
    for side in (_ROUGH, _MIDDLE, _FINE):
        tried = [t for t in (_refined(*pyramids, t.matrix, model, side) for t in tried) if t is not None]
        tried = sorted(tried, key=lambda t: -t.merit)[: _FINALISTS if side == _ROUGH else 1]
    if not tried:
        return _failed("the refined transform leaves no overlap", model)
    best, scores = tried[0], [value for _, value in candidates]
    result = Registration(
        matrix=best.matrix,
        model=model,
        uncertainty=INFLATION * best.spread,
        correlation=best.correlation,
        score=scores[0],
        second_score=scores[1] if len(scores) > 1 else 0.0,
        mirrored_score=mirrored[0][1] if mirrored else 0.0,
        overlap=best.overlap,
        refused="",
    )
    reason = verdict(result.correlation, result.score, result.second_score, result.mirrored_score)
    return dataclasses.replace(result, refused=reason)


@dataclasses.dataclass(frozen=True)
class _Refined:
    matrix: np.ndarray
    correlation: float
    spread: float  # predicted standard deviation at the corners, pixels of the visible image
    overlap: float

    @property
    def merit(self) -> float:
        return self.correlation * min(self.overlap / 0.6, 1.0) ** 0.5


def _search(
    ir: np.ndarray, vi: np.ndarray, scales: tuple[float, float], rotations: tuple[float, float], *, count: int
) -> list[tuple[np.ndarray, float]]:
    """The highest peaks that are apart from each other: matrices and scores."""
    (ir_canvas, ir_mask, ir_in), (vi_canvas, vi_mask, vi_in) = canvas(ir, search.SIDE), canvas(vi, search.SIDE)
    steps = int(np.ceil(np.log(scales[1] / scales[0]) / np.log(_SCALE_STEP))) + 1
    turns = int(np.ceil((rotations[1] - rotations[0]) / _ANGLE_STEP)) + 1
    grid = np.geomspace(*scales, steps), np.radians(np.linspace(*rotations, turns))
    images = (jnp.asarray(x, jnp.float32) for x in (vi_canvas, vi_mask, ir_canvas, ir_mask))
    values, xs, ys = map(
        np.asarray, search.peaks(search.surfaces(*images, *(jnp.asarray(g, jnp.float32) for g in grid)))
    )
    found: list[tuple[np.ndarray, float]] = []
    back, frame = np.linalg.inv(ir_in), corners(vi.shape)
    for place in itertools.islice(
        zip(*np.unravel_index(np.argsort(-values, axis=None), values.shape), strict=True), 400
    ):
        s, a, _ = place
        if values[place] <= 0 or len(found) == count:
            break
        m = back @ search.similarity(float(grid[0][s]), float(grid[1][a]), float(xs[place]), float(ys[place])) @ vi_in
        gaps = (np.linalg.norm(map_points(m, frame) - map_points(f, frame), axis=1).mean() for f, _ in found)
        if all(gap > _APART * max(ir.shape) for gap in gaps):
            found.append((m, float(values[place])))
    return found


def _refined(vi: Pyramid, ir: Pyramid, matrix: np.ndarray, model: str, side: int) -> _Refined | None:
    """Refines once on views of that size; None if the images hardly overlap."""
    common = common_view(matrix, vi.size, ir.size, side)
    if common is None:
        return None
    grid, size = common
    unit = to_unit(size)
    carried = matrix @ grid @ np.linalg.inv(unit)
    views = (*vi.view(grid, size), *ir.view(matrix @ grid, size))
    arrays = (jnp.asarray(v, jnp.float32) for v in views)
    free = jnp.asarray(FREE[model], jnp.float32)
    m, ncc, covariance, shared = refine(*arrays, deviation(jnp.asarray(carried, jnp.float32)), free, steps=12)
    found = matrix @ grid @ np.linalg.inv(unit) @ np.asarray(m, np.float64) @ unit @ np.linalg.inv(grid)
    found = found / found[2, 2]
    if not np.isfinite(found).all() or common_view(found, vi.size, ir.size, side) is None:
        return None
    at = map_points(unit, corners(size))
    bx, by = (np.asarray(b) for b in basis(jnp.asarray(at[:, 0]), jnp.asarray(at[:, 1])))
    variance = np.einsum("ik,ij,jk->k", bx, covariance, bx) + np.einsum("ik,ij,jk->k", by, covariance, by)
    spread = float(np.sqrt(np.abs(variance).mean())) * max(size) / 2 * grid[0, 0]
    overlap = float(shared) * size[0] * size[1] * grid[0, 0] ** 2 / (vi.size[0] * vi.size[1])
    return _Refined(found, float(ncc), spread, overlap)


def _failed(reason: str, model: Model) -> Registration:
    return Registration(np.eye(3), model, float("inf"), 0.0, 0.0, 0.0, 0.0, 0.0, reason)


def _check_ranges(scales: tuple[float, float], rotations: tuple[float, float]) -> None:
    if not (1 / 8 <= scales[0] < scales[1] <= 8):
        raise ValueError(f"scales are {scales}; expected two rising numbers from 0.125 to 8, such as (0.7, 1.4).")
    if not (-45 <= rotations[0] < rotations[1] <= 45):
        raise ValueError(f"rotations are {rotations}; expected two rising numbers of degrees from -45 to 45.")
