"""Properties of every network, and the distribution of initial parameters."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.models import NETWORKS, build
from fusejax.models.convolutions import (
    Conv3x3,
    PairedConv3x3,
    Pointwise,
    SplitPointwise,
    UpsampleConv,
)
from fusejax.models.depthwise import DepthwiseConv3x3
from fusejax.models.initializers import kernel_init

PAIR = jax.ShapeDtypeStruct((2, 9, 6, 1), jnp.float32)
# Layer, input channels, number of values summed for one output value, options of the call.
LAYERS = {
    "3x3": (Conv3x3(64, use_bias=True), 32, 9 * 32, {}),
    "1x1": (Pointwise(96, use_bias=True), 64, 64, {}),
    "1x1 in parts": (SplitPointwise(96, 3), 64, 64, {}),
    "3x3 of channel pairs": (PairedConv3x3(), 1, 9 * 2, {"before": jnp.zeros((1, 512))}),
    "3x3 of channels": (DepthwiseConv3x3(), 1024, 9, {}),
    "transposed 4x4": (UpsampleConv(32), 32, 16 * 32, {}),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
def test_every_network_keeps_the_contract(kind):
    model = build(kind())
    assert isinstance(model, NETWORKS[kind]) and model.config == kind()
    variables = jax.eval_shape(model.init, jax.random.key(0), PAIR, PAIR)
    assert list(variables) == ["params"]
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    fused_y = jax.eval_shape(model.apply, variables, PAIR, PAIR)
    outputs = jax.eval_shape(lambda *a: model.apply(*a, method="outputs"), variables, PAIR, PAIR)
    assert set(outputs) == set(model.provides)
    assert isinstance(model.multiple, int) and model.multiple >= 1
    assert (fused_y.shape, fused_y.dtype) == (PAIR.shape, jnp.float32)
    assert (outputs["fused_y"].shape, outputs["fused_y"].dtype) == (PAIR.shape, jnp.float32)


@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
def test_configurations_are_frozen(kind):
    assert dataclasses.is_dataclass(kind)
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind().width = 1


@pytest.mark.parametrize("name", LAYERS)
def test_fresh_kernels_are_uniform_with_the_variance_of_pytorch(name):
    """Variance 1 / (3 fan_in), so all values lie within 1 / sqrt(fan_in); biases are zero."""
    layer, channels, fan_in, options = LAYERS[name]
    params = layer.init(jax.random.key(0), jnp.zeros((1, 4, 4, channels)), **options)["params"]
    kernel = np.asarray(params["kernel"], np.float64)
    assert kernel.size > 4000
    np.testing.assert_allclose(kernel.var(), 1 / (3 * fan_in), rtol=0.05)
    np.testing.assert_allclose(kernel.mean() * np.sqrt(fan_in), 0, atol=0.03)
    np.testing.assert_allclose(np.abs(kernel).max(), 1 / np.sqrt(fan_in), rtol=0.01)
    if "bias" in params:
        np.testing.assert_array_equal(params["bias"], 0)


@pytest.mark.parametrize("shape", [(3, 3, 1, 8), (8, 24), (4, 4, 16, 8), (3, 3, 12, 19), (3, 3, 48, 40)], ids=str)
def test_kernels_are_those_of_variance_scaling(shape):
    key, law = jax.random.key(3), nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
    want = law(key, shape)
    np.testing.assert_array_equal(kernel_init(key, shape), want)
    np.testing.assert_array_equal(jax.jit(kernel_init, static_argnums=1)(key, shape), want)
    assert kernel_init(key, shape).dtype == want.dtype
