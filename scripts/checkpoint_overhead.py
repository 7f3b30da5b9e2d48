"""How much of a run goes into checkpoints: of one run, spans of 50 steps with a save and without one, in turn.

    python scripts/checkpoint_overhead.py [--config angularfuse] [--crop 128] [--repeats 4]

A save starts after every 100th step: the copies and fingerprints that the loop waits for, and the writing beside it,
fall into the 50 steps behind it. The last line is the median of the ratios less one: what a save every 50 steps costs.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
from pathlib import Path

from fusejax.config import load_config
from fusejax.training.loop import fit

SPAN = 50


def ends_of_spans(config) -> list[float]:
    """When each span of a run ended, in seconds; a save starts after that of every even one."""
    with tempfile.TemporaryDirectory() as workdir:
        fit(config, workdir)
        lines = [json.loads(line) for line in (Path(workdir) / "log.jsonl").read_text().splitlines()]
        return [line["time"] for line in lines if line["kind"] == "train"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="angularfuse")
    parser.add_argument("--crop", type=int, help="side in pixels; that of the configuration by default")
    parser.add_argument("--repeats", type=int, default=4)
    options = parser.parse_args()
    shipped = load_config(options.config)
    # The first two spans, in which the step is compiled and nothing is saved yet, are left out.
    stage = dataclasses.replace(shipped.stages[-1], steps=2 * SPAN * (options.repeats + 1))
    data = dataclasses.replace(shipped.data, synthetic=64, crop=options.crop or shipped.data.crop)
    config = dataclasses.replace(shipped, stages=(stage,), data=data, log_every=SPAN, save_every=2 * SPAN)
    ends = ends_of_spans(dataclasses.replace(config, eval_every=0))[1:]
    ratios = []
    for n in range(options.repeats):
        start, middle, end = ends[2 * n : 2 * n + 3]
        with_save, without = middle - start, end - middle
        ratios.append(with_save / without)
        print(f"{n}: {with_save:.2f} s with a save, {without:.2f} s without, ratio {ratios[-1]:.3f}", flush=True)
    print(
        f"{config.name}, {config.batch_size}x{data.crop}x{data.crop}: a save every {SPAN} steps costs "
        f"{100 * (statistics.median(ratios) - 1):.1f} % "
        f"({100 * (min(ratios) - 1):.1f} to {100 * (max(ratios) - 1):.1f}, n {len(ratios)})"
    )


if __name__ == "__main__":
    main()
