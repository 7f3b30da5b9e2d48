"""Released weights: one safetensors file that holds parameters, the model's configuration and where they come from."""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath
from flax.traverse_util import flatten_dict, unflatten_dict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fusejax.models import NETWORKS, ModelConfig
from fusejax.serialize import from_dict, to_dict
from fusejax.typing import Params

_SHIPPED = Path(__file__).parent
RUN_FILE = "weights.safetensors"


def save_weights(path: epath.PathLike, params: Params, model_config: ModelConfig, metadata: dict[str, Any]) -> None:
    """Writes parameters under their nested names joined with "/", float32, with configuration and metadata as JSON."""
    flat = {k: np.ascontiguousarray(v) for k, v in flatten_dict(jax.device_get(params), sep="/").items()}
    header = {"network": type(model_config).__name__, "model": to_dict(model_config), "training": metadata}
    data = save(flat, metadata={k: json.dumps(v, sort_keys=True) for k, v in header.items()})
    path = epath.Path(path)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    temporary.replace(path)


def shipped_weights() -> list[str]:
    """Names of the weights that come with the package."""
    return sorted(p.stem for p in _SHIPPED.glob("*.safetensors"))


def load_weights(name_or_path: str | Path) -> tuple[Params, ModelConfig, dict[str, Any]]:
    """Parameters, model configuration and training metadata.

    Args: a shipped name, a .safetensors file, or the folder of a finished run.
    Raises: ValueError that says what was looked for; never executes anything from the file.
    """
    path = Path(name_or_path)
    if path.is_dir():
        path = path / RUN_FILE
    elif not path.suffix and not path.is_file():
        path = _SHIPPED / f"{name_or_path}.safetensors"
    if not path.is_file():
        names = ", ".join(shipped_weights()) or "none"
        raise ValueError(f"No weights at {name_or_path} (looked for {path}); shipped names: {names}.")
    try:
        with safe_open(str(path), framework="numpy") as file:
            header = file.metadata() or {}
            flat = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a dict
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file: {error}") from error
    if "model" not in header:
        raise ValueError(f"{path} holds no model configuration; it was not written by fusejax.")
    kinds = {kind.__name__: kind for kind in NETWORKS}
    network = json.loads(header.get("network", '"AngularFuseConfig"'))  # files from before there were two networks
    if network not in kinds:
        raise ValueError(f"{path} is for the network {network!r}; this version knows {', '.join(kinds)}.")
    config = from_dict(kinds[network], json.loads(header["model"]))
    return unflatten_dict(flat, sep="/"), config, json.loads(header.get("training", "{}"))
