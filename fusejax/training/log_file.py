"""The lines of a run's log and the keys in them; loads without JAX.

A file `log.jsonl`; in object stores, which cannot append, numbered parts of it.
"""

import os

from etils import epath

LOG_FILE = "log.jsonl"
# Keys of a training line besides the parts of the loss: of every line, of the step, of its cost.
LINE_KEYS = ("kind", "step", "time")
STEP_KEYS = ("loss", "grad_norm", "param_norm", "skipped")
COST_KEYS = ("images_per_second", "step_seconds", "step_seconds_spread", "data_wait_share", "memory_gib")
LEARNING_RATE = "learning_rate"  # alone, or followed by _MODULE

_PARTS = "log"  # folder of 000001.jsonl, ...
_LINES = 500  # of a part: it is uploaded again with every line


class LogFile:
    """A log opened for adding lines; existing ones stay.

    A line is complete in the file, or uploaded, when `write` returns. If a kill has cut off the
    last line, it is terminated first, so that the next line is not appended to it.
    """

    def __init__(self, workdir: epath.Path) -> None:
        self._file = None
        if is_remote(workdir):
            self._folder = workdir / _PARTS
            self._number = max((int(part.stem) for part in _parts(self._folder)), default=0)
            self._lines = [""] * _LINES  # the first line begins a new part: a killed process may have cut the last one
            return
        path = workdir / LOG_FILE
        cut_off = path.exists() and not path.read_bytes().endswith(b"\n")
        self._file = path.open("a")
        if cut_off:
            self._file.write("\n")

    def write(self, line: str) -> None:
        """Adds a line, given without its end.

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
        except Exception as error:  # those of cloud libraries have no common type
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
        raise FileNotFoundError(f"{workdir} holds no {LOG_FILE}")
    return "".join(part.read_bytes().decode(errors="replace") for part in parts)


def is_remote(path: epath.Path) -> bool:
    """Whether a path is in an object store (gs://)."""
    return "://" in os.fspath(path)


def _parts(folder: epath.Path) -> list[epath.Path]:
    return [path for path in folder.iterdir() if path.stem.isdigit()] if folder.exists() else []
