"""Video files, read one frame at a time.

They need PyAV (`video` extra). Luma is taken from the file's own luma plane and written back
to it, so that chroma, pixel format and time stamps of a fused video are those of the visible video.
"""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.io.frame_folder import FrameFolder, Plane
from fusejax.io.images import as_infrared, from_float, to_float
from fusejax.io.pixel_formats import has_luma_plane, plain
from fusejax.io.pyav import VideoError, import_av, open_file
from fusejax.io.video_orientation import turn_of, upright
from fusejax.io.video_times import Clock, survey
from fusejax.ops.color import recolor, rescale_chroma, rgb_to_luma

if TYPE_CHECKING:
    import av

VIDEO_SUFFIXES = (
    ".mp4", ".mkv", ".mov", ".avi", ".m4v", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".y4m", ".mts", ".m2ts",
    ".m2v", ".3gp", ".3g2", ".ogv", ".ogg", ".mxf", ".vob", ".asf", ".f4v", ".mjpeg", ".mjpg", ".nut", ".h264", ".264",
    ".h265", ".265", ".hevc", ".ivf",
)  # fmt: skip


def is_video(path: Path) -> bool:
    """Whether a path has the suffix of a video file."""
    return path.suffix.lower() in VIDEO_SUFFIXES


class DecodedFrame:
    """One frame of a video file."""

    def __init__(self, frame: "av.VideoFrame", seconds: float):
        """Stores the decoded frame and its time in seconds since the first frame.

        Raises:
            VideoError: if the pixel format cannot be converted to luma or RGB.
        """
        self.frame, self.seconds = plain(frame), seconds
        self._planar = has_luma_plane(self.frame.format.name)
        self._depth = self.frame.format.components[0].bits

    @property
    def stamp(self) -> tuple[Any, Any]:
        """Time stamp and its unit, for a frame that is shown at the same moment."""
        return self.frame.pts, self.frame.time_base

    @property
    def kind(self) -> str:
        """Size and depth, which are the same for all frames of a video."""
        return f"{self.frame.width}x{self.frame.height}, {8 if self._depth == 8 else 16} bits"

    def infrared(self) -> Shaped[np.ndarray, "h w 1"]:
        """Gray values of more than 8 bits as stored; anything else as full-range uint8 or
        uint16.
        """
        if self._planar and self.frame.format.name.startswith("gray") and self._depth > 8:
            return self._luma_plane()[..., None]
        if self._planar:
            return from_float(self.luma(), np.uint8 if self._depth == 8 else np.uint16)
        return as_infrared(self._rgb_pixels())

    def luma(self) -> Plane:
        """Luma in [0, 1]: from the luma plane according to its range, or BT.601 luma for RGB."""
        if not self._planar:
            return rgb_to_luma(to_float(self._rgb_pixels()))
        low, high = self._limits()
        unit = (self._luma_plane().astype(np.float32) - low) / (high - low)
        return np.clip(unit, 0, 1)[..., None]

    def with_luma(self, fused_y: Plane) -> "av.VideoFrame":
        """A frame with the same format, time and hue but different luma, see `recolor`.

        This frame must not be used afterwards, because its memory holds the result.
        """
        if not self._planar:
            pixels = self._rgb_pixels()
            rgb = from_float(recolor(fused_y, to_float(pixels)), pixels.dtype)
            out = import_av().VideoFrame.from_ndarray(rgb, format=self.frame.format.name)
        else:
            out = self.frame
            out.make_writable()  # copies it if the decoder still uses it
            rows = np.frombuffer(bytes(out.planes[0]), self._dtype()).reshape(out.planes[0].height, -1).copy()
            low, high = self._limits()
            vi_y = self.luma()
            rows[:, : out.width] = np.round(low + fused_y[..., 0] * (high - low))
            out.planes[0].update(rows.tobytes())
            self._rescale_chroma(out, fused_y[..., 0], vi_y[..., 0])
        out.pts, out.time_base = self.frame.pts, self.frame.time_base
        return out

    def _rescale_chroma(self, out: "av.VideoFrame", fused_y: np.ndarray, vi_y: np.ndarray) -> None:
        """Scales the chroma planes with the luma; alpha stays."""
        if len(out.format.components) < 3:
            return
        together = out.format.name.startswith("nv")  # Cb and Cr alternate in one plane
        planes = [out.planes[1]] if together else [out.planes[1], out.planes[2]]
        stored = [np.frombuffer(bytes(p), self._dtype()).reshape(p.height, -1).copy() for p in planes]
        width = out.format.chroma_width(out.width)
        cb, cr = [stored[0][:, n : 2 * width : 2] for n in range(2)] if together else [x[:, :width] for x in stored]
        low, high = self._limits()
        center = 2 ** (self._depth - 1)
        span = (high - low) * (1 if low == 0 else 224 / 219)
        unit_cb, unit_cr = ((np.float32(x) - center) / np.float32(span) for x in (cb, cr))
        scaled = rescale_chroma(unit_cb, unit_cr, fused_y, vi_y)
        for plane, values in zip((cb, cr), scaled, strict=True):
            plane[:] = np.clip(np.round(center + values * span), 0, 2**self._depth - 1)
        for plane, rows in zip(planes, stored, strict=True):
            plane.update(rows.tobytes())

    def rgb(self) -> Float[np.ndarray, "h w 3"]:
        """RGB for display, in [0, 1]."""
        return to_float(self.frame.to_ndarray(format="rgb24"))

    def _dtype(self) -> np.dtype:
        return np.dtype(np.uint8 if self._depth == 8 else np.uint16)

    def _luma_plane(self) -> Shaped[np.ndarray, "h w"]:
        plane = self.frame.planes[0]
        return np.frombuffer(memoryview(plane), self._dtype()).reshape(plane.height, -1)[:, : plane.width]

    def _limits(self) -> tuple[float, float]:
        """Values of black and white; if not marked, gray and yuvj have full range, others limited
        range.
        """
        name, scale = self.frame.format.name, 2 ** (self._depth - 8)
        marked = int(self.frame.color_range)  # 1: limited, 2: full
        if marked == 2 or (marked == 0 and name.startswith(("gray", "yuvj"))):
            return 0.0, 256.0 * scale - 1
        return 16.0 * scale, 235.0 * scale

    def _rgb_pixels(self) -> Shaped[np.ndarray, "h w 3"]:
        return self.frame.to_ndarray()


class VideoFile:
    """A video file; its frames are rotated according to its metadata.

    Attributes:
        path: path of the file.
        count: number of frames by the container's account, which some codecs' hidden pictures
            increase; see `count_frames`.
        rate: frames per second.
        size: height and width of the upright frames.
        aspect: width of a pixel divided by its height, if the file states it.
        field_order: FFmpeg's number for progressive or interlaced frames; 0 if unknown.
    """

    def __init__(self, path: Path):
        """Reads the headers, the packets and the first frame.

        Raises:
            VideoError: if PyAV is missing, or if the file is missing, broken or has no video.
        """
        self.path = path
        with self._opened() as (container, stream):
            found = survey(path, container, stream)
        with self._opened() as (container, stream):
            first = next(iter(container.decode(stream)), None)
            if first is None:
                raise VideoError(f"{path} has no frames; copy or export it again.")
            turned = turn_of(path, first)[0] == 0
            aspect, self.field_order = stream.sample_aspect_ratio, 0 if turned else stream.codec_context.field_order
            first = next(upright(path, [first]))
        self.rate, self.count, self._timed = found.rate, found.count, found.timed
        self.size, self.aspect = (first.height, first.width), 1 / aspect if turned and aspect else aspect

    @property
    def file(self) -> "VideoFile":
        """The file, whose sound, field order and pixel aspect a fused video keeps."""
        return self

    def __iter__(self) -> Iterator[DecodedFrame]:
        number, kind, clock = 0, None, Clock(self.rate, timed=self._timed)
        damage = import_av().error.FFmpegError
        with self._opened() as (container, stream):
            stream.thread_type = "AUTO"
            try:
                for frame in upright(self.path, container.decode(stream)):
                    decoded = self._decoded(frame, clock.place(frame))
                    kind = kind or decoded.kind
                    if decoded.kind != kind:
                        raise VideoError(
                            f"{self.path} changes its size at frame {number}, from {kind} to {decoded.kind}; cut it "
                            "there, and fuse the parts one by one."
                        )
                    yield decoded
                    number += 1
            except damage as error:
                raise VideoError(f"{self.path} is damaged after frame {number} ({error.strerror}).") from error

    def sample(self, number: int) -> Iterator[DecodedFrame]:
        """Yields frames spread evenly over the video, beginning with the first one."""
        indices = np.unique(np.linspace(0, self.count - 1, number).astype(int)).tolist()
        if self.count > 2 * number and self._timed:
            found = 0
            for frame in self._sought(indices):
                yield frame
                found += 1
            indices = indices[found:]  # seeking is unreliable in this file
        wanted = iter(indices)
        after = next(wanted, None)
        for k, frame in enumerate(self if indices else ()):
            if k == after:
                yield frame
                after = next(wanted, None)

    def _sought(self, indices: list[int]) -> Iterator[DecodedFrame]:
        """Seeks to each frame; ends at the first one that it misses."""
        with self._opened() as (container, stream):
            start = next(iter(container.decode(stream))).time or 0.0
            for k in indices:
                seconds = float(k / self.rate)
                container.seek(int((start + seconds) / stream.time_base), stream=stream)  # to the previous key frame
                least, first = start + seconds - 0.5 / float(self.rate), True
                for frame in upright(self.path, container.decode(stream)):
                    if frame.time is None or (frame.time >= least and first and frame.time > least + 1 / self.rate):
                        return
                    if frame.time >= least:
                        yield self._decoded(frame, frame.time - start)
                        break
                    first = False
                else:
                    return

    def _decoded(self, frame: "av.VideoFrame", seconds: float) -> DecodedFrame:
        try:
            return DecodedFrame(frame, seconds)
        except VideoError as error:
            raise VideoError(f"{self.path}: {error}") from error

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        """The open file and its first video stream; FFmpeg's errors name the file."""
        av = import_av()
        failure = av.error.FFmpegError  # modules may be gone when an unfinished generator is closed
        try:
            with open_file(self.path) as container:
                if not container.streams.video:
                    raise VideoError(f"{self.path} has no video stream; give a file with one.")
                if container.streams.video[0].codec_context is None:
                    raise VideoError(f"{self.path} has a codec that FFmpeg does not know; convert it first.")
                yield container, container.streams.video[0]
        except failure as error:
            text = f"{self.path} cannot be read as a video ({error.strerror}); copy or export it again."
            raise VideoError(text) from error


def count_frames(video: Iterable[Any]) -> int:
    """The number of frames that are shown, from decoding them.

    Args:
        video: folder of frames or video file.

    Returns:
        Its exact number of frames.

    Raises:
        VideoError: if the video is damaged.
    """
    return video.count if isinstance(video, FrameFolder) else sum(1 for _ in video)


Frames = FrameFolder | VideoFile
