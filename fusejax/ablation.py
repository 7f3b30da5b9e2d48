"""Ablations: variants trained with equal budgets and seeds, scored on the same pairs, in one table."""

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from fusejax.color import rgb_to_luma
from fusejax.config import TrainConfig
from fusejax.data.folders import PairFolder
from fusejax.data.images import to_float, write_image
from fusejax.inference import Fuser, recolour
from fusejax.metrics import METRICS, USUAL, evaluate
from fusejax.metrics.report import ranks
from fusejax.panel import labelled_row, stacked
from fusejax.progress import track
from fusejax.training.loop import fit
from fusejax.weights_io import load_weights

CONVENTION = "cddfuse"

# variant -> one dict of scores per seed: pair folder -> metric -> mean over its pairs
Results = dict[str, list[dict[str, dict[str, float]]]]


@dataclasses.dataclass(frozen=True)
class Ablation:
    """What an ablation file gives back.

    Attributes:
      title: heads the table.
      variants: name -> configuration; they should differ in what the name says and nothing else.
      scored_on: pair folders below the data root, named down to the split, with a word on each.
      shown: first pairs of each folder that are drawn in a grid.
    """

    title: str
    variants: Mapping[str, TrainConfig]
    scored_on: Mapping[str, str]
    shown: int = 2


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
                scores.write_text(json.dumps(_score(run, data_root, ablation.scored_on), indent=1) + "\n")
            results[name].append(json.loads(scores.read_text()))
    return results


def run_folder(out: Path, variant: str, seed: int) -> Path:
    """Where a variant's run with a seed lives."""
    return out / "runs" / f"{variant.replace(' ', '_').replace('/', '-')}_{seed}"


def _score(run: Path, data_root: Path, folders: Mapping[str, str]) -> dict[str, dict[str, float]]:
    fuser, scores = _fuser(run), {}
    for name in folders:
        pairs, found = PairFolder(data_root / name), []
        for n in track(range(len(pairs)), len(pairs), description=f"scoring {name}", unit="pairs"):
            ir, vi = to_float(pairs[n]["ir"])[None], to_float(pairs[n]["vi"])[None]
            vi_y = rgb_to_luma(vi)
            found.append(evaluate(fuser.fuse_luma(ir, vi_y), ir, vi_y, convention=CONVENTION, metrics=USUAL))
        scores[name] = {metric: float(np.nanmean([f[metric][0] for f in found])) for metric in USUAL}
    return scores


def _fuser(run: Path) -> Fuser:
    params, model, _ = load_weights(run)
    return Fuser(jax.device_put(params), model)


def ranked(results: Results, folder: str) -> dict[str, dict[str, tuple[float, float, float]]]:
    """variant -> metric -> (mean over the seeds, standard deviation, rank of the mean; 1 is best)."""
    values = {metric: np.array([[r[folder][metric] for r in runs] for runs in results.values()]) for metric in USUAL}
    places = {m: ranks(v.mean(axis=1), higher=METRICS[m].better == "higher") for m, v in values.items()}
    return {
        name: {m: (float(v[n].mean()), float(v[n].std()), float(places[m][n])) for m, v in values.items()}
        for n, name in enumerate(results)
    }


def markdown(ablation: Ablation, results: Results) -> str:
    """A table for each folder: mean ± standard deviation over the seeds, mean rank over the metrics."""
    seeds = len(next(iter(results.values())))
    lines = [f"{ablation.title}; mean ± standard deviation over {seeds} seeds, convention `{CONVENTION}`."]
    for folder, word in ablation.scored_on.items():
        lines += ["", f"**{folder}** ({word})", "", "| variant | " + " | ".join(USUAL) + " | mean rank |"]
        lines.append("|---" * (len(USUAL) + 2) + "|")
        for name, row in ranked(results, folder).items():
            cells = [f"{mean:.3f} ± {spread:.3f}" for mean, spread, _ in row.values()]
            place = np.mean([rank for _, _, rank in row.values()])
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {place:.2f} |")
    return "\n".join(lines) + "\n"


def write_csv(path: Path, ablation: Ablation, results: Results) -> None:
    """One line per folder, variant and metric, full precision."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["folder", "variant", "metric", "mean", "standard_deviation", "rank", "seeds"])
        for folder in ablation.scored_on:
            for name, row in ranked(results, folder).items():
                for metric, numbers in row.items():
                    writer.writerow([folder, name, metric, *map(repr, numbers), len(results[name])])


def draw_grids(ablation: Ablation, *, data_root: Path, out: Path) -> list[Path]:
    """One picture per shown pair below OUT/grids: the sources, then a row per variant (seed 0), luma and colour."""
    fusers = {name: _fuser(run_folder(out, name, 0)) for name in ablation.variants}
    written = []
    for folder in ablation.scored_on:
        pairs = PairFolder(data_root / folder)
        for n in range(min(ablation.shown, len(pairs))):
            pair = pairs[n]
            ir, vi = to_float(pair["ir"]), to_float(pair["vi"])
            rows: Sequence[np.ndarray] = [labelled_row({"infrared": ir, "visible": vi})]
            for name, fuser in fusers.items():
                fused_y = fuser.fuse_luma(ir[None], rgb_to_luma(vi)[None])[0]
                rows.append(labelled_row({name: fused_y, "in colour": recolour(fused_y, vi)}))
            path = out / "grids" / f"{folder}_{pair['id']}".replace("/", "_")
            written.append(path.with_name(path.name + ".png"))
            write_image(written[-1], stacked(rows))
    return written
