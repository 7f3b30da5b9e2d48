"""Values at limits, where a missing epsilon, clip or option would be noticed."""

import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.losses import (
    ObjectiveConfig,
    Progress,
    RegionConfig,
    TermConfig,
    channel_correlation,
    evaluate_objective,
    maximum_intensity_loss,
)
from fusejax.ops.numerics import quantize, to_levels


def maps(*values):
    return jnp.asarray(values, jnp.float32).reshape(1, 1, -1, 1)


def test_correlation_of_nearly_flat_maps_fades_to_zero():
    """|a'| |b'| = 2e-8 is below the published epsilon, 1.2e-7: <a', b'> / (eps + 2e-8) = 0.14."""
    faint = maps(1e-4, -1e-4)
    np.testing.assert_allclose(channel_correlation(faint, faint), 2e-8 / (2e-8 + np.finfo(np.float32).eps), rtol=1e-4)


def test_correlation_stays_within_one_and_is_zero_for_single_pixels():
    values = jnp.asarray(np.random.default_rng(0).random((64, 3, 5, 4)) * 1e4, jnp.float32)
    assert (channel_correlation(values, values) <= 1.0).all()
    assert (channel_correlation(values, -values) >= -1.0).all()
    np.testing.assert_array_equal(channel_correlation(maps(0.3), maps(0.8)), 0.0)


def test_quantize_rounds_to_the_nearest_level():
    """Float images: 0.7 of a level above n is n + 1, 0.3 is n."""
    x = jnp.asarray([[[[10.7 / 255], [10.3 / 255], [254.8 / 255], [0.4 / 255]]]], jnp.float32)
    np.testing.assert_array_equal(to_levels(quantize(x))[0, 0], [11, 10, 255, 0])


@pytest.mark.slow
def test_the_soft_edge_of_the_regions_reaches_the_loss():
    """Errors just outside a box count with a soft edge and do not without one."""
    outside = jnp.zeros((1, 12, 12, 1)).at[:, :, 8:].set(0.5)
    dark = jnp.zeros_like(outside)
    given = {
        "fused_y": outside,
        "ir": dark,
        "vi_y": dark,
        "boxes": jnp.asarray([[[1.0, 1.0, 6.0, 11.0]]]),
        "boxes_valid": jnp.ones((1, 1), bool),
    }

    def total(sigma):
        terms = (TermConfig("target_aware"),)
        config = ObjectiveConfig(terms, regions=RegionConfig(soft_edge_sigma=sigma))
        return float(evaluate_objective(config, given, Progress(0, 0, 1.0))[0][0])

    assert total(0.0) == 0.0
    assert total(1.5) > 1e-3


def test_maximum_intensity_pulls_to_the_brighter_source():
    ir, vi_y = jnp.full((1, 2, 2, 1), 0.75), jnp.full((1, 2, 2, 1), 0.25)
    np.testing.assert_array_equal(maximum_intensity_loss(ir, ir, vi_y), 0.0)
    np.testing.assert_array_equal(maximum_intensity_loss(vi_y, ir, vi_y), 0.5)
    np.testing.assert_array_equal(maximum_intensity_loss(vi_y, vi_y, ir), 0.5)
