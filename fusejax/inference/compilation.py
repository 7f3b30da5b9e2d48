"""Reusing compiled functions across processes."""

import os
from pathlib import Path

import jax

_LEAST_SECONDS = 0.5  # functions that compile faster are not worth a file


def keep_compilations() -> None:
    """Makes JAX keep compiled functions in the user's cache folder, unless one is already chosen.

    With a warm cache, the first 640x480 pair takes half the time. To choose another folder, set
    JAX_COMPILATION_CACHE_DIR or call `jax.config.update("jax_compilation_cache_dir", ...)`.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ or getattr(jax.config, "jax_compilation_cache_dir", None):
        return
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    jax.config.update("jax_compilation_cache_dir", str(cache / "fusejax" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)
