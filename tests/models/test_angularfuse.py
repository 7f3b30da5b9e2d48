"""The U-Net of Restormer-CNN blocks: counts, sizes, range, types, and that each option has an
effect.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.models import AngularFuseConfig, build
from fusejax.models.convolutions import PairedConv3x3, UpsampleConv
from fusejax.models.layers import ChannelAttention

TINY = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1)


def count(tree) -> int:
    return sum(math.prod(x.shape) for x in jax.tree.leaves(tree))


def shapes(config):
    pair = jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
    return jax.eval_shape(build(config).init, jax.random.key(0), pair, pair)["params"]


SIZE = (12, 8)  # of most images here, so that the network is compiled once for them


@pytest.fixture(scope="module")
def tiny():
    """The network as a compiled function, and parameters."""
    model = build(TINY)
    pair = jnp.zeros((1, 8, 8, 1))
    return jax.jit(model.apply), jax.jit(model.init)(jax.random.key(0), pair, pair)


def luma(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).random((*shape, 1), dtype=np.float32))


@pytest.mark.slow
def test_parameter_counts_of_the_specification():
    params = shapes(AngularFuseConfig())
    blocks = {
        "ir_encoder1": 9_520,
        "vi_encoder2": 38_216,
        "ir_encoder3": 151_432,
        "vi_encoder4": 156_040,
        "fusion1": 10_600,
        "decoder2": 41_672,
        "fusion3": 165_256,
        "fusion4": 165_256,
        "decoder4": 156_040,
    }
    assert {name: count(params[name]) for name in blocks} == blocks
    assert count(params) == 1_517_657


@pytest.mark.slow
def test_fewer_heads_only_drop_scales():
    full, reduced = shapes(AngularFuseConfig()), shapes(AngularFuseConfig(heads=None))
    heads = {"decoder1": 1, "decoder2": 2, "decoder3": 4, "decoder4": 4}
    for name, h in heads.items():
        assert count(full[name]) - count(reduced[name]) == 8 - h


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (16, 9), (131, 97)])
def test_any_size_keeps_its_shape_and_stays_in_range(tiny, size):
    network, params = tiny
    fused_y = network(params, luma(0, 2, *size), luma(1, 2, *size))
    assert fused_y.shape == (2, *size, 1)
    assert fused_y.dtype == jnp.float32
    assert np.all((fused_y > 0) & (fused_y < 1))


@pytest.mark.slow
def test_divisible_sizes_are_not_touched_by_padding(tiny):
    """An image padded by hand in the same way as by the network gives the same result inside."""
    network, params = tiny
    ir, vi_y = luma(0, 3, 11, 7), luma(1, 3, 11, 7)
    by_hand = [jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="reflect") for x in (ir, vi_y)]
    np.testing.assert_allclose(network(params, ir, vi_y), network(params, *by_hand)[:, :11, :7], atol=1e-6)


@pytest.mark.slow
def test_encoders_have_their_own_weights(tiny):
    network, params = tiny
    ir, vi_y = luma(0, 3, *SIZE), luma(1, 3, *SIZE)
    assert np.abs(network(params, ir, vi_y) - network(params, vi_y, ir)).max() > 1e-3


@pytest.mark.slow
def test_pairs_of_a_batch_do_not_see_each_other(tiny):
    network, params = tiny
    ir, vi_y = luma(0, 3, *SIZE), luma(1, 3, *SIZE)
    together = network(params, ir, vi_y)
    for n in range(3):
        # Instead of its neighbors, its own copies: as alone.
        copies = network(params, *(jnp.repeat(x[n : n + 1], 3, axis=0) for x in (ir, vi_y)))
        np.testing.assert_allclose(copies, jnp.repeat(together[n : n + 1], 3, axis=0), atol=1e-6)


@pytest.mark.slow
def test_shared_encoder_has_one_stream_and_runs():
    config = AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1, shared_encoder=True)
    params = shapes(config)
    assert set(params) == {"shared_encoder1", "shared_encoder2", "shared_down1", "decoder1", "decoder2", "up1", "head"}
    model = build(config)
    fused_y, _ = jax.jit(model.init_with_output)(jax.random.key(0), luma(0, 1, 7, 9), luma(1, 1, 7, 9))
    assert fused_y.shape == (1, 7, 9, 1) and np.isfinite(fused_y).all()


@pytest.mark.slow
def test_bfloat16_computes_near_float32_with_float32_parameters(tiny):
    network, params = tiny
    half = build(AngularFuseConfig(widths=(2, 4), heads=None, residual_blocks=1, dtype="bfloat16"))
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(shapes(half.config)))
    ir, vi_y = luma(0, 3, *SIZE), luma(1, 3, *SIZE)
    low, high = jax.jit(half.apply)(params, ir, vi_y), network(params, ir, vi_y)
    assert low.dtype == jnp.float32
    assert 0 < np.abs(low - high).max() < 0.05  # 8 bits of mantissa over a few dozen layers


@pytest.mark.slow
def test_gradients_are_finite_on_flat_input(tiny):
    network, params = tiny
    flat = jnp.zeros((1, 8, 8, 1))
    grads = jax.jit(jax.grad(lambda p: network(p, flat, flat).sum()))(params)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="6 channels cannot be split into 4 heads"):
        ChannelAttention(4).init(jax.random.key(0), jnp.zeros((1, 4, 4, 6)))


def test_paired_convolution_is_a_grouped_one_after_a_pointwise_one():
    x, before = (jnp.float32(np.random.default_rng(0).standard_normal(size)) for size in ((2, 6, 5, 3), (3, 8)))
    layer = PairedConv3x3()
    params = layer.init(jax.random.key(0), x, before=before)
    grouped = jax.lax.conv_general_dilated(
        jnp.pad(x @ before, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"),
        params["params"]["kernel"],
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=4,
    )
    np.testing.assert_allclose(layer.apply(params, x, before=before), grouped, atol=1e-5)


@pytest.mark.slow
def test_values_alone_are_those_of_the_whole_attention(rng):
    """With one channel per head, also in the gradients; those of queries and keys are zero."""
    c = 4
    x, g = (jnp.float32(rng.standard_normal((2, 5, 6, c))) for _ in range(2))
    layer = ChannelAttention(heads=c)
    params = jax.tree.map(lambda p: p + 0.1, layer.init(jax.random.key(0), x))

    def from_definition(params, x):
        p = params["params"]
        padded = jnp.pad(x @ p["qkv"]["kernel"], ((0, 0), (1, 1), (1, 1), (0, 0)))
        taps = [padded[:, i : i + 5, j : j + 6] @ p["qkv_mix"]["kernel"][i, j] for i, j in np.ndindex(3, 3)]
        q, k, v = (t.reshape(2, 30, c) for t in jnp.split(sum(taps), 3, axis=-1))
        q, k = (t / jnp.linalg.norm(t, axis=1, keepdims=True) for t in (q, k))
        logits = p["scale"][:, None] * jnp.einsum("bpn,bpn->bn", q, k)[..., None]
        attention = jax.nn.softmax(logits, axis=-1)  # of one channel with itself
        return (attention[:, None, :, 0] * v).reshape(x.shape) @ p["out"]["kernel"]

    y, pull = jax.vjp(layer.apply, params, x)
    expected, pull_expected = jax.vjp(from_definition, params, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), (y, pull(g)), (expected, pull_expected(g)))
    assert not np.any(pull(g)[0]["params"]["qkv_mix"]["kernel"][..., : 2 * c])


def test_upsampling_is_the_transposed_convolution():
    """Adjoint of the stride-2 convolution with the same kernel: <up(x), y> = <x, conv(y)>."""
    x = jnp.float32(np.random.default_rng(0).standard_normal((1, 5, 4, 3)))
    y = np.random.default_rng(1).standard_normal((1, 10, 8, 2)).astype(np.float32)
    layer = UpsampleConv(2)
    params = layer.init(jax.random.key(0), x)
    down = jax.lax.conv_general_dilated(
        y,
        params["params"]["kernel"].swapaxes(2, 3),
        (2, 2),
        ((1, 1), (1, 1)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(np.vdot(layer.apply(params, x), y), np.vdot(x, down), rtol=1e-4)


@pytest.mark.slow
def test_attention_rows_sum_to_one_and_ignore_pixel_order():
    """Permuting the pixels permutes the output alike if only pointwise layers act."""
    x = jnp.float32(np.random.default_rng(0).standard_normal((1, 4, 4, 8)))
    layer = ChannelAttention(2)
    params = layer.init(jax.random.key(0), x)
    center_only = np.zeros((3, 3, 24, 24), np.float32)
    center_only[1, 1] = np.eye(24)
    params["params"]["qkv_mix"]["kernel"] = center_only
    order = np.random.default_rng(1).permutation(16)
    shuffled = x.reshape(1, 16, 8)[:, order].reshape(x.shape)
    expected = layer.apply(params, x).reshape(1, 16, 8)[:, order].reshape(x.shape)
    np.testing.assert_allclose(layer.apply(params, shuffled), expected, atol=1e-5)
