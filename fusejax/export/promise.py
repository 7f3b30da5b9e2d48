"""How long an exported file can be read, in its metadata and in words."""

import datetime
from pathlib import Path
from typing import Any

from fusejax.inference import standalone
from fusejax.versions import installed_versions

# jax.export: later versions of JAX read a program for six months.
_STABLEHLO = datetime.timedelta(days=182)
_WRITTEN_WITH = {
    "onnx": ("numpy", "onnx", "onnxruntime"),
    "stablehlo": ("numpy", "jax", "jaxlib"),
    "safetensors": ("numpy", "jax", "safetensors"),
}


def describe_promise(format: str, opset: int) -> dict[str, Any]:
    """The part of a file's metadata that tells when and with what it was written, and its promise.

    Args:
        format: `onnx`, `stablehlo` or `safetensors`.
        opset: ONNX's operator set, for ONNX files.

    Returns:
        `written`, an ISO date in UTC; `versions`; `promised_until`, an ISO date, or None if the
        format does not expire; `promise` in words.

    Example:
        >>> describe_promise("onnx", 20)["promised_until"] is None
        True
    """
    written = datetime.datetime.now(datetime.UTC).date()
    until = (written + _STABLEHLO).isoformat() if format == "stablehlo" else None
    promise = {
        "onnx": f"opset {opset}: every runtime that has it, and every later one, reads the file",
        "stablehlo": f"versions of JAX that are released until {until} read the file (jax.export: six months)",
        "safetensors": "the format does not expire; this library reads files of all its earlier versions",
    }[format]
    versions = installed_versions(_WRITTEN_WITH[format])
    return {"written": written.isoformat(), "versions": versions, "promised_until": until, "promise": promise}


def check_file(path: Path) -> list[str]:
    """Checks an exported file: its checksum, its age, and whether it still runs.

    Args:
        path: file written by `fusejax export`.

    Returns:
        Lines that describe the file.

    Raises:
        ValueError: if it is damaged, or can no longer be run; the message says what to do.
    """
    if path.suffix == ".safetensors":
        from fusejax.weights.files import read_weights

        _, config, metadata = read_weights(path)
        return [f"{path}: parameters of {type(config).__name__}, intact", *_lines(metadata)]
    metadata = standalone.verify(path)
    standalone.try_program(path, metadata)
    size = metadata.get("size")
    what = f"{metadata['network']}, {f'{size[1]}x{size[0]}' if size else 'any size'}, {metadata['layout']}"
    what += ", takes a strength" if metadata.get("strength_input") else ""
    return [f"{path}: {what}; intact, and it runs", *_lines(metadata)]


def _lines(metadata: dict[str, Any]) -> list[str]:
    if "written" not in metadata:
        return ["It was written by a version of fusejax that did not record the date and the versions."]
    versions = ", ".join(f"{name} {version}" for name, version in metadata["versions"].items())
    lines = [f"written {metadata['written']} by fusejax {metadata['version']} with {versions}", metadata["promise"]]
    until = metadata["promised_until"]
    if until and datetime.date.fromisoformat(until) < datetime.datetime.now(datetime.UTC).date():
        lines.append(f"This promise ended on {until}; export the weights again before you update JAX.")
    return lines
