"""`fusejax page`: a static page that fuses in the browser."""

import dataclasses
from pathlib import Path

from fusejax.cli.parsing import parse
from fusejax.export.page import write_page


@dataclasses.dataclass(frozen=True)
class PageOptions:
    """Writes a page that fuses two images in the browser; nothing leaves it.

    Attributes:
        out: folder for the page; any static server can offer it.
        weights: shipped name, .safetensors file, or folder of a run.
        runtime: folder with the files of onnxruntime-web; by default npm gets them once.
        overwrite: replace the page in `out`.
    """

    out: Path
    weights: str = "light"
    runtime: Path | None = None
    overwrite: bool = False


def run(arguments: list[str]) -> None:
    """Writes the page, and prints its size and how to look at it."""
    options = parse(PageOptions, "page", arguments)
    metadata = write_page(options.weights, options.out, runtime=options.runtime, overwrite=options.overwrite)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    print(f"{options.out}: {size / 1e6:.1f} MB, largest difference to the library {metadata['largest_difference']:.2g}")
    print(f"to look at it: python -m http.server --directory {options.out}")
