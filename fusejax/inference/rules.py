"""Fusion rules without weights, as the lower bound that a network has to beat."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from fusejax.inference.backend import Backend, Planes

Levels = Float[np.ndarray | jax.Array, "*b h w 1"]

# From infrared and visible luma to fused luma, in any unit.
RULES: dict[str, Callable[[Levels, Levels], Levels]] = {
    "average": lambda ir, vi_y: (ir + vi_y) / 2,
    "maximum": lambda ir, vi_y: (jnp if isinstance(ir, jax.Array) else np).maximum(ir, vi_y),
}


class Rule(Backend):
    """One of `RULES`."""

    def __init__(self, name: str):
        """Chooses a rule.

        Args:
            name: key of `RULES`.

        Raises:
            ValueError: if there is no such rule.
        """
        if name not in RULES:
            raise ValueError(f"Unknown rule {name!r}; the rules are {', '.join(RULES)}.")
        self._name = name

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self._name

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The name of the rule."""
        return {"rule": self._name}

    def fuse_luma(self, ir: Planes, vi_y: Planes) -> Planes:
        """See `Backend`.

        Args:
            ir: see `Backend`.
            vi_y: see `Backend`.

        Returns:
            See `Backend`.
        """
        return RULES[self._name](ir, vi_y)
