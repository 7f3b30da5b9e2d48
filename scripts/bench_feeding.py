"""Feeding: how fast pairs are read from a folder and from ArrayRecord, and how the cost scales.

Speeds in pairs/s and MB/s, and the fraction of a step spent waiting for data:

    python scripts/bench_feeding.py

Cost of an epoch and of starting up, by size of the set:

    python scripts/bench_feeding.py --pairs 1000 10000 100000
"""

import contextlib
import dataclasses
import io
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import jax
import numpy as np
import tensorflow_datasets as tfds
import tyro

from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import DataConfig
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.data.tfds import TfdsPairs
from fusejax.data.tfds.pairs import pair_info
from fusejax.losses import ObjectiveConfig, TermConfig
from fusejax.models import AngularFuseConfig
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh
from fusejax.training.stages import plan_stages

BATCH, SIZE, CORNER = 8, (480, 640), 16
TINY_BATCH, TINY_SIZE, TINY_CROP = 100, (20, 20), 16


@dataclasses.dataclass(frozen=True)
class FeedingOptions:
    """What to measure.

    Attributes:
      pairs: sizes of synthetic ArrayRecord sets of 20x20 images whose epochs are timed, instead of
          the speeds.
      count: number of synthetic pairs of 480x640 if no data_root is given; also the maximum number
          in the ArrayRecord set.
      batches: number of timed batches of 8.
      workers: numbers of worker processes.
      data_root, folders: pairs to read; by default synthetic ones.
      crop: side of the crop in pixels.
    """

    pairs: tuple[int, ...] = ()
    count: int = 48
    batches: int = 24
    workers: tuple[int, ...] = (0, 1, 2)
    data_root: str = ""
    folders: tuple[str, ...] = ()
    crop: int = 128


@dataclasses.dataclass(frozen=True)
class TinyPairs:
    """Random-access source of different synthetic pairs of TINY_SIZE."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, str | np.ndarray]:
        pixels = np.random.default_rng(index).integers(0, 256, (*TINY_SIZE, 4), np.uint8)
        return {"id": f"{index:08d}", "ir": pixels[..., :1], "vi": pixels[..., 1:]}


class RecordSet(tfds.core.GeneratorBasedBuilder):
    """The first `count` pairs of a source, in the format of the library's own builders."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, source, count: int, **options):
        self._source, self._count = source, count
        super().__init__(**options)

    def _info(self) -> tfds.core.DatasetInfo:
        return pair_info(self, description="made for a measurement", homepage="", citation="")

    def _split_generators(self, dl_manager):  # noqa: ARG002 - the base class passes it
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for n in range(self._count):
            pair = self._source[n]
            png = {k: cv2.imencode(".png", pair[k][..., ::-1])[1].tobytes() for k in ("ir", "vi")}
            yield pair["id"], {"id": pair["id"]} | png


def write_records(folder: str | Path, source, count: int) -> Path:
    """ArrayRecord files of `count` pairs; returns where `TfdsPairs` finds them."""
    builder = RecordSet(source=source, count=count, data_dir=str(folder), file_format="array_record")
    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(io.StringIO()):
        builder.download_and_prepare()
    return Path(builder.data_dir)


def stored_bytes(source, folder: Path | None) -> float:
    """Bytes on disk for each pair."""
    if folder is not None:
        return sum(p.stat().st_size for p in folder.iterdir()) / len(source)
    return sum(p.stat().st_size for pair in source.pairs for p in (pair.ir, pair.vi)) / len(source)


def tiny_step() -> Callable[[dict], None]:
    """A compiled training step of a few hundred parameters on a corner of each crop."""
    stage = StageConfig(ObjectiveConfig((TermConfig("maximum_intensity"),)), optim=OptimConfig(), steps=10_000)
    model = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1)
    config = TrainConfig("tiny", model, (stage,), batch_size=BATCH)
    program = Program(config, make_mesh(config.mesh))
    step, key = program.step(plan_stages(config, 10_000)[0]), program.key()
    holder = [program.create()]

    def call(batch: dict) -> None:
        corners = {k: v[:, :CORNER, :CORNER] for k, v in batch.items() if k != "id"}
        holder[0], logs = step(holder[0], corners, key)
        jax.block_until_ready(logs)

    call({k: np.zeros((BATCH, CORNER, CORNER, 1), np.float32) for k in ("ir", "vi_y", "ir_input", "vi_input")})
    return call


def pairs_per_second(batches: Iterator[dict], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * BATCH / (time.perf_counter() - start)


def waiting(batches: Iterator[dict], step: Callable[[dict], None], count: int) -> tuple[float, float]:
    """Fraction of time that a loop of `count` steps waits for data, and the seconds per step."""
    waited = stepped = 0.0
    for _ in range(count):
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        step(batch)
        waited, stepped = waited + ready - start, stepped + time.perf_counter() - ready
    return waited / (waited + stepped), stepped / count


def speeds(options: FeedingOptions) -> None:
    """Prints one line per source and number of workers."""
    with tempfile.TemporaryDirectory() as folder:
        if not options.data_root:
            write_synthetic_folder(folder, count=options.count, size=SIZE)
        config = DataConfig(root=options.data_root or folder, folders=options.folders, crop=options.crop)
        start = time.perf_counter()
        images = open_sources(config)[0]
        elapsed = time.perf_counter() - start
        print(f"{'folder: headers checked':34} {2 * len(images) / elapsed:8.0f} files/s, {2 * len(images)} files")
        records = write_records(Path(folder) / "records", images, min(options.count, len(images)))
        sources = {"folder": (images, None), "ArrayRecord": (TfdsPairs(records, "train"), records)}
        step = tiny_step()
        for (name, (source, where)), workers in itertools.product(sources.items(), options.workers):
            config = dataclasses.replace(config, workers=workers)
            start = time.perf_counter()
            batches = iter(training_batches([source], config, batch_size=BATCH, seed=0))
            next(batches)
            started = time.perf_counter() - start
            for _ in range(3 + 4 * workers):  # past the batches that were read ahead
                next(batches)
            rate = pairs_per_second(batches, options.batches)
            share, seconds = waiting(batches, step, options.batches)
            pixels = source[0]["ir"].size + source[0]["vi"].nbytes
            print(
                f"{f'{name}, {workers} workers':34} {rate:8.1f} pairs/s, {rate * pixels / 1e6:6.1f} MB/s decoded, "
                f"{rate * stored_bytes(source, where) / 1e6:6.2f} MB/s stored, first batch after {started:.2f} s; "
                f"waits {share:.0%} of a loop whose step takes {seconds * 1e3:.0f} ms",
                flush=True,
            )
            batches.close()


def epoch(records: Path, size: int) -> dict[str, float]:
    """Seconds to open a set, until its first batch, and per pair of an epoch (wall and CPU
    time).
    """
    config = DataConfig(crop=TINY_CROP, com_mask=None)
    start = time.perf_counter()
    source = TfdsPairs(records, "train")
    opened = time.perf_counter() - start
    batches = iter(training_batches([source], config, batch_size=TINY_BATCH, seed=0))
    next(batches)
    first = time.perf_counter() - start
    count = max(1, 10_000 // size) * size  # a short epoch is repeated
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(count // TINY_BATCH):
        next(batches)
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    batches.close()
    return {"open": opened, "first": first, "pair": wall / count, "cpu": cpu / count}


def epochs(sizes: tuple[int, ...], repeats: int = 3) -> None:
    """Prints the cost of an epoch and of the first batch for each size; the best of the repeats."""
    with tempfile.TemporaryDirectory() as folder:
        made = {size: write_records(Path(folder) / str(size), TinyPairs(size), size) for size in sizes}
        # Alternates the sizes, so that a slow minute of the machine affects all of them.
        runs = [{size: epoch(records, size) for size, records in made.items()} for _ in range(repeats)]
    least = {size: {k: min(run[size][k] for run in runs) for k in runs[0][size]} for size in sizes}
    for size, row in least.items():
        print(
            f"{size:8,} pairs: open {row['open']:.3f} s, first batch after {row['first']:.3f} s, epoch "
            f"{row['pair'] * size:.2f} s, {1e6 * row['pair']:.0f} µs per pair ({1e6 * row['cpu']:.0f} µs of CPU)"
        )
    few, many = least[min(sizes)], least[max(sizes)]
    print(
        f"a pair at {max(sizes):,} pairs costs {many['pair'] / few['pair']:.2f} times one at {min(sizes):,} "
        f"({many['cpu'] / few['cpu']:.2f} in CPU time); "
        f"first batch after {many['first']:.3f} s and {few['first']:.3f} s"
    )


if __name__ == "__main__":
    chosen = tyro.cli(FeedingOptions)
    if chosen.pairs:
        epochs(chosen.pairs)
    else:
        speeds(chosen)
