"""Running a network on an array that holds more or less than one image.

An array may be larger than its image, so that images of many sizes share one compiled function, or
it may be a tile of the image. This changes what a network sees in two places: 3x3 convolutions and
interpolations read one pixel beyond the border of the image, and channel attention and pooled means
sum over all pixels. Each of these operations is a separate module in `fusejax.models` (modules that
read beyond the border state in `padding` what they expect there). A Flax interceptor can therefore
correct them without any change to the networks or their training.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int

from fusejax.models.config import ModelConfig
from fusejax.models.layers import ChannelProducts, GlobalMean
from fusejax.ops.extent import continue_border
from fusejax.typing import Luma, Params

# Sums over pixels, keyed by the path of the module that needs them; sums over parts of an image add
# up to the sum over the image.
Sums = dict[str, tuple[ArrayLike, ...]]


def extension_index(side: int, multiple: int, size: int) -> Int[np.ndarray, " size"]:
    """Maps each row (or column) of an array to the row (or column) of the image that it shows.

    Args:
        side: number of rows of the image.
        multiple: size multiple of the network; the image is reflected up to it, as the network
            does.
        size: number of rows of the array; beyond the reflected rows, the last row is repeated.
    """
    reflected = np.pad(np.arange(side), (0, -side % multiple), mode="reflect")
    return np.pad(reflected, (0, size - len(reflected)), mode="edge")


def without_remat(config: ModelConfig) -> ModelConfig:
    """The configuration of the same network for inference, without recomputation."""
    return dataclasses.replace(config, remat="none") if hasattr(config, "remat") else config


def apply_within(
    model: nn.Module,
    params: Params,
    ir: Luma,
    vi_y: Luma,
    *,
    extent: Int[Array, " 2"],
    core: Int[Array, " 4"] | None = None,
    given: Sums | None = None,
    use_given: Bool[Array, ""] | bool = True,
    method: str = "__call__",
) -> tuple[Any, Sums]:
    """Applies a network to arrays in which only the top left `extent` belongs to the image.

    Inside `extent`, the result is that of the image alone, up to rounding. Positions and sizes are
    in pixels of the input and multiples of `model.multiple`.

    Args:
        model: network with `remat="none"`, because values leave its modules during tracing.
        params: its parameters.
        ir: infrared, in [0, 1].
        vi_y: luma of the visible image, in [0, 1].
        extent: height and width of the image, or of the part of it that the array holds.
        core: first and last (exclusive) row and column that contribute to the sums; by default all
            of `extent`.
        given: sums to use instead of those over this array.
        use_given: whether to use `given`; may be traced, so that one compiled function covers both
            cases.
        method: method of the network to call.

    Returns:
        The output of the network, and the sums over the core.
    """
    sums: Sums = {}
    height = ir.shape[1]
    if core is None:
        core = jnp.array([0, 1, 0, 0]) * extent[0] + jnp.array([0, 0, 0, 1]) * extent[1]

    def intercept(call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        module = context.module
        if context.method_name != "__call__":
            return call(*args, **kwargs)
        if isinstance(module, ChannelProducts | GlobalMean):
            path = "/".join(module.path)
            mask = _inside(args[0].shape, core // (height // args[0].shape[1]))
            masked = [jnp.where(mask, x, 0) for x in args]
            if isinstance(module, ChannelProducts):
                own = call(*masked)
            else:
                own = masked[0].sum(axis=(1, 2), keepdims=True), mask.sum(dtype=jnp.float32)
            sums[path] = own
            used = own if given is None else jax.tree.map(lambda g, o: jnp.where(use_given, g, o), given[path], own)
            return used if isinstance(module, ChannelProducts) else used[0] / used[1]
        if mode := getattr(module, "padding", None):
            args = tuple(continue_border(x, extent // (height // x.shape[1]), mode) for x in args)
        return call(*args, **kwargs)

    with nn.intercept_methods(intercept):
        result = model.apply({"params": params}, ir, vi_y, method=method)
    return result, sums


def _inside(shape: tuple[int, ...], core: Int[Array, " 4"]) -> Bool[Array, "h w 1"]:
    rows, columns = jnp.arange(shape[1])[:, None, None], jnp.arange(shape[2])[:, None]
    return (rows >= core[0]) & (rows < core[1]) & (columns >= core[2]) & (columns < core[3])
