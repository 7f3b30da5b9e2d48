"""Infrared-visible image fusion in JAX/Flax.

`fusejax.fuse(ir, vi)` fuses arrays, `fusejax.load(weights)` keeps a network for many of them;
`fusejax.models`, `fusejax.losses`, `fusejax.metrics`, `fusejax.data` and `fusejax.training` hold
the parts. Everything is loaded at first use, so that `import fusejax` itself is quick and touches
no device.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusejax import (
        data,
        evaluation,
        export,
        inference,
        io,
        losses,
        metrics,
        models,
        registration,
        training,
        weights,
    )
    from fusejax.inference import Fuser, fuse, load

__version__ = "0.2.0"

_SUBPACKAGES = (
    "data",
    "evaluation",
    "export",
    "inference",
    "io",
    "losses",
    "metrics",
    "models",
    "registration",
    "training",
    "weights",
)
_FUNCTIONS = ("Fuser", "fuse", "load")

__all__ = [
    "Fuser",
    "data",
    "evaluation",
    "export",
    "fuse",
    "inference",
    "io",
    "load",
    "losses",
    "metrics",
    "models",
    "registration",
    "training",
    "weights",
]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"fusejax.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module("fusejax.inference"), name)
    raise AttributeError(f"module 'fusejax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
