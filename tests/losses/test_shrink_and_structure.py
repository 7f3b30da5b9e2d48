"""Resizing between scales, structure terms of extreme images, and options that are refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradient_reference import aware, every_loss, luma, similarity

from fusejax.losses.gradient import (
    axiswise_gradient_loss,
    direction_aware_gradient_loss,
    joint_gradient_loss,
    shrink,
    signed_sum_gradient_loss,
)


@pytest.mark.slow
def test_sizes_after_shrinking_round_half_to_even():
    for n, half, quarter in ((1, 1, 1), (2, 1, 1), (5, 2, 1), (6, 3, 2), (7, 4, 2), (10, 5, 2), (16, 8, 4)):
        x = luma(0, size=(n, 3), batch=1)
        assert (shrink(x, 1).shape[1:3], shrink(x, 2).shape[1:3]) == ((half, 2), (quarter, 1))


def test_shrinking_takes_two_taps_an_axis():
    x = luma(0)
    cells = np.asarray(x).reshape(2, 3, 4, 4, 4)
    np.testing.assert_allclose(shrink(x, 2)[..., 0], cells[:, :, 1:3, :, 1:3].mean((2, 4)), rtol=1e-6)
    halves = np.asarray(x).reshape(2, 6, 2, 8, 2).mean((2, 4))
    np.testing.assert_allclose(shrink(x, 1)[..., 0], halves, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(12, 16), (33, 47)])
def test_antialiased_shrinking_agrees_with_jax(size):
    x = luma(0, size=size)
    for level in (1, 2):
        shape = (2, *(round(n / 2**level) for n in size), 1)
        got = shrink(x, level, antialias=True)
        np.testing.assert_allclose(got, jax.image.resize(x, shape, "linear", antialias=True), atol=2e-6)
        assert jnp.abs(got - shrink(x, level)).max() > 0.05
    images = [luma(s, size=size) for s in range(3)]
    assert (aware(*images, antialias=True) < aware(*images)).all()


@pytest.mark.slow
def test_structure_terms_of_equal_and_of_opposite_images():
    v = luma(0)
    np.testing.assert_allclose(similarity(v, jnp.stack([v, v])), 1.0, atol=1e-6)
    inverted = every_loss(1 - v, v, v)
    assert (inverted["ssim"] > 1.0).all()
    assert (inverted["dssim"] > 0.5).all()
    black, white = jnp.zeros_like(v), jnp.ones_like(v)
    np.testing.assert_allclose(every_loss(black, black, white)["ssim"], 0.5 * (1 - 1e-4 / 1.0001), rtol=1e-6)


@pytest.mark.parametrize("weights", [(), (0.5, 0.4), (1.0, 1.0, 1.0), (1.5, -0.5)])
def test_weights_that_are_not_shares_are_refused(weights):
    with pytest.raises(ValueError, match="with sum 1"):
        direction_aware_gradient_loss(luma(0), luma(1), luma(2), weights=weights)


def test_other_bad_options_are_refused():
    with pytest.raises(ValueError, match="gate is 'smooth'"):
        direction_aware_gradient_loss(luma(0), luma(1), luma(2), gate="smooth")
    small = [luma(s, size=(2, 8)) for s in range(3)]
    for loss in (joint_gradient_loss, axiswise_gradient_loss, signed_sum_gradient_loss, direction_aware_gradient_loss):
        with pytest.raises(ValueError, match="2x8 has no interior"):
            loss(*small, padding="valid")
