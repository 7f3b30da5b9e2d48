"""Files in object stores (gs://, s3:// and others that fsspec knows), read and written as a whole.

A path of the standard library turns gs://bucket into gs:/bucket; both are understood.
"""

import queue
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_ADDRESS = re.compile(r"(gs|gcs|s3|s3a|az|abfss?|hdfs|memory|file):/+(.*)", re.DOTALL)
_EXTRAS = {"gs": "gcs", "gcs": "gcs", "s3": "s3", "s3a": "s3"}
_ATTEMPTS = 3
_SECONDS = 60.0  # for one file, after which the store counts as silent


def remote_address(path: str | Path) -> str | None:
    """The address of a remote file or folder; None for a local path.

    Args:
        path: what a user gives.
    """
    found = _ADDRESS.fullmatch(str(path))
    if found is None:
        return None
    kind, rest = found.groups()
    return f"{kind}://{'/' if kind == 'file' else ''}{rest.rstrip('/')}"


def is_remote(*paths: str | Path | None) -> bool:
    """Whether one of the paths is an address.

    Args:
        *paths: what a user gives; None counts as local.
    """
    return any(path is not None and remote_address(path) is not None for path in paths)


class RemoteFolder:
    """A folder in a store, or a local one, by the same few operations.

    Every operation is tried three times, and an attempt ends after a minute, so that a store that
    is slow or gives errors ends the work with a message instead of holding it up.

    Attributes:
        address: of the folder.
    """

    def __init__(self, path: str | Path, *, seconds: float = _SECONDS):
        """Finds the store.

        Args:
            path: address, or a local path.
            seconds: for one attempt.

        Raises:
            ValueError: if the package that knows this kind of address is not installed.
        """
        self.address, self._seconds = remote_address(path) or str(Path(path).absolute()), seconds
        kind = self.address.partition("://")[0]
        need = f"pip install 'fusejax[{_EXTRAS.get(kind, 'gcs')}]'"
        try:
            from fsspec.core import url_to_fs

            self._files, self._root = url_to_fs(self.address)
        except ImportError as error:
            raise ValueError(f"{self.address}: reading {kind}:// needs another package ({error}): {need}.") from error
        self._root = self._root.rstrip("/")

    def url(self, name: str) -> str:
        """Address of a file, for messages."""
        return f"{self.address}/{name}"

    def names(self, *, recursive: bool = True) -> list[str]:
        """Names of all files relative to the folder, sorted; empty if there is no such folder.

        Args:
            recursive: also those in subfolders.

        Raises:
            OSError: if the store does not answer or refuses; names the folder.
        """

        def find() -> list[str]:
            self._files.invalidate_cache()
            return self._files.find(self._root, maxdepth=None if recursive else 1)

        found = self._patiently(find, self.address)
        prefix = f"{self._root}/"
        return sorted(path.removeprefix(prefix) for path in found if path.startswith(prefix))

    def exists(self, name: str) -> bool:
        """Whether there is such a file, asked of the store itself.

        Raises:
            OSError: see `names`.
        """

        def ask() -> bool:
            self._files.invalidate_cache()
            return self._files.isfile(f"{self._root}/{name}")

        return self._patiently(ask, self.url(name))

    def fetch(self, name: str, target: Path) -> None:
        """Copies a file to this machine.

        Args:
            name: of the file.
            target: local file; its folder is created.

        Raises:
            FileNotFoundError: if it is not there.
            OSError: see `names`.
        """
        data = self._patiently(lambda: self._files.cat_file(f"{self._root}/{name}"), self.url(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    def store(self, source: Path, name: str) -> None:
        """Copies a local file to the folder; it is there completely or not at all.

        Args:
            source: local file.
            name: name in the folder.

        Raises:
            OSError: see `names`.
        """
        data, path = source.read_bytes(), f"{self._root}/{name}"

        def put() -> None:
            if "file" in (protocol := self._files.protocol) or protocol == "file":
                from fusejax.io.outputs import write_complete

                write_complete(path, data)  # a file system shows files while they are written
            else:
                self._files.pipe_file(path, data)

        self._patiently(put, self.url(name))

    def _patiently(self, action: Callable[[], T], address: str) -> T:
        """Runs an action until it works, at most three times."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _within(self._seconds, action)
            except FileNotFoundError as error:
                raise FileNotFoundError(error.errno, "is not in the store", address) from error
            except Exception as error:  # every store has its own kinds
                if attempt == _ATTEMPTS:
                    text = f"the store failed {_ATTEMPTS} times ({type(error).__name__}: {error})"
                    raise OSError(None, text, address) from error
        raise AssertionError


def _within(seconds: float, action: Callable[[], T]) -> T:
    """Runs an action in a thread that nobody waits for beyond the given time."""
    answers: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((True, action()))
        except Exception as error:
            answers.put((False, error))

    threading.Thread(target=run, name="store", daemon=True).start()
    try:
        worked, answer = answers.get(timeout=seconds)
    except queue.Empty as error:
        raise TimeoutError(f"no answer within {seconds:g} s") from error
    if not worked:
        raise answer
    return answer
