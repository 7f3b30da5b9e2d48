"""The layer norm's form for CPU against float64, and the form for accelerators."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.models.norm import LayerNorm, normalize
from fusejax.ops.backend import compile_for


def reference(x, scale, bias, g):
    """Output and gradients in float64."""
    x, scale, bias, g = (np.asarray(a, np.float64) for a in (x, scale, bias, g))
    inverse = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    normal = (x - x.mean(axis=-1, keepdims=True)) * inverse
    to_normal = g * scale
    shift = to_normal.mean(axis=-1, keepdims=True) + normal * (to_normal * normal).mean(axis=-1, keepdims=True)
    return normal * scale + bias, inverse * (to_normal - shift), (g * normal).sum((0, 1, 2)), g.sum((0, 1, 2))


@pytest.mark.parametrize(("size", "offset"), [((2, 33, 47, 8), 0.0), ((3, 16, 7, 24), 0.0), ((2, 20, 20, 8), 100.0)])
def test_output_and_gradients_are_those_of_float64(rng, size, offset):
    x, g = (jnp.asarray(rng.standard_normal(size), jnp.float32) for _ in range(2))
    scale, bias = (jnp.asarray(rng.standard_normal(size[-1]), jnp.float32) for _ in range(2))
    x = x + offset
    y, pull = jax.vjp(jax.jit(normalize), x, scale, bias)
    for got, want in zip((y, *pull(g)), reference(x, scale, bias, g), strict=True):
        assert got.shape == want.shape
        # x is rounded to 6e-8 of its size, 1 or `offset`; sums over 3,000 pixels add to that
        np.testing.assert_allclose(got, want, atol=(2e-6 + 3e-7 * offset) * abs(want).max())


def test_constant_pixels_become_the_bias_and_get_finite_gradients():
    x, scale, bias = jnp.full((1, 4, 4, 8), 0.5), jnp.ones(8), jnp.arange(8.0)
    y, pull = jax.vjp(normalize, x, scale, bias)
    np.testing.assert_array_equal(y, jnp.broadcast_to(bias, y.shape))
    assert all(jnp.isfinite(gradient).all() for gradient in pull(jnp.ones_like(x)))


def test_accelerators_keep_sums_that_xla_fuses(rng):
    x = jnp.asarray(rng.standard_normal((2, 8, 8, 8)), jnp.float32)
    norm = LayerNorm()
    params = norm.init(jax.random.key(0), x)
    with compile_for("cuda"):
        assert "dot_general" not in str(jax.make_jaxpr(norm.apply)(params, x))
        plain = norm.apply(params, x)
    assert "dot_general" in str(jax.make_jaxpr(norm.apply)(params, x))
    np.testing.assert_allclose(norm.apply(params, x), plain, atol=2e-6)
