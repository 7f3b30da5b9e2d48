"""A rig: one transform for all pairs of two cameras that are fixed to each other, kept as JSON."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fusejax
from fusejax.io.outputs import write_complete
from fusejax.registration.estimation import Registration, estimate
from fusejax.registration.fitting import NEAR, fit, halves, leaning, spread, summed, surfaces
from fusejax.registration.geometry import corners, map_points, resampling
from fusejax.registration.lens import NO_LENS, Lenses
from fusejax.registration.lens_files import lenses_of
from fusejax.registration.refinement import Model
from fusejax.registration.trust import uncertainty
from fusejax.registration.views import Pyramid, gray

_FORMAT, _WITH_LENS = 1, 2  # a version that knows no lenses must not read a rig that has them
_ASPECT = 0.01  # relative difference of aspect ratios that still counts as the same
_USED = 32  # pairs whose correlation is added
_AGREE = 5.0  # pixels at the corners within which pairs vote for each other


@dataclasses.dataclass(frozen=True)
class Rig:
    """The transform between two fixed cameras.

    Holds for scenes that are far compared with the distance of the cameras; near ones are off by
    their parallax.

    Attributes:
        matrix: 3x3, from a visible pixel (x, y) to the infrared pixel of the same point; with
            lenses, both in images without distortion.
        ir_size: height and width of the infrared images it was found on.
        vi_size: height and width of the visible images.
        model: which transforms were allowed.
        uncertainty: estimated error at the corners, in pixels of the visible image.
        images: number of pairs that agree on the transform.
        tried: number of pairs that were registered.
        lens: distortion of the cameras, for images of any size of the same aspect ratio.
    """

    matrix: np.ndarray
    ir_size: tuple[int, int]
    vi_size: tuple[int, int]
    model: Model
    uncertainty: float
    images: int
    tried: int
    lens: Lenses = NO_LENS

    def agrees(self, found: Registration) -> bool:
        """Whether a pair's own transform is within 5 pixels of the rig's at the corners.

        Args:
            found: the pair's transform, for images of the rig's sizes.

        Returns:
            False also if its uncertainty is infinite.
        """
        frame = corners(self.vi_size)
        gap = np.linalg.norm(map_points(self.matrix, frame) - map_points(found.matrix, frame), axis=1).mean()
        return bool(np.isfinite(found.uncertainty) and gap < _AGREE)

    def scaled(self, ir_size: tuple[int, int], vi_size: tuple[int, int]) -> "Rig":
        """The rig for the same cameras at other resolutions.

        Args:
            ir_size: height and width of infrared images.
            vi_size: height and width of visible images.

        Returns:
            The rig at these sizes.

        Raises:
            ValueError: if an aspect ratio differs, since the images were then cut, and how is
                unknown.
        """
        matrices = []
        for name, have, want in (("infrared", self.ir_size, ir_size), ("visible", self.vi_size, vi_size)):
            if abs(want[1] * have[0] / (want[0] * have[1]) - 1) > _ASPECT:
                raise ValueError(
                    f"the rig was found on {name} images of {have[1]}x{have[0]} pixels and these have "
                    f"{want[1]}x{want[0]}, another aspect ratio; find a rig for them."
                )
            matrices.append(resampling(want[1] / have[1], want[0] / have[0]))
        matrix = matrices[0] @ self.matrix @ np.linalg.inv(matrices[1])
        wider = vi_size[1] / self.vi_size[1]
        return dataclasses.replace(
            self,
            matrix=matrix / matrix[2, 2],
            ir_size=tuple(ir_size),
            vi_size=tuple(vi_size),
            uncertainty=self.uncertainty * wider,
        )


def find_rig(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    model: Model = "homography",
    lens: Lenses = NO_LENS,
    **ranges: Any,
) -> tuple[Rig, list[Registration]]:
    """Finds the transform that most pairs of a rig agree on.

    Every pair is registered on its own, and the transform nearest to most of the others (within 5
    pixels at the corners) wins, so that single bad pairs do not count. From there, the correlation
    of the pairs that agree with it, at most 32, is added up and climbed as that of one pair.

    Args:
        pairs: infrared and visible images, as for `estimate`, all of one size per camera.
        model: which transforms are allowed.
        lens: distortion of the cameras, which is undone first.
        **ranges: `scales` and `rotations` of `estimate`.

    Returns:
        The rig, and what each pair said.

    Raises:
        ValueError: if there is no pair, if sizes differ, if fewer than half of the pairs agree, or
            if a lens is for images of another aspect ratio.
    """
    found, kept, sizes = [], [], None
    for ir, vi in pairs:
        here = np.shape(ir)[:2], np.shape(vi)[:2]
        if sizes not in (None, here):
            raise ValueError(f"pair {len(found)} has sizes {here}, the first one {sizes}; a rig needs equal sizes.")
        sizes = here
        seen = lens.straight(np.asarray(ir), np.asarray(vi))
        found.append(estimate(*seen, model=model, **ranges))
        if not found[-1].refused and len(kept) < 2 * _USED:
            kept.append((found[-1], seen))
    if sizes is None:
        raise ValueError("there are no pairs; a rig needs at least one.")
    rig = dataclasses.replace(rig_of(found, [sizes] * len(found)), lens=lens)
    return sharpened(rig, [pair for one, pair in kept if rig.agrees(one)]), found


def rig_of(found: Sequence[Registration], sizes: Sequence[tuple[tuple[int, int], tuple[int, int]]]) -> Rig:
    """The transform that most of some registered pairs agree on, see `find_rig`.

    Args:
        found: what `estimate` says about each pair.
        sizes: height and width of each infrared and visible image.

    Returns:
        The rig.

    Raises:
        ValueError: if sizes differ, or if fewer than half of the pairs agree.
    """
    if odd := next((n for n, size in enumerate(sizes) if size != sizes[0]), None):
        raise ValueError(f"pair {odd} has sizes {sizes[odd]}, the first one {sizes[0]}; a rig needs equal sizes.")
    ir_size, vi_size = sizes[0]
    model = found[0].model
    frame = corners(vi_size)
    usable = [f for f in found if np.isfinite(f.uncertainty)]
    at = np.array([map_points(f.matrix, frame) for f in usable]).reshape(-1, 4, 2)
    near = np.linalg.norm(at[:, None] - at[None], axis=-1).mean(axis=-1) < _AGREE
    votes = near.sum(axis=1) if len(at) else np.zeros(1)
    if 2 * votes.max() < len(found) or (len(found) == 1 and found[0].refused):
        raise ValueError(
            f"only {int(votes.max())} of {len(found)} pairs agree on a transform within {_AGREE:g} pixels; "
            "give more pairs, with structure in all corners, or the ranges of scale and rotation."
        )
    agree = at[near[votes.argmax()]]
    matrix = through(frame, np.median(agree, axis=0))
    spread = np.linalg.norm(agree - np.median(agree, axis=0), axis=-1).mean(axis=1)
    alone = float(np.median([f.uncertainty for f, ok in zip(usable, near[votes.argmax()], strict=True) if ok]))
    # A median of n has a standard error of 1.25 / sqrt(n) times the spread.
    error = 1.25 * float(np.quantile(spread, 0.9)) / np.sqrt(len(agree)) if len(agree) > 2 else alone
    return Rig(matrix, ir_size, vi_size, model, error, len(agree), len(found))


def sharpened(rig: Rig, pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> Rig:
    """Refines a rig on several pairs at once: their correlation is added before it is climbed.

    Args:
        rig: a rig within about 5 pixels.
        pairs: infrared and visible images without distortion that agree with it; 32 of them are
            used.

    Returns:
        The rig with its uncertainty; unchanged if there is no pair.
    """
    used = [pairs[k] for k in np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _USED)).astype(int))]
    pyramids = [(Pyramid(gray(vi)), Pyramid(gray(ir))) for ir, vi in used]
    matrix, off = rig.matrix, rig.uncertainty
    for of in (NEAR[0], *NEAR):
        seen = [s for vi, ir in pyramids if (s := surfaces(vi, ir, matrix, of)) is not None]
        if not seen:
            return rig
        both = summed(seen)
        found = fit(both, rig.model)
        if found is None:
            return rig
        matrix = found.matrix
        doubts = spread(both, found, rig.model), halves(both, rig.model), leaning(both, rig.model)
        off = uncertainty(*doubts, rig.vi_size)
    return dataclasses.replace(rig, matrix=matrix, uncertainty=off)


def through(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The homography that takes four points to four points.

    Args:
        source: [4, 2], no three of them on a line.
        target: [4, 2].

    Returns:
        [3, 3].
    """
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    return np.append(np.linalg.solve(np.array(rows), target.ravel()), 1.0).reshape(3, 3)


def write_rig(path: str | Path, rig: Rig) -> None:
    """Writes a rig as JSON with a checksum.

    Args:
        path: file to write.
        rig: the rig.

    Raises:
        OSError: if it cannot be written.
    """
    values = dataclasses.asdict(rig) | {
        "matrix": rig.matrix.tolist(),
        "format": _WITH_LENS if rig.lens else _FORMAT,
        "fusejax": fusejax.__version__,
    }
    if not rig.lens:
        del values["lens"]
    values["checksum"] = _checksum(values)
    write_complete(path, json.dumps(values, indent=1) + "\n")


def read_rig(path: str | Path) -> Rig:
    """Reads a rig.

    Args:
        path: file by `write_rig`.

    Returns:
        The rig.

    Raises:
        ValueError: if it is damaged, changed by hand, or of another format; names the file.
        OSError: if it cannot be read.
    """
    from fusejax.io.json_text import read_json

    try:
        values = read_json(path)
    except ValueError as error:
        raise ValueError(f"{path} is no rig: {error}; find the rig again.") from error
    names = {field.name for field in dataclasses.fields(Rig)} - {"lens"}
    if not isinstance(values, dict) or not names <= set(values):
        lacking = sorted(names - set(values)) if isinstance(values, dict) else "every field"
        raise ValueError(f"{path} is no rig: it lacks {lacking}; find the rig again.")
    if values.get("format") not in (_FORMAT, _WITH_LENS):
        raise ValueError(f"{path} has format {values.get('format')}; this version reads {_FORMAT} and {_WITH_LENS}.")
    if values.pop("checksum", None) != _checksum(values):
        raise ValueError(f"{path} does not fit its checksum: it is damaged or was changed; find the rig again.")
    kept: dict[str, Any] = {name: values[name] for name in names}
    kept |= {name: tuple(values[name]) for name in ("ir_size", "vi_size")}
    kept["matrix"] = np.array(values["matrix"], np.float64)
    try:
        return Rig(**kept, lens=lenses_of(values.get("lens")))
    except ValueError as error:
        raise ValueError(f"{path} has a damaged lens: {error}") from error


def _checksum(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
