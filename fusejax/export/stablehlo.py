"""A network with its parameters as one StableHLO program for cpu, cuda and tpu."""

import contextlib
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from fusejax.models.config import ModelConfig
from fusejax.models.networks import build
from fusejax.ops.backend import EVERY_PLATFORM, compile_for
from fusejax.ops.color import recolor, rgb_to_luma
from fusejax.typing import Params

PLATFORMS = ("cpu", "cuda", "tpu")


def free_multiple(config: ModelConfig) -> int:
    """The number that free sides must be multiples of."""
    return build(config).multiple


def write_stablehlo(
    params: Params,
    config: ModelConfig,
    *,
    size: tuple[int, int] | None = None,
    half: bool = False,
    color: bool = False,
    strength: bool = False,
) -> bytes:
    """Serializes a program from `ir`, `vi` to `fused`, [b, h, w, c] in [0, 1], for `jax.export`.

    Args:
        params: parameters of the network.
        config: configuration of the network.
        size: fixed (height, width); None leaves both free as multiples, see `free_multiple`.
        half: store weights as float16; the arithmetic stays float32.
        color: whether `vi` and `fused` are RGB instead of luma.
        strength: whether there is a third argument, the strength, a scalar.
    """
    multiple = free_multiple(config)
    text = f"b, {size[0]}, {size[1]}" if size else f"b, {multiple}*h, {multiple}*w"
    shape = export.symbolic_shape(text)
    ir = jax.ShapeDtypeStruct((*shape, 1), jnp.float32)
    vi = jax.ShapeDtypeStruct((*shape, 3 if color else 1), jnp.float32)
    stored = jax.tree.map(lambda x: np.asarray(x, np.float16 if half else np.float32), params)
    with compile_for(EVERY_PLATFORM), _without_source_locations():
        numbers = [jax.ShapeDtypeStruct((), jnp.float32)] if strength else []
        program = export.export(jax.jit(_forward(stored, config, color)), platforms=PLATFORMS)(ir, vi, *numbers)
    return bytes(program.serialize())


@contextlib.contextmanager
def _without_source_locations() -> Iterator[None]:
    """Keeps paths of this machine's files out of the program."""
    limit = jax.config.values["jax_traceback_in_locations_limit"]
    jax.config.update("jax_traceback_in_locations_limit", 0)
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", limit)


def _forward(stored: Params, config: ModelConfig, color: bool) -> Callable[..., jax.Array]:
    model = build(config)

    def forward(ir: jax.Array, vi: jax.Array, strength: jax.Array | None = None) -> jax.Array:
        params = jax.tree.map(lambda x: jnp.asarray(x).astype(jnp.float32), stored)
        vi_y = rgb_to_luma(vi) if color else vi
        fused = jnp.clip(jnp.asarray(model.apply({"params": params}, ir, vi_y)), 0.0, 1.0)
        if strength is not None:
            fused = jnp.clip(vi_y + strength * (fused - vi_y), 0.0, 1.0)
        return recolor(fused, vi) if color else fused

    return forward
