"""PyAV, which reads and writes video files, is an extra."""

from typing import Any


class VideoError(ValueError):
    """A video that cannot be used; the message names the file and says what to do."""


def import_av() -> Any:
    """PyAV.

    Raises:
        VideoError: if it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise VideoError("Videos need PyAV: pip install 'fusejax[video]', or pip install av.") from error
    return av
