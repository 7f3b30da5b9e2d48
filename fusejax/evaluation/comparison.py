"""Comparing methods on the same pairs: weights, simple fusion rules, results of other programs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from fusejax.data.folders import find_pair_folders
from fusejax.evaluation.folder import evaluate_folders
from fusejax.inference.folder import fuse_folder
from fusejax.inference.loading import load, weights_name
from fusejax.inference.rules import RULES
from fusejax.io.images import as_infrared, as_visible, from_float, read_image, to_float, write_image
from fusejax.io.pairing import PairError, is_pair_list, list_images, match_pairs, source_files
from fusejax.io.panels import labeled_row, stacked
from fusejax.ops.color import rgb_to_luma
from fusejax.report.scores import Scores

_COLUMNS = 3


@dataclasses.dataclass(frozen=True)
class ComparedSet:
    """Result of a comparison on one set of pairs.

    Attributes:
        name: name of the set.
        scores: scores of every method, per image.
        fused: folder of each method's images.
        ir: folder of the infrared images.
        vi: folder of the visible images.
    """

    name: str
    scores: list[Scores]
    fused: dict[str, Path]
    ir: Path
    vi: Path


def compare_methods(
    data_root: str | Path,
    sets: Sequence[str],
    out: str | Path,
    *,
    weights: Sequence[str] = (),
    rules: Sequence[str] = (),
    others: Mapping[str, str | Path] | None = None,
    convention: str = "cddfuse",
    overwrite: bool = False,
) -> list[ComparedSet]:
    """Fuses sets of pairs with weights and rules, and scores them with other methods' results.

    Fused images are written to OUT/SET/METHOD (a "/" in SET becomes "_"). Existing images are kept,
    so that an interrupted comparison can be continued.

    Args:
        data_root: folder that holds the sets.
        sets: pair folders below `data_root`; each path leads to the folder with the two image
            folders.
        out: folder for the fused images.
        weights: what to compare, see `fusejax.load`; the name of the file or folder is the method
            name.
        rules: names of `RULES`.
        others: folders of other methods' results by method name, with images FOLDER/SET/STEM.png,
            or FOLDER/STEM.png if there is only one set.
        convention: which toolkit's metric definitions to use.
        overwrite: fuse again instead of keeping existing images.

    Returns:
        The scores on each set, in the order of the sets.

    Raises:
        ValueError: before any work, if weights, rules, sets or folders cannot be used, or if two
            methods have the same name.
    """
    if unknown := [rule for rule in rules if rule not in RULES]:
        raise ValueError(f"Unknown rule {unknown[0]!r}; the rules are {', '.join(RULES)}.")
    named = {weights_name(w): w for w in weights}
    others = {name: Path(folder) for name, folder in (others or {}).items()}
    methods = [*(weights_name(w) for w in weights), *rules, *others]
    if not methods or not sets:
        raise ValueError("Nothing to compare: give at least one set, and weights, rules or folders of results.")
    if len(set(methods)) < len(methods):
        raise ValueError(f"Two methods have the same name: {', '.join(methods)}; rename one.")
    backends = {method: load(each) for method, each in named.items()}
    sources = {name: _sources(Path(data_root) / name) for name in sets}
    results = {name: {other: _results(folder, name, sets) for other, folder in others.items()} for name in sets}
    found = []
    for name, (ir, vi) in sources.items():
        place = Path(out) / name.replace("/", "_")
        fused = {method: place / method for method in (*named, *rules)} | results[name]
        for method, backend in backends.items():
            fuse_folder(ir, vi, fused[method], weights=backend, overwrite=overwrite, skip_existing=not overwrite)
        for rule in rules:
            apply_rule(rule, ir, vi, fused[rule])
        scores = evaluate_folders(list(fused.values()), ir, vi, convention=convention).methods
        renamed = [dataclasses.replace(s, method=method) for method, s in zip(fused, scores, strict=True)]
        found.append(ComparedSet(name, renamed, fused, ir, vi))
    return found


def _sources(root: Path) -> tuple[Path, Path]:
    """The two image folders of a set; twice the same one if it holds both, or lists pairs."""
    if is_pair_list(root):
        return root, root
    folders = find_pair_folders(root)
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


def apply_rule(rule: str, ir: Path, vi: Path, out: Path) -> None:
    """Writes the gray 8-bit image of one of `RULES` for every pair of two folders.

    Args:
        rule: name of the rule.
        ir: folder of infrared images.
        vi: folder of visible images.
        out: folder to write to; existing images are replaced.

    Raises:
        ValueError: if the rule is unknown.
        PairError: if the folders do not hold pairs.
    """
    if rule not in RULES:
        raise ValueError(f"Unknown rule {rule!r}; the rules are {', '.join(RULES)}.")
    pairs, _ = match_pairs(ir, vi)
    for pair in pairs:
        ir_y, vi_y = to_float(as_infrared(read_image(pair.ir))), to_float(as_visible(read_image(pair.vi)))
        # Rounds the sources to whole levels first, as evaluators read them; halves then round to
        # even everywhere.
        planes = (from_float(y, np.uint8).astype(np.float64) for y in (ir_y, rgb_to_luma(vi_y)))
        write_image(out / f"{pair.id}.png", np.round(RULES[rule](*planes)).astype(np.uint8))


def comparison_grid(compared: ComparedSet, stem: str) -> UInt8[np.ndarray, "_ _ 3"]:
    """One pair and the result of every method, side by side with the names above.

    Args:
        compared: result on the set.
        stem: name of the pair.

    Returns:
        8-bit RGB: infrared, visible, then the methods in the order of the scores.
    """
    sources = dict(zip(("infrared", "visible"), source_files(compared.ir, compared.vi, quiet=True), strict=True))
    fused = {name: list_images(folder) for name, folder in compared.fused.items()}
    images = {name: to_float(read_image(files[stem])) for name, files in (sources | fused).items()}
    names = list(images)
    rows = [names[n : n + _COLUMNS] for n in range(0, len(names), _COLUMNS)]
    return stacked([labeled_row({name: images[name] for name in row}) for row in rows])
