"""How well pairs of files line up, as taken and after registration."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fusejax.io.align import AlignError
from fusejax.io.images import as_infrared, as_visible
from fusejax.io.json_text import read_json
from fusejax.io.outputs import write_complete, write_rows
from fusejax.io.pair_images import SourceOptions, read_pair
from fusejax.io.pairing import PairError, PairPaths
from fusejax.ops.color import rgb_to_luma
from fusejax.progress import track
from fusejax.registration import measures
from fusejax.registration.aligner import RegisterInfrared, warp_pixels
from fusejax.registration.geometry import map_points, resampling
from fusejax.registration.lens import NO_LENS, Lenses, lens_points
from fusejax.registration.residual import is_aligned

FILES = ("registration.csv", "registration.json")
"""What `write_alignment` writes."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """A measure of alignment.

    Attributes:
        title: what it is, with its unit.
        better: "higher" or "lower".
        source: where its definition is from.
    """

    title: str
    better: str
    source: str


MEASURES = {
    "residual": Measure("pixels off, estimated without a truth", "lower", "fusejax.registration.is_aligned"),
    "MI": Measure("mutual information, bits", "higher", "Viola and Wells 1995"),
    "NCC": Measure("normalized cross-correlation; its sign depends on the scene", "higher", "Lewis 1995"),
    "GC": Measure("correlation of gradient magnitudes", "higher", "Penney et al. 1998, without signs"),
    "overlap": Measure("share of the visible image that infrared covers", "higher", "Klein et al. 2009"),
    "corner": Measure("corner error against the truth, infrared pixels", "lower", "DeTone et al. 2016"),
    "endpoint": Measure("endpoint error against the truth, infrared pixels", "lower", "Otte and Nagel 1994"),
    "landmark": Measure("error at the given points, infrared pixels", "lower", "Fitzpatrick and West 2001"),
}

_POINTS = ("landmark",)
_MATRICES = ("corner", "endpoint")


@dataclasses.dataclass(frozen=True)
class Alignment:
    """What `measure_alignment` found.

    Attributes:
        pairs: names of the pairs.
        measures: names of the measures, keys of `MEASURES`.
        states: "as taken", and "registered" if there is a step.
        values: float64 [states, pairs, measures]; NaN where a measure cannot tell.
        notes: why pairs have no residual or were refused, by name and state.
    """

    pairs: tuple[str, ...]
    measures: tuple[str, ...]
    states: tuple[str, ...]
    values: np.ndarray
    notes: dict[str, str]


def read_truths(path: str | Path) -> dict[str, np.ndarray | tuple[np.ndarray, np.ndarray]]:
    """Reads true transforms or hand-set points.

    Args:
        path: JSON file with name -> `matrix` (or `H`), 3x3, from a visible pixel to the infrared
            pixel of the same point, as in `transforms.json`; or a folder of files NAME.json with
            `vi` and `ir`, lists of points x, y.

    Returns:
        By name, the matrix, or the points of both images.

    Raises:
        ValueError: if a file holds something else; names it.
        OSError: if it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise ValueError(f"{path} holds no files NAME.json with points.")
        return {file.stem: _points(file) for file in files}
    values = read_json(path)
    found: dict[str, np.ndarray | tuple[np.ndarray, np.ndarray]] = {}
    for name, one in values.items() if isinstance(values, dict) else []:
        matrix = np.array(one.get("matrix", one.get("H")) if isinstance(one, dict) else None, dtype=object)
        if matrix.shape != (3, 3):
            raise ValueError(f"{path}: {name} has no `matrix` of 3x3 numbers from a visible to an infrared pixel.")
        found[name] = matrix.astype(np.float64)
    if not found:
        raise ValueError(f"{path} holds no transforms; expected name -> matrix, as in transforms.json.")
    return found


def _points(file: Path) -> tuple[np.ndarray, np.ndarray]:
    values = read_json(file)
    given = [np.array(values.get(kind) if isinstance(values, dict) else None, dtype=object) for kind in ("vi", "ir")]
    if any(x.ndim != 2 or x.shape[1:] != (2,) for x in given) or given[0].shape != given[1].shape:
        raise ValueError(f"{file} holds no points; expected `vi` and `ir`, equally many x, y each.")
    return given[0].astype(np.float64), given[1].astype(np.float64)


def measure_alignment(
    pairs: Sequence[PairPaths],
    *,
    step: RegisterInfrared | None = None,
    truths: dict[str, np.ndarray | tuple[np.ndarray, np.ndarray]] | None = None,
) -> Alignment:
    """Measures pairs as taken, with infrared resampled to the visible size, and after a step.

    Args:
        pairs: the pairs.
        step: a registration on the visible grid; None for the pairs as taken only.
        truths: see `read_truths`; pairs without one get NaN.

    Returns:
        The values.

    Raises:
        ValueError: if an image cannot be read, or no pair has a truth although truths are given.
    """
    known = truths or {}
    if known and not any(pair.id in known for pair in pairs):
        raise PairError(f"none of the pairs, such as {pairs[0].id}, is among the truths, such as {min(known)}.")
    kinds = {type(truth) for truth in known.values()}
    asked = [name for name in MEASURES if name not in (*_POINTS, *_MATRICES)]
    asked += [*(_MATRICES if np.ndarray in kinds else ()), *(_POINTS if tuple in kinds else ())]
    states = ("as taken", "registered") if step is not None else ("as taken",)
    values, notes = np.full((len(states), len(pairs), len(asked)), np.nan), {}
    for n, pair in enumerate(track(pairs, len(pairs), description="measuring alignment", unit="pairs")):
        images = read_pair(pair, SourceOptions())
        ir, vi = as_infrared(images.ir), as_visible(images.vi)
        for s, state in enumerate(states):
            label = f"{pair.id}, {state}"
            try:
                if s and step is not None:
                    matrix = step.transform(images.ir, images.vi)
                    lens = step.lens.scaled(ir.shape[:2], vi.shape[:2])
                else:
                    lens = NO_LENS
                    matrix = resampling(ir.shape[1] / vi.shape[1], ir.shape[0] / vi.shape[0])
                found, note = _measure(ir, vi, matrix, lens, known.get(pair.id))
            except AlignError as error:
                notes[label] = str(error)
                continue
            values[s, n] = [found.get(name, np.nan) for name in asked]
            if note:
                notes[label] = note
    return Alignment(tuple(pair.id for pair in pairs), tuple(asked), states, values, notes)


def _measure(
    ir: np.ndarray,
    vi: np.ndarray,
    matrix: np.ndarray,
    lens: Lenses,
    truth: np.ndarray | tuple[np.ndarray, np.ndarray] | None,
) -> tuple[dict[str, float], str]:
    size = vi.shape[:2]
    warped, mask = warp_pixels(ir, matrix, size, source=lens.ir, target=lens.vi)
    inside = mask[..., 0] > 0
    gray = rgb_to_luma(vi.astype(np.float32))[..., 0] if vi.shape[-1] == 3 else vi[..., 0].astype(np.float32)
    a, b = np.where(inside, warped[..., 0].astype(np.float64), np.nan), gray.astype(np.float64)
    left = is_aligned(warped, vi)
    found = {
        "residual": left.pixels,
        "MI": measures.mutual_information(a, b),
        "NCC": measures.normalized_correlation(a, b),
        "GC": measures.gradient_correlation(a, b),
        "overlap": float(inside.mean()),
    }
    if isinstance(truth, tuple):
        vi_points, ir_points = truth
        if lens.vi is not None:
            vi_points = lens_points(vi_points, lens.vi, inverse=True)
        at = map_points(matrix, vi_points)
        at = at if lens.ir is None else lens_points(at, lens.ir)
        found["landmark"] = measures.landmark_error(np.eye(3), at, ir_points)
    elif truth is not None:
        found["corner"] = measures.corner_error(matrix, truth, size=size)
        found["endpoint"] = measures.endpoint_error(matrix, truth, size=size)
    return found, left.unknown


def write_alignment(folder: str | Path, found: Alignment) -> None:
    """Writes registration.csv, a line per pair and state, and registration.json, with the notes.

    Args:
        folder: folder for the files.
        found: what was measured.

    Raises:
        OSError: if a file cannot be written.
    """
    folder = Path(folder)
    lines = [
        (pair, state, *(f"{value:.6g}" for value in found.values[s, n]))
        for n, pair in enumerate(found.pairs)
        for s, state in enumerate(found.states)
    ]
    write_rows(folder / FILES[0], [("pair", "state", *found.measures), *lines])
    document = {
        "measures": {name: dataclasses.asdict(MEASURES[name]) for name in found.measures},
        "pairs": {
            pair: {
                state: {m: float(v) if np.isfinite(v) else None for m, v in zip(found.measures, values, strict=True)}
                for state, values in zip(found.states, found.values[:, n], strict=True)
            }
            for n, pair in enumerate(found.pairs)
        },
        "notes": found.notes,
    }
    write_complete(folder / FILES[1], json.dumps(document, indent=1) + "\n")
