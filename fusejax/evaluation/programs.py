"""Compiled scoring functions, built once per shape and kept between processes.

JAX caches what it has compiled, but must trace a function again to look it up. That takes a second
per bucket, most of the time spent on a small folder. Therefore the result of tracing is also kept,
as a StableHLO file next to the compilations. Its name contains a digest of everything it was made
from, including the code of the metrics.
"""

import functools
import hashlib
import inspect
import threading
import warnings
from collections.abc import Callable, Hashable
from typing import Any

import jax
from etils import epath
from jax import export

import fusejax.metrics
import fusejax.ops
from fusejax.io.outputs import write_complete
from fusejax.metrics.evaluation import score_arrays

Program = Callable[..., dict[str, jax.Array]]


class Programs:
    """Programs by key; one thread builds each program while others that need it wait."""

    def __init__(self):
        self._guard, self._locks, self._made = threading.Lock(), {}, {}

    def get(self, key: Hashable, make: Callable[[], Program]) -> Program:
        """The program for a key; calls `make` if there is none yet."""
        if key not in self._made:
            with self._guard:
                lock = self._locks.setdefault(key, threading.Lock())
            with lock:
                if key not in self._made:
                    self._made[key] = make()
        return self._made[key]


def scoring_program(*arrays: Any, convention: str, metrics: tuple[str, ...]) -> Program:
    """Compiles `score_arrays` for the shapes of the given arrays.

    Args:
        *arrays: arrays with the shapes and types that the program should take.
        convention: see `score_arrays`.
        metrics: see `score_arrays`.
    """
    shapes = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
    text = repr((_code_digest(), jax.__version__, jax.default_backend(), shapes, convention, metrics))
    folder = getattr(jax.config, "jax_compilation_cache_dir", None)  # None: nothing is kept
    file = epath.Path(folder or "") / f"scoring-{hashlib.sha256(text.encode()).hexdigest()}.stablehlo"
    if folder and file.exists():
        traced = export.deserialize(bytearray(file.read_bytes()))
    else:
        function = functools.partial(score_arrays, convention=convention, metrics=metrics)
        traced = export.export(jax.jit(function))(*shapes)
        if folder:
            _keep(file, bytes(traced.serialize()))
    return jax.jit(traced.call).lower(*shapes).compile()


def _keep(file: epath.Path, data: bytes) -> None:
    """Writes a file atomically; like JAX, continues without it if the folder is not writable."""
    try:
        write_complete(file, data)
    except OSError as error:
        warnings.warn(f"{file.parent}: scoring programs cannot be kept ({error}).", stacklevel=2)


@functools.cache
def _code_digest() -> str:
    """A digest of the code from which the programs are traced."""
    digest = hashlib.sha256()
    for room in (fusejax.metrics, fusejax.ops):
        for file in sorted(epath.Path(inspect.getfile(room)).parent.glob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()
