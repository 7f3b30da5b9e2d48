"""Errors of registration under made-up deformations, on real frames and on hand-set landmarks.

    python scripts/table.py registration --data-root DIR [--sets roadscene/val] [--levels E M H]
    [--every 1] [--baselines] [--out FILE.json]

For every set of registered pairs (folders `ir` and `vi`, files of one name) and every level, pairs
are deformed as `fusejax.registration.made_up` says, with seeds from name and level. `--frames` and
`--landmarks` name folders with `truth.json`, or with `points/NAME.json`. Errors are in pixels of
the infrared image: mean distance of the four corners, for landmarks of the points. `different`
pairs every visible image with the infrared image of a pair far away in the list. A transform is
confidently wrong if it is not refused and off by more than 10 pixels and by more than its own
uncertainty (or if the scenes differ); right means below 5 pixels; `holds` is the share of pairs,
not refused, whose error is below the uncertainty. With level Z among the levels, rows of
repeatability follow: distance between the transform of a deformed pair and the deformation after
the transform that is found for the same pair at Z, which does not depend on how well the set itself
is registered.

Where the truth is that of a set, `MI >` and `GC >` are the shares of pairs, not refused, whose
mutual information and correlation of gradient magnitudes are higher under the transform that was
found than under the set's: measures that have nothing in common with how it was found.

With `--corrected`, errors of FLIR_06282 are those at six lamps that both cameras show, since the
set's own transform misses them by 15 pixels on average and by up to 31.
"""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fusejax.io.images import as_infrared, as_visible, read_image
from fusejax.registration import corner_error, estimate, landmark_error
from fusejax.registration.aligner import warp_pixels
from fusejax.registration.geometry import map_points
from fusejax.registration.made_up import Level, deformed_pair
from fusejax.registration.measures import gradient_correlation, mutual_information


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """What to register.

    Attributes:
        data_root: folder of the data sets.
        sets: folders of registered pairs below it.
        levels: of deformation.
        every: take every n-th pair of each set.
        frames: folder of frames with `truth.json` below it.
        landmarks: folder of pairs with hand-set points below it.
        different: also pair images of different scenes.
        baselines: also ECC, phase correlation, SIFT, and mutual information if SimpleITK is there.
        corrected: measure FLIR_06282 at six lamps instead of by the set's transform.
        verbose: print every error.
        out: file for all rows.
    """

    data_root: Path
    sets: tuple[str, ...] = ("roadscene/val",)
    levels: tuple[Level, ...] = ("E", "M", "H")
    every: int = 1
    frames: str | None = None
    landmarks: str | None = None
    different: bool = False
    baselines: bool = False
    corrected: bool = False
    verbose: bool = False
    out: Path | None = None


# Centers of lamps in the visible image of FLIR_06282 and in its whole infrared frame, and the set's
# transform between the two: brightest places near points set by hand.
_LAMPS = {
    "vi": [[107.6, 141.8], [145.8, 147.1], [186.3, 118.0], [298.7, 129.1], [292.3, 138.2], [376.6, 128.9]],
    "ir": [[184.5, 215.3], [217.4, 220.8], [252.7, 198.0], [348.3, 210.0], [343.4, 216.2], [416.4, 208.7]],
}


def _lamps(deformed: np.ndarray, size: tuple[int, int], frame: np.ndarray) -> Callable[[np.ndarray], float]:
    """The error of a matrix at the lamps, in the central window of a pair that was deformed."""
    vi, ir = (np.array(_LAMPS[kind]) for kind in ("vi", "ir"))
    corner = np.array([(n - round(0.75 * n)) // 2 for n in size[::-1]])
    ir = map_points(deformed, map_points(np.linalg.inv(frame), ir) - corner)
    return lambda matrix: landmark_error(matrix, vi - corner, ir)


def _ours(ir: np.ndarray, vi: np.ndarray) -> dict:
    found = estimate(ir, vi)
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in dataclasses.asdict(found).items()}


def _closer(ir: np.ndarray, vi: np.ndarray, found: np.ndarray, truth: np.ndarray) -> list[bool]:
    """Whether MI and GC are higher under one transform than under another."""
    size = vi.shape[:2]
    seen = [warp_pixels(ir[..., None], matrix, size) for matrix in (found, truth)]
    inside = seen[0][1][..., 0] * seen[1][1][..., 0] > 0
    if not inside.any():
        return [False, False]
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    part = np.s_[rows[0] + 8 : rows[-1] - 8, columns[0] + 8 : columns[-1] - 8]
    luma = cv2.cvtColor(vi, cv2.COLOR_RGB2GRAY)[part].astype(np.float32) / 255
    warped = [x[..., 0][part].astype(np.float32) / 255 for x, _ in seen]
    return [
        measure(warped[0], luma) > measure(warped[1], luma) for measure in (mutual_information, gradient_correlation)
    ]


def _identity(ir: np.ndarray, vi: np.ndarray) -> dict:
    return {"matrix": np.diag([ir.shape[1] / vi.shape[1], ir.shape[0] / vi.shape[0], 1.0]).tolist(), "refused": ""}


def _luma(vi: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(cv2.cvtColor(vi, cv2.COLOR_RGB2GRAY), size[::-1], interpolation=cv2.INTER_AREA)


def _to_vi(matrix: np.ndarray, ir: np.ndarray, vi: np.ndarray) -> dict:
    resized = np.diag([ir.shape[1] / vi.shape[1], ir.shape[0] / vi.shape[0], 1.0])
    return {"matrix": (matrix @ resized).tolist(), "refused": ""}


def _ecc(ir: np.ndarray, vi: np.ndarray) -> dict:
    start, end = np.eye(3, dtype=np.float32), (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 1e-5)
    try:
        _, start = cv2.findTransformECC(_luma(vi, ir.shape), ir, start, cv2.MOTION_HOMOGRAPHY, end)
    except cv2.error:
        return _identity(ir, vi) | {"refused": "did not converge"}
    return _to_vi(np.asarray(start, np.float64), ir, vi)


def _phase(ir: np.ndarray, vi: np.ndarray) -> dict:
    a, b = (x.astype(np.float32) for x in (_luma(vi, ir.shape), ir))
    (x, y), _ = cv2.phaseCorrelate(a, b, cv2.createHanningWindow(ir.shape[::-1], cv2.CV_32F))
    return _to_vi(np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]), ir, vi)


def _sift(ir: np.ndarray, vi: np.ndarray) -> dict:
    sift: Any = cv2.SIFT_create()  # pyright: ignore[reportAttributeAccessIssue] - missing in its stubs
    (pa, da), (pb, db) = (sift.detectAndCompute(x, None) for x in (_luma(vi, ir.shape), ir))
    if da is None or db is None or min(len(da), len(db)) < 4:
        return _identity(ir, vi) | {"refused": "too few points"}
    pairs = cv2.BFMatcher(crossCheck=True).match(da, db)
    a, b = (
        np.array([p[i].pt for i in at], np.float32)
        for p, at in ((pa, [m.queryIdx for m in pairs]), (pb, [m.trainIdx for m in pairs]))
    )
    m, _ = cv2.findHomography(a, b, cv2.RANSAC, 5.0) if len(pairs) >= 4 else (None, None)
    return _identity(ir, vi) | {"refused": "no consensus"} if m is None else _to_vi(m, ir, vi)


def _mutual_information(ir: np.ndarray, vi: np.ndarray) -> dict:
    import SimpleITK as sitk  # pyright: ignore[reportMissingImports] - in the extra bench

    fixed, moving = (sitk.GetImageFromArray(x.astype(np.float32)) for x in (_luma(vi, ir.shape), ir))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.25)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 100)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInterpolator(sitk.sitkLinear)
    start = sitk.CenteredTransformInitializer(fixed, moving, sitk.AffineTransform(2))
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    center, linear = np.array(start.GetCenter()), np.array(start.GetMatrix()).reshape(2, 2)
    shift = center + np.array(start.GetTranslation()) - linear @ center
    return _to_vi(np.block([[linear, shift[:, None]], [np.zeros((1, 2)), np.ones((1, 1))]]), ir, vi)


def _read(root: Path, folder: str, every: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    for file in sorted((root / folder / "ir").iterdir())[::every]:
        other = next((root / folder / "vi").glob(f"{file.stem}.*"))
        yield f"{folder}/{file.stem}", as_infrared(read_image(file))[..., 0], as_visible(read_image(other))


def _truths(options: TableOptions) -> dict[str, np.ndarray]:
    file = options.data_root / (options.frames or "registration/frames") / "truth.json"
    return {name: np.array(one["H"]) for name, one in json.loads(file.read_text()).items()}


def _cases(options: TableOptions) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, Callable, np.ndarray | None]]:
    """Row of the table, name, images, the error of a matrix, and the true matrix if known."""
    for folder in options.sets:
        pairs = list(_read(options.data_root, folder, options.every))
        for level in options.levels:
            for name, *images in pairs:
                ir, vi, truth = deformed_pair(*images, name=name, level=level)
                row, size = f"{folder} {level}", vi.shape[:2]
                error = lambda m, t=truth, s=size: corner_error(m, t, size=s)  # noqa: E731 - one of two
                if options.corrected and name.endswith("FLIR_06282"):
                    error = _lamps(truth, images[1].shape[:2], _truths(options)[Path(name).name])
                yield row, name, ir, vi, error, truth
        if options.different:
            for (name, ir, _), (_, _, vi) in zip(
                pairs, pairs[len(pairs) // 2 :] + pairs[: len(pairs) // 2], strict=True
            ):
                yield f"{folder} different scenes", name, ir, vi, lambda _: np.inf, None
    if options.frames:
        for name, ir, vi in _read(options.data_root, options.frames, options.every):
            truth, size = _truths(options)[Path(name).name], vi.shape[:2]
            error = lambda m, t=truth, s=size: corner_error(m, t, size=s)  # noqa: E731 - one of two
            if options.corrected and name.endswith("FLIR_06282"):
                error = lambda m: landmark_error(m, np.array(_LAMPS["vi"]), np.array(_LAMPS["ir"]))  # noqa: E731
            yield options.frames, name, ir, vi, error, truth
    if options.landmarks:
        for name, ir, vi in _read(options.data_root, options.landmarks, 1):
            points = json.loads(
                (options.data_root / options.landmarks / "points" / f"{Path(name).name}.json").read_text()
            )
            at = np.array(points["vi"], float), np.array(points["ir"], float)
            yield options.landmarks, name, ir, vi, lambda m, at=at: landmark_error(m, *at), None


def main(options: TableOptions) -> None:
    """Prints one line for every set, level and method."""
    methods: dict[str, Callable[[np.ndarray, np.ndarray], dict]] = {"fusejax": _ours}
    if options.baselines:
        methods |= {"identity": _identity, "ECC": _ecc, "phase correlation": _phase, "SIFT": _sift}
        try:
            import SimpleITK  # noqa: F401  # pyright: ignore[reportMissingImports]
        except ImportError:
            print("mutual information is left out, because SimpleITK is not installed")
        else:
            methods["mutual information"] = _mutual_information
    rows: list[dict] = []
    for row, name, ir, vi, error, truth in _cases(options):
        for method, register in methods.items():
            start = time.process_time()
            found = register(ir, vi)
            seconds = time.process_time() - start
            off = float(error(np.array(found["matrix"])))
            found |= {"size": vi.shape[:2], "truth": None if truth is None else truth.tolist()}
            if truth is not None and not found["refused"]:
                found["closer"] = _closer(ir, vi, np.array(found["matrix"]), truth)
            if options.verbose:
                print(f"{row} {name} {method}: {off:.2f}", flush=True)
            rows.append({"row": row, "name": name, "method": method, "error": off, "seconds": seconds, **found})
    if options.out is not None:
        options.out.write_text(json.dumps(rows))
    print(
        f"{'set and level':40}{'method':20}{'n':>4}{'median':>8}"
        f"{'< 3':>6}{'< 5':>6}{'< 10':>6}{'wrong':>7}{'refused':>8}"
        f"{'holds':>7}{'CPU s':>7}{'MI >':>7}{'GC >':>7}"
    )
    for row in dict.fromkeys(r["row"] for r in rows):
        for method in methods:
            _print(row, method, [r for r in rows if r["row"] == row and r["method"] == method])
    for folder in options.sets if "Z" in options.levels else ():
        for level in [level for level in options.levels if level != "Z"]:
            again = [_repeated(rows, r, level) for r in rows if r["row"] == f"{folder} {level}"]
            _print(f"{folder} {level} repeatability", "fusejax", [r for r in again if r["method"] == "fusejax"])


def _repeated(rows: list[dict], row: dict, level: str) -> dict:
    """The row with its distance from the deformation after the transform at Z."""
    same = (row["name"], row["method"], row["row"].removesuffix(level) + "Z")
    at_rest = next(r for r in rows if (r["name"], r["method"], r["row"]) == same)
    expected = np.array(row["truth"]) @ np.array(at_rest["matrix"])
    return row | {"error": corner_error(np.array(row["matrix"]), expected, size=row["size"])}


def _print(row: str, method: str, rows: list[dict]) -> None:
    e = np.array([r["error"] for r in rows])
    used = np.array([not r["refused"] for r in rows])
    sure = np.array([r.get("uncertainty", 0.0) for r in rows])
    wrong = (used & (e > 10) & (e > sure)).mean()
    right = e < 5
    refused = (~used & right).sum() / max(1, right.sum())
    shares = "".join(f"{(e < limit).mean():6.0%}" for limit in (3, 5, 10))
    seconds = np.median([r["seconds"] for r in rows])
    holds = (e <= sure)[used].mean() if used.any() else np.nan
    closer = [r["closer"] for r in rows if "closer" in r and not row.endswith("repeatability")]
    higher = "".join(f"{share:7.0%}" for share in np.mean(closer, axis=0)) if closer else ""
    print(
        f"{row:40}{method:20}{len(e):4}{np.median(e):8.2f}{shares}{wrong:7.0%}{refused:8.0%}{holds:7.0%}{seconds:7.2f}{higher}",
        flush=True,
    )
