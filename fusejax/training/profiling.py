"""A profiler trace of some steps of a run."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
from etils import epath


class StepProfiler:
    """Writes a trace of the steps `steps` (the first step of a run is 1) to `folder`."""

    def __init__(self, folder: epath.Path, steps: range, say: Callable[[str], None]) -> None:
        self._folder, self._steps, self._say = folder, steps, say
        self._tracing = False

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Ends a trace that is still open when the run ends."""
        try:
            yield
        finally:
            if self._tracing:
                self._stop("until the run ended")

    def before(self, step: int) -> None:
        """Starts the trace before its first step."""
        if self._steps and step == self._steps[0]:
            jax.profiler.start_trace(str(self._folder))
            self._tracing = True

    def after(self, step: int, state: Any) -> None:
        """Ends the trace after its last step, once the devices have computed `state`."""
        if self._tracing and step == self._steps[-1]:
            jax.block_until_ready(state)
            self._stop(f"to {step}")

    def _stop(self, until: str) -> None:
        """Writes the trace; a failure is reported but does not stop the run."""
        self._tracing = False
        trace = f"trace of steps {self._steps[0]} {until}"
        try:
            jax.profiler.stop_trace()
            self._say(f"{trace} in {self._folder}")
        except (RuntimeError, OSError) as error:
            self._say(f"{trace} could not be written: {error}")
