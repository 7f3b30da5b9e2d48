"""Scoring folders of fused images against their sources."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from fusejax.data.config import OBJECT_CLASSES
from fusejax.data.image_headers import ImageError, image_size
from fusejax.data.images import as_infrared, as_visible, read_image, resample, to_float
from fusejax.data.pairing import PairError, list_images, size_text
from fusejax.inference.compilation import keep_compilations
from fusejax.metrics import USUAL, evaluate
from fusejax.report.progress import track
from fusejax.report.scores import FolderScores, Scores
from fusejax.scoring.regions import read_region_boxes, score_regions

Files = dict[str, Path]
_SHOWN = 8


def evaluate_folders(
    fused: Sequence[str | Path],
    ir: str | Path,
    vi: str | Path,
    *,
    convention: str = "exact",
    metrics: Sequence[str] | None = None,
    boxes: str | Path | None = None,
    box_classes: Sequence[str] = OBJECT_CLASSES,
    resize: Literal["ir"] | None = None,
    skip_bad: bool = False,
) -> FolderScores:
    """Scores fused images of one or several methods; images are matched by file stem.

    Reports progress on standard error. Each new size compiles for some ten seconds; images are
    sorted by size, so that equal ones share a compiled function.

    Args:
        fused: a folder of fused images for each method, gray or color, 8 or 16 bit.
        ir: folder of infrared images.
        vi: folder of visible images.
        convention: whose definitions to use; a name of `fusejax.metrics.CONVENTIONS`.
        metrics: names to compute; those of the nine usual ones that the convention defines by
            default.
        boxes: folder of annotations (VOC XML, YOLO, JSON) by the images' stems; adds the scores
            inside the boxes.
        box_classes: names of the objects that count, in any case; none: all.
        resize: "ir" resamples infrared images of another size to that of the visible one.
        skip_bad: leave out images that one of the folders lacks or that do not fit, in all methods.

    Returns:
        The scores of every method and what was left out.

    Raises:
        ValueError: before any work, if the folders do not fit or a metric is unknown.
    """
    if metrics is not None and not metrics:
        raise ValueError("No metric given; name some (--metrics EN SSIM), or leave the option out.")
    if not fused:
        raise PairError("No fused folder given; name at least one: --fused DIR.")
    fused = [Path(folder) for folder in fused]
    sources = {"infrared": list_images(ir), "visible": list_images(vi)}
    methods = {name: list_images(folder) for name, folder in zip(method_names(fused), fused, strict=True)}
    problems = _problems(methods, dict(zip(methods, fused, strict=True)), sources, resize=resize is not None)
    common = set.intersection(*(set(files) for files in (*sources.values(), *methods.values())))
    usable = sorted(common - problems.keys())
    if problems and (not skip_bad or not usable):
        lines = "\n  ".join(list(problems.values())[:_SHOWN])
        raise PairError(
            f"{len(problems)} images cannot be scored (sizes are width x height):\n  {lines}\nScores need the same "
            "stems and sizes everywhere; leave others out with --skip-bad, resample infrared with --resize ir."
        )
    kept = [{stem: files[stem] for stem in usable} for files in (*sources.values(), *methods.values())]
    ir_files, vi_files, method_files = kept[0], kept[1], dict(zip(methods, kept[2:], strict=True))
    found_boxes = None
    if boxes is not None:
        found_boxes = read_region_boxes(Path(boxes), ir_files, box_classes)
    keep_compilations()
    scores = _score(method_files, ir_files, vi_files, convention=convention, metrics=metrics)
    regions = [] if found_boxes is None else score_regions(method_files, ir_files, vi_files, found_boxes)
    return FolderScores({convention: scores}, regions, list(problems.values()), ir_files, vi_files, method_files)


def method_names(folders: Sequence[Path]) -> list[str]:
    """Names of the folders, with as many parents as it takes to tell them apart.

    Raises:
        PairError: if a folder is named twice.
    """
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise PairError(f"--fused names a folder twice: {', '.join(map(str, folders))}.")
    depth = 1
    while len({p.parts[-depth:] for p in paths}) < len(paths):
        depth += 1
    return ["/".join(p.parts[-depth:]) for p in paths]


def _problems(
    methods: Mapping[str, Files], folders: Mapping[str, Path], sources: Mapping[str, Files], *, resize: bool
) -> dict[str, str]:
    """By stem, what keeps an image from being scored."""
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
    methods: Mapping[str, Files], ir: Files, vi: Files, *, convention: str, metrics: Sequence[str] | None
) -> list[Scores]:
    """Pair by pair, all methods of a pair at once, so that what belongs to the sources is computed
    once.
    """
    stems, values = sorted(ir), {}
    order = sorted(stems, key=lambda stem: image_size(vi[stem]))
    for stem in track(order, len(order), description="scoring", unit="pairs"):
        fused = [to_float(read_image(files[stem])) for files in methods.values()]
        channels = max(x.shape[-1] for x in fused)
        fused = np.stack([as_visible(x) if channels == 3 else x for x in fused])[:, None]
        visible = read_image(vi[stem])
        infrared = resample(as_infrared(read_image(ir[stem])), height=visible.shape[0], width=visible.shape[1])
        pair = to_float(infrared)[None], to_float(visible)[None]
        found = evaluate(fused, *pair, convention=convention, metrics=metrics)
        values[stem] = {name: np.asarray(value, np.float64)[:, 0] for name, value in found.items()}
    first = values[stems[0]]
    names = [m for m in (USUAL if metrics is None else metrics) if m in first]
    return [
        Scores(method, convention, stems, {m: np.array([values[s][m][n] for s in stems]) for m in names})
        for n, method in enumerate(methods)
    ]
