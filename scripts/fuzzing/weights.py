"""Damaged weight files and exported files."""

import hashlib
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fusejax
from fusejax.export.exporting import export_weights
from fusejax.models import AngularFuseConfig, build
from fusejax.weights.files import save_weights
from fuzzing.cases import Cases, damage


def seal(data: bytes) -> bytes:
    """Makes the checksum of an exported file fit again, as anybody can, so that more is reached."""
    found = re.search(rb"sha256[^0-9a-f]{1,8}([0-9a-f]{64})", data)
    if found is None:
        return data
    zeros = bytes(64).replace(b"\0", b"0")
    data = data[: found.start(1)] + zeros + data[found.end(1) :]
    return data.replace(zeros, hashlib.sha256(data).hexdigest().encode())


class WeightCases(Cases):
    """Damaged files of a tiny network, loaded and run on one pair."""

    def __init__(self, folder: Path, seed: int):
        """Writes the intact files."""
        import jax
        import jax.numpy as jnp

        super().__init__(folder, seed)
        config = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1)
        pair = jnp.zeros((1, 8, 8, 1))
        path = folder / "tiny.safetensors"
        save_weights(path, jax.jit(build(config).init)(jax.random.key(0), pair, pair)["params"], config, {})
        self.intact = [(path.suffix, path.read_bytes())]
        formats: list[Any] = ["stablehlo", *(["onnx"] if importlib.util.find_spec("onnxruntime") else [])]
        for format in formats:
            out = folder / f"tiny.{format}"
            export_weights(path, out, format=format, size=(16, 16), overwrite=True)
            self.intact.append((out.suffix, out.read_bytes()))
        self.images = np.zeros((16, 16), np.uint8), np.full((16, 16, 3), 100, np.uint8)

    def prepare(self, number: int, rng: np.random.Generator) -> tuple[Path, Callable[[], str | None]]:
        """See `Cases.prepare`."""
        suffix, data = self.intact[rng.integers(len(self.intact))]
        path = self.folder / f"{number}{suffix}"
        data = damage(data, rng)
        path.write_bytes(seal(data) if rng.random() < 0.5 else data)

        def attempt() -> str | None:
            fused = fusejax.load(path).fuse(*self.images)
            return None if fused.shape == (16, 16, 3) else f"returns {fused.shape}"

        return path, attempt
