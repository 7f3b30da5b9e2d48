"""Times the nine usual metrics against the float64 NumPy/SciPy reference; memory of a 4K image.

    python scripts/bench_metrics.py [--rounds 7] [--batch 2]

Both score the same made-up 640x480 images in turns within one process, after compiling; the table
gives images per second (median of the rounds) and the ratio with its smallest and largest round.
The reference runs in one thread, as NumPy and SciPy do. The peak memory is that of a fresh process
which scores one 3840x2160 image.
"""

import dataclasses
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro

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
    """Images per second of package and reference, one value per round, run in turns."""
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
    """Scores one 4K image in this process; a line with the time and the largest resident size."""
    arrays = [jnp.asarray(x[..., None] / 255.0, jnp.float32) for x in images(1, 2160, 3840)]
    first = seconds(lambda: evaluate(*arrays))
    again = seconds(lambda: evaluate(*arrays))
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return (
        f"3840x2160, nine metrics: peak {gigabytes:.2f} GB resident, {first:.1f} s with compiling, {again:.2f} s after"
    )


@dataclasses.dataclass(frozen=True)
class MetricsOptions:
    """What to measure.

    Attributes:
        rounds: timed rounds of each kind.
        batch: images that are scored at once.
        memory_only: score one 4K image and print the peak memory.
    """

    rounds: int = 7
    batch: int = 2
    memory_only: bool = False


def main(options: MetricsOptions) -> None:
    """Prints the table and the memory."""
    if options.memory_only:
        print(peak_memory())
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
