"""Fusing videos and sequences of frames, one frame after the other, in bounded memory."""

import dataclasses
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fusejax.inference.backend import Backend
from fusejax.inference.frame_sources import Frame
from fusejax.inference.frames import FixedRange, FrameFuser, FusedFrame
from fusejax.inference.loading import opened
from fusejax.inference.options import VideoOptions, memory_limit
from fusejax.inference.thermal import Ranges
from fusejax.inference.time_pairing import find_offset
from fusejax.inference.video_plan import (
    check_fit,
    differ_in_rate,
    find_range,
    find_targets,
    frame_name,
    open_sources,
    pair_by_time,
    pair_frames,
)
from fusejax.io.align import Aligner, chosen_aligner
from fusejax.io.image_headers import ImageWarning
from fusejax.io.images import write_image
from fusejax.io.panels import labeled_row
from fusejax.io.video_writing import VideoWriter, from_pixels
from fusejax.ops.color import recolor
from fusejax.progress import track


@dataclasses.dataclass(frozen=True)
class FusedVideo:
    """Result of `fuse_video`.

    Attributes:
        written: path of the video, or of the folder of frames.
        preview: path of the video of infrared, visible and fused side by side, if requested.
        frames: number of frames.
        left_out: number of visible frames without an infrared frame at their time, which are not in
            the result; 0 unless the videos differ in rate or an offset was given.
        offset: seconds added to the times of infrared frames.
        audio: a phrase that says what happened to the visible video's audio; None if it has none.
    """

    written: Path
    preview: Path | None
    frames: int
    audio: str | None
    left_out: int = 0
    offset: float = 0.0


def fuse_video(
    ir: str | Path,
    vi: str | Path,
    out: str | Path,
    *,
    weights: str | Path | Backend = "light",
    options: VideoOptions | None = None,
    align: Aligner | None = None,
    **changes: Any,
) -> FusedVideo:
    """Fuses two videos, or two folders of frames.

    The result has the visible video's frame rate, time stamps, size, pixel format and hue; its
    first audio stream is copied if the container supports it. Videos with rotation metadata, such
    as those from phones, are rotated before they are paired, and the result is upright. Files are
    either complete or absent, so after an interrupt, the same call starts over. Progress is
    reported on standard error.

    Args:
        ir: infrared video, or folder of frames in the order of their names.
        vi: visible video, or folder of frames with the same stems.
        out: folder, or a file with suffix .mkv or .mp4. In a folder, the result has the name of the
            visible video or, for folders without `codec`, images have the names of the visible
            frames.
        weights: see `fusejax.load`, or what it returns.
        options: see `VideoOptions`; by default its defaults. One infrared range holds for all
            frames and is determined from frames over the whole video.
        align: a step that may change every pair of frames, see `fusejax.inference.Aligner`.
        **changes: single `VideoOptions` instead of those of `options`, such as `temporal=0.5`.

    Returns:
        The files that were written.

    Raises:
        ValueError: if sources are missing or broken, or differ in size, frame rate or length.
        OSError: if files already exist or cannot be written.
    """
    ir, vi, out = Path(ir), Path(vi), Path(out)
    options = dataclasses.replace(options or VideoOptions(), **changes)
    offset = options.offset
    align = chosen_aligner(align, options.resize)
    sources = open_sources(ir, vi, options.rate, options.ir_rate)
    by_time = offset != 0 or differ_in_rate(*sources)
    check_fit(*sources, any_size=align.any_size, by_time=by_time)
    target, shown, codec = find_targets(
        ir, vi, out, codec=options.codec, preview=options.preview, overwrite=options.overwrite
    )
    chosen = FixedRange(Ranges(given=find_range(sources[0], options.ir_range)))
    backend = opened(weights, tile=options.tile, memory=memory_limit(options.memory))
    backend.check_size(sources[1].size)
    moved = find_offset(*sources) if isinstance(offset, str) else offset
    if by_time and options.ir_rate is None and differ_in_rate(*sources):
        text = " but ".join(f"{each.path} has {float(each.rate):g} frames per second" for each in sources)
        warnings.warn(f"{text}; every visible frame gets the latest infrared frame.", ImageWarning, stacklevel=2)
    pairs = pair_by_time(*sources, moved) if by_time else pair_frames(*sources)
    fuser = FrameFuser(
        backend,
        temporal=options.temporal,
        ir_range=chosen,
        ir_polarity=options.ir_polarity,
        align=align,
        strength=options.strength,
        on_work=_say,
    )
    number, left_out, visible = 0, 0, sources[1]
    with ExitStack() as stack:
        writer = side = None
        if codec is not None:
            writer = stack.enter_context(VideoWriter(target, codec=codec, rate=visible.rate, like=visible.file))
        if shown is not None:
            side = stack.enter_context(VideoWriter(shown, codec="h264", rate=visible.rate, aspect=visible.aspect))
        fused = track(fuse_frames(pairs, fuser), visible.count, description="fusing", unit="frames")
        for index, (frame, result) in enumerate(fused):
            if result is None:
                left_out += 1
                continue
            if side is not None:
                side.write(_side_by_side(frame, result), index=index)
            image = frame.with_luma(result.luma)
            if writer is not None:
                writer.write(image, index=index)
            else:  # frames of a folder
                write_image(target / frame_name(frame.path), image)  # pyright: ignore[reportAttributeAccessIssue] - an ImageFrame
            number += 1
    return FusedVideo(target, shown, number, writer.audio if writer else None, left_out, moved)


def fuse_frames(
    pairs: Iterable[tuple[Frame | None, Frame]], fuser: FrameFuser
) -> Iterator[tuple[Frame, FusedFrame | None]]:
    """Fuses pairs of frames in their order.

    Args:
        pairs: infrared and visible frames, such as `zip` of two `fusejax.io.ArrayFrames`; an
            infrared frame may be missing.
        fuser: fuses them; one for every pair of sources.

    Yields:
        Every visible frame with the result; None without an infrared frame.
    """
    for infrared, visible in pairs:
        if infrared is None:
            yield visible, None
        else:
            yield visible, fuser.fuse_luma(infrared.infrared(), visible.luma(), visible.seconds)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _side_by_side(visible: Frame, result: FusedFrame) -> Any:
    """A frame of infrared | visible | fused, cropped to even sides, as required by H.264."""
    color = visible.rgb()
    row = labeled_row({"infrared": result.ir, "visible": color, "fused": recolor(result.luma, color)})
    frame = from_pixels(row[: row.shape[0] // 2 * 2, : row.shape[1] // 2 * 2])
    if visible.stamp is not None:
        frame.pts, frame.time_base = visible.stamp
    return frame
