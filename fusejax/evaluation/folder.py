"""Scoring folders of fused images against their sources."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from fusejax.data.config import OBJECT_CLASSES
from fusejax.evaluation.loop import Sample, SampleScores, make_sample, score_samples, spread_sizes
from fusejax.evaluation.methods import Given, name_methods
from fusejax.evaluation.regions import REGION_METRICS, read_region_boxes, region_table
from fusejax.evaluation.results import CLEAN, Evaluation, Scores, printable
from fusejax.evaluation.sources import AS_STORED, Reading, choose_reading
from fusejax.inference.thermal import Polarity, RangeOption
from fusejax.io.align import Aligner
from fusejax.io.image_headers import ImageError, image_size
from fusejax.io.images import read_image
from fusejax.io.pair_finding import scan_pairs
from fusejax.io.pair_images import PairHeader, SourceOptions
from fusejax.io.pairing import PairError, PairPaths, Scan, ScanOptions, list_images, size_text
from fusejax.metrics import CONVENTIONS
from fusejax.metrics.evaluation import chosen_metrics, defined_metrics
from fusejax.progress import track

Files = dict[str, Path]
_SHOWN = 8


def evaluate_folders(
    fused: Given,
    ir: str | Path,
    vi: str | Path | None,
    *,
    convention: str | Sequence[str] = "exact",
    metrics: Sequence[str] | None = None,
    boxes: str | Path | None = None,
    box_classes: Sequence[str] = OBJECT_CLASSES,
    ir_range: RangeOption = "auto",
    ir_polarity: Polarity = "white",
    name: str = "",
    resize: Literal["ir"] | None = None,
    align: Aligner | None = None,
    skip_bad: bool = False,
    options: SourceOptions = AS_STORED,
) -> Evaluation:
    """Scores the fused images of one or more methods; images are matched by file stem.

    Progress is reported on standard error. Images of all sizes share a few compiled functions,
    which are kept for later processes.

    Args:
        fused: one folder of fused images per method, gray or color, 8 or 16 bit, as a mapping by
            name, or a list of DIR or NAME=DIR.
        ir: folder of infrared images; see `fusejax.io.find_pairs` for lists, wildcards, names and
            files of cameras.
        vi: folder of visible images; None if `ir` names both, or its files hold both.
        convention: which toolkit's metric definitions to use: one or more names of
            `fusejax.metrics.CONVENTIONS`.
        metrics: names of the metrics to compute; by default the nine usual ones. Each convention
            computes those of them that it defines.
        boxes: folder of annotations (VOC XML, YOLO, JSON) named by image stem; adds scores inside
            the boxes.
        box_classes: names of the object classes that count, ignoring case; no name means all
            classes.
        ir_range: values of the infrared images that map to black and white, with which they were
            fused, see `fusejax.fuse`. "auto" chooses one range for all, as `fuse_folder` does.
        ir_polarity: whether hot is "white" or "black" in the infrared images.
        name: name of the set of images.
        resize: "ir" resamples each infrared image to the size of the visible image.
        align: the step before fusion that the images were fused with, such as a registration; it
            must keep the size of the visible images.
        skip_bad: skip images that are missing in a folder or do not match their sources, for all
            methods.
        options: how the sources are read.

    Returns:
        The scores of every method, and the images that were skipped.

    Raises:
        ValueError: before any work, if the folders do not match or a metric is unknown.
    """
    names = metrics_by_convention([convention] if isinstance(convention, str) else convention, metrics)
    if not fused:
        raise PairError("No folder of fused images given; give at least one: --fused DIR.")
    folders = {method.name: method.folder for method in name_methods(folders=fused) if method.folder is not None}
    sources = scan_pairs(Path(ir), None if vi is None else Path(vi), ScanOptions(sources=options))
    pairs = {pair.id: pair for pair in sources.pairs}
    methods = {method: list_images(folder) for method, folder in folders.items()}
    problems = _problems(methods, folders, sources, resize=resize is not None or (align is not None and align.any_size))
    usable = sorted(set.intersection(set(pairs), *map(set, methods.values())) - problems.keys())
    if problems and (not skip_bad or not usable):
        lines = "\n  ".join(list(problems.values())[:_SHOWN])
        raise PairError(
            f"{len(problems)} images cannot be scored (sizes are width x height):\n  {lines}\nScores need the same "
            "stems and sizes everywhere; skip other images with --skip-bad, or resample infrared with --resize ir."
        )
    sizes = {printable(stem): sources.headers[pairs[stem]].vi for stem in usable}
    method_files = {name: {printable(stem): files[stem] for stem in usable} for name, files in methods.items()}
    pairs = {printable(stem): dataclasses.replace(pairs[stem], id=printable(stem)) for stem in usable}
    found_boxes = {} if boxes is None else read_region_boxes(Path(boxes), sizes, box_classes)
    reading = choose_reading(list(pairs.values()), ir_range, polarity=ir_polarity, options=options, align=align)
    read = partial(_read_sample, methods=list(method_files.values()), boxes=found_boxes, reading=reading)
    order = spread_sizes(dict(sorted(sizes.items())))
    samples = score_samples((partial(read, pairs[stem]) for stem in order), names)
    scored = track(samples, len(order), description="scoring", unit="pairs")
    found = dict(zip(order, scored, strict=True))
    scores, regions = collect_scores(list(methods), dict(sorted(found.items())), names, name=name)
    return Evaluation(scores, regions, list(problems.values()), pairs, method_files, reading=reading)


def collect_scores(
    methods: Sequence[str],
    found: Mapping[str, SampleScores],
    metrics: Mapping[str, Sequence[str]],
    *,
    condition: str = CLEAN,
    name: str = "",
) -> tuple[list[Scores], Scores | None]:
    """The table from the scores of every image.

    Args:
        methods: names of the methods.
        found: scores by image.
        metrics: names of the metrics by convention.
        condition: name of the condition.
        name: name of the set of images.

    Returns:
        Scores by convention, and scores inside the boxes if an image has any.
    """
    images = tuple(found)
    tables = []
    for convention, names in metrics.items():
        values = [[scores.conventions[convention][metric] for metric in names] for scores in found.values()]
        stacked = np.array(values, np.float64).transpose(2, 0, 1)[:, None]  # [methods, 1, images, metrics]
        tables.append(Scores(tuple(methods), images, tuple(names), stacked, convention, (condition,), name))
    boxed = [image for image in images if found[image].regions]
    if not boxed:
        return tables, None
    inside = {metric: np.stack([found[image].regions[metric] for image in boxed], axis=1) for metric in REGION_METRICS}
    regions = region_table(methods, boxed, inside, name=name)
    return tables, dataclasses.replace(regions, conditions=(condition,))


def metrics_by_convention(conventions: Sequence[str], metrics: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    """Selects the metrics that each convention computes.

    Args:
        conventions: names of `fusejax.metrics.CONVENTIONS`.
        metrics: names of metrics, or None for the usual ones; each convention computes those that
            it defines.

    Returns:
        Names of metrics by convention, without conventions that define none of them.

    Raises:
        ValueError: for unknown names, and for metrics that none of the conventions defines.
    """
    if not conventions:
        raise ValueError(f"No convention given; give one or more of {', '.join(CONVENTIONS)}.")
    if not metrics or len(conventions) == 1:
        return {name: chosen_metrics(name, metrics) for name in conventions}
    known = {name: defined_metrics(name) for name in conventions}
    missing = [m for m in metrics if not any(m in names for names in known.values())]
    if missing:
        raise ValueError(f"{', '.join(missing)}: none of the conventions {', '.join(conventions)} defines it.")
    chosen = {name: tuple(m for m in metrics if m in defined) for name, defined in known.items()}
    return {name: names for name, names in chosen.items() if names}


def _problems(
    methods: Mapping[str, Files], folders: Mapping[str, Path], sources: Scan, *, resize: bool
) -> dict[str, str]:
    """Why images cannot be scored, by stem."""
    problems, pairs = {}, {pair.id: pair for pair in sources.pairs}
    for name, fused in methods.items():
        for stem in sorted(fused.keys() - pairs.keys()):
            why = sources.problems.get(stem)
            problems[stem] = f"{fused[stem]} has no sources" + (f": {why}" if why else "")
        lacking = sorted(pairs.keys() - fused.keys())
        problems |= {s: f"{s} is among both sources but not in {folders[name]}" for s in lacking}
        for stem in sorted(fused.keys() & pairs.keys()):
            header = sources.headers[pairs[stem]]
            if text := _size_problem(fused[stem], pairs[stem], header, resize=resize):
                problems.setdefault(stem, text)
    return problems


def _size_problem(fused: Path, pair: PairPaths, header: PairHeader, *, resize: bool) -> str | None:
    try:
        size = image_size(fused)
    except ImageError as error:
        return str(error)
    if size == header.vi and (resize or size == header.ir):
        return None
    sizes = {fused: size, pair.ir: header.ir, pair.vi: header.vi}
    return ", ".join(f"{path} is {size_text(size)}" for path, size in sizes.items())


def _read_sample(
    pair: PairPaths,
    *,
    methods: Sequence[Files],
    boxes: Mapping[str, Float[np.ndarray, "n 4"]],
    reading: Reading,
) -> Sample:
    ir, vi = reading.read(pair)
    return make_sample([read_image(fused[pair.id]) for fused in methods], ir, vi, boxes.get(pair.id))
