"""One figure per run: a panel for each logged quantity over the steps."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from etils import epath
from jaxtyping import Float

from fusejax.io.outputs import save_figure
from fusejax.report.run_history import History, segments, series
from fusejax.report.run_summary import best, higher_is_better

_COLUMNS = 3
_STEEP = 20.0  # positive lines that span more than this ratio are drawn on a logarithmic axis
_FEW_POINTS = 20  # lines with at most this many points also show the points
_RESTART, _STAGE = {"color": "tab:red", "linestyle": "--"}, {"color": "0.4", "linestyle": ":"}

Draw = Callable[[Any], None]  # draws on a Matplotlib axis
Points = Float[np.ndarray, " n"]
Line = Float[np.ndarray, " steps"]


def draw_report(path: epath.Path, history: History) -> None:
    """Draws a run.

    Args:
        path: PNG file to write; its folder is created if needed.
        history: log of the run.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels(history)
    cells = 1 + len(panels)  # the loss, which comes first, takes two cells
    rows = -(-cells // _COLUMNS)
    figure = Figure(figsize=(5 * _COLUMNS, 2.7 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, _COLUMNS)
    _draw_loss_panel(figure, grid, history, panels[0])
    for n, (title, draw) in enumerate(panels[1:], start=2):
        axis = figure.add_subplot(grid[divmod(n, _COLUMNS)])
        _finish_panel(axis, history, title, draw)
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=8, loc="best")
        if n + _COLUMNS >= cells:  # no panel below
            axis.set_xlabel("step", fontsize=9)
    figure.suptitle(_heading(path, history), fontsize=12)
    save_figure(path, figure, dpi=110)


def _draw_loss_panel(figure: Any, grid: Any, history: History, panel: tuple[str, Draw]) -> None:
    """The first panel: two cells wide, with its legend on the right."""
    wide = grid[0, :2].subgridspec(1, 2, width_ratios=(4, 1))
    axis, legend = figure.add_subplot(wide[0]), figure.add_subplot(wide[1])
    _finish_panel(axis, history, *panel)
    legend.set_axis_off()
    if handles := axis.get_legend_handles_labels()[0]:
        legend.legend(handles=handles, fontsize=8, loc="upper left")


def _finish_panel(axis: Any, history: History, title: str, draw: Draw) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    axis.set_title(title, fontsize=10)
    draw(axis)
    for step in history.restarts:
        axis.axvline(step, linewidth=1, **_RESTART)
    for stage in segments(history)[1:]:
        axis.axvline(stage.start, linewidth=1.2, **_STAGE)
    steps = [line["step"] for line in history.train]
    # The axis begins at the first logged step, not at 0, so that a short run fills the panel.
    first = steps[0] if len(steps) <= _FEW_POINTS and len(steps) > 1 else 0
    margin = max(0.02 * (steps[-1] - first), 0.1)
    axis.set_xlim(first - margin, steps[-1] + margin)
    axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    if axis.get_yscale() == "linear" and hasattr(axis.yaxis.get_major_formatter(), "set_useOffset"):
        axis.ticklabel_format(axis="y", useOffset=False)  # 5.0123, not 1.23e-2 + 5
    axis.grid(alpha=0.3)
    axis.tick_params(labelsize=8)


def _heading(path: epath.Path, history: History) -> str:
    total = f" of {history.total_steps}" if history.total_steps else ""
    words = [f"{_plain(history.name or path.parent.name)}: step {history.last_step}{total}"]
    if history.restarts:
        words.append("dashed red: restart")
    if len(segments(history)) > 1:
        words.append("dotted gray: next stage")
    return "; ".join(words)


def _plain(name: str) -> str:
    """A name that Matplotlib does not take for a formula."""
    return name.replace("$", r"\$")


def _panels(history: History) -> list[tuple[str, Draw]]:
    """Titles and drawing functions of the panels for the quantities in the log."""

    def lines(names: list[str], labels: list[str] | None = None, *, share: bool = False) -> Draw:
        return lambda axis: _draw_lines(axis, history, names, labels or [], share=share)

    rates = history.learning_rates()
    modules = [name.removeprefix("learning_rate").strip("_") or "all" for name in rates]
    losses = ["loss", *history.parts()]
    found: list[tuple[str, list[str], Draw]] = [
        (
            "loss and its parts (means over the log window)",
            losses,
            lines(losses, losses if len(losses) > 1 else None),
        ),
        ("learning rate", rates, lines(rates, modules if len(rates) > 1 else None)),
        ("gradient norm", ["grad_norm"], lines(["grad_norm"])),
        ("parameter norm", ["param_norm"], lines(["param_norm"])),
        ("images/s", ["images_per_second"], lines(["images_per_second"])),
        (
            "seconds per step; band: ± standard deviation",
            ["step_seconds"],
            lambda axis: _draw_step_time(axis, history),
        ),
        ("fraction of time waiting for data", ["data_wait_share"], lines(["data_wait_share"], share=True)),
        ("memory, GiB", ["memory_gib"], lines(["memory_gib"])),
        ("skipped steps so far (not finite)", ["skipped"], lines(["skipped"])),
    ]
    panels = [(title, draw) for title, names, draw in found if _logged(history, names)]
    return [*panels, *_score_panels(history)]


def _score_panels(history: History) -> list[tuple[str, Draw]]:
    panels: list[tuple[str, Draw]] = []
    for name in history.scores():
        higher = higher_is_better(name)
        if (mark := best(history.validation, name, higher=higher)) is None:
            continue
        title = f"{_plain(name)} ({'higher' if higher else 'lower'} is better): best {mark[1]:.4g} at {mark[0]}"
        panels.append((title, lambda axis, name=name, mark=mark: _draw_score(axis, history, name, mark)))
    return panels


def _logged(history: History, names: Sequence[str]) -> bool:
    return any(len(series(history.train, name)[1]) for name in names)


def _draw_lines(axis: Any, history: History, names: list[str], labels: list[str], *, share: bool) -> None:
    drawn = [series(history.train, name) for name in names]
    marker = "." if len(history.train) <= _FEW_POINTS else None
    for n, (steps, values) in enumerate(drawn):
        loss = {"color": "black", "linewidth": 1.6, "zorder": 3}
        style = loss if names[n] == "loss" else {"linewidth": 1.1}
        # A part that is missing in some stage must not be drawn as a straight line across that
        # stage.
        x, y = _with_gaps(history, steps, values)
        axis.plot(x, y, label=_plain(labels[n]) if labels else None, marker=marker, **style)
    values = np.concatenate([values for _, values in drawn])
    if share:
        axis.set_ylim(0, max(0.05, 1.1 * values.max()))
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    elif (values > 0).all() and values.max() > _STEEP * values.min():
        axis.set_yscale("log")


def _with_gaps(history: History, steps: Points, values: Points) -> tuple[Line, Line]:
    """The line over all logged steps, NaN where the value was not logged."""
    every = np.array([line["step"] for line in history.train], float)
    filled = np.full(len(every), np.nan)
    filled[np.searchsorted(every, steps)] = values
    return every, filled


def _draw_step_time(axis: Any, history: History) -> None:
    steps, seconds = series(history.train, "step_seconds")
    axis.plot(steps, seconds, linewidth=1.1, marker="." if len(steps) <= _FEW_POINTS else None)
    spread_steps, spreads = series(history.train, "step_seconds_spread")
    if np.array_equal(steps, spread_steps):
        axis.fill_between(steps, np.maximum(seconds - spreads, 0), seconds + spreads, alpha=0.25, linewidth=0)
    axis.set_ylim(0, 1.5 * np.percentile(seconds, 95))  # one slow window would flatten all others


def _draw_score(axis: Any, history: History, name: str, mark: tuple[int, float]) -> None:
    axis.plot(*series(history.validation, name), marker=".", linewidth=1.1, color="tab:green")
    star = {"marker": "*", "markersize": 13, "markeredgecolor": "black", "markeredgewidth": 0.5}
    axis.plot(*mark, color="tab:orange", **star)
