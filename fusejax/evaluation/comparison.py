"""Comparing methods on the same pairs: weights, simple fusion rules, results of other programs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fusejax.data.layouts import find_pair_folders
from fusejax.evaluation.folder import evaluate_folders, metrics_by_convention
from fusejax.evaluation.methods import Given, GivenBackends, fuse_methods, name_methods
from fusejax.evaluation.results import STRETCHED, Evaluation
from fusejax.evaluation.sources import choose_reading
from fusejax.inference.loading import opened
from fusejax.inference.pair_arrays import stretch_range
from fusejax.inference.rules import RULES
from fusejax.inference.thermal import RangeOption
from fusejax.io.images import from_float, read_image, to_float, write_image
from fusejax.io.pairing import PairError, list_images
from fusejax.io.panels import RgbImage, labeled_row, stacked
from fusejax.ops.color import recolor, rgb_to_luma

_COLUMNS = 3


def compare_methods(
    data_root: str | Path,
    sets: Sequence[str],
    out: str | Path,
    *,
    weights: GivenBackends = (),
    rules: Sequence[str] = (),
    others: Given = (),
    convention: str | Sequence[str] = "exact",
    metrics: Sequence[str] | None = None,
    ir_range: RangeOption = "auto",
    overwrite: bool = False,
    stretched: bool = False,
    ir_pattern: str | None = None,
    vi_pattern: str | None = None,
) -> list[Evaluation]:
    """Fuses sets of pairs with weights and rules, and scores them with other methods' results.

    Fused images are written to OUT/SET/METHOD (a "/" in SET becomes "_"). Existing images are kept,
    so that an interrupted comparison can be continued.

    Args:
        data_root: folder that holds the sets.
        sets: pair folders below `data_root`; each path leads to the folder with the two image
            folders.
        out: folder for the fused images.
        weights: what fuses, see `fusejax.load`; NAME=WEIGHTS gives another name.
        rules: names of `RULES`.
        others: folders of other methods' results, DIR or NAME=DIR, with images DIR/SET/STEM.png, or
            DIR/STEM.png if there is only one set.
        convention: which toolkit's metric definitions to use: one or more names.
        metrics: names of the metrics; by default the usual ones.
        ir_range: values of the infrared images that map to black and white, see `fusejax.fuse`.
        overwrite: fuse again instead of keeping existing images.
        stretched: also score every image after a stretch of its luma to the full range, as some
            programs do on saving; see `STRETCHED`.
        ir_pattern: names of the infrared files of all sets, see `find_pair_folders`.
        vi_pattern: names of the visible files of all sets.

    Returns:
        The scores on each set, in the order of the sets.

    Raises:
        ValueError: before any work, if weights, rules, sets or folders cannot be used, or if two
            methods have the same name.
    """
    if unknown := [rule for rule in rules if rule not in RULES]:
        raise ValueError(f"Unknown rule {unknown[0]!r}; the rules are {', '.join(RULES)}.")
    methods = name_methods(weights=weights, rules=rules, folders=others)
    if not methods or not sets:
        raise ValueError("Nothing to compare: give at least one set, and weights, rules or folders of results.")
    metrics_by_convention([convention] if isinstance(convention, str) else convention, metrics)
    fusing = [  # opened before any work
        dataclasses.replace(method, weights=opened(method.weights)) for method in methods if method.weights is not None
    ]
    sources = {name: _sources(Path(data_root) / name, ir_pattern, vi_pattern) for name in sets}
    theirs = {name: {m.name: _results(m.folder, name, sets) for m in methods if m.folder} for name in sets}
    found = []
    for name, (ir, vi) in sources.items():
        place = Path(out) / name.replace("/", "_")
        options = {"overwrite": overwrite, "skip_existing": not overwrite, "ir_range": ir_range}
        folders = fuse_methods(fusing, ir, vi, place, **options) | theirs[name]
        if stretched:
            folders |= _stretch(folders, place / "stretched", overwrite=overwrite)
        found.append(
            evaluate_folders(folders, ir, vi, convention=convention, metrics=metrics, ir_range=ir_range, name=name)
        )
    return found


def _stretch(folders: Mapping[str, Path], out: Path, *, overwrite: bool) -> dict[str, Path]:
    """Writes each method's images with their luma stretched to 0..255, and returns the folders."""
    found = {}
    for name, folder in folders.items():
        place = found[name + STRETCHED] = out / name.replace("/", "_")
        for stem, path in list_images(folder).items():
            if overwrite or not (place / f"{stem}.png").exists():
                write_image(place / f"{stem}.png", from_float(_stretched(to_float(read_image(path))), np.uint8))
    return found


def _stretched(image: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w c"]:
    if image.shape[-1] == 1:
        return stretch_range(image)
    return recolor(stretch_range(rgb_to_luma(image)), image)


def _sources(root: Path, ir_pattern: str | None, vi_pattern: str | None) -> tuple[Path, Path | None]:
    """The two image folders of a set, as `find_pairs` takes them."""
    folders = find_pair_folders(root, ir_pattern=ir_pattern, vi_pattern=vi_pattern)
    if len(folders) > 1:
        raise PairError(f"{root} holds {len(folders)} sequences; give each as a set, such as {root / min(folders)}.")
    return next(iter(folders.values()))


def _results(folder: Path, name: str, sets: Sequence[str]) -> Path:
    """The folder with a method's results for a set."""
    if (folder / name).is_dir():
        return folder / name
    if len(sets) == 1 and folder.is_dir():
        return folder
    raise PairError(f"{folder} has no subfolder {name} with the results for that set.")


def plain_scores(found: Evaluation) -> Evaluation:
    """The evaluation without the stretched images."""
    kept = [method for method in found.scores[0].methods if not method.endswith(STRETCHED)]
    scores = [each.select(methods=kept) for each in found.scores]
    return dataclasses.replace(found, scores=scores, fused={method: found.fused[method] for method in kept})


def comparison_grid(found: Evaluation, name: str, *, ir_range: RangeOption = "auto") -> RgbImage:
    """One pair and the result of every method, side by side with the names above.

    Args:
        found: scores and files of the set.
        name: name of the pair.
        ir_range: see `compare_methods`.

    Returns:
        8-bit RGB: infrared, visible, then the methods in the order of the scores.
    """
    pair = found.pairs[name]
    sources = choose_reading([pair], ir_range, options=found.reading.options, quiet=True).read(pair)
    images = dict(zip(("infrared", "visible"), sources, strict=True))
    images |= {method: to_float(read_image(files[name])) for method, files in found.fused.items()}
    names = list(images)
    rows = [names[n : n + _COLUMNS] for n in range(0, len(names), _COLUMNS)]
    return stacked([labeled_row({label: images[label] for label in row}) for row in rows])
