"""Runs an exported file with only NumPy and the file's own runtime, without this library.

As a script: `python standalone.py FILE INPUTS.npz OUTPUTS.npz`, with arrays `ir0`, `vi0`, `ir1` ...
as inputs and `fused0`, `fused1` ... as outputs. It imports neither fusejax nor flax, and checks
that it does not.
"""

import hashlib
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PROGRAM = "program.jax"
UNSEALED = "0" * 64

Run = Callable[[np.ndarray, np.ndarray], np.ndarray]


def verify(path: Path) -> dict[str, Any]:
    """Reads the metadata and checks the file's SHA-256, which is computed with zeros in its place.

    Raises:
        ValueError: if the file was not written by `fusejax export`, or if a byte has changed.
    """
    data = path.read_bytes()
    try:
        metadata = _read_metadata(path, data)
    except Exception as error:  # the parsers of both formats raise many types for damaged files
        raise ValueError(f"{path} is damaged or was not written by fusejax export: {error}") from error
    found = str(metadata.get("sha256", "")).encode()
    if len(found) != len(UNSEALED) or data.count(found) != 1:
        raise ValueError(f"{path} has no usable checksum; it was not written by fusejax export, or is damaged.")
    if hashlib.sha256(data.replace(found, UNSEALED.encode())).hexdigest().encode() != found:
        raise ValueError(f"{path} is damaged: its SHA-256 differs from the one that was stored when it was written.")
    return metadata


def _read_metadata(path: Path, data: bytes) -> dict[str, Any]:
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return json.loads(session.get_modelmeta().custom_metadata_map["fusejax"])
    with zipfile.ZipFile(path) as file:
        return json.loads(file.comment)


def open_program(path: Path, metadata: dict[str, Any], *, threads: int | None = None) -> Run:
    """Opens the program of a file, from `ir`, `vi` to `fused`, float32 [b, h, w, c] in [0, 1].

    Args:
        path: verified file.
        metadata: metadata returned by `verify`.
        threads: number of threads for onnxruntime; None leaves the choice to onnxruntime.

    Raises:
        ValueError: if this version of JAX no longer reads the file.
    """
    if path.suffix == ".onnx":
        return _open_onnx(path, threads)
    from jax import export

    with zipfile.ZipFile(path) as file:
        content = bytearray(file.read(PROGRAM))
    try:
        program = export.deserialize(content)
    except Exception as error:  # its type differs between versions of JAX; the checksum has excluded damage
        raise ValueError(_expired(path, metadata, error)) from error

    def run(ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        h, w = ir.shape[1:3]
        extended = (extend(x, metadata["multiple"], metadata.get("least_side", 1)) for x in (ir, vi))
        return np.asarray(program.call(*extended))[:, :h, :w]

    return run


def _expired(path: Path, metadata: dict[str, Any], error: Exception) -> str:
    """What to do with a program that this version of JAX does not read."""
    import jax

    wrote = metadata.get("versions", {}).get("jax")
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    remedy = f", or install the version that wrote it: pip install jax=={wrote}" if wrote else ""
    return (
        f"{path} is intact, but JAX {jax.__version__} does not read it ({reason}). It was written "
        f"{metadata.get('written', 'at an unknown date')} with JAX {wrote or 'of an unknown version'}, and programs of "
        f"jax.export are promised for six months. Export the weights again: fusejax export --weights "
        f"{metadata['name']} --format stablehlo --out {path} --overwrite{remedy}."
    )


def try_program(path: Path, metadata: dict[str, Any]) -> None:
    """Runs a file once, on a small pair or one of its fixed size.

    Args:
        path: verified file.
        metadata: metadata returned by `verify`.

    Raises:
        ValueError: if it cannot be run, or returns anything but numbers in [0, 1].
    """
    size = metadata.get("size") or (48, 48)
    ir, vi = (np.full((1, *size, channels), 0.5, np.float32) for channels in (1, 3 if metadata["color"] else 1))
    run = open_program(path, metadata)
    try:
        fused = run(ir, vi)
    except Exception as error:
        raise ValueError(f"{path} is intact, but cannot be run here: {error}") from error
    if fused.shape != vi.shape or not (np.isfinite(fused).all() and fused.min() >= 0 and fused.max() <= 1):
        found = f"{fused.shape}, {fused.min()} to {fused.max()}"
        raise ValueError(f"{path} returns {found}; expected {vi.shape} in [0, 1].")


def _open_onnx(path: Path, threads: int | None) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if threads:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def run(ir: np.ndarray, vi: np.ndarray) -> np.ndarray:
        feed = {"ir": ir.transpose(0, 3, 1, 2), "vi": vi.transpose(0, 3, 1, 2)}
        return np.asarray(session.run(["fused"], feed)[0]).transpose(0, 2, 3, 1)

    return run


def extend(x: np.ndarray, multiple: int, least: int) -> np.ndarray:
    """Pads height and width at the bottom and right by reflection; a side of 1 is repeated.

    Files written by the first versions also require a minimum side, `least`.
    """
    pads = [max(-(-side // multiple) * multiple, least) - side for side in x.shape[1:3]]
    return np.pad(x, ((0, 0), (0, pads[0]), (0, pads[1]), (0, 0)), mode="reflect")


def main(arguments: list[str]) -> None:
    """Runs the file on every pair of the inputs."""
    path = Path(arguments[0])
    run = open_program(path, verify(path))
    with np.load(arguments[1]) as inputs:
        fused = {f"fused{n}": run(inputs[f"ir{n}"], inputs[f"vi{n}"]) for n in range(len(inputs.files) // 2)}
    if present := {"fusejax", "flax"} & set(sys.modules):
        raise RuntimeError(f"The check must not import {present}.")
    np.savez(arguments[2], **fused)  # pyright: ignore[reportArgumentType] - names are "fusedN"


if __name__ == "__main__":
    main(sys.argv[1:])
