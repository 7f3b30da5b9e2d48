"""Output files: folders are checked before the work, and files are written completely or not at
all.
"""

import contextlib
import csv
import errno
import io
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from etils import epath

_PROBE = bytes(2**16)


@runtime_checkable
class Figure(Protocol):
    """The interface of a Matplotlib figure, since importing Matplotlib takes half a second."""

    def savefig(self, fname: io.BytesIO, /, *, format: str, dpi: int) -> None: ...


def check_out(folder: Path, *, option: str = "--out") -> None:
    """Checks, before any work, that files can be written to a folder.

    Writes a file of 64 kB to the folder, or to its nearest existing parent, and deletes it, because
    permissions say too little about full and read-only disks, /proc, and the administrator.

    Args:
        folder: folder for the files; it need not exist.
        option: name of the option, for the message.

    Raises:
        NotADirectoryError: if the folder, or one above it, is a file.
        OSError: if nothing can be written; names the folder and the reason.
    """
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        where = "is a file; name a folder" if above == folder else f"cannot be created, {above} is a file; use another"
        raise NotADirectoryError(f"{option} {folder} {where}.")
    try:
        with tempfile.TemporaryFile(dir=above) as file:
            file.write(_PROBE)
            file.flush()
    except OSError as error:
        reason = f"cannot be written, {above} accepts no files ({error.strerror}); choose another {option}"
        if error.errno == errno.ENOSPC:
            reason = f"{error.strerror}; free space or choose another {option}"
        raise type(error)(error.errno, reason, str(folder)) from error


def write_complete(path: str | os.PathLike, data: bytes | memoryview | str) -> None:
    """Writes a file completely or not at all, and replaces an existing one.

    Args:
        path: file to write, local or remote; its folder is created if needed.
        data: content of the file; text is stored as UTF-8.

    Raises:
        OSError: if the file cannot be written; names the file.
    """
    path = epath.Path(path)
    temporary = path.with_name(f".{uuid.uuid4().hex}{path.suffix}")
    try:
        with errors_naming(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
            temporary.replace(path)
    finally:
        if temporary.exists():
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def errors_naming(path: str | os.PathLike) -> Iterator[None]:
    """Makes system errors name the file, instead of a temporary one, or none if the disk is full.

    Args:
        path: file that the block finally writes.
    """
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), os.fspath(path)) from error


def write_rows(path: str | os.PathLike, rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file, see `write_complete`.

    Args:
        path: file to write.
        rows: cells of each line, starting with the header.

    Raises:
        OSError: if the file cannot be written; names the file.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_complete(path, text.getvalue())


def save_figure(path: str | os.PathLike, figure: Figure, *, dpi: int) -> None:
    """Writes a Matplotlib figure as PNG, see `write_complete`.

    Args:
        path: file to write.
        figure: figure to draw.
        dpi: pixels per inch of the figure.

    Raises:
        OSError: if the file cannot be written; names the file.
    """
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    write_complete(path, data.getbuffer())
