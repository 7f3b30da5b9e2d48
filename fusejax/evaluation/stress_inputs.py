"""The degraded pairs as files, for methods that run elsewhere."""

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from fusejax.evaluation.conditions import SEED, choose_conditions
from fusejax.evaluation.methods import Method
from fusejax.evaluation.results import CLEAN
from fusejax.evaluation.sources import AS_STORED, choose_pairs, choose_reading
from fusejax.evaluation.tested import degraded_inputs, open_methods, read_clean
from fusejax.inference.thermal import RangeOption
from fusejax.io.align import Aligner
from fusejax.io.images import write_image
from fusejax.io.outputs import check_out, write_complete
from fusejax.io.pair_images import SourceOptions
from fusejax.progress import track

_DESCRIPTION = "stress.json"  # is written last


def write_inputs(
    ir: str | Path,
    vi: str | Path | None,
    out: str | Path,
    *,
    weights: str | Path | None = None,
    kinds: Sequence[str] | None = None,
    pairs: int | None = None,
    ir_range: RangeOption = "auto",
    align: Aligner | None = None,
    options: SourceOptions = AS_STORED,
) -> int:
    """Writes the degraded pairs, for methods that run elsewhere.

    OUT/clean and one folder per condition hold `ir` and `vi`; OUT/stress.json describes them.

    Args:
        ir: see `fusejax.evaluation.stress_folders`.
        vi: see `stress_folders`.
        out: new folder, or one in which the same call was stopped before its end.
        weights: weights of the network for which adversarial noise is computed; without weights
            there is none.
        kinds: see `stress_folders`.
        pairs: see `stress_folders`.
        ir_range: see `stress_folders`.
        align: see `stress_folders`.
        options: see `stress_folders`.

    Returns:
        Number of conditions written, including the clean one.

    Raises:
        ValueError: see `stress_folders`.
        FileExistsError: if `out` holds files.
    """
    out, conditions = Path(out), choose_conditions(kinds)
    check_out(out, option="--write-inputs")
    attacked = None if weights is None else open_methods([Method("", str(weights))], (), ())[0].attacked
    conditions = tuple(c for c in conditions if c.source != "both" or attacked is not None)
    chosen, every = choose_pairs(ir, vi, count=pairs, align=align, options=options), (None, *conditions)
    names = [CLEAN if condition is None else condition.name for condition in every]
    _check_unfinished(out, {out / n / k / f"{pair.id}.png" for n in names for k in ("ir", "vi") for pair in chosen})
    reading = choose_reading(chosen, ir_range, options=options, align=align)
    steps = ((pair, condition) for pair in read_clean(chosen, reading) for condition in every)
    for pair, condition in track(steps, len(chosen) * len(every), description="writing", unit="pairs"):
        folder = out / (CLEAN if condition is None else condition.name)
        for kind, image in zip(("ir", "vi"), degraded_inputs(pair, condition, attacked), strict=True):
            write_image(folder / kind / f"{pair.name}.png", image)
    described = [{"folder": c.name, "degradation": c.title, "strength": c.amount} for c in conditions]
    document = {"seed": SEED, "attacked": None if attacked is None else str(weights), "conditions": described}
    write_complete(out / _DESCRIPTION, json.dumps(document, indent=1) + "\n")
    return len(every)


def _check_unfinished(out: Path, expected: AbstractSet[Path]) -> None:
    """Checks that a folder holds nothing but part of what will be written, as a stopped call leaves
    it.
    """
    found = (
        [path for path in out.rglob("*") if path.is_file() and not path.name.startswith(".")] if out.exists() else []
    )
    if (out / _DESCRIPTION).exists():
        raise FileExistsError(f"{out} holds degraded inputs that are complete; give a new folder for others.")
    if foreign := sorted(set(found) - expected):
        raise FileExistsError(
            f"{out} is not empty, and {foreign[0]} is none of the degraded inputs; give a new folder for them."
        )
