"""The lines of a run's log. A file `log.jsonl`; in object stores, which cannot append, numbered parts of it."""

import os

from etils import epath

LOG_FILE = "log.jsonl"
_PARTS = "log"  # folder of 000001.jsonl, ...
_LINES = 500  # of a part: it is uploaded again with every line


class LogFile:
    """Opened to add lines: what is there stays.

    A line is complete in the file, or uploaded, when `write` returns. A last line that a kill has cut off is ended
    first, so that it spoils no other.
    """

    def __init__(self, workdir: epath.Path):
        self._file = None
        if _is_remote(workdir):
            self._folder = workdir / _PARTS
            self._number = max((int(part.stem) for part in _parts(self._folder)), default=0)
            self._lines = [""] * _LINES  # the first line begins a part: the last one may be that of a killed process
            return
        path = workdir / LOG_FILE
        cut_off = path.exists() and not path.read_bytes().endswith(b"\n")
        self._file = path.open("a")
        if cut_off:
            self._file.write("\n")

    def write(self, line: str) -> None:
        """Adds a line, given without its end. Raises OSError where it could not be written."""
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
    """All lines so far. Raises FileNotFoundError where there is no log."""
    parts = sorted(_parts(workdir / _PARTS)) if _is_remote(workdir) else [workdir / LOG_FILE]
    if not parts or not parts[0].exists():
        raise FileNotFoundError(f"{workdir} holds no {LOG_FILE}")
    return "".join(part.read_bytes().decode(errors="replace") for part in parts)


def _is_remote(path: epath.Path) -> bool:
    return "://" in os.fspath(path)


def _parts(folder: epath.Path) -> list[epath.Path]:
    return [path for path in folder.iterdir() if path.stem.isdigit()] if folder.exists() else []
