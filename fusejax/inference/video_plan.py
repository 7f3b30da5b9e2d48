"""The work of one `fuse_video` call: its sources, files and range, with all checks."""

import fractions
import warnings
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import numpy as np

from fusejax.inference.frame_sources import Frame, Recording
from fusejax.inference.jobs import lossless_suffix
from fusejax.inference.thermal import Range, RangeOption, choose_ranges
from fusejax.inference.time_pairing import hold_last
from fusejax.io.frame_folder import FrameFolder
from fusejax.io.image_headers import ImageWarning
from fusejax.io.outputs import check_files, check_out
from fusejax.io.pairing import list_images, size_text
from fusejax.io.pyav import Codec, VideoError
from fusejax.io.video import VideoFile, count_frames, is_video
from fusejax.io.video_writing import SUFFIXES

_SAMPLED = 32  # number of raw thermal frames from which the range of the video is determined
_HOLD_SECONDS = 0.5
_RATE_TOLERANCE = 0.0005  # 29.97 and 30 differ by twice as much
_CODECS: dict[str, Codec] = {suffix: codec for codec, suffix in SUFFIXES.items()}

_FASTEST = 1_000_000  # frames per second


def open_sources(ir: Path, vi: Path, rate: float | None, ir_rate: float | None = None) -> tuple[Recording, Recording]:
    """Opens two video files, or two folders of frames.

    Args:
        ir: infrared source.
        vi: visible source.
        rate: frames per second, for folders.
        ir_rate: frames per second of the infrared folder, if it is another.

    Raises:
        ValueError: if they are missing, identical, of different kinds or unreadable.
    """
    if missing := [str(path) for path in (ir, vi) if not path.exists()]:
        raise VideoError(f"{' and '.join(missing)}: no such file or folder.")
    if ir.samefile(vi):
        raise VideoError(f"--ir and --vi are both {ir}; give the infrared and the visible video.")
    if ir.is_dir() != vi.is_dir():
        raise VideoError(f"{ir} and {vi}: give two videos, or two folders of frames.")
    if not ir.is_dir():
        if rate is not None or ir_rate is not None:
            named = "--rate" if rate is not None else "--ir-rate"
            raise VideoError(f"{named} is for folders of frames; videos have their own frame rate.")
        if images := [str(path) for path in (ir, vi) if not is_video(path)]:
            raise VideoError(f"{images[0]} does not have the suffix of a video; give two videos, or two images.")
        return VideoFile(ir), VideoFile(vi)
    if rate is None or not rate > 0:
        raise VideoError(f"{vi} is a folder of frames; give the number of frames per second, such as --rate 30.")
    if ir_rate is not None and not ir_rate > 0:
        raise VideoError(f"--ir-rate is {ir_rate:g}; give the number of infrared frames per second, such as 9.")
    for named, each in (("--rate", rate), ("--ir-rate", ir_rate)):
        if each is not None and each > _FASTEST:
            raise VideoError(f"{named} is {each:g}; give at most {_FASTEST:,} frames per second.")
    exact = [fractions.Fraction(each).limit_denominator(1001) for each in (ir_rate or rate, rate)]
    return FrameFolder(ir, exact[0]), FrameFolder(vi, exact[1])


def differ_in_rate(ir: Recording, vi: Recording) -> bool:
    """Whether two videos have different frame rates."""
    return abs(ir.rate / vi.rate - 1) > _RATE_TOLERANCE


def check_fit(ir: Recording, vi: Recording, *, any_size: bool, by_time: bool = False) -> None:
    """Checks whether two videos can be fused.

    Args:
        ir: infrared video.
        vi: visible video.
        any_size: whether sizes may differ.
        by_time: whether frames are paired by their time stamps alone, see `pair_by_time`.

    Raises:
        VideoError: if sizes, names of frames, or lengths differ.
    """
    if isinstance(ir, FrameFolder) and isinstance(vi, FrameFolder) and not by_time:
        stems = [{file.stem for file in source.files} for source in (ir, vi)]
        for alone, source in ((stems[0] - stems[1], ir), (stems[1] - stems[0], vi)):
            if alone:
                raise VideoError(f"{len(alone)} frames are only in {source.path}, such as {min(alone)}.")
    if ir.size != vi.size and not any_size:
        raise VideoError(
            f"{ir.path} is {size_text(ir.size)} but {vi.path} is {size_text(vi.size)} (width x height); "
            "register them with --register auto, or resample infrared with --resize ir."
        )
    if not by_time and ir.count != vi.count:
        counts = count_frames(ir), count_frames(vi)
        if counts[0] != counts[1]:
            raise VideoError(
                f"{ir.path} has {counts[0]} frames but {vi.path} has {counts[1]}; cut both to the same time span."
            )


def pair_frames(ir: Recording, vi: Recording) -> Iterator[tuple[Frame, Frame]]:
    """Pairs frames by their time since the first frame.

    Raises:
        VideoError: if the times of a pair differ by more than half an interval, or if one video
            ends first.
    """
    most = 0.5 / float(vi.rate)
    for number, (left, right) in enumerate(zip_longest(ir, vi)):
        if left is None or right is None:
            raise VideoError(f"{(ir if left is None else vi).path} ends after {number} frames, but the other does not.")
        if abs(left.seconds - right.seconds) > most:
            raise VideoError(
                f"frame {number} is at {left.seconds:.3f} s in {ir.path} but at {right.seconds:.3f} s in {vi.path}; "
                "one of them has missing frames. Convert both to a constant frame rate first."
            )
        yield left, right


def pair_by_time(ir: Recording, vi: Recording, offset: float) -> Iterator[tuple[Frame | None, Frame]]:
    """Pairs every visible frame with the latest infrared frame, which is held for at least half a
    second.

    Args:
        ir: infrared video.
        vi: visible video.
        offset: seconds to add to the times of infrared frames.

    Yields:
        The infrared frame, or None if there is none at that time, and the visible frame.

    Raises:
        VideoError: if there is none for any visible frame.
    """
    found = False
    ahead = 0.5 / float(max(ir.rate, vi.rate))
    for pair in hold_last(ir, vi, offset=offset, bound=max(_HOLD_SECONDS, 1.5 / float(ir.rate)), ahead=ahead):
        found = found or pair[0] is not None
        yield pair
    if not found:
        raise VideoError(
            f"{ir.path} and {vi.path} never overlap in time with an offset of {offset:g} s; give another --offset."
        )


def find_targets(
    ir: Path, vi: Path, out: Path, *, codec: Codec | None, preview: bool, overwrite: bool
) -> tuple[Path, Path | None, Codec | None]:
    """Determines the file (or folder of frames) to write, the preview file and the codec.

    Raises:
        ValueError: if a source would be overwritten, or if suffix and codec do not match.
        FileExistsError: if something already exists and `overwrite` is not set.
    """
    suffix = out.suffix.lower()
    named = (is_video(out) or suffix in _CODECS) and not out.is_dir()
    if named and suffix not in _CODECS:
        raise VideoError(f"--out {out}: {suffix} is not supported; use .mkv (ffv1), .mp4 (h264), or name a folder.")
    codec = codec or (_CODECS[suffix] if named else None if vi.is_dir() else "ffv1")
    if named and codec is not None and suffix != SUFFIXES[codec]:
        raise VideoError(f"--out {out}: {codec} needs the suffix {SUFFIXES[codec]}.")
    stem = out.stem if named else vi.stem
    folder = out.parent if named else out
    target = folder if codec is None else folder / f"{stem}{SUFFIXES[codec]}"
    shown = folder / f"{stem}_preview.mp4" if preview else None
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--out {folder} is a file; name a folder, or a file that ends in .mkv or .mp4.")
    if codec is None and target.is_dir() and (target.samefile(ir) or target.samefile(vi)):
        raise VideoError(f"--out: {target} is one of the sources, which are never overwritten; choose another --out.")
    check_out(folder)
    files = [target / frame_name(f) for f in list_images(vi).values()] if codec is None else [target]
    sources = [path for source in (ir, vi) for path in (list_images(source).values() if source.is_dir() else [source])]
    existing = check_files([*files, *([shown] if shown else [])], sources=sources)
    if existing and not overwrite:
        raise FileExistsError(f"{existing[0]} already exists; replace it with --overwrite, or choose another --out.")
    return target, shown, codec


def frame_name(visible: Path) -> str:
    """Name of a fused frame: that of the visible frame, in a lossless format."""
    return f"{visible.stem}{lossless_suffix(visible)}"


def find_range(ir: Recording, ir_range: RangeOption) -> Range:
    """One range for all frames; for `auto`, from frames spread over the whole video."""
    dtype = next(iter(ir.sample(1))).infrared().dtype
    frames = ir.sample(_SAMPLED) if dtype != np.uint8 else ()
    ranges = choose_ranges(ir_range, (frame.infrared() for frame in frames))
    for line in ranges.lines():
        warnings.warn(line, ImageWarning, stacklevel=3)
    return ranges.of(dtype)
