"""Structures of XLA's foreign function interface, for ctypes.

They are those of `xla/ffi/api/c_api.h`, which is part of jaxlib, up to the last field used here.
"""

import ctypes
from typing import Any

VERSION = (0, 3)  # XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR
METADATA = 1  # XLA_FFI_Extension_Metadata: a request for the version instead of a call
INTERNAL = 13  # XLA_FFI_Error_Code_INTERNAL
Pointer = ctypes.c_void_p


class Base(ctypes.Structure):
    """What all structures begin with; the interface wants to know their size."""

    _fields_ = [("struct_size", ctypes.c_size_t), ("extension", Pointer)]

    @classmethod
    def sized(cls, *fields: Any) -> Any:
        """Creates a structure that states its size and has no extension."""
        return cls(ctypes.sizeof(cls), None, *fields)


class _Extension(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("type", ctypes.c_int), ("next", Pointer)]


class _Version(Base):
    _fields_ = [("major", ctypes.c_int), ("minor", ctypes.c_int)]


class _Metadata(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("version", _Version), ("traits", ctypes.c_uint32)]


class Query(ctypes.Structure):
    """The extension of a request for the version."""

    _fields_ = [("extension", _Extension), ("metadata", ctypes.POINTER(_Metadata))]


class ErrorArgs(Base):
    """Arguments of `Api.create_error`, which returns an error."""

    _fields_ = [("message", ctypes.c_char_p), ("code", ctypes.c_int)]


Task = ctypes.CFUNCTYPE(None, Pointer)


class ScheduleArgs(Base):
    """Arguments of `Api.schedule`, which calls `task(data)` on a thread of XLA."""

    _fields_ = [("context", Pointer), ("task", Task), ("data", Pointer)]


class FutureArgs(Base):
    """Arguments of `Api.create_future`, which sets `future`, and of `Api.complete_future`."""

    _fields_ = [("future", Pointer)]


class FutureErrorArgs(Base):
    """Arguments of `Api.fail_future`, which takes over the error."""

    _fields_ = [("future", Pointer), ("error", Pointer)]


def _function(arguments: type[Base]) -> Any:
    """A function of the interface; it returns the address of an error, or None."""
    return ctypes.CFUNCTYPE(Pointer, ctypes.POINTER(arguments))


class Api(Base):
    """The functions of the interface."""

    _fields_ = [
        ("version", _Version),
        ("internal", Pointer),
        ("create_error", _function(ErrorArgs)),
        ("unused", Pointer * 10),
        ("schedule", _function(ScheduleArgs)),
        ("count_threads", Pointer),
        ("create_future", _function(FutureArgs)),
        ("complete_future", _function(FutureArgs)),
        ("fail_future", _function(FutureErrorArgs)),
    ]


class _Buffer(Base):
    _fields_ = [("dtype", ctypes.c_int), ("data", Pointer), ("rank", ctypes.c_int64), ("dims", Pointer)]


class _Buffers(Base):
    _fields_ = [("size", ctypes.c_int64), ("types", Pointer), ("items", ctypes.POINTER(ctypes.POINTER(_Buffer)))]


class _Integers(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("size", ctypes.c_size_t), ("data", ctypes.POINTER(ctypes.c_int64))]


class _Attributes(Base):
    _fields_ = [
        ("size", ctypes.c_int64),
        ("types", Pointer),
        ("names", Pointer),
        ("items", ctypes.POINTER(ctypes.POINTER(_Integers))),
    ]


class Frame(ctypes.Structure):
    """What a handler is called with; its attributes are assumed to be arrays of int64."""

    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.POINTER(_Extension)),
        ("api", ctypes.POINTER(Api)),
        ("context", Pointer),
        ("stage", ctypes.c_int),
        ("args", _Buffers),
        ("results", _Buffers),
        ("attributes", _Attributes),
        ("future", Pointer),
    ]


Handler = ctypes.CFUNCTYPE(Pointer, ctypes.POINTER(Frame))
