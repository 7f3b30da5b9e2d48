"""Writing a static web page that fuses images in the browser."""

import importlib.resources
import json
import shutil
from pathlib import Path
from typing import Any

import jax

from fusejax.data.synthetic import synthetic_pair
from fusejax.export.exporting import export_weights
from fusejax.io.images import write_image
from fusejax.io.outputs import check_files, check_out, write_complete
from fusejax.io.unfinished import unfinished_folder
from fusejax.web.runtime import copy_runtime
from fusejax.weights.files import load_weights

_LAST = ("model.onnx", "model.json")
_DEMO_SEED, _DEMO_SIZE = 7, (480, 640)  # a night scene


def write_page(
    weights: str | Path, out: Path, *, runtime: Path | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Writes a folder with everything the page needs; any static server can host it.

    The page fuses two images chosen by the visitor, or a synthetic pair, with onnxruntime-web,
    which uses WebGPU if available and WebAssembly otherwise. No data leaves the browser. The
    network runs at the size of the images, in RGB; luma is fused, and chroma is taken from the
    visible image.

    Args:
        weights: shipped name, .safetensors file or folder of a run.
        out: folder for the page.
        runtime: folder with the files of onnxruntime-web, see `copy_runtime`; by default they are
            downloaded through npm.
        overwrite: replace the page that an earlier call wrote; other files in the folder stay.

    Returns:
        The metadata of the exported network, see `export_weights`.

    Raises:
        ValueError: if the runtime is not available; see also `export_weights`.
        FileExistsError: if the folder is not empty, unless it is an earlier page and `overwrite` is
            set.
    """
    _check_folder(out, overwrite=overwrite)
    check_out(out.parent)
    out.parent.mkdir(parents=True, exist_ok=True)
    with unfinished_folder(out.parent) as made:
        part = made / "page"
        with importlib.resources.as_file(importlib.resources.files("fusejax.web") / "files") as files:
            shutil.copytree(files, part)
        copy_runtime(part / "runtime", runtime)
        metadata = export_weights(weights, part / "model.onnx", format="onnx", color=True)
        about = {key: metadata[key] for key in ("name", "version", "network", "largest_difference", "sha256")}
        about["parameters"] = sum(x.size for x in jax.tree.leaves(load_weights(weights)[0]))
        write_complete(part / "model.json", json.dumps(about, indent=2) + "\n")
        pair = synthetic_pair(_DEMO_SEED, size=_DEMO_SIZE)
        for kind in ("ir", "vi"):
            write_image(part / f"made_up_{kind}.png", pair[kind])
        part.chmod(0o755)
        _put(part, out)
    return metadata


def _put(part: Path, out: Path) -> None:
    """Moves a complete page to its place: as a whole, or file by file into a folder that exists.

    The network and its description come last, so that a page that was cut short is still known as a
    page, and keeps the network it describes.
    """
    if not out.exists():
        part.replace(out)
        return
    files = sorted((p.relative_to(part) for p in part.rglob("*") if p.is_file()), key=lambda p: p.name in _LAST)
    check_files(out / name for name in files)
    for name in files:
        (out / name).parent.mkdir(exist_ok=True)
        (part / name).replace(out / name)


def _check_folder(out: Path, *, overwrite: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not _is_page(out):
        raise FileExistsError(f"{out} exists and was not written by fusejax page; choose another --out.")
    if linked := [path for path in (out / "runtime", out) if path.is_symlink()]:
        raise FileExistsError(f"{linked[0]} is a link; name the folder itself, or another --out.")
    if not overwrite:
        raise FileExistsError(f"{out} already holds a page; use --overwrite, or another --out.")


def _is_page(folder: Path) -> bool:
    """Whether the `model.json` of a folder is that of a page; other tools use the name too."""
    try:
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(about, dict) and {"network", "sha256", "largest_difference"} <= about.keys()
