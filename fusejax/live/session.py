"""Fusing two live sources, frame by frame, until one of them ends or somebody stops it."""

import contextlib
import dataclasses
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

from fusejax.inference.backend import Backend
from fusejax.inference.frames import FrameFuser
from fusejax.inference.styles import styled
from fusejax.inference.temporal import initial_state, settle
from fusejax.inference.thermal import Polarity, RangeOption, check_range
from fusejax.io.align import Aligner, chosen_aligner
from fusejax.io.images import from_float
from fusejax.io.pairing import size_text
from fusejax.io.pyav import VideoError
from fusejax.io.video_writing import from_pixels
from fusejax.live.controls import Controls, Settings
from fusejax.live.pairing import Partners, Waiting
from fusejax.live.ranges import LiveRange
from fusejax.live.sources import Address, LiveFrame, Playback, Source
from fusejax.live.statistics import Statistics, Summary

if TYPE_CHECKING:
    import av

_PATIENCE = 0.05  # seconds to wait for an infrared frame that is due
_LEAD = 0.05  # seconds until files begin to play


@runtime_checkable
class Output(Protocol):
    """Takes the frames that are shown."""

    def show(self, frame: "av.VideoFrame", seconds: float) -> None:
        """Takes a frame; must return quickly.

        Args:
            frame: what is shown, in any pixel format.
            seconds: when it was taken.
        """
        ...

    def close(self) -> None:
        """Finishes."""
        ...


@dataclasses.dataclass(frozen=True)
class LiveOptions:
    """Options of a session.

    Attributes:
        resize: "ir" resamples infrared frames to the size of the visible frames.
        align: a step that may change every pair of frames, see `fusejax.inference.Aligner`.
        ir_range: see `fusejax.fuse`; for `auto`, see `LiveRange`.
        ir_polarity: see `fusejax.fuse`.
        offset: seconds to add to the times of infrared frames.
        hold: seconds for which an infrared frame is held.
        timeout: seconds without data after which a connection counts as lost.
        give_up: seconds without a pair after which the session ends with an error.
    """

    resize: Literal["ir"] | None = None
    align: Aligner | None = None
    ir_range: RangeOption = "auto"
    ir_polarity: Polarity = "white"
    offset: float = 0.0
    hold: float = 0.5
    timeout: float = 5.0
    give_up: float = 30.0


class Session:
    """Two sources, a network and its outputs."""

    def __init__(
        self,
        ir: Address,
        vi: Address,
        backend: Backend,
        *,
        outputs: Sequence[Output],
        controls: Controls | None = None,
        options: LiveOptions | None = None,
    ):
        """Stores what is needed; `run` does the work.

        Args:
            ir: infrared source.
            vi: visible source.
            backend: what fuses, see `fusejax.load`.
            outputs: takers of the frames.
            controls: settings that others may change while the session runs.
            options: see `LiveOptions`.
        """
        self.options, self.controls = options or LiveOptions(), controls or Controls(Settings())
        self.statistics, self.outputs = Statistics(), list(outputs)
        align = chosen_aligner(self.options.align, self.options.resize)
        self._any_size = align.any_size
        self._frames = FrameFuser(
            backend,
            ir_range=LiveRange(check_range(self.options.ir_range)),
            ir_polarity=self.options.ir_polarity,
            align=align,
        )
        self._partners = Partners(offset=self.options.offset, bound=self.options.hold)
        self._waiting = Waiting()
        self.ir = Source(ir, self._partners.put, timeout=self.options.timeout)
        self.vi = Source(vi, self._take, timeout=self.options.timeout)
        self._size, self._before = (0, 0), 0.0
        self._interval = 1 / 30

    def run(self) -> Summary:
        """Works until a file ends, `controls.stop` is set, or nothing comes any more.

        Returns:
            The figures of the session.

        Raises:
            ValueError: if a source cannot be used, or if no pair of frames came for `give_up`
                seconds.
            OSError: if an output cannot be written.
        """
        try:
            self._open()
            last = time.monotonic()
            while not self.controls.stop.is_set():
                frame = self._waiting.take(0.1)
                if frame is not None and self._fuse(frame):
                    last = time.monotonic()
                if self._has_ended(frame):
                    break
                if time.monotonic() - last > self.options.give_up:
                    raise VideoError(f"no pair of frames for {self.options.give_up:g} s ({self._reason()}).")
            if not self.statistics.frames and not self.controls.stop.is_set():
                offset = f"check --offset, which is {self.options.offset:g} s"
                raise VideoError(f"the sources never overlap in time ({self._reason()}); {offset}.")
            return self.statistics.summary()
        finally:
            for source in (self.ir, self.vi):
                source.stop()
            with contextlib.ExitStack() as stack:  # closes all, even if one fails
                for output in self.outputs:
                    stack.callback(output.close)

    def _open(self) -> None:
        """Waits for the first frames and compiles the network, so that no frame is late because of
        that.
        """
        sources, end = (self.ir, self.vi), time.monotonic() + self.options.give_up
        for source in sources:
            source.start()
        for source in sources:
            while not source.opened.wait(0.1):
                if self.controls.stop.is_set():
                    return
                if time.monotonic() > end:
                    raise VideoError(source.error or f"{source.address.name}: no frame for {self.options.give_up:g} s.")
            if source.opening is None:
                raise VideoError(source.error or f"{source.address.name} has no frames.")
        ir, vi = self.ir.opening, self.vi.opening
        assert ir is not None and vi is not None
        self._size = vi.frame.height, vi.frame.width
        if not self._any_size and (ir.frame.height, ir.frame.width) != self._size:
            sizes = size_text((ir.frame.height, ir.frame.width)), size_text(self._size)
            raise VideoError(
                f"{self.ir.address.name} is {sizes[0]} but {self.vi.address.name} is {sizes[1]} (width x height); "
                "register them with --register auto, or resample infrared with --resize ir."
            )
        vi_y = vi.luma()
        self._frames.warm_up(*self._size)
        settle(initial_state(*self._size), vi_y[None], vi_y[None], vi_y[None], 0.0, 0.1)
        self._waiting.clear()
        playback = Playback(time.monotonic() + _LEAD)
        for source in sources:
            source.play(playback)

    def _take(self, frame: LiveFrame) -> None:
        """Queues a visible frame; called in the thread of the source."""
        if late := self._waiting.put(frame, time.monotonic()):
            self.statistics.drop("too late", late)

    def _fuse(self, visible: LiveFrame) -> bool:
        """Fuses and shows a frame; whether it could."""
        step, self._before = visible.seconds - self._before, visible.seconds
        if 0 < step < 1:
            self._interval += 0.2 * (step - self._interval)
        ahead = min(self._interval, self._partners.interval or self._interval) / 2
        infrared = self._partners.partner(visible.seconds, ahead=ahead, patience=_PATIENCE)
        if not isinstance(infrared, LiveFrame):
            self.statistics.drop("without an infrared frame")
            return False
        picture, thermal = visible.picture, infrared.picture.infrared()
        if (picture.frame.height, picture.frame.width) != self._size or (
            not self._any_size and thermal.shape[:2] != self._size
        ):
            self.statistics.drop("of another size")
            return False
        settings = self.controls.settings
        self._frames.temporal, self._frames.strength = float(settings.temporal), float(settings.strength)
        fused = self._frames.fuse_luma(thermal, picture.luma(), visible.seconds)
        if settings.view == "infrared":
            shown = from_pixels(from_float(fused.ir, np.uint8))
        elif settings.view in ("overlay", "edges"):
            shown = from_pixels(from_float(styled(fused.ir, picture.rgb(), settings.view), np.uint8))
        else:
            shown = picture.frame if settings.view == "visible" else picture.with_luma(fused.luma)
        for output in self.outputs:
            output.show(shown, visible.seconds)
        self.statistics.show(visible.due, time.monotonic())
        return True

    def _has_ended(self, frame: LiveFrame | None) -> bool:
        """Whether a file has been played to its end."""
        if frame is not None:
            return False
        return self.vi.ended or (self.ir.ended and self.ir.frames == 0)

    def _reason(self) -> str:
        """What is wrong with the sources."""
        found = [source.error for source in (self.ir, self.vi) if source.error]
        counts = f"{self.ir.frames} infrared and {self.vi.frames} visible frames came"
        return "; ".join([*found, counts])
