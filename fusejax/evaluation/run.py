"""Training and scoring the variants of an ablation."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fusejax.data.config import OBJECT_CLASSES
from fusejax.data.folders import PairFolder
from fusejax.data.layouts import find_modalities
from fusejax.evaluation.ablation import Ablation, run_folder
from fusejax.evaluation.folder import collect_scores, evaluate_folders
from fusejax.evaluation.loop import Sample, make_sample, score_samples
from fusejax.evaluation.methods import fuse_methods, name_methods
from fusejax.evaluation.regions import AVERAGE
from fusejax.evaluation.results import Evaluation, Scores, joined, printable
from fusejax.evaluation.score_files import read_scores, write_scores
from fusejax.evaluation.validation import CONVENTION, Validation
from fusejax.inference.fuser import Fuser
from fusejax.io.annotations import of_classes
from fusejax.io.images import to_float
from fusejax.io.pairing import PairError
from fusejax.metrics import USUAL
from fusejax.metrics.region import average_fusion
from fusejax.ops.color import rgb_to_luma
from fusejax.progress import track
from fusejax.training.loop import fit
from fusejax.typing import Pair

_SCORES = "metrics.csv"


def run_ablation(ablation: Ablation, *, data_root: Path, out: Path, seeds: int) -> list[Scores]:
    """Trains and scores every variant with every seed; finished runs are not repeated.

    Each run has a folder below OUT/runs, with its scores in metrics.csv. Sets with boxes also have
    the scores of the plain average and the lower bound of the errors.

    Args:
        ablation: ablation to run.
        data_root: folder that holds the pair folders.
        out: folder of the ablation.
        seeds: number of runs of each variant, with the seeds 0, 1, ...

    Returns:
        The scores of all runs by set; the conditions are the seeds. Sets with boxes are followed by
        the scores inside them (convention "regions").

    Raises:
        ValueError: if a folder holds a run of a different configuration; delete it, or choose
            another `out`.
    """
    for preparation in ablation.preparations:
        preparation.prepare()
    tables: list[Scores] = []
    for seed in range(seeds):
        for n, (name, config) in enumerate(ablation.variants.items()):
            run = run_folder(out, name, seed)
            if not (run / _SCORES).exists():
                number, total = seed * len(ablation.variants) + n + 1, seeds * len(ablation.variants)
                print(f"run {number} of {total}: {name}, seed {seed}", flush=True)
                seeded = dataclasses.replace(config, seed=seed)
                fit(seeded, run, validate=Validation.of(seeded))
                fuse = Fuser.load(run).fuse_luma
                write_scores(run, score_sets(fuse, ablation, data_root, method=name, condition=f"seed {seed}"))
            tables += [table.select(methods=[name]) for table in read_scores(run / _SCORES)]
    references = out / "references"
    if ablation.boxed and not (references / _SCORES).exists():
        boxed = dataclasses.replace(ablation, scored_on={name: ablation.scored_on[name] for name in ablation.boxed})
        write_scores(references, score_sets(average_fusion, boxed, data_root, method=AVERAGE, condition="seed 0"))
    tables += read_scores(references / _SCORES) if ablation.boxed else []
    parts: dict[tuple[str, str], list[Scores]] = {
        (name, convention): [] for name in ablation.scored_on for convention in (CONVENTION, "regions")
    }
    for table in tables:
        if table.name in ablation.scored_on:
            parts[table.name, table.convention].append(table)
    return [joined(found) for found in parts.values() if found]


def open_pairs(ablation: Ablation, name: str, data_root: Path) -> PairFolder:
    """The pairs of an entry of `ablation.scored_on`, with boxes if it is in `ablation.boxed`."""
    return PairFolder(ablation.folder(name, data_root), boxes=name in ablation.boxed)


def _object_boxes(pair: Pair) -> np.ndarray:
    """Boxes [n, 4] of the classes that count; none if the set was opened without boxes."""
    if "boxes" not in pair or "labels" not in pair:
        return np.zeros((0, 4), np.float32)
    return pair["boxes"][of_classes([str(label) for label in pair["labels"]], OBJECT_CLASSES)]


def score_sets(
    fuse: Callable[..., Any], ablation: Ablation, data_root: Path, *, method: str, condition: str
) -> list[Scores]:
    """Scores a fusion function on every set of an ablation.

    Args:
        fuse: function from infrared and visible luma [1, h, w, 1] in [0, 1] to fused luma.
        ablation: ablation whose `scored_on` and `boxed` are used.
        data_root: folder that holds the sets.
        method: name of the function in the scores.
        condition: name of the condition, its seed.

    Returns:
        Scores on each set (`USUAL`), followed by those inside the boxes if it has any.
    """
    tables: list[Scores] = []
    for name in ablation.scored_on:
        pairs, metrics = open_pairs(ablation, name, data_root), {CONVENTION: USUAL}
        samples = score_samples(_samples(fuse, pairs), metrics)
        scored = track(samples, len(pairs), description=f"scoring {name}", unit="pairs")
        found = dict(zip((printable(pair.id) for pair in pairs.pairs), scored, strict=True))
        usual, regions = collect_scores([method], found, metrics, condition=condition, name=name)
        tables += [*usual, *([] if regions is None else [regions])]
    return tables


def _samples(fuse: Callable[..., Any], pairs: PairFolder) -> Iterator[Callable[[], Sample]]:
    for n in range(len(pairs)):
        pair = pairs[n]
        ir, vi_y = to_float(pair["ir"]), rgb_to_luma(to_float(pair["vi"]))
        fused_y = np.asarray(fuse(ir[None], vi_y[None]))
        yield partial(make_sample, [*fused_y], ir, vi_y, _object_boxes(pair))


def evaluate_runs(ablation: Ablation, name: str, *, data_root: Path, out: Path) -> Evaluation:
    """Fuses the pairs of a set with the runs of seed 0, and scores the files.

    They are written to OUT/fused; existing images are kept.

    Args:
        ablation: ablation whose runs are below `out`.
        name: an entry of `scored_on`.
        data_root: folder that holds the sets.
        out: folder of the ablation.

    Returns:
        Scores and files, as needed by pages.

    Raises:
        PairError: if the set does not have folders of infrared and visible images.
    """
    folder = ablation.folder(name, data_root)
    if (sources := find_modalities(folder)) is None:
        raise PairError(f"{folder} has no folders of infrared and visible images, which a page needs.")
    methods = name_methods(weights={variant: run_folder(out, variant, 0) for variant in ablation.variants})
    place = out / "fused" / name.replace("/", "_")
    folders = fuse_methods(methods, *sources, place, skip_existing=True)
    return evaluate_folders(folders, *sources, convention=CONVENTION, name=name)
