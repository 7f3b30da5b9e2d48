"""`fusejax compare`: one table of methods over several sets, with ranks, a plot and images."""

import dataclasses
import fnmatch
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import tyro

from fusejax.cli.parsing import ConventionName, Repeated, flat, parse
from fusejax.evaluation.comparison import compare_methods, comparison_grid, plain_scores
from fusejax.evaluation.results import Evaluation, Scores
from fusejax.evaluation.score_files import write_scores
from fusejax.inference.thermal import RangeOption
from fusejax.io.images import write_image
from fusejax.io.matching import NameOptions
from fusejax.io.outputs import check_files, check_out, refuse_existing, write_complete
from fusejax.report.agreement import agreement_tables, stretch_tables
from fusejax.report.blind_page import KEY, PAGE, check_count, write_blind_page
from fusejax.report.files import SCORE_FILES, TABLE_FILES, write_tables
from fusejax.report.known_rows import Rows, read_rows
from fusejax.report.markdown import markdown
from fusejax.report.page import check_page, write_page
from fusejax.report.plots import plot_distributions, plot_ranks
from fusejax.report.ranking import Ranking, rank
from fusejax.report.tables import rank_table, score_table
from fusejax.weights.files import shipped_weights

_DISTRIBUTIONS = "distributions.png"
_AGREEMENT = "agreement.md"
_LEAST_IMAGES = 2  # of a stratum


@dataclasses.dataclass(frozen=True)
class CompareOptions(NameOptions):
    """Fuses sets of pairs with every method, scores all results in the same way and ranks them.

    Attributes:
        data_root: folder that holds the sets.
        out: folder for fused images, metrics.csv, metrics.json, table.md, table.tex, ranks.png,
            distributions and image grids. Existing fused images are kept.
        sets: pair folders below `data_root`; each path leads to the folder with the two image
            folders, to one folder whose file names mark both kinds or whose files hold both images,
            or to a CSV file with the columns ir and vi.
        weights: what fuses: shipped names, .safetensors files, runs, exported or other .onnx or
            .stablehlo files; NAME=WEIGHTS gives another name. By default all shipped weights.
        rules: fusion rules that need no weights: `average` and `maximum`.
        others: folders with the results of other methods, DIR or NAME=DIR, each with one subfolder
            per set.
        rows: CSV or Markdown file of means measured elsewhere; they are ranked with the others.
        convention: which toolkit's metric definitions to use.
        strata: parts of the sets that get tables of their own, NAME=PATTERN with wildcards for the
            names of images, such as 'night=*N' for MSRS; parts need at least two images.
        against: further conventions that score the same images; agreement.md then says how far the
            rankings agree (Kendall's tau), and which metrics disagree with themselves.
        stretched: also score all images after a stretch of their luma to the full range, as some
            programs do on saving; agreement.md says what it changes.
        metrics: names of the metrics to compute; by default the nine usual ones.
        ir_range: infrared values that map to black and white, as in `fusejax fuse`: auto, full, or
            two numbers LOW HIGH.
        shown: number of pairs of each set, from the first, to draw in a grid.
        page: folder for a results page per set, PAGE/SET/index.html.
        blind: also write OUT/blind.html, on which viewers judge the methods without their names,
            over all sets; see `fusejax blind`, which counts the answers.
        blind_pairs: number of comparisons on that page; by default every pair of methods on every
            image.
        blind_focus: name of a method; only it is compared with the others there.
        blind_gray: show all images of that page in gray, for methods that give no color.
        overwrite: fuse again instead of keeping existing images, and replace the tables.
    """

    data_root: Path = tyro.MISSING
    out: Path = tyro.MISSING
    sets: tuple[str, ...] = ("roadscene/val", "msrs/test_dev", "tno/test_dev")
    weights: Repeated = ()
    rules: tuple[Literal["average", "maximum"], ...] = ("average", "maximum")
    others: Repeated = ()
    rows: Path | None = None
    convention: ConventionName = "exact"
    strata: Repeated = ()
    against: tuple[ConventionName, ...] = ()
    stretched: bool = False
    metrics: tuple[str, ...] | None = None
    ir_range: RangeOption = "auto"
    shown: int = 2
    page: Path | None = None
    blind: bool = False
    blind_pairs: int | None = None
    blind_focus: str | None = None
    blind_gray: bool = False
    overwrite: bool = False


def compare_command(options: CompareOptions) -> list[Evaluation]:
    """Compares, prints the tables and writes all files.

    Returns:
        The scores on each set.

    Raises:
        ValueError: before any work, if something cannot be used.
        FileExistsError: before any work, if `out` already holds a comparison.
    """
    _check(options)
    known = {} if options.rows is None else read_rows(options.rows, convention=options.convention)
    compared = compare_methods(
        options.data_root,
        options.sets,
        options.out,
        weights=flat(options.weights) or shipped_weights(),
        rules=options.rules,
        others=flat(options.others),
        convention=tuple(dict.fromkeys((options.convention, *options.against))),
        metrics=options.metrics,
        ir_range=options.ir_range,
        overwrite=options.overwrite,
        ir_pattern=options.ir_pattern,
        vi_pattern=options.vi_pattern,
        stretched=options.stretched,
    )
    every = _by_convention(compared)
    compared = [plain_scores(result) for result in compared]
    for result in compared:
        _draw(result, options)
    text = _write(compared, every, known, options)
    print(text)
    if options.page is not None:
        for result in compared:
            name = result.scores[0].name
            print(f"page: {write_page(_place(options.page, name), result, title=f'Comparison on {name}')}")
    if options.blind:
        print(f"blind comparison: {_write_blind(compared, options)}; fusejax blind --out {options.out} --answers FILE")
    files = ", ".join((*TABLE_FILES, *SCORE_FILES, "ranks.png"))
    files += f", {_AGREEMENT}" if options.against or options.stretched else ""
    print(f"written to {options.out}: {files}, distributions and grids of each set")
    return compared


def _check(options: CompareOptions) -> None:
    check_out(options.out)
    if wrong := [text for text in flat(options.strata) if not all(text.partition("="))]:
        raise ValueError(f"--strata {wrong[0]}: expected NAME=PATTERN, such as 'night=*N'.")
    check_count(options.blind_pairs, "--blind-pairs")
    if not options.blind and (options.blind_pairs or options.blind_focus or options.blind_gray):
        raise ValueError("--blind-pairs, --blind-focus and --blind-gray are for the page of --blind; also give that.")
    refuse_existing(check_files([options.out / "table.md"]), overwrite=options.overwrite)
    beside = [options.out / name for name in (*SCORE_FILES, "table.tex", "ranks.png", _AGREEMENT)]
    beside += [options.out / name for name in (PAGE, KEY) if options.blind]
    folders = [_place(options.out, name) for name in options.sets]
    beside = check_files([*beside, *(folder / _DISTRIBUTIONS for folder in folders)], own=True)
    refuse_existing(beside, overwrite=options.overwrite)
    for name in options.sets:
        if options.page is not None:
            check_page(_place(options.page, name), overwrite=options.overwrite)


def _by_convention(compared: Sequence[Evaluation]) -> dict[str, list[Scores]]:
    """Scores of each set by convention, including those of stretched images."""
    names = [scores.convention for scores in compared[0].scores]
    return {name: [result.scores[n] for result in compared] for n, name in enumerate(names)}


def _write(
    compared: Sequence[Evaluation], every: Mapping[str, Sequence[Scores]], known: Rows, options: CompareOptions
) -> str:
    """Ranks, then writes the tables; table.md says that the comparison is complete."""
    scores = [result.scores[0] for result in compared]
    agreement = [
        *(agreement_tables(every) if options.against else []),
        *(stretch_tables(every) if options.stretched else []),
    ]
    if agreement:
        write_scores(options.out / "agreement", [table for found in every.values() for table in found])
        write_complete(options.out / _AGREEMENT, markdown(agreement))
    overall, by_set = rank(scores, known=known), [rank([each], known=known) for each in scores]
    named: dict[str, Ranking] = dict(zip((each.name for each in scores), by_set, strict=True))
    plot_ranks(options.out / "ranks.png", overall, named)
    tables = [score_table(each, ranking, known=known) for each, ranking in zip(scores, by_set, strict=True)]
    tables += [score_table(part, rank([part])) for part in _strata(scores, flat(options.strata))]
    return write_tables(options.out, scores, [rank_table(overall, scores), *tables])


def _strata(scores: Sequence[Scores], given: Sequence[str]) -> list[Scores]:
    """Parts of the sets by the names of their images."""
    parts = []
    for each in scores:
        for name, _, pattern in (text.partition("=") for text in given):
            images = [image for image in each.images if fnmatch.fnmatchcase(image, pattern)]
            if len(images) >= _LEAST_IMAGES:
                parts.append(dataclasses.replace(each.select(images=images), name=f"{each.name}, {name}"))
    return parts


def _draw(result: Evaluation, options: CompareOptions) -> None:
    place = _place(options.out, result.scores[0].name)
    plot_distributions(place / _DISTRIBUTIONS, result.scores[0])
    for name in result.names[: options.shown]:
        path = place / "grids" / f"{name.replace('/', '_')}.png"
        if options.overwrite or not path.exists():  # of an interrupted run, or not of this tool
            write_image(path, comparison_grid(result, name, ir_range=options.ir_range))


def _write_blind(compared: Sequence[Evaluation], options: CompareOptions) -> Path:
    """The page for blind viewing over all sets; its images are named SET/NAME."""
    fused: dict[str, dict[str, Path]] = {}
    sources = {}
    for result in compared:
        scores = result.scores[0]
        for name in result.names:
            sources[f"{scores.name}/{name}"] = functools.partial(result.read, name)
            for method in scores.methods:
                fused.setdefault(method, {})[f"{scores.name}/{name}"] = result.fused[method][name]
    return write_blind_page(
        fused,
        sources,
        options.out,
        count=options.blind_pairs,
        focus=options.blind_focus,
        gray=options.blind_gray,
        overwrite=options.overwrite,
    )


def _place(folder: Path, name: str) -> Path:
    return folder / name.replace("/", "_")


def run(arguments: list[str]) -> None:
    """The command."""
    compare_command(parse(CompareOptions, "compare", arguments))
