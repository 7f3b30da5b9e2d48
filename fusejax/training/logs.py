"""Where a run reports: JSON lines always, a progress bar on a terminal, plain lines elsewhere, TensorBoard if there."""

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fusejax.data.images import write_image


class RunLog:
    """Log of one run in `workdir`: `log.jsonl` (appended to when the run goes on), panels, TensorBoard events."""

    def __init__(self, workdir: Path, *, steps: int, start: int):
        self._workdir = workdir
        self._file = (workdir / "log.jsonl").open("a", buffering=1)
        self._console = Console(file=sys.stdout)
        self._steps = steps
        self._board = None
        if importlib.util.find_spec("tensorboardX"):
            from tensorboardX import SummaryWriter

            self._board = SummaryWriter(str(workdir / "tensorboard"), purge_step=start)
        self._progress = None
        if self._console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self._console,
            )
            self._task = self._progress.add_task("training", total=steps, completed=start)
            self._progress.start()

    def message(self, text: str) -> None:
        """One line for the reader."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def advance(self, step: int) -> None:
        """Moves the progress bar; nothing elsewhere."""
        if self._progress:
            self._progress.update(self._task, completed=step)

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        """A JSON line {"kind", "step", "time", ...} and the same for whoever watches."""
        self._file.write(json.dumps({"kind": kind, "step": step, "time": round(time.time(), 3)} | values) + "\n")
        text = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
        if self._progress and kind == "train":
            self._progress.update(self._task, description=text, completed=step)
        else:
            self.message(f"{kind} {step}/{self._steps}  {text}")
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def picture(self, name: str, step: int, panel: np.ndarray) -> None:
        """A panel (RGB uint8) as panels/NAME_STEP.png and to TensorBoard."""
        write_image(self._workdir / "panels" / f"{name.replace('/', '_')}_{step:07d}.png", panel)
        if self._board:
            self._board.add_image(f"panels/{name}", panel, step, dataformats="HWC")

    def close(self) -> None:
        if self._progress:
            self._progress.stop()
        if self._board:
            self._board.close()
        self._file.close()


def rounded(values: dict[str, Any], digits: int = 6) -> dict[str, float]:
    """Floats with so many significant digits, so that a log stays readable."""
    return {k: float(f"{float(v):.{digits}g}") for k, v in values.items()}
