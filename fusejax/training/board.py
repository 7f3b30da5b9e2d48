"""Events for TensorBoard, and for Weights & Biases if asked for."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import UInt8

from fusejax.io.outputs import write_complete
from fusejax.io.run_log import is_remote

_SECONDS_BETWEEN_FLUSHES = 30.0
_WANDB_ID = "wandb_id.txt"  # in the folder of the run, so that a resumed run continues there


class Board:
    """Events of a run for TensorBoard, written in the caller's thread.

    The thread of tensorboardX's `SummaryWriter` dies if the disk is full, and the run then waits
    forever for space in its queue. Here the first failure is reported and ends the events of this
    process; the run's log continues.

    Args:
        folder: folder for the event file, local or remote; created if needed.
        start: number of steps done before; later steps of an earlier process are hidden.
        report: function that prints one line.
    """

    def __init__(self, folder: epath.Path, *, start: int, report: Callable[[str], None]) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog  # pyright: ignore[reportAttributeAccessIssue] - generated code
        from tensorboardX.record_writer import directory_check

        self._report, self._writer, self._flushed = report, None, time.monotonic()

        def open_file() -> None:
            directory_check(str(folder))
            self._writer = EventsWriter(f"{folder}/events")

        self._attempt(open_file)
        self._add(start, session_log=SessionLog(status=SessionLog.START))

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds one value."""
        from tensorboardX.summary import scalar

        self._add(step, summary=scalar(name, value))

    def image(self, name: str, image: UInt8[np.ndarray, "h w 3"], step: int) -> None:
        """Adds an 8-bit RGB image."""
        from tensorboardX.summary import image as image_summary

        self._add(step, summary=image_summary(name, image, dataformats="HWC"))

    def close(self) -> None:
        """Writes pending events."""
        if self._writer is not None:
            self._attempt(self._writer.close)

    def _add(self, step: int, **content: object) -> None:
        from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue] - generated code

        def write() -> None:
            assert self._writer is not None
            self._writer.write_event(Event(wall_time=time.time(), step=step, **content))
            if time.monotonic() - self._flushed > _SECONDS_BETWEEN_FLUSHES:
                self._flushed = time.monotonic()
                self._writer.flush()

        if self._writer is not None:
            self._attempt(write)

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # the errors of cloud libraries have no common type
            self._writer = None
            self._report(f"TensorBoard events stop here, but the log continues: {type(error).__name__}: {error}")


class WandbBoard:
    """Events of a run for Weights & Biases.

    As for TensorBoard, the first failure is reported and ends the events of this process: a missing
    API key, no network, a refused project. wandb's own process uploads or, with WANDB_MODE=offline,
    writes WORKDIR/wandb (./wandb if the folder of the run is remote). What fails in that process
    later, such as on a full disk, is not seen here.

    Args:
        project: name of the project there.
        workdir: folder of the run, which keeps the identifier; a resumed run continues with it.
        config: the settings of the run, for wandb's table of runs.
        report: function that prints one line.
    """

    def __init__(
        self, project: str, workdir: epath.Path, *, config: dict[str, Any], report: Callable[[str], None]
    ) -> None:
        self._report, self._run = report, None
        self._attempt(lambda: self._begin(project, workdir, config))

    def _begin(self, project: str, workdir: epath.Path, config: dict[str, Any]) -> None:
        import wandb  # pyright: ignore[reportMissingImports] - an extra

        file = workdir / _WANDB_ID
        known = file.read_text().strip() if file.exists() else ""
        identifier = known or secrets.token_hex(4)
        if not known:
            write_complete(file, identifier)
        self._run = wandb.init(
            project=project,
            id=identifier,
            resume="allow",
            name=None if known else workdir.name,  # the user may have renamed the run meanwhile
            dir=None if is_remote(workdir) else str(workdir),
            config=config,
            settings=wandb.Settings(console="off"),  # the run has a log, and a progress bar is none
        )
        # wandb ignores values whose step (its own count) is below its last one, such as those of
        # a run that resumes before its last logged step. So `step` is a value like the others.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def scalar(self, name: str, value: float, step: int) -> None:
        """Adds one value, in a row of its own."""
        self._add(name, lambda: value, step)

    def image(self, name: str, image: UInt8[np.ndarray, "h w 3"], step: int) -> None:
        """Adds an 8-bit RGB image."""
        import wandb  # pyright: ignore[reportMissingImports] - an extra

        self._add(name, lambda: wandb.Image(image), step)

    def close(self) -> None:
        """Waits until wandb has uploaded or written everything."""
        if self._run is not None:
            self._attempt(self._run.finish)

    def _add(self, name: str, value: Callable[[], Any], step: int) -> None:
        if (run := self._run) is not None:
            self._attempt(lambda: run.log({name: value(), "step": step}))

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # wandb raises its own errors, those of requests and OSError
            self._run = None
            self._report(f"W&B events stop here, but the log continues: {type(error).__name__}: {error}")


def check_wandb() -> None:
    """Checks that wandb is installed; otherwise a run would notice only after its preparations.

    Raises:
        ValueError: names the extra.
    """
    try:
        # A folder ./wandb of offline runs can be imported, but has no such name.
        from wandb import init  # noqa: F401 # pyright: ignore[reportMissingImports] - an extra
    except ImportError as error:
        raise ValueError(f"--wandb needs the wandb extra: pip install 'fusejax[wandb]' ({error}).") from error
