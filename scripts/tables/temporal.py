"""The effect of `--temporal` on fused videos: flicker, warping error and image metrics.

    python scripts/table.py temporal --data-root DIR --sequences m3svd/test_dev/0114_1551
    [--weights light angularfuse] [--seconds 0.5] [--rate 30] [--made-up 12] [--frames-out DIR]

Every sequence is a folder with `ir` and `vi`. `--made-up N` adds synthetic scenes of N frames, by
day and at night, with moving people and cars. For every sequence, values are means over all
transitions, and for image metrics over every fourth frame. `static` is the usual definition of
flicker: the whole change in static regions, which is mainly the change in the sources there; the
same figure for the sources is printed above the table.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from benchmarks.moving import moving_scene

from fusejax.inference.fuser import Fuser
from fusejax.inference.temporal import initial_state, settle
from fusejax.io.images import as_infrared, from_float, read_image, to_float, write_image
from fusejax.io.pairing import list_images
from fusejax.metrics import TEMPORAL_METRICS, evaluate, evaluate_video
from fusejax.ops.color import rgb_to_luma

_IMAGE_METRICS = ("EN", "SD", "SF", "AG", "MI", "SCD", "VIF", "Qabf", "SSIM")
_SCALE = 8  # of difference images


@dataclasses.dataclass(frozen=True)
class TemporalOptions:
    """Which videos, weights and time constant.

    Attributes:
        data_root: folder of the data sets; not needed for synthetic scenes.
        sequences: folders below it.
        weights: names or files.
        seconds: time constant.
        rate: frames per second.
        made_up: number of frames of the synthetic scenes; 0 for none.
        frames_out: also write, for every frame, fused alone | settled | their difference x 8.
    """

    data_root: Path = Path()
    sequences: tuple[str, ...] = ()
    weights: tuple[str, ...] = ("light", "angularfuse")
    seconds: float = 0.5
    rate: float = 30.0
    made_up: int = 0
    frames_out: Path | None = None


def main(options: TemporalOptions) -> None:
    """Prints a table for every sequence and weights."""
    for weights in options.weights:
        fuser = Fuser.load(weights)
        for name, pairs in _sequences(options):
            ir, vi_y = (np.stack(x) for x in zip(*pairs, strict=True))
            own = [evaluate_video(zip(x, ir, vi_y, strict=True))["static"] for x in (ir, vi_y)]
            alone = np.stack([fuser.fuse_luma(i[None], v[None])[0] for i, v in zip(ir, vi_y, strict=True)])
            settled = _settle(ir, vi_y, alone, options)
            rows = [_scores(fused, ir, vi_y) for fused in (alone, settled)]
            moved = 255 * np.abs(settled - alone)
            changes = f"settling changes {moved.mean():.3f} levels, {moved.max():.1f} at most"
            print(f"\n{weights}, {name}: {len(ir)} frames; {changes}")
            print("  static of the sources: infrared {:.4f}, visible {:.4f}".format(*map(np.nanmean, own)))
            for metric, before in rows[0].items():
                after = rows[1][metric]
                print(f"  {metric:8}{before:10.4f} ->{after:10.4f}  {100 * (after / before - 1):+7.2f} %", flush=True)
            if options.frames_out is not None:
                _write(options.frames_out / weights / name.replace("/", "_"), alone, settled)


def _sequences(options: TemporalOptions) -> Iterator[tuple[str, list[tuple[np.ndarray, np.ndarray]]]]:
    for name in options.sequences:
        folder = options.data_root / name
        files = zip(list_images(folder / "ir").values(), list_images(folder / "vi").values(), strict=True)
        yield name, [(to_float(as_infrared(read_image(i))), rgb_to_luma(to_float(read_image(v)))) for i, v in files]
    for seed in (2, 3) if options.made_up else ():
        scene = moving_scene(seed, frames=options.made_up, size=(240, 320), speed=3.0)
        yield f"made-up {seed}", [(to_float(p["ir"]), rgb_to_luma(to_float(p["vi"]))) for p in scene]


def _settle(ir: np.ndarray, vi_y: np.ndarray, alone: np.ndarray, options: TemporalOptions) -> np.ndarray:
    state, out = initial_state(*ir.shape[1:3]), []
    for frame in zip(ir, vi_y, alone, strict=True):
        state, fused_y = settle(state, *(x[None] for x in frame), 1 / options.rate, options.seconds)
        out.append(np.asarray(fused_y)[0])
    return np.stack(out)


def _scores(fused: np.ndarray, ir: np.ndarray, vi_y: np.ndarray) -> dict[str, float]:
    temporal = evaluate_video(zip(fused, ir, vi_y, strict=True))
    found = [
        evaluate(f[None], i[None], v[None], metrics=_IMAGE_METRICS)
        for f, i, v in zip(fused[::4], ir[::4], vi_y[::4], strict=True)
    ]
    scores = {name: float(np.nanmean(temporal[name])) for name in TEMPORAL_METRICS}
    return scores | {name: float(np.mean([x[name] for x in found])) for name in _IMAGE_METRICS}


def _write(folder: Path, alone: np.ndarray, settled: np.ndarray) -> None:
    for number, (before, after) in enumerate(zip(alone, settled, strict=True)):
        difference = 0.5 + _SCALE * (after - before)
        write_image(folder / f"{number:04d}.png", from_float(np.concatenate([before, after, difference], 1), np.uint8))
