"""Fusing arrays: sizes, types and colour in, the same out."""

import functools
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fusejax.data.images import from_float, to_float
from fusejax.inference.extent import apply_within, extension_index, without_remat
from fusejax.models import NETWORKS, ModelConfig, build
from fusejax.ops.color import rgb_to_luma, rgb_to_ycbcr, ycbcr_to_rgb
from fusejax.typing import Params
from fusejax.weights.files import load_weights


def bucket(side: int, network_multiple: int = 1) -> int:
    """The side in pixels of the array that an image is put on: one compiled function serves many sizes.

    Multiples of 16 up to 64, of 64 up to 256, of 128 beyond, and of what the network needs. The
    network does not see what lies beyond the image (`fusejax.inference.extent`).
    """
    multiple = math.lcm(network_multiple, 16 if side <= 64 else 64 if side <= 256 else 128)
    return -(-side // multiple) * multiple


class Fuser:
    """A network with its weights, ready for pictures of any size.

    Each picture is extended at the bottom and right by reflection to a bucket that follows from its own size, so its
    result never depends on the pictures beside it, and cropped back.
    """

    def __init__(self, params: Params, model_config: ModelConfig):
        self.params, self.model = params, build(without_remat(model_config))
        self._forward = jax.jit(functools.partial(_forward, self.model))
        self._maps = jax.jit(functools.partial(_maps, self.model))

    @classmethod
    def load(cls, weights: str | Path = "angularfuse") -> "Fuser":
        """From a shipped name, a .safetensors file or the folder of a finished run."""
        params, model_config, _ = load_weights(weights)
        return cls(jax.device_put(params), model_config)

    def fuse_luma(self, ir: np.ndarray, vi_y: np.ndarray) -> np.ndarray:
        """Fused luma of a batch of equal size: [b, h, w, 1] float32 in [0, 1], in and out."""
        h, w = ir.shape[1:3]
        return np.asarray(self._forward(self.params, *self._extended(ir, vi_y)))[:, :h, :w]

    def maps(self, ir: np.ndarray, vi_y: np.ndarray) -> dict[str, np.ndarray]:
        """The network's maps of a batch of equal size by name, [b, h, w, 1] in [0, 1], for luma in [0, 1]."""
        self.check_maps()
        h, w = ir.shape[1:3]
        maps = self._maps(self.params, *self._extended(ir, vi_y))
        return {name: np.asarray(values)[:, :h, :w] for name, values in maps.items()}

    def _extended(self, *images: np.ndarray) -> list[np.ndarray]:
        """Images on arrays of the bucket, and how much of an array the network may look at."""
        multiple, sides = self.model.multiple, images[0].shape[1:3]
        rows, columns = (extension_index(side, multiple, bucket(side, multiple)) for side in sides)
        extent = np.int32([-(-side // multiple) * multiple for side in sides])
        return [*(x.astype(np.float32)[:, rows][:, :, columns] for x in images), extent]

    def check_maps(self) -> None:
        """Raises ValueError for a network that has no maps."""
        if "maps" not in self.model.provides:
            having = [network.__name__ for network in NETWORKS.values() if "maps" in network.provides]
            raise ValueError(f"{type(self.model).__name__} has no maps; networks that do: {', '.join(having)}.")

    def fuse(self, ir: np.ndarray, vi: np.ndarray, *, stretch: bool = False) -> np.ndarray:
        """Fuses one pair, or a batch with a leading axis; see `fuse`."""
        _check_pair(ir, vi)
        ir_y, vi_rgb = (_normalise(x) for x in (ir, vi))
        if ir_y.shape[-1] == 3:
            ir_y = rgb_to_luma(ir_y)
        grey = vi_rgb.shape[-1] == 1
        vi_y = vi_rgb if grey else rgb_to_luma(vi_rgb)
        batched = ir_y.ndim == 4
        fused_y = self.fuse_luma(ir_y if batched else ir_y[None], vi_y if batched else vi_y[None])
        fused_y = fused_y if batched else fused_y[0]
        if stretch:
            fused_y = stretch_range(fused_y)
        fused = fused_y if grey else recolour(fused_y, vi_rgb)
        fused = fused.reshape(vi.shape)
        return fused.astype(vi.dtype) if np.issubdtype(vi.dtype, np.floating) else from_float(fused, vi.dtype)


def _forward(model, params, ir, vi_y, extent):
    """Clipped: a network that blends images can leave the range by its residual."""
    return jnp.clip(apply_within(model, params, ir, vi_y, extent=extent)[0], 0.0, 1.0)


def _maps(model, params, ir, vi_y, extent):
    return apply_within(model, params, ir, vi_y, extent=extent, method="outputs")[0]["maps"]


@functools.cache
def _loaded(weights: str) -> Fuser:
    return Fuser.load(weights)


def fuse(ir: np.ndarray, vi: np.ndarray, *, weights: str | Path = "angularfuse", stretch: bool = False) -> np.ndarray:
    """Fuses an infrared and a visible picture of one scene, registered to each other.

    The luma of the visible picture (BT.601, full range) is fused with the infrared one; chroma comes from the visible.

    Args:
      ir: [h, w], [h, w, 1] or [h, w, 3] (its luma is used); uint8, uint16, or float in [0, 1].
      vi: [h, w], [h, w, 1] (grey) or [h, w, 3] (RGB); uint8, uint16, or float in [0, 1].
      weights: shipped name, .safetensors file or folder of a finished run.
      stretch: stretch each fused luma to the full range; off, because it changes what grey levels mean.
    Returns: array of the shape and type of `vi`: colour in, colour out.
    Raises: ValueError for sizes that differ, other shapes or types, floats outside [0, 1].
    """
    return _loaded(str(weights)).fuse(ir, vi, stretch=stretch)


def recolour(fused_y: np.ndarray, vi: np.ndarray) -> np.ndarray:
    """RGB with luma `fused_y` [..., 1] and the chroma of `vi` [..., 3], all in [0, 1]; clipped to the RGB cube."""
    chroma = rgb_to_ycbcr(vi)[..., 1:]
    return np.clip(ycbcr_to_rgb(np.concatenate([fused_y, chroma], axis=-1)), 0.0, 1.0)


def stretch_range(fused_y: np.ndarray) -> np.ndarray:
    """Each picture [..., h, w, 1] mapped linearly onto [0, 1]; a constant one is left as it is."""
    low, high = (f(fused_y, axis=(-3, -2, -1), keepdims=True) for f in (np.min, np.max))
    span = high - low
    return np.where(span > 0, (fused_y - low) / np.where(span > 0, span, 1), fused_y)


def _normalise(x: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] with a channel axis."""
    x = x if x.ndim >= 3 else x[..., None]
    return x.astype(np.float32) if np.issubdtype(x.dtype, np.floating) else to_float(x)


def _check_pair(ir: np.ndarray, vi: np.ndarray) -> None:
    for name, x in (("ir", ir), ("vi", vi)):
        if x.dtype not in (np.uint8, np.uint16) and not np.issubdtype(x.dtype, np.floating):
            raise ValueError(f"{name} is {x.dtype}; expected uint8, uint16 or float in [0, 1].")
        if not (x.ndim == 2 or (x.ndim in (3, 4) and x.shape[-1] in (1, 3))):
            raise ValueError(f"{name} has shape {x.shape}; expected [h, w], [h, w, 1] or [h, w, 3].")
        if 0 in x.shape:
            raise ValueError(f"{name} has shape {x.shape}; it holds no pixels.")
        if np.issubdtype(x.dtype, np.floating) and not (np.min(x) >= 0 and np.max(x) <= 1):
            raise ValueError(f"{name} has values from {np.min(x)} to {np.max(x)}; floats must lie in [0, 1].")
    ir_size, vi_size = (x.shape[:2] if x.ndim < 4 else x.shape[:3] for x in (ir, vi))
    if ir_size != vi_size or (ir.ndim == 4) != (vi.ndim == 4):
        sizes = ["x".join(map(str, s)) for s in (ir_size, vi_size)]
        raise ValueError(f"ir is {sizes[0]} but vi is {sizes[1]}; register the pair first.")
