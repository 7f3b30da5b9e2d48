"""Times the nine usual metrics against the float64 NumPy/SciPy reference; memory of a 4K image.

    python scripts/bench_metrics.py [--rounds 7] [--batch 2] [--mixed ROADSCENE/val ROADSCENE/train]

Both score the same synthetic 640x480 images alternately within one process, after compiling. The
table gives images per second (median of the rounds) and the ratio, with its smallest and largest
round. The reference runs in one thread, as NumPy and SciPy do. The peak memory is that of a fresh
process that scores one 3840x2160 image.
"""

import dataclasses
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from fusejax.evaluation import evaluate_folders
from fusejax.io.images import as_infrared, image_size, read_image, write_image
from fusejax.metrics import USUAL, evaluate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import metrics_reference as reference  # pyright: ignore[reportMissingImports] - in tests/

REFERENCES: dict[str, Callable[..., float]] = {
    "EN": lambda f, a, b: reference.entropy(f),
    "SD": lambda f, a, b: reference.standard_deviation(f),
    "SF": lambda f, a, b: reference.spatial_frequency(f),
    "AG": lambda f, a, b: reference.average_gradient(f),
    "MI": reference.mutual_information,
    "SCD": reference.scd,
    "VIF": reference.vif,
    "Qabf": reference.qabf,
    "SSIM": reference.ssim,
}


def images(batch: int, height: int, width: int) -> list[np.ndarray]:
    """Fused, infrared, visible: [batch, height, width] smooth random levels 0..255."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(2, batch, height // 8, width // 8))
    ir, vi = np.kron(coarse, np.ones((8, 8))) * 40 + 120 + 8 * rng.normal(size=(2, batch, height, width))
    return [np.clip(np.rint(x), 0, 255) for x in ((ir + vi) / 2, ir, vi)]


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    jax.block_until_ready(function())
    return time.perf_counter() - start


def compare(names: tuple[str, ...], levels: list[np.ndarray], rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Images per second of package and reference, one value per round, run alternately."""
    batch = len(levels[0])
    arrays = [jnp.asarray(x[..., None] / 255.0, jnp.float32) for x in levels]
    ours = lambda: evaluate(*arrays, metrics=names)  # noqa: E731
    theirs = lambda: [REFERENCES[n](*(x[0] for x in levels)) for n in names]  # noqa: E731
    ours()
    repeats = 4
    times = [(seconds(lambda: [ours() for _ in range(repeats)]) / repeats, seconds(theirs)) for _ in range(rounds)]
    package, numpy = np.array(times).T
    return batch / package, 1.0 / numpy


def peak_memory() -> str:
    """Scores one 4K image in this process; returns a line with the time and the peak resident
    size.
    """
    arrays = [jnp.asarray(x[..., None] / 255.0, jnp.float32) for x in images(1, 2160, 3840)]
    first = seconds(lambda: evaluate(*arrays))
    again = seconds(lambda: evaluate(*arrays))
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"3840x2160, nine metrics: peak {gigabytes:.2f} GB resident, {first:.1f} s with compiling, {again:.2f} s after"
    )


def collect_sizes(folders: tuple[Path, ...], count: int, out: Path) -> int:
    """Links pairs of different sizes in OUT/ir and OUT/vi; OUT/fused gets their averages."""
    seen = set()
    for vi in sorted(path for folder in folders for path in (folder / "vi").iterdir()):
        size, ir = image_size(vi), vi.parents[1] / "ir" / vi.name
        if size in seen or len(seen) == count:
            continue
        seen.add(size)
        for kind, path in (("ir", ir), ("vi", vi)):
            (out / kind).mkdir(parents=True, exist_ok=True)
            (out / kind / path.name).symlink_to(path.absolute())
        write_image(out / "fused" / f"{vi.stem}.png", read_image(vi) // 2 + as_infrared(read_image(ir)) // 2)
    return len(seen)


def reference_folder(folder: Path) -> None:
    """Scores a folder as a NumPy script would: reads each pair and computes one metric at a
    time.
    """
    for path in sorted((folder / "fused").iterdir()):
        files = [path, *(next((folder / kind).glob(f"{path.stem}.*")) for kind in ("ir", "vi"))]
        planes = [as_infrared(read_image(file))[..., 0].astype(np.float64) for file in files]
        for reference_metric in REFERENCES.values():
            reference_metric(*planes)


def mixed_sizes(folders: tuple[Path, ...], count: int) -> str:
    """A line with the seconds of both for pairs that all differ in size; ours include starting
    Python.
    """
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        pairs = collect_sizes(folders, count, root)
        folders_of = [word for kind in ("fused", "ir", "vi") for word in (f"--{kind}", str(root / kind))]
        command = [sys.executable, "-m", "fusejax.cli.main", "evaluate", *folders_of]
        environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(root / "cache")}
        run = partial(subprocess.run, command, env=environment, check=True, capture_output=True)
        cold, *again = (seconds(run) for _ in range(3))
        jax.config.update("jax_compilation_cache_dir", str(root / "cache"))
        score = partial(evaluate_folders, [root / "fused"], root / "ir", root / "vi")
        score()
        turns = [(seconds(lambda: score().names), seconds(partial(reference_folder, root))) for _ in range(3)]
    warm, numpy = np.array(turns).T
    ratio = numpy / warm
    return (
        f"{pairs} pairs of {pairs} sizes, seconds: a process {cold:.1f} cold, {np.median(again):.1f} with kept "
        f"compilations ({min(again):.1f} .. {max(again):.1f}); within a process {np.median(warm):.2f}, reference "
        f"{np.median(numpy):.2f}, ratio {np.median(ratio):.1f} ({ratio.min():.1f} .. {ratio.max():.1f})"
    )


@dataclasses.dataclass(frozen=True)
class MetricsOptions:
    """What to measure.

    Attributes:
        rounds: number of timed rounds of each kind.
        batch: number of images to score at once.
        memory_only: score one 4K image and print the peak memory.
        mixed: pair folders (ir/, vi/), from which only pairs of different sizes are taken. Their
            averages are scored by `fusejax evaluate` without cached compilations and again with
            them, and then alternately by `evaluate_folders` and the reference within this process.
        mixed_pairs: number of these pairs.
    """

    rounds: int = 7
    batch: int = 2
    memory_only: bool = False
    mixed: tuple[Path, ...] = ()
    mixed_pairs: int = 50


def main(options: MetricsOptions) -> None:
    """Prints the table and the memory."""
    if options.memory_only:
        print(peak_memory())
        return
    if options.mixed:
        print(mixed_sizes(options.mixed, options.mixed_pairs))
        return
    levels = images(options.batch, 480, 640)
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, 640x480, batches of {options.batch}")
    print(f"{'metrics':<10}{'package/s':>12}{'reference/s':>13}{'ratio':>8}  (smallest .. largest of {options.rounds})")
    for names in (*((name,) for name in USUAL), USUAL):
        package, numpy = compare(names, levels, options.rounds)
        ratio = package / numpy
        label = names[0] if len(names) == 1 else "all nine"
        print(
            f"{label:<10}{np.median(package):>12.1f}{np.median(numpy):>13.2f}{np.median(ratio):>8.1f}"
            f"  ({ratio.min():.1f} .. {ratio.max():.1f})",
            flush=True,
        )
    subprocess.run([sys.executable, __file__, "--memory-only"], check=True)


if __name__ == "__main__":
    main(tyro.cli(MetricsOptions))
