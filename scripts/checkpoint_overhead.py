"""How much of a run goes into checkpoints: the same steps with and without a save every 50 of them, alternating.

    python scripts/checkpoint_overhead.py [--config angularfuse] [--steps 100] [--crop 64] [--repeats 3]

Times the loop of `fit` between its first log line after compiling and its end, the last save included. The last line
is the median ratio less one.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path

from fusejax.config import load_config
from fusejax.data.pipeline import DataConfig
from fusejax.training.loop import fit

SAVE_EVERY = 50


def seconds(config, save_every: int) -> float:
    """Of the steps after the first 10, with everything that belongs to a save."""
    with tempfile.TemporaryDirectory() as workdir:
        fit(dataclasses.replace(config, save_every=save_every), workdir)
        lines = [json.loads(line) for line in (Path(workdir) / "log.jsonl").read_text().splitlines()]
        return time.time() - next(line["time"] for line in lines if line["kind"] == "train")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="angularfuse")
    parser.add_argument("--steps", type=int, default=2 * SAVE_EVERY)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    shipped = load_config(options.config)
    stage = dataclasses.replace(shipped.stages[-1], steps=options.steps)
    data = DataConfig(synthetic=64, crop=options.crop, com_mask=shipped.data.com_mask)
    config = dataclasses.replace(shipped, stages=(stage,), data=data, log_every=10)
    seconds(config, options.steps)  # compiles
    ratios = []
    for n in range(options.repeats):
        # Both save at the end; the first one also every so many steps before.
        with_saves, without = seconds(config, SAVE_EVERY), seconds(config, options.steps)
        ratios.append(with_saves / without)
        print(f"{n}: {with_saves:.2f} s with, {without:.2f} s without, ratio {ratios[-1]:.3f}", flush=True)
    print(
        f"a save every {SAVE_EVERY} of {options.steps} steps costs {100 * (statistics.median(ratios) - 1):.1f} % "
        f"({100 * (min(ratios) - 1):.1f} to {100 * (max(ratios) - 1):.1f}, n {len(ratios)})"
    )


if __name__ == "__main__":
    main()
