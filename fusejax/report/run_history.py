"""The log of a run (`log.jsonl`), without steps that a restart has discarded."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float

from fusejax.io.run_log import COST_KEYS, LEARNING_RATE, LINE_KEYS, LOG_FILE, STEP_KEYS, read_log, run_folder

Line = dict[str, Any]
_LARGEST = 2.0**63
_NAME_AND_END = 2  # entries of a stage in the start line


@dataclasses.dataclass(frozen=True)
class Segment:
    """Steps of one stage: those after step `start`, up to step `end`.

    Attributes:
        name: name of the stage; empty if it is not in the log.
        start: last step before the stage.
        end: last step of the stage so far.
    """

    name: str
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class History:
    """The log of a run as if it had never been interrupted.

    Attributes:
        train: training lines in the order of their steps, one per step.
        validation: validation lines, likewise.
        starts: start line of each process; inferred from repeated step numbers if the log has no
            start lines.
        repeated: number of steps that were lost because the last checkpoint was older, and were
            done again.
        running: seconds during which a process ran.
        elapsed: seconds from the first line to the last.
        notes: descriptions of lines that could not be read.
    """

    train: list[Line]
    validation: list[Line]
    starts: list[Line]
    repeated: int
    running: float
    elapsed: float
    notes: list[str]

    @property
    def restarts(self) -> list[int]:
        """Steps after which the run was resumed."""
        return [int(line["step"]) for line in self.starts[1:]]

    @property
    def name(self) -> str:
        """Name of the configuration; empty if it is not in the log."""
        return str(self.starts[-1].get("name", "")) if self.starts else ""

    @property
    def last_step(self) -> int:
        """The last logged step."""
        return int(self.train[-1]["step"])

    @property
    def total_steps(self) -> int | None:
        """Length of the run in steps; None if it is not in the log."""
        return self.starts[-1].get("steps") if self.starts else None

    def parts(self) -> list[str]:
        """Names of the parts of the loss, in the order of their first appearance."""
        known = (*LINE_KEYS, *STEP_KEYS, *COST_KEYS)
        return [k for k in _keys(self.train) if k not in known and not k.startswith(LEARNING_RATE)]

    def learning_rates(self) -> list[str]:
        """Keys of the learning rates: one, or one for each module."""
        return [k for k in _keys(self.train) if k.startswith(LEARNING_RATE)]

    def scores(self) -> list[str]:
        """Names of the validation scores."""
        return [k for k in _keys(self.validation) if k not in LINE_KEYS]

    def windows(self) -> list[int]:
        """Number of steps that each training line covers."""
        steps = [int(line["step"]) for line in self.train]
        return np.diff(steps, prepend=min(0, steps[0])).tolist()


def _keys(lines: Iterable[Line]) -> list[str]:
    return list(dict.fromkeys(key for line in lines for key in line))


def series(lines: Sequence[Line], name: str) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Steps and values of the lines in which that quantity is a finite number."""
    found = [(line["step"], line[name]) for line in lines if isinstance(line.get(name), int | float)]
    steps, values = np.array(found, float).reshape(-1, 2).T
    return steps[np.isfinite(values)], values[np.isfinite(values)]


def read_history(workdir: epath.PathLike) -> History:
    """Reads the log of a run, which may still be running.

    A line that was truncated by a kill is skipped and noted. If a run was resumed from an older
    checkpoint, the original lines of the steps after it are replaced by the later ones.

    Args:
        workdir: folder of the run, local or remote (gs://).

    Raises:
        ValueError: if there is no log, or if it has no training line yet.
    """
    try:
        lines, notes = _parse(read_log(run_folder(workdir)))
    except FileNotFoundError as error:
        raise ValueError(f"{error}; give the --workdir of a `fusejax train` run.") from error
    history = _merge(_sessions(lines), notes)
    if not history.train:
        raise ValueError(f"The log of {workdir} has no training line yet; the first is written after log_every steps.")
    return history


def _sessions(lines: Sequence[Line]) -> list[list[Line]]:
    """Splits the log into the lines of each process, which begin with a start line.

    In a log without start lines, a process begins where training steps are repeated.
    """
    has_start_lines = any(line["kind"] == "start" for line in lines)
    sessions: list[list[Line]] = []
    last_step = 0.0
    for line in lines:
        repeated = line["kind"] == "train" and line["step"] <= last_step
        if not sessions or (line["kind"] == "start" if has_start_lines else repeated):
            sessions.append([])
        sessions[-1].append(line)
        if line["kind"] == "train":
            last_step = line["step"]
    return sessions


def _merge(sessions: Sequence[list[Line]], notes: list[str]) -> History:
    """Merges sessions: each session discards earlier lines after the step from which it starts."""
    train: dict[float, Line] = {}
    validation: dict[float, Line] = {}
    starts, times, repeated = [], [], 0
    for number, session in enumerate(sessions):
        start = session[0] if session[0]["kind"] == "start" else None
        if start is None and number > 0:
            first = session[0]["step"]
            start = {"step": max((step for step in train if step < first), default=0)}
        if start is not None:
            repeated += max(0, int(max(train, default=0) - start["step"]))
            train = {step: line for step, line in train.items() if step <= start["step"]}
            validation = {step: line for step, line in validation.items() if step <= start["step"]}
            starts.append(start)
        train |= {line["step"]: line for line in session if line["kind"] == "train"}
        validation |= {line["step"]: line for line in session if line["kind"] == "validation"}
        times.append([line["time"] for line in session if isinstance(line.get("time"), int | float)])
    if starts and "kind" not in starts[0]:
        starts.insert(0, {"step": 0})
    times = [t for t in times if t]
    return History(
        train=list(train.values()),
        validation=list(validation.values()),
        starts=starts,
        repeated=repeated,
        running=sum(t[-1] - t[0] for t in times),
        elapsed=times[-1][-1] - times[0][0] if times else 0.0,
        notes=notes,
    )


def _parse(text: str) -> tuple[list[Line], list[str]]:
    """The lines of a log, and notes about those that cannot be read."""
    lines, notes, rows = [], [], text.splitlines()
    for n, row in enumerate(rows, start=1):
        # A kill may leave half a line, to which the next process appends its first line.
        line, rest = _load(row), _load(row[row.rfind('{"kind"') :])
        if line is None and row.strip():
            last = " (the run was killed there, or is writing it)" if n == len(rows) else ""
            notes.append(f"line {n} of {LOG_FILE} is truncated and was skipped{last}")
        found = line or rest
        if found and (usable := _usable(found)):
            lines.append(usable)
        elif found:
            notes.append(f"line {n} of {LOG_FILE} has a step that is no number and was skipped")
    return lines, notes


def _usable(line: Line) -> Line | None:
    """The line without values that no run writes; None if its step is none of a run."""
    if not _is_number(line["step"]) or line["step"] < 0:
        return None
    kept = {key: value for key, value in line.items() if not isinstance(value, int) or _is_number(value)}
    stages = kept.get("stages")
    named = isinstance(stages, list) and all(
        isinstance(s, list) and len(s) == _NAME_AND_END and _is_number(s[1]) for s in stages
    )
    if not named:
        kept.pop("stages", None)
    if not _is_number(kept.get("steps")):
        kept.pop("steps", None)
    return kept


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < _LARGEST


def _load(row: str) -> Line | None:
    try:
        line = json.loads(row)
    except (ValueError, RecursionError):
        return None
    return line if isinstance(line, dict) and {"kind", "step"} <= line.keys() else None


def segments(history: History) -> list[Segment]:
    """The stages that have started.

    They are taken from the start line's `stages` ([[name, last step], ...]) or, without it, from
    the steps at which the logged parts or learning rates change.
    """
    if stages := history.starts[-1].get("stages") if history.starts else None:
        starts = [0, *(end for _, end in stages)]
        named = [Segment(name, start, end) for start, (name, end) in zip(starts, stages, strict=False)]
        reached = [s for s in named if s.start < history.last_step]
        return [dataclasses.replace(s, end=min(s.end, history.last_step)) for s in reached]
    names = {*history.parts(), *history.learning_rates()}
    found: list[tuple[set[str], int, int]] = []
    for line, window in zip(history.train, history.windows(), strict=True):
        logged, step = names & line.keys(), int(line["step"])
        if found and found[-1][0] == logged:
            found[-1] = (logged, found[-1][1], step)
        else:
            found.append((logged, step - window, step))
    return [Segment("", start, end) for _, start, end in found]
