"""Command lines with options that do not fit, and hostile values."""

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fusejax.cli.main import COMMANDS, main
from fusejax.data.synthetic import write_synthetic_folder
from fuzzing.cases import Cases

_VALUES = (
    "",
    " ",
    "0",
    "-1",
    "1e300",
    "inf",
    "nan",
    "9" * 40,
    "auto",
    "full",
    "None",
    "True",
    "nope",
    "../..",
    "/dev/null",
)
_VALUES += (
    "/proc/x",
    "gs://b/x",
    "http://h/x",
    "a=b",
    "=",
    "-",
    "--",
    "\n",
    "\udcff",
    "é",
    "x" * 300,
    "{pairs}/ir",
    "{pairs}/vi",
)
_VALUES += ("{pairs}/vi/day_000000.png", "{out}", "{out}/a.mkv", "8", "16", "h264", "ffv1", "light", "2G", "30")
_WORDS = (
    "--ir",
    "--vi",
    "--out",
    "--weights",
    "--resize",
    "--keep-ir",
    "--ir-range",
    "--ir-polarity",
    "--bits",
    "--tile",
)
_WORDS += (
    "--memory",
    "--codec",
    "--rate",
    "--temporal",
    "--preview",
    "--panel",
    "--overwrite",
    "--skip-bad",
    "--metrics",
)
_WORDS += (
    "--fused",
    "--boxes",
    "--page",
    "--data-root",
    "--sets",
    "--target",
    "--auxiliary",
    "--format",
    "--size",
    "--help",
)
_WORDS += ("--seeds", "--workdir", "--config", "--devices", "--pairs", "--degradations", "--convention", "--no-such")
_NEVER = ("train", "live", "ablate", "page")  # they run on, or open sockets, or download


class CommandCases(Cases):
    """Command lines; only the statuses 0 to 3 are allowed, and no traceback."""

    expected = ()

    def __init__(self, folder: Path, seed: int):
        """Writes two pairs."""
        super().__init__(folder, seed)
        self.pairs, self.out = folder / "pairs", folder / "out"
        shutil.rmtree(self.pairs, ignore_errors=True)
        write_synthetic_folder(self.pairs, count=2, size=(32, 40))
        os.chdir(folder)

    def prepare(self, number: int, rng: np.random.Generator) -> tuple[None, Callable[[], str | None]]:  # noqa: ARG002
        """See `Cases.prepare`."""
        names = [name for name in COMMANDS if name not in _NEVER]
        command = names[rng.integers(len(names))]
        words = [command]
        if rng.random() < 0.6:
            words += ["--ir", "{pairs}/ir", "--vi", "{pairs}/vi", "--out", "{out}"]
        for _ in range(rng.integers(1, 5)):
            word, value = _WORDS[rng.integers(len(_WORDS))], _VALUES[rng.integers(len(_VALUES))]
            words += [f"{word}={value}"] if rng.random() < 0.3 else [word, value][: rng.integers(1, 3)]
        words = [word.replace("{pairs}", str(self.pairs)).replace("{out}", str(self.out)) for word in words]
        before = {path: path.read_bytes() for path in self.pairs.rglob("*.png")}

        def attempt() -> str | None:
            shutil.rmtree(self.out, ignore_errors=True)
            text, status = io.StringIO(), 0
            try:
                with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                    main(words)
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 1
            except BaseException as error:
                raise RuntimeError(f"{words}: {type(error).__name__}: {error}") from error
            if {path: path.read_bytes() for path in before if path.exists()} != before:
                return f"{words}: sources were changed"
            if status not in (0, 1, 2, 3) or "Traceback" in text.getvalue():
                return f"{words}: status {status}, {text.getvalue()[-200:]!r}"
            return None

        return None, attempt
