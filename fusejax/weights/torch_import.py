"""Converts checkpoints of the authors' PyTorch code to this library's parameters."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from fusejax.models import CrossFuse, CrossFuseConfig
from fusejax.typing import Params

_MODULES = {
    "encoder": "DIDF_Encoder",
    "decoder": "DIDF_Decoder",
    "base_fusion": "BaseFuseLayer",
    "detail_fusion": "DetailFuseLayer",
}

# Our names to the author's, inside a module; the long-scale block and the Restormer block use
# different names for their parts.
_COMMON = (
    (r"norm(\d)/scale$", r"norm\1.body.weight"),
    (r"norm(\d)/bias$", r"norm\1.body.bias"),
    (r"embed/kernel$", "patch_embed.proj.weight"),
    (r"detail/", "detailFeature/"),
    (r"base/", "baseFeature/"),
    (r"coupling(\d+)/mix/kernel", lambda m: f"net.{int(m[1]) - 1}.shffleconv.weight"),
    (r"coupling(\d+)/mix/bias", lambda m: f"net.{int(m[1]) - 1}.shffleconv.bias"),
    (r"coupling(\d+)/(phi|rho|eta)/", lambda m: f"net.{int(m[1]) - 1}.theta_{m[2]}.bottleneckBlock/"),
    (r"bottleneckBlock/expand/kernel", "bottleneckBlock.0.weight"),
    (r"bottleneckBlock/mix/kernel", "bottleneckBlock.3.weight"),
    (r"bottleneckBlock/reduce/kernel", "bottleneckBlock.5.weight"),
    (r"^reduce/kernel", "reduce_channel.weight"),
    (r"^head1/kernel", "output.0.weight"),
    (r"^head2/kernel", "output.2.weight"),
)
_RESTORMER = {
    "attention/scale": "attn.temperature",
    "attention/qkv/kernel": "attn.qkv.weight",
    "attention/qkv_mix/kernel": "attn.qkv_dwconv.weight",
    "attention/out/kernel": "attn.project_out.weight",
    "feed_forward/expand/kernel": "ffn.project_in.weight",
    "feed_forward/mix/kernel": "ffn.dwconv.weight",
    "feed_forward/reduce/kernel": "ffn.project_out.weight",
}
_LONG_SCALE = {
    "attention/scale": "attn.scale",
    "attention/qkv/kernel": "attn.qkv1.weight",
    "attention/qkv_mix/kernel": "attn.qkv2.weight",
    "attention/out/kernel": "attn.proj.weight",
    "feed_forward/expand/kernel": "mlp.project_in.weight",
    "feed_forward/mix/kernel": "mlp.dwconv.weight",
    "feed_forward/reduce/kernel": "mlp.project_out.weight",
}


def load_torch_checkpoint(path: str | Path) -> dict[str, Any]:
    """Reads the network's modules from a .pth file; only tensors are unpickled.

    Args:
        path: the file.

    Returns:
        Arrays by module and name.

    Raises:
        ValueError: if PyTorch is missing, or if the file cannot be read as tensors or lacks a
            module.
    """
    try:
        import torch
    except ImportError:
        raise ValueError("Reading .pth files needs PyTorch: pip install 'fusejax[torch]'.") from None
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and end-of-file errors
        # PyTorch's message first advises a way of loading that runs code in the file; the reason
        # comes last.
        reason = str(error).rpartition("WeightsUnpickler error:")[2].strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"{path} cannot be read as tensors only ({reason[0].rstrip('.')}); nothing else is loaded from a "
            "file, since that can run code."
        ) from error
    held = checkpoint if isinstance(checkpoint, dict) else {}
    modules = {m: held[m] for m in _MODULES.values() if isinstance(held.get(m), dict)}
    if len(modules) < len(_MODULES):
        names = ", ".join(map(str, list(held)[:8])) or f"a {type(checkpoint).__name__}"
        raise ValueError(f"{path} is not a dict with the modules {', '.join(_MODULES.values())}; it contains {names}.")
    # The rest of a checkpoint, such as the optimizer's state, is not needed.
    return {
        module: {k: np.asarray(v.float()) for k, v in tensors.items() if isinstance(v, torch.Tensor)}
        for module, tensors in modules.items()
    }


def crossfuse_from_torch(checkpoint: Mapping[str, Mapping[str, np.ndarray]]) -> tuple[Params, CrossFuseConfig]:
    """Parameters and configuration of CrossFuse from the author's (or CDDFuse's) checkpoint.

    Args:
        checkpoint: arrays by module and parameter name, with or without the prefix `module.`.

    Returns:
        The parameters, and the configuration that fits them.

    Raises:
        ValueError: if entries are missing, unknown, of another shape or not finite; names them.
    """
    missing = [m for m in _MODULES.values() if m not in checkpoint]
    if missing:
        raise ValueError(f"The checkpoint lacks {', '.join(missing)}; it has {', '.join(checkpoint) or 'nothing'}.")
    tensors = {f"{m}.{k.removeprefix('module.')}": v for m in _MODULES.values() for k, v in checkpoint[m].items()}
    config = _config(tensors)
    pair = jax.ShapeDtypeStruct((1, 8, 8, 1), np.float32)
    shapes: dict[str, Any] = flatten_dict(
        jax.eval_shape(CrossFuse(config).init, jax.random.key(0), pair, pair)["params"], sep="/"
    )
    params = {}
    for name, like in shapes.items():
        theirs = torch_name(name)
        if theirs not in tensors:
            raise ValueError(f"The checkpoint has no {theirs}, which is needed for {name}.")
        value = _to_ours(tensors.pop(theirs), like.ndim)
        if value.shape != like.shape:
            raise ValueError(f"{theirs} becomes {value.shape}, but {name} is {like.shape}.")
        if not np.isfinite(value).all():
            raise ValueError(f"{theirs} holds values that are NaN or infinite; take another checkpoint of that run.")
        params[name] = value
    if tensors:
        raise ValueError(f"Unknown entries in the checkpoint: {', '.join(sorted(tensors)[:8])}.")
    return unflatten_dict(params, sep="/"), config


def torch_name(name: str) -> str:
    """The author's full name of one of our parameters ("encoder/block1/norm1/scale")."""
    module, inner = name.split("/", 1)
    long_scale = module == "base_fusion" or inner.startswith("base/")
    for ours, theirs in (_LONG_SCALE if long_scale else _RESTORMER).items():
        if inner.endswith(ours):
            inner = inner.removesuffix(ours) + theirs
    level = "encoder_level1" if module == "encoder" else "encoder_level2"
    inner = re.sub(r"^block(\d+)/", lambda m: f"{level}.{int(m[1]) - 1}.", inner)
    for pattern, replacement in _COMMON:
        inner = re.sub(pattern, replacement, inner)
    return f"{_MODULES[module]}.{inner.replace('/', '.')}"


def _config(tensors: Mapping[str, np.ndarray]) -> CrossFuseConfig:
    def count(pattern: str) -> int:
        return len({m[1] for k in tensors if (m := re.match(pattern, k))})

    embed = tensors.get("DIDF_Encoder.patch_embed.proj.weight")
    scale = tensors.get("BaseFuseLayer.attn.scale")
    if embed is None or scale is None:
        raise ValueError("The checkpoint has no patch_embed.proj.weight or attn.scale: it is not a CrossFuse network.")
    expand = tensors.get("DIDF_Encoder.encoder_level1.0.ffn.project_in.weight")
    width = embed.shape[0]
    return CrossFuseConfig(
        width=width,
        heads=scale.shape[0],
        encoder_blocks=count(r"DIDF_Encoder\.encoder_level1\.(\d+)\."),
        decoder_blocks=count(r"DIDF_Decoder\.encoder_level2\.(\d+)\."),
        expansion=2 if expand is None else expand.shape[0] // (2 * width),
        coupling_layers=count(r"DIDF_Encoder\.detailFeature\.net\.(\d+)\."),
    )


def _to_ours(tensor: np.ndarray, ndim: int) -> np.ndarray:
    """[o, i, kh, kw] -> [kh, kw, i, o]; 1x1 kernels -> [i, o]; temperatures [heads, 1, 1] ->
    [heads].
    """
    if tensor.ndim == 3:
        return tensor.reshape(-1)
    if tensor.ndim == 4:
        tensor = tensor.transpose(2, 3, 1, 0)
        return tensor[0, 0] if ndim == 2 else tensor
    return tensor
