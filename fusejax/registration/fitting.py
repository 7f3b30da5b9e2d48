"""A round of refinement: views of both images, their blocks, the climb, and its uncertainty."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from fusejax.registration.blocks import block_centers, block_surfaces
from fusejax.registration.geometry import corners, map_points, to_unit
from fusejax.registration.refinement import FREE, Model, basis, climb, deviation, small
from fusejax.registration.views import Pyramid, common_view


@dataclasses.dataclass(frozen=True)
class Round:
    """How one round looks at the images.

    Attributes:
        side: longer side of the views, pixels.
        reach: largest shift that is looked at, pixels of the views.
        cell: side of a block, likewise.
        window: over how many blocks neighbors are summed, see `block_surfaces`.
        power: of a block's energy in its weight.
        widths: of the smoothing over the shifts, from wide to narrow.
    """

    side: int
    reach: int
    cell: int
    window: float
    power: float
    widths: tuple[float, ...]


_DARK = 0.01  # energy of blocks that say nothing, relative to the mean
# From far to near. Blocks count alike at first, so that no strong structure decides alone.
FAR = (Round(96, 6, 4, 1.0, 0.0, (3.0, 2.0, 1.0)), Round(128, 5, 4, 1.0, 0.0, (2.0, 1.0)))
MIDDLE = Round(192, 4, 8, 1.0, 0.0, (1.0, 0.0))
NEAR = (Round(384, 4, 16, 0.0, 0.5, (1.0, 0.0)), Round(512, 3, 16, 0.0, 0.5, (0.0,)))


@dataclasses.dataclass(frozen=True)
class Surfaces:
    """Blocks of two views, and how they fit at every small shift.

    Attributes:
        matrix: the transform under which the views were taken.
        grid: from a pixel of the views to one of the visible image.
        size: height and width of the views.
        values: correlation of every block for every shift, [n, m, m].
        energy: of every block, relative to their mean.
        correlation: of the whole views at no shift.
        shared: share of the views that both cameras see.
        of: the round that they are from.
    """

    matrix: np.ndarray
    grid: np.ndarray
    size: tuple[int, int]
    values: np.ndarray
    energy: np.ndarray
    correlation: float
    shared: float
    of: Round

    @property
    def centers(self) -> np.ndarray:
        """Of the blocks, in unit coordinates."""
        return map_points(to_unit(self.size), block_centers(self.size, self.of.cell))


@dataclasses.dataclass(frozen=True)
class Fit:
    """A transform that was climbed to.

    Attributes:
        matrix: from a visible to an infrared pixel.
        mean: weighted mean correlation of the blocks.
        slopes: gradient of every block by the parameters, [8, n].
        curvature: of their sum, with the prior, [8, 8].
    """

    matrix: np.ndarray
    mean: float
    slopes: np.ndarray
    curvature: np.ndarray


def surfaces(vi: Pyramid, ir: Pyramid, matrix: np.ndarray, of: Round) -> Surfaces | None:
    """Looks at both images under a transform; None if they hardly overlap."""
    common = common_view(matrix, vi.size, ir.size, of.side)
    if common is None:
        return None
    grid, size = common
    views = (*vi.view(grid, size), *ir.view(matrix @ grid, size))
    values, energy, whole, shared = block_surfaces(
        *(jnp.asarray(v, jnp.float32) for v in views), reach=of.reach, cell=of.cell, window=of.window
    )
    return Surfaces(matrix, grid, size, np.asarray(values), np.asarray(energy), float(whole), float(shared), of)


def summed(many: Sequence[Surfaces]) -> Surfaces:
    """The blocks of several pairs under one transform, as if they were one pair.

    Args:
        many: one or more, seen under the same matrix in views of one size.
    """
    first = many[0]
    weights = np.stack([seen.energy**first.of.power for seen in many])
    total = weights.sum(axis=0) + 1e-9
    values = np.einsum("kn,knyx->nyx", weights, np.stack([seen.values for seen in many])) / total[:, None, None]
    return dataclasses.replace(
        first,
        values=values.astype(np.float32),
        energy=(total / len(many)) ** (1 / first.of.power),
        correlation=float(np.mean([seen.correlation for seen in many])),
        shared=float(np.mean([seen.shared for seen in many])),
    )


def fit(seen: Surfaces, model: str, *, among: np.ndarray | None = None) -> Fit | None:
    """Climbs to the transform of that model; None if it is none.

    Args:
        seen: the blocks.
        model: which parameters may change.
        among: 1 for blocks that count; None for all.
    """
    unit = to_unit(seen.size)
    carried = seen.matrix @ seen.grid @ np.linalg.inv(unit)
    weights = seen.energy**seen.of.power * (1 if among is None else among)
    order = ["translation", "similarity", "affine", "homography"]
    last = order.index(model)
    # The widest round of all starts with a similarity.
    first = 1 if len(seen.of.widths) > 2 else last
    models = [order[min(last, first + k)] for k in range(len(seen.of.widths))]
    p, mean, slopes, curvature = climb(
        jnp.asarray(seen.values),
        jnp.asarray(weights, jnp.float32),
        jnp.asarray(seen.centers.T, jnp.float32),
        jnp.float32(max(seen.size) / 2),
        deviation(jnp.asarray(carried, jnp.float32)),
        jnp.asarray([FREE[m] for m in models], jnp.float32),
        widths=seen.of.widths,
    )
    found = carried @ np.asarray(small(p), np.float64) @ unit @ np.linalg.inv(seen.grid)
    found = found / found[2, 2]
    if not np.isfinite(found).all():
        return None
    return Fit(found, float(mean), np.asarray(slopes, np.float64), np.asarray(curvature, np.float64))


def covariance(seen: Surfaces, found: Fit, model: str) -> np.ndarray:
    """Covariance of the parameters [8, 8], from how much the blocks disagree.

    "Sandwich" of White 1980: the scatter of the blocks' gradients, summed over neighborhoods of 3x3
    blocks, which share structure, through the curvature.
    """
    rows, columns = (n // seen.of.cell for n in seen.size)
    groups = found.slopes.reshape(8, rows, columns)
    pad = [(0, 0), (0, -rows % 3), (0, -columns % 3)]
    groups = np.pad(groups, pad).reshape(8, -(-rows // 3), 3, -(-columns // 3), 3).sum(axis=(2, 4)).reshape(8, -1)
    free = np.asarray(FREE[model], np.float64)
    inverse = np.linalg.inv(found.curvature * np.outer(free, free) + np.diag(1 - free) + 1e-3 * np.eye(8))
    return np.outer(free, free) * (inverse @ (groups @ groups.T) @ inverse)


def spread(seen: Surfaces, found: Fit, model: str) -> float:
    """Standard deviation at the corners of the view, in pixels of the visible image."""
    known = covariance(seen, found, model)
    at = map_points(to_unit(seen.size), corners(seen.size))
    bx, by = (np.asarray(b) for b in basis(jnp.asarray(at[:, 0]), jnp.asarray(at[:, 1])))
    variance = np.einsum("ik,ij,jk->k", bx, known, bx) + np.einsum("ik,ij,jk->k", by, known, by)
    return float(np.sqrt(np.abs(variance).mean())) * max(seen.size) / 2 * seen.grid[0, 0]


def simplest(seen: Surfaces, found: Fit) -> tuple[Model, np.ndarray]:
    """The simplest model that the images do not speak against, and the nearest matrix of it.

    Wald tests at 1 %, first of perspective, then of anisotropy and shear, with a standard deviation
    of twice the blocks' disagreement, which knows nothing of errors that all blocks share, beside
    the curvature with its prior, which counts where nothing is seen.

    Args:
        seen: blocks of the last round.
        found: homography fitted to them.
    """
    known = 4 * covariance(seen, found, "homography") + np.linalg.inv(found.curvature + 1e-3 * np.eye(8))
    unit = to_unit(seen.size)
    whole = found.matrix @ seen.grid @ np.linalg.inv(unit)
    whole = whole / whole[2, 2]
    off = np.asarray(deviation(jnp.asarray(whole, jnp.float32)), np.float64)
    if off[2:] @ np.linalg.solve(known[6:, 6:], off[2:]) > 9.2:
        return "homography", found.matrix
    linear = whole[:2, :2] - whole[:2, 2:] * whole[2:, :2]
    model: Model = "affine"
    if off[:2] @ np.linalg.solve(known[4:6, 4:6], off[:2]) <= 9.2:
        model = "similarity"
        x, y = (linear[0, 0] + linear[1, 1]) / 2, (linear[1, 0] - linear[0, 1]) / 2
        linear = np.array([[x, -y], [y, x]])
    nearest = np.block([[linear, whole[:2, 2:]], [np.zeros((1, 2)), np.ones((1, 1))]])
    return model, nearest @ unit @ np.linalg.inv(seen.grid)


def halves(seen: Surfaces, model: str) -> float:
    """Half the distance at the corners between fits to the two colors of a checkerboard of blocks.

    Returns:
        Pixels of the visible image; infinite if one of the fits fails.
    """
    rows, columns = (n // seen.of.cell for n in seen.size)
    odd = ((np.arange(rows)[:, None] // 3 + np.arange(columns)[None, :] // 3) % 2).ravel()
    one, other = (fit(seen, model, among=half) for half in (odd, 1 - odd))
    if one is None or other is None:
        return float("inf")
    at = map_points(seen.grid, corners(seen.size))
    gap = np.linalg.norm(map_points(one.matrix, at) - map_points(other.matrix, at), axis=1).mean()
    return float(gap / 2 / np.sqrt(abs(np.linalg.det(seen.matrix[:2, :2]))))


def leaning(seen: Surfaces, model: str) -> float:
    """How far the transform leans on one part of the view, which may be a near or a moving object.

    The jackknife's standard deviation at the corners (Tukey 1958), by fits without each third of
    the view along its longer side. Neighbors share an object, so smaller parts would not tell.

    Returns:
        Pixels of the visible image; infinite if a fit fails.
    """
    at = map_points(seen.grid, corners(seen.size))
    used = seen.centers[seen.energy > _DARK]
    axis = int(np.ptp(used[:, 1]) > np.ptp(used[:, 0]))
    low, high = used[:, axis].min(), used[:, axis].max()
    third = np.digitize(seen.centers[:, axis], [low + (high - low) / 3, high - (high - low) / 3])
    fits = [fit(seen, model), *(fit(seen, model, among=(third != k).astype(float)) for k in range(3))]
    if any(one is None for one in fits):
        return float("inf")
    whole, *without = (map_points(one.matrix, at) for one in fits if one is not None)
    moved = np.stack([np.linalg.norm(one - whole, axis=1) for one in without])
    return float(np.sqrt(2 / 3 * (moved**2).sum(axis=0).mean()) / np.sqrt(abs(np.linalg.det(seen.matrix[:2, :2]))))


def contrast(seen: Surfaces) -> float:
    """How far the correlation at no shift is above that of other shifts, in standard deviations."""
    n, m, _ = seen.values.shape
    weights = seen.energy**0.5
    values = seen.values.reshape(n, -1)
    here = seen.values[:, m // 2, m // 2] - values.mean(axis=1)
    return float((weights * here).sum() / np.sqrt((weights**2 * values.var(axis=1)).sum() + 1e-12))
