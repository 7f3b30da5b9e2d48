"""`fusejax evaluate`: scores folders of fused images against their sources."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console

from fusejax.cli.parsing import parse
from fusejax.data.config import OBJECT_CLASSES
from fusejax.evaluation.folder import evaluate_folders, method_names
from fusejax.evaluation.regions import write_regions
from fusejax.evaluation.video import evaluate_videos, with_frames
from fusejax.inference.folder import fuse_folder
from fusejax.io.outputs import check_files, check_out, refuse_existing, write_complete
from fusejax.io.unfinished import unfinished_folder
from fusejax.metrics import undefined_reason
from fusejax.report.page import check_page, write_page
from fusejax.report.plots import plot_distributions
from fusejax.report.scores import Scores, write_scores
from fusejax.report.tables import comparison_markdown, terminal_table

_FILE_WIDTH = 240
_EXISTING = ("metrics.csv", "metrics.json", "comparison.md", "distributions.png", "regions.csv")


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Scores the fused images of one or more methods; images are matched by file stem.

    Attributes:
        ir: folder of infrared images. Without --vi: one folder whose file names mark both images
            (_T and _V), or a CSV file with the columns ir and vi.
        vi: folder of visible images.
        fused: folder of fused images, gray or color, 8 or 16 bit; repeat --fused for each further
            method.
        weights: weights that fuse the sources first: shipped name, .safetensors file, run, or
            exported .onnx or .stablehlo file; repeat --weights for more.
        convention: which toolkit's metric definitions to use, one or more.
        metrics: names of the metrics to compute; by default the nine usual ones. Each convention
            computes those of them that it defines.
        boxes: folder of annotations (VOC XML, YOLO, JSON) named by image stem; adds scores inside
            the boxes.
        box_classes: names of the object classes that count, ignoring case; no name means all
            classes.
        resize: `ir` resamples each infrared image to the size of the visible image.
        temporal: instead score videos, or folders with the frames of a video, over time: flicker,
            warping errors, motion.
        skip_bad: skip images that are missing in a folder or do not match their sources, and list
            them.
        out: folder for metrics.csv and metrics.json with every convention, method and image,
            comparison.md and distributions.png (further conventions: distributions_NAME.png); with
            boxes also regions.csv.
        page: folder for a results page, index.html, with tables, charts and images.
        overwrite: replace existing files in `out` and `page`.
    """

    ir: Path
    vi: Path | None = None
    fused: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    weights: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    convention: tuple[Literal["exact", "cddfuse", "tang", "vifb", "look"], ...] = ("exact",)
    metrics: tuple[str, ...] | None = None
    boxes: Path | None = None
    box_classes: tuple[str, ...] = OBJECT_CLASSES
    resize: Literal["ir"] | None = None
    temporal: bool = False
    skip_bad: bool = False
    out: Path | None = None
    page: Path | None = None
    overwrite: bool = False


def evaluate_command(options: EvaluateOptions) -> list[Scores]:
    """Scores, prints the table and writes the files.

    Raises:
        ValueError: before any work, if the folders do not match.
        OSError: before any work, if `out` cannot be written or already holds scores.
    """
    if options.temporal:
        return _evaluate_videos(options)
    with unfinished_folder(Path(tempfile.gettempdir())) as made:
        by_weights = {made / name: options.weights[n] for n, name in enumerate(_names(options.weights))}
        folders = [*options.fused, *by_weights]
        if not folders:
            raise ValueError("Nothing to score; give at least one --fused DIR or --weights NAME.")
        if options.out is not None:
            _check_out(options.out, _sources(options), overwrite=options.overwrite)
        if options.page is not None:
            check_page(options.page, overwrite=options.overwrite)
        for folder, weights in by_weights.items():
            fuse_folder(
                options.ir, options.vi, folder, weights=weights, resize=options.resize, skip_bad=options.skip_bad
            )
        return _evaluate(options, folders)


def _evaluate_videos(options: EvaluateOptions) -> list[Scores]:
    if options.vi is None:
        raise ValueError("--vi is missing; --temporal needs the infrared and the visible video.")
    if options.weights:
        raise ValueError("--temporal scores existing videos; fuse them first and leave out --weights.")
    if options.page is not None:
        check_page(options.page, overwrite=options.overwrite)
    if options.out is not None:
        _check_out(options.out, _sources(options), overwrite=options.overwrite)
    scores = evaluate_videos(options.fused, options.ir, options.vi)
    _report({"temporal": scores}, options.out, unit="transitions between frames")
    if options.page is not None:
        print(f"page: {write_page(options.page, with_frames(scores, options.fused, options.ir, options.vi))}")
    return scores


def _sources(options: EvaluateOptions) -> list[Path]:
    return [path for path in (*options.fused, options.ir, options.vi) if path is not None]


def _names(weights: Sequence[str]) -> list[str]:
    return method_names([Path(name) for name in weights])


def _evaluate(options: EvaluateOptions, folders: Sequence[Path]) -> list[Scores]:
    result = evaluate_folders(
        folders,
        options.ir,
        options.vi,
        convention=options.convention,
        metrics=options.metrics,
        boxes=options.boxes,
        box_classes=options.box_classes,
        resize=options.resize,
        skip_bad=options.skip_bad,
    )
    for line in result.skipped:
        print(f"skipped: {line}")
    _report(result.conventions, options.out)
    if result.regions:
        _report_regions(result.regions, len(result.methods[0].names), options)
    if options.page is not None:
        print(f"page: {write_page(options.page, result)}")
    return result.methods


def _check_out(out: Path, sources: Sequence[Path], *, overwrite: bool) -> None:
    check_out(out)
    files = [*(out / name for name in _EXISTING), *sorted(out.glob("distributions_*.png"))]
    refuse_existing(check_files(files, sources=sources), overwrite=overwrite)


def _console() -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = _FILE_WIDTH  # Rich assumes 80 columns there and truncates the numbers
    return console


def _report_regions(rows: list[Scores], images: int, options: EvaluateOptions) -> None:
    console, counted = _console(), len(rows[0].names)
    classes = ", ".join(options.box_classes) or "all classes"
    skipped = f"{images - counted} of {images} skipped because they have no boxes"
    console.print(f"inside boxes of {classes}: means over {counted} images, errors on [0, 1]; {skipped}")
    console.print(terminal_table(rows, width=console.width))
    if options.out is not None:
        write_regions(options.out / "regions.csv", rows)


def _report(conventions: Mapping[str, Sequence[Scores]], out: Path | None, *, unit: str = "images") -> None:
    console = _console()
    for name, methods in conventions.items():
        console.print(f"means over {len(methods[0].names)} {unit}, convention {name!r}")
        console.print(terminal_table(methods, width=console.width))
        for scores in methods:
            for metric, count in scores.left_out().items():
                values = f"{count} of {len(scores.names)} {unit}"
                reason = undefined_reason(metric)
                console.print(f"{scores.method}: {metric} omits {values}; it is undefined where {reason}")
    if out is None:
        return
    write_scores(out, conventions)
    write_complete(out / "comparison.md", "\n".join(map(comparison_markdown, conventions.values())))
    for n, (name, methods) in enumerate(conventions.items()):
        plot_distributions(out / (f"distributions_{name}.png" if n else "distributions.png"), methods)
    console.print(f"written to {out}")


def run(arguments: list[str]) -> None:
    """The command."""
    evaluate_command(parse(EvaluateOptions, "evaluate", arguments))
