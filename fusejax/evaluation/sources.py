"""The sources of scores: infrared with the values that the network saw, also for raw thermal."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fusejax.inference.folder_ranges import find_ranges
from fusejax.inference.pair_arrays import align_all
from fusejax.inference.thermal import Polarity, RangeOption, Ranges, check_range, to_unit
from fusejax.io.align import Aligner, AsRead, correction
from fusejax.io.images import as_infrared, resample, to_float
from fusejax.io.pair_finding import find_pairs
from fusejax.io.pair_images import SourceOptions, read_pair, read_pair_header
from fusejax.io.pairing import PairPaths

AS_STORED = SourceOptions()


@dataclasses.dataclass(frozen=True)
class Reading:
    """How pairs become what the network sees.

    Attributes:
        ranges: infrared values that map to black and white.
        polarity: whether hot is white or black in the infrared files.
        options: how files are read.
        align: the step before fusion; by default infrared is resampled.
    """

    ranges: Ranges = dataclasses.field(default_factory=Ranges)
    polarity: Polarity = "white"
    options: SourceOptions = AS_STORED
    align: Aligner | None = None

    def read(self, pair: PairPaths) -> tuple[Float[np.ndarray, "h w 1"], Float[np.ndarray, "h w c"]]:
        """Reads a pair as the network sees it.

        Args:
            pair: the pair. Where the step before fusion says that infrared shows nothing, the
                infrared image is the luma of the visible one, as for the network.

        Returns:
            Infrared and visible image, float32 in [0, 1]; hot is bright.

        Raises:
            ValueError: if `align` refuses the pair, or a file cannot be read.
        """
        images = read_pair(pair, self.options, correct=correction(self.align))
        if not isinstance(self.align, AsRead | None):
            given = {"ir_range": self.ranges.of(images.ir.dtype), "polarity": self.polarity, "name": pair.id}
            sources = align_all(images.ir[None], images.vi[None], self.align, **given)
            return sources.shown_ir()[0], to_float(sources.vi[0])
        height, width = images.vi.shape[:2]
        ir = as_infrared(resample(images.ir, height=height, width=width))
        return to_unit(ir, self.ranges.of(ir.dtype), polarity=self.polarity), to_float(images.vi)


def choose_reading(
    pairs: Sequence[PairPaths],
    ir_range: RangeOption,
    *,
    polarity: Polarity = "white",
    options: SourceOptions = AS_STORED,
    align: Aligner | None = None,
    quiet: bool = False,
) -> Reading:
    """Chooses one range of infrared values for each pixel type, as `fusejax fuse` does.

    Args:
        pairs: the pairs; infrared files of more than 8 bits are read for "auto".
        ir_range: see `fusejax.fuse`.
        polarity: see `Reading`.
        options: see `Reading`.
        align: see `Reading`.
        quiet: show no warning that states the chosen range.

    Returns:
        How the pairs are read.
    """
    headers = {pair: read_pair_header(pair, options) for pair in pairs}
    ranges = find_ranges(headers, check_range(ir_range), options, quiet=quiet)
    return Reading(ranges, polarity, options, align)


def choose_pairs(
    ir: str | Path,
    vi: str | Path | None,
    *,
    count: int | None,
    align: Aligner | None = None,
    options: SourceOptions = AS_STORED,
) -> list[PairPaths]:
    """Pairs of two folders, by name: `count` evenly spaced ones, or all if there are fewer.

    Args:
        ir: see `fusejax.evaluation.stress_folders`.
        vi: see there.
        count: number of pairs.
        align: the step before fusion, which may allow unequal sizes.
        options: how the sources are read.

    Raises:
        ValueError: if the folders do not match, or `count` is below 1.
    """
    found, _ = find_pairs(ir, vi, same_size=align is None or not align.any_size, sources=options)
    if count is None or count >= len(found):
        return found
    if count < 1:
        raise ValueError(f"pairs is {count}; it must be at least 1.")
    return [found[n * len(found) // count] for n in range(count)]
