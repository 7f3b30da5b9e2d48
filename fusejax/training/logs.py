"""Reporting of a run: JSON lines, a progress bar or plain lines, TensorBoard if installed, W&B."""

import importlib.util
import json
import sys
import time
from typing import Any

import jax
import numpy as np
from etils import epath
from jaxtyping import UInt8
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fusejax.io.images import write_image
from fusejax.io.run_log import LogFile
from fusejax.training.board import Board, WandbBoard


class RunLog:
    """Log of one run: JSON lines, panels and events for boards; a resumed run adds to them.

    Args:
        workdir: folder of the run; None for all but the first of several processes, which neither
            write nor print.
        steps: length of the run in steps.
        start: number of steps done before.
    """

    def __init__(self, workdir: epath.Path | None, *, steps: int, start: int) -> None:
        self._workdir = workdir
        self._file = None if workdir is None else LogFile(workdir)
        self._console = Console(file=sys.stdout, quiet=workdir is None)
        self._steps, self._start = steps, start
        self._boards: list[Board | WandbBoard] = []
        self._progress = None
        if self._console.is_terminal and workdir is not None:
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

    def begin(self, name: str, step: int, mesh: jax.sharding.Mesh, stages: dict[str, int]) -> None:
        """Announces and logs the start; a run that was stopped has several such lines.

        Args:
            name: name of the configuration.
            step: number of steps done before.
            mesh: the devices.
            stages: the last step of each stage, by name.
        """
        sizes = " x ".join(f"{size} {axis}" for axis, size in mesh.shape.items())
        process = f"process {jax.process_index()} of {jax.process_count()}"
        verb = "continues" if step else "starts"
        self.message(f"{name} {verb} at step {step} of {self._steps} on {mesh.size} device(s) ({sizes}), {process}")
        about = {"name": name, "steps": self._steps, "stages": list(stages.items())}
        about |= {"devices": mesh.size, "processes": jax.process_count()}
        self._write("start", step, about)

    def open_boards(self, *, wandb: str, config: dict[str, Any]) -> None:
        """Opens the file of TensorBoard events if tensorboardX is installed, and a run of Weights &
        Biases if asked for; importing them takes seconds.

        Args:
            wandb: project of Weights & Biases; "" opens no run there.
            config: the settings of the run.
        """
        if self._workdir is None:
            return
        if importlib.util.find_spec("tensorboardX"):
            self._boards.append(Board(self._workdir / "tensorboard", start=self._start, report=self.message))
        if wandb:
            self._boards.append(WandbBoard(wandb, self._workdir, config=config, report=self.message))

    def _write(self, kind: str, step: int, values: dict[str, Any]) -> None:
        """Adds a line to the log; failures are reported but do not stop the run."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps({"kind": kind, "step": step, "time": round(time.time(), 3)} | values))
        except OSError as error:
            self.message(f"step {step} could not be logged: {error}")

    def message(self, text: str) -> None:
        """Prints one line for the user."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def advance(self, step: int) -> None:
        """Moves the progress bar, if there is one."""
        if self._progress:
            self._progress.update(self._task, completed=step)

    def pace(self, text: str) -> None:
        """Prints one line on speed and remaining time, unless a progress bar shows them."""
        if not self._progress:
            self.message(text)

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        """Logs a JSON line {"kind", "step", "time", ...} and prints the same values."""
        self._write(kind, step, values)
        text = "  ".join(f"{k} {v:.4g}" for k, v in values.items())
        if self._progress and kind == "train":
            self._progress.update(self._task, description=text, completed=step)
        else:
            self.message(f"{kind} {step}/{self._steps}  {text}")
        for board in self._boards:
            for name, value in values.items():
                board.scalar(f"{kind}/{name}", value, step)

    def panel(self, name: str, step: int, panel: UInt8[np.ndarray, "h w 3"]) -> None:
        """Writes a panel (8-bit RGB) as panels/NAME_STEP.png and to the boards."""
        if self._workdir is None:
            return
        try:
            write_image(self._workdir / "panels" / f"{name.replace('/', '_')}_{step:07d}.png", panel)
        except OSError as error:
            self.message(f"the panel of step {step} could not be written: {error}")
        for board in self._boards:
            board.image(f"panels/{name}", panel, step)

    def close(self) -> None:
        """Writes what is pending; failures are reported, they must not hide why the run ends."""
        if self._progress:
            self._progress.stop()
        for board in self._boards:
            board.close()
        if self._file:
            try:
                self._file.close()
            except OSError as error:
                self.message(f"the last lines of the log are lost: {error}")


def rounded(values: dict[str, Any]) -> dict[str, float]:
    """Rounds values to six significant digits, so that a log stays readable."""
    return {k: float(f"{float(v):.6g}") for k, v in values.items()}
