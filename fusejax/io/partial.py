"""Hidden files that are written under a name of their own until they are complete."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, open files cannot be removed
    fcntl = None


@contextlib.contextmanager
def partial_file(target: Path) -> Iterator[Path]:
    """Creates a hidden file next to the target, which nobody else has; what remains of it is
    removed.

    The name is random and the file is created exclusively, so that neither a link of that name nor
    a second process that writes the same target can be met. It is locked while the block runs;
    files of earlier processes that were killed are not locked any more and are removed.

    Args:
        target: file that the caller renames the hidden one to.

    Yields:
        Path of the hidden file, which is empty.

    Raises:
        OSError: if it cannot be created.
    """
    for left in target.parent.glob(f".*.unfinished{target.suffix}"):
        if left.name.startswith(f".{target.stem}."):
            _remove_abandoned(left)
    path = target.with_name(f".{target.stem}.{uuid.uuid4().hex}.unfinished{target.suffix}")
    with path.open("xb") as held:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network disks have no locks
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    """Removes a file unless a living process has locked it."""
    with contextlib.suppress(OSError):
        if fcntl is None or path.is_symlink():
            path.unlink()
            return
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                path.unlink()
