"""Where the frames of a live session go: files, standard output and a window."""

import fractions
import queue
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fusejax.io.outputs import check_files, check_out
from fusejax.io.pyav import Codec
from fusejax.io.video_writing import SUFFIXES, VideoWriter
from fusejax.live.controls import Controls

if TYPE_CHECKING:
    import av

_TICKS = 1000  # per second


class FileOutput:
    """Writes a video file with the time of every frame; complete or absent, see `VideoWriter`."""

    def __init__(self, target: Path, *, overwrite: bool, sources: Sequence[Path] = ()):
        """Stores the target; the file is opened at the first frame.

        Args:
            target: file with suffix .mkv (ffv1, lossless) or .mp4 (h264).
            overwrite: replace an existing file.
            sources: files that are read meanwhile.

        Raises:
            ValueError: for other suffixes, and if the file is one of the sources.
            FileExistsError: if the file exists and `overwrite` is not set.
        """
        codecs: dict[str, Codec] = {suffix: codec for codec, suffix in SUFFIXES.items()}
        if target.suffix.lower() not in codecs:
            raise ValueError(f"--out {target}: give a file that ends in .mkv (ffv1, lossless) or .mp4 (h264).")
        check_out(target.parent)
        if check_files([target], sources=sources) and not overwrite:
            raise FileExistsError(f"{target} already exists; replace it with --overwrite, or choose another --out.")
        self.target = target
        self._codec: Codec = codecs[target.suffix.lower()]
        self._writer: VideoWriter | None = None
        self._start, self._last, self._kind = 0.0, -1, ""

    def show(self, frame: "av.VideoFrame", seconds: float) -> None:
        """See `fusejax.live.session.Output`."""
        if self._writer is None:
            self._writer = VideoWriter(self.target, codec=self._codec, rate=fractions.Fraction(30), quick=True)
            self._writer.__enter__()
            self._start = seconds
        self._last = max(self._last + 1, round((seconds - self._start) * _TICKS))
        frame.pts, frame.time_base = self._last, fractions.Fraction(1, _TICKS)
        self._writer.write(frame)

    def close(self) -> None:
        """Finishes the file."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.__exit__(None, None, None)


class Recorder:
    """Records while the setting `recording` is on; every recording is a file of its own.

    Attributes:
        current: name of the file that is being written; None if there is none.
        written: files that are complete.
    """

    def __init__(self, folder: Path, controls: Controls):
        """Waits for the setting.

        Args:
            folder: folder of the recordings.
            controls: has the setting.
        """
        self._folder, self._controls = folder, controls
        self._file: FileOutput | None = None
        self.current: str | None = None
        self.written: list[Path] = []

    def show(self, frame: "av.VideoFrame", seconds: float) -> None:
        """See `fusejax.live.session.Output`."""
        if not self._controls.settings.recording:
            self.close()
            return
        if self._file is None:
            stem, number = time.strftime("fused_%Y%m%d_%H%M%S"), 1
            path = self._folder / f"{stem}.mp4"
            while path.exists():
                number += 1
                path = self._folder / f"{stem}_{number}.mp4"
            self._file, self.current = FileOutput(path, overwrite=False), path.name
        self._file.show(frame, seconds)

    def close(self) -> None:
        """Finishes the recording."""
        if self._file is not None:
            file, self._file, self.current = self._file, None, None
            file.close()
            self.written.append(file.target)


class RawOutput:
    """Writes frames as RGB, 8 bits, without headers, for ffmpeg and other programs.

    A reader that is slow, or does not read at all, loses frames and holds up nobody.
    """

    def __init__(self, stream: BinaryIO, *, broken: threading.Event):
        """Starts the thread that writes.

        Args:
            stream: such as `sys.stdout.buffer`.
            broken: set when the reader has gone.
        """
        self._stream, self._frames = stream, queue.Queue(maxsize=2)
        self.dropped, self._broken = 0, broken
        self._thread = threading.Thread(target=self._write, name="raw frames", daemon=True)
        self._thread.start()

    def show(self, frame: "av.VideoFrame", seconds: float) -> None:
        """See `fusejax.live.session.Output`."""
        del seconds
        try:
            self._frames.put_nowait(frame.to_ndarray(format="rgb24").tobytes())
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Writes what is waiting, for at most a second."""
        try:
            self._frames.put(None, timeout=1.0)
        except queue.Full:
            return
        self._thread.join(timeout=1.0)

    def _write(self) -> None:
        while (data := self._frames.get()) is not None:
            try:
                self._stream.write(data)
                self._stream.flush()
            except (OSError, ValueError):  # the reader has gone
                self._broken.set()
                return


class WindowOutput:
    """Shows frames in a window; needs a display and Python's tkinter."""

    def __init__(self, title: str, *, closed: threading.Event):
        """Opens the window.

        Args:
            title: its title.
            closed: set when somebody closes it.

        Raises:
            ValueError: if there is no display or no tkinter.
        """
        try:
            import tkinter

            self._root = tkinter.Tk()
        except Exception as error:
            raise ValueError(f"--window cannot be opened ({error}); use the page (--http) instead.") from error
        self._tk = tkinter
        self._root.title(title)
        self._label = tkinter.Label(self._root)
        self._label.pack()
        self._root.protocol("WM_DELETE_WINDOW", closed.set)

    def show(self, frame: "av.VideoFrame", seconds: float) -> None:
        """See `fusejax.live.session.Output`."""
        del seconds
        pixels = frame.to_ndarray(format="rgb24")
        head = f"P6 {pixels.shape[1]} {pixels.shape[0]} 255 ".encode()
        self._picture = self._tk.PhotoImage(data=head + pixels.tobytes(), format="PPM")
        self._label.configure(image=self._picture)
        self._root.update()

    def close(self) -> None:
        """Closes the window."""
        self._root.destroy()
