"""Scoring folders of fused images against their sources."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from fusejax.data.config import OBJECT_CLASSES
from fusejax.evaluation.loop import Sample, score_samples, spread_sizes
from fusejax.evaluation.regions import REGION_METRICS, read_region_boxes, region_table
from fusejax.io.image_headers import ImageError, image_size
from fusejax.io.images import as_infrared, as_visible, read_image, resample, to_float
from fusejax.io.pairing import PairError, list_images, size_text, source_files
from fusejax.metrics import CONVENTIONS
from fusejax.metrics.evaluation import chosen_metrics, defined_metrics
from fusejax.progress import track
from fusejax.report.scores import FolderScores, Scores

Files = dict[str, Path]
_SHOWN = 8


def evaluate_folders(
    fused: Sequence[str | Path],
    ir: str | Path,
    vi: str | Path | None,
    *,
    convention: str | Sequence[str] = "exact",
    metrics: Sequence[str] | None = None,
    boxes: str | Path | None = None,
    box_classes: Sequence[str] = OBJECT_CLASSES,
    resize: Literal["ir"] | None = None,
    skip_bad: bool = False,
) -> FolderScores:
    """Scores the fused images of one or more methods; images are matched by file stem.

    Progress is reported on standard error. Images of all sizes share a few compiled functions,
    which are kept for later processes.

    Args:
        fused: one folder of fused images per method, gray or color, 8 or 16 bit.
        ir: folder of infrared images; see `fusejax.io.match_pairs` for lists, wildcards and names.
        vi: folder of visible images; None if `ir` names both.
        convention: which toolkit's metric definitions to use: one or more names of
            `fusejax.metrics.CONVENTIONS`.
        metrics: names of the metrics to compute; by default the nine usual ones. Each convention
            computes those of them that it defines.
        boxes: folder of annotations (VOC XML, YOLO, JSON) named by image stem; adds scores inside
            the boxes.
        box_classes: names of the object classes that count, ignoring case; no name means all
            classes.
        resize: "ir" resamples each infrared image to the size of the visible image.
        skip_bad: skip images that are missing in a folder or do not match their sources, for all
            methods.

    Returns:
        The scores of every method, and the images that were skipped.

    Raises:
        ValueError: before any work, if the folders do not match or a metric is unknown.
    """
    names = metrics_by_convention([convention] if isinstance(convention, str) else convention, metrics)
    if not fused:
        raise PairError("No folder of fused images given; give at least one: --fused DIR.")
    fused = [Path(folder) for folder in fused]
    ir_sources, vi_sources = source_files(ir, vi)
    sources = {"infrared": ir_sources, "visible": vi_sources}
    methods = {name: list_images(folder) for name, folder in zip(method_names(fused), fused, strict=True)}
    problems = _problems(methods, dict(zip(methods, fused, strict=True)), sources, resize=resize is not None)
    common = set.intersection(*(set(files) for files in (*sources.values(), *methods.values())))
    usable = sorted(common - problems.keys())
    if problems and (not skip_bad or not usable):
        lines = "\n  ".join(list(problems.values())[:_SHOWN])
        raise PairError(
            f"{len(problems)} images cannot be scored (sizes are width x height):\n  {lines}\nScores need the same "
            "stems and sizes everywhere; skip other images with --skip-bad, or resample infrared with --resize ir."
        )
    kept = [{stem: files[stem] for stem in usable} for files in (*sources.values(), *methods.values())]
    ir_files, vi_files, method_files = kept[0], kept[1], dict(zip(methods, kept[2:], strict=True))
    found_boxes = {} if boxes is None else read_region_boxes(Path(boxes), ir_files, box_classes)
    scores, regions = _score(method_files, ir_files, vi_files, found_boxes, metrics=names)
    return FolderScores(scores, regions, list(problems.values()), ir_files, vi_files, method_files)


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


def method_names(folders: Sequence[Path]) -> list[str]:
    """Names of the folders, with as many parents as needed to make them unique.

    Raises:
        PairError: if a folder is given twice.
    """
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise PairError(f"--fused gives the same folder twice: {', '.join(map(str, folders))}.")
    depth = 1
    while len({p.parts[-depth:] for p in paths}) < len(paths):
        depth += 1
    return ["/".join(p.parts[-depth:]) for p in paths]


def _problems(
    methods: Mapping[str, Files], folders: Mapping[str, Path], sources: Mapping[str, Files], *, resize: bool
) -> dict[str, str]:
    """Why images cannot be scored, by stem."""
    problems = {}
    ir, vi = sources["infrared"], sources["visible"]
    for name, fused in methods.items():
        for kind, files in sources.items():
            problems |= {s: f"{fused[s]} has no {kind} source" for s in sorted(fused.keys() - files.keys())}
        lacking = sorted((ir.keys() & vi.keys()) - fused.keys())
        problems |= {s: f"{s} is among both sources but not in {folders[name]}" for s in lacking}
        for stem in sorted(fused.keys() & ir.keys() & vi.keys()):
            if text := _size_problem(fused[stem], ir[stem], vi[stem], resize=resize):
                problems.setdefault(stem, text)
    return problems


def _size_problem(fused: Path, ir: Path, vi: Path, *, resize: bool) -> str | None:
    try:
        sizes = {path: image_size(path) for path in (fused, ir, vi)}
    except ImageError as error:
        return str(error)
    compared = {size for path, size in sizes.items() if not (resize and path == ir)}
    if len(compared) == 1:
        return None
    return ", ".join(f"{path} is {size_text(size)}" for path, size in sizes.items())


def _score(
    methods: Mapping[str, Files],
    ir: Files,
    vi: Files,
    boxes: Mapping[str, Float[np.ndarray, "n 4"]],
    *,
    metrics: Mapping[str, tuple[str, ...]],
) -> tuple[dict[str, list[Scores]], list[Scores]]:
    """Scores by convention and inside boxes; handles all methods of a pair at once, so that
    quantities of the sources are computed only once.
    """
    order = spread_sizes({stem: image_size(vi[stem]) for stem in sorted(ir)})
    samples = (partial(_read_sample, stem, methods, ir, vi, boxes.get(stem)) for stem in order)
    scored = track(score_samples(samples, metrics), len(order), description="scoring", unit="pairs")
    found = dict(zip(order, scored, strict=True))
    stems = sorted(found)
    scores = {
        convention: [
            Scores(
                method,
                convention,
                stems,
                {m: np.array([found[s].conventions[convention][m][n] for s in stems]) for m in names},
            )
            for n, method in enumerate(methods)
        ]
        for convention, names in metrics.items()
    }
    boxed = sorted(boxes)
    inside = {m: np.stack([found[s].regions[m] for s in boxed], axis=1) for m in REGION_METRICS} if boxed else {}
    return scores, region_table(list(methods), boxed, inside) if boxed else []


def _read_sample(
    stem: str, methods: Mapping[str, Files], ir: Files, vi: Files, boxes: Float[np.ndarray, "n 4"] | None
) -> Sample:
    fused = [to_float(read_image(files[stem])) for files in methods.values()]
    channels = max(x.shape[-1] for x in fused)
    visible = read_image(vi[stem])
    infrared = resample(as_infrared(read_image(ir[stem])), height=visible.shape[0], width=visible.shape[1])
    return Sample(
        fused=np.stack([as_visible(x) if channels == 3 else x for x in fused]),
        ir=to_float(infrared),
        vi=to_float(visible),
        boxes=boxes,
    )
