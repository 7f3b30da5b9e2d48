"""Shift-tolerant terms: their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fusejax.losses import (
    joint_gradient_loss,
    maximum_intensity_loss,
    tolerant_gradient_loss,
    tolerant_maximum_loss,
)

TERMS = [
    (tolerant_maximum_loss, maximum_intensity_loss),
    (tolerant_gradient_loss, lambda *pair: joint_gradient_loss(*pair, padding="valid")),
]
SHIFTS = [(0, 0), (2, -1), (-2, 2), (0, 2)]


def images(seed=0, size=(20, 24)):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.random((2, *size, 1)), jnp.float32) for _ in range(3))


@pytest.mark.parametrize(("tolerant", "plain"), TERMS)
def test_a_radius_of_0_is_the_plain_term(tolerant, plain):
    np.testing.assert_allclose(tolerant(*images(), radius=0), plain(*images()), rtol=1e-6)


@pytest.mark.parametrize(("tolerant", "plain"), TERMS)
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_within_the_radius_costs_nothing_and_one_beyond_does(tolerant, plain, shift):
    ir, vi_y, _ = images()
    vi_y = 0 * vi_y  # so that the fused image is the infrared one
    moved = jnp.roll(ir, shift, axis=(1, 2))
    np.testing.assert_allclose(tolerant(ir, moved, vi_y, radius=2), 0, atol=1e-6)
    if any(shift):
        assert (plain(ir, moved, vi_y) > 0.1).all()
        assert (tolerant(ir, moved, vi_y, radius=1) > 0.1).all() or max(map(abs, shift)) < 2


@pytest.mark.parametrize(("tolerant", "plain"), TERMS)
def test_tolerance_never_costs_more_than_the_pair_as_it_is(tolerant, plain):
    """The plain maximum over the interior is one of the values of which the lowest counts."""
    fused, ir, vi_y = images(1)
    inner = [x[:, 2:-2, 2:-2] for x in (fused, ir, vi_y)]
    found = tolerant(fused, ir, vi_y, radius=2)
    assert (found > 0).all()
    if tolerant is tolerant_maximum_loss:
        assert (found <= plain(*inner) + 1e-6).all()


@pytest.mark.parametrize(("tolerant", "plain"), TERMS)
def test_values_do_not_depend_on_the_batch_and_gradients_are_those_of_differences(tolerant, plain):
    fused, ir, vi_y = images(2, size=(9, 10))
    both = tolerant(fused, ir, vi_y, radius=1)
    alone = [tolerant(fused[n : n + 1], ir[n : n + 1], vi_y[n : n + 1], radius=1)[0] for n in range(2)]
    np.testing.assert_allclose(both, alone, rtol=1e-6)
    total = jax.jit(lambda x: 100 * tolerant(x, ir, vi_y, radius=1).sum())
    slope = jax.grad(total)(fused)
    assert jnp.isfinite(slope).all() and jnp.abs(slope).max() > 0
    check_grads(total, (fused,), order=1, modes=["rev"], atol=5e-2, rtol=5e-2, eps=1e-4)


@pytest.mark.parametrize("radius", [-1, 4, 10])
def test_a_radius_that_leaves_no_pixel_is_refused(radius):
    with pytest.raises(ValueError, match=rf"radius is {radius} for images of 8x9 pixels"):
        tolerant_maximum_loss(*images(size=(8, 9)), radius=radius)
