"""Hidden files and folders for results that are not complete yet.

Their names are random and they are created exclusively, so that two processes never share one and
no link can wait for it. They are locked while their process lives, so that a later run can remove
what a killed one has left.
"""

import contextlib
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from etils import epath

try:
    import fcntl
except ImportError:  # on Windows, where a file in use cannot be removed anyway
    fcntl = None

_NAME = re.compile(r"\.fusejax-[0-9a-f]{32}(\.\w+)?")
_swept: set[tuple[int, int]] = set()
_guard = threading.Lock()


@contextlib.contextmanager
def unfinished_file(path: str | os.PathLike) -> Iterator[epath.Path]:
    """A new empty hidden file next to one that will be written, with the same suffix.

    What killed runs have left in the folder is removed.

    Args:
        path: file that will be written, local or remote; its folder is created if needed.

    Yields:
        The hidden file, which the block renames; otherwise it is deleted. Remote files are not
        created.

    Raises:
        OSError: if it cannot be created.
    """
    target = epath.Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    hidden = target.with_name(_name(target.suffix))
    with contextlib.ExitStack() as stack:
        if is_local(target):
            remove_leftovers(Path(target.parent))
            stack.enter_context(_locked(hidden))
        try:
            yield hidden
        finally:
            if hidden.exists():
                hidden.unlink(missing_ok=True)


@contextlib.contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder, which is deleted in the end.

    Args:
        parent: existing folder for it; what killed runs have left there is removed.

    Yields:
        The folder.

    Raises:
        OSError: if it cannot be created.
    """
    remove_leftovers(parent)
    folder = parent / _name("")
    with _locked(folder, folder=True):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Removes hidden files and folders of killed runs, once per folder and process.

    Those of living processes stay, and all on disks without locks. Nothing else has such a name.

    Args:
        folder: folder to look at; its subfolders are not searched.
    """
    try:
        found = folder.stat()
        with _guard:
            if (key := (found.st_dev, found.st_ino)) in _swept:
                return
            _swept.add(key)
        left = [Path(entry.path) for entry in os.scandir(folder) if _NAME.fullmatch(entry.name)]
    except OSError:  # the folder does not exist or cannot be listed: nothing can be removed
        return
    for path in left:
        with contextlib.suppress(OSError):
            _remove_abandoned(path)


def is_local(path: str | os.PathLike) -> bool:
    """Whether a path is on this machine's file system, not an address such as gs://bucket/file."""
    return "://" not in os.fspath(path)


def _name(suffix: str) -> str:
    return f".fusejax-{uuid.uuid4().hex}{suffix}"


@contextlib.contextmanager
def _locked(path: Path | epath.Path, *, folder: bool = False) -> Iterator[None]:
    """Creates a file or folder exclusively and locks it."""
    held = None
    while held is None:
        if folder:
            os.mkdir(path)
            held = os.open(path, os.O_RDONLY) if fcntl is not None else -1
        else:
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
        if fcntl is not None and not _lock(held, path):  # removed by a process that took it for abandoned
            os.close(held)
            held = None
    try:
        yield
    finally:
        if held >= 0:
            os.close(held)


def _lock(held: int, path: Path | epath.Path) -> bool:
    """Locks an open file; returns whether it is still the one at the path."""
    assert fcntl is not None
    with contextlib.suppress(OSError):  # some network disks have no locks
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        return os.fstat(held).st_ino == os.stat(path).st_ino
    except FileNotFoundError:
        return False


def _remove_abandoned(path: Path) -> None:
    """Removes a file or folder unless a living process has locked it."""
    if fcntl is None or path.is_symlink():
        return
    held = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(held)
