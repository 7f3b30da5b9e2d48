"""`fusejax stress`: how well methods cope with degraded sources."""

import dataclasses
from pathlib import Path

from fusejax.cli.pairs import SourceFlags
from fusejax.cli.parsing import ConventionName, Repeated, flat, parse
from fusejax.cli.registering import RegisterFlags, Registering
from fusejax.evaluation.methods import name_methods
from fusejax.evaluation.results import CLEAN
from fusejax.evaluation.stress import CHANGE, METRICS, StressResult, stress_folders
from fusejax.evaluation.stress_inputs import write_inputs
from fusejax.inference.thermal import RangeOption
from fusejax.io.outputs import check_files, check_out, refuse_existing
from fusejax.io.pair_finding import find_pairs
from fusejax.report.curves import curve_name, draw_curves, draw_grid
from fusejax.report.files import SCORE_FILES, TABLE_FILES, write_tables
from fusejax.report.markdown import markdown
from fusejax.report.ranking import better
from fusejax.report.robustness import area_table, areas
from fusejax.report.tables import Table, condition_table

_GRID = "grid.png"


@dataclasses.dataclass(frozen=True)
class StressOptions(SourceFlags):
    """Degrades pairs in fixed ways, fuses them and scores the results against the clean pairs.

    Attributes:
        out: folder for table.md, table.tex, metrics.csv, metrics.json, the curves and the grid of
            images.
        weights: what fuses: shipped names, .safetensors files, runs, exported or other .onnx or
            .stablehlo files; NAME=WEIGHTS gives another name.
        fused: DIR or NAME=DIR with another method's results for the degraded inputs:
            DIR/clean/a.png, DIR/ir_blur_1/a.png and so on.
        write_inputs: also write the degraded inputs to this folder, for methods that run elsewhere;
            adversarial noise is computed for the first of the weights.
        degradations: names of the degradations to apply; by default all.
        pairs: number of pairs to use, spread evenly over the folder; by default all.
        convention: which toolkit's metric definitions to use.
        ir_range: infrared values that map to black and white, as in `fusejax fuse`: auto, full, or
            two numbers LOW HIGH.
        metrics: metrics to compute; by default four that compare with both sources.
        overwrite: replace existing files in `out`.
        registration: for two cameras that do not line up; pairs are registered before they are
            degraded.
    """

    out: Path | None = None
    weights: Repeated = ()
    fused: Repeated = ()
    write_inputs: Path | None = None
    degradations: tuple[str, ...] | None = None
    pairs: int | None = None
    convention: ConventionName = "exact"
    ir_range: RangeOption = "auto"
    metrics: tuple[str, ...] = METRICS
    overwrite: bool = False
    registration: Registering = dataclasses.field(default_factory=RegisterFlags)


def stress_command(options: StressOptions) -> None:
    """Writes the requested files and prints where they are.

    Raises:
        ValueError: before any work, if folders, weights or names cannot be used.
        OSError: before any work, if files already exist.
    """
    weights, fused = flat(options.weights), flat(options.fused)
    if options.out is None and options.write_inputs is None:
        raise ValueError("Give --out DIR for the results, --write-inputs DIR for the degraded inputs, or both.")
    if options.out is not None:
        check_out(options.out)
        sources = [options.ir, options.vi, *(m.folder for m in name_methods(folders=fused))]
        sources = [path for path in sources if path]
        curves = [options.out / curve_name(metric) for metric in (*options.metrics, CHANGE)]
        existing = check_files([options.out / name for name in ("table.md", _GRID)], sources=sources)
        beside = [options.out / name for name in (*SCORE_FILES, "table.tex")]
        existing += check_files([*beside, *curves], sources=sources, own=True)
        refuse_existing(existing, overwrite=options.overwrite)
    shared = {"kinds": options.degradations, "pairs": options.pairs, "ir_range": options.ir_range}
    shared["align"] = options.registration.aligner(
        lambda: find_pairs(*options.sources, sources=options.reading, quiet=True)[0]
    )
    shared["options"] = options.reading
    if options.write_inputs is not None:
        attacked = weights[0] if weights else None
        count = write_inputs(*options.sources, options.write_inputs, weights=attacked, **shared)
        print(f"{count} conditions written to {options.write_inputs}")
    if options.out is None:
        return
    result = stress_folders(
        *options.sources,
        weights=weights,
        fused=fused,
        convention=options.convention,
        metrics=options.metrics,
        **shared,
    )
    curves = draw_curves(options.out, result.scores, result.groups)
    draw_grid(options.out / _GRID, result.examples)
    summary, strengths = stress_tables(result)
    head = "\n\n".join(result.notes)
    names = [m for m in result.scores.metrics if better(m) == "higher"]  # the others have no share that is retained
    found = areas(result.scores, result.groups, metrics=names) if names else None
    board = [area_table(found, metrics=names, pairs=len(result.scores.images))] if found else []
    write_tables(options.out, [result.scores], [*board, summary, strengths], head=head)
    print(markdown([*board, summary], head=head))
    files = (*TABLE_FILES, *SCORE_FILES, _GRID, *(path.name for path in curves))
    print(f"written to {options.out}: {', '.join(files)}")


def stress_tables(result: StressResult) -> tuple[Table, Table]:
    """Means per degradation, averaged over its strengths, and per strength."""
    scores = result.scores
    places = {name: n for n, name in enumerate(scores.conditions)}
    summary, strengths = {(CLEAN,): [0]}, {(CLEAN, ""): [0]}
    for group in result.groups:
        summary[group.title,] = [places[name] for name in group.conditions]
        for name, label in zip(group.conditions, group.labels, strict=True):
            strengths[group.title, f"{label} {group.unit}" if label else ""] = [places[name]]
    return (
        condition_table(scores, summary, ["degradation"]),
        condition_table(scores, strengths, ["degradation", "strength"]),
    )


def run(arguments: list[str]) -> None:
    """The command."""
    stress_command(parse(StressOptions, "stress", arguments))
