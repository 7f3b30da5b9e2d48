"""`fusejax evaluate`: scores folders of fused images, or weights, against the sources."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from fusejax.cli.pairs import SourceFlags
from fusejax.cli.parsing import ConventionName, Repeated, flat, parse
from fusejax.cli.registering import RegisterFlags, Registering
from fusejax.data.config import OBJECT_CLASSES
from fusejax.evaluation.folder import evaluate_folders
from fusejax.evaluation.methods import Method, fuse_methods, name_methods
from fusejax.evaluation.results import Evaluation, Scores, printable
from fusejax.evaluation.video import evaluate_videos, with_frames
from fusejax.inference.thermal import RangeOption
from fusejax.io.align import Aligner
from fusejax.io.outputs import check_files, check_out, refuse_existing
from fusejax.io.pair_finding import find_pairs
from fusejax.io.pairing import PairPaths
from fusejax.io.unfinished import unfinished_folder
from fusejax.registration.aligner import RegisterInfrared
from fusejax.registration.folder import write_looks
from fusejax.registration.scores import FILES as ALIGNMENT_FILES
from fusejax.registration.scores import measure_alignment, read_truths, write_alignment
from fusejax.report.alignment import alignment_table
from fusejax.report.files import SCORE_FILES, TABLE_FILES, print_tables, write_tables
from fusejax.report.page import check_page, write_page
from fusejax.report.plots import plot_distributions
from fusejax.report.ranking import rank
from fusejax.report.tables import Table, score_table

_FIGURE = "distributions.png"


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(SourceFlags):
    """Scores the fused images of one or more methods; images are matched by file stem.

    Attributes:
        fused: folders of fused images, gray or color, 8 or 16 bit: DIR or NAME=DIR, where NAME is
            shown in the tables.
        weights: what fuses the sources first: shipped names, .safetensors files, runs, exported or
            other .onnx or .stablehlo files; NAME=WEIGHTS gives another name.
        convention: which toolkit's metric definitions to use, one or more.
        metrics: names of the metrics to compute; by default the nine usual ones. Each convention
            computes those of them that it defines.
        boxes: folder of annotations (VOC XML, YOLO, JSON) named by image stem; adds scores inside
            the boxes.
        box_classes: names of the object classes that count, ignoring case; no name means all
            classes.
        ir_range: infrared values that map to black and white, as in `fusejax fuse`: auto, full, or
            two numbers LOW HIGH. Scores compare with the infrared image after that.
        ir_polarity: `black` if hot is dark in the infrared images.
        resize: `ir` resamples each infrared image to the size of the visible image.
        temporal: instead score videos, or folders with the frames of a video, over time: flicker,
            warping errors, motion.
        skip_bad: skip images that are missing in a folder or do not match their sources, and list
            them.
        out: folder for metrics.csv and metrics.json with every convention, method and image,
            table.md and table.tex with means, ranks and 95% intervals, and distributions.png
            (further conventions: distributions_NAME.png).
        page: folder for a results page, index.html, with tables, charts and images.
        registration: also measure how well the pairs line up, as taken and after --register:
            residual, mutual information, correlations, overlap. Without --fused and --weights,
            nothing else is measured. Written to registration.csv and registration.json in `out`.
        truth: true transforms as in transforms.json, or a folder of points NAME.json (`vi` and
            `ir`); adds corner and endpoint errors, or landmark errors.
        overwrite: replace existing files in `out` and `page`.
        flags: for two cameras that do not line up; sources are registered before --weights fuse
            them and before images are scored.
    """

    fused: Repeated = ()
    weights: Repeated = ()
    convention: tuple[ConventionName, ...] = ("exact",)
    metrics: tuple[str, ...] | None = None
    boxes: Path | None = None
    box_classes: tuple[str, ...] = OBJECT_CLASSES
    ir_range: RangeOption = "auto"
    ir_polarity: Literal["white", "black"] = "white"
    resize: Literal["ir"] | None = None
    temporal: bool = False
    skip_bad: bool = False
    out: Path | None = None
    page: Path | None = None
    registration: bool = False
    truth: Path | None = None
    overwrite: bool = False
    flags: Registering = dataclasses.field(default_factory=RegisterFlags)


def evaluate_command(options: EvaluateOptions) -> list[Scores]:
    """Scores, prints the tables and writes the files.

    Returns:
        The scores by convention; with boxes, followed by those inside them.

    Raises:
        ValueError: before any work, if the folders do not match.
        OSError: before any work, if `out` cannot be written or already holds scores.
    """
    fused = flat(options.fused)
    methods = name_methods(weights=flat(options.weights), folders=fused)
    if not methods and not options.registration:
        raise ValueError("Nothing to score; give at least one --fused DIR or --weights NAME.")
    if options.truth is not None and not options.registration:
        raise ValueError("--truth is for --registration, which compares transforms with it; also give that.")
    if options.temporal and options.weights:
        raise ValueError("--temporal scores existing videos; fuse them first and leave out --weights.")
    _check(options, methods)
    if options.temporal:
        if options.flags.registers:
            raise ValueError("--register is for images; --temporal scores videos, whose frames are taken as they are.")
        if options.vi is None:
            raise ValueError("--vi is missing; --temporal needs the infrared and the visible video.")
        scores = evaluate_videos(fused, options.ir, options.vi)
        _report([scores], options, unit="transitions between frames")
        if options.page is not None:
            print(f"page: {write_page(options.page, with_frames(scores, fused, options.ir, options.vi))}")
        return [scores]
    step = options.flags.aligner(lambda: _pairs(options))
    if options.registration:
        _measure_alignment(options, step if isinstance(step, RegisterInfrared) else None)
    if not methods:
        return []
    with unfinished_folder(Path(tempfile.gettempdir())) as made:
        result = _evaluate(options, methods, made, step)
        _report(result.tables, options)
        if options.page is not None:
            if isinstance(step, RegisterInfrared):
                result = _with_overlays(result, options, step, made)
            print(f"page: {write_page(options.page, result)}")
    return result.tables


def _check(options: EvaluateOptions, methods: Sequence[Method]) -> None:
    if options.page is not None:
        check_page(options.page, overwrite=options.overwrite)
    if options.out is not None:
        check_out(options.out)
        names = (*SCORE_FILES, *TABLE_FILES, *_figures(options.convention)) if methods else ()
        names = (*names, *(ALIGNMENT_FILES if options.registration else ()))
        sources = [options.ir, options.vi, *(method.folder for method in methods)]
        unfinished = bool(methods) and not (options.out / "table.md").exists()  # it is written last
        files, known = [options.out / name for name in names], [path for path in sources if path]
        existing = check_files(files, sources=known, own=unfinished)
        refuse_existing(existing, overwrite=options.overwrite)


def _figures(conventions: Sequence[str]) -> list[str]:
    return [_FIGURE, *(f"distributions_{name}.png" for name in conventions[1:])]


def _evaluate(options: EvaluateOptions, methods: Sequence[Method], made: Path, step: Aligner | None) -> Evaluation:
    shared = {
        "ir_range": options.ir_range,
        "ir_polarity": options.ir_polarity,
        "resize": options.resize,
        "skip_bad": options.skip_bad,
        "align": step,
    }
    read = {"frame": options.frame, "units": options.units, "ir_unit": options.ir_unit}
    result = evaluate_folders(
        fuse_methods(methods, *options.sources, made, **shared, **read),
        *options.sources,
        options=options.reading,
        convention=options.convention,
        metrics=options.metrics,
        boxes=options.boxes,
        box_classes=options.box_classes,
        **shared,
    )
    for line in result.skipped:
        print(f"skipped: {line}")
    return result


def _pairs(options: EvaluateOptions) -> Sequence[PairPaths]:
    return find_pairs(*options.sources, skip_bad=True, sources=options.reading, quiet=True)[0]


def _with_overlays(result: Evaluation, options: EvaluateOptions, step: RegisterInfrared, made: Path) -> Evaluation:
    """The page shows overlays before and after registration, and infrared as it was fused."""
    names = {pair.id: printable(pair.id) for pair in _pairs(options)}
    looks = write_looks(
        (pair for pair in _pairs(options) if names[pair.id] in result.pairs),
        step,
        made / "looks",
        options=options.reading,
    )
    named = {title: {names[pair]: file for pair, file in files.items()} for title, files in looks.items()}
    return dataclasses.replace(result, looks=named)


def _measure_alignment(options: EvaluateOptions, step: RegisterInfrared | None) -> None:
    truths = None if options.truth is None else read_truths(options.truth)
    found = measure_alignment(_pairs(options), step=step, truths=truths)
    print_tables([alignment_table(found)])
    for label, note in found.notes.items():
        print(f"{label}: {note}")
    if options.out is not None:
        write_alignment(options.out, found)
        print(f"written to {options.out}: {', '.join(ALIGNMENT_FILES)}")


def _report(scores: Sequence[Scores], options: EvaluateOptions, *, unit: str = "images") -> None:
    tables = [_table(each, unit) for each in scores]
    if scores[-1].convention == "regions":
        tables[-1] = _region_table(scores[-1], len(scores[0].images), options)
    print_tables(tables)
    if options.out is None:
        return
    shown = [each for each in scores if each.convention != "regions"]
    for each, name in zip(shown, _figures([each.convention for each in shown]), strict=True):
        plot_distributions(options.out / name, each)
    write_tables(options.out, scores, tables)
    print(f"written to {options.out}")


def _table(scores: Scores, unit: str) -> Table:
    return score_table(scores, rank([scores]) if len(scores.methods) > 1 else None, unit=unit)


def _region_table(scores: Scores, images: int, options: EvaluateOptions) -> Table:
    counted, classes = len(scores.images), ", ".join(options.box_classes) or "all classes"
    skipped = f"{images - counted} of {images} skipped because they have no boxes"
    caption = f"inside boxes of {classes}: means over {counted} images, errors on [0, 1]; {skipped}"
    return dataclasses.replace(score_table(scores), caption=caption, notes=[])


def run(arguments: list[str]) -> None:
    """The command."""
    evaluate_command(parse(EvaluateOptions, "evaluate", arguments))
