"""What a configuration amounts to: parameters by part, FLOPs, resolved settings."""

import json
import math

import jax
import jax.numpy as jnp

from fusejax.config import TrainConfig
from fusejax.models import build
from fusejax.serialize import to_dict


def describe(config: TrainConfig, *, size: tuple[int, int] = (480, 640)) -> str:
    """Text for the terminal. FLOPs are XLA's count of one forward pass on a pair of `size` (height,
    width).
    """
    model = build(config.model)
    pair = jax.ShapeDtypeStruct((1, *size, 1), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), pair, pair)["params"]
    parts = {name: _count(tree) for name, tree in params.items()}
    cost = jax.jit(model.apply).lower({"params": params}, pair, pair).cost_analysis()
    lines = [f"{config.name}: {sum(parts.values()):,} parameters"]
    lines += [f"  {name:16}{count:>12,}" for name, count in parts.items()]
    lines.append(f"{cost['flops'] / 1e9:,.1f} GFLOP per pair of {size[0]}x{size[1]}")
    return "\n".join([*lines, json.dumps(to_dict(config), indent=2)])


def _count(tree) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
