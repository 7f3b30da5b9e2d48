"""`fusejax compare`: one table of methods over several sets, with ranks, a plot and images."""

import dataclasses
from pathlib import Path
from typing import Literal

from fusejax.cli.parsing import parse
from fusejax.evaluation.comparison import ComparedSet, compare_methods, comparison_grid
from fusejax.evaluation.comparison_tables import Means, comparison_tables, mean_ranks, means_of, read_rows, write_means
from fusejax.io.images import write_image
from fusejax.io.outputs import check_files, check_out, refuse_existing, write_complete
from fusejax.report.plots import plot_distributions
from fusejax.report.rank_plot import plot_ranks
from fusejax.weights.files import shipped_weights

_DISTRIBUTIONS = "distributions.png"


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """Fuses sets of pairs with every method, scores all results in the same way and ranks them.

    Attributes:
        data_root: folder that holds the sets.
        out: folder for fused images, table.md, table.csv, ranks.png, distributions and image grids.
            Existing fused images are kept.
        sets: pair folders below `data_root`; each path leads to the folder with the two image
            folders.
        weights: shipped names, .safetensors files or folders of runs; by default all shipped
            weights.
        rules: fusion rules that need no weights: `average` and `maximum`.
        others: folders with the results of other methods, each with one subfolder per set; the
            folder name is the method name.
        rows: CSV or Markdown file of means measured elsewhere; they are ranked with the others.
        convention: which toolkit's metric definitions to use.
        shown: number of pairs of each set, from the first, to draw in a grid.
        overwrite: fuse again instead of keeping existing images, and replace the tables.
    """

    data_root: Path
    out: Path
    sets: tuple[str, ...] = ("roadscene/val", "msrs/test_dev", "tno/test_dev")
    weights: tuple[str, ...] | None = None
    rules: tuple[Literal["average", "maximum"], ...] = ("average", "maximum")
    others: tuple[Path, ...] = ()
    rows: Path | None = None
    convention: Literal["exact", "cddfuse", "tang", "vifb", "look"] = "cddfuse"
    shown: int = 2
    overwrite: bool = False


def compare_command(options: CompareOptions) -> dict[str, Means]:
    """Compares, prints the tables and writes all files.

    Raises:
        ValueError: before any work, if something cannot be used.
        FileExistsError: before any work, if `out` already holds a comparison.
    """
    check_out(options.out)
    table, folders = options.out / "table.md", [_place(name, options) for name in options.sets]
    refuse_existing(check_files([table]), overwrite=options.overwrite)
    beside = [options.out / name for name in ("table.csv", "ranks.png")]
    beside = check_files([*beside, *(folder / _DISTRIBUTIONS for folder in folders)], own=True)
    refuse_existing(beside, overwrite=options.overwrite)
    rows = read_rows(options.rows) if options.rows is not None else None
    compared = compare_methods(
        options.data_root,
        options.sets,
        options.out,
        weights=shipped_weights() if options.weights is None else options.weights,
        rules=options.rules,
        others={folder.name: folder for folder in options.others},
        convention=options.convention,
        overwrite=options.overwrite,
    )
    sets = means_of(compared, rows)
    text = comparison_tables(sets, convention=options.convention)
    write_means(options.out / "table.csv", sets)
    overall = mean_ranks(sets)
    plot_ranks(options.out / "ranks.png", overall, {name: mean_ranks({name: sets[name]}) for name in sets})
    for each in compared:
        _draw(each, options)
    write_complete(table, text)  # last: its presence says that the comparison is complete
    print(text)
    print(f"written to {options.out}: table.md, table.csv, ranks.png, distributions and grids of each set")
    return sets


def _draw(compared: ComparedSet, options: CompareOptions) -> None:
    place = _place(compared.name, options)
    plot_distributions(place / _DISTRIBUTIONS, compared.scores)
    for stem in compared.scores[0].names[: options.shown]:
        path = place / "grids" / f"{stem.replace('/', '_')}.png"
        if options.overwrite or not path.exists():  # of an interrupted run, or not of this tool
            write_image(path, comparison_grid(compared, stem))


def _place(name: str, options: CompareOptions) -> Path:
    return options.out / name.replace("/", "_")


def run(arguments: list[str]) -> None:
    """The command."""
    compare_command(parse(CompareOptions, "compare", arguments))
