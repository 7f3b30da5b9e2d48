"""PyAV, which reads and writes video files, is an extra."""

import os
from typing import Any, Literal

Codec = Literal["ffv1", "h264"]

_OLDEST = (18, 1)  # the first with the order of fields


class VideoError(ValueError):
    """A video that cannot be used; the message names the file and says what to do."""


def import_av() -> Any:
    """PyAV.

    Raises:
        VideoError: if it is not installed, or too old.
    """
    try:
        import av
    except ImportError as error:
        raise VideoError("Videos need PyAV: pip install 'fusejax[video]', or pip install av.") from error
    if tuple(int(part) for part in av.__version__.split(".")[:2]) < _OLDEST:
        text = f"PyAV is {av.__version__}, but videos need {'.'.join(map(str, _OLDEST))} or newer"
        raise VideoError(f"{text}: pip install -U 'fusejax[video]'.")
    return av


def file_url(path: str | os.PathLike) -> str:
    """A local path as FFmpeg reads it: a colon in a name is no protocol, such as `tcp:`.

    Args:
        path: path of a file.
    """
    return f"file:{os.fspath(path)}"


def open_file(path: str | os.PathLike) -> Any:
    """Opens a video file for reading.

    Titles and other texts of the file may be in any encoding; what is not UTF-8 in them is
    replaced, since PyAV would refuse the whole file.

    Args:
        path: path of a file.

    Returns:
        PyAV's container; use it in a `with` block.
    """
    return import_av().open(file_url(path), metadata_errors="replace")
