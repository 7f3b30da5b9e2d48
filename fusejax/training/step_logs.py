"""Logs of the steps between two log lines, fetched from the devices together."""

import math
from collections.abc import Callable

import jax

from fusejax.config import TrainConfig
from fusejax.training.meter import Meter


class NonFiniteLoss(RuntimeError):
    """The loss or the gradient became NaN or infinite; the message names step, parts and images."""


class StepLogs:
    """Collects the logs of the steps and their times, without waiting for a device."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._pending: list[tuple[int, list[list[str]], dict[str, jax.Array]]] = []
        self.meter = Meter()

    def add(self, step: int, names: list[list[str]], logs: dict[str, jax.Array]) -> None:
        """Adds the logs of a step, or of several that were dispatched together.

        Args:
            step: the last of these steps.
            names: for each step, the names of the pairs that this process has read for it.
            logs: scalars, or arrays with one value per step for several steps.
        """
        self.meter.stepped(len(names))
        self._pending.append((step, names, logs))

    def flush(self, *, last_checkpoint: Callable[[], int | None]) -> tuple[int, dict[str, float]] | None:
        """Means over the steps since the last call.

        Args:
            last_checkpoint: function that returns the step of the last checkpoint, for the error
                message.

        Returns:
            The last step, and the means by name, which exclude skipped steps. None if there was no
            step.

        Raises:
            NonFiniteLoss: if a step is not finite, unless such steps are skipped and some steps are
                finite.
        """
        if not self._pending:
            return None
        fetched = self._fetch()
        broken = [not all(math.isfinite(v) for v in logs.values()) for logs in fetched]
        if any(broken) and (self._config.non_finite == "stop" or all(broken)):
            raise NonFiniteLoss(self._describe(broken.index(True), fetched, last_checkpoint()))
        fine = [logs for logs, bad in zip(fetched, broken, strict=True) if not bad]
        means = {k: sum(float(logs[k]) for logs in fine) / len(fine) for k in fine[0]}
        if "skipped" in means:
            means["skipped"] = float(fetched[-1]["skipped"])
        step = self._pending[-1][0]
        self._pending = []
        return step, means | self.meter.report(self._config.batch_size)

    def _fetch(self) -> list[dict]:
        """The logs of every single step."""
        fetched = jax.device_get([logs for _, _, logs in self._pending])
        return [
            logs if len(names) == 1 else {k: v[n] for k, v in logs.items()}
            for (_, names, _), logs in zip(self._pending, fetched, strict=True)
            for n in range(len(names))
        ]

    def _describe(self, index: int, fetched: list[dict], last_checkpoint: int | None) -> str:
        steps = [
            (last - len(names) + n, read) for last, names, _ in self._pending for n, read in enumerate(names, start=1)
        ]
        step, names = steps[index]
        parts = ", ".join(f"{k} {float(v):.6g}" for k, v in fetched[index].items())
        return (
            f"step {step} is not finite: {parts}. Images of that batch: {', '.join(names)}. The last "
            f"checkpoint is step {last_checkpoint}; lower the learning rate, look at these images, or "
            "skip such steps with --non-finite skip."
        )
