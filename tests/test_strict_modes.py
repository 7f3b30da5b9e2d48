"""JAX's strict modes, which users set for their own code, do not stop the library."""

import jax
import numpy as np
import pytest
from fusing import network_and_params

import fusejax
from fusejax.losses import TERMS
from fusejax.metrics import evaluate
from fusejax.metrics.evaluation import defined_metrics
from fusejax.models import NETWORKS


@pytest.fixture
def strict():
    with jax.numpy_rank_promotion("raise"), jax.debug_nans(True):
        yield


@pytest.fixture
def pair(rng):
    return rng.random((2, 24, 24, 1), np.float32), rng.random((2, 24, 24, 1), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("config", NETWORKS)
def test_networks_fuse_in_strict_modes(config, pair, strict):
    del strict
    with jax.numpy_rank_promotion("allow"):
        params = network_and_params(config())[1]
    assert np.isfinite(fusejax.Fuser(params, config()).fuse_luma(*pair)).all()


@pytest.mark.slow
def test_flat_images_are_scored_in_strict_modes(pair, strict):
    del strict
    flat = np.full((24, 24), 7, np.uint8)
    for convention in ("exact", "vifb"):
        scores = evaluate(flat, flat, flat, convention=convention, metrics=defined_metrics(convention))
        assert np.isnan([float(value) for value in scores.values()]).any()


@pytest.mark.parametrize(
    "name",
    ["ssim", "joint_gradient", "direction_aware_gradient", "scd", pytest.param("vif", marks=pytest.mark.slow), "qabf"],
)
def test_losses_are_computed_in_strict_modes(name, pair, strict):
    del strict
    ir, vi_y = pair
    assert np.isfinite(TERMS[name](ir * 0.5 + vi_y * 0.5, ir, vi_y)).all()
