"""`fusejax stress`: how well methods cope with degraded sources."""

import dataclasses
from pathlib import Path

import tyro

from fusejax.cli.parsing import parse
from fusejax.evaluation.stress import CHANGE, METRICS, stress_folders, write_inputs
from fusejax.evaluation.stress_figures import curve_name, draw_curves, draw_grid
from fusejax.evaluation.stress_tables import markdown, write_csv
from fusejax.io.outputs import check_files, check_out, refuse_existing, write_complete

_TABLE, _CSV, _GRID = "stress.md", "stress.csv", "grid.png"


@dataclasses.dataclass(frozen=True)
class StressOptions:
    """Degrades pairs in fixed ways, fuses them and scores the results against the clean pairs.

    Attributes:
        ir: folder of infrared images. Without --vi: one folder whose file names mark both images
            (_T and _V), or a CSV file with the columns ir and vi.
        vi: folder of visible images of the same sizes.
        out: folder for stress.md, stress.csv, the curves and the grid of images.
        weights: shipped names, .safetensors files, folders of runs, or exported files (.onnx,
            .stablehlo).
        fused: NAME=DIR with another method's results for the degraded inputs: DIR/clean/a.png,
            DIR/ir_blur_1/a.png and so on.
        write_inputs: also write the degraded inputs to this folder, for methods that run elsewhere;
            adversarial noise is computed for the first of the weights.
        degradations: names of the degradations to apply; by default all.
        pairs: number of pairs to use, spread evenly over the folder; by default all.
        convention: which toolkit's metric definitions to use.
        metrics: metrics to compute; by default four that compare with both sources.
        overwrite: replace existing files in `out`.
    """

    ir: Path
    vi: Path | None = None
    out: Path | None = None
    weights: tuple[str, ...] = ()
    fused: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    write_inputs: Path | None = None
    degradations: tuple[str, ...] | None = None
    pairs: int | None = None
    convention: str = "exact"
    metrics: tuple[str, ...] = METRICS
    overwrite: bool = False


def stress_command(options: StressOptions) -> None:
    """Writes the requested files and prints where they are.

    Raises:
        ValueError: before any work, if folders, weights or names cannot be used.
        OSError: before any work, if files already exist.
    """
    fused = dict(_name_and_folder(text) for text in options.fused)
    if options.out is None and options.write_inputs is None:
        raise ValueError("Give --out DIR for the results, --write-inputs DIR for the degraded inputs, or both.")
    if options.out is not None:
        check_out(options.out)
        sources = [path for path in (options.ir, options.vi, *fused.values()) if path is not None]
        curves = [options.out / curve_name(metric) for metric in (*options.metrics, CHANGE)]
        existing = check_files([options.out / _TABLE, options.out / _GRID], sources=sources)
        existing += check_files([options.out / _CSV, *curves], sources=sources, own=True)
        refuse_existing(existing, overwrite=options.overwrite)
    if options.write_inputs is not None:
        weights = options.weights[0] if options.weights else None
        chosen = {"weights": weights, "kinds": options.degradations, "pairs": options.pairs}
        count = write_inputs(options.ir, options.vi, options.write_inputs, **chosen)
        print(f"{count} conditions written to {options.write_inputs}")
    if options.out is None:
        return
    result = stress_folders(
        options.ir,
        options.vi,
        weights=options.weights,
        fused=fused,
        kinds=options.degradations,
        pairs=options.pairs,
        convention=options.convention,
        metrics=options.metrics,
    )
    text = markdown(result)
    write_csv(options.out / _CSV, result)
    curves = draw_curves(options.out, result)
    draw_grid(options.out / _GRID, result)
    write_complete(options.out / _TABLE, text)
    print(text.partition("\n## Every strength")[0])
    print(f"written to {options.out}: {_TABLE}, {_CSV}, {_GRID}, {', '.join(path.name for path in curves)}")


def _name_and_folder(text: str) -> tuple[str, Path]:
    name, sign, folder = text.partition("=")
    if not (name and sign and folder):
        raise ValueError(f"--fused is {text!r}; expected NAME=DIR.")
    return name, Path(folder)


def run(arguments: list[str]) -> None:
    """The command."""
    stress_command(parse(StressOptions, "stress", arguments))
