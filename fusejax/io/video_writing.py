"""Writing videos; a file gets its name only when it is complete."""

import contextlib
import fractions
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from fusejax.io.matroska_aspect import write_aspect
from fusejax.io.pyav import Codec, file_url, import_av, open_file
from fusejax.io.unfinished import unfinished_file
from fusejax.io.video import VideoFile
from fusejax.io.video_orientation import filter_graph

if TYPE_CHECKING:
    import av

SUFFIXES: dict[Codec, str] = {"ffv1": ".mkv", "h264": ".mp4"}

_ENCODERS = {"ffv1": "ffv1", "h264": "libx264"}
_OPTIONS = {
    "ffv1": {"level": "3", "slicecrc": "1", "g": "1"},  # checksums, and seeking to every frame
    "h264": {"crf": "17", "preset": "medium"},  # visually almost lossless
}
# Audio codecs that players support in MP4; Matroska supports any.
_MP4_AUDIO = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")
# FFmpeg's numbers for smpte170m, MPEG range and frames that are no fields.
_BT601, _LIMITED, _PROGRESSIVE = 6, 1, 1


class VideoWriter:
    """Writes a video file completely or not at all; use it in a `with` block.

    Frames are written to a hidden file next to the target, see `fusejax.io.unfinished`. It gets the
    target's name at the end of the block, and is deleted if the block ends with an error or an
    interrupt.
    """

    def __init__(
        self,
        target: Path,
        *,
        codec: Codec,
        rate: fractions.Fraction,
        like: VideoFile | None = None,
        aspect: fractions.Fraction | None = None,
        quick: bool = False,
    ):
        """Stores the settings of the file, which is opened at the first frame.

        Args:
            target: file to write, with the suffix in `SUFFIXES`; its folder is created.
            codec: ffv1 (lossless) or h264.
            rate: frames per second.
            like: video whose pixel aspect, field order and audio are copied.
            aspect: width of a pixel divided by its height; by default that of `like`.
            quick: whether H.264 must keep up with a camera, at the price of larger files.
        """
        self.target, self.rate, self.like = target, rate, like
        self.codec: Codec = codec
        self._options = _OPTIONS[codec] | ({"preset": "veryfast"} if quick and codec == "h264" else {})
        self.partial: Path | None = None
        self.aspect = aspect or (like.aspect if like else None)
        self.audio: str | None = None  # a phrase that says what happened to the audio
        self._kept = contextlib.ExitStack()
        self._shape: Any = None
        self._container: Any = None
        self._stream: Any = None
        self._audio: Any = None
        self._written = 0

    def __enter__(self) -> "VideoWriter":
        """Creates the folder."""
        import_av()
        self.target.parent.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, frame: "av.VideoFrame | np.ndarray", *, index: int | None = None) -> None:
        """Adds a frame.

        Args:
            frame: a frame, or pixels as `from_pixels` takes them.
            index: number of intervals since the first frame, if the frame has no time stamp; by
                default it follows the previous one.

        Raises:
            OSError: if the file cannot be written; names the file.
        """
        frame = from_pixels(frame) if isinstance(frame, np.ndarray) else frame
        with self._named_errors():
            if self._written == 0:
                self._open(frame)
            if frame.pts is None:
                frame.pts, frame.time_base = self._written if index is None else index, 1 / self.rate
            self._copy_audio(until=frame.time)
            self._container.mux(self._stream.encode(self._with_aspect(self._in_format(frame))))
        self._written += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finishes and renames the file, or deletes it."""
        try:
            if kind is None and self._container is not None:
                with self._named_errors():
                    self._copy_audio(until=None)
                    self._container.mux(self._stream.encode(None))
                    self._container.close()
                    if self.aspect and self.partial is not None and self.target.suffix == ".mkv":
                        context = self._stream.codec_context
                        write_aspect(self.partial, self.aspect, (context.height, context.width))
                    assert self.partial is not None
                    self.partial.replace(self.target)
        finally:
            if self._audio is not None:
                self._audio[0].close()
            if self._container is not None:
                self._container.close()
            self._kept.close()

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        """Makes errors of the system and of FFmpeg name the target, not the hidden file."""
        try:
            yield
        except (OSError, import_av().error.FFmpegError) as error:
            raise OSError(error.errno, error.strerror, str(self.target)) from error

    def _open(self, frame: "av.VideoFrame") -> None:
        av = import_av()
        self.partial = Path(self._kept.enter_context(unfinished_file(self.target)))
        self._container = av.open(file_url(self.partial), "w")
        order = self.like.field_order if self.like else 0
        interlaced = {"flags": "+ildct+ilme"} if self.codec == "h264" and order > _PROGRESSIVE else {}
        options = self._options | interlaced
        self._stream = self._container.add_stream(_ENCODERS[self.codec], rate=self.rate, options=options)
        context = self._stream.codec_context
        context.field_order, context.sample_aspect_ratio = order, self.aspect or 0
        context.width, context.height = frame.width, frame.height
        context.pix_fmt = _pixel_format(self.codec, frame)
        context.time_base = frame.time_base or 1 / self.rate
        if context.pix_fmt != frame.format.name and frame.format.is_rgb and context.pix_fmt.startswith("yuv"):
            context.colorspace, context.color_range = _BT601, _LIMITED
        else:
            for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
                setattr(context, name, int(getattr(frame, name)))
        self._open_audio()

    def _in_format(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        wanted = self._stream.codec_context.pix_fmt
        if frame.format.name == wanted:
            return frame
        if frame.format.is_rgb and wanted.startswith("yuv"):
            return frame.reformat(format=wanted, dst_colorspace=_BT601, dst_color_range=_LIMITED)
        return frame.reformat(format=wanted)

    def _with_aspect(self, frame: "av.VideoFrame") -> "av.VideoFrame":
        """Sets the aspect of a frame, which FFV1 stores."""
        if self.aspect is None:
            return frame
        if self._shape is None:
            self._shape = filter_graph(frame, (("setsar", str(self.aspect)),))
        self._shape.vpush(frame)
        return self._shape.vpull()

    def _open_audio(self) -> None:
        """Prepares to copy the first audio stream, packet by packet."""
        if self.like is None:
            return
        source = open_file(self.like.path)
        stream = source.streams.audio[0] if source.streams.audio else None
        if stream is None or (self.codec == "h264" and stream.codec_context.name not in _MP4_AUDIO):
            self.audio = stream and f"audio ({stream.codec_context.name}) is not copied, since MP4 does not support it"
            source.close()
            return
        self.audio = f"audio ({stream.codec_context.name}) is copied"
        copy = self._container.add_stream_from_template(stream)
        self._audio = (source, source.demux(stream), copy, [])

    def _copy_audio(self, *, until: float | None) -> None:
        """Copies packets up to a time in seconds, or the rest."""
        if self._audio is None:
            return
        _, packets, copy, waiting = self._audio
        while True:
            packet = waiting.pop() if waiting else next(packets, None)
            if packet is None:
                return
            if until is not None and packet.dts is not None and packet.dts * packet.time_base > until:
                waiting.append(packet)
                return
            if packet.dts is not None:
                packet.stream = copy
                self._container.mux(packet)


def _pixel_format(codec: Codec, frame: "av.VideoFrame") -> str:
    """The frame's pixel format if the codec supports it, else the closest lossless or common
    one.
    """
    av = import_av()
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    known = {f.name for f in av.codec.Codec(_ENCODERS[codec], "w").video_formats}
    if codec == "h264" and not even:  # H.264 does not support odd sizes with subsampled chroma
        return "yuv444p"
    if frame.format.name in known:
        return frame.format.name
    if codec == "h264":
        return "yuv420p"
    deep = frame.format.components[0].bits > 8
    return {"nv12": "yuv420p", "yuvj420p": "yuv420p", "yuvj422p": "yuv422p", "yuvj444p": "yuv444p"}.get(
        frame.format.name, "gbrp16le" if deep else "bgr0"
    )


def from_pixels(pixels: np.ndarray) -> "av.VideoFrame":
    """A frame of uint8 or uint16 pixels, gray [h, w, 1] or RGB [h, w, 3]."""
    deep, gray = pixels.dtype == np.uint16, pixels.shape[-1] == 1
    name = {(False, False): "rgb24", (True, False): "rgb48le", (False, True): "gray", (True, True): "gray16le"}
    return import_av().VideoFrame.from_ndarray(
        np.ascontiguousarray(pixels[..., 0] if gray else pixels), format=name[deep, gray]
    )
