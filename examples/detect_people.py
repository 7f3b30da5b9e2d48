"""Do fused images help a detector of pedestrians? Trains small ones and prints their precision.

    python examples/detect_people.py --out OUT [--data-root DIR] [--weights light angularfuse]

The detector is anchor-free: it draws a heat map of the centers of people, and at each center its
offset and the size of the box (people/detector.py). It is trained on made-up streets and tested on
others, by day, at night, and at night with a noisy infrared camera; with --data-root also on 17
real pairs, whose boxes (detect_people.json) were read off the infrared images by eye.

For each seed, one detector is trained on a mixture of visible and infrared images, and a second one
on both as two channels. Frozen, the first is tested on each kind of image; then it is trained
further on that kind alone. All kinds have the same steps, scenes, and initial weights. Each result
is kept in OUT, so that a stopped call continues.
"""

import dataclasses
import functools
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import flax.serialization
import jax.numpy as jnp
import numpy as np
import tyro
from people.detector import SMALLEST, Hits, average_precision, detections, train

from fusejax.data.synthetic import synthetic_pair
from fusejax.evaluation.regions import region_mask
from fusejax.inference.loading import load, weights_name
from fusejax.io.images import as_infrared, read_image, to_float
from fusejax.io.outputs import write_complete
from fusejax.io.pairing import list_images
from fusejax.metrics import roi_ssim
from fusejax.ops.color import rgb_to_luma
from fusejax.report.markdown import markdown_table

DRAWN, SIZE, REAL_SIZE = (192, 240), (128, 160), (128, 176)  # of streets, also once shrunk; of real pairs, shrunk
DRAWS = 1000
BOTH = "both sources"
BOXES = Path(__file__).with_suffix(".json")


@dataclasses.dataclass(frozen=True)
class DetectOptions:
    """What to train and test.

    Attributes:
        out: folder for parameters, results and the tables.
        data_root: folder of the data sets with the real test pairs; without it, only made-up ones.
        weights: shipped names, files, folders of runs or rules.
        scenes: number of streets for training, for each seed.
        test_scenes: number of streets for testing, half of them at night.
        steps: steps of the first training, with batches of 8.
        further: steps of the further training on one kind of image.
        seeds: number of repetitions, each with its own streets and initial weights.
    """

    out: Path
    data_root: Path | None = None
    weights: tuple[str, ...] = ("average", "maximum", "light", "light_metrics", "fusionnet_small", "crossfuse_small")
    scenes: int = 150
    test_scenes: int = 80
    steps: int = 400
    further: int = 80
    seeds: int = 3


Kinds = dict[str, np.ndarray]
Fusers = Mapping[str, Callable[..., Any]]


def views(ir: np.ndarray, vi: np.ndarray, fusers: Fusers, size: tuple[int, int]) -> Kinds:
    """All kinds of image of one pair of integers, shrunk to a size, [h, w, c] in [0, 1]."""
    ir_y, vi_y = to_float(ir), rgb_to_luma(to_float(vi)) if vi.shape[-1] == 3 else to_float(vi)
    fused = {name: np.clip(np.asarray(fuse(ir_y[None], vi_y[None]))[0], 0, 1) for name, fuse in fusers.items()}
    images = {"visible": vi_y, "infrared": ir_y} | fused
    shrunk = {k: cv2.resize(x, size[::-1], interpolation=cv2.INTER_AREA)[..., None] for k, x in images.items()}
    return shrunk | {BOTH: np.concatenate([shrunk["infrared"], shrunk["visible"]], axis=-1)}


def streets(
    numbers: range, fusers: Fusers, size: tuple[int, int], *, noise: float = 0.0
) -> tuple[Kinds, list[np.ndarray]]:
    """Made-up streets as every kind of image [n, h, w, c], and the boxes of their people.

    Args:
        numbers: seeds of the scenes; odd ones are nights.
        fusers: fusion functions by name.
        size: height and width to which they are shrunk.
        noise: standard deviation of noise on the infrared image, in levels.
    """
    found, truth = [], []
    for n in numbers:
        pair: Any = synthetic_pair(n, size=DRAWN)
        draw = noise * np.random.default_rng(n).standard_normal(pair["ir"].shape)
        found.append(views(np.clip(pair["ir"] + draw, 0, 255).astype(np.uint8), pair["vi"], fusers, size))
        person = np.array([label == "person" for label in pair["labels"]], bool)
        truth.append(pair["boxes"][person] * np.tile([size[1] / DRAWN[1], size[0] / DRAWN[0]], 2))
    return {kind: np.stack([each[kind] for each in found]) for kind in found[0]}, truth


def real_pairs(root: Path, fusers: Fusers) -> tuple[Kinds, list[np.ndarray]]:
    """The real pairs of `detect_people.json`, fused at their own size and then shrunk."""
    found, truth = [], []
    for name, boxes in json.loads(BOXES.read_text()).items():
        folder, stem = name.rsplit("/", 1)
        ir, vi = (read_image(list_images(root / folder / kind)[stem]) for kind in ("ir", "vi"))
        scale = np.tile([REAL_SIZE[1] / ir.shape[1], REAL_SIZE[0] / ir.shape[0]], 2)
        found.append(views(as_infrared(ir), vi, fusers, REAL_SIZE))
        truth.append(np.array(boxes) * scale)
    return {kind: np.stack([each[kind] for each in found]) for kind in found[0]}, truth


Found = dict[tuple[str, bool, int], dict[str, list[Hits]]]
"""Detections of each test set by kind of image, whether trained further on it, and seed."""


def _numbers(group: int, count: int) -> range:
    """Seeds of scenes: a group for each repetition, and one for testing."""
    return range(1_000_000 * group, 1_000_000 * group + count)


def study(options: DetectOptions, fusers: Fusers, tests: Mapping[str, tuple[Kinds, Any]]) -> Found:
    """Trains and tests what OUT does not yet hold."""
    found: Found = {}
    for seed in range(options.seeds):
        scenes = functools.cache(functools.partial(streets, _numbers(seed + 1, options.scenes), fusers, DRAWN))
        for kind in next(iter(tests.values()))[0]:
            path, first = options.out / f"{seed}_{kind}.json", options.out / f"{seed}_{kind == BOTH}.msgpack"
            if not path.is_file():
                images, truth = scenes()
                mixture = [images[BOTH]] if kind == BOTH else [images["visible"], images["infrared"]]
                if not first.is_file():
                    params = train(None, mixture, truth, SIZE, options.steps, seed=seed)
                    write_complete(first, flax.serialization.to_bytes(params))
                frozen = flax.serialization.msgpack_restore(first.read_bytes())
                further = train(frozen, [images[kind]], truth, SIZE, options.further, seed=seed + 100)
                tested = {
                    name: [detections(p, s[kind], t) for p in (frozen, further)] for name, (s, t) in tests.items()
                }
                write_complete(path, json.dumps(tested))
                print(f"seed {seed}, {kind}: {time.process_time():.0f} s of CPU so far", flush=True)
            for name, both in json.loads(path.read_text()).items():
                for later in (False, True):
                    found.setdefault((kind, later, seed), {})[name] = both[later]
    return found


def ranks_agree(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of ranks along the first axis, one per draw."""
    x, y = (v.argsort(axis=0).argsort(axis=0) - (len(v) - 1) / 2 for v in (a, b))
    return (x * y).sum(axis=0) / np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))


def table(name: str, images: Kinds, truth: list[np.ndarray], found: Found) -> str:
    """Precision on one test set, with the 95% intervals of a bootstrap over images and seeds.

    Its draws are the same for all kinds of image, so that differences are paired.
    """
    rng, people = np.random.default_rng(0), np.array([(t[:, 3] - t[:, 1] >= SMALLEST).sum() for t in truth])
    seeds = sorted({seed for *_, seed in found})
    times = rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=DRAWS)
    times = np.concatenate([np.ones((1, len(truth)), int), times])  # the first is the sample itself
    drawn = np.concatenate([[np.arange(len(seeds))], rng.integers(len(seeds), size=(DRAWS, len(seeds)))])

    def precision(kind: str, later: bool) -> np.ndarray:
        each = np.stack([average_precision(found[kind, later, seed][name], people, times) for seed in seeds])
        return np.take_along_axis(each.T, drawn, axis=1).mean(axis=1)

    values = {(kind, later): precision(kind, later) for kind in images for later in (False, True)}
    h, w = images["visible"].shape[1:3]
    masks = np.concatenate([region_mask(t.astype(np.float32), height=h, width=w) for t in truth])
    seen, sources = np.flatnonzero(people), (images["infrared"], images["visible"])
    fused = [kind for kind in images if kind not in ("visible", "infrared", BOTH)]
    inside = {k: np.asarray(roi_ssim(*(jnp.asarray(x[seen]) for x in (images[k], *sources, masks)))) for k in fused}
    inside = {k: times[:, seen] @ x / np.maximum(times[:, seen].sum(axis=1), 1) for k, x in inside.items()}
    rows = []
    for kind in images:
        later = values[kind, True]
        less = [shown(later - values[other, True]) if kind != other else "" for other in ("infrared", BOTH)]
        similar = f"{inside[kind][0]:.3f}" if kind in inside else ""
        rows.append([kind, shown(values[kind, False]), shown(later), *less, similar])
    head = ["image", "frozen", "trained further", "less infrared", "less both sources", "ROI-SSIM"]
    lines = [f"**{name}**: {len(truth)} images, {people.sum()} people", "", *markdown_table(head, rows), ""]
    for later, word in ((False, "frozen"), (True, "trained further")):
        rho = ranks_agree(np.stack([inside[k] for k in fused]), np.stack([values[k, later] for k in fused]))
        lines.append(f"Rank correlation of ROI-SSIM and precision over {len(fused)} methods, {word}: {shown(rho)}.")
    return "\n".join([*lines, ""])


def shown(values: np.ndarray) -> str:
    """The first value and the 95% interval of the others."""
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return f"{values[0]:.3f} ({low:.3f} to {high:.3f})"


def main(options: DetectOptions) -> None:
    """Runs the study; prints its tables and keeps them in OUT/tables.md."""
    given = json.dumps({k: v for k, v in dataclasses.asdict(options).items() if k not in ("out", "seeds")}, default=str)
    kept = options.out / "options.json"
    if kept.is_file() and kept.read_text() != given:
        raise SystemExit(
            f"{options.out} holds results of {kept.read_text()}, but {given} was asked for: use another --out."
        )
    write_complete(kept, given)
    fusers = {weights_name(name): load(name).fuse_luma for name in options.weights}
    days, nights = (_numbers(9, options.test_scenes)[n::2] for n in (0, 1))
    tests = {
        "day": streets(days, fusers, SIZE),
        "night": streets(nights, fusers, SIZE),
        "night, noisy infrared": streets(nights, fusers, SIZE, noise=40),
    }
    if options.data_root is not None:
        tests["real"] = real_pairs(options.data_root, fusers)
    found = study(options, fusers, tests)
    text = "\n".join(table(name, *tests[name], found) for name in tests)
    write_complete(options.out / "tables.md", text)
    print(text)


if __name__ == "__main__":
    main(tyro.cli(DetectOptions, description=__doc__))
