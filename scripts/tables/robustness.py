"""The robustness leaderboard: `fusejax stress` over several sets, with the area under the curves.

    python scripts/table.py robustness --data-root DIR --out OUT [--sets vifb/test_dev tno/test_dev]
    [--pairs 4] [--weights light average maximum]

Every pair's scores are kept in OUT/SET/PAIR/metrics.csv, so that a stopped call continues. OUT/
robustness.md holds one table over all pairs. Adversarial noise, which is another one for each
network, is left out; give --degradations for other choices.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from fusejax.cli.parsing import ConventionName, Repeated, flat
from fusejax.data.layouts import find_pair_folders
from fusejax.evaluation.conditions import CONDITIONS, KINDS
from fusejax.evaluation.results import Group, Scores
from fusejax.evaluation.score_files import read_scores, write_scores
from fusejax.evaluation.sources import choose_pairs
from fusejax.evaluation.stress import METRICS, stress_folders
from fusejax.inference.loading import load
from fusejax.inference.rules import RULES
from fusejax.io.outputs import write_complete, write_rows
from fusejax.report.markdown import markdown
from fusejax.report.robustness import area_table, areas
from fusejax.weights.files import shipped_weights


@dataclasses.dataclass(frozen=True)
class RobustnessOptions:
    """What to test.

    Attributes:
        data_root: folder that holds the sets.
        out: folder for the results.
        sets: pair folders below `data_root`.
        pairs: number of pairs of each set, spread evenly.
        weights: what fuses; by default all shipped weights and the rules.
        degradations: names of the degradations; by default all but adversarial noise.
        convention: convention of the metrics.
    """

    data_root: Path
    out: Path
    sets: tuple[str, ...] = ("vifb/test_dev", "tno/test_dev", "roadscene/val", "msrs/test_dev")
    pairs: int = 4
    weights: Repeated = ()
    degradations: tuple[str, ...] = tuple(kind for kind in KINDS if kind != "adversarial_noise")
    convention: ConventionName = "cddfuse"


def main(options: RobustnessOptions) -> None:
    """Tests pair by pair, and writes the table."""
    methods = flat(options.weights) or [*shipped_weights(), *RULES]
    opened = functools.cache(lambda: {name: load(name) for name in methods})  # not if all pairs are done
    tables = []
    for name in options.sets:
        (folders,) = find_pair_folders(options.data_root / name).values()
        for pair in choose_pairs(*folders, count=options.pairs):
            place = options.out / name.replace("/", "_") / pair.id.replace("/", "_")
            if not (place / "metrics.csv").exists():
                write_rows(place / "pair.csv", [["ir", "vi"], [str(pair.ir.absolute()), str(pair.vi.absolute())]])
                found = stress_folders(
                    place / "pair.csv",
                    None,
                    weights=opened(),
                    kinds=options.degradations,
                    convention=options.convention,
                    metrics=METRICS,
                )
                write_scores(place, [found.scores])
            tables += read_scores(place / "metrics.csv")
    scores = _beside(tables, methods)
    groups: dict[str, list[str]] = {}
    for condition in CONDITIONS:
        if condition.name in scores.conditions:
            groups.setdefault(condition.title, []).append(condition.name)
    found = areas(scores, [Group(t, tuple(c), tuple(c)) for t, c in groups.items()], metrics=METRICS)
    text = markdown([area_table(found, metrics=METRICS, pairs=len(scores.images))])
    write_complete(options.out / "robustness.md", text)
    print(text)


def _beside(tables: list[Scores], methods: list[str]) -> Scores:
    """Scores of the same methods on different pairs as one table."""
    parts = [table.select(methods=methods) for table in tables]
    values = np.concatenate([part.values for part in parts], axis=2)
    images = tuple(f"{n} {image}" for n, part in enumerate(parts) for image in part.images)
    return dataclasses.replace(parts[0], images=images, values=values, name="")
