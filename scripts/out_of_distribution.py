"""CrossFuse's experiment on real pairs: does aligned foreign data help on sets that training has not seen?

python scripts/out_of_distribution.py --data-root DIR --out DIR [--seeds 3] [--full-size]

Trains on RoadScene alone, with foreign pairs as they are, and with foreign patches chosen and corrected by Top-K
alignment, each with and without the consistency term, for the same number of steps; scores all on four sets. A run or
a score that is there already is not made again. Prints and writes table.md: means over the pictures (`cddfuse`
convention), then mean and standard deviation over the seeds.
"""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import tyro
from rich.console import Console

from fusejax.align_command import AlignOptions, align_command
from fusejax.color import rgb_to_luma
from fusejax.config import TrainConfig, load_config
from fusejax.data.alignment import AlignConfig
from fusejax.data.folders import PairFolder
from fusejax.data.images import to_float
from fusejax.data.pipeline import DataConfig
from fusejax.inference import Fuser
from fusejax.metrics import USUAL, evaluate
from fusejax.models import CrossFuseConfig
from fusejax.training.loop import fit
from fusejax.weights_io import load_weights

TARGET, AUXILIARY = "roadscene/train", "msrs128/train"
SETS = {
    "roadscene/val": "in distribution",
    "tno/test_dev": "out of it",
    "vifb/test_dev": "out of it",
    "msrs/test_dev": "the auxiliary's own",
}
DATA = ("target only", "unaligned", "aligned")


@dataclasses.dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
      data_root: folder of the sets.
      out: plan, runs, scores and table go here.
      seeds: repetitions of each variant.
      full_size: the network and the 160 epochs of configs/crossfuse.py, for an accelerator.
      width, steps: the small network's channels (4 to a head; one Restormer block each in encoder and decoder, one
        coupling layer) and the steps of its two stages.
    """

    data_root: Path
    out: Path
    seeds: int = 3
    full_size: bool = False
    width: int = 8
    steps: tuple[int, int] = (100, 300)


def variant(options: Options, data: str, consistency: bool, seed: int) -> TrainConfig:
    """The configuration of one run; variants differ in nothing but what they are named for."""
    config = load_config("crossfuse")
    if not options.full_size:
        optim = dataclasses.replace(
            config.stages[0].optim, learning_rate=2e-3, final_learning_rate=2e-5, schedule="cosine", warmup_steps=20
        )
        stages = tuple(
            dataclasses.replace(stage, steps=steps, optim=optim)
            for stage, steps in zip(config.stages, options.steps, strict=True)
        )
        model = CrossFuseConfig(
            options.width, options.width // 4, encoder_blocks=1, decoder_blocks=1, coupling_layers=1
        )
        config = dataclasses.replace(config, model=model, stages=stages)
    if not consistency:
        first, last = config.stages
        terms = tuple(term for term in last.objective.terms if term.name != "consistency")
        last = dataclasses.replace(last, objective=dataclasses.replace(last.objective, terms=terms))
        config = dataclasses.replace(config, stages=(first, last))
    foreign = {} if data == "target only" else {"auxiliary": AUXILIARY, "shares": (1.0, 1.0)}
    if data == "aligned":
        foreign["alignment"] = str(options.out / "plan.json")
    pairs = DataConfig(root=str(options.data_root), folders=(TARGET,), crop=64, com_mask=None, **foreign)
    return dataclasses.replace(config, data=pairs, seed=seed)


def score(run: Path, options: Options) -> dict[str, dict[str, float]]:
    """Mean scores of a finished run by set."""
    params, model, _ = load_weights(run)
    fuser, scores = Fuser(jax.device_put(params), model), {}
    for name in SETS:
        pairs, found = PairFolder(options.data_root / name), []
        for n in range(len(pairs)):
            ir, vi = to_float(pairs[n]["ir"])[None], to_float(pairs[n]["vi"])[None]
            vi_y = rgb_to_luma(vi)
            found.append(evaluate(fuser.fuse_luma(ir, vi_y), ir, vi_y, convention="cddfuse"))
        scores[name] = {metric: float(np.nanmean([f[metric][0] for f in found])) for metric in USUAL}
    return scores


def table(results: dict[tuple[str, bool], list[dict]], seeds: int) -> str:
    """Markdown: a table for each set, a row for each variant, mean ± standard deviation over the seeds."""
    lines = []
    for name, kind in SETS.items():
        lines += [
            "",
            f"**{name}** ({kind}), convention `cddfuse`, mean ± standard deviation over {seeds} seeds",
            "",
            "| training data | consistency | " + " | ".join(USUAL) + " |",
            "|---" * (len(USUAL) + 2) + "|",
        ]
        for (data, consistency), runs in results.items():
            values = {metric: [run[name][metric] for run in runs] for metric in USUAL}
            cells = [f"{np.mean(v):.3f} ± {np.std(v):.3f}" for v in values.values()]
            lines.append(f"| {data} | {'yes' if consistency else 'no'} | " + " | ".join(cells) + " |")
    return "\n".join(lines[1:]) + "\n"


def main(options: Options) -> None:
    plan = options.out / "plan.json"
    if not plan.exists():
        # Small frames hold one patch at the published stride; a stride of one patch leaves something to choose from.
        align = AlignConfig(stride=64)
        align_command(AlignOptions(options.data_root / TARGET, options.data_root / AUXILIARY, plan, config=align))
    results = {}
    for seed in range(options.seeds):
        for data in DATA:
            for consistency in (False, True):
                name = f"{data.replace(' ', '_')}_{'with' if consistency else 'without'}_consistency_{seed}"
                run = options.out / "runs" / name
                scores = run / "scores.json"
                if not scores.exists():
                    fit(variant(options, data, consistency, seed), run)
                    scores.write_text(json.dumps(score(run, options), indent=1))
                results.setdefault((data, consistency), []).append(json.loads(scores.read_text()))
    text = table(results, options.seeds)
    (options.out / "table.md").write_text(text)
    Console(width=240).print(text, markup=False)


if __name__ == "__main__":
    main(tyro.cli(Options))
