"""`fusejax ablate`: trains and scores the variants of an ablation; one table and image grids."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from fusejax.cli.parsing import parse
from fusejax.config import load_ablation
from fusejax.evaluation.grids import draw_grids
from fusejax.evaluation.pages import write_ablation_pages
from fusejax.evaluation.run import reference_scores, run_ablation
from fusejax.evaluation.tables import markdown, write_csv
from fusejax.io.outputs import check_out, write_complete


@dataclasses.dataclass(frozen=True)
class AblateOptions:
    """Runs every variant with every seed; finished runs are kept, stopped ones continue.

    Attributes:
        config: a file with get_ablation(), or the name of a shipped ablation.
        data_root: folder that holds the sets.
        out: folder for runs, scores, table.md, table.csv and grids.
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
    results = run_ablation(ablation, data_root=options.data_root, out=options.out, seeds=options.seeds)
    references = reference_scores(ablation, data_root=options.data_root, out=options.out)
    text = markdown(ablation, results, references)
    write_complete(options.out / "table.md", text)
    write_csv(options.out / "table.csv", ablation, results, references)
    grids = draw_grids(ablation, data_root=options.data_root, out=options.out)
    print(text)
    print(f"written to {options.out}: table.md, table.csv, {len(grids)} image grids")
    if options.page:
        for path in write_ablation_pages(ablation, data_root=options.data_root, out=options.out):
            print(f"page: {path}")
    return text


def run(arguments: list[str]) -> None:
    """The command."""
    ablate_command(parse(AblateOptions, "ablate", arguments))
