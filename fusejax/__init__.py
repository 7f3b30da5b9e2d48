"""Infrared-visible image fusion in JAX/Flax.

`fusejax.fuse(ir, vi)` fuses NumPy pictures; models, losses and metrics are pure functions in their own modules.
"""

__version__ = "0.1.0"
__all__ = ["Fuser", "fuse"]


def __getattr__(name: str):
    """Loads the public functions at first use: `import fusejax` itself stays quick and touches no device."""
    if name in __all__:
        from fusejax.inference import fuser

        return getattr(fuser, name)
    raise AttributeError(f"module 'fusejax' has no attribute {name!r}")
