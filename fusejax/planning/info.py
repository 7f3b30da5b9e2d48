"""Summary of a configuration: parameters by part, FLOPs, length, resolved settings."""

import json
import math
from typing import Any

import jax
import jax.numpy as jnp

from fusejax.config import TrainConfig
from fusejax.models.networks import build
from fusejax.ops.backend import compile_for
from fusejax.serialize import to_dict

_SIZE = 480, 640


def describe(config: TrainConfig, *, settings: bool = False) -> str:
    """The summary as text for the terminal, with XLA's count of a forward pass.

    Args:
        config: the configuration.
        settings: also list every setting as JSON, before the figures.
    """
    model = build(config.model)
    pair = jax.ShapeDtypeStruct((1, *_SIZE, 1), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), pair, pair)["params"]
    parts = {name: _count(tree) for name, tree in params.items()}
    with compile_for("tpu"):  # whose forms XLA can count
        cost = jax.jit(model.apply).lower({"params": params}, pair, pair).cost_analysis() or {}
    lines = [json.dumps(to_dict(config), indent=2)] if settings else []
    lines.append(f"{config.name}: {sum(parts.values()):,} parameters")
    lines += [f"  {name:16}{count:>12,}" for name, count in parts.items()]
    lines.append(f"{cost.get('flops', math.nan) / 1e9:,.1f} GFLOP per pair of {_SIZE[1]}x{_SIZE[0]} (width x height)")
    for stage in config.stages:
        length = f"{stage.epochs} epochs" if stage.steps is None else f"{stage.steps} steps"
        terms = ", ".join(f"{term.weight:g} {term.name}" for term in stage.objective.terms)
        lines.append(
            f"stage {stage.name!r}: {length} of {config.batch_size} crops of {config.data.crop}x{config.data.crop}; "
            f"loss {terms}"
        )
    return "\n".join(lines)


def _count(tree: Any) -> int:
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
