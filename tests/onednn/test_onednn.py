"""oneDNN's convolutions against float64 sums, in pieces on several threads; when they are used."""

import collections
import importlib.metadata
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusing import network_and_params
from jax import export

from fusejax.models import AngularFuseConfig, LightConfig
from fusejax.models.convolutions import convolve_same
from fusejax.onednn import convolution as onednn
from fusejax.onednn import kernels as onednn_kernels
from fusejax.onednn import xla_call
from fusejax.onednn.geometry import FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT, Geometry, divide
from fusejax.onednn.xla_call import Job
from fusejax.ops.backend import EVERY_PLATFORM, compile_for

pytestmark = pytest.mark.onednn
needs_onednn = pytest.mark.skipif(onednn_kernels.library() is None, reason="the extra onednn is not installed")
SIZES = [(7, 9, 1, 8, 1), (8, 5, 3, 1, 2), (12, 12, 16, 16, 1), (9, 11, 24, 48, 2), (1, 1, 2, 3, 1), (16, 4, 48, 24, 1)]


@pytest.fixture
def arrays(rng):
    def make(h, w, c, o, stride, b=2):
        sizes = (b, h, w, c), (3, 3, c, o), (b, -(-h // stride), -(-w // stride), o)
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
    assert onednn.supports(x, kernel)
    y, pull = jax.vjp(lambda x, kernel: convolve_same(x, kernel, "constant", size[-1]), x, kernel)
    for got, want in zip((y, *pull(g)), reference(x, kernel, g, size[-1]), strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, atol=3e-6 * abs(want).max())  # sums of at most 432 float32 products


@pytest.fixture
def many_pieces(monkeypatch):
    """Every computation is divided as on a machine with five cores, however small it is."""
    library = onednn_kernels.library()
    monkeypatch.setattr(library, "_threads", 5)
    monkeypatch.setattr(library, "_divided", {})
    monkeypatch.setattr(onednn_kernels, "_LEAST_WORK", 1)
    ran = collections.Counter()
    run = library._run

    def counted(what, geometry, *addresses):
        ran[what] += 1
        run(what, geometry, *addresses)

    monkeypatch.setattr(library, "_run", counted)
    return ran


@needs_onednn
@pytest.mark.parametrize("batch", [1, 3, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_pieces_make_up_the_whole(arrays, many_pieces, batch, stride):
    x, kernel, g = arrays(11, 6, 5, 7, stride, batch)
    pieces = {1: [5, 1, 1], 3: [3, 3, 3], 7: [5, 5, 5]}[batch]
    y, pull = jax.vjp(lambda x, kernel: convolve_same(x, kernel, "constant", stride), x, kernel)
    for got, want in zip((y, *pull(g)), reference(x, kernel, g, stride), strict=True):
        np.testing.assert_allclose(got, want, atol=3e-6 * abs(want).max())
    assert [many_pieces[what] for what in (FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT)] == pieces
    again = jax.vjp(lambda x, kernel: convolve_same(x, kernel, "constant", stride), x, kernel)[1](g)
    for one, other in zip(pull(g), again, strict=True):
        np.testing.assert_array_equal(one, other)  # added in the order of the pieces, whichever ends first


def test_pieces_cover_images_and_rows_once():
    geometry = Geometry.of((6, 9, 4, 3), (3, 3, 3, 2), 1, (1, 1, 1, 1))
    pieces = divide(KERNEL_GRADIENT, geometry, 4, 1)
    assert [piece.geometry.batch for piece in pieces] == [1, 2, 1, 2]
    assert [(piece.x, piece.y) for piece in pieces] == [(4 * 108 * n, 4 * 72 * n) for n in (0, 1, 3, 4)]
    assert len(divide(FORWARD, geometry, 4, geometry.multiplications // 3)) == 3
    assert divide(FORWARD, geometry, 1, 1) == [(geometry, 0, 0)]
    rows = divide(FORWARD, geometry._replace(batch=1, stride=2), 2, 1)
    assert [piece.geometry.output[0] for piece in rows] == [2, 3]
    assert [piece.y for piece in rows] == [0, 4 * 2 * 2 * 2]


@needs_onednn
@pytest.mark.parametrize("config", [AngularFuseConfig(widths=(4, 8), heads=None), LightConfig()], ids=str)
@pytest.mark.slow
def test_networks_and_their_gradients_are_those_of_xla(config, rng, many_pieces):
    model, params = network_and_params(config)
    ir, vi_y, weights = jnp.asarray(rng.random((3, 2, 24, 32, 1), np.float32))

    def run():
        def loss(params):
            return (weights * model.apply({"params": params}, ir, vi_y)).sum()

        return jax.jit(jax.value_and_grad(loss))(params)

    value, slopes = run()
    with compile_for("cpu"):
        want, want_slopes = run()
    np.testing.assert_allclose(value, want, rtol=1e-5)
    # Sums over 1,536 pixels, in another order.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=3e-5 * abs(b).max() + 1e-6), slopes, want_slopes)
    assert min(many_pieces[what] for what in (FORWARD, INPUT_GRADIENT, KERNEL_GRADIENT)) > 5


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
    assert not onednn.supports(x, kernel)
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


_kept = []  # XLA has the addresses of these handlers


def called(plan):
    """The result of a program that calls a handler once."""
    name = f"fusejax_test_{len(_kept)}"
    _kept.append(xla_call.register(name, plan))
    target = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct((2,), jnp.float32))
    return jax.jit(lambda x: target(x, spec=np.array([3, 4])))(jnp.ones(2)).block_until_ready()


def fail():
    raise RuntimeError("no kernel")


def test_an_error_of_a_handler_fails_the_program():
    def plan(attribute, args, results):
        raise RuntimeError(f"no kernel for {attribute}")

    with pytest.raises(jax.errors.JaxRuntimeError, match=r"fusejax_test_\d+: no kernel for \(3, 4\)"):
        called(plan)


@pytest.mark.parametrize("pieces", [[fail], [fail, lambda: time.sleep(0.1)], [lambda: time.sleep(0.1), fail]])
def test_an_error_of_a_piece_fails_the_program_and_skips_the_end(pieces):
    ended = []
    with pytest.raises(jax.errors.JaxRuntimeError, match="no kernel"):
        called(lambda *_: Job(pieces, lambda: ended.append(True)))
    assert not ended
    with pytest.raises(jax.errors.JaxRuntimeError, match="no kernel"):
        called(lambda *_: Job([lambda: time.sleep(0.05)] * len(pieces), fail))


@pytest.mark.parametrize("count", [1, 2, 9])
def test_pieces_run_once_each_and_the_end_after_all_of_them(count):
    order = []

    def piece(n):
        time.sleep(0.004 * (count - n))
        order.append(n)

    for _ in range(10):
        order.clear()
        called(lambda *_: Job([lambda n=n: piece(n) for n in range(count)], lambda: order.append("end")))
        assert order[-1] == "end"
        assert sorted(order[:-1]) == list(range(count))


@needs_onednn
@pytest.mark.slow
def test_a_process_ends_while_its_last_program_runs(tmp_path):
    script = tmp_path / "ends.py"
    script.write_text(
        "import jax, jax.numpy as jnp\n"
        "from fusejax.models.convolutions import convolve_same\n"
        "x, kernel = jnp.ones((8, 64, 64, 24)), jnp.ones((3, 3, 24, 24))\n"
        "f = jax.jit(lambda x: [convolve_same(x, kernel * n, 'constant', 1) for n in range(12)])\n"
        "for _ in range(3):\n"
        "    y = f(x)\n"
    )
    for _ in range(5):  # one in six hung while threads could be in Python at the interpreter's end
        done = subprocess.run([sys.executable, script], timeout=60, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
