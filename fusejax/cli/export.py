"""`fusejax export`: writes weights to a file that runs without this library."""

import dataclasses
import re
from pathlib import Path

from fusejax.cli.parsing import parse
from fusejax.export.exporting import Format, Precision, export_weights
from fusejax.export.promise import check_file

_LONGEST = 32_768  # pixels of a side


@dataclasses.dataclass(frozen=True)
class ExportOptions:
    """Writes weights as ONNX, StableHLO or safetensors and checks the result against the library.

    `fusejax export --check FILE` checks a file that was exported before.

    Attributes:
        weights: shipped name, .safetensors file, or folder of a run.
        format: onnx, stablehlo, or safetensors (parameters only, without a program).
        out: file to write; its suffix is the name of the format.
        size: WIDTHxHEIGHT, or `dynamic` for any size.
        precision: data type in which the weights are stored.
        color: take and return RGB instead of luma.
        strength_input: also take `strength`, a number from 0 (the visible image) to 2; 1 is the
            network's result, which ONNX runtimes take if it is left out.
        overwrite: replace an existing file.
    """

    weights: str
    format: Format
    out: Path
    size: str = "dynamic"
    precision: Precision = "float32"
    color: bool = False
    strength_input: bool = False
    overwrite: bool = False


@dataclasses.dataclass(frozen=True)
class CheckOptions:
    """Checks an exported file instead: checksum, date, promise, and whether it runs.

    Attributes:
        check: file written by `fusejax export`.
    """

    check: Path


def run(arguments: list[str]) -> None:
    """Exports, and prints the file size and the measured difference from the library; or checks a
    file.
    """
    if any(word.partition("=")[0] == "--check" for word in arguments):
        print("\n".join(check_file(parse(CheckOptions, "export", arguments).check)))
        return
    options = parse(ExportOptions, "export", arguments)
    metadata = export_weights(
        options.weights,
        options.out,
        format=options.format,
        size=parse_size(options.size),
        precision=options.precision,
        color=options.color,
        strength_input=options.strength_input,
        overwrite=options.overwrite,
    )
    size = options.out.stat().st_size
    print(f"{options.out}: {size:,} bytes, largest difference from the library {metadata['largest_difference']:.2g}")
    print(metadata["promise"])


def parse_size(text: str) -> tuple[int, int] | None:
    """(height, width) of WIDTHxHEIGHT; None for `dynamic`.

    Raises:
        ValueError: if it is neither.
    """
    if text == "dynamic":
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None or max(sides := (int(match[2]), int(match[1]))) > _LONGEST:
        raise ValueError(f"--size is {text!r}; give WIDTHxHEIGHT such as 640x480 (at most {_LONGEST}), or dynamic.")
    return sides
