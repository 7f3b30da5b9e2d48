"""Score tables: files, terminal, comparison of methods, plot. Every one of them names its convention."""

import csv
import dataclasses
import json
import math
from pathlib import Path

import numpy as np
from rich.table import Table


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of one method: `values[metric][n]` belongs to picture `names[n]`; NaN where the metric is undefined."""

    method: str
    convention: str
    names: list[str]
    values: dict[str, np.ndarray]

    def means(self) -> dict[str, float]:
        """Mean over the pictures where the metric is defined; NaN where it is nowhere."""
        return {
            k: float(np.mean(v[np.isfinite(v)])) if np.isfinite(v).any() else math.nan for k, v in self.values.items()
        }

    def left_out(self) -> dict[str, int]:
        """Pictures that a metric's mean leaves out because it is undefined there."""
        counts = {k: int((~np.isfinite(v)).sum()) for k, v in self.values.items()}
        return {k: n for k, n in counts.items() if n}


def write_scores(folder: Path, scores: Scores) -> None:
    """`metrics.csv` (column `name`, then the metrics; full precision) and `metrics.json` with convention and means."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", *scores.values])
        for n, name in enumerate(scores.names):
            writer.writerow([name, *(repr(float(v[n])) for v in scores.values.values())])
    document = {
        "method": scores.method,
        "convention": scores.convention,
        "pictures": len(scores.names),
        "mean": _json_numbers(scores.means()),
        "left_out_of_mean": scores.left_out(),
        "per_picture": {
            name: _json_numbers({k: float(v[n]) for k, v in scores.values.items()})
            for n, name in enumerate(scores.names)
        },
    }
    (folder / "metrics.json").write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")


def _json_numbers(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN: null stands for undefined."""
    return {k: v if math.isfinite(v) else None for k, v in values.items()}


def terminal_table(methods: list[Scores], *, title: str | None = None) -> Table:
    """One row of means per method; the first one's metrics are the columns."""
    first = methods[0]
    if title is None:
        title = f"means over {len(first.names)} pictures, convention {first.convention!r}"
    table = Table(title=title)
    table.add_column("method")
    for metric in first.values:
        table.add_column(metric, justify="right")
    for scores in methods:
        means = scores.means()
        table.add_row(scores.method, *(_short(means[m]) if m in means else "" for m in first.values))
    return table


def _short(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "undefined"


def ranks(means: np.ndarray, *, higher: bool) -> np.ndarray:
    """Rank 1 is best; equal values share the mean of their ranks; undefined ones come last."""
    keyed = np.where(np.isfinite(means), -means if higher else means, np.inf)
    below = (keyed[None, :] < keyed[:, None]).sum(axis=1)
    equal = (keyed[None, :] == keyed[:, None]).sum(axis=1)
    return below + (equal + 1) / 2


def comparison_markdown(methods: list[Scores], higher: dict[str, bool]) -> str:
    """Means of several methods with mean rank; best in bold, second best underlined."""
    metrics = list(methods[0].values)
    means = np.array([[s.means()[m] for m in metrics] for s in methods])
    placed = np.stack([ranks(means[:, j], higher=higher[m]) for j, m in enumerate(metrics)], axis=1)
    arrows = [f"{m} {'↑' if higher[m] else '↓'}" for m in metrics]
    lines = [
        f"Means over {len(methods[0].names)} pictures, convention `{methods[0].convention}`; "
        "**best**, <u>second best</u>; mean rank over the metrics.",
        "",
        "| method | " + " | ".join(arrows) + " | mean rank |",
        "|---" * (len(metrics) + 2) + "|",
    ]
    for scores, row, place in zip(methods, means, placed, strict=True):
        cells = [_mark(_short(v), p) for v, p in zip(row, place, strict=True)]
        lines.append(f"| {scores.method} | " + " | ".join(cells) + f" | {place.mean():.2f} |")
    for scores in methods:
        for metric, count in scores.left_out().items():
            lines += ["", f"{scores.method}: {metric} is undefined for {count} pictures, which its mean leaves out."]
    return "\n".join(lines) + "\n"


def _mark(text: str, place: float) -> str:
    if text == "undefined":
        return text
    return f"**{text}**" if place < 2 else f"<u>{text}</u>" if place < 3 else text


def plot_distributions(path: Path, methods: list[Scores], higher: dict[str, bool]) -> None:
    """One panel per metric: the distribution over the pictures, a box per method. Written as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    metrics = list(methods[0].values)
    columns = min(3, len(metrics))
    rows = -(-len(metrics) // columns)
    height = 1.1 + 0.42 * len(methods)
    figure = Figure(figsize=(4.2 * columns, max(1.9, height) * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    names = [s.method for s in methods]
    for axis, metric in zip(axes, metrics, strict=False):
        data = [s.values[metric][np.isfinite(s.values[metric])] for s in methods]
        boxes = axis.boxplot(
            data, orientation="horizontal", tick_labels=names, widths=0.6, patch_artist=True, showmeans=True
        )
        for n, box in enumerate(boxes["boxes"]):
            box.set_facecolor(f"C{n % 10}")
            box.set_alpha(0.5)
        axis.invert_yaxis()
        axis.set_title(f"{metric} ({'higher' if higher[metric] else 'lower'} is better)", fontsize=10)
        axis.grid(axis="x", alpha=0.3)
    for axis in axes[len(metrics) :]:
        axis.set_axis_off()
    figure.suptitle(
        f"{len(methods[0].names)} pictures, convention {methods[0].convention!r}; triangle: mean", fontsize=11
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
