"""What the networks give to an accelerator's compiler in bfloat16: the types of products, and
transposes, in programs lowered for GPUs and TPUs without one.
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.config import load_config
from fusejax.models import build
from fusejax.models.layers import correlate
from fusejax.ops.backend import compile_for
from fusejax.planning.products import least_traffic, operations

CONFIGS = Path(__file__).parents[1] / "configs"
BATCH = 7  # a size that no axis of a kernel has
PAIR = jax.ShapeDtypeStruct((BATCH, 16, 16, 1), jnp.float32)
NETWORKS = ("tiny_angularfuse", "tiny_crossfuse", "tiny_fusionnet", "tiny_light")


def lowered(config, platform):
    """Forward and backward pass of a network, in bfloat16 where it has a choice."""
    if hasattr(config, "dtype"):
        config = dataclasses.replace(config, dtype="bfloat16")
    model = build(config)
    params = jax.eval_shape(model.init, jax.random.key(0), PAIR, PAIR)
    loss = jax.grad(lambda params, ir, vi_y: jnp.square(model.apply(params, ir, vi_y)).mean())
    with compile_for(platform):
        return jax.jit(loss).trace(params, PAIR, PAIR).lower(lowering_platforms=(platform,))


@pytest.fixture(scope="module")
def programs():
    platforms = dict(zip(NETWORKS, ("tpu", "cuda", "tpu", "cuda"), strict=True))
    return {name: lowered(load_config(str(CONFIGS / f"{name}.py")).model, platforms[name]) for name in NETWORKS}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "allowed"),
    [("tiny_angularfuse", ()), ("tiny_fusionnet", ()), ("tiny_crossfuse", ("/detail/", "/detail_fusion/"))],
)
def test_products_are_in_bfloat16(programs, name, allowed):
    """Except in CrossFuse's coupling layers, which stay in float32 by design."""
    found = operations(programs[name])
    assert {x.kind for x in found} == {"convolution", "dot_general"}
    wide = [x for x in found if set(x.dtypes) != {"bf16"}]
    assert all(any(part in x.place for part in allowed) for x in wide), wide
    assert bool(wide) == bool(allowed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"), [("tiny_angularfuse", 0), ("tiny_crossfuse", 0), ("tiny_fusionnet", 0), ("tiny_light", 2)]
)
def test_features_are_not_transposed(programs, name, count):
    """Kernels are; and the light network's two sources, whose pixels become channels."""
    found = operations(programs[name], kinds=("transpose",))
    assert len([x for x in found if {BATCH, 2 * BATCH} & set(x.shapes[-1])]) == count, found


def test_gradients_of_the_products_of_channels():
    rng = np.random.default_rng(0)
    q, k, g = (jnp.asarray(rng.standard_normal(s), jnp.float32) for s in ((2, 9, 3), (2, 9, 4), (2, 3, 4)))
    with compile_for("tpu"):
        gradients = jax.jit(lambda q, k, g: jax.vjp(correlate, q, k)[1](g))(q, k, g)
    expected = np.einsum("bpd,bcd->bpc", k, g, dtype=np.float64), np.einsum("bpc,bcd->bpd", q, g, dtype=np.float64)
    for found, value in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-5, atol=1e-5)  # sums of four float32 products


def test_calls_and_types_are_counted():
    @jax.jit
    def product(x):
        return x @ x

    x = jax.ShapeDtypeStruct((8, 8), jnp.bfloat16)
    twice = jax.jit(lambda x: product(product(x)).T).lower(x)
    (found,) = operations(twice)
    assert (found.kind, found.dtypes, found.shapes[-1], found.times) == ("dot_general", ("bf16", "bf16"), (8, 8), 2)
    assert least_traffic(twice) == 2 * 3 * 8 * 8 * 2
    assert [x.kind for x in operations(twice, kinds=("transpose",))] == ["transpose"]
