"""The light network: any image size, and the meaning of its coefficients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.models import Light, LightConfig
from fusejax.models.light import combine, fine, space_to_depth, upsample_cells

TINY = LightConfig(width=6, blocks=1)
VARIANT = LightConfig(width=6, blocks=1, depthwise=True, coarse_cell=8)


def pair(h, w, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.random((1, h, w, 1)), jnp.float32) for _ in range(2))


@functools.cache
def params(config=TINY):
    """Large random values, so that cells differ as much as possible."""
    shapes = jax.eval_shape(Light(config).init, jax.random.key(0), *pair(8, 8))["params"]
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda x: jnp.float32(rng.normal(0, 0.8 / np.sqrt(np.prod(x.shape[:-1])), x.shape)), shapes)


@functools.cache
def fuse(config=TINY):
    variables = {"params": params(config)}
    return jax.jit(lambda ir, vi_y: Light(config).apply(variables, ir, vi_y))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3), (5, 4), (17, 30)])
@pytest.mark.parametrize("config", [TINY, VARIANT])
@pytest.mark.slow
def test_any_size_goes_in_and_comes_out(config, size):
    fused = fuse(config)(*pair(*size))
    assert fused.shape == (1, *size, 1)
    assert np.all(np.isfinite(fused))


def test_padding_is_a_reflection_that_is_cut_off_again():
    ir, vi_y = pair(9, 6)
    padded = (jnp.pad(x, ((0, 0), (0, 3), (0, 2), (0, 0)), mode="reflect") for x in (ir, vi_y))
    inner = np.s_[:, :7, :4]  # the blur of the fine detail repeats the border where the image ends
    np.testing.assert_allclose(fuse()(ir, vi_y)[inner], fuse()(*padded)[inner], atol=1e-6)


def test_equal_sources_stay_as_they_are_without_detail():
    config = LightConfig(width=6, blocks=1, detail=0.0, offset=0.0)
    ir, _ = pair(12, 12)
    np.testing.assert_allclose(fuse(config)(ir, ir), ir, atol=1e-6)


def test_the_guide_takes_the_brighter_pixel():
    ir, vi_y = (x[..., 0] for x in pair(12, 12))
    none = jnp.zeros_like(ir)
    fused = combine(LightConfig(detail=0.0), ir, vi_y, [none, none + 1e4, none, none, none])
    np.testing.assert_allclose(fused, jnp.maximum(ir, vi_y), atol=1e-5)
    average = combine(LightConfig(detail=0.0, contrast_guide=False), ir, vi_y, [none, none + 1e4, none, none, none])
    np.testing.assert_allclose(average, (ir + vi_y) / 2, atol=1e-6)


def test_the_blend_agrees_with_a_float64_reading_of_its_formula():
    rng = np.random.default_rng(4)
    ir, vi_y = rng.random((2, 1, 9, 11))
    s, k, ir_gain, vi_gain, o = coefficients = rng.standard_normal((5, 1, 9, 11))
    config = LightConfig(detail=1.5, offset=0.25)
    taps = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256

    def detail(x):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x[0], 2, "edge"), (5, 5))
        return x - (windows * taps).sum(axis=(-2, -1))

    share = 1 / (1 + np.exp(-(s + 10 * (1 + k) * (ir - vi_y))))
    expected = vi_y + share * (ir - vi_y) + 0.25 * np.tanh(o)
    expected += 1.5 * (np.tanh(ir_gain) * detail(ir) + np.tanh(vi_gain) * detail(vi_y))
    found = combine(config, *(jnp.asarray(x, jnp.float32) for x in (ir, vi_y)), list(jnp.float32(coefficients)))
    np.testing.assert_allclose(found, expected, atol=1e-5)  # float32; the slope of the share is up to 40


def test_rearranging_keeps_every_pixel_in_its_cell():
    x = jnp.arange(2 * 8 * 12, dtype=jnp.float32).reshape(2, 8, 12)
    cells = space_to_depth(x, 4)
    np.testing.assert_array_equal(cells[1, 1, 2], x[1, 4:8, 8:12].ravel())


@pytest.mark.parametrize("cell", [2, 4, 5])
def test_upsampling_is_linear_between_the_centers(cell):
    ramp = jnp.asarray(np.add.outer(3.0 * np.arange(4), np.arange(5.0)), jnp.float32)[None]
    rows, columns = ((np.arange(n * cell) + 0.5) / cell - 0.5 for n in ramp.shape[1:])
    expected = np.add.outer(3 * np.clip(rows, 0, 3), np.clip(columns, 0, 4))
    np.testing.assert_allclose(upsample_cells(ramp, cell)[0], expected, atol=1e-5)


def test_fine_detail_of_a_ramp_is_none():
    ramp = jnp.asarray(np.add.outer(np.arange(9.0), 2 * np.arange(9.0)), jnp.float32)[None]
    np.testing.assert_allclose(fine(ramp)[:, 2:-2, 2:-2], 0.0, atol=1e-5)
    impulse = jnp.zeros((1, 9, 9)).at[0, 4, 4].set(1.0)
    np.testing.assert_allclose(fine(impulse)[0, 4, 4], 1 - (6 / 16) ** 2, rtol=1e-6)


@pytest.mark.slow
def test_a_second_network_adds_its_coefficients():
    ir, vi_y = pair(16, 16)
    own = params(VARIANT)
    silent = own | {
        "coarse": own["coarse"] | {"coefficients": jax.tree.map(np.zeros_like, own["coarse"]["coefficients"])}
    }
    alone = {name: part for name, part in own.items() if name != "coarse"}
    config = LightConfig(width=6, blocks=1, depthwise=True)
    expected = Light(config).apply({"params": alone}, ir, vi_y)
    np.testing.assert_allclose(Light(VARIANT).apply({"params": silent}, ir, vi_y), expected, atol=1e-6)
    assert np.abs(fuse(VARIANT)(ir, vi_y) - expected).max() > 0.01


def test_cells_of_the_second_network_are_multiples():
    with pytest.raises(ValueError, match="coarse_cell is 6; give a multiple of cell"):
        LightConfig(coarse_cell=6)
