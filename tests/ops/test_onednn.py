"""oneDNN's convolutions against float64 sums, and when they are used."""

import importlib.metadata
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from fusejax.models.convolutions import convolve_same
from fusejax.ops import onednn, onednn_kernels, xla_call
from fusejax.ops.backend import EVERY_PLATFORM, compile_for

needs_onednn = pytest.mark.skipif(onednn_kernels.library() is None, reason="the extra onednn is not installed")
SIZES = [(7, 9, 1, 8, 1), (8, 5, 3, 1, 2), (12, 12, 16, 16, 1), (9, 11, 24, 48, 2), (1, 1, 2, 3, 1), (16, 4, 48, 24, 1)]


@pytest.fixture
def arrays(rng):
    def make(h, w, c, o, stride):
        sizes = (2, h, w, c), (3, 3, c, o), (2, -(-h // stride), -(-w // stride), o)
        return [jnp.asarray(rng.standard_normal(size), jnp.float32) for size in sizes]

    return make


def reference(x, kernel, g, stride):
    """Output and both gradients, tap by tap in float64."""
    x, kernel, g = (np.asarray(a, np.float64) for a in (x, kernel, g))
    h, w = g.shape[1:3]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    y, to_x, to_kernel = np.zeros_like(g), np.zeros_like(padded), np.zeros_like(kernel)
    for i, j in np.ndindex(3, 3):
        taps = np.s_[:, i : i + (h - 1) * stride + 1 : stride, j : j + (w - 1) * stride + 1 : stride]
        y += padded[taps] @ kernel[i, j]
        to_x[taps] += g @ kernel[i, j].T
        to_kernel[i, j] = np.einsum("bhwc,bhwo->co", padded[taps], g)
    return y, to_x[:, 1:-1, 1:-1], to_kernel


@needs_onednn
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_output_and_gradients_are_those_of_float64(arrays, size):
    x, kernel, g = arrays(*size)
    assert onednn.serves(x, kernel)
    y, pull = jax.vjp(lambda x, kernel: convolve_same(x, kernel, "constant", size[-1]), x, kernel)
    for got, want in zip((y, *pull(g)), reference(x, kernel, g, size[-1]), strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=3e-6 * abs(want).max())  # sums of at most 432 float32 products


@needs_onednn
def test_programs_for_other_machines_do_not_call_it(arrays):
    x, kernel, _ = arrays(8, 8, 4, 4, 1)
    convolution = jax.jit(lambda x, kernel: convolve_same(x, kernel, "reflect", 1))
    assert onednn.TARGET in convolution.lower(x, kernel).as_text()
    with compile_for(EVERY_PLATFORM):
        assert onednn.TARGET not in export.export(convolution, platforms=("cpu", "cuda"))(x, kernel).mlir_module()
    with compile_for("cpu"):
        assert onednn.TARGET not in convolution.lower(x, kernel).as_text()
    halves = x.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
    assert onednn.TARGET not in convolution.lower(*halves).as_text()


def test_without_the_wheel_xla_computes_them(arrays, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    x, kernel, _ = arrays(8, 8, 4, 4, 1)
    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setattr(onednn, "library", onednn_kernels.library.__wrapped__)
    assert not onednn.serves(x, kernel)
    assert onednn.TARGET not in jax.jit(lambda x, k: convolve_same(x, k, "constant", 1)).lower(x, kernel).as_text()


@needs_onednn
def test_transformations_and_threads(arrays):
    x, kernel, _ = arrays(8, 8, 4, 4, 1)
    convolution = jax.jit(lambda x: convolve_same(x, kernel, "constant", 1))
    want = convolution(x)
    np.testing.assert_allclose(jax.vmap(convolution)(jnp.stack([x, 2 * x]))[1], 2 * want, rtol=1e-6)
    scales = jnp.arange(1.0, 3.0)
    looped, _ = jax.lax.scan(lambda total, scale: (total + convolution(scale * x), None), want * 0, scales)
    np.testing.assert_allclose(looped, 3 * want, rtol=1e-5, atol=1e-5)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: convolution(n * x), range(40)))
    for n, result in enumerate(results):
        np.testing.assert_allclose(result, n * want, rtol=1e-5, atol=1e-4)


def test_an_error_of_a_handler_fails_the_program():
    def fail(attribute, args, results):
        raise RuntimeError(f"no kernel for {attribute}")

    kept = xla_call.register("fusejax_test_failure", fail)
    call = jax.ffi.ffi_call("fusejax_test_failure", jax.ShapeDtypeStruct((2,), jnp.float32))
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"fusejax_test_failure: no kernel for \(3, 4\)"):
        jax.jit(lambda x: call(x, spec=np.array([3, 4])))(jnp.ones(2)).block_until_ready()
    del kept
