"""Convolutions of oneDNN for programs that run on this machine's CPU (extra `onednn`).

oneDNN is the library behind PyTorch's convolutions on CPU. Its wheel is loaded with ctypes and its
kernels are called through XLA's foreign function interface, so nothing has to be compiled; without
the wheel, XLA's own convolutions are used (`fusejax.models.convolutions`).

CPU time of oneDNN divided by that of XLA, for 3x3 kernels at 8x128x128 with 8 channels, 8x64x64
with 16, 8x32x32 and 8x16x16 with 32, and 8x128x128 with 24 (median of 7 alternating runs on a
loaded machine, AVX-512): forward 0.35, 0.48, 0.77, 0.70, 0.97; gradient to the input 0.43, 0.58,
0.67, 0.62, 0.68; gradient to the kernel 0.31, 0.41, 0.59, 0.60, 0.16. Each call is divided among
XLA's threads (`fusejax.onednn.xla_call`), since the convolutions of a network wait for each other:
on two quiet cores, a training step of AngularFuse (8x128x128) then takes 0.87 of the time, its
forward pass at 640x480 0.77, those of `light` 0.84 and 0.66. What else was tried, as ratios to XLA's
convolutions unless said otherwise:

- pairs of columns as channels, forward: 0.49 at 8 channels, 1.4 to 1.8 at 16 and more;
- the kernel's gradient as products over pairs of columns: 1.1, 1.5, 2.7, 1.4, 1.4 (0.64 at 48
  channels), as nine products or three with three times the rows: 1.4 to 7.5;
- jaxlib's flags: `xla_cpu_use_onednn`, `..._experimental_onednn_custom_call` and the fusion types
  of oneDNN and YNNPACK leave the compiled convolutions as they are;
- the oneDNN inside jaxlib, called by its custom call: as fast, but a program with it cannot be
  kept in the compilation cache (jaxlib 0.10.2 fails while it serializes it);
- threads of its own, OpenMP's or Python's, instead of XLA's: waking one takes 50 to 75 us in each
  call, if XLA's own threads leave it a core (two OpenMP threads: a training step takes 1.2 times
  the CPU time); a step of `light` takes 1.07 times as long with Python's;
- waiting for the last piece instead of returning a future: 1.05.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.onednn.geometry import FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT, ORDER, Geometry
from fusejax.onednn.kernels import TARGET, library


def serves(x: Array, kernel: Array) -> bool:
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
    assert kernels is not None  # `serves` said so
    kernels.prepare(spec)  # so that a refusal by oneDNN is raised here, not when the program runs
    shape = jax.ShapeDtypeStruct(geometry.shapes()[ORDER[what][2]], jnp.float32)
    return jax.ffi.ffi_call(TARGET, shape, vmap_method="sequential")(first, second, spec=np.array(spec, np.int64))
