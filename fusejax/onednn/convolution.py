"""Convolutions of oneDNN for programs that run on this machine's CPU (extra `onednn`).

oneDNN is the library behind PyTorch's convolutions on CPU. Its wheel is loaded with ctypes and its
kernels are called through XLA's foreign function interface, so nothing has to be compiled; without
the wheel, XLA's own convolutions are used (`fusejax.models.convolutions`).

Measurements and rejected alternatives: docs/onednn.md.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.onednn.geometry import FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT, ORDER, Geometry
from fusejax.onednn.kernels import TARGET, library


def supports(x: Array, kernel: Array) -> bool:
    """Whether `convolve` accepts these arrays: float32, known sizes, and oneDNN is installed."""
    sized = all(isinstance(side, int) and side > 0 for side in (*x.shape, *kernel.shape))
    return x.dtype == kernel.dtype == jnp.float32 and sized and library() is not None


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(
    x: Float[Array, "b h w c"], kernel: Float[Array, "kh kw c o"], stride: int, padding: tuple[int, int, int, int]
) -> Float[Array, "b h2 w2 o"]:
    """Cross-correlation by oneDNN, with gradients of first order.

    Args:
        x: features, float32.
        kernel: the kernel, not flipped, float32.
        stride: step in pixels along both axes.
        padding: zeros at the top, bottom, left and right.

    Returns:
        Features of the output's size.
    """
    return _call(FORWARD, x, kernel, Geometry.of(x.shape, kernel.shape, stride, padding))


def _forward(
    x: Array, kernel: Array, stride: int, padding: tuple[int, int, int, int]
) -> tuple[Array, tuple[Array, Array]]:
    return convolve(x, kernel, stride, padding), (x, kernel)


def _backward(
    stride: int, padding: tuple[int, int, int, int], saved: tuple[Array, Array], g: Array
) -> tuple[Array, Array]:
    x, kernel = saved
    geometry = Geometry.of(x.shape, kernel.shape, stride, padding)
    return _call(INPUT_GRADIENT, g, kernel, geometry), _call(KERNEL_GRADIENT, x, g, geometry)


convolve.defvjp(_forward, _backward)


def _call(what: int, first: Array, second: Array, geometry: Geometry) -> Array:
    kernels, spec = library(), (what, *geometry)
    assert kernels is not None  # `supports` said so
    kernels.prepare(spec)  # so that a refusal by oneDNN is raised here, not when the program runs
    shape = jax.ShapeDtypeStruct(geometry.shapes()[ORDER[what][2]], jnp.float32)
    return jax.ffi.ffi_call(TARGET, shape, vmap_method="sequential")(first, second, spec=np.array(spec, np.int64))
