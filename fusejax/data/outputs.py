"""Output files: the folder is checked before the work, and a file is complete or not there."""

import contextlib
import csv
import errno
import io
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from etils import epath

_PROBE = bytes(2**16)


class Figure(Protocol):
    """What a Matplotlib figure does here; importing Matplotlib takes half a second."""

    def savefig(self, fname: io.BytesIO, /, *, format: str, dpi: int) -> None: ...


def check_out(folder: Path, *, option: str = "--out") -> None:
    """Checks, before any work, that files can be written to a folder.

    Writes a file of 64 kB to the folder, or to the nearest one above it that exists, and deletes
    it: permissions say too little of full and read-only disks, of /proc, and of the administrator.

    Args:
        folder: that files will be written to; it need not exist.
        option: its name for the message.

    Raises:
        NotADirectoryError: if the folder, or one above it, is a file.
        OSError: if nothing can be written; it names the folder and says why.
    """
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        where = "is a file; name a folder" if above == folder else f"cannot be made, {above} is a file; choose another"
        raise NotADirectoryError(f"{option} {folder} {where}.")
    try:
        with tempfile.TemporaryFile(dir=above) as file:
            file.write(_PROBE)
            file.flush()
    except OSError as error:
        reason = f"cannot be written, {above} takes no files ({error.strerror}); choose another {option}"
        if error.errno == errno.ENOSPC:
            reason = f"{error.strerror}; free space or choose another {option}"
        raise type(error)(error.errno, reason, str(folder)) from error


def write_complete(path: str | os.PathLike, data: bytes | memoryview | str) -> None:
    """Writes a file that appears complete or not at all, and replaces an existing one.

    Args:
        path: the file, local or remote; its folder is made if it does not exist.
        data: its content; text is stored as UTF-8.

    Raises:
        OSError: if the file cannot be written; it names the file.
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
def errors_naming(path: os.PathLike) -> Iterator[None]:
    """Makes system errors name a file; they name the temporary one, or none if the disk is full.

    Args:
        path: the file that the block writes in the end.
    """
    try:
        yield
    except OSError as error:
        raise type(error)(error.errno, error.strerror or str(error), os.fspath(path)) from error


def write_rows(path: str | os.PathLike, rows: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file, see `write_complete`.

    Args:
        path: the file.
        rows: cells of each line, the header first.

    Raises:
        OSError: if the file cannot be written; it names the file.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    write_complete(path, text.getvalue())


def save_figure(path: str | os.PathLike, figure: Figure, *, dpi: int) -> None:
    """Writes a Matplotlib figure as PNG, see `write_complete`.

    Args:
        path: the file.
        figure: to draw.
        dpi: pixels per inch of the figure's size.

    Raises:
        OSError: if the file cannot be written; it names the file.
    """
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=dpi)
    write_complete(path, data.getbuffer())
