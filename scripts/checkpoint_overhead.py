"""How much of a run is spent on checkpoints: steps after each save compared with other steps.

    python scripts/checkpoint_overhead.py [--config angularfuse] [--crop 128] [--repeats 6]

The copies and fingerprints for which the loop waits, and the concurrent writing, fall into the 10
steps after a save. The cost of a save is the time that these steps take beyond the mean of the 10
steps before and the 10 steps after them. Neighboring steps are compared because the speed of a
shared machine varies by more than this cost within a minute. The last line is the median cost as a
fraction of 50 steps.
"""

import dataclasses
import json
import statistics
import tempfile
from pathlib import Path

import tyro

from fusejax.config import TrainConfig, load_config
from fusejax.training.loop import fit

EVERY, SPAN = 50, 10


def ends_of_spans(config: TrainConfig) -> dict[int, float]:
    """Trains and returns when every SPANth step was done, in seconds."""
    with tempfile.TemporaryDirectory() as workdir:
        fit(config, workdir)
        lines = [json.loads(line) for line in (Path(workdir) / "log.jsonl").read_text().splitlines()]
        return {line["step"]: line["time"] for line in lines if line["kind"] == "train"}


@dataclasses.dataclass(frozen=True)
class OverheadOptions:
    """What to measure.

    Attributes:
        config: shipped configuration that is trained.
        crop: side in pixels; by default that of the configuration.
        repeats: number of saves to measure.
    """

    config: str = "angularfuse"
    crop: int | None = None
    repeats: int = 6


def main(options: OverheadOptions) -> None:
    """Prints the cost of every save as a fraction, and the median."""
    shipped = load_config(options.config)
    steps = EVERY * options.repeats + 2 * SPAN
    stage = dataclasses.replace(shipped.stages[-1], steps=steps)
    data = dataclasses.replace(shipped.data, synthetic=64, crop=options.crop or shipped.data.crop)
    config = dataclasses.replace(shipped, stages=(stage,), data=data, log_every=SPAN, save_every=EVERY, eval_every=0)
    end, shares = ends_of_spans(config), []
    for save in range(EVERY, steps - SPAN, EVERY):
        before, behind, after = (end[n + SPAN] - end[n] for n in (save - SPAN, save, save + SPAN))
        plain = (before + after) / 2
        shares.append((behind - plain) / (plain * EVERY / SPAN))
        print(
            f"step {save}: {SPAN} steps take {before:.2f} s before, {behind:.2f} s behind, {after:.2f} s after the save"
        )
    print(
        f"{config.name}, {config.batch_size}x{data.crop}x{data.crop}: a save every {EVERY} steps costs "
        f"{100 * statistics.median(shares):.1f} % ({100 * min(shares):.1f} to {100 * max(shares):.1f}, "
        f"n {len(shares)})"
    )


if __name__ == "__main__":
    main(tyro.cli(OverheadOptions))
