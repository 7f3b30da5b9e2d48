"""Infrared-visible image fusion in JAX/Flax.

`fusejax.fuse(ir, vi)` fuses arrays, and `fusejax.load(weights)` returns a network for fusing many
of them. The parts are in `fusejax.models`, `fusejax.losses`, `fusejax.metrics`, `fusejax.data` and
`fusejax.training`. Everything is loaded on first use, so that `import fusejax` itself is fast and
touches no device.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fusejax import data, inference, losses, metrics, models, scoring, studies, training
    from fusejax.inference import Fuser, fuse

    load = Fuser.load

__version__ = "0.1.0"

_ROOMS = ("data", "inference", "losses", "metrics", "models", "scoring", "studies", "training")
_VERBS = ("Fuser", "fuse")

__all__ = [
    "Fuser",
    "data",
    "fuse",
    "inference",
    "load",
    "losses",
    "metrics",
    "models",
    "scoring",
    "studies",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"fusejax.{name}")
    if name == "load":
        return importlib.import_module("fusejax.inference").Fuser.load
    if name in _VERBS:
        return getattr(importlib.import_module("fusejax.inference"), name)
    raise AttributeError(f"module 'fusejax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
