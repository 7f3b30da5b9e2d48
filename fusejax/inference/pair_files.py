"""The files of one pair: reading the sources, writing the result, advice about odd sources."""

import dataclasses
import warnings
from pathlib import Path
from typing import Literal

import numpy as np

from fusejax.data.image_headers import ImageError, ImageWarning, bits_per_sample
from fusejax.data.images import from_float, read_image, read_thermal, resample, to_float, write_image
from fusejax.data.pairing import PairPaths
from fusejax.inference.fuser import Fused
from fusejax.inference.jobs import Job
from fusejax.inference.thermal import Polarity, Range
from fusejax.ops.color import rgb_to_luma
from fusejax.report.panels import labeled_row

# Mean difference between the color channels, in shares of the range, from which infrared is in
# color.
_COLORED = 0.02


@dataclasses.dataclass(frozen=True)
class Settings:
    """Options of `fuse_folder` that every pair needs."""

    out: Path
    stretch: bool
    bits: Literal[8, 16] | None
    polarity: Polarity
    ranges: dict[np.dtype, Range]
    keep_ir: bool
    panel: bool
    maps: bool


def read_pair(pair: PairPaths, *, skip_bad: bool) -> tuple[np.ndarray, np.ndarray] | str:
    """Pixels, infrared in the size of the visible image.

    Or what is wrong, if that may be skipped.
    """
    try:
        ir, vi = read_thermal(pair.ir), read_image(pair.vi)
    except (ImageError, OSError) as error:
        if skip_bad:
            return str(error)
        raise
    return resample(ir, height=vi.shape[0], width=vi.shape[1]), vi


def write_result(job: Job, vi: np.ndarray, fused: Fused, settings: Settings) -> None:
    """Writes all files of a pair, the fused image last: if it exists, the others do."""
    out, name = settings.out, Path(job.pair.id).parent / job.target.stem
    if settings.keep_ir:
        deep = bits_per_sample(job.pair.ir) > 8
        write_image(out / "ir" / f"{name}.png", from_float(fused.ir, np.uint16 if deep else np.uint8))
    if settings.panel:
        write_image(out / "panels" / f"{name}.png", _panel(vi, fused))
    if settings.maps:
        from fusejax.report.maps import write_maps  # Matplotlib is slow to import

        (out / "maps" / name.parent).mkdir(parents=True, exist_ok=True)
        write_maps(
            out / "maps" / name.parent, name.name, fused.maps, ir=fused.ir, vi=to_float(vi), fused=to_float(fused.image)
        )
    write_image(job.target, fused.image)


def _panel(vi: np.ndarray, fused: Fused) -> np.ndarray:
    color = to_float(fused.image)
    images = {"infrared": fused.ir, "visible": to_float(vi)}
    if color.shape[-1] == 1:
        return labeled_row(images | {"fused": color})
    return labeled_row(images | {"fused": rgb_to_luma(color), "fused in color": color})


class Advice:
    """Warns once if the sources look exchanged or the infrared image is in false color."""

    def __init__(self):
        self.given = False

    def check(self, pair: PairPaths, ir: np.ndarray, vi: np.ndarray) -> None:
        """Looks at every eighth pixel of one pair."""
        if self.given or not _is_colored(ir):
            return
        self.given = True
        if _is_colored(vi):
            text = f"{pair.ir} is in color; its luma is used, which is not temperature if the colors are a palette."
        else:
            text = f"{pair.ir} is in color and {pair.vi} is gray; are --ir and --vi exchanged?"
        warnings.warn(text, ImageWarning, stacklevel=4)


def _is_colored(pixels: np.ndarray) -> bool:
    if pixels.shape[-1] == 1 or np.issubdtype(pixels.dtype, np.floating):
        return False
    return bool(np.ptp(to_float(pixels[::8, ::8]), axis=-1).mean() > _COLORED)
