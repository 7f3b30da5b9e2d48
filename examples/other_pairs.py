"""Do losses for infrared and visible images work for other pairs? Trains and fuses made-up ones.

    python examples/other_pairs.py --out OUT [--tasks multi-focus] [--steps 200]

For every task, FusionNet's small network is trained on made-up pairs with each paper's losses, and
compared with `light`, which has seen infrared and visible pairs only, and with two rules. For focus
and exposure there is a truth; the table gives the PSNR of the luma against it. For phantoms there
is none; it gives Qabf and VIF. Runs and pairs are kept in OUT, so that a stopped call continues.
OUT/TASK.png shows the first test pair.
"""

import dataclasses
from pathlib import Path

import numpy as np
import tyro

from fusejax.config import StageConfig, TrainConfig, load_config
from fusejax.data.config import DataConfig
from fusejax.data.made_up_pairs import truth_psnr, write_made_up_pairs
from fusejax.data.task import TASKS, TaskName
from fusejax.inference.backend import Backend
from fusejax.inference.loading import load
from fusejax.inference.other_pairs import fuse_pair_of
from fusejax.io.images import read_image, to_float, write_image
from fusejax.io.outputs import write_complete
from fusejax.io.panels import labeled_row, stacked
from fusejax.losses.config import ObjectiveConfig, TermConfig
from fusejax.metrics import evaluate
from fusejax.ops.color import rgb_to_luma
from fusejax.report.markdown import markdown_table
from fusejax.training.loop import fit

LOSSES = {
    "maximum and joint gradient (CDDFuse, FusionNet)": ObjectiveConfig(
        (TermConfig("ssim"), TermConfig("maximum_intensity", 5.0), TermConfig("joint_gradient", 5.0))
    ),
    "direction-aware": ObjectiveConfig(
        (TermConfig("ssim", 1.5), TermConfig("maximum_intensity", 7.0), TermConfig("direction_aware_gradient", 1.5))
    ),
    "angle-aware, fine reference (AngularFuse)": ObjectiveConfig(
        (TermConfig("reference_intensity"), TermConfig("angle_magnitude", 10.0), TermConfig("angle_direction", 10.0))
    ),
    "direction-aware and SSIM alone, no intensity": ObjectiveConfig(
        (TermConfig("ssim", 5.0), TermConfig("direction_aware_gradient", 1.5))
    ),
}
SIZE, TRAINED, TESTED = (128, 160), 60, 8


@dataclasses.dataclass(frozen=True)
class OtherPairsOptions:
    """What to run.

    Attributes:
        out: folder for pairs, runs, tables and images.
        tasks: which of multi-focus, multi-exposure and mri-color.
        steps: length of each run in steps of 8 crops of 64x64.
        seeds: number of runs of each.
    """

    out: Path
    tasks: tuple[TaskName, ...] = ("multi-focus", "multi-exposure", "mri-color")
    steps: int = 200
    seeds: int = 1


def main(options: OtherPairsOptions) -> None:
    """Trains, fuses, and prints a table for each task."""
    parts = []
    for task in options.tasks:
        place = options.out / task
        for split, count, seed in (("train", TRAINED, 1000), ("test", TESTED, 0)):
            if len(list((place / split / TASKS[task].second[0]).glob("*.png"))) < count:
                write_made_up_pairs(place / split, task, count=count, size=SIZE, first_seed=seed)
        methods: dict[str, list[Backend]] = {name: [load(name)] for name in ("average", "maximum", "light")}
        for name, objective in LOSSES.items():
            runs = [_trained(task, place, name, objective, seed, options.steps) for seed in range(options.seeds)]
            methods[f"trained: {name}"] = [load(run) for run in runs]
        parts += [f"**{task}**", "", *_table(task, place, methods), ""]
    text = "\n".join(parts)
    write_complete(options.out / "table.md", text)
    print(text)


def _trained(task: TaskName, place: Path, name: str, objective: ObjectiveConfig, seed: int, steps: int) -> Path:
    base = load_config("fusionnet_small")
    optim = base.stages[0].optim
    config = TrainConfig(
        name=f"{task} {name}",
        model=base.model,
        stages=(StageConfig(objective, optim=optim, steps=steps),),
        data=DataConfig(root=str(place / "train"), task=task, crop=64, com_mask=None),
        seed=seed,
    )
    run = place / "runs" / f"{list(LOSSES).index(name)}_{seed}"
    fit(config, run)
    return run


def _table(task: TaskName, place: Path, methods: dict[str, list[Backend]]) -> list[str]:
    kind = TASKS[task]
    folders = [place / "test" / names[0] for names in (kind.first, kind.second)]
    stems = sorted(path.stem for path in folders[0].glob("*.png"))
    rows, shown = [], {}
    for name, backends in methods.items():
        scores = []
        for stem in stems:
            first, second = (read_image(folder / f"{stem}.png") for folder in folders)
            truth = place / "test/truth" / f"{stem}.png"
            for backend in backends:
                fused = to_float(fuse_pair_of(task, backend, first, second))
                if truth.exists():
                    scores.append([truth_psnr(fused, to_float(read_image(truth)))])
                else:
                    lumas = [rgb_to_luma(to_float(x))[None] for x in (first, second)]
                    found = evaluate(rgb_to_luma(fused)[None], *lumas, metrics=("Qabf", "VIF"), convention="cddfuse")
                    scores.append([float(np.asarray(found[metric])[0]) for metric in ("Qabf", "VIF")])
                if stem == stems[0]:
                    shown.setdefault("first", to_float(first))
                    shown.setdefault("second", to_float(second))
                    if truth.exists():
                        shown.setdefault("truth", to_float(read_image(truth)))
                    shown[name.removeprefix("trained: ")[:22]] = fused
        rows.append([name, *(f"{x:.3f}" for x in np.mean(scores, axis=0))])
    images = list(shown.items())
    panel = stacked([labeled_row(dict(images[n : n + 5])) for n in range(0, len(images), 5)])
    write_image(place.parent / f"{task}.png", panel)
    return markdown_table(["method", *(["PSNR, dB"] if len(rows[0]) == 2 else ["Qabf", "VIF"])], rows)


if __name__ == "__main__":
    main(tyro.cli(OtherPairsOptions))
