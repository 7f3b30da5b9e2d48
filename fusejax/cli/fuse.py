"""`fusejax fuse`: a pair of files, or two folders of them, to fused pictures."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from fusejax.data.folders import PairError, PairPaths, match_pairs
from fusejax.data.images import as_infrared, image_size, read_image, to_float, write_image
from fusejax.inference.fuser import Fuser
from fusejax.ops.color import rgb_to_luma
from fusejax.report.panels import labeled_row
from fusejax.report.progress import track

_LOSSLESS = (".png", ".bmp", ".tif", ".tiff")
_READ_AHEAD = 4


@dataclasses.dataclass(frozen=True)
class FuseOptions:
    """Fuses registered infrared and visible pictures; two folders are paired by file stem.

    Attributes:
      ir: infrared picture, or folder of them.
      vi: visible picture, or folder of them.
      out: folder for the fused pictures; they keep the visible picture's stem, size and bit depth, and its format where
        that is lossless (png, bmp, tif), else png.
      weights: shipped name, .safetensors file, or folder of a finished run.
      resize: `ir` resamples infrared pictures of another size onto the visible one.
      stretch: stretch each fused luma to the full range.
      overwrite: replace pictures that are already there.
      skip_bad: leave out unusable pairs and list them, instead of stopping.
      panel: also write infrared | visible | fused | fused in colour, below OUT/panels.
      maps: also write the network's attention and alpha maps with their scale, below OUT/maps (FusionNet).
    """

    ir: Path
    vi: Path
    out: Path
    weights: str = "angularfuse"
    resize: Literal["ir"] | None = None
    stretch: bool = False
    overwrite: bool = False
    skip_bad: bool = False
    panel: bool = False
    maps: bool = False


def fuse_command(options: FuseOptions) -> list[Path]:
    """Fuses what the options name and returns the files written. Raises ValueError before any work where it cannot."""
    pairs, skipped = _find_pairs(options)
    for line in skipped:
        print(f"left out: {line}")
    targets = [options.out / f"{p.vi.stem}{_suffix(p.vi)}" for p in pairs]
    if not options.overwrite and (there := [t for t in targets if t.exists()]):
        raise FileExistsError(
            f"{len(there)} fused pictures are already there, {there[0]} first; use --overwrite, or another --out."
        )
    fuser = Fuser.load(options.weights)
    if options.maps:
        fuser.check_maps()
    with ThreadPoolExecutor(_READ_AHEAD) as pool:
        writes = []
        loaded = track(_read_ahead(pool, pairs), len(pairs), description="fusing", unit="pairs")
        for (ir, vi), target in zip(loaded, targets, strict=True):
            fused = fuser.fuse(ir, vi, stretch=options.stretch)
            writes.append(pool.submit(write_image, target, fused))
            if options.panel:
                panel = options.out / "panels" / f"{target.stem}.png"
                writes.append(pool.submit(lambda p, *a: write_image(p, _panel(*a)), panel, ir, vi, fused))
            if options.maps:
                _write_maps(options.out / "maps", target.stem, fuser, ir, vi, fused)
        for write in writes:
            write.result()
    print(f"{len(targets)} fused pictures in {options.out}")
    return targets


def _write_maps(folder: Path, stem: str, fuser: Fuser, ir: np.ndarray, vi: np.ndarray, fused: np.ndarray) -> None:
    from fusejax.report.maps import write_maps  # Matplotlib is slow to import

    ir, vi, fused = to_float(ir), to_float(vi), to_float(fused)
    vi_y = rgb_to_luma(vi) if vi.shape[-1] == 3 else vi
    maps = {name: values[0] for name, values in fuser.maps(ir[None], vi_y[None]).items()}
    write_maps(folder, stem, maps, ir=ir, vi=vi, fused=fused)


def _find_pairs(options: FuseOptions) -> tuple[list[PairPaths], list[str]]:
    if options.ir.is_dir() != options.vi.is_dir():
        raise PairError(f"{options.ir} and {options.vi}: give two files, or two folders.")
    if options.ir.is_dir():
        pairs, skipped = match_pairs(options.ir, options.vi, same_size=False, skip_bad=options.skip_bad)
    else:
        pairs, skipped = [PairPaths(options.vi.stem, options.ir, options.vi)], []
    if options.resize:
        return pairs, skipped
    problems = {p.id: text for p in pairs if (text := _size_problem(p))}
    if problems and not options.skip_bad:
        lines = "\n  ".join(list(problems.values())[:8])
        raise PairError(
            f"{len(problems)} of {len(pairs)} pairs differ in size:\n  {lines}\n"
            "Register them first, or resample infrared onto visible with --resize ir."
        )
    return [p for p in pairs if p.id not in problems], skipped + list(problems.values())


def _size_problem(pair: PairPaths) -> str | None:
    (ir_h, ir_w), (vi_h, vi_w) = image_size(pair.ir), image_size(pair.vi)
    if (ir_h, ir_w) == (vi_h, vi_w):
        return None
    return f"{pair.ir} is {ir_h}x{ir_w} but {pair.vi} is {vi_h}x{vi_w}"


def _suffix(vi: Path) -> str:
    return vi.suffix if vi.suffix.lower() in _LOSSLESS else ".png"


def _read_ahead(pool: ThreadPoolExecutor, pairs: list[PairPaths]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pixels of each pair in order; the next few are read while the caller works."""
    waiting = [pool.submit(_read, p) for p in pairs[:_READ_AHEAD]]
    for n in range(len(pairs)):
        if n + _READ_AHEAD < len(pairs):
            waiting.append(pool.submit(_read, pairs[n + _READ_AHEAD]))
        yield waiting.pop(0).result()


def _read(pair: PairPaths) -> tuple[np.ndarray, np.ndarray]:
    """Infrared resampled to the visible size where they differ (`_find_pairs` has refused that unless asked for)."""
    ir, vi = as_infrared(read_image(pair.ir)), read_image(pair.vi)
    h, w = vi.shape[:2]
    if ir.shape[:2] != (h, w):
        shrinks = ir.shape[0] > h
        ir = cv2.resize(ir, (w, h), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)[..., None]
    return ir, vi


def _panel(ir: np.ndarray, vi: np.ndarray, fused: np.ndarray) -> np.ndarray:
    fused = to_float(fused)
    luma = rgb_to_luma(fused) if fused.shape[-1] == 3 else fused
    named = {"infrared": to_float(ir), "visible": to_float(vi), "fused": luma}
    return labeled_row(named | ({"fused in colour": fused} if fused.shape[-1] == 3 else {}))
