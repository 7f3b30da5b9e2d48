"""The lines of a run's log and their keys; does not import JAX.

The log is a file `log.jsonl`, or numbered parts of it in object stores, which cannot append.
"""

import importlib.util
import os

from etils import epath

LOG_FILE = "log.jsonl"
# Keys of a training line in addition to the parts of the loss: of every line, of the step, of its
# cost.
LINE_KEYS = ("kind", "step", "time")
STEP_KEYS = ("loss", "grad_norm", "param_norm", "skipped")
COST_KEYS = ("images_per_second", "step_seconds", "step_seconds_spread", "data_wait_share", "memory_gib")
LEARNING_RATE = "learning_rate"  # alone, or followed by _MODULE

# Libraries that reach object stores, by the scheme of the address, and the extras that bring them.
_STORES = {"gs": ("gcsfs", "gcs"), "s3": ("s3fs", "s3")}
_PARTS = "log"  # folder of 000001.jsonl, ...
_LINES = 500  # per part, which is uploaded again with every line


def run_folder(path: epath.PathLike) -> epath.Path:
    """The folder of a run.

    Args:
        path: local folder, or gs:// or s3:// address.

    Raises:
        ValueError: for other addresses, and without the library that reaches the store.
    """
    text = os.fspath(path)
    scheme, remote, _ = text.partition("://")
    if remote and scheme not in _STORES:
        raise ValueError(f"{text} is a remote address, which is not supported; name a local folder, or gs:// or s3://.")
    if remote and importlib.util.find_spec(_STORES[scheme][0]) is None:
        library, extra = _STORES[scheme]
        raise ValueError(f'{text} needs {library}; install it with: pip install "fusejax[{extra}]".')
    return epath.Path(path)


class LogFile:
    """A log opened for appending; existing lines are kept.

    When `write` returns, the line is completely in the file, or uploaded. If a kill has truncated
    the last line, that line is terminated first, so that the next line is not appended to it.
    """

    def __init__(self, workdir: epath.Path) -> None:
        self._file = None
        if is_remote(workdir):
            self._folder = workdir / _PARTS
            self._number = max((int(part.stem) for part in _parts(self._folder)), default=0)
            self._lines = [""] * _LINES  # the first line begins a new part: a kill may have truncated the last one
            return
        path = workdir / LOG_FILE
        cut_off = path.exists() and not path.read_bytes().endswith(b"\n")
        self._file = path.open("a")
        if cut_off:
            self._file.write("\n")

    def write(self, line: str) -> None:
        """Adds a line, given without a line break.

        Raises:
            OSError: if it could not be written.
        """
        if self._file is not None:
            self._file.write(line + "\n")
            self._file.flush()
            return
        if len(self._lines) >= _LINES:
            self._number, self._lines = self._number + 1, []
        self._lines.append(line + "\n")
        try:
            (self._folder / f"{self._number:06d}.jsonl").write_text("".join(self._lines))
        except Exception as error:  # the errors of cloud libraries have no common type
            raise OSError(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def read_log(workdir: epath.Path) -> str:
    """All lines so far.

    Raises:
        FileNotFoundError: if there is no log.
    """
    parts = sorted(_parts(workdir / _PARTS)) if is_remote(workdir) else [workdir / LOG_FILE]
    if not parts or not parts[0].exists():
        raise FileNotFoundError(f"{workdir} has no {LOG_FILE}")
    return "".join(part.read_bytes().decode(errors="replace") for part in parts)


def is_remote(path: epath.Path) -> bool:
    """Whether a path is in an object store (gs://)."""
    return "://" in os.fspath(path)


def _parts(folder: epath.Path) -> list[epath.Path]:
    return [path for path in folder.iterdir() if path.stem.isdigit()] if folder.exists() else []
