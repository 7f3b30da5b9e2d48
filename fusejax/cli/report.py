"""`fusejax report`: one picture and a summary of a run, from its log alone; also while the run is going on."""

import dataclasses
from collections.abc import Callable
from typing import Annotated

import numpy as np
import tyro
from etils import epath

from fusejax.report.progress import duration
from fusejax.report.run_history import (
    History,
    best,
    higher_is_better,
    read_history,
    segments,
    series,
    summarise,
)

_COLUMNS = 3
_STEEP = 20.0  # a positive line that spans more than this ratio is drawn on a logarithmic axis
_RESTART, _STAGE = {"color": "tab:red", "linestyle": "--"}, {"color": "0.4", "linestyle": ":"}


@dataclasses.dataclass(frozen=True)
class ReportOptions:
    """Draws and sums up what a run has logged.

    Attributes:
      workdir: folder of the run, local or remote (gs://).
      out: where the picture goes (PNG); report.png in the run's folder by default.
    """

    workdir: Annotated[str, tyro.conf.Positional]
    out: str | None = None


def report_command(options: ReportOptions) -> None:
    """Prints the summary and writes the picture. Raises ValueError where there is nothing to report."""
    history = read_history(options.workdir)
    path = epath.Path(options.out) if options.out else epath.Path(options.workdir) / "report.png"
    if path.suffix.lower() != ".png":
        raise ValueError(f"--out {path} is no .png file.")
    draw_report(path, history)
    print(summary_text(history))
    print(f"written to {path}")


def summary_text(history: History) -> str:
    """A line for each thing that the log tells."""
    found = summarise(history)
    of = f" of {found['total_steps']}" if found["total_steps"] else ""
    rows = [("run", history.name), ("steps", f"{found['steps']}{of}")]
    spans = [f"{s.name or n} (steps {s.start + 1} to {s.end})" for n, s in enumerate(segments(history), start=1)]
    rows.append(("stages", ", ".join(spans) if len(spans) > 1 else ""))
    stood = found["elapsed_seconds"] - found["running_seconds"]
    rows.append(("wall time", duration(found["running_seconds"]) + (f", stood {duration(stood)}" * (stood >= 1))))
    if found["restarts"]:
        steps, lost = ", ".join(map(str, found["restarts"])), found["repeated_steps"]
        rows.append(("restarts", f"{len(found['restarts'])}, at step {steps}; {lost} steps repeated"))
    for n, row in enumerate(found["losses"], start=1):
        name = f"loss, stage {row['stage'].name or n}" if len(found["losses"]) > 1 else "loss"
        values = f"first {row['first']:.4g}, last {row['last']:.4g}, best {row['best']:.4g} at step {row['best_step']}"
        rows.append((name, values))
    for name, score in found["scores"].items():
        rows.append((f"best {name}", f"{score[1]:.4f} at step {score[0]}" if score else "never defined"))
    if found["images_per_second"]:
        rows.append(("throughput", f"{found['images_per_second']:.4g} images/s"))
    if found["step_seconds"] is not None:
        low, high = found["step_seconds_range"]
        spread = found["step_seconds_spread"]
        within = f", spread within a log window {spread:.3g} s" if spread is not None else ""
        rows.append(("step time", f"median {found['step_seconds']:.4g} s (5 to 95 %: {low:.4g} to {high:.4g}){within}"))
    if found["data_wait_share"] is not None:
        rows.append(("waiting for data", f"{found['data_wait_share']:.1%} of the time"))
    if found["skipped"] is not None:
        rows.append(("skipped steps", f"{found['skipped']} not finite"))
    if found["memory_gib"] is not None:
        rows.append(("memory, peak", f"{found['memory_gib']:.2f} GiB"))
    rows += [("note", note) for note in history.notes]
    width = max(18, *(len(name) for name, _ in rows)) + 2
    return "\n".join(f"{name:{width}}{text}" for name, text in rows if text)


def draw_report(path: epath.Path, history: History) -> None:
    """One panel per quantity that was logged, over the steps. Written as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, MaxNLocator

    panels, stages = _panels(history), segments(history)
    cells = 1 + len(panels)  # the loss, which comes first, takes two
    rows = -(-cells // _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 2.7 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, _COLUMNS)
    for n, (title, draw) in enumerate(panels):
        if n:
            axis = figure.add_subplot(grid[divmod(n + 1, _COLUMNS)])
        else:
            wide = grid[0, :2].subgridspec(1, 2, width_ratios=(4, 1))
            axis, beside = figure.add_subplot(wide[0]), figure.add_subplot(wide[1])
        axis.set_title(title, fontsize=10)
        draw(axis)
        if handles := axis.get_legend_handles_labels()[0]:
            (axis if n else beside).legend(handles=handles, fontsize=8, loc="best" if n else "upper left")
        if n == 0:
            beside.set_axis_off()
        for step in history.restarts:
            axis.axvline(step, linewidth=1, **_RESTART)
        for stage in stages[1:]:
            axis.axvline(stage.start, linewidth=1.2, **_STAGE)
        axis.set_xlim(0, history.last_step * 1.02)
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=8)
        if n + 1 + _COLUMNS >= cells:  # nothing below
            axis.set_xlabel("step", fontsize=9)
    of = f" of {history.total_steps}" if history.total_steps else ""
    words = [f"{history.name or path.parent.name}: step {history.last_step}{of}"]
    words += ["red dashed: restart"] * bool(history.restarts) + ["grey dotted: next stage"] * (len(stages) > 1)
    figure.suptitle("; ".join(words), fontsize=12)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        figure.savefig(file, format="png", dpi=110)


def _panels(history: History) -> list[tuple[str, Callable]]:
    """Titles, and what draws on a Matplotlib axis; only what the log holds."""

    def lines(names: list[str], labels: list[str] | None = None, *, share: bool = False) -> Callable:
        return lambda axis: _draw_lines(axis, history, names, labels or [], share=share)

    rates = history.learning_rates()
    modules = [name.removeprefix("learning_rate").strip("_") or "all" for name in rates]
    losses = ["loss", *history.parts()]
    found = [
        ("loss and its parts, means over the log window", losses, losses if len(losses) > 1 else None),
        ("learning rate", rates, modules if len(rates) > 1 else None),
        ("gradient norm", ["grad_norm"], None),
        ("parameter norm", ["param_norm"], None),
        ("images/s", ["images_per_second"], None),
    ]
    panels = [(title, lines(names, labels)) for title, names, labels in found if _logged(history, names)]
    if _logged(history, ["step_seconds"]):
        panels.append(("seconds per step; band: ± standard deviation", lambda axis: _draw_step_time(axis, history)))
    if _logged(history, ["data_wait_share"]):
        panels.append(("share of time waiting for data", lines(["data_wait_share"], share=True)))
    if _logged(history, ["memory_gib"]):
        panels.append(("memory, GiB", lines(["memory_gib"])))
    if _logged(history, ["skipped"]):
        panels.append(("steps skipped so far, not finite", lines(["skipped"])))
    for name in history.scores():
        if low_or_high := best(history.validation, name, higher=higher_is_better(name)):
            arrow = "higher" if higher_is_better(name) else "lower"
            title = f"{name} ({arrow} is better): best {low_or_high[1]:.4g} at {low_or_high[0]}"
            panels.append((title, lambda axis, name=name, mark=low_or_high: _draw_score(axis, history, name, mark)))
    return panels


def _logged(history: History, names: list[str]) -> bool:
    return any(len(series(history.train, name)[1]) for name in names)


def _draw_lines(axis, history: History, names: list[str], labels: list[str], *, share: bool) -> None:
    drawn = [series(history.train, name) for name in names]
    for n, (steps, values) in enumerate(drawn):
        style = {"color": "black", "linewidth": 1.6, "zorder": 3} if names[n] == "loss" else {"linewidth": 1.1}
        # A part that another stage does not have must not be drawn as a straight line across it.
        axis.plot(*_with_gaps(history, steps, values), label=labels[n] if labels else None, **style)
    values = np.concatenate([values for _, values in drawn])
    if share:
        axis.set_ylim(0, max(0.05, 1.1 * values.max()))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    elif (values > 0).all() and values.max() > _STEEP * values.min():
        axis.set_yscale("log")


def _with_gaps(history: History, steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The line over every logged step, NaN where the value was not logged."""
    every = np.array([line["step"] for line in history.train], float)
    filled = np.full(len(every), np.nan)
    filled[np.searchsorted(every, steps)] = values
    return every, filled


def _draw_step_time(axis, history: History) -> None:
    steps, seconds = series(history.train, "step_seconds")
    axis.plot(steps, seconds, linewidth=1.1)
    spread_steps, spreads = series(history.train, "step_seconds_spread")
    if np.array_equal(steps, spread_steps):
        axis.fill_between(steps, np.maximum(seconds - spreads, 0), seconds + spreads, alpha=0.25, linewidth=0)
    axis.set_ylim(0, 1.5 * np.percentile(seconds, 95))  # a window that compiled would flatten all others


def _draw_score(axis, history: History, name: str, mark: tuple[int, float]) -> None:
    axis.plot(*series(history.validation, name), marker=".", linewidth=1.1, color="tab:green")
    axis.plot(*mark, marker="*", markersize=13, color="tab:orange", markeredgecolor="black", markeredgewidth=0.5)
