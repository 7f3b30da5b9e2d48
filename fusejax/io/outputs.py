"""Output files: whether they may be written is decided before the work, and they are written
completely or not at all.
"""

import contextlib
import csv
import errno
import io
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from etils import epath

from fusejax.io.image_headers import SUFFIXES
from fusejax.io.unfinished import remove_leftovers, unfinished_file

_PROBE = bytes(2**16)
# Addresses that would become a folder called "gs:" below the current one.
_ADDRESS = re.compile(
    r"(gs|gcs|s3|s3a|az|adl|abfss?|wasbs?|hdfs|dbfs|https?|ftps?|sftp|ssh|scp|smb|file|rtsp|rtmp|data|memory):/", re.I
)
# What the first bytes of files made by this package contain, by suffix.
GENERATOR = '<meta name="generator" content="fusejax">'
TEX_COMMENT = "% written by fusejax\n"
_SOFTWARE = "fusejax"
_MARKS = {
    ".png": b"tEXtSoftware\0fusejax",
    ".html": GENERATOR.encode(),
    ".csv": b"set,convention,method,condition,",
    ".json": b'[\n {\n  "set":',
    ".tex": TEX_COMMENT.encode(),
}
_HEAD_BYTES = 4096


@runtime_checkable
class Figure(Protocol):
    """The interface of a Matplotlib figure, since importing Matplotlib takes half a second."""

    def savefig(self, fname: io.BytesIO, /, *, format: str, dpi: int, metadata: dict[str, str]) -> None: ...


def check_out(folder: Path, *, option: str = "--out") -> None:
    """Checks, before any work, that files can be written to a folder.

    Writes a file of 64 kB to the folder, or to its nearest existing parent, and deletes it, because
    permissions say too little about full and read-only disks, /proc, and the administrator. Removes
    what killed runs have left in the folder.

    Args:
        folder: folder for the files; it need not exist.
        option: name of the option, for the message.

    Raises:
        NotADirectoryError: if the folder, or one above it, is a file.
        ValueError: if it is the address of a remote folder.
        OSError: if nothing can be written; names the folder and the reason.
    """
    if _ADDRESS.match(str(folder)):
        raise ValueError(f"{option} {folder} is a remote address, which is not supported; name a local folder or file.")
    try:
        above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    except FileNotFoundError as error:
        text = "cannot be found, because the current folder has been deleted; change to another one"
        raise FileNotFoundError(error.errno, text, str(folder)) from error
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
    remove_leftovers(folder)


def check_files(
    files: Iterable[Path], *, sources: Iterable[Path] = (), option: str = "--out", own: bool = False
) -> list[Path]:
    """Decides, before any work, whether files may be written: images, videos, tables, pages.

    Sources are known by device and inode, not by name, so that links and relative paths to them
    count as well.

    Args:
        files: every file that the work will write.
        sources: files that the work reads, and folders of images that it reads.
        option: name of the option, for the message.
        own: whether files that this package has made may be replaced. They are recognized by their
            content.

    Returns:
        The files that exist already; the caller decides about `--overwrite`.

    Raises:
        ValueError: if a file is one of the sources, or if two of the files have the same name.
        IsADirectoryError: if a folder has the name of a file.
    """
    files = list(files)
    known = {key for path in sources if (key := _identity(path))}
    if twice := [path for path, count in Counter(files).items() if count > 1]:
        raise ValueError(f"{option}: two results would be called {twice[0]}; rename a source, or use two runs.")
    existing, folders = [], {}
    for path in files:
        if (key := _identity(path)) is None:
            if path.is_symlink():  # to nothing: it is replaced, not followed
                existing.append(path)
            continue
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, f"is a folder, but {option} needs a file of that name", str(path))
        mine = made_here(path)
        if path.parent not in folders:
            folders[path.parent] = known and any(_identity(above) in known for above in path.absolute().parents)
        image_of_source = folders[path.parent] and path.suffix.lower() in SUFFIXES and not mine
        if key in known or image_of_source:
            raise ValueError(f"{option}: {path} is one of the sources, which are never overwritten; choose another.")
        if not (own and mine):
            existing.append(path)
    return existing


def refuse_existing(existing: Sequence[Path], *, overwrite: bool, option: str = "--out") -> None:
    """Raises FileExistsError for the first of some existing files, unless `overwrite` is set."""
    if existing and not overwrite:
        raise FileExistsError(f"{existing[0]} already exists; use --overwrite, or another {option}.")


def made_here(path: Path) -> bool:
    """Whether the content of a figure, page or table says that this package has made it."""
    mark = _MARKS.get(path.suffix.lower())
    if mark is None or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return mark in head if path.suffix.lower() in (".png", ".html") else head.startswith(mark)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def write_complete(path: str | os.PathLike, data: bytes | memoryview | str) -> None:
    """Writes a file completely or not at all, and replaces an existing one.

    Args:
        path: file to write, local or remote; its folder is created if needed.
        data: content of the file; text is stored as UTF-8, with escapes for what it cannot hold
            (bytes of file names in other encodings).

    Raises:
        OSError: if the file cannot be written; names the file.
    """
    with writing(path) as hidden, hidden.open("wb") as file:
        file.write(data.encode(errors="backslashreplace") if isinstance(data, str) else data)


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[epath.Path]:
    """Lets a block write a file under a hidden name; the file gets its own name at the end.

    If the block fails, nothing is left and an existing file stays as it was.

    Args:
        path: file to write, local or remote; its folder is created if needed.

    Yields:
        The hidden file, empty, in the same folder and with the same suffix.

    Raises:
        OSError: if the file cannot be written; names the file.
    """
    with errors_naming(path), unfinished_file(path) as hidden:
        yield hidden
        hidden.replace(epath.Path(path))


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
    figure.savefig(data, format="png", dpi=dpi, metadata={"Software": _SOFTWARE})
    write_complete(path, data.getbuffer())
