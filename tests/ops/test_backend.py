"""Implementations of an operation by platform."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from fusejax.models.convolutions import convolve
from fusejax.models.depthwise import DepthwiseConv3x3
from fusejax.ops.backend import EVERY_PLATFORM, by_platform, compile_for


def which(x):
    return by_platform(x, cpu=lambda x: x, accelerator=jnp.negative)


def test_the_form_follows_the_process_unless_another_platform_is_named():
    assert which(jnp.ones(())) == 1
    with compile_for("tpu"):
        assert which(jnp.ones(())) == -1
    assert which(jnp.ones(())) == 1


def test_a_jitted_function_is_traced_again_for_another_platform():
    jitted = jax.jit(which)
    assert jitted(jnp.ones(())) == 1
    with compile_for("tpu"):
        assert jitted(jnp.ones(())) == -1
    assert jitted(jnp.ones(())) == 1


def test_one_program_for_every_platform_takes_each_ones_form():
    with compile_for(EVERY_PLATFORM):
        program = export.export(jax.jit(which), platforms=("cpu", "cuda"))(jnp.ones((3,)))
    assert "stablehlo.negate" in program.mlir_module()
    np.testing.assert_array_equal(program.call(jnp.ones((3,))), np.ones(3))


@pytest.mark.parametrize("stride", [1, 2])
def test_forms_of_a_convolution_agree(rng, stride):
    x = jnp.asarray(rng.random((2, 9, 8, 3)), jnp.float32)
    kernel = jnp.asarray(rng.random((3, 3, 3, 4)), jnp.float32)
    on_cpu = convolve(x, kernel, stride=stride)
    with compile_for("cuda"):
        on_accelerator = convolve(x, kernel, stride=stride)
    np.testing.assert_allclose(on_cpu, on_accelerator, rtol=1e-5)  # sums of 27 float32 products


def test_forms_of_a_depthwise_convolution_agree(rng):
    layer, x = DepthwiseConv3x3(), jnp.asarray(rng.random((2, 7, 6, 4)), jnp.float32)
    params = layer.init(jax.random.key(0), x)
    (on_cpu,) = layer.apply(params, x)
    with compile_for("cuda"):
        (on_accelerator,) = layer.apply(params, x)
    np.testing.assert_allclose(on_cpu, on_accelerator, rtol=1e-5, atol=1e-6)
