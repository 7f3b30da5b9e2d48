"""Registers folders of pairs and writes what a user needs to judge and to use the result."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from fusejax.io.align import AlignError
from fusejax.io.images import as_infrared, write_image
from fusejax.io.outputs import check_files, check_out, refuse_existing, write_complete
from fusejax.io.pair_finding import find_pairs
from fusejax.io.pair_images import SourceOptions, read_pair
from fusejax.io.pairing import PairPaths
from fusejax.registration.aligner import RegisterInfrared, warp_pixels
from fusejax.registration.estimation import Registration, estimate
from fusejax.registration.geometry import resampling
from fusejax.registration.lens import NO_LENS, Lenses
from fusejax.registration.refinement import Model
from fusejax.registration.rig import Rig, rig_of, sharpened, write_rig

_TILE = 48  # of the checkerboard, pixels


@dataclasses.dataclass(frozen=True)
class RegisteredFolder:
    """What `register_folder` did.

    Attributes:
        found: transform of every pair by name.
        rig: the common transform, if it was asked for.
        written: the files.
    """

    found: dict[str, Registration]
    rig: Rig | None
    written: list[Path]

    @property
    def refused(self) -> dict[str, str]:
        """Why pairs were refused, by name."""
        return {name: one.refused for name, one in self.found.items() if one.refused}


def register_folder(
    ir: str | Path,
    vi: str | Path | None,
    out: str | Path,
    *,
    model: Model = "homography",
    scales: tuple[float, float] = (0.55, 1.6),
    rotations: tuple[float, float] = (-9.0, 9.0),
    rig: bool = False,
    lens: Lenses = NO_LENS,
    overwrite: bool = False,
    options: SourceOptions | None = None,
) -> RegisteredFolder:
    """Registers a pair of files, or two folders that are paired by their names.

    Writes to `out`: `transforms.json` (name -> `matrix` from a visible pixel to the infrared pixel
    of the same point, `model`, `uncertainty` in pixels, `score`, `refused` and more), and for every
    pair that was not refused `ir/NAME.png` (the infrared image on the visible one's grid),
    `mask/NAME.png` (where it has pixels), `overlay/NAME.png` (infrared red, visible cyan) and
    `checkerboard/NAME.png`. With `rig`, also `rig.json`, and all pairs are warped by it.

    Args:
        ir: infrared image or folder, see `fusejax.io.find_pairs`.
        vi: visible image or folder. None if `ir` names both, or its files hold both images, which
            then lie on each other as the files say; what is found is what is left to correct.
        out: folder.
        model: which transforms are allowed.
        scales: see `estimate`.
        rotations: see `estimate`.
        rig: find one transform for all pairs.
        lens: distortion of the cameras. Matrices are then between pixels without distortion;
            written images lie on the visible ones as these were taken.
        overwrite: replace existing files.
        options: how files are read.

    Returns:
        The transforms and the files.

    Raises:
        ValueError: if sources or options cannot be used, or pairs do not agree on a rig.
        OSError: if files exist or cannot be written; names the file.
    """
    out = Path(out)
    options = options or SourceOptions()
    pairs, _ = find_pairs(ir, vi, sources=options)
    check_out(out)
    names = [one.id.replace("/", "_") for one in pairs]
    images = [out / kind / f"{name}.png" for name in names for kind in ("ir", "mask", "overlay", "checkerboard")]
    files = [out / "transforms.json", *([out / "rig.json"] if rig else []), *images]
    refuse_existing(check_files(files, sources=[p for one in pairs for p in (one.ir, one.vi)]), overwrite=overwrite)
    found, sizes = {}, []
    for one in pairs:
        images_of = _read(one, options)
        sizes.append(tuple(x.shape[:2] for x in images_of))
        found[one.id] = estimate(*lens.straight(*images_of), model=model, scales=scales, rotations=rotations)
    common = rig_of(list(found.values()), sizes) if rig else None
    if common is not None:
        agree = [one for one in pairs if common.agrees(found[one.id])]
        seen = [lens.straight(*_read(one, options)) for one in agree[:: -(-len(agree) // 32)]]
        common = dataclasses.replace(sharpened(common, seen), lens=lens)
    written = []
    for one, name in zip(pairs, names, strict=True):
        if common is not None or not found[one.id].refused:
            written += _write(out, name, *_read(one, options), (common or found[one.id]).matrix, lens)
    values = {name: dataclasses.asdict(f) | {"matrix": f.matrix.tolist()} for name, f in found.items()}
    for one in values.values():
        one["uncertainty"] = one["uncertainty"] if np.isfinite(one["uncertainty"]) else None
    write_complete(out / "transforms.json", json.dumps(values, indent=1) + "\n")
    if common is not None:
        write_rig(out / "rig.json", common)
        written.append(out / "rig.json")
    return RegisteredFolder(found, common, [*written, out / "transforms.json"])


def _read(one: PairPaths, options: SourceOptions) -> tuple[np.ndarray, np.ndarray]:
    images = read_pair(one, options)
    return as_infrared(images.ir), images.vi


def _write(out: Path, name: str, ir: np.ndarray, vi: np.ndarray, matrix: np.ndarray, lens: Lenses) -> list[Path]:
    known = lens.scaled(ir.shape[:2], vi.shape[:2])
    warped, mask = warp_pixels(ir, matrix, vi.shape[:2], source=known.ir, target=known.vi)
    if warped.dtype.kind == "f":
        low, high = np.percentile(warped, [0.1, 99.9])
        warped = np.round(65535 * np.clip((warped - low) / max(high - low, 1e-9), 0, 1)).astype(np.uint16)
    overlay = overlaid(warped, vi, mask)
    shown_ir, shown_vi = overlay[..., :1], overlay[..., 1:2]
    y, x = np.mgrid[: vi.shape[0], : vi.shape[1]] // _TILE
    board = np.where(((x + y) % 2 == 0)[..., None] | (mask == 0), shown_vi, shown_ir)
    files = {"ir": warped, "mask": (255 * mask).astype(np.uint8), "overlay": overlay, "checkerboard": board}
    for kind, pixels in files.items():
        write_image(
            out / kind / f"{name}.png", pixels if pixels.dtype.kind == "u" else np.round(pixels).astype(np.uint8)
        )
    return [out / kind / f"{name}.png" for kind in files]


def overlaid(ir: np.ndarray, vi: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Both images in one: infrared red and visible cyan, so that edges that do not meet are double.

    Args:
        ir: infrared image [h, w, 1] in any range.
        vi: visible image [h, w, c] in any range.
        mask: [h, w, 1], 0 where infrared has no pixels.

    Returns:
        uint8 [h, w, 3].
    """
    shown_ir, shown_vi = _shown(ir) * (mask > 0), _shown(vi.mean(axis=-1, keepdims=True))
    return np.concatenate([shown_ir, shown_vi, shown_vi], axis=-1)


def write_looks(
    pairs: Iterable[PairPaths], step: RegisterInfrared, out: str | Path, *, options: SourceOptions | None = None
) -> dict[str, dict[str, Path]]:
    """Writes overlays of pairs as taken and registered.

    Args:
        pairs: the pairs; those that are refused are left out.
        step: a registration on the visible grid.
        out: folder.
        options: how files are read.

    Returns:
        By what is shown ("overlay as taken", "overlay registered"), the files by the id of the
        pair.

    Raises:
        ValueError: if an image cannot be read.
        OSError: if a file cannot be written.
    """
    options = options or SourceOptions()
    found: dict[str, dict[str, Path]] = {"overlay as taken": {}, "overlay registered": {}}
    for pair in pairs:
        ir, vi = _read(pair, options)
        size = vi.shape[:2]
        taken, inside = warp_pixels(ir, resampling(ir.shape[1] / size[1], ir.shape[0] / size[0]), size)
        try:
            registered = step(ir, vi, name=pair.id)
        except AlignError:
            continue
        mask = inside if registered.share is None else registered.share
        images = overlaid(taken, vi, np.ones_like(inside)), overlaid(registered.ir, vi, mask)
        for files, kind, pixels in zip(found.values(), ("taken", "registered"), images, strict=True):
            files[pair.id] = Path(out) / kind / f"{pair.id}.png"
            write_image(files[pair.id], pixels)
    return found


def _shown(x: np.ndarray) -> np.ndarray:
    """8-bit levels from the first to the last percent, for looking."""
    low, high = np.percentile(x, [1, 99])
    return np.round(255 * np.clip((x - low) / max(float(high - low), 1e-9), 0, 1)).astype(np.uint8)
