"""What the log of a run (`log.jsonl`) says about the steps that count: lines, stages, restarts, and a summary."""

import dataclasses
import json

import numpy as np
from etils import epath

from fusejax.training.log_file import LOG_FILE, read_log

# What a training line holds beside the loss and its parts, and learning rates.
_NOT_PARTS = {
    "kind", "step", "time", "loss", "grad_norm", "param_norm", "images_per_second", "step_seconds",
    "step_seconds_spread", "data_wait_share", "memory_gib", "skipped",
}  # fmt: skip

Line = dict[str, float | str]


@dataclasses.dataclass(frozen=True)
class Segment:
    """Steps of one stage: after step `start`, up to step `end`; its name, empty where the log does not tell."""

    name: str
    start: int
    end: int


@dataclasses.dataclass
class History:
    """The log without what a restart took back.

    Attributes:
      train, validation: lines in the order of their steps, one for each step.
      starts: the lines of the process's starts; in a log that has none, made of where steps came again.
      repeated: steps that were done and lost, because the last checkpoint was older.
      running, elapsed: seconds in which a process ran, and seconds from the first line to the last.
      notes: lines that could not be read, in words.
    """

    train: list[Line] = dataclasses.field(default_factory=list)
    validation: list[Line] = dataclasses.field(default_factory=list)
    starts: list[Line] = dataclasses.field(default_factory=list)
    repeated: int = 0
    running: float = 0.0
    elapsed: float = 0.0
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def restarts(self) -> list[int]:
        """Steps at which the run was taken up again."""
        return [int(line["step"]) for line in self.starts[1:]]

    @property
    def name(self) -> str:
        return str(self.starts[-1].get("name", "")) if self.starts else ""

    @property
    def last_step(self) -> int:
        return int(self.train[-1]["step"])

    @property
    def total_steps(self) -> int | None:
        return self.starts[-1].get("steps") if self.starts else None

    def parts(self) -> list[str]:
        """Names of the loss's parts, in the order of their first appearance."""
        names = [k for line in self.train for k in line]
        return [k for k in dict.fromkeys(names) if k not in _NOT_PARTS and not k.startswith("learning_rate")]

    def learning_rates(self) -> list[str]:
        return [k for k in dict.fromkeys(k for line in self.train for k in line) if k.startswith("learning_rate")]

    def scores(self) -> list[str]:
        return [k for k in dict.fromkeys(k for line in self.validation for k in line) if k not in _NOT_PARTS]

    def windows(self) -> list[int]:
        """How many steps each training line stands for."""
        steps = [int(line["step"]) for line in self.train]
        return np.diff(steps, prepend=min(0, steps[0])).tolist()


def series(lines: list[Line], name: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of the lines that hold a finite number of that name."""
    found = [(line["step"], line[name]) for line in lines if isinstance(line.get(name), int | float)]
    steps, values = np.array(found, float).reshape(-1, 2).T
    return steps[np.isfinite(values)], values[np.isfinite(values)]


def read_history(workdir: epath.PathLike) -> History:
    """Reads the log of a run, also of one that is going on.

    A line that a kill cut off is left out and noted. Where a run was taken up from an older checkpoint, the lines of
    the steps behind it give way to the later ones.
    Raises: ValueError where there is no log, or no training line in it yet.
    """
    try:
        lines, notes = _parse(read_log(epath.Path(workdir)))
    except FileNotFoundError as error:
        raise ValueError(f"{error}; give the --workdir of a `fusejax train` run.") from error
    told = any(line["kind"] == "start" for line in lines)
    history, times = History(notes=notes), []
    for line in lines:
        step, last = line["step"], history.last_step if history.train else None
        again = not told and line["kind"] == "train" and last is not None and step <= last
        if line["kind"] == "start":
            history.repeated += max(0, (last or 0) - step)
            _forget(history, step)
            history.starts.append(line)
        elif line["kind"] == "train":
            _forget(history, step - 1)
            if again:
                kept = history.last_step if history.train else 0
                history.repeated += last - kept
                history.starts.append({"step": kept})
            history.train.append(line)
        elif line["kind"] == "validation":
            while history.validation and history.validation[-1]["step"] >= step:
                history.validation.pop()
            history.validation.append(line)
        if line["kind"] == "start" or again or not times:
            times.append([])
        if isinstance(line.get("time"), int | float):
            times[-1].append(line["time"])
    if not history.train:
        raise ValueError(f"The log of {workdir} holds no training line yet; the first one comes after log_every steps.")
    if not told and history.starts:
        history.starts.insert(0, {"step": 0})
    times = [t for t in times if t]
    history.running = sum(t[-1] - t[0] for t in times)
    history.elapsed = times[-1][-1] - times[0][0] if times else 0.0
    return history


def _parse(text: str) -> tuple[list[Line], list[str]]:
    lines, notes, rows = [], [], text.splitlines()
    for n, row in enumerate(rows, start=1):
        # A kill leaves half a line, and the next process writes on behind it.
        line, rest = _load(row), _load(row[row.rfind('{"kind"') :])
        if line is None and row.strip():
            last = " (the run was killed there, or is writing it)" if n == len(rows) else ""
            notes.append(f"line {n} of {LOG_FILE} is cut off and left out{last}")
        if line or rest:
            lines.append(line or rest)
    return lines, notes


def _load(row: str) -> Line | None:
    try:
        line = json.loads(row)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"kind", "step"} <= line.keys() else None


def _forget(history: History, step: int) -> None:
    """Drops what was logged behind a step."""
    if history.train and history.last_step > step:
        history.train = [line for line in history.train if line["step"] <= step]
        history.validation = [line for line in history.validation if line["step"] <= step]


def segments(history: History) -> list[Segment]:
    """The stages as far as they got: as the start line's `stages` ([[name, last step], ...]) tells, else from where
    the logged parts or learning rates become others."""
    told = history.starts[-1].get("stages") if history.starts else None
    if told:
        starts = [0, *(end for _, end in told)]
        named = [Segment(name, start, end) for start, (name, end) in zip(starts, told, strict=False)]
        return [dataclasses.replace(s, end=min(s.end, history.last_step)) for s in named if s.start < history.last_step]
    names = set(history.parts()) | set(history.learning_rates())
    found: list[tuple[set, int, int]] = []
    for line, window in zip(history.train, history.windows(), strict=True):
        logged, step = names & line.keys(), int(line["step"])
        if found and found[-1][0] == logged:
            found[-1] = (logged, found[-1][1], step)
        else:
            found.append((logged, step - window, step))
    return [Segment("", start, end) for _, start, end in found]


def higher_is_better(metric: str) -> bool:
    from fusejax.metrics import table  # slow to import

    return metric not in table.METRICS or table.higher_is_better(metric)


def best(lines: list[Line], name: str, *, higher: bool) -> tuple[int, float] | None:
    """(step, value) of the first best value; None where there is none."""
    steps, values = series(lines, name)
    if not len(values):
        return None
    n = int(np.argmax(values) if higher else np.argmin(values))
    return int(steps[n]), float(values[n])


def summarise(history: History) -> dict:
    """Numbers of a run; None where the log does not tell.

    `images_per_second` is all images over all seconds, `data_wait_share` a share of all seconds. `step_seconds` is the
    median over the lines, `step_seconds_range` their 5th and 95th percentile, `step_seconds_spread` the median of the
    standard deviations within a line's steps. `losses` has a row for each stage, since stages differ in their losses.
    """
    train, windows = history.train, dict(zip((t["step"] for t in history.train), history.windows(), strict=True))
    rate_steps, rates = series(train, "images_per_second")
    counts = np.array([windows[s] for s in rate_steps])
    _, durations = series(train, "step_seconds")
    _, spreads = series(train, "step_seconds_spread")
    wait_steps, waits = series(train, "data_wait_share")
    seconds = {line["step"]: line.get("step_seconds", 1.0) for line in train}
    weights = np.array([windows[s] * seconds[s] for s in wait_steps])
    skipped, memory = series(train, "skipped")[1], series(train, "memory_gib")[1]
    losses = []
    for stage in segments(history):
        lines = [line for line in train if stage.start < line["step"] <= stage.end]
        _, values = series(lines, "loss")
        if len(values):
            low = best(lines, "loss", higher=False)
            losses.append({"stage": stage, "first": values[0], "last": values[-1], "best": low[1], "best_step": low[0]})
    return {
        "steps": history.last_step,
        "total_steps": history.total_steps,
        "running_seconds": history.running,
        "elapsed_seconds": history.elapsed,
        "restarts": history.restarts,
        "repeated_steps": history.repeated,
        "losses": losses,
        "scores": {n: best(history.validation, n, higher=higher_is_better(n)) for n in history.scores()},
        "images_per_second": float(counts.sum() / (counts / rates).sum()) if len(rates) and (rates > 0).all() else None,
        "step_seconds": float(np.median(durations)) if len(durations) else None,
        "step_seconds_range": np.percentile(durations, [5, 95]).tolist() if len(durations) else None,
        "step_seconds_spread": float(np.median(spreads)) if len(spreads) else None,
        "data_wait_share": float(np.average(waits, weights=weights)) if weights.sum() else None,
        "skipped": int(skipped[-1]) if len(skipped) else None,
        "memory_gib": float(memory.max()) if len(memory) else None,
    }
