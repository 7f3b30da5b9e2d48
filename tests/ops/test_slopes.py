"""Means over pixels, and slopes stored with values: equal to plain autodiff."""

import jax
import jax.numpy as jnp
import numpy as np

from fusejax.ops.numerics import pixel_mean, with_forward_gradient


def maps(seed, *, count=2, batch=3):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=(batch, 5, 7, 1)), jnp.float32) for _ in range(count))


def term(x, y, z):
    (a, b), (c, d) = x, y
    return pixel_mean(jnp.sin(a * c) * jnp.exp(-jnp.square(b - d)) + 0.1 * a**2) * z


def test_the_mean_is_the_mean():
    x = 1e3 + maps(0, count=1)[0]
    np.testing.assert_allclose(pixel_mean(x), np.float64(x).mean((1, 2, 3)), rtol=1e-6)
    two = jnp.stack([x, -x])
    np.testing.assert_allclose(pixel_mean(two), np.float64(two).mean((2, 3, 4)), rtol=1e-6)


def test_values_and_slopes_are_those_of_autodiff():
    """Every image has its own weight, for the first argument and the others."""
    arguments = maps(1), maps(2), jnp.asarray([1.0, -2.0, 0.5])
    weights = jnp.asarray([0.3, 2.0, -1.0])

    def both(function):
        return jax.jit(jax.value_and_grad(lambda x, y, z: (weights * function(x, y, z) ** 2).sum(), argnums=(0, 1, 2)))(
            *arguments
        )

    (value, slopes), (expected, by_autodiff) = both(with_forward_gradient(term)), both(term)
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    for slope, other in zip(jax.tree.leaves(slopes), jax.tree.leaves(by_autodiff), strict=True):
        np.testing.assert_allclose(slope, other, rtol=1e-5, atol=1e-7)
        assert np.abs(other).max() > 1e-3
