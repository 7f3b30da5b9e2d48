"""Standard output and error of the program when they are closed, full, or not in UTF-8."""

import os
import sys
from collections.abc import Callable
from typing import Any


class OutputLost(OSError):
    """Standard output cannot be written, for example because its disk is full."""


class _Stream:
    """A stream whose failed writes are handled; everything else is the stream's own."""

    def __init__(self, stream: Any, failed: Callable[[Any, OSError], None]) -> None:
        self._stream, self._failed = stream, failed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._failed(self._stream, error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(self._stream, error)


def _report(_stream: Any, error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise error
    raise OutputLost(error.errno, error.strerror, "standard output") from error


def _drop(stream: Any, _error: OSError) -> None:
    """Nobody can read the messages, which is no reason to end the work."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def guard_streams() -> None:
    """Makes the program's streams safe to write to.

    A closed stream is replaced by the null device. Failed writes to standard error are dropped,
    those to standard output raise `OutputLost`. Names of files that are not valid in the encoding
    of the terminal are written with their own bytes.
    """
    for name, failed in (("stdout", _report), ("stderr", _drop)):
        stream = getattr(sys, name)
        if stream is None:  # closed by the shell
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - kept until the process ends
            continue
        if name == "stdout" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape")
        setattr(sys, name, _Stream(stream, failed))


def discard_output() -> None:
    """Connects standard output to the null device, since Python flushes it once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
