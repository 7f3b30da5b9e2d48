"""Running a network on an array that holds more or less than one image.

An array may be larger than its image, so that images of many sizes share one compiled function, or
it may be a tile of the image. This changes what a network sees in two places: 3x3 convolutions and
interpolations read one pixel beyond the border of the image, and channel attention and pooled means
sum over all pixels. Each of these operations is a separate module in `fusejax.models` (modules that
read beyond the border state in `padding` what they expect there). A Flax interceptor can therefore
correct them without any change to the networks or their training. Networks that combine pixels in
another way are refused, see `fusejax.inference.locality`.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Int

from fusejax.inference.locality import PRIMES, problems
from fusejax.models.config import ModelConfig
from fusejax.models.convolutions import Conv3x3, PairedConv3x3, UpsampleConv
from fusejax.models.depthwise import DepthwiseConv3x3
from fusejax.models.fusionnet import UpsampleBilinear, ZeroConv3x3
from fusejax.models.layers import ChannelProducts, GlobalMean
from fusejax.models.light import UpsampleCells
from fusejax.ops.extent import CORRECTED, continue_border
from fusejax.typing import Luma, Params

# Sums over pixels, keyed by the path of the module that needs them; sums over parts of an image add
# up to the sum over the image.
Sums = dict[str, tuple[ArrayLike, ...]]


# Modules that read one pixel beyond the border and do nothing else with pixels.
_READ_BEYOND = (
    *(Conv3x3, DepthwiseConv3x3, PairedConv3x3, UpsampleBilinear, UpsampleCells, UpsampleConv, ZeroConv3x3),
    nn.Conv,
)


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

    Raises:
        ValueError: if the network combines pixels in a way that cannot be corrected; names it.
    """
    if (problem := spatial_problem(model, params)) is not None:
        raise ValueError(
            f"{type(model).__name__} cannot run on an array that holds more or less than the image, because of "
            f"{problem}. Build it from the modules of fusejax.models, such as Conv3x3 and GlobalMean, or nn.Conv with "
            "padding SAME; or fuse at the exact size, without tiles."
        )
    sums: Sums = {}
    if core is None:
        core = jnp.array([0, 1, 0, 0]) * extent[0] + jnp.array([0, 0, 0, 1]) * extent[1]
    part = Part(extent, ir.shape[1], core, given, use_given, sums)
    with nn.intercept_methods(functools.partial(_correct, part)):
        result = model.apply({"params": params}, ir, vi_y, method=method)
    return result, sums


class Part(NamedTuple):
    """What an array holds of an image, and what is known of the rest; see `apply_within`.

    Attributes:
        extent: height and width of the part.
        height: height of the array.
        core: see `apply_within`.
        given: see `apply_within`.
        use_given: see `apply_within`.
        sums: receives the sums over the core.
    """

    extent: Int[Array, " 2"]
    height: int
    core: Int[Array, " 4"]
    given: Sums | None
    use_given: Bool[Array, ""] | bool
    sums: Sums


def spatial_problem(model: nn.Module, params: Params) -> str | None:
    """Says what a network does beyond single pixels outside of the known modules.

    Args:
        model: network with `remat="none"`.
        params: its parameters, or their shapes.

    Returns:
        The operation and the module; None if there is none, so that images may be padded or cut.
    """
    leaves, structure = jax.tree.flatten(params)
    return _problem(model, structure, tuple((x.shape, jnp.dtype(x.dtype).name) for x in leaves))


@functools.cache
def _problem(model: nn.Module, structure: Any, leaves: tuple) -> str | None:
    size = [model.multiple * prime for prime in PRIMES]
    image = jax.ShapeDtypeStruct((1, *size, 1), jnp.float32)
    params = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])

    def forward(params: Any, ir: jax.Array, vi_y: jax.Array) -> jax.Array:
        part = Part(jnp.array(size), size[0], jnp.array([0, size[0], 0, size[1]]), None, False, {})
        with nn.intercept_methods(functools.partial(_correct, part)), jax.numpy_rank_promotion("allow"):
            return jnp.asarray(model.apply({"params": params}, ir, vi_y))

    traced = jax.make_jaxpr(forward)(params, image, image)
    return next(problems(traced.jaxpr), None)


def _correct(part: Part, call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
    """Runs a module as if the array ended where the image does."""
    module = context.module
    if context.method_name != "__call__":
        return call(*args, **kwargs)
    if isinstance(module, ChannelProducts | GlobalMean):
        with jax.named_scope(CORRECTED):
            return _summed(part, module, call, args)
    if mode := border_mode(module):
        with jax.named_scope(CORRECTED):
            args = tuple(continue_border(x, part.extent // (part.height // x.shape[1]), mode) for x in args)
    if mode and isinstance(module, _READ_BEYOND):
        with jax.named_scope(CORRECTED):
            return call(*args, **kwargs)
    return call(*args, **kwargs)


def border_mode(module: nn.Module) -> str | None:
    """What a module expects beyond the border, as a mode of `continue_border`.

    Args:
        module: a module of `fusejax.models`, which states it in `padding`, or a convolution of Flax
            that pads with zeros to the same size.

    Returns:
        The mode; None if the module does not read beyond the border, or nothing is known.
    """
    if isinstance(module, nn.Conv):
        # With strides, SAME pads arrays of even and odd sides differently.
        plain = module.padding == "SAME" and module.input_dilation in (1, None) and _is_one(module.strides)
        return "constant" if plain else None
    padding = getattr(module, "padding", None)
    return padding if padding in ("constant", "zero", "edge", "reflect") else None


def _is_one(strides: int | Sequence[int] | None) -> bool:
    return strides is None or set(np.atleast_1d(strides).tolist()) == {1}


def _summed(part: Part, module: nn.Module, call: Callable, args: tuple) -> Any:
    path = "/".join(module.path)
    mask = _inside(args[0].shape, part.core // (part.height // args[0].shape[1]))
    masked = [jnp.where(mask, x, 0) for x in args]
    if isinstance(module, ChannelProducts):
        own = call(*masked)
    else:
        own = masked[0].sum(axis=(1, 2), keepdims=True), mask.sum(dtype=jnp.float32)
    part.sums[path] = used = own
    if part.given is not None:
        used = jax.tree.map(lambda g, o: jnp.where(part.use_given, g, o), part.given[path], own)
    return used if isinstance(module, ChannelProducts) else used[0] / used[1]


def _inside(shape: tuple[int, ...], core: Int[Array, " 4"]) -> Bool[Array, "h w 1"]:
    rows, columns = jnp.arange(shape[1])[:, None, None], jnp.arange(shape[2])[:, None]
    return (rows >= core[0]) & (rows < core[1]) & (columns >= core[2]) & (columns < core[3])
