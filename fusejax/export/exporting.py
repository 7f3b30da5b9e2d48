"""Exporting a network to a file that runs without this library; checks the file before keeping
it.
"""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

import fusejax
from fusejax.export.promise import describe_promise
from fusejax.inference import standalone
from fusejax.inference.fuser import Fuser
from fusejax.io.outputs import check_files, check_out, errors_naming, refuse_existing
from fusejax.io.unfinished import unfinished_folder
from fusejax.typing import Params
from fusejax.weights.files import load_weights, save_weights

Format = Literal["onnx", "stablehlo", "safetensors"]
Precision = Literal["float32", "float16"]

LIMITS = {"float32": 1e-4, "float16": 2 / 255}
# All three use one compiled function of the library.
_OPSET = 20  # the one of `onnx_graph`, which needs the onnx extra
_STRENGTHS = (1.0, 0.5, 1.75)
_FREE_SIZES = ((48, 48), (37, 41), (35, 48))


def export_weights(
    weights: str | Path,
    out: Path,
    *,
    format: Format,
    size: tuple[int, int] | None = None,
    precision: Precision = "float32",
    color: bool = False,
    strength_input: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Exports weights and compares the file with the library in a process that imports neither.

    The file takes `ir` and `vi` in [0, 1] and returns `fused`, for any batch size: [b, c, h, w] for
    ONNX, [b, h, w, c] for StableHLO. A StableHLO file is a zip archive of one program for
    `jax.export.deserialize`; the caller pads the images as described in the metadata. A safetensors
    file holds parameters without a program; the library itself reads it back and compares results.

    Args:
        weights: shipped name, .safetensors file or folder of a run.
        out: file to write; its suffix is the name of the format.
        format: `onnx` (needs the `onnx` extra), `stablehlo` or `safetensors`.
        size: fixed (height, width); None leaves both free.
        precision: data type in which the weights are stored; the arithmetic is float32 for both.
        color: whether `vi` and `fused` are RGB (BT.601, full range) instead of luma.
        strength_input: whether the program also takes `strength`, from 0 for the visible image to
            2, a scalar. ONNX runtimes may leave it out, which means 1.
        overwrite: replace an existing file.

    Returns:
        The metadata of the file; `largest_difference` is the result of the comparison.

    Raises:
        ValueError: if the file cannot be written, or differs from the library by more than 1e-4 (2
            gray levels for float16); no file is left then. Also if a size, color or strength is
            given for safetensors, which supports none.
        OSError: before any work, if the output exists and `overwrite` is not set, or if it cannot
            be written.
    """
    if out.suffix != f".{format}":
        raise ValueError(f"--out {out} must end in .{format} for the format {format}.")
    if format == "safetensors" and (size or color or strength_input):
        raise ValueError("A safetensors file holds parameters only; leave out --size, --color and --strength-input.")
    check_out(out.parent)
    refuse_existing(check_files([out], sources=[Path(weights)]), overwrite=overwrite)
    params, config, training = load_weights(weights)
    metadata: dict[str, Any] = {
        "name": Path(weights).stem,
        "version": fusejax.__version__,
        "network": type(config).__name__,
        "training": training,
        "card": _card(weights),
        "format": format,
        "ranges": "ir, vi and fused are float32 in [0, 1]",
        "precision": precision,
        "largest_difference": 0.0,
        **describe_promise(format, _OPSET),
    }
    if format != "safetensors":
        metadata |= _describe_program(format, size, color=color, strength=strength_input)
    write = _writer(params, config, format, metadata, size=size)
    pairs = _random_pairs(size, color=color)
    strengths = _STRENGTHS if strength_input else (1.0,) * len(pairs)
    out.parent.mkdir(parents=True, exist_ok=True)
    with errors_naming(out), unfinished_folder(out.parent) as folder:
        part = folder / out.name
        write(part)
        fused = _fused_by_weights(part, pairs) if format == "safetensors" else _fused_alone(part, pairs, strengths)
        metadata["largest_difference"] = _largest_difference(fused, Fuser(params, config), pairs, strengths)
        if not metadata["largest_difference"] <= LIMITS[precision]:
            raise ValueError(
                f"The {format} file differs from the library by {metadata['largest_difference']:.2g}, "
                f"more than {LIMITS[precision]:.2g}; it was not kept."
            )
        write(part)
        part.replace(out)
    return metadata if format == "safetensors" else standalone.verify(out)


def _describe_program(format: Format, size: tuple[int, int] | None, *, color: bool, strength: bool) -> dict[str, Any]:
    return {
        "layout": "[batch, channel, height, width]" if format == "onnx" else "[batch, height, width, channel]",
        "channels": "ir 1; vi and fused 3 (RGB, BT.601 full range)" if color else "ir, vi and fused 1 (luma)",
        "size": list(size) if size else None,
        "color": color,
        "strength_input": strength,
        "padding": "none: pass the image without padding",
        "multiple": 1,
        "sha256": standalone.UNSEALED,
    }


def _writer(
    params: Params, config: Any, format: Format, metadata: dict[str, Any], *, size: tuple[int, int] | None
) -> Callable[[Path], None]:
    """Returns a function that writes the file with the current metadata; builds the program
    once.
    """
    half = metadata["precision"] == "float16"
    if format == "safetensors":
        stored = jax.tree.map(lambda x: x.astype(np.float16), params) if half else params
        return lambda path: save_weights(path, stored, config, metadata)
    options = {"size": size, "half": half, "color": metadata["color"], "strength": metadata["strength_input"]}
    program = _write_program(params, config, format, metadata, options)
    return lambda path: _seal(path, program, metadata)


def _write_program(params: Params, config: Any, format: Format, metadata: dict[str, Any], options: dict) -> Any:
    if format == "onnx":
        try:
            from fusejax.export.onnx_file import write_onnx
        except ModuleNotFoundError as error:
            raise ValueError(f"ONNX needs the onnx extra: pip install 'fusejax[onnx]' ({error}).") from error
        return write_onnx(params, config, **options)
    from fusejax.export.stablehlo import free_multiple, write_stablehlo

    if options["size"] is None and (multiple := free_multiple(config)) > 1:
        text = f"pad height and width at the bottom and right by reflection to multiples of {multiple}"
        metadata |= {"padding": f"{text}; crop the result", "multiple": multiple}
    return write_stablehlo(params, config, **options)


def _card(weights: str | Path) -> str:
    """The model card of shipped weights, or an empty text."""
    card = Path(fusejax.__file__).parent / "weights" / f"{weights}.md"
    return card.read_text() if card.is_file() else ""


def _seal(path: Path, program: Any, metadata: dict[str, Any]) -> None:
    """Writes program, metadata and checksum; the checksum replaces zeros of the same length."""
    text = json.dumps(metadata, sort_keys=True)
    if isinstance(program, bytes):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            file.writestr(zipfile.ZipInfo(standalone.PROGRAM), program, zipfile.ZIP_DEFLATED)
            file.comment = text.encode()
        data = buffer.getvalue()
    else:
        program.doc_string = "; ".join(metadata[name] for name in ("layout", "channels", "ranges", "promise"))
        program.ClearField("metadata_props")
        program.metadata_props.add(key="fusejax", value=text)
        data = program.SerializeToString()
    zeros = standalone.UNSEALED.encode()
    if data.count(zeros) != 1:
        raise ValueError("The placeholder of the checksum occurs more than once in the file.")
    path.write_bytes(data.replace(zeros, hashlib.sha256(data).hexdigest().encode()))


def _random_pairs(size: tuple[int, int] | None, *, color: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [
        (rng.random((1, *side, 1), np.float32), rng.random((1, *side, 3 if color else 1), np.float32))
        for side in ([size] * 3 if size else _FREE_SIZES)
    ]


def _fused_alone(
    path: Path, pairs: list[tuple[np.ndarray, np.ndarray]], strengths: Sequence[float]
) -> list[np.ndarray]:
    """Fuses the pairs with `standalone` in a separate process."""
    inputs, outputs = path.with_suffix(".in.npz"), path.with_suffix(".out.npz")
    named: dict[str, Any] = {}
    for n, ((ir, vi), strength) in enumerate(zip(pairs, strengths, strict=True)):
        named |= {f"ir{n}": ir, f"vi{n}": vi} | ({} if strength == 1 else {f"strength{n}": np.float32(strength)})
    np.savez(inputs, **named)
    command = [sys.executable, "-P", standalone.__file__, str(path), str(inputs), str(outputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"The file cannot be run: {done.stderr.strip().splitlines()[-1]}")
    with np.load(outputs) as found:
        return [found[f"fused{n}"] for n in range(len(pairs))]


def _fused_by_weights(path: Path, pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    fuser = Fuser.load(path)
    return [fuser.fuse(*pair, ir_range="full") for pair in pairs]


def _largest_difference(
    found: list[np.ndarray],
    fuser: Fuser,
    pairs: list[tuple[np.ndarray, np.ndarray]],
    strengths: Sequence[float],
) -> float:
    expected = [
        fuser.fuse(ir, vi, ir_range="full", strength=strength).reshape(vi.shape)
        for (ir, vi), strength in zip(pairs, strengths, strict=True)
    ]
    return max(float(np.abs(a - b).max()) for a, b in zip(found, expected, strict=True))
