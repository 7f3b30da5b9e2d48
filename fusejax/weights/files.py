"""Weight files: safetensors with parameters, the network's configuration and their origin."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fusejax.io.outputs import write_complete
from fusejax.models.config import ModelConfig
from fusejax.models.networks import NETWORKS, build
from fusejax.serialize import from_dict, to_dict
from fusejax.typing import Params
from fusejax.weights.runs import RUN_FILE, find_run

_SHIPPED = Path(__file__).parent
_USUAL_SIZE = 64  # of heads, cells and factors, which no array shows


def save_weights(
    path: epath.PathLike,
    params: Params,
    model_config: ModelConfig,
    metadata: dict[str, Any],
    *,
    storage: Literal["float32", "float16"] = "float32",
) -> None:
    """Writes weights with a SHA-256 checksum of the file's whole content.

    Args:
        path: file to write; it is replaced atomically, and its folder is created.
        params: nested parameters; they are stored under their names joined with "/".
        model_config: configuration of the network, stored as JSON.
        metadata: origin of the weights, stored as JSON.
        storage: data type of the stored numbers; `float16` halves the file size and rounds each
            value to three digits. Weights are always read as float32.

    Raises:
        ValueError: if a value is NaN or infinite (or becomes so in float16), or the shapes are not
            those of the network.
        OSError: if the file cannot be written; the message names the file.
    """
    flat = {k: np.asarray(v, storage, order="C") for k, v in flatten_dict(jax.device_get(params), sep="/").items()}
    _check_values(flat, str(path))
    _check_shapes(flat, model_config, str(path))
    about = {"network": type(model_config).__name__, "model": to_dict(model_config), "training": metadata}
    header = {k: json.dumps(v, sort_keys=True) for k, v in about.items()}
    data = save(flat, metadata=header | {"sha256": _checksum(flat, header)})
    write_complete(path, data)


def shipped_weights() -> list[str]:
    """Names of the weights included in the package.

    Example:
        >>> "light" in shipped_weights()
        True
    """
    return sorted(p.stem for p in _SHIPPED.glob("*.safetensors"))


def load_weights(name_or_path: str | Path) -> tuple[Params, ModelConfig, dict[str, Any]]:
    """Reads weights; never executes anything from the file.

    Args:
        name_or_path: a shipped name, a .safetensors file, the folder of a run, or FOLDER@STEP for
            one of the run's checkpoints. If a run has not finished, its newest intact checkpoint is
            used, and a line says so.

    Returns:
        Parameters, the network's configuration and training metadata.

    Raises:
        ValueError: if there are no such weights, or if they are damaged: a changed byte (files
            written before the checksum was introduced have none), a value that is NaN or infinite,
            or shapes that are not those of the network.

    Example:
        >>> params, config, training = load_weights("light")
        >>> config.width
        24
    """
    if "://" in (text := str(name_or_path)) and not text.startswith("gs://"):
        raise ValueError(f"{text} is a remote address; give a local file or folder, or the folder of a run in gs://.")
    if (found := find_run(str(name_or_path))) is not None:
        from fusejax.weights.run_checkpoint import load_checkpoint_weights  # loads Orbax

        return load_checkpoint_weights(*found)
    path = Path(name_or_path)
    if path.is_dir():
        path = path / RUN_FILE
    elif not path.suffix and not path.is_file():
        path = _SHIPPED / f"{name_or_path}.safetensors"
    if not path.is_file():
        names = ", ".join(shipped_weights()) or "none"
        raise ValueError(f"No weights at {name_or_path} (looked for {path}); shipped names: {names}.")
    return read_weights(path)


def read_weights(path: Path) -> tuple[Params, ModelConfig, dict[str, Any]]:
    """Reads and checks one file, see `load_weights`."""
    flat, header = _read_safetensors(path)
    if "model" not in header:
        raise ValueError(f"{path} has no model configuration; it was not written by fusejax.")
    if (checksum := header.pop("sha256", None)) is not None and checksum != _checksum(flat, header):
        raise ValueError(f"{path} is damaged: its SHA-256 differs from the one that was stored when it was written.")
    kinds = {kind.__name__: kind for kind in NETWORKS}
    try:
        # Files from before there was more than one network do not name their network.
        network = json.loads(header.get("network", '"AngularFuseConfig"'))
        if network not in kinds:
            raise ValueError(
                f"it is for the network {network!r}; this version knows {', '.join(kinds)}; give the file that defines "
                "another one with --plugin FILE"
            )
        config = from_dict(kinds[network], json.loads(header["model"]))
        training = json.loads(header.get("training", "{}"))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: its metadata cannot be used: {str(error).rstrip('.')}.") from error
    _check_counts(flat, config, str(path))
    # Other types only change the size of the file; the arithmetic is that of the network.
    with np.errstate(over="ignore"):
        flat = {name: np.asarray(x, np.float32) for name, x in flat.items()}
    _check_values(flat, str(path))
    if path.parent != _SHIPPED:  # a checksum finds damage, but anybody can compute one
        _check_shapes(flat, config, str(path))
    return unflatten_dict(flat, sep="/"), config, training


def _read_safetensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with safe_open(str(path), framework="numpy") as file:
            names = list(file.keys())
            return {name: file.get_tensor(name) for name in names}, dict(file.metadata() or {})
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error


def _checksum(flat: Mapping[str, np.ndarray], header: Mapping[str, str]) -> str:
    """SHA-256 of the names, types, shapes and bytes of all arrays, and of the other metadata."""
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(flat):
        array = np.ascontiguousarray(flat[name])
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _check_values(flat: Mapping[str, np.ndarray], path: str) -> None:
    if broken := [name for name, value in flat.items() if not np.isfinite(value).all()]:
        raise ValueError(
            f"{path}: weights are NaN or infinite, in {len(broken)} of {len(flat)} arrays, such as "
            f"{broken[0]}; they would fuse to black images. Take an earlier checkpoint (RUN@STEP)."
        )


def _check_counts(flat: Mapping[str, np.ndarray], config: ModelConfig, path: str) -> None:
    """Raises ValueError if the network has more layers or channels than the file has numbers.

    The shapes of such a network would be computed for ever.
    """
    most = max((max(value.shape, default=1) for value in flat.values()), default=1)
    for field, value in vars(config).items():
        counts = "blocks" in field or "layers" in field
        limit = len(flat) if counts else max(most, _USUAL_SIZE)
        given = len(value) if isinstance(value, tuple) else value
        if isinstance(value, tuple) and (len(value) > len(flat) or max(value, default=0) > limit):
            given = max(value, default=0)
        elif isinstance(value, tuple) or not isinstance(value, int) or value <= limit:
            continue
        raise ValueError(
            f"{path}: its metadata cannot be used: {field} is {given}, which does not fit its {len(flat)} arrays."
        )


def _check_shapes(flat: Mapping[str, np.ndarray], config: ModelConfig, path: str) -> None:
    """Raises ValueError if the arrays do not match the network."""
    pair = jax.ShapeDtypeStruct((1, 8, 8, 1), np.float32)
    shapes = jax.eval_shape(build(config).init, jax.random.key(0), pair, pair)["params"]
    flat_shapes: dict[str, Any] = flatten_dict(shapes, sep="/")
    expected = {name: x.shape for name, x in flat_shapes.items()}
    given = {name: x.shape for name, x in flat.items()}
    wrong = [n for n in sorted(expected.keys() | given.keys()) if expected.get(n) != given.get(n)]
    if wrong:
        first = wrong[0]
        raise ValueError(
            f"{path}: {len(wrong)} arrays do not fit {type(config).__name__}: {first} is "
            f"{given.get(first, 'missing')}, but the network has {expected.get(first, 'none')}."
        )
