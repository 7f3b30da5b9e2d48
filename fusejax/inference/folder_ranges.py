"""The range of infrared values that is mapped to black and white, one for all images of a call."""

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from fusejax.inference.jobs import Jobs
from fusejax.inference.options import FolderOptions, SourceOptions
from fusejax.inference.pair_sources import read_values
from fusejax.inference.thermal import Ranges, choose_ranges
from fusejax.io.cameras import Degrees
from fusejax.io.image_headers import ImageWarning, bits_per_sample
from fusejax.progress import track

Item, T = TypeVar("Item"), TypeVar("T")


def find_ranges(jobs: Jobs, options: FolderOptions, *, threads: int, pixels: int) -> Ranges:
    """The range of infrared values for each pixel type; "auto" measures all files together.

    Args:
        jobs: all pairs of the call.
        options: those of the call.
        threads: number of images that are read at once.
        pixels: most pixels that are held at once.

    Raises:
        ValueError: if temperatures meet values of unknown unit, or "full", which they have not.
    """
    unit = _unit(jobs, options)
    if options.ir_range == "full" and unit is not None:
        raise ValueError("--ir-range full has no meaning for temperatures; give two numbers LOW HIGH, or auto.")
    with ThreadPoolExecutor(threads) as pool:
        images = _deep_images(jobs, options, pool, threads=threads, pixels=pixels)
        ranges = choose_ranges(options.ir_range, images, unit=unit)
    for line in ranges.lines():
        warnings.warn(line, ImageWarning, stacklevel=3)
    return ranges


def _deep_images(
    jobs: Jobs, options: SourceOptions, pool: ThreadPoolExecutor, *, threads: int, pixels: int
) -> Iterator[Shaped[np.ndarray, "h w 1"]]:
    """The infrared images of more than 8 bits, and those of cameras."""
    deep = [job.pair for job in jobs.every if job.layout or bits_per_sample(job.pair.ir) > 8]
    largest = max(math.prod(job.size) for job in jobs.every)
    ahead = min(threads, pixels // largest)
    images = map_ahead(pool, lambda pair: read_values(pair, options), deep, ahead=ahead)
    if len(deep) > 1:
        images = track(images, len(deep), description="measuring infrared values", unit="images")
    yield from images


def _unit(jobs: Jobs, options: SourceOptions) -> Degrees | None:
    """Unit of all temperatures, if it is known before pixels are read."""
    if options.units or options.ir_unit == "counts":
        return options.units
    measured = [job.pair.ir for job in jobs.every if job.layout and job.layout.kind == "FLIR"]
    if not measured:
        return None
    other = [j.pair.ir for j in jobs.every if not j.layout and bits_per_sample(j.pair.ir) >= 32]
    if other:
        raise ValueError(
            f"{measured[0]} holds temperatures and {other[0]} holds floats, which may be in another unit; give "
            "--units, to which all are converted."
        )
    return "c"


def map_ahead(
    pool: ThreadPoolExecutor, function: Callable[[Item], T], items: Sequence[Item], *, ahead: int
) -> Iterator[T]:
    """Yields results in order while the next few are computed in the background."""
    waiting = deque(pool.submit(function, item) for item in items[:ahead])
    for n in range(len(items)):
        if n + ahead < len(items):
            waiting.append(pool.submit(function, items[n + ahead]))
        yield waiting.popleft().result()
