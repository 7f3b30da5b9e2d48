"""Runs an exported file with only NumPy and the file's own runtime, without this library.

As a script: `python standalone.py FILE INPUTS.npz OUTPUTS.npz`, with arrays `ir0`, `vi0`, `ir1` ...
as inputs, `strength0` ... if the file takes a strength other than 1, and `fused0`, `fused1` ... as
outputs. It imports neither fusejax nor flax, and checks
that it does not.
"""

import hashlib
import json
import math
import re
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PROGRAM = "program.jax"
UNSEALED = "0" * 64
_MOST_BYTES = 2**29  # of a program; the largest network has 3 MB
_MOST_NUMBERS = 2**31  # in one array of a program with fixed sizes
_LONGEST = 2**16  # pixels of a side
# onnxruntime warns of an input with a default, which is what the strength is meant to be.
_ERRORS_ONLY = 3
# Calls out of a program of `jax.export` that compute on its arguments only. Others could be given
# addresses, or reach into this process.
_CALLS = frozenset({"shape_assertion", "Sharding"})

# A program from `ir`, `vi` and, if the file takes it, `strength=1.0` to `fused`.
Run = Callable[..., np.ndarray]
_Program = Callable[[np.ndarray, np.ndarray, np.float32], np.ndarray]


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
    _check_metadata(path, metadata)
    found = str(metadata.get("sha256", "")).encode()
    if len(found) != len(UNSEALED) or data.count(found) != 1:
        raise ValueError(f"{path} has no usable checksum; it was not written by fusejax export, or is damaged.")
    if hashlib.sha256(data.replace(found, UNSEALED.encode())).hexdigest().encode() != found:
        raise ValueError(f"{path} is damaged: its SHA-256 differs from the one that was stored when it was written.")
    return metadata


def _check_metadata(path: Path, metadata: Any) -> None:
    """Raises ValueError if the metadata lack what running the program needs."""

    def count(value: Any, least: int = 1) -> bool:
        return type(value) is int and least <= value <= _LONGEST

    def size(value: Any) -> bool:
        return value is None or (isinstance(value, list) and len(value) == 2 and all(map(count, value)))

    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: its metadata are {type(metadata).__name__}, not an object; it cannot be used.")
    checks = {"size": size, "color": lambda x: isinstance(x, bool), "multiple": count, "least_side": count}
    checks["strength_input"] = checks["color"]
    needed = {"size", "color"} | ({"multiple"} if path.suffix != ".onnx" else set())
    for key, good in checks.items():
        if key in metadata or key in needed:
            value = metadata.get(key)
            if not (key in metadata and good(value)):
                raise ValueError(f"{path}: {key} is {value!r} in its metadata, which cannot be used; export it again.")


def _read_metadata(path: Path, data: bytes) -> Any:
    if path.suffix == ".onnx":
        import onnxruntime

        _refuse_external_data(data)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = _ERRORS_ONLY
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        return json.loads(session.get_modelmeta().custom_metadata_map["fusejax"])
    with zipfile.ZipFile(path) as file:
        return json.loads(file.comment)


def open_program(path: Path, metadata: dict[str, Any]) -> Run:
    """Opens the program of a file, from `ir`, `vi` to `fused`, float32 [b, h, w, c] in [0, 1].

    Args:
        path: verified file.
        metadata: metadata returned by `verify`.

    Returns:
        The program. It raises ValueError if its result is not one finite image of the size of the
        inputs, and for a strength other than 1 if the file takes none.

    Raises:
        ValueError: if this version of JAX no longer reads the file, or if the program does what no
            exported network does.
    """
    strong = metadata.get("strength_input", False)
    run = _open_onnx(path, strong=strong) if path.suffix == ".onnx" else _open_stablehlo(path, metadata)
    channels = 3 if metadata["color"] else 1

    def checked(ir: np.ndarray, vi: np.ndarray, strength: float = 1.0) -> np.ndarray:
        if strength != 1 and not strong:
            raise ValueError(f"{path} takes no strength; export it with --strength-input.")
        fused = run(ir, vi, np.float32(strength))
        if fused.dtype != np.float32 or fused.shape != (*ir.shape[:3], channels):
            kind, sizes = fused.dtype, "x".join(map(str, fused.shape))
            raise ValueError(f"{path} returns {kind} {sizes} for inputs of {'x'.join(map(str, ir.shape))}.")
        if not np.isfinite(fused).all():
            raise ValueError(f"{path} returns values that are NaN or infinite; they would be black in the image.")
        return np.clip(fused, 0.0, 1.0)

    return checked


def _open_stablehlo(path: Path, metadata: dict[str, Any]) -> _Program:
    from jax import export

    with zipfile.ZipFile(path) as file:
        if PROGRAM not in file.namelist() or (size := file.getinfo(PROGRAM).file_size) > _MOST_BYTES:
            found = f"unpacks to {size:,} bytes" if PROGRAM in file.namelist() else "is missing"
            raise ValueError(f"{path} cannot be used: its program {found}; export it again.")
        try:
            content = bytearray(file.read(PROGRAM))
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
            raise ValueError(f"{path} cannot be used: its program cannot be unpacked ({error}).") from error
    try:
        program = export.deserialize(content)
        text = program.mlir_module()
    except Exception as error:  # its type differs between versions of JAX; the checksum has excluded damage
        raise ValueError(_expired(path, metadata, error)) from error
    _check_program(path, text)
    channels, multiple = (3 if metadata["color"] else 1), metadata["multiple"]
    shapes = [tuple(x.shape[-1:]) for x in program.in_avals]
    numbers = [()] if metadata.get("strength_input", False) else []
    if len(program.out_avals) != 1 or shapes != [(1,), (channels,), *numbers]:
        raise ValueError(f"{path} has other inputs than its metadata say; export it again.")

    def run(ir: np.ndarray, vi: np.ndarray, strength: np.float32) -> np.ndarray:
        h, w = ir.shape[1:3]
        extended = [extend(x, multiple, metadata.get("least_side", 1)) for x in (ir, vi)]
        return np.asarray(program.call(*extended, *(strength for _ in numbers)))[:, :h, :w]

    return run


def _check_program(path: Path, text: str) -> None:
    """Refuses programs that call out of themselves, or hold more than any network."""
    called = set(re.findall(r"custom_call\s+@([\w.\-$]+)", text))
    called |= set(re.findall(r'call_target_name\s*=\s*"([^"]*)"', text))
    if foreign := sorted(called - _CALLS):
        raise ValueError(
            f"{path} calls {', '.join(foreign[:4])}, which could run other code; no exported network does. "
            "It is refused."
        )
    for sides in re.findall(r"tensor<((?:\d+x)+)[a-z]", text):
        if math.prod(int(side) for side in sides.split("x") if side) > _MOST_NUMBERS:
            raise ValueError(f"{path} holds an array of {sides[:-1]} numbers; it is refused.")


def _expired(path: Path, metadata: dict[str, Any], error: Exception) -> str:
    """What to do with a program that this version of JAX does not read."""
    import jax

    versions = metadata.get("versions")
    wrote = versions.get("jax") if isinstance(versions, dict) else None
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    remedy = f", or install the version that wrote it: pip install jax=={wrote}" if wrote else ""
    return (
        f"{path} is intact, but JAX {jax.__version__} does not read it ({reason}). It was written "
        f"{metadata.get('written', 'at an unknown date')} with JAX {wrote or 'of an unknown version'}, and programs of "
        f"jax.export are promised for six months. Export the weights again: fusejax export --weights "
        f"{metadata.get('name', 'NAME')} --format stablehlo --out {path} --overwrite{remedy}."
    )


def try_program(path: Path, metadata: dict[str, Any]) -> None:
    """Runs a file once, on a small pair or one of its fixed size.

    Args:
        path: verified file.
        metadata: metadata returned by `verify`.

    Raises:
        ValueError: if it cannot be run, or does not return one finite image.
    """
    size = metadata.get("size") or (48, 48)
    ir, vi = (np.full((1, *size, channels), 0.5, np.float32) for channels in (1, 3 if metadata["color"] else 1))
    run = open_program(path, metadata)
    try:
        run(ir, vi)
    except Exception as error:
        raise ValueError(f"{path} is intact, but cannot be run here: {error}") from error


def _open_onnx(path: Path, *, strong: bool) -> _Program:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if strong:
        options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    inputs = {x.name: (x.type, len(x.shape)) for x in session.get_inputs()}
    outputs = {x.name: x.type for x in session.get_outputs()}
    floats = "tensor(float)"
    if inputs.get("ir") != (floats, 4) or inputs.get("vi") != (floats, 4) or outputs.get("fused") != floats:
        raise ValueError(f"{path} takes {inputs} and returns {outputs}; expected ir and vi, and fused, of floats.")

    def run(ir: np.ndarray, vi: np.ndarray, strength: np.float32) -> np.ndarray:
        feed = {"ir": ir.transpose(0, 3, 1, 2), "vi": vi.transpose(0, 3, 1, 2)}
        if strong:
            feed["strength"] = np.array(strength)
        return np.asarray(session.run(["fused"], feed)[0]).transpose(0, 2, 3, 1)

    return run


def _refuse_external_data(data: bytes) -> None:
    """Raises ValueError if an ONNX file keeps arrays in other files, which could be any files."""
    if b"external" not in data and b"location" not in data:
        return
    import onnx

    model = onnx.load_model_from_string(data)
    graphs = [model.graph]
    while graphs:
        graph = graphs.pop()
        tensors = list(graph.initializer) + [t.values for t in graph.sparse_initializer]
        for node in graph.node:
            for attribute in node.attribute:
                tensors += [attribute.t, *attribute.tensors] if attribute.HasField("t") or attribute.tensors else []
                graphs += [attribute.g] if attribute.HasField("g") else []
                graphs += list(attribute.graphs)
        if any(t.data_location == onnx.TensorProto.EXTERNAL or t.external_data for t in tensors):
            raise ValueError("it keeps data in other files, which exported files never do")


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
        fused, n = {}, 0
        while f"ir{n}" in inputs:
            strength = float(inputs[f"strength{n}"]) if f"strength{n}" in inputs else 1.0
            fused[f"fused{n}"] = run(inputs[f"ir{n}"], inputs[f"vi{n}"], strength)
            n += 1
    if present := {"fusejax", "flax"} & set(sys.modules):
        raise RuntimeError(f"The check must not import {present}.")
    np.savez(arguments[2], **fused)  # pyright: ignore[reportArgumentType] - names are "fusedN"


if __name__ == "__main__":
    main(sys.argv[1:])
