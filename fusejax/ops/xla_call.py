"""Python functions as handlers of XLA's foreign function interface, without a compiler.

The structures are those of `xla/ffi/api/c_api.h`, which is part of jaxlib. The handler reports the
version of the interface for which they were written, and XLA refuses it if that no longer fits.
"""

import ctypes
from collections.abc import Callable
from typing import Any

import jax

_VERSION = (0, 3)  # XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR
_METADATA = 1  # XLA_FFI_Extension_Metadata: a request for the version instead of a call
_INTERNAL = 13  # XLA_FFI_Error_Code_INTERNAL
_Pointer = ctypes.c_void_p


class _Base(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("extension", _Pointer)]


class _Extension(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("type", ctypes.c_int), ("next", _Pointer)]


class _Version(_Base):
    _fields_ = [("major", ctypes.c_int), ("minor", ctypes.c_int)]


class _Metadata(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_size_t), ("version", _Version), ("traits", ctypes.c_uint32)]


class _Question(ctypes.Structure):
    _fields_ = [("extension", _Extension), ("metadata", ctypes.POINTER(_Metadata))]


class _ErrorArgs(_Base):
    _fields_ = [("message", ctypes.c_char_p), ("code", ctypes.c_int)]


_ErrorCreate = ctypes.CFUNCTYPE(_Pointer, ctypes.POINTER(_ErrorArgs))


class _Api(_Base):
    _fields_ = [("version", _Version), ("internal", _Pointer), ("create_error", _ErrorCreate)]


class _Buffer(_Base):
    _fields_ = [("dtype", ctypes.c_int), ("data", _Pointer), ("rank", ctypes.c_int64), ("dims", _Pointer)]


class _Buffers(_Base):
    _fields_ = [("size", ctypes.c_int64), ("types", _Pointer), ("items", ctypes.POINTER(ctypes.POINTER(_Buffer)))]


class _Integers(ctypes.Structure):
    _fields_ = [("dtype", ctypes.c_int), ("size", ctypes.c_size_t), ("data", ctypes.POINTER(ctypes.c_int64))]


class _Attributes(_Base):
    _fields_ = [
        ("size", ctypes.c_int64),
        ("types", _Pointer),
        ("names", _Pointer),
        ("items", ctypes.POINTER(ctypes.POINTER(_Integers))),
    ]


class _Frame(ctypes.Structure):
    _fields_ = [
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.POINTER(_Extension)),
        ("api", ctypes.POINTER(_Api)),
        ("context", _Pointer),
        ("stage", ctypes.c_int),
        ("args", _Buffers),
        ("results", _Buffers),
        ("attributes", _Attributes),
        ("future", _Pointer),
    ]


_Handler = ctypes.CFUNCTYPE(_Pointer, ctypes.POINTER(_Frame))


def register(name: str, call: Callable[[tuple[int, ...], list[int], list[int]], None]) -> Any:
    """Makes `call` a target of `jax.ffi.ffi_call` on CPU.

    Args:
        name: name of the target; its calls have exactly one attribute, an array of int64.
        call: function of that array, the addresses of the arguments and the addresses of the
            results, which it fills. It runs on several threads of XLA at once. If it raises, the
            program fails.

    Returns:
        The handler; keep it as long as programs may call it, because XLA stores only its address.
    """

    @_Handler
    def handler(pointer: Any) -> int | None:
        frame = pointer.contents
        if frame.extension and frame.extension.contents.type == _METADATA:
            question = ctypes.cast(frame.extension, ctypes.POINTER(_Question)).contents
            question.metadata.contents.version.major, question.metadata.contents.version.minor = _VERSION
            return None
        try:
            attribute = frame.attributes.items[0].contents
            args, results = (
                [buffers.items[n].contents.data for n in range(buffers.size)] for buffers in (frame.args, frame.results)
            )
            call(tuple(attribute.data[: attribute.size]), args, results)
        except Exception as error:  # must not propagate through C; XLA raises it again
            message = f"{name}: {error}".encode()
            created = _ErrorArgs(ctypes.sizeof(_ErrorArgs), None, message, _INTERNAL)
            return frame.api.contents.create_error(ctypes.byref(created))
        return None

    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform="cpu")
    return handler
