"""The sources of scores: infrared with the values that the network saw, also for raw thermal."""

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.inference.align import Aligner
from fusejax.inference.options import SourceOptions
from fusejax.inference.pair_arrays import align_all
from fusejax.inference.pair_sources import read_pair, read_values
from fusejax.inference.thermal import Polarity, RangeOption, Ranges, check_range, choose_ranges, to_unit
from fusejax.io.cameras import read_camera_layout
from fusejax.io.image_headers import bits_per_sample
from fusejax.io.images import ImageWarning, as_infrared, resample, to_float
from fusejax.io.pairing import PairPaths
from fusejax.progress import track

_READ = SourceOptions()


def find_ranges(pairs: Sequence[PairPaths], ir_range: RangeOption, *, quiet: bool = False) -> Ranges:
    """The range of infrared values for each pixel type, as `fusejax fuse` chooses it.

    Args:
        pairs: the pairs; infrared files of more than 8 bits are read for "auto".
        ir_range: see `fusejax.fuse`.
        quiet: show no warning that states the chosen range.

    Returns:
        The ranges.
    """
    measured = ir_range == "auto" and any(_is_flir(pair) for pair in pairs)
    ranges = choose_ranges(check_range(ir_range), _deep_images(pairs), unit="c" if measured else None)
    for line in [] if quiet else ranges.lines():
        warnings.warn(line, ImageWarning, stacklevel=3)
    return ranges


def _is_flir(pair: PairPaths) -> bool:
    """Whether the infrared file states its temperatures, which are read in degrees Celsius."""
    layout = read_camera_layout(pair.ir)
    return layout is not None and layout.kind == "FLIR"


def _deep_images(pairs: Sequence[PairPaths]) -> Iterator[Shaped[np.ndarray, "h w 1"]]:
    """The infrared images of more than 8 bits, and those of cameras."""
    deep = [pair for pair in pairs if read_camera_layout(pair.ir) or bits_per_sample(pair.ir) > 8]
    values = (read_values(pair, _READ) for pair in deep)
    if len(deep) > 1:
        values = track(values, len(deep), description="measuring infrared values", unit="images")
    yield from values


def read_sources(
    pair: PairPaths, ranges: Ranges, *, polarity: Polarity = "white", align: Aligner | None = None
) -> tuple[Float[np.ndarray, "h w 1"], Float[np.ndarray, "h w c"]]:
    """Reads a pair as the network sees it.

    Args:
        pair: the pair; infrared is resampled to the size of the visible image.
        ranges: see `find_ranges`.
        polarity: whether hot is white or black in the infrared file.
        align: the step before fusion; by default infrared is resampled. Where it says that infrared
            shows nothing, the infrared image is the luma of the visible one, as for the network.

    Returns:
        Infrared and visible image, float32 in [0, 1]; hot is bright.

    Raises:
        ValueError: if `align` refuses the pair, or a file cannot be read.
    """
    images = read_pair(pair, _READ)
    if align is not None:
        chosen = ranges.of(images.ir.dtype)
        sources = align_all(images.ir[None], images.vi[None], align, ir_range=chosen, polarity=polarity, name=pair.id)
        return sources.planes[0][0], to_float(sources.vi[0])
    height, width = images.vi.shape[:2]
    ir = as_infrared(resample(images.ir, height=height, width=width))
    return to_unit(ir, ranges.of(ir.dtype), polarity=polarity), to_float(images.vi)
