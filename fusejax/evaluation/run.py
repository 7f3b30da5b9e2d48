"""Training and scoring the variants of an ablation."""

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fusejax.data.config import OBJECT_CLASSES
from fusejax.data.folders import PairFolder
from fusejax.evaluation.ablation import Ablation, run_folder
from fusejax.evaluation.loop import Sample, score_samples
from fusejax.evaluation.regions import AVERAGE, BOUND
from fusejax.evaluation.validation import Validation
from fusejax.inference.fuser import Fuser
from fusejax.io.annotations import of_classes
from fusejax.io.images import to_float
from fusejax.io.outputs import write_complete
from fusejax.metrics import USUAL
from fusejax.metrics.region import average_fusion
from fusejax.ops.color import rgb_to_luma
from fusejax.progress import track
from fusejax.training.loop import fit
from fusejax.typing import Pair

CONVENTION = "cddfuse"

SetScores = dict[str, dict[str, float]]
"""Pair folder -> metric -> mean over its pairs."""

Results = dict[str, list[SetScores]]
"""Variant -> its scores, one entry per seed."""

References = dict[str, SetScores]
"""Scores of the plain average and the lower bound of the errors, under these names."""


def run_ablation(ablation: Ablation, *, data_root: Path, out: Path, seeds: int) -> Results:
    """Trains and scores every variant with every seed; finished runs are not repeated.

    Each run has a folder below OUT/runs, with its scores in scores.json.

    Args:
        ablation: ablation to run.
        data_root: folder that holds the pair folders.
        out: folder of the ablation.
        seeds: number of runs of each variant, with the seeds 0, 1, ...

    Returns:
        The scores of all runs.

    Raises:
        ValueError: if a folder holds a run of a different configuration; delete it, or choose
            another `out`.
    """
    for preparation in ablation.preparations:
        preparation.prepare()
    results: Results = {name: [] for name in ablation.variants}
    for seed in range(seeds):
        for n, (name, config) in enumerate(ablation.variants.items()):
            run = run_folder(out, name, seed)
            scores = run / "scores.json"
            if not scores.exists():
                number, total = seed * len(ablation.variants) + n + 1, seeds * len(ablation.variants)
                print(f"run {number} of {total}: {name}, seed {seed}", flush=True)
                seeded = dataclasses.replace(config, seed=seed)
                fit(seeded, run, validate=Validation.of(seeded))
                found, _ = score_sets(Fuser.load(run).fuse_luma, ablation, data_root)
                write_complete(scores, json.dumps(found, indent=1) + "\n")
            results[name].append(json.loads(scores.read_text()))
    return results


def reference_scores(ablation: Ablation, *, data_root: Path, out: Path) -> References:
    """Scores of the plain average, and the smallest possible errors, on the sets with boxes.

    They are computed once and kept in OUT/references.json.
    """
    path, boxed = out / "references.json", {name: ablation.scored_on[name] for name in ablation.boxed}
    if not path.exists():
        average, least = score_sets(average_fusion, dataclasses.replace(ablation, scored_on=boxed), data_root)
        write_complete(path, json.dumps({AVERAGE: average, BOUND: least}, indent=1) + "\n")
    return json.loads(path.read_text())


def open_pairs(ablation: Ablation, name: str, data_root: Path) -> PairFolder:
    """The pairs of an entry of `ablation.scored_on`, with boxes if it is in `ablation.boxed`."""
    return PairFolder(ablation.folder(name, data_root), boxes=name in ablation.boxed)


def _object_boxes(pair: Pair) -> np.ndarray:
    """Boxes [n, 4] of the classes that count; none if the set was opened without boxes."""
    if "boxes" not in pair or "labels" not in pair:
        return np.zeros((0, 4), np.float32)
    return pair["boxes"][of_classes([str(label) for label in pair["labels"]], OBJECT_CLASSES)]


def score_sets(fuse: Callable[..., Any], ablation: Ablation, data_root: Path) -> tuple[SetScores, SetScores]:
    """Scores a fusion function on every set of an ablation.

    Args:
        fuse: function from infrared and visible luma [1, h, w, 1] in [0, 1] to fused luma.
        ablation: ablation whose `scored_on` and `boxed` are used.
        data_root: folder that holds the sets.

    Returns:
        Means over the pairs of each set (`USUAL`; with boxes also `REGION_METRICS`), and means of
        the smallest possible errors inside the boxes.
    """
    scores, least = {}, {}
    for name in ablation.scored_on:
        pairs, found, bounds = open_pairs(ablation, name, data_root), defaultdict(list), defaultdict(list)
        samples = score_samples(_samples(fuse, pairs), {CONVENTION: USUAL})
        for sample in track(samples, len(pairs), description=f"scoring {name}", unit="pairs"):
            for metric in USUAL:
                found[metric].append(sample.conventions[CONVENTION][metric][0])
            for metric, rows in sample.regions.items():
                found[metric].append(rows[0])
                bounds[metric].append(rows[-1])
        bounds.pop("ROI-SSIM", None)
        scores[name], least[name] = ({k: float(np.nanmean(v)) for k, v in x.items()} for x in (found, bounds))
    return scores, least


def _samples(fuse: Callable[..., Any], pairs: PairFolder) -> Iterator[Callable[[], Sample]]:
    for n in range(len(pairs)):
        pair = pairs[n]
        ir, vi_y = to_float(pair["ir"]), rgb_to_luma(to_float(pair["vi"]))
        fused_y = np.asarray(fuse(ir[None], vi_y[None]))
        yield partial(Sample, fused=fused_y, ir=ir, vi=vi_y, boxes=_object_boxes(pair))
