"""The compiled training steps of a stage."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import jax
from jax.stages import Compiled, Lowered

from fusejax.training.program import Program
from fusejax.training.stages import Stage


class StageSteps:
    """Compiles the functions that take the steps of a stage, each one once and in a thread.

    Their shapes are known before there is a state or a batch, so a function can be compiled while
    these are prepared.

    Args:
        program: the program of the run.
        stage: stage of the steps.
        key: the random key of the run.
        report: prints one line for the user.
    """

    def __init__(self, program: Program, stage: Stage, key: jax.Array, report: Callable[[str], None]) -> None:
        self._program, self._stage, self._key, self._report = program, stage, key, report
        self._compiling: dict[int, Future[tuple[Compiled, float]]] = {}
        self._compiled: dict[int, Compiled] = {}

    def __contains__(self, count: int) -> bool:
        """Whether `get` returns the function for `count` steps at once."""
        return count in self._compiled

    def begin(self, count: int) -> None:
        """Traces the function for `count` steps per call, and starts to compile it."""
        self._report("compiling; the first step can take a minute (less if it was compiled before)")
        start = time.perf_counter()
        step = self._program.step(self._stage, steps=count)
        lowered = step.lower(self._program.target, self._program.abstract_batch(steps=count), self._key)
        thread = ThreadPoolExecutor(1, thread_name_prefix="compile")
        self._compiling[count] = thread.submit(_compile, lowered, start)
        thread.shutdown(wait=False)  # ends the thread after the compilation

    def get(self, count: int) -> Compiled:
        """The function for `count` steps: (state, batch, key) -> (state, logs).

        Waits until it is compiled; starts that if `begin` has not.
        """
        if count not in self._compiled:
            if count not in self._compiling:
                self.begin(count)
            self._compiled[count], seconds = self._compiling.pop(count).result()
            self._report(f"compiled in {seconds:.0f} s")
        return self._compiled[count]


def _compile(lowered: Lowered, start: float) -> tuple[Compiled, float]:
    """The compiled function, and the seconds from `start` to its end."""
    compiled = lowered.compile()
    return compiled, time.perf_counter() - start
