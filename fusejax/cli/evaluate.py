"""`fusejax evaluate`: folders of fused pictures against their sources."""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from rich.console import Console

from fusejax.cli.parsing import parse
from fusejax.data.config import OBJECT_CLASSES
from fusejax.data.images import as_infrared, as_visible, image_size, read_image, to_float
from fusejax.data.pairing import PairError, list_images
from fusejax.metrics import USUAL, evaluate, undefined_reason
from fusejax.report.plots import plot_distributions
from fusejax.report.progress import track
from fusejax.report.scores import Scores, write_scores
from fusejax.report.tables import comparison_markdown, terminal_table
from fusejax.scoring.regions import read_region_boxes, score_regions, write_regions

Files = dict[str, Path]
_FILE_WIDTH = 240


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Scores fused pictures of one or several methods; pictures are matched by file stem.

    Attributes:
      fused: folder of fused pictures, grey or colour, 8 or 16 bit; give --fused again for every further method.
      ir: folder of infrared pictures.
      vi: folder of visible pictures.
      convention: whose definitions to use.
      metrics: names to compute; the nine usual ones by default.
      boxes: folder of annotations (VOC XML, YOLO, JSON) by the pictures' stems; adds the scores inside the boxes.
      box_classes: names of the objects that count, in any case; none: all.
      out: folder for metrics.csv, metrics.json, the comparison table and the plot; with boxes also regions.csv.
    """

    fused: tyro.conf.UseAppendAction[tuple[Path, ...]]
    ir: Path
    vi: Path
    convention: Literal["exact", "cddfuse", "tang", "vifb"] = "exact"
    metrics: tuple[str, ...] = USUAL
    boxes: Path | None = None
    box_classes: tuple[str, ...] = OBJECT_CLASSES
    out: Path | None = None


def evaluate_command(options: EvaluateOptions) -> list[Scores]:
    """Scores, prints the table and writes the files. Raises ValueError before any work where the folders do not fit."""
    if not options.fused:
        raise PairError("No fused folder given; name at least one: --fused DIR.")
    ir, vi = list_images(options.ir), list_images(options.vi)
    methods = {name: list_images(folder) for name, folder in zip(_names(options.fused), options.fused, strict=True)}
    for folder, fused in zip(options.fused, methods.values(), strict=True):
        _check_names(folder, fused, ir, vi)
    _check_sizes(methods, ir, vi)
    boxes = None
    if options.boxes is not None:
        boxes = read_region_boxes(options.boxes, {s: ir[s] for s in ir.keys() & vi.keys()}, options.box_classes)
    results = _score(methods, ir, vi, options)
    _report(results, options)
    if boxes is not None:
        _report_regions(score_regions(methods, ir, vi, boxes), len(results[0].names), options)
    return results


def _names(folders: tuple[Path, ...]) -> list[str]:
    """Folder names, with as many parents before them as it takes to tell them apart."""
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise PairError(f"--fused names a folder twice: {', '.join(map(str, folders))}.")
    depth = 1
    while len({p.parts[-depth:] for p in paths}) < len(paths):
        depth += 1
    return ["/".join(p.parts[-depth:]) for p in paths]


def _check_names(folder: Path, fused: Files, ir: Files, vi: Files) -> None:
    problems = [f"{fused[s]} has no infrared source" for s in fused.keys() - ir.keys()]
    problems += [f"{fused[s]} has no visible source" for s in fused.keys() - vi.keys()]
    problems += [f"{s} is among both sources but not in {folder}" for s in (ir.keys() & vi.keys()) - fused.keys()]
    if problems:
        lines = "\n  ".join(sorted(problems)[:8])
        raise PairError(
            f"{folder}: {len(problems)} names do not match:\n  {lines}\nScores need the same stems everywhere."
        )


def _check_sizes(methods: dict[str, Files], ir: Files, vi: Files) -> None:
    for fused in methods.values():
        for stem, path in fused.items():
            sizes = {p: image_size(p) for p in (path, ir[stem], vi[stem])}
            if len(set(sizes.values())) > 1:
                listed = ", ".join(f"{p} is {h}x{w}" for p, (h, w) in sizes.items())
                raise PairError(f"{listed}; scores need equal sizes, and resampling would change them.")


def _score(methods: dict[str, Files], ir: Files, vi: Files, options: EvaluateOptions) -> list[Scores]:
    """Pair by pair, all methods of a pair at once so that what belongs to the sources is computed once.

    Sorted by size, so that equal sizes share a compiled function; nothing is padded.
    """
    stems = sorted(next(iter(methods.values())))
    metrics, values = tuple(options.metrics), {}
    order = sorted(stems, key=lambda s: image_size(ir[s]))
    for stem in track(order, len(order), description="scoring", unit="pairs"):
        fused = [to_float(read_image(files[stem])) for files in methods.values()]
        channels = max(x.shape[-1] for x in fused)
        fused = np.stack([as_visible(x) if channels == 3 else x for x in fused])[:, None]
        sources = to_float(as_infrared(read_image(ir[stem]))), to_float(read_image(vi[stem]))
        found = evaluate(fused, *(x[None] for x in sources), convention=options.convention, metrics=metrics)
        values[stem] = {name: np.asarray(value, np.float64)[:, 0] for name, value in found.items()}
    return [
        Scores(method, options.convention, stems, {m: np.array([values[s][m][n] for s in stems]) for m in metrics})
        for n, method in enumerate(methods)
    ]


def _console() -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH  # Rich takes 80 columns there and cuts the numbers off
    return console


def _report_regions(rows: list[Scores], pictures: int, options: EvaluateOptions) -> None:
    console, counted = _console(), len(rows[0].names)
    classes = ", ".join(options.box_classes) or "all classes"
    skipped = f"{pictures - counted} of {pictures} skipped, they have none"
    console.print(f"inside boxes of {classes}: means over {counted} pictures, errors on [0, 1]; {skipped}")
    console.print(terminal_table(rows, title=""))
    if options.out is not None:
        write_regions(options.out / "regions.csv", rows)


def _report(results: list[Scores], options: EvaluateOptions) -> None:
    console = _console()
    console.print(terminal_table(results))
    for scores in results:
        for metric, count in scores.left_out().items():
            pictures = f"{count} of {len(scores.names)} pictures"
            console.print(f"{scores.method}: {metric} left out {pictures}; undefined where: {undefined_reason(metric)}")
    if options.out is None:
        return
    for scores in results:
        folder = options.out if len(results) == 1 else options.out / scores.method.replace("/", "_")
        write_scores(folder, scores)
    if len(results) > 1:
        (options.out / "comparison.md").write_text(comparison_markdown(results))
    plot_distributions(options.out / "distributions.png", results)
    console.print(f"written to {options.out}")


def run(arguments: list[str]) -> None:
    """The command."""
    evaluate_command(parse(EvaluateOptions, "evaluate", arguments))
