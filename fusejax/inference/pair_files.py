"""The files of one pair: reading the sources, writing the result, warning about odd sources."""

import dataclasses
import sys
import time
from pathlib import Path

import jax
import numpy as np

from fusejax.inference.backend import Backend
from fusejax.inference.beside import files_beside
from fusejax.inference.isotherm import mark_above
from fusejax.inference.jobs import Job
from fusejax.inference.options import FolderOptions
from fusejax.inference.pair_arrays import Fused, Sources, align_all, finish
from fusejax.inference.pair_checks import integer_type
from fusejax.inference.styles import with_color_bar
from fusejax.inference.thermal import Range, Ranges
from fusejax.inference.tiles import OnTile
from fusejax.io.align import Aligner, AlignError, correction
from fusejax.io.cameras import Camera, CameraError, Unit
from fusejax.io.cameras.units import SYMBOLS
from fusejax.io.image_headers import ImageError
from fusejax.io.images import as_infrared, to_float, write_image
from fusejax.io.metadata import Metadata, ThermalFacts, read_metadata
from fusejax.io.pair_images import read_pair
from fusejax.io.pairing import PairPaths, size_text
from fusejax.io.panels import labeled_row
from fusejax.io.temperatures import write_temperatures
from fusejax.ops.color import rgb_to_luma

# Infrared counts as color from this mean difference between the color channels, as a fraction of
# the range.
_COLORED = 0.02
_SECONDS_BETWEEN_LINES = 10.0


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the pairs of one `fuse_folder` call have in common.

    Attributes:
        out: folder for the fused images.
        options: those of the call.
        align: the step between reading and fusing.
        ranges: infrared values that map to black and white.
    """

    out: Path
    options: FolderOptions
    align: Aligner
    ranges: Ranges


class PairTask:
    """One pair that is read, fused and written; the three steps may run in different threads.

    Each step releases what is no longer needed, so large images are held in memory only once.

    Attributes:
        job: the job to do.
        problem: why the pair could not be read, if it may be skipped.
        advice: a warning about unusual sources.
        empty: a line about areas of the infrared image without content, where there are some.
    """

    def __init__(self, job: Job, settings: Settings, backend: Backend):
        self.job, self.problem, self.advice, self.empty = job, None, None, None
        self._settings, self._options, self._backend = settings, settings.options, backend
        self._sources: Sources | None = None
        self._tile: int | None = None
        self._fused_y, self._maps = None, {}
        self._kept: Metadata | None = None
        self._unit: Unit | None = None
        self._camera: Camera | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result, which the step before fusion may have changed."""
        return self.job.size if self._sources is None else self._sources.size

    def read(self) -> "PairTask":
        """Reads the pixels, aligns the pair, and converts it to floats."""
        pair = self.job.pair
        try:
            images = read_pair(pair, self._options, correct=correction(self._settings.align))
            self._kept = read_metadata(pair.vi) if self._options.metadata else None
        except (ImageError, CameraError, OSError) as error:
            if not self._options.skip_bad:
                raise
            self.problem = str(error)
            return self
        self.advice = images.note or _advice(pair, images.ir, images.vi)
        self._unit, self._camera = images.unit, images.camera
        step = {"ir_range": self._settings.ranges.of(images.ir.dtype), "polarity": self._options.ir_polarity}
        step["strength"] = self._options.strength
        try:
            sources = align_all(images.ir[None], images.vi[None], self._settings.align, name=pair.id, **step)
        except AlignError as error:
            if not self._options.skip_bad:
                raise
            self.problem = str(error)
            return self
        kept = [mask < 0.5 for mask in (sources.mask, sources.share) if mask is not None]
        if kept and (share := float(np.logical_or.reduce(kept).mean())) > 0:
            self.empty = f"{pair.ir} shows nothing in {share:.1%} of its area; the visible image is kept there."
        self._sources = dataclasses.replace(sources, ir=as_infrared(sources.ir[0])[None])
        self._tile = None if self._options.maps else self._backend.tile_side(self._sources)
        if self._tile is None:
            self._sources.planes  # noqa: B018 - caches them, while the network works on another pair
        return self

    def describe_work(self, *, exact_size: bool) -> str | None:
        """See `Backend.describe_work`; None for styles that use no network."""
        assert self._sources is not None
        if self._options.style != "fused":
            return None
        return self._backend.describe_work(self._sources, tile=self._tile, exact_size=exact_size)

    def fuse(self, *, exact_size: bool) -> None:
        """Runs the network.

        Raises:
            ValueError: if memory runs out; the message names the image.
        """
        assert self._sources is not None
        try:
            if self._options.style != "fused":
                self._fused_y = self._sources.planes[1]
            elif self._options.maps:
                self._fused_y, self._maps = self._backend.fuse_with_maps(self._sources)
            else:
                self._fused_y = self._backend.fuse_sources(
                    self._sources, exact_size=exact_size, tile=self._tile, on_tile=_progress_printer()
                )
        except (MemoryError, jax.errors.JaxRuntimeError) as error:
            if isinstance(error, jax.errors.JaxRuntimeError) and "memory" not in str(error).lower():
                raise
            raise ValueError(
                f"{self.job.pair.vi}: {size_text(self.job.size)} pixels need more memory than is available; "
                "set a limit with --memory, fuse the pair at a smaller size, or use a machine with more memory."
            ) from error

    def write(self) -> list[str]:
        """Writes all files of the pair, the fused image last: if it exists, so do the others.

        Returns:
            What of the visible file's metadata could not be kept.
        """
        options, sources, fused_y = self._options, self._sources, self._fused_y
        assert sources is not None
        assert fused_y is not None
        dtype = integer_type(options.bits) or sources.vi.dtype
        images, fused_y = finish(sources, fused_y, stretch=options.stretch, dtype=dtype, style=options.style)
        fused = Fused(images[0], fused_y[0], {name: values[0] for name, values in self._maps.items()}, sources)
        self._sources = self._fused_y = None
        self._maps = {}
        if options.beside:
            _write_beside(self.job, fused, self._settings, self._unit)
        image, values, chosen = images[0], sources.ir[0], sources.ir_range
        del sources, fused, fused_y, images
        if options.above is not None:
            image = mark_above(image, values, options.above)
        if options.color_bar:
            image = _explained(image, chosen, options, self._unit, self.job)
        metadata = self._metadata(image, chosen)
        if options.temperature:
            (path,) = files_beside(self.job.name, self._settings.out, "temperature")
            assert self._unit is not None
            if not (options.skip_existing and path.exists()):
                write_temperatures(path, values, self._unit, metadata)
        return write_image(self.job.target, image, quality=options.quality, metadata=metadata)

    def _metadata(self, image: np.ndarray, chosen: Range) -> Metadata | None:
        """Metadata of the visible file, with what is known about the thermal camera; None if there
        is neither.
        """
        if self._kept is None or (self._kept == Metadata() and self._camera is None and self._unit is None):
            return None
        camera, unit = self._camera or Camera(), self._unit
        facts = ThermalFacts(
            file=self.job.pair.ir.name,
            make=camera.make,
            model=camera.model,
            serial=camera.serial,
            unit=SYMBOLS[unit] if unit else "",
            low=chosen[0],
            high=chosen[1],
            emissivity=camera.emissivity,
        )
        return self._kept.for_picture((image.shape[0], image.shape[1]), image.shape[-1], facts)


def _explained(image: np.ndarray, chosen: Range, options: FolderOptions, unit: Unit | None, job: Job) -> np.ndarray:
    """The overlay with a color bar; with black for hot, the brightest color is the lowest value."""
    low, high = reversed(chosen) if options.ir_polarity == "black" else chosen
    symbol = SYMBOLS[unit] if unit in ("c", "k", "f") else ""
    try:
        return with_color_bar(image, low, high, unit=symbol)
    except ValueError as error:
        raise ValueError(f"{job.pair.vi}: {error}") from error


def _progress_printer() -> OnTile:
    """Prints the progress of the tiles every ten seconds."""
    last = time.perf_counter()

    def on_tile(number: int, done: int, tiles: int) -> None:
        nonlocal last
        if (now := time.perf_counter()) - last > _SECONDS_BETWEEN_LINES:
            last = now
            print(f"pass {number}: {done} of {tiles} tiles", file=sys.stderr, flush=True)

    return on_tile


def _write_beside(job: Job, fused: Fused, settings: Settings, unit: Unit | None) -> None:
    """Writes infrared as the network saw it, the panel and the maps, as requested."""
    vi = fused.sources.vi[0]
    for kind in settings.options.beside:
        path, *more = files_beside(job.name, settings.out, kind)
        if settings.options.skip_existing and all(file.exists() for file in (path, *more)):
            continue
        if kind == "ir":
            dtype = np.uint16 if job.header.ir_bits > 8 else np.uint8
            write_image(path, fused.sources.infrared(dtype)[0])
        elif kind == "panels":
            write_image(path, _panel(vi, fused, unit))
        elif kind == "maps":
            from fusejax.io.maps import write_maps  # Matplotlib is slow to import

            path.parent.mkdir(parents=True, exist_ok=True)
            images = {"ir": fused.ir, "vi": to_float(vi), "fused": to_float(fused.image)}
            write_maps(path.parent, path.stem, fused.maps, **images)


def _caption(sources: Sources, unit: Unit | None) -> str:
    """Names the temperatures that are black and white, if they are known."""
    if unit not in ("c", "k", "f"):
        return "infrared"
    low, high = sources.ir_range
    return f"infrared, {low:.4g} to {high:.4g} {SYMBOLS[unit]}"


def _panel(vi: np.ndarray, fused: Fused, unit: Unit | None) -> np.ndarray:
    color = to_float(fused.image)
    images = {_caption(fused.sources, unit): fused.ir, "visible": to_float(vi)}
    if color.shape[-1] == 1:
        return labeled_row(images | {"fused": color})
    return labeled_row(images | {"fused": rgb_to_luma(color), "fused in color": color})


def _advice(pair: PairPaths, ir: np.ndarray, vi: np.ndarray) -> str | None:
    """A warning if the sources look swapped or infrared is in false color; checks every 8th
    pixel.
    """
    if not _is_colored(ir):
        return None
    if _is_colored(vi):
        return f"{pair.ir} is in color; its luma is used, which is not temperature if the colors are a palette."
    return f"{pair.ir} is in color and {pair.vi} is gray; are --ir and --vi swapped?"


def _is_colored(pixels: np.ndarray) -> bool:
    if pixels.shape[-1] == 1 or np.issubdtype(pixels.dtype, np.floating):
        return False
    return bool(np.ptp(to_float(pixels[::8, ::8]), axis=-1).mean() > _COLORED)
