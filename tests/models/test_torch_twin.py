"""Networks in JAX against independent PyTorch versions with the same weights."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from fusing import random_params

from fusejax.models import AngularFuseConfig, LightConfig, build

torch = pytest.importorskip("torch", reason="PyTorch (extra `bench`) is not installed")
from benchmarks.torch_light_twin import LightTwin  # noqa: E402 - needs torch
from benchmarks.torch_twin import UFuser, load_flat  # noqa: E402 - needs torch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("widths", "heads", "size"),
    [((8, 16), 8, (22, 38)), ((8, 16, 16), None, (20, 36)), ((8, 16, 32, 32), 8, (40, 24))],
)
def test_agrees_with_the_twin(widths, heads, size):
    model = build(AngularFuseConfig(widths=widths, heads=heads))
    assert_equal(model, UFuser(widths, heads), size, seed=len(widths))


@pytest.mark.parametrize(
    ("cell", "width", "blocks", "size"), [(4, 6, 1, (20, 36)), (2, 4, 2, (16, 10)), (4, 24, 3, (40, 24))]
)
def test_light_agrees_with_its_twin(cell, width, blocks, size):
    model = build(LightConfig(cell=cell, width=width, blocks=blocks))
    assert_equal(model, LightTwin(cell, width, blocks), size, seed=blocks)


def assert_equal(model, twin, size, seed):
    params = random_params(model, seed)
    load_flat(twin, flatten_dict(params, sep="/"))
    ir, vi_y = np.random.default_rng(1).random((2, 2, *size, 1), dtype=np.float32)
    with torch.no_grad():
        expected = twin(*(torch.from_numpy(x).permute(0, 3, 1, 2) for x in (ir, vi_y))).permute(0, 2, 3, 1).numpy()
    fused_y = jax.jit(model.apply)({"params": params}, ir, vi_y)
    assert expected.std() > 5e-3  # an output that does not vary would prove nothing
    np.testing.assert_allclose(fused_y, expected, atol=1e-5)  # float32 sums in another order, values in (0, 1)


@pytest.mark.parametrize(("twin", "count"), [(UFuser, 1_517_657), (LightTwin, 40_997)])
def test_parameters_of_the_twins_are_as_many(twin, count):
    assert sum(p.numel() for p in twin().parameters()) == count
