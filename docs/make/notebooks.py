"""Runs the notebooks of colabs/ and keeps their outputs.

Usage: python docs/make/notebooks.py [--store]  (without it, only the pages of the site change)
"""

import base64
import concurrent.futures
import functools
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "generated" / "notebooks"
_WIDTH = 1200
_LONG = "losses", "training", "conventions"  # first, so that two workers end together


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of all its cells; raises if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        NotebookClient(notebook, timeout=900, startup_timeout=300, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = joined(cell.outputs)
        cell.metadata.pop("execution", None)  # times differ from run to run
        for output in cell.get("outputs", ()):
            if "text" in output:
                output["text"] = re.sub(r"\r[^\n]*", "", output["text"])
            if "image/png" in output.get("data", {}):
                output["data"] = {"image/jpeg": as_jpeg(output["data"]["image/png"])}
    return notebook


def joined(outputs: list) -> list:
    """The outputs with adjacent pieces of printed text put together."""
    found: list = []
    for output in outputs:
        if found and output.output_type == "stream" and found[-1].output_type == "stream":
            found[-1].text += output.text
        else:
            found.append(output)
    return found


def as_jpeg(png: str) -> str:
    """The picture (base64) as JPEG, at most `_WIDTH` pixels wide: a tenth of the size."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    image.thumbnail((_WIDTH, 10 * _WIDTH))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=82)
    return base64.b64encode(buffer.getvalue()).decode()


def execute(path: Path, *, store: bool) -> None:
    """Writes the page of one notebook and, if wanted, its outputs into colabs/."""
    notebook = run(path)
    for target in [PAGES / path.name, *([path] if store else [])]:
        nbformat.write(notebook, target)


def main(*, store: bool) -> None:
    """Runs all notebooks, two at a time."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    PAGES.mkdir(parents=True, exist_ok=True)
    paths = sorted((ROOT / "colabs").glob("*.ipynb"), key=lambda path: (path.stem not in _LONG, path.stem))
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        list(pool.map(functools.partial(execute, store=store), paths))


if __name__ == "__main__":
    main(store="--store" in sys.argv[1:])
