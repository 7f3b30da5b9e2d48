"""Ablations: variants trained with equal budgets and seeds, scored on the same pairs, in one table."""

import csv
import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from fusejax.config import TrainConfig
from fusejax.data.annotations import of_classes
from fusejax.data.config import OBJECT_CLASSES
from fusejax.data.folders import PairFolder
from fusejax.data.images import to_float, write_image
from fusejax.inference.fuser import Fuser, recolour
from fusejax.metrics import USUAL, evaluate
from fusejax.metrics.region import average_fusion
from fusejax.ops.color import rgb_to_luma
from fusejax.report.panels import labeled_row, stacked
from fusejax.report.progress import track
from fusejax.report.tables import ranks
from fusejax.scoring.regions import AVERAGE, BOUND, REGION_METRICS, region_mask, region_scores
from fusejax.training.loop import fit
from fusejax.weights.files import load_weights

CONVENTION = "cddfuse"

SetScores = dict[str, dict[str, float]]  # pair folder -> metric -> mean over its pairs
Results = dict[str, list[SetScores]]  # variant -> one of them per seed
References = dict[str, SetScores]  # plain average, lower bound


@dataclasses.dataclass(frozen=True)
class Ablation:
    """What an ablation file gives back.

    Attributes:
      title: heads the table.
      variants: name -> configuration; they should differ in what the name says and nothing else.
      scored_on: pair folders below the data root, named down to the split, with a word on each.
      boxed: those of `scored_on` that are also scored inside their object boxes, and where they are, below the data
        root or absolute.
      shown: first pairs of each folder that are drawn in a grid.
    """

    title: str
    variants: Mapping[str, TrainConfig]
    scored_on: Mapping[str, str]
    shown: int = 2
    boxed: Mapping[str, Path] = dataclasses.field(default_factory=dict)

    def open(self, name: str, data_root: Path) -> PairFolder:
        """The pairs of one of `scored_on`, with their boxes if it is among `boxed`."""
        return PairFolder(data_root / self.boxed.get(name, name), boxes=name in self.boxed)


def run_ablation(ablation: Ablation, *, data_root: Path, out: Path, seeds: int) -> Results:
    """Trains and scores what is not there yet below OUT/runs, one folder per variant and seed.

    Raises: ValueError where a folder holds the run of another configuration; delete it, or give another `out`.
    """
    results: Results = {name: [] for name in ablation.variants}
    for seed in range(seeds):
        for name, config in ablation.variants.items():
            run = run_folder(out, name, seed)
            scores = run / "scores.json"
            if not scores.exists():
                fit(dataclasses.replace(config, seed=seed), run)
                found, _ = _score(_fuser(run).fuse_luma, ablation, data_root)
                scores.write_text(json.dumps(found, indent=1) + "\n")
            results[name].append(json.loads(scores.read_text()))
    return results


def run_folder(out: Path, variant: str, seed: int) -> Path:
    """Where a variant's run with a seed lives."""
    return out / "runs" / f"{variant.replace(' ', '_').replace('/', '-')}_{seed}"


def reference_scores(ablation: Ablation, *, data_root: Path, out: Path) -> References:
    """The plain average and the least errors on the sets with boxes; kept in OUT/references.json."""
    path, boxed = out / "references.json", {name: ablation.scored_on[name] for name in ablation.boxed}
    if not path.exists():
        average, least = _score(average_fusion, dataclasses.replace(ablation, scored_on=boxed), data_root)
        path.write_text(json.dumps({AVERAGE: average, BOUND: least}, indent=1) + "\n")
    return json.loads(path.read_text())


def _score(fuse: Callable, ablation: Ablation, data_root: Path) -> tuple[SetScores, SetScores]:
    """Means over the pairs of each set: of what `fuse` makes of (ir, vi_y), and the least errors inside boxes."""
    scores, least = {}, {}
    for name in ablation.scored_on:
        pairs, found, bounds = ablation.open(name, data_root), defaultdict(list), defaultdict(list)
        for n in track(range(len(pairs)), len(pairs), description=f"scoring {name}", unit="pairs"):
            pair = pairs[n]
            ir, vi_y = to_float(pair["ir"])[None], rgb_to_luma(to_float(pair["vi"]))[None]
            fused_y = fuse(ir, vi_y)
            usual = evaluate(fused_y, ir, vi_y, convention=CONVENTION, metrics=USUAL)
            for metric in USUAL:
                found[metric].append(usual[metric][0])
            boxes = pair["boxes"][of_classes(pair["labels"], OBJECT_CLASSES)] if name in ablation.boxed else ()
            if not len(boxes):
                continue
            mask = region_mask(boxes, height=ir.shape[1], width=ir.shape[2])
            inside = region_scores(fused_y[None], ir, vi_y, mask)
            for metric in REGION_METRICS:
                found[metric].append(inside[metric][0, 0])
                bounds[metric].append(inside[metric][-1, 0])
        bounds.pop("ROI-SSIM", None)
        scores[name], least[name] = ({k: float(np.nanmean(v)) for k, v in x.items()} for x in (found, bounds))
    return scores, least


def _fuser(run: Path) -> Fuser:
    params, model, _ = load_weights(run)
    return Fuser(jax.device_put(params), model)


def ranked(results: Results, folder: str) -> dict[str, dict[str, tuple[float, float, float]]]:
    """variant -> metric -> (mean over the seeds, standard deviation, rank of the mean; 1 is best)."""
    metrics = next(iter(results.values()))[0][folder]
    values = {metric: np.array([[r[folder][metric] for r in runs] for runs in results.values()]) for metric in metrics}
    places = {m: ranks(v.mean(axis=1), metric=m) for m, v in values.items()}
    return {
        name: {m: (float(v[n].mean()), float(v[n].std()), float(places[m][n])) for m, v in values.items()}
        for n, name in enumerate(results)
    }


def markdown(ablation: Ablation, results: Results, references: References | None = None) -> str:
    """A table for each folder: mean ± standard deviation over the seeds, mean rank over the metrics.

    Sets with boxes have a second one, of the scores inside them, without a rank: two of its three columns are best for
    the plain average. `references` are rows without spread and rank.
    """
    seeds = len(next(iter(results.values())))
    lines = [f"{ablation.title}; mean ± standard deviation over {seeds} seeds, convention `{CONVENTION}`."]
    for folder, word in ablation.scored_on.items():
        rows, beside = ranked(results, folder), {k: v.get(folder, {}) for k, v in (references or {}).items()}
        places = {name: f"{np.mean([row[m][2] for m in USUAL]):.2f}" for name, row in rows.items()}
        lines += ["", f"**{folder}** ({word})", "", *_table(USUAL, rows, beside, {"mean rank": places})]
        if folder in ablation.boxed:
            lines += ["", f"**{folder}**, inside the boxes, and MSE over the whole pictures; errors on [0, 1]", ""]
            lines += _table(REGION_METRICS, rows, beside, {}, digits=4)
    return "\n".join(lines) + "\n"


def _table(
    metrics: Sequence[str],
    rows: Mapping[str, Mapping[str, tuple[float, ...]]],
    beside: Mapping[str, Mapping[str, float]],
    last: Mapping[str, Mapping[str, str]],
    digits: int = 3,
) -> list[str]:
    """Lines of a table: the variants, what stands beside them where it has one of the metrics; last columns as text."""
    table = [["variant", *metrics, *last], ["---"] * (1 + len(metrics) + len(last))]
    for name, row in rows.items():
        cells = [f"{row[m][0]:.{digits}f} ± {row[m][1]:.{digits}f}" for m in metrics]
        table.append([name, *cells, *(column[name] for column in last.values())])
    for name, row in beside.items():
        if row.keys() & set(metrics):
            table.append([name, *(f"{row[m]:.{digits}f}" if m in row else "" for m in metrics), *([""] * len(last))])
    return [f"| {' | '.join(cells)} |" for cells in table]


def write_csv(path: Path, ablation: Ablation, results: Results, references: References | None = None) -> None:
    """One line per folder, variant and metric, full precision; references have neither spread nor rank nor seeds."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["folder", "variant", "metric", "mean", "standard_deviation", "rank", "seeds"])
        for folder in ablation.scored_on:
            for name, row in ranked(results, folder).items():
                for metric, numbers in row.items():
                    writer.writerow([folder, name, metric, *map(repr, numbers), len(results[name])])
            for name, sets in (references or {}).items():
                for metric, value in sets.get(folder, {}).items():
                    writer.writerow([folder, name, metric, repr(value), "", "", ""])


def draw_grids(ablation: Ablation, *, data_root: Path, out: Path) -> list[Path]:
    """One picture per shown pair below OUT/grids: the sources, then a row per variant (seed 0), luma and colour."""
    fusers = {name: _fuser(run_folder(out, name, 0)) for name in ablation.variants}
    written = []
    for folder in ablation.scored_on:
        pairs = ablation.open(folder, data_root)
        for n in range(min(ablation.shown, len(pairs))):
            pair = pairs[n]
            ir, vi = to_float(pair["ir"]), to_float(pair["vi"])
            rows: Sequence[np.ndarray] = [labeled_row({"infrared": ir, "visible": vi})]
            for name, fuser in fusers.items():
                fused_y = fuser.fuse_luma(ir[None], rgb_to_luma(vi)[None])[0]
                rows.append(labeled_row({name: fused_y, "in colour": recolour(fused_y, vi)}))
            path = out / "grids" / f"{folder}_{pair['id']}".replace("/", "_")
            written.append(path.with_name(path.name + ".png"))
            write_image(written[-1], stacked(rows))
    return written
