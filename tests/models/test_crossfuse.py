"""CrossFuse's network: counts and the laws of its blocks."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.models import CrossFuseConfig, build
from fusejax.models.crossfuse import CouplingLayer
from fusejax.models.depthwise import stencil
from fusejax.models.layers import ChannelAttention

SMALL = CrossFuseConfig(width=8, heads=2, encoder_blocks=1, decoder_blocks=2, coupling_layers=2)
PAIR = jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)


def random_params(module, *inputs, seed=0, method=None):
    """Every entry is away from its initial 0 or 1; kernels keep the variance of their input."""
    shapes = jax.eval_shape(functools.partial(module.init, method=method), jax.random.key(0), *inputs)["params"]
    rng = np.random.default_rng(seed)

    def draw(path, x):
        kernel = path[-1].key == "kernel"
        noise = rng.standard_normal(x.shape) * (0.8 / np.sqrt(np.prod(x.shape[:-1])) if kernel else 0.1)
        return jnp.float32(noise + (path[-1].key == "scale"))

    return jax.tree_util.tree_map_with_path(draw, shapes)


def features(shape=(2, 7, 9, 8), seed=0):
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


def luma(size=(7, 9), seed=0, batch=2):
    return jnp.asarray(np.random.default_rng(seed).random((batch, *size, 1)), jnp.float32)


def count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


def test_parameter_counts_of_the_author():
    params = jax.eval_shape(build(CrossFuseConfig()).init, jax.random.key(0), PAIR, PAIR)["params"]
    counts = {name: count(tree) for name, tree in params.items()}
    assert counts == {"encoder": 599_144, "decoder": 207_936, "base_fusion": 363_016, "detail_fusion": 18_176}
    assert sum(counts.values()) == 1_188_272
    assert count(params["encoder"]["block1"]) == 45_256
    assert count(params["encoder"]["base"]) == 363_016
    assert count(params["encoder"]["detail"]["coupling1"]) == 18_176


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.slow
def test_stencil_is_the_grouped_convolution_with_its_gradients(padding):
    x = features((2, 6, 5, 3))
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="constant" if padding == "zero" else padding)
    kernel, weight = features((3, 3, 3), seed=1), features((2, 6, 5, 3), seed=2)

    def grouped(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel[:, :, None], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=3
        )

    for index, got in enumerate(jax.grad(lambda *a: (stencil(*a) * weight).sum(), argnums=(0, 1))(x, kernel)):
        expected = jax.grad(lambda *a: (grouped(*a) * weight).sum(), argnums=index)(x, kernel)
        np.testing.assert_allclose(got, expected, atol=2e-5, rtol=1e-5)
    np.testing.assert_allclose(stencil(x, kernel), grouped(x, kernel), atol=1e-5)


def attention_without_neighbors(x, *, value=None):
    """Depth-wise attention whose 3x3 is the middle tap alone; `value` replaces v by a constant."""
    layer = ChannelAttention(2, depthwise=True)
    params = random_params(layer, x)
    params["qkv_mix"]["kernel"] = jnp.zeros((3, 3, 1, 24)).at[1, 1].set(1.0)
    params["out"]["kernel"] = jnp.eye(8)
    if value is not None:
        x = x.at[..., 0].set(1.0)
        kernel = jnp.asarray(params["qkv"]["kernel"]).at[:, 16:].set(0.0).at[0, 16:].set(value)
        params["qkv"]["kernel"] = kernel
    return layer.apply({"params": params}, x)


@pytest.mark.slow
def test_attention_does_not_know_the_order_of_the_pixels():
    x = features((1, 4, 6, 8))
    order = np.random.default_rng(0).permutation(24)
    shuffled = x.reshape(1, 24, 8)[:, order].reshape(x.shape)
    expected = attention_without_neighbors(x).reshape(1, 24, 8)[:, order]
    np.testing.assert_allclose(attention_without_neighbors(shuffled).reshape(1, 24, 8), expected, atol=1e-5)
    assert float(jnp.abs(expected - x.reshape(1, 24, 8)).max()) > 0.1


@pytest.mark.slow
def test_rows_of_the_attention_sum_to_one():
    np.testing.assert_allclose(attention_without_neighbors(features(), value=0.7), 0.7, atol=1e-6)


def test_coupling_is_invertible():
    layer, mixed = CouplingLayer(8), features()
    variables = {"params": random_params(layer, mixed)}
    coupled = layer.apply(variables, mixed, method="couple")
    assert float(jnp.abs(coupled - mixed).max()) > 0.1
    np.testing.assert_allclose(layer.apply(variables, coupled, method="inverse"), mixed, atol=1e-5)


@pytest.mark.slow
def test_features_are_symmetric_in_the_modalities():
    model = build(SMALL)
    variables = {"params": random_params(model, PAIR, PAIR)}
    outputs = jax.jit(functools.partial(model.apply, method="outputs"))
    ir, vi_y = luma(seed=1), luma(seed=2)
    one, other = outputs(variables, ir, vi_y), outputs(variables, vi_y, ir)
    # The norms' products round by the place in the batch: 2.4e-7 seen; an asymmetry is above 1e-3.
    equal = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-6)
    for kind in ("base", "detail"):
        sums = [o["features"][f"ir_{kind}"] + o["features"][f"vi_{kind}"] for o in (one, other)]
        equal(*sums)
    assert float(jnp.abs(one["fused_y"] - other["fused_y"]).max()) > 1e-3  # the skip knows which is which
    equal(one["rebuilt"]["ir"], other["rebuilt"]["vi_y"])


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 6), (13, 10)])
def test_keeps_any_size_and_stays_between_0_and_1(size):
    model = build(SMALL)
    fused_y = jax.jit(model.apply)({"params": random_params(model, PAIR, PAIR)}, luma(size), luma(size, seed=1))
    assert fused_y.shape == (2, *size, 1) and fused_y.dtype == jnp.float32
    assert (fused_y > 0).all() and (fused_y < 1).all()


@pytest.mark.slow
def test_one_by_one_equals_batched_and_jitted():
    model = build(SMALL)
    apply = functools.partial(model.apply, {"params": random_params(model, PAIR, PAIR)})
    ir, vi_y = luma(batch=3), luma(batch=3, seed=1)
    together = jax.jit(apply)(ir, vi_y)
    single = jnp.concatenate([apply(ir[n : n + 1], vi_y[n : n + 1]) for n in range(3)])  # one operation at a time
    np.testing.assert_allclose(single, together, atol=2e-6)


@pytest.mark.slow
def test_gradients_are_finite_on_constant_inputs():
    model, flat = build(SMALL), jnp.zeros((1, 6, 5, 1))
    params = jax.jit(model.init)(jax.random.key(0), flat, flat)["params"]
    gradient = jax.jit(jax.grad(lambda p, x: model.apply({"params": p}, x, x).mean()))
    for value in (0.0, 0.5, 1.0):
        chex.assert_tree_all_finite(gradient(params, flat + value))


@pytest.mark.slow
def test_bfloat16_stays_near_float32():
    params = random_params(build(SMALL), PAIR, PAIR)
    full, half = (
        jax.jit(build(dataclasses.replace(SMALL, dtype=t)).apply)({"params": params}, luma(), luma(seed=1))
        for t in ("float32", "bfloat16")
    )
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, full, atol=0.05)  # eight bits of mantissa through eight blocks
    assert float(jnp.abs(half - full).max()) > 1e-5


@pytest.mark.slow
def test_memory_grows_linearly_with_the_pixels():
    model = build(SMALL)
    params = jax.eval_shape(model.init, jax.random.key(0), PAIR, PAIR)

    def temporary(side):
        pair = jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32)
        return jax.jit(model.apply).lower(params, pair, pair).compile().memory_analysis().temp_size_in_bytes

    assert temporary(128) / temporary(64) < 4.4  # pixels grow fourfold; attention over pixels would grow sixteenfold


@pytest.mark.parametrize(("width", "heads"), [(9, 3), (8, 3)])
def test_widths_that_do_not_split_are_refused(width, heads):
    with pytest.raises(ValueError, match=f"width {width} must be even and a multiple of heads {heads}"):
        CrossFuseConfig(width=width, heads=heads)


# --- against PyTorch
# ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_removed_path_has_no_gradient_and_exchanged_paths_change_places():
    config = CrossFuseConfig(width=4, heads=2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1)
    ir, vi_y = (jax.random.uniform(jax.random.key(k), (1, 12, 14, 1)) for k in (0, 1))
    models = {p: build(dataclasses.replace(config, paths=p)) for p in ("both", "long", "short", "exchanged")}
    params = jax.jit(models["both"].init)(jax.random.key(2), ir, vi_y)["params"]

    @functools.partial(jax.jit, static_argnums=0)
    def fused(paths, params):
        return models[paths].apply({"params": params}, ir, vi_y)

    for paths, idle, used in (("long", "detail", "base"), ("short", "base", "detail")):
        slope = jax.grad(lambda p, paths=paths: fused(paths, p).sum())(params)
        for part in (f"{idle}_fusion", f"{used}_fusion"):
            is_idle = all(not leaf.any() for leaf in jax.tree.leaves(slope[part]))
            assert is_idle == part.startswith(idle)
    # The decoder's first convolution tells base from detail by the places of their channels.
    kernel = params["decoder"]["reduce"]["kernel"]
    halves = jnp.split(kernel, 2, axis=-2)
    moved = params | {"decoder": params["decoder"] | {"reduce": {"kernel": jnp.concatenate(halves[::-1], axis=-2)}}}
    np.testing.assert_allclose(fused("exchanged", moved), fused("both", params), atol=1e-5)
    assert not np.allclose(fused("exchanged", params), fused("both", params), atol=1e-3)
    outputs = functools.partial(models["both"].apply, method="outputs")
    maps = jax.jit(outputs)({"params": params}, ir, vi_y)["maps"]
    assert all(m.shape == ir.shape and (m > 0).all() and (m < 1).all() for m in maps.values())
