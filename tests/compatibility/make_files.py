"""Writes the files that later versions must still read: a run, its weights, exported programs.

Usage: python tests/compatibility/make_files.py  (with the oldest stack that is supported; the files
in `files` were written by the versions in `files/about.json`)
"""

import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

import fusejax
from fusejax.config import load_config
from fusejax.export.exporting import export_weights
from fusejax.training.loop import fit
from fusejax.versions import installed_versions

FILES = Path(__file__).parent / "files"
CONFIG = str(Path(__file__).parents[1] / "configs" / "tiny.py")


def main() -> None:
    """Trains four steps, keeps the folder of the run, and exports its weights."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        fit(load_config(CONFIG), run)
        weights = FILES / "weights.safetensors"
        shutil.copy(run / "weights.safetensors", weights)
        with zipfile.ZipFile(FILES / "run.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted((run / "checkpoints" / "2").rglob("*")):
                archive.write(file, file.relative_to(folder))
    for suffix in ("onnx", "stablehlo"):
        export_weights(weights, FILES / f"program.{suffix}", format=suffix, overwrite=True)  # pyright: ignore[reportArgumentType]
    rng = np.random.default_rng(0)
    ir, vi = rng.random((1, 24, 40, 1), np.float32), rng.random((1, 24, 40, 1), np.float32)
    fused = fusejax.load(weights).fuse(ir, vi, ir_range="full")
    np.savez_compressed(FILES / "pair.npz", ir=ir, vi=vi, fused=fused)
    (FILES / "about.json").write_text(json.dumps(installed_versions(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
