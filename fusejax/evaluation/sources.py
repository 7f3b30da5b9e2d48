"""The sources of scores: infrared with the values that the network saw, also for raw thermal."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from fusejax.inference import folder_ranges
from fusejax.inference.align import Aligner
from fusejax.inference.options import SourceOptions
from fusejax.inference.pair_arrays import align_all
from fusejax.inference.pair_sources import read_pair, read_pair_header
from fusejax.inference.thermal import Polarity, RangeOption, Ranges, check_range, to_unit
from fusejax.io.images import as_infrared, resample, to_float
from fusejax.io.pairing import PairPaths

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
    headers = {pair: read_pair_header(pair, _READ) for pair in pairs}
    return folder_ranges.find_ranges(headers, check_range(ir_range), _READ, quiet=quiet)


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
        return sources.shown_ir()[0], to_float(sources.vi[0])
    height, width = images.vi.shape[:2]
    ir = as_infrared(resample(images.ir, height=height, width=width))
    return to_unit(ir, ranges.of(ir.dtype), polarity=polarity), to_float(images.vi)
