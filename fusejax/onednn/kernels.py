"""oneDNN's library and kernels, loaded from its wheel and called with ctypes.

Names follow oneDNN's C interface, version 3 (`dnnl.h`).
"""

import collections
import contextlib
import ctypes
import functools
import importlib.metadata
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from fusejax.onednn.geometry import INPUT_GRADIENT, KERNEL_GRADIENT, ORDER, Geometry, Piece, divide
from fusejax.onednn.xla_call import Job, register

TARGET = "fusejax_onednn_convolution"
_WHEEL, _FILE = "onednn-cpu-gomp", "libdnnl.so.3"

# Constants of oneDNN's C interface, version 3 (dnnl_types.h).
_CPU, _F32, _ANY, _NHWC, _HWIO = 1, 3, 1, 22, 28
_FORWARD_TRAINING, _DIRECT = 64, 1
_WEIGHTS_MD, _DIFF_WEIGHTS_MD = 131, 132
_SRC, _DST, _WEIGHTS, _DIFF_SRC, _DIFF_DST, _DIFF_WEIGHTS = 1, 17, 33, 129, 145, 161
_FROM, _TO, _SCRATCHPAD = _SRC, _DST, 80
_SCRATCHPAD_MD, _OF_THE_CALLER = 136, 1
_NO_MEMORY, _ALLOCATE = ctypes.c_void_p(0), ctypes.c_void_p(-1)
_ARGUMENTS = ((_SRC, _WEIGHTS, _DST), (_DIFF_SRC, _WEIGHTS, _DIFF_DST), (_SRC, _DIFF_WEIGHTS, _DIFF_DST))

# Multiplications of a piece: about 100 us on one core; another thread needs 20 us to begin one.
_LEAST_WORK = 8_000_000


class _Argument(ctypes.Structure):
    _fields_ = [("index", ctypes.c_int), ("memory", ctypes.c_void_p)]


class Library:
    """oneDNN's C functions, one engine and one stream."""

    def __init__(self, path: str):
        self._functions = ctypes.CDLL(path)
        self._functions.dnnl_primitive_desc_query_md.restype = ctypes.c_void_p
        self._execute = self._functions.dnnl_primitive_execute
        self._place = self._functions.dnnl_memory_set_data_handle
        self._place.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self.engine = self.create("engine_create", _CPU, ctypes.c_size_t(0))
        self._stream = self.create("stream_create", self.engine, 1)
        self.attributes = self.create("primitive_attr_create")
        self.do("primitive_attr_set_scratchpad_mode", self.attributes, _OF_THE_CALLER)
        self._idle: dict[tuple[int, Geometry], list[_Kernel]] = collections.defaultdict(list)
        self._divided: dict[tuple[int, ...], list[Piece]] = {}
        self._threads = len(os.sched_getaffinity(0))
        self._handler = register(TARGET, self._plan)

    def do(self, function: str, *args: Any) -> None:
        """Calls `dnnl_<function>`."""
        status = getattr(self._functions, f"dnnl_{function}")(*args)
        if status:
            raise RuntimeError(f"oneDNN's {function} returned status {status}")

    def create(self, function: str, *args: Any) -> ctypes.c_void_p:
        """Returns the object that `dnnl_<function>` creates."""
        made = ctypes.c_void_p()
        self.do(function, ctypes.byref(made), *args)
        return made

    def memory_type(self, shape: tuple[int, ...], layout: int) -> ctypes.c_void_p:
        """Describes memory; `shape` is in oneDNN's order of axes for every layout."""
        return self.create("memory_desc_create_with_tag", len(shape), _dims(*shape), _F32, layout)

    def query(self, description: ctypes.c_void_p, what: int) -> ctypes.c_void_p:
        """Returns the type of memory that a primitive requires."""
        return ctypes.c_void_p(self._functions.dnnl_primitive_desc_query_md(description, what, 0))

    def equal(self, one: ctypes.c_void_p, other: ctypes.c_void_p) -> bool:
        """Whether two types of memory are the same."""
        return bool(self._functions.dnnl_memory_desc_equal(one, other))

    def primitive(self, description: ctypes.c_void_p, arguments: dict[int, ctypes.c_void_p]) -> Callable[[], None]:
        """Returns a function that executes a primitive; on CPU, it waits for the result."""
        scratchpad = self.memory(self.query(description, _SCRATCHPAD_MD), _ALLOCATE)
        arguments = {**arguments, _SCRATCHPAD: scratchpad}
        array = (_Argument * len(arguments))(*(_Argument(*item) for item in arguments.items()))
        primitive = self.create("primitive_create", description)
        execute = functools.partial(self._execute, primitive, self._stream, len(array), array)

        def call() -> None:
            status = execute()
            if status:
                raise RuntimeError(f"oneDNN could not execute a kernel: status {status}")

        return call

    def reorder(
        self, source: tuple[ctypes.c_void_p, ctypes.c_void_p], target: tuple[ctypes.c_void_p, ctypes.c_void_p]
    ) -> Callable[[], None]:
        """Returns a function that copies one memory, given with its type, to another."""
        description = self.create(
            "reorder_primitive_desc_create", source[0], self.engine, target[0], self.engine, self.attributes
        )
        return self.primitive(description, {_FROM: source[1], _TO: target[1]})

    def memory(self, kind: ctypes.c_void_p, place: ctypes.c_void_p) -> ctypes.c_void_p:
        """Creates memory of a type, allocated or without an address until `place` sets one."""
        return self.create("memory_create", kind, self.engine, place)

    def place(self, memory: ctypes.c_void_p) -> Callable[[int], int]:
        """Returns a function that sets the address of the data of `memory`."""
        return functools.partial(self._place, memory)

    def prepare(self, spec: tuple[int, ...]) -> None:
        """Creates the kernels for the attribute of a call, unless there are some."""
        for piece in self._pieces(spec):
            idle = self._idle[spec[0], piece.geometry]
            if not idle:
                with self._one_thread():
                    idle.append(_Kernel(self, spec[0], piece.geometry))

    def _pieces(self, spec: tuple[int, ...]) -> list[Piece]:
        if spec not in self._divided:
            self._divided[spec] = divide(spec[0], Geometry(*spec[1:]), self._threads, _LEAST_WORK)
        return self._divided[spec]

    def _plan(self, spec: tuple[int, ...], args: list[int], results: list[int]) -> Job:
        what = spec[0]
        addresses = dict(zip(ORDER[what], (*args, *results), strict=True))
        calls, sums = [], []
        for n, (geometry, x, y) in enumerate(self._pieces(spec)):
            places = {"x": addresses["x"] + x, "k": addresses["k"], "y": addresses["y"] + y}
            if what == KERNEL_GRADIENT and n > 0:
                sums.append(np.empty(geometry.shapes()["k"], np.float32))
                places["k"] = sums[-1].ctypes.data
            calls.append(functools.partial(self._run, what, geometry, *(places[name] for name in ORDER[what])))
        return Job(calls, functools.partial(_add, addresses["k"], sums) if sums else None)

    def _run(self, what: int, geometry: Geometry, *addresses: int) -> None:
        idle = self._idle[what, geometry]
        with self._one_thread():
            try:
                kernel = idle.pop()
            except IndexError:  # all are in use by other threads
                kernel = _Kernel(self, what, geometry)
            kernel(*addresses)
        idle.append(kernel)

    @contextlib.contextmanager
    def _one_thread(self) -> Iterator[None]:
        """Kernels created and run inside use one thread only, since XLA runs several at once."""
        threads = self._functions.omp_get_max_threads()
        self._functions.omp_set_num_threads(1)
        try:
            yield
        finally:
            self._functions.omp_set_num_threads(threads)


class _Kernel:
    """One computation of a convolution: a primitive, its memory, and the reordering of the kernel.

    It stores addresses while it runs, so two threads never share one.
    """

    def __init__(self, library: Library, what: int, geometry: Geometry):
        g = geometry
        x, y = ((b, c, h, w) for b, h, w, c in (g.shapes()["x"], g.shapes()["y"]))
        k = (g.features, g.channels, g.rows, g.columns)
        x_type, y_type, kernel_type = (library.memory_type(*a) for a in ((x, _NHWC), (y, _NHWC), (k, _HWIO)))
        types = x_type, library.memory_type(k, _ANY), y_type
        steps = _dims(g.stride, g.stride), _dims(0, 0), _dims(g.top, g.left), _dims(g.bottom, g.right)
        forward = description = library.create(
            "convolution_forward_primitive_desc_create",
            *(library.engine, _FORWARD_TRAINING, _DIRECT, *types[:2], None, types[2], *steps, library.attributes),
        )
        steps = *steps, forward, library.attributes
        if what == INPUT_GRADIENT:
            description = library.create(
                "convolution_backward_data_primitive_desc_create", library.engine, _DIRECT, *types, *steps
            )
        elif what == KERNEL_GRADIENT:
            description = library.create(
                "convolution_backward_weights_primitive_desc_create",
                *(library.engine, _DIRECT, *types[:2], None, types[2], *steps),
            )
        given = {
            name: library.memory(kind, _NO_MEMORY)
            for name, kind in zip("xky", (x_type, kernel_type, y_type), strict=True)
        }
        used, before, after = dict(given), [], []
        wanted = library.query(description, _DIFF_WEIGHTS_MD if what == KERNEL_GRADIENT else _WEIGHTS_MD)
        if not library.equal(wanted, kernel_type):  # oneDNN's own order of kernels: blocks of channels
            used["k"] = library.memory(wanted, _ALLOCATE)
            ours, theirs = (kernel_type, given["k"]), (wanted, used["k"])
            if what == KERNEL_GRADIENT:
                after = [library.reorder(theirs, ours)]
            else:
                before = [library.reorder(ours, theirs)]
        arguments = {index: used[name] for index, name in zip(_ARGUMENTS[what], "xky", strict=True)}
        self._runs = [*before, library.primitive(description, arguments), *after]
        self._places = [library.place(given[name]) for name in ORDER[what]]

    def __call__(self, *addresses: int) -> None:
        """Computes the last array from the others; all are given by their addresses."""
        for place, address in zip(self._places, addresses, strict=True):
            place(address)
        for run in self._runs:
            run()


def _add(address: int, parts: list[np.ndarray]) -> None:
    """Adds arrays to the one at an address."""
    total = np.ctypeslib.as_array((ctypes.c_float * parts[0].size).from_address(address))
    for part in parts:
        total += part.reshape(-1)


def _dims(*sizes: int) -> Any:
    return (ctypes.c_int64 * 12)(*sizes)


@functools.cache
def library() -> Library | None:
    """oneDNN; None if its wheel is not installed, or (with a warning) if it does not work."""
    try:
        files = importlib.metadata.files(_WHEEL) or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.name == _FILE:
            try:
                return Library(os.fspath(file.locate()))
            except (OSError, AttributeError, RuntimeError, jax.errors.JaxRuntimeError) as error:
                warnings.warn(f"{_WHEEL} is installed but cannot be used ({error}); XLA convolves.", stacklevel=2)
    return None
