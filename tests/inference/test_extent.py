"""Array content beyond the image has no effect, for every network and border."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusing import network_and_params

from fusejax.inference.extent import apply_within, extension_index
from fusejax.models import NETWORKS, AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig

# Small ones, for speed; networks that are missing here are tested with their defaults.
SMALL = {
    AngularFuseConfig: AngularFuseConfig(widths=(4, 8), heads=2, residual_blocks=1, remat="full"),
    CrossFuseConfig: CrossFuseConfig(width=4, heads=2, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
    FusionNetConfig: FusionNetConfig(widths=(4, 4), attention_width=4, alpha_width=4, channel_gate=True, gate_width=4),
    LightConfig: LightConfig(width=4, blocks=1),
}


def small(kind):
    """A small configuration of a kind of network."""
    return SMALL.get(kind) or kind()


@pytest.mark.slow
@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
def test_the_result_is_that_of_the_image_alone(kind):
    model, params = network_and_params(small(kind))
    within = jax.jit(lambda *a, extent: apply_within(model, params, *a, extent=extent)[0])
    alone = jax.jit(model.apply)
    for h, w in [(21, 30), (12, 1)]:
        ir, vi_y = jnp.asarray(np.random.default_rng(h).random((2, 1, h, w, 1), dtype=np.float32))
        rows, columns = (extension_index(side, model.multiple, 32) for side in (h, w))
        arrays = [x[:, rows][:, :, columns] for x in (ir, vi_y)]
        extent = np.int32([-(-side // model.multiple) * model.multiple for side in (h, w)])
        fused = within(*arrays, extent=extent)[:, :h, :w]
        np.testing.assert_allclose(fused, alone({"params": params}, ir, vi_y), atol=2e-6)


def test_extension_reflects_up_to_the_multiple_and_repeats_from_there():
    np.testing.assert_array_equal(extension_index(5, 4, 10), [0, 1, 2, 3, 4, 3, 2, 1, 1, 1])
    np.testing.assert_array_equal(extension_index(1, 4, 5), [0] * 5)
