"""Progress of a loop: a bar on a terminal, an occasional plain line elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

T = TypeVar("T")

_SECONDS_BETWEEN_LINES = 10.0


class _Speed(ProgressColumn):
    def __init__(self, unit: str):
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        return Text(speed_text(task.speed, self._unit) if task.speed else "")


def track(items: Iterable[T], total: int, *, description: str, unit: str) -> Iterator[T]:
    """Yields the items and reports progress, speed and remaining time on standard error.

    Args:
        items: items to iterate over.
        total: number of items.
        description: what is being done, such as "scoring".
        unit: plural name of an item, such as "pairs".

    Yields:
        The items, unchanged.
    """
    console = Console(file=sys.stderr)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(unit),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as bar:
            yield from bar.track(items, total=total, description=description)
        return
    start = last = time.perf_counter()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.perf_counter()
        if now - last > _SECONDS_BETWEEN_LINES or done == total:
            speed = done / (now - start)
            left = f", {duration((total - done) / speed)} left" if done < total else ""
            print(f"{description} {done}/{total}  {speed_text(speed, unit)}{left}", file=sys.stderr, flush=True)
            last = now


def speed_text(speed: float, unit: str) -> str:
    """Formats a speed as "2.50 pairs/s" or, below one item per second, as "20 s per pair".

    Args:
        speed: items per second, above 0.
        unit: plural name of an item.
    """
    return f"{speed:.2f} {unit}/s" if speed >= 1 else f"{duration(1 / speed)} per {unit.removesuffix('s')}"


def duration(seconds: float) -> str:
    """Formats a duration with the digits that matter: "1.4 s", "8 s", "12 min", "3 h 20 min"."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 5 else f"{seconds:.0f} s"
    minutes = int(seconds / 60 + 0.5)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
