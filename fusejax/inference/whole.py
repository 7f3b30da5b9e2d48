"""Running a network on whole images, padded to one of a few sizes or at their own size."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jaxtyping import Float

from fusejax.inference.extent import apply_within, extension_index
from fusejax.ops.extent import bucket
from fusejax.typing import Params

Luma = Float[np.ndarray, "b h w 1"]
Planes = Float[np.ndarray | jax.Array, "b h w 1"]


def fuse_whole(model: nn.Module, params: Params, ir: Luma, vi_y: Luma, *, exact_size: bool) -> Luma:
    """Fuses a batch of images of equal size.

    Args:
        model: network with `remat="none"`.
        params: its parameters.
        ir: infrared luma in [0, 1].
        vi_y: luma of the visible images in [0, 1].
        exact_size: whether to compile for the exact size, instead of the bucket that it shares with
            other sizes.

    Returns:
        Fused luma, float32 in [0, 1].
    """
    if exact_size:
        ir, vi_y = (x.astype(np.float32, copy=False) for x in (ir, vi_y))
        return np.asarray(_forward_exact(model, params, ir, vi_y))
    h, w = ir.shape[1:3]
    return np.asarray(_forward(model, params, *_extended(model, ir, vi_y)))[:, :h, :w]


def fuse_traced(model: nn.Module, params: Params, ir: Planes, vi_y: Planes) -> Planes:
    """The network at the exact size as a pure function, for use inside JAX's transformations."""
    return _forward_exact(model, params, ir, vi_y)


def fuse_with_maps(
    model: nn.Module, params: Params, ir: Luma, vi_y: Luma, *, exact_size: bool = False
) -> tuple[Luma, dict[str, Luma]]:
    """Like `fuse_whole`, for a network that provides maps; also returns these, in [0, 1]."""
    if exact_size:
        return jax.tree.map(np.asarray, _outputs_exact(model, params, ir, vi_y))
    h, w = ir.shape[1:3]
    return jax.tree.map(lambda x: np.asarray(x)[:, :h, :w], _outputs(model, params, *_extended(model, ir, vi_y)))


def _extended(model: nn.Module, *images: Luma) -> list[np.ndarray]:
    """Images padded to the bucket size, and the extent of the array that the network may use."""
    sides = images[0].shape[1:3]
    rows, columns = (extension_index(side, model.multiple, bucket(side, model.multiple)) for side in sides)
    extent = np.array([-(-side // model.multiple) * model.multiple for side in sides], np.int32)
    return [*(x.astype(np.float32)[:, rows][:, :, columns] for x in images), extent]


# Compiled once per network and size, not per instance of `fusejax.Fuser`.
@functools.partial(jax.jit, static_argnames="model")
def _forward(model, params, ir, vi_y, extent):
    """Clips the result, because the residual of a blending network can leave the range."""
    with jax.numpy_rank_promotion("allow"):
        return jnp.clip(apply_within(model, params, ir, vi_y, extent=extent)[0], 0.0, 1.0)


@functools.partial(jax.jit, static_argnames="model")
def _forward_exact(model, params, ir, vi_y):
    with jax.numpy_rank_promotion("allow"):
        return jnp.clip(model.apply({"params": params}, ir, vi_y), 0.0, 1.0)


@functools.partial(jax.jit, static_argnames="model")
def _outputs(model, params, ir, vi_y, extent):
    with jax.numpy_rank_promotion("allow"):
        found = apply_within(model, params, ir, vi_y, extent=extent, method="outputs")[0]
    return jnp.clip(found["fused_y"], 0.0, 1.0), found["maps"]


@functools.partial(jax.jit, static_argnames="model")
def _outputs_exact(model, params, ir, vi_y):
    with jax.numpy_rank_promotion("allow"):
        found = model.apply({"params": params}, ir, vi_y, method="outputs")
    return jnp.clip(found["fused_y"], 0.0, 1.0), found["maps"]
