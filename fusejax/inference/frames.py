"""Fusing frames one after the other: files, folders, arrays and live cameras are the same thing."""

import dataclasses
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.inference.backend import Backend, on_host
from fusejax.inference.loading import opened
from fusejax.inference.options import check_temporal
from fusejax.inference.pair_arrays import Sources, align_all
from fusejax.inference.pair_checks import check_pair, check_strength
from fusejax.inference.temporal import TemporalState, initial_state, settle
from fusejax.inference.thermal import Polarity, Range, RangeOption, Ranges, check_range, choose_ranges
from fusejax.io.align import Aligner, AsRead
from fusejax.io.image_headers import ImageWarning
from fusejax.io.images import as_infrared

Plane = Float[np.ndarray, "h w 1"]


@runtime_checkable
class FrameRange(Protocol):
    """Which infrared values of a frame map to black and white."""

    def of(self, ir: Shaped[np.ndarray, "h w 1"], seconds: float) -> Range:
        """The range for one frame.

        Args:
            ir: values of the frame.
            seconds: its time.

        Returns:
            (low, high) in the values of the frame.
        """
        ...


class FixedRange:
    """One range for all frames; for "auto", that of the first one of its data type."""

    def __init__(self, ir_range: RangeOption | Ranges = "auto"):
        """Stores the option.

        Args:
            ir_range: see `fusejax.fuse`, or ranges that are known already.
        """
        self._option: RangeOption | Ranges = ir_range if isinstance(ir_range, Ranges) else check_range(ir_range)
        self._by_type: dict[np.dtype, Range] = {}

    def of(self, ir: Shaped[np.ndarray, "h w 1"], seconds: float) -> Range:
        """See `FrameRange`.

        Args:
            ir: see `FrameRange`.
            seconds: see `FrameRange`.

        Returns:
            See `FrameRange`.
        """
        del seconds
        if isinstance(self._option, Ranges):
            return self._option.of(ir.dtype)
        if ir.dtype not in self._by_type:
            ranges = choose_ranges(self._option, [ir])
            for line in ranges.lines():
                warnings.warn(line, ImageWarning, stacklevel=4)
            self._by_type[ir.dtype] = ranges.of(ir.dtype)
        return self._by_type[ir.dtype]


class FusedFrame(NamedTuple):
    """Result of `FrameFuser.fuse_luma`.

    Attributes:
        luma: fused luma, float32 in [0, 1].
        ir: the infrared frame as the network saw it, float32 in [0, 1].
    """

    luma: Plane
    ir: Plane


class FrameFuser:
    """Fuses frames in their order and keeps what has to be kept from one to the next.

    These are the range of raw infrared values, the choice of tiles, and with `temporal` the settled
    decision of the network. The size may change, and time may jump back; the decision then starts
    anew.

    Attributes:
        temporal: time constant in seconds with which the network's decision settles where nothing
            moves, see `fusejax.inference.temporal`; 0 fuses every frame independently. It may be
            changed between frames.
        strength: 0 for the visible image, 1 for the network's result, up to 2; likewise.
    """

    def __init__(
        self,
        weights: str | Path | Backend,
        *,
        temporal: float = 0.0,
        ir_range: RangeOption | FrameRange = "auto",
        ir_polarity: Polarity = "white",
        align: Aligner | None = None,
        strength: float = 1.0,
        on_work: Callable[[str], None] | None = None,
    ):
        """Loads the weights and stores the options.

        Args:
            weights: see `fusejax.load`, or what it returns.
            temporal: see above.
            ir_range: see `fusejax.fuse`; "auto" takes the range of the first frame for all, since
                later ones are not known yet. A `FrameRange` may follow the frames instead.
            ir_polarity: see `fusejax.fuse`.
            align: see `fusejax.inference.Aligner`.
            strength: see `fusejax.fuse`; the attribute may be changed between frames.
            on_work: called with a line that says why the first frame of a size takes long.

        Raises:
            ValueError: if an option or the weights cannot be used.
        """
        check_temporal(temporal)
        self.temporal, self.strength = temporal, check_strength(strength)
        self._backend = opened(weights)
        self._polarity: Polarity = ir_polarity
        self._align: Aligner = align or AsRead()
        self._range: FrameRange = ir_range if isinstance(ir_range, FrameRange) else FixedRange(ir_range)
        self._on_work = on_work
        self._tiles: dict[tuple[int, int], int | None] = {}
        self.reset()

    def reset(self) -> None:
        """Forgets the frames so far, as at the beginning of another scene."""
        self._state: TemporalState | None = None
        self._size, self._before = (0, 0), -math.inf

    def warm_up(self, height: int, width: int) -> None:
        """Compiles what a size needs, so that its first frame is not late.

        Args:
            height: height of the visible frames in pixels.
            width: their width.
        """
        gray = np.full((1, height, width, 1), 0.5, np.float32)
        sources = Sources(gray, gray)
        self._backend.fuse_sources(sources, exact_size=True, tile=self._tile(sources))

    def _tile(self, sources: Sources) -> int | None:
        """The side of the tiles, chosen once per size."""
        if (size := sources.size) not in self._tiles:
            self._backend.check_size(size)
            self._tiles[size] = self._backend.tile_side(sources)
            line = self._backend.describe_work(sources, tile=self._tiles[size], exact_size=True)
            if self._on_work and line:
                self._on_work(line)
        return self._tiles[size]

    def fuse(self, ir: Any, vi: Any, time: float) -> Shaped[np.ndarray, "..."]:
        """Fuses one pair of frames.

        Args:
            ir: infrared frame, see `fusejax.fuse`.
            vi: visible frame, see `fusejax.fuse`.
            time: when it was taken, in seconds since any moment.

        Returns:
            Array with the shape and type of `vi`: color in, color out.

        Raises:
            ValueError: see `fusejax.fuse`.
        """
        ir, vi = on_host(ir, "ir"), on_host(vi, "vi")
        if vi.ndim == 4:
            raise ValueError(f"vi has the shape {vi.shape}, a batch; give one frame at a time, in their order.")
        check_pair(ir, vi, any_size=self._align.any_size)
        ir, color = (x if x.ndim == 3 else x[..., None] for x in (ir, vi))
        sources, fused_y = self._fuse(ir, color, time)
        image = sources.colored(fused_y, vi.dtype)[0]
        return image[..., 0] if vi.ndim == 2 else image

    def fuse_luma(self, ir: Shaped[np.ndarray, "_ _ 1"], vi_y: Plane, time: float) -> FusedFrame:
        """Fuses an infrared frame and the luma of a visible one, for callers that keep the chroma.

        Args:
            ir: values as stored, uint8, uint16 or float.
            vi_y: luma in [0, 1].
            time: see `fuse`.

        Returns:
            Fused luma and infrared.

        Raises:
            ValueError: if sizes differ, and `align` does not change that.
        """
        sources, fused_y = self._fuse(ir, vi_y, time)
        return FusedFrame(fused_y[0], sources.shown_ir()[0])

    def _fuse(self, ir: np.ndarray, vi: np.ndarray, time: float):
        chosen = self._range.of(as_infrared(ir), time)
        sources = align_all(ir[None], vi[None], self._align, ir_range=chosen, polarity=self._polarity)
        sources = dataclasses.replace(sources, strength=self.strength)
        size = sources.size
        fused_y = self._backend.fuse_sources(sources, exact_size=True, tile=self._tile(sources))
        if size != self._size or time < self._before:
            self.reset()
        if self.temporal:
            state = self._state or initial_state(*size)
            interval = time - self._before if self._state else 0.0
            self._state, settled = settle(state, *sources.planes, fused_y, interval, self.temporal)
            fused_y = np.asarray(settled)
        else:
            self._state = None
        self._size, self._before = size, time
        return sources, sources.blended(fused_y)
