"""Videos and folders of frames, read one frame at a time.

Video files need PyAV (`video` extra). Luma is taken from the file's own luma plane and written back
to it, so that chroma, pixel format and time stamps of a fused video are those of the visible video.
"""

import dataclasses
import fractions
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Shaped

from fusejax.io.image_headers import image_size
from fusejax.io.images import as_infrared, as_visible, from_float, read_image, read_thermal, to_float
from fusejax.io.pairing import list_images
from fusejax.io.pyav import VideoError, import_av
from fusejax.io.video_orientation import upright
from fusejax.ops.color import recolor, rgb_to_luma

if TYPE_CHECKING:
    import av

Plane = Float[np.ndarray, "h w 1"]

VIDEO_SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".m4v", ".webm", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".y4m")


def is_video(path: Path) -> bool:
    """Whether a path has the suffix of a video file."""
    return path.suffix.lower() in VIDEO_SUFFIXES


@dataclasses.dataclass(frozen=True)
class ImageFrame:
    """One frame from an image file.

    Attributes:
        seconds: time since the first frame.
        path: path of the image.
    """

    seconds: float
    path: Path

    @functools.cached_property
    def _pixels(self) -> Shaped[np.ndarray, "h w c"]:
        return read_image(self.path)

    def infrared(self) -> Shaped[np.ndarray, "h w 1"]:
        """The stored values, one channel."""
        return as_infrared(read_thermal(self.path))

    def luma(self) -> Plane:
        """BT.601 luma in [0, 1]."""
        pixels = to_float(self._pixels)
        return rgb_to_luma(pixels) if pixels.shape[-1] == 3 else pixels

    def with_luma(self, fused_y: Plane) -> Shaped[np.ndarray, "h w c"]:
        """An image of the same data type with different luma."""
        gray = self._pixels.shape[-1] == 1
        return from_float(fused_y if gray else recolor(fused_y, to_float(self._pixels)), self._pixels.dtype)

    def rgb(self) -> Float[np.ndarray, "h w 3"]:
        """RGB for display, in [0, 1]."""
        return as_visible(to_float(self._pixels))


class FrameFolder:
    """A folder of images that are the frames of a video, in the order of their names."""

    def __init__(self, path: Path, rate: fractions.Fraction):
        """Lists the images; `rate` is in frames per second."""
        self.path, self.rate = path, rate
        self.files = list(list_images(path).values())
        self.count, self.size = len(self.files), image_size(self.files[0])
        for file in self.files:
            if image_size(file) != self.size:
                raise VideoError(f"{file} differs in size from {self.files[0]}; all frames must have the same size.")

    def __iter__(self) -> Iterator[ImageFrame]:
        for number, file in enumerate(self.files):
            yield ImageFrame(float(number / self.rate), file)

    def sample(self, number: int) -> Iterator[ImageFrame]:
        """Yields frames spread evenly over the video."""
        for k in np.unique(np.linspace(0, self.count - 1, number).astype(int)):
            yield ImageFrame(float(k / self.rate), self.files[k])


class DecodedFrame:
    """One frame of a video file."""

    def __init__(self, frame: "av.VideoFrame", seconds: float):
        """Stores the decoded frame and its time in seconds since the first frame."""
        self.frame, self.seconds = frame, seconds
        self._depth = frame.format.components[0].bits
        self._planar = not frame.format.is_rgb and frame.format.name != "pal8" and len(frame.planes) != 0

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
        """A frame with the same format, time and chroma but different luma.

        This frame must not be used afterwards, because its memory holds the result.
        """
        if not self._planar:
            pixels = self._rgb_pixels()
            rgb = from_float(recolor(fused_y, to_float(pixels)), pixels.dtype)
            out = import_av().VideoFrame.from_ndarray(rgb, format="rgb24" if pixels.dtype == np.uint8 else "rgb48le")
        else:
            out = self.frame
            out.make_writable()  # copies it if the decoder still uses it
            rows = np.frombuffer(bytes(out.planes[0]), self._dtype()).reshape(out.planes[0].height, -1).copy()
            low, high = self._limits()
            rows[:, : out.width] = np.round(low + fused_y[..., 0] * (high - low))
            out.planes[0].update(rows.tobytes())
        out.pts, out.time_base = self.frame.pts, self.frame.time_base
        return out

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
        return self.frame.to_ndarray(format="rgb24" if self._depth == 8 else "rgb48le")


class VideoFile:
    """A video file; its frames are rotated according to its metadata."""

    def __init__(self, path: Path):
        """Reads the headers and the first frame.

        Raises:
            VideoError: if PyAV is missing, or if the file is missing, broken or has no video.
        """
        av = import_av()
        self.path = path
        try:
            with av.open(str(path)) as container:
                if not container.streams.video:
                    raise VideoError(f"{path} has no video stream; give a file with one.")
                stream = container.streams.video[0]
                rate = stream.average_rate or stream.guessed_rate
                self.count = stream.frames or sum(p.size > 0 for p in container.demux(stream))
            with av.open(str(path)) as container:
                first = next(upright(path, container.decode(video=0)), None)
        except av.error.FFmpegError as error:
            text = f"{path} cannot be read as a video ({error.strerror}); copy or export it again."
            raise VideoError(text) from error
        if not rate or not self.count or first is None:
            raise VideoError(f"{path} has no frames; copy or export it again.")
        self.rate, self.size = fractions.Fraction(rate), (first.height, first.width)

    def __iter__(self) -> Iterator[DecodedFrame]:
        av, number, first = import_av(), 0, None
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                for frame in upright(self.path, container.decode(stream)):
                    first = frame.time if first is None else first
                    yield DecodedFrame(frame, frame.time - first)
                    number += 1
        except av.error.FFmpegError as error:
            raise VideoError(f"{self.path} is damaged after frame {number} ({error.strerror}).") from error
        if number < self.count:
            raise VideoError(f"{self.path} ends after {number} of {self.count} frames; it is truncated or damaged.")

    def sample(self, number: int) -> Iterator[DecodedFrame]:
        """Yields frames spread evenly over the video."""
        if self.count <= 2 * number:
            yield from self
            return
        with import_av().open(str(self.path)) as container:
            stream = container.streams.video[0]
            start = (stream.start_time or 0) * stream.time_base
            for k in range(number):
                wanted = start + (k + 0.5) * self.count / number / self.rate
                container.seek(int(wanted / stream.time_base), stream=stream)  # to the previous key frame
                frames = upright(self.path, container.decode(stream))
                reached = (frame for frame in frames if frame.time >= wanted - 1 / self.rate)
                if (frame := next(reached, None)) is not None:
                    yield DecodedFrame(frame, frame.time)


Frames = FrameFolder | VideoFile
