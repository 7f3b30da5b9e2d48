"""Correlation of blocks against its definition, and what a fit to them leans on."""

import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.registration.blocks import block_surfaces
from fusejax.registration.descriptors import described, self_similarity
from fusejax.registration.fitting import MIDDLE, Surfaces, leaning

pytestmark = pytest.mark.slow


def test_a_block_fits_as_the_normalized_sum_of_products_at_every_shift():
    rng = np.random.default_rng(0)
    vi, ir = (jnp.asarray(rng.normal(size=(24, 32)), jnp.float32) for _ in range(2))
    mask = jnp.ones((24, 32)).at[:, :3].set(0.0)
    found, energy, whole, shared = block_surfaces(vi, jnp.ones((24, 32)), ir, mask, reach=2, cell=8)
    a, b = (np.asarray(self_similarity(x, m), np.float64) for x, m in ((vi, jnp.ones((24, 32))), (ir, mask)))
    seen_a, seen_b = (np.asarray(described(jnp.asarray(x))) for x in (a, b))
    b, seen_b = np.pad(b, ((2, 2), (2, 2), (0, 0))), np.pad(seen_b, 2)
    sums = np.zeros((3, 12, 5, 5))
    for n, (top, left) in enumerate((y, x) for y in range(0, 24, 8) for x in range(0, 32, 8)):
        here = np.s_[top : top + 8, left : left + 8]
        for dy in range(5):
            for dx in range(5):
                there = np.s_[top + dy : top + dy + 8, left + dx : left + dx + 8]
                sums[:, n, dy, dx] = (
                    (a[here] * b[there]).sum(),
                    ((a[here] ** 2).sum(axis=-1) * seen_b[there]).sum(),
                    (seen_a[here] * (b[there] ** 2).sum(axis=-1)).sum(),
                )
    power = np.sqrt(sums[1] * sums[2])
    np.testing.assert_allclose(found, sums[0] / (power + 0.05 * power.mean()), atol=1e-5)
    np.testing.assert_allclose(energy, power.mean(axis=(1, 2)) / power.mean(), atol=1e-5)
    middle = sums[:, :, 2, 2].sum(axis=1)
    np.testing.assert_allclose(whole, middle[0] / np.sqrt(middle[1] * middle[2]), atol=1e-5)
    np.testing.assert_allclose(shared, (seen_a * seen_b[2:-2, 2:-2]).mean(), atol=1e-6)


def answering(off):
    """Blocks of a view, in four rows, that fit best at a shift in x of their own."""
    size, shifts = (32, 96), np.arange(-MIDDLE.reach, MIDDLE.reach + 1)
    x = np.tile(np.repeat(off, 12 // len(off)), 4)[:, None, None]
    values = np.exp(-0.5 * ((shifts[None, None, :] - x) ** 2 + shifts[None, :, None] ** 2) / 1.2**2)
    return Surfaces(np.eye(3), np.eye(3), size, values.astype(np.float32), np.ones(48), 1.0, 1.0, MIDDLE)


def test_a_transform_leans_on_an_object_that_fits_elsewhere():
    assert leaning(answering([1.0]), "homography") < 0.05  # all agree on a shift
    near = leaning(answering([0.0, 0.0, 2.0]), "similarity")
    assert near > 2 * leaning(answering([0.0, 0.0, 0.5]), "similarity") > 0.2
    assert leaning(answering([0.0, 0.0, 2.0]), "translation") > 0.3


def test_a_tall_view_is_cut_into_upper_middle_and_lower_thirds():
    seen = answering([0.0, 0.0, 2.0])
    turned = Surfaces(
        seen.matrix,
        seen.grid,
        (96, 32),
        seen.values.reshape(4, 12, 9, 9).transpose(1, 0, 3, 2).reshape(48, 9, 9),
        seen.energy,
        1.0,
        1.0,
        MIDDLE,
    )
    assert abs(leaning(turned, "homography") - leaning(seen, "homography")) < 0.05
