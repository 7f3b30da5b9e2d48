"""The range of infrared values that is mapped to black and white, one for all images of a call."""

import math
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from fusejax.inference.thermal import RangeOption, Ranges, choose_ranges
from fusejax.io.cameras import Degrees
from fusejax.io.image_headers import ImageWarning
from fusejax.io.pair_images import PairHeader, SourceOptions, read_values
from fusejax.io.pairing import PairPaths
from fusejax.progress import track

Item, T = TypeVar("Item"), TypeVar("T")

THREADS = 4
PIXELS_IN_FLIGHT = 2**23  # of images that are held at once; larger images are read one at a time


def find_ranges(
    headers: Mapping[PairPaths, PairHeader], ir_range: RangeOption, options: SourceOptions, *, quiet: bool = False
) -> Ranges:
    """The range of infrared values for each pixel type; "auto" measures all files together.

    Args:
        headers: all pairs, with what their headers say.
        ir_range: what the user asked for, checked.
        options: how sources are read.
        quiet: show no warning that states the chosen range.

    Returns:
        The ranges.

    Raises:
        ValueError: if temperatures meet values of unknown unit, or "full", which they have not.
    """
    unit = _unit(headers, options)
    if ir_range == "full" and unit is not None:
        raise ValueError("--ir-range full has no meaning for temperatures; give two numbers LOW HIGH, or auto.")
    with ThreadPoolExecutor(THREADS) as pool:
        ranges = choose_ranges(ir_range, _deep_images(headers, options, pool), unit=unit)
    for line in [] if quiet else ranges.lines():
        warnings.warn(line, ImageWarning, stacklevel=3)
    return ranges


def _deep_images(
    headers: Mapping[PairPaths, PairHeader], options: SourceOptions, pool: ThreadPoolExecutor
) -> Iterator[Shaped[np.ndarray, "h w 1"]]:
    """The infrared images whose values depend on a range."""
    deep = [pair for pair, header in headers.items() if header.deep]
    largest = max(math.prod(header.ir) for header in headers.values())
    ahead = min(THREADS, PIXELS_IN_FLIGHT // largest)
    images = map_ahead(pool, lambda pair: read_values(pair, options), deep, ahead=ahead)
    if len(deep) > 1:
        images = track(images, len(deep), description="measuring infrared values", unit="images")
    yield from images


def _unit(headers: Mapping[PairPaths, PairHeader], options: SourceOptions) -> Degrees | None:
    """Unit of all temperatures, if it is known before pixels are read."""
    if options.units or options.ir_unit == "counts":
        return options.units
    measured = [pair.ir for pair, header in headers.items() if header.layout and header.layout.kind == "FLIR"]
    if not measured:
        return None
    other = [pair.ir for pair, header in headers.items() if not header.layout and header.ir_bits >= 32]
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
