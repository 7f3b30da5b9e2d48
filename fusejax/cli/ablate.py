"""`fusejax ablate`: trains and scores the variants of an ablation; one table and image grids."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from fusejax.cli.parsing import parse
from fusejax.config import load_ablation
from fusejax.evaluation.ablation import RUNS, Ablation
from fusejax.evaluation.grids import draw_grids
from fusejax.evaluation.results import Scores
from fusejax.evaluation.run import evaluate_runs, run_ablation
from fusejax.io.outputs import check_files, check_out, refuse_existing
from fusejax.report.differences import difference_table
from fusejax.report.files import SCORE_FILES, TABLE_FILES, write_tables
from fusejax.report.page import write_page
from fusejax.report.ranking import rank
from fusejax.report.tables import Table, score_table

_NOTE = "Images and scores are those of the first seed; table.md lists the means over the seeds."


@dataclasses.dataclass(frozen=True)
class AblateOptions:
    """Runs every variant with every seed; finished runs are kept, stopped ones continue.

    Attributes:
        config: a file with get_ablation(), or the name of a shipped ablation.
        data_root: folder that holds the sets.
        out: folder for runs, metrics.csv, metrics.json, table.md, table.tex and grids.
        seeds: number of seeds; each variant is trained once per seed.
        full_size: use the papers' network sizes and training lengths, for an accelerator, instead
            of the smaller ones that a CPU can handle.
        only: names of the variants to train; all by default.
        length: train every variant this many times as long.
        page: also write a page per data set, OUT/pages/SET/index.html, with the images of seed 0.
    """

    config: Annotated[str, tyro.conf.Positional]
    data_root: Path
    out: Path
    seeds: int = 3
    full_size: bool = False
    only: tuple[str, ...] = ()
    length: int = 1
    page: bool = False

    def __post_init__(self):
        for name in ("seeds", "length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1.")


def ablate_command(options: AblateOptions) -> str:
    """Runs, prints the table and writes it. Raises ValueError if a variant cannot be trained."""
    ablation = load_ablation(options.config)(options.data_root, options.out, options.full_size)
    ablation = ablation.only(options.only or ablation.variants.keys()).times_as_long(options.length)
    check_out(options.out)
    if not (options.out / RUNS).is_dir():  # no ablation was started there
        existing = check_files(options.out / name for name in (*TABLE_FILES, *SCORE_FILES))
        refuse_existing(existing, overwrite=False)
    scores = run_ablation(ablation, data_root=options.data_root, out=options.out, seeds=options.seeds)
    grids = draw_grids(ablation, data_root=options.data_root, out=options.out)
    tables = [table for each in scores for table in ablation_tables(ablation, each)]
    text = write_tables(options.out, scores, tables, head=f"# {ablation.title}")
    print(text)
    print(f"written to {options.out}: {', '.join((*TABLE_FILES, *SCORE_FILES))}, {len(grids)} image grids")
    if options.page:
        for name in ablation.scored_on:
            result = evaluate_runs(ablation, name, data_root=options.data_root, out=options.out)
            place = options.out / "pages" / name.replace("/", "_")
            print(f"page: {write_page(place, result, title=f'{ablation.title}: {name}', note=_NOTE)}")
    return text


def ablation_tables(ablation: Ablation, scores: Scores) -> list[Table]:
    """The tables of one set: means, and paired differences from the first variant."""
    first, *others = ablation.variants
    compared = scores.select(methods=[first, *others], metrics=[m for m in scores.metrics if m != "MSE"])
    note = f"({ablation.scored_on[scores.name]}) "
    return [ablation_table(ablation, scores), *([difference_table(compared, first, note=note)] if others else [])]


def ablation_table(ablation: Ablation, scores: Scores) -> Table:
    """The table of one set: the variants compete; the plain average and the bound are listed."""
    inside = scores.convention == "regions"  # no rank: the plain average is best in two of the three columns
    ranking = None if inside else rank([scores.select(methods=[m for m in scores.methods if m in ablation.variants])])
    table = score_table(scores, ranking)
    note = ablation.scored_on[scores.name]
    where = "inside the boxes, and MSE over the whole images; errors on [0, 1]; " if inside else ""
    return dataclasses.replace(table, caption=f"({note}) {where}{table.caption}", notes=[])


def run(arguments: list[str]) -> None:
    """The command."""
    ablate_command(parse(AblateOptions, "ablate", arguments))
