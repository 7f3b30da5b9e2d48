"""Key figures of a run from its log, and their text."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from fusejax.progress import duration
from fusejax.report.run_history import History, Line, Segment, segments, series


@dataclasses.dataclass(frozen=True)
class StageLoss:
    """The loss of one stage; stages may use different losses."""

    stage: Segment
    first: float
    last: float
    best: float
    best_step: int


@dataclasses.dataclass(frozen=True)
class Summary:
    """Key figures of a run; None for figures that are not in the log.

    Attributes:
        steps: number of steps done.
        total_steps: length of the run.
        running_seconds: seconds during which a process ran.
        elapsed_seconds: seconds from the first line to the last.
        restarts: steps after which the run was resumed.
        repeated_steps: number of steps done again after restarts.
        losses: the loss of each stage.
        scores: step and value of the best of each validation score; None if it was never finite.
        images_per_second: total images divided by total seconds.
        step_seconds: median over the lines.
        step_seconds_range: 5th and 95th percentile over the lines.
        step_seconds_spread: median of the standard deviations over the steps within a line.
        data_wait_share: fraction of the total time spent waiting for data.
        skipped: number of steps skipped because they were not finite.
        memory_gib: peak memory in GiB.
    """

    steps: int
    total_steps: int | None
    running_seconds: float
    elapsed_seconds: float
    restarts: list[int]
    repeated_steps: int
    losses: list[StageLoss]
    scores: dict[str, tuple[int, float] | None]
    images_per_second: float | None
    step_seconds: float | None
    step_seconds_range: tuple[float, float] | None
    step_seconds_spread: float | None
    data_wait_share: float | None
    skipped: int | None
    memory_gib: float | None


def higher_is_better(metric: str) -> bool:
    """Direction of a validation score; for unknown scores, higher counts as better."""
    from fusejax.metrics import direction  # slow to import

    return metric not in direction.METRICS or direction.higher_is_better(metric)


def best(lines: Sequence[Line], name: str, *, higher: bool) -> tuple[int, float] | None:
    """Step and value of the first occurrence of the best value; None if there is none."""
    steps, values = series(lines, name)
    if not len(values):
        return None
    n = int(np.argmax(values) if higher else np.argmin(values))
    return int(steps[n]), float(values[n])


def summarize(history: History) -> Summary:
    """The key figures of a run."""
    train = history.train
    windows = dict(zip((line["step"] for line in train), history.windows(), strict=True))
    rate_steps, rates = series(train, "images_per_second")
    counts = np.array([windows[s] for s in rate_steps])
    durations, spreads = series(train, "step_seconds")[1], series(train, "step_seconds_spread")[1]
    wait_steps, waits = series(train, "data_wait_share")
    seconds = {line["step"]: line.get("step_seconds", 1.0) for line in train}
    weights = np.array([windows[s] * seconds[s] for s in wait_steps])
    skipped, memory = series(train, "skipped")[1], series(train, "memory_gib")[1]
    scores = {n: best(history.validation, n, higher=higher_is_better(n)) for n in history.scores()}
    low, high = np.percentile(durations, [5, 95]).tolist() if len(durations) else (0.0, 0.0)
    return Summary(
        steps=history.last_step,
        total_steps=history.total_steps,
        running_seconds=history.running,
        elapsed_seconds=history.elapsed,
        restarts=history.restarts,
        repeated_steps=history.repeated,
        losses=_losses(history),
        scores=scores,
        images_per_second=float(counts.sum() / (counts / rates).sum()) if len(rates) and min(rates) > 0 else None,
        step_seconds=float(np.median(durations)) if len(durations) else None,
        step_seconds_range=(low, high) if len(durations) else None,
        step_seconds_spread=float(np.median(spreads)) if len(spreads) else None,
        data_wait_share=float(np.average(waits, weights=weights)) if weights.sum() else None,
        skipped=int(skipped[-1]) if len(skipped) else None,
        memory_gib=float(memory.max()) if len(memory) else None,
    )


def _losses(history: History) -> list[StageLoss]:
    losses = []
    for stage in segments(history):
        lines = [line for line in history.train if stage.start < line["step"] <= stage.end]
        values = series(lines, "loss")[1]
        if lowest := best(lines, "loss", higher=False):
            losses.append(StageLoss(stage, float(values[0]), float(values[-1]), lowest[1], lowest[0]))
    return losses


def summary_text(history: History) -> str:
    """The summary as text, one line per figure that is in the log."""
    found, stages = summarize(history), segments(history)
    total = f" of {found.total_steps}" if found.total_steps else ""
    rows = [("run", history.name), ("steps", f"{found.steps}{total}")]
    if len(stages) > 1:
        spans = [f"{s.name or n} (steps {s.start + 1} to {s.end})" for n, s in enumerate(stages, start=1)]
        rows.append(("stages", ", ".join(spans)))
    idle = found.elapsed_seconds - found.running_seconds
    idle_text = f", idle for {duration(idle)}" if idle >= 1 else ""
    rows.append(("wall time", duration(found.running_seconds) + idle_text))
    if found.restarts:
        steps = ", ".join(map(str, found.restarts))
        rows.append(("restarts", f"{len(found.restarts)}, at step {steps}; {found.repeated_steps} steps repeated"))
    for n, loss in enumerate(found.losses, start=1):
        name = f"loss, stage {loss.stage.name or n}" if len(found.losses) > 1 else "loss"
        values = f"first {loss.first:.4g}, last {loss.last:.4g}, best {loss.best:.4g} at step {loss.best_step}"
        rows.append((name, values))
    for name, score in found.scores.items():
        rows.append((f"best {name}", f"{score[1]:.4f} at step {score[0]}" if score else "never defined"))
    rows += [*_cost_rows(found), *(("note", note) for note in history.notes)]
    width = max(18, *(len(name) for name, _ in rows)) + 2
    return "\n".join(f"{name:{width}}{text}" for name, text in rows if text)


def _cost_rows(found: Summary) -> list[tuple[str, str]]:
    rows = []
    if found.images_per_second:
        rows.append(("throughput", f"{found.images_per_second:.4g} images/s"))
    if found.step_seconds is not None and found.step_seconds_range is not None:
        low, high = found.step_seconds_range
        spread = found.step_seconds_spread
        within = f", spread within a log window {spread:.3g} s" if spread is not None else ""
        rows.append(("step time", f"median {found.step_seconds:.4g} s (5% to 95%: {low:.4g} to {high:.4g}){within}"))
    if found.data_wait_share is not None:
        rows.append(("waiting for data", f"{found.data_wait_share:.1%} of the time"))
    if found.skipped is not None:
        rows.append(("skipped steps", f"{found.skipped} not finite"))
    if found.memory_gib is not None:
        rows.append(("memory, peak", f"{found.memory_gib:.2f} GiB"))
    return rows
