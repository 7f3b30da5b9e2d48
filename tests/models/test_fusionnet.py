"""FusionNet against an independent implementation, and the properties of its attention and
alpha.
"""

import dataclasses
import functools
import math

import fusionnet_reference as reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.models.fusionnet import FusionNet, FusionNetConfig, upsample_bilinear

TINY = FusionNetConfig(widths=(4, 6, 6), attention_width=5, alpha_width=3, gate_width=2)
VARIANTS = {
    "plain": TINY,
    "gate": dataclasses.replace(TINY, channel_gate=True),
    "image": dataclasses.replace(TINY, image_space_alpha=True),
    "gate_image": dataclasses.replace(TINY, channel_gate=True, image_space_alpha=True),
}
IMAGE = VARIANTS["image"]
EXTREME = 1e4  # a logit whose sigmoid is exactly 0 or 1
SHAPE = (2, 9, 6)  # most tests use this one, for which every variant is compiled once


def luma(seed, *shape):
    return np.random.default_rng(seed).random((*shape, 1), dtype=np.float32)


def pair(*shape):
    return luma(0, *(shape or SHAPE)), luma(1, *(shape or SHAPE))


def shapes(config):
    y = jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32)
    return jax.eval_shape(FusionNet(config).init, jax.random.key(0), y, y)["params"]


@functools.cache
def initial_params(config):
    key = jax.random.key(0, impl="rbg")  # compiles five times faster than the default
    return jax.jit(FusionNet(config).init)(key, *pair(1, 8, 8))["params"]


def random_params(config, seed=0):
    """Every entry is away from its initial 0; kernels keep the variance of their input."""
    rng = np.random.default_rng(seed)

    def draw(path, x):
        scale = 0.8 / math.sqrt(math.prod(x.shape[:-1])) if path[-1].key == "kernel" else 0.1
        return (scale * rng.standard_normal(x.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes(config))


@functools.cache
def compiled(config):
    return jax.jit(functools.partial(FusionNet(config).apply, method="outputs"))


def fuse(config, params, ir, vi_y):
    """The fused luma and the maps."""
    outputs = compiled(config)({"params": params}, ir, vi_y)
    return outputs["fused_y"], outputs["maps"]


@functools.cache
def compiled_gradient(config):
    def total(params, ir, vi_y):
        return jnp.square(FusionNet(config).apply({"params": params}, ir, vi_y)).sum()

    return jax.jit(jax.value_and_grad(total))


def with_leaf(params, module, layer, **leaves):
    """A copy of the parameters in which every entry of the named leaves has the given value."""
    new = {k: np.full_like(params[module][layer][k], v) for k, v in leaves.items()}
    return params | {module: params[module] | {layer: params[module][layer] | new}}


def force_alpha(params, logit):
    return with_leaf(params, "alpha", "logit", kernel=0, bias=logit)


def without_residual(params):
    return with_leaf(params, "decoder", "out", kernel=0, bias=0)


def assert_agrees(config, params, ir, vi_y):
    fused_y, aux = fuse(config, params, ir, vi_y)
    expected_y, expected_aux = reference.fuse(params, config, ir, vi_y)
    assert set(aux) == {"w_ir", "w_vi", "alpha"}
    for got, expected in [(fused_y, expected_y), *((aux[k], expected_aux[k]) for k in aux)]:
        assert (got.shape, got.dtype) == (ir.shape, jnp.float32)
        assert expected.size == len(ir) or expected.std() > 1e-3  # what does not vary would prove nothing
        np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "size"),
    [
        ("plain", (13, 10)),
        ("plain", (1, 1)),
        ("gate", (7, 16)),
        ("image", (5, 1)),
        ("gate_image", (1, 6)),
    ],
)
def test_agrees_with_the_reference(variant, size):
    assert_agrees(VARIANTS[variant], random_params(VARIANTS[variant]), *pair(2, *size))


@pytest.mark.slow
def test_default_widths_agree_with_the_reference():
    config = FusionNetConfig()
    assert_agrees(config, random_params(config), *pair(1, 7, 16))


def test_parameter_count_of_the_specification():
    def conv(inputs, outputs):
        return 9 * inputs * outputs + outputs

    def dense(inputs, outputs):
        return inputs * outputs + outputs

    encoder = conv(1, 32) + 2 * conv(32, 32) + conv(32, 64) + 2 * 2 * conv(64, 64)
    expected = {
        "ir_encoder": encoder,
        "vi_encoder": encoder,
        "attention": dense(128, 64) + conv(64, 2),
        "alpha": conv(128, 32) + conv(32, 1),
        "decoder": 2 * 2 * conv(64, 64) + conv(96, 32) + 2 * conv(32, 32) + conv(32, 1),
    }

    def count(config):
        return {k: sum(math.prod(x.shape) for x in jax.tree.leaves(v)) for k, v in shapes(config).items()}

    assert count(FusionNetConfig()) == expected
    assert sum(expected.values()) == 610_820
    assert count(FusionNetConfig(image_space_alpha=True)) == expected
    gated = expected | {"attention": expected["attention"] + dense(128, 16) + dense(16, 128)}
    assert count(FusionNetConfig(channel_gate=True)) == gated


@pytest.mark.slow
def test_attention_sums_to_one_and_maps_lie_inside():
    fused_y, aux = fuse(TINY, random_params(TINY), *pair())
    np.testing.assert_allclose(aux["w_ir"] + aux["w_vi"], 1, atol=2e-7)
    for x in (fused_y, *aux.values()):
        assert np.all((x > 0) & (x < 1))
        assert np.ptp(x) > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["gate", "gate_image"])
def test_training_starts_at_one_half(variant):
    config, (ir, vi_y) = VARIANTS[variant], pair()
    fused_y, aux = fuse(config, initial_params(config), ir, vi_y)
    for x in aux.values():
        np.testing.assert_array_equal(x, np.full_like(ir, 0.5))
    if config.image_space_alpha:
        np.testing.assert_allclose(fused_y, (ir + vi_y) / 2, atol=1e-7)


@pytest.mark.parametrize(("logit", "stays"), [(EXTREME, 0), (-EXTREME, 1)])
def test_forced_alpha_shows_only_one_stream(logit, stays):
    """With constant attention, alpha = 1 decodes infrared features only, alpha = 0 visible."""
    params = with_leaf(force_alpha(random_params(TINY), logit), "attention", "logits", kernel=0)
    before = [*pair()]
    other = list(before)
    other[1 - stays] = luma(5, *SHAPE)
    fused_y, aux = fuse(TINY, params, *before)
    np.testing.assert_array_equal(aux["alpha"], 1 - stays)
    np.testing.assert_array_equal(fuse(TINY, params, *other)[0], fused_y)
    other[stays] = luma(6, *SHAPE)
    assert np.abs(fuse(TINY, params, *other)[0] - fused_y).max() > 1e-3


def test_forced_alpha_in_image_space_is_one_image_plus_the_residual():
    params, (ir, vi_y) = random_params(IMAGE), pair()
    for logit, source in ((EXTREME, ir), (-EXTREME, vi_y)):
        forced = force_alpha(params, logit)
        np.testing.assert_array_equal(fuse(IMAGE, without_residual(forced), ir, vi_y)[0], source)
        decoded = fuse(dataclasses.replace(IMAGE, image_space_alpha=False), forced, ir, vi_y)[0]
        residual = np.log(decoded) - np.log1p(-decoded)  # undoes the sigmoid
        np.testing.assert_allclose(fuse(IMAGE, forced, ir, vi_y)[0], source + residual, atol=1e-5)


def test_image_space_without_residual_stays_between_the_images():
    ir, vi_y = pair()
    fused_y, aux = fuse(IMAGE, without_residual(random_params(IMAGE)), ir, vi_y)
    assert np.ptp(aux["alpha"]) > 0.01
    assert np.all((fused_y >= np.minimum(ir, vi_y) - 1e-6) & (fused_y <= np.maximum(ir, vi_y) + 1e-6))


def test_image_space_is_not_clipped():
    params = with_leaf(random_params(IMAGE), "decoder", "out", bias=3.0)
    assert fuse(IMAGE, params, *pair())[0].max() > 1.5


@pytest.mark.slow
def test_constant_input_has_finite_output_and_gradients():
    config = VARIANTS["gate"]
    for value in (0.0, 0.5, 1.0):
        flat = np.full((*SHAPE, 1), value, np.float32)
        for params in (initial_params(config), random_params(config)):
            total, grads = compiled_gradient(config)(params, flat, flat)
            everything = fuse(config, params, flat, flat), total, grads
            assert all(np.isfinite(x).all() for x in jax.tree.leaves(everything))


@pytest.mark.slow
def test_every_parameter_is_trained():
    """With random parameters, every parameter gets a gradient; with initial ones, the heads learn
    first.
    """
    config = VARIANTS["gate"]
    _, grads = compiled_gradient(config)(random_params(config), *pair())
    silent = [jax.tree_util.keystr(k) for k, g in jax.tree_util.tree_leaves_with_path(grads) if not np.any(g)]
    assert silent == []
    _, first = compiled_gradient(config)(initial_params(config), *pair())
    assert np.any(first["alpha"]["logit"]["kernel"])
    assert np.any(first["decoder"]["out"]["kernel"])


@pytest.mark.slow
def test_jit_changes_nothing():
    config = VARIANTS["gate"]
    params = random_params(config)
    eager = FusionNet(config).apply(*jax.tree.map(jnp.asarray, ({"params": params}, *pair())))
    np.testing.assert_allclose(fuse(config, params, *pair())[0], eager, atol=1e-6)


@pytest.mark.slow
def test_pairs_of_a_batch_do_not_see_each_other():
    config, (ir, vi_y) = VARIANTS["gate_image"], pair()
    params = random_params(config)
    together = fuse(config, params, ir, vi_y)
    alone = [fuse(config, params, ir[n : n + 1], vi_y[n : n + 1]) for n in range(len(ir))]
    jax.tree.map(
        lambda whole, *parts: np.testing.assert_allclose(whole, np.concatenate(parts), atol=1e-5), together, *alone
    )


def test_encoders_have_their_own_weights():
    params, (ir, vi_y) = random_params(TINY), pair()
    swapped = params | {"ir_encoder": params["vi_encoder"], "vi_encoder": params["ir_encoder"]}
    assert np.abs(fuse(TINY, params, ir, vi_y)[0] - fuse(TINY, swapped, ir, vi_y)[0]).max() > 1e-3


@pytest.mark.slow
def test_bfloat16_computes_near_float32_with_float32_parameters():
    config, batch = VARIANTS["gate"], pair()
    half = dataclasses.replace(config, dtype="bfloat16")
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(shapes(half)))
    params = random_params(config)
    for low, high in zip(*(jax.tree.leaves(fuse(c, params, *batch)) for c in (half, config)), strict=True):
        assert low.dtype == jnp.float32
        assert 0 < np.abs(low - high).max() < 0.05  # 8 bits of mantissa over twenty layers
    aux = fuse(half, params, *batch)[1]
    np.testing.assert_allclose(aux["w_ir"] + aux["w_vi"], 1, atol=2e-7)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
def test_upsampling_is_the_bilinear_one_of_jax(size):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((2, *size, 3)), jnp.float32)
    expected = jax.image.resize(x, (2, 2 * size[0], 2 * size[1], 3), "bilinear")
    np.testing.assert_allclose(upsample_bilinear(x), expected, atol=1e-6)


@pytest.mark.slow
def test_without_attention_and_alpha_the_maps_are_constant_and_have_no_parameters():
    ir, vi_y = (jax.random.uniform(jax.random.key(k), (1, 10, 12, 1)) for k in (0, 1))
    config = FusionNetConfig(widths=(4, 4), attention_width=4, alpha_width=4, attention=False, fixed_alpha=0.25)
    model = FusionNet(config)
    params = model.init(jax.random.key(0), ir, vi_y)["params"]
    assert set(params) == {"ir_encoder", "vi_encoder", "decoder"}
    maps = model.apply({"params": params}, ir, vi_y, method="outputs")["maps"]
    assert {k: float(v.min()) for k, v in maps.items()} == {k: float(v.max()) for k, v in maps.items()}
    assert {k: float(v.max()) for k, v in maps.items()} == {"alpha": 0.25, "w_ir": 0.5, "w_vi": 0.5}
    with pytest.raises(ValueError, match="fixed_alpha is 2; it must be a weight"):
        FusionNetConfig(fixed_alpha=2)
    with pytest.raises(ValueError, match="channel_gate is a part of the attention"):
        FusionNetConfig(channel_gate=True, attention=False)
