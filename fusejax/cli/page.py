"""`fusejax page`: writes a static web page that fuses in the browser."""

import dataclasses
from pathlib import Path

from fusejax.cli.parsing import parse
from fusejax.web.page import write_page


@dataclasses.dataclass(frozen=True)
class PageOptions:
    """Writes a page that fuses two images in the browser; no data leaves the browser.

    Attributes:
        out: folder for the page; any static server can host it.
        weights: shipped name, .safetensors file, or folder of a run.
        runtime: folder with the files of onnxruntime-web; by default they are downloaded once
            through npm.
        overwrite: replace the page in `out`.
    """

    out: Path
    weights: str = "light"
    runtime: Path | None = None
    overwrite: bool = False


def run(arguments: list[str]) -> None:
    """Writes the page, and prints its size and how to view it."""
    options = parse(PageOptions, "page", arguments)
    metadata = write_page(options.weights, options.out, runtime=options.runtime, overwrite=options.overwrite)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    difference = f"largest difference from the library {metadata['largest_difference']:.2g}"
    print(f"{options.out}: {size / 1e6:.1f} MB, {difference}")
    print(f"to view it: python -m http.server --directory {options.out}")
