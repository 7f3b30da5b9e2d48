"""A network that combines pixels in an unknown way is never padded or cut."""

import dataclasses
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusing import random_params

from fusejax.export import export_weights
from fusejax.inference import Fuser
from fusejax.inference.extent import apply_within, spatial_problem, without_remat
from fusejax.models import NETWORKS, build
from fusejax.models.layers import GlobalMean
from fusejax.weights.files import save_weights

IMAGE = jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)


@dataclasses.dataclass(frozen=True)
class PlainConfig:
    """Settings of `Plain`: `op` is what it does between two convolutions."""

    op: str = "nothing"
    width: int = 4


class Plain(nn.Module):
    """Two ordinary convolutions, as a newcomer writes them."""

    config: PlainConfig
    provides: ClassVar[tuple[str, ...]] = ("fused_y",)
    multiple: int = 1

    @nn.compact
    def __call__(self, ir, vi_y):
        x = nn.relu(nn.Conv(self.config.width, (3, 3), name="first")(jnp.concatenate([ir, vi_y], axis=-1)))
        x = OPERATIONS[self.config.op](x)
        return nn.sigmoid(nn.Conv(1, (5, 5), name="last")(x))

    def outputs(self, ir, vi_y):
        return {"fused_y": self(ir, vi_y)}


OPERATIONS = {
    "nothing": lambda x: x,
    "known mean": lambda x: x + GlobalMean(name="mean")(x),
    "layer norm": lambda x: nn.LayerNorm(name="norm")(x),  # noqa: PLW0108 - made inside
    "channel attention": lambda x: x * nn.softmax(x, axis=-1),
    # Everything below combines pixels.
    "mean": lambda x: x + x.mean(axis=(1, 2), keepdims=True),
    "norm of the image": lambda x: nn.GroupNorm(num_groups=2, name="norm")(x),  # noqa: PLW0108 - made inside
    "pooling": lambda x: nn.max_pool(x, (3, 3), padding="SAME"),
    "reflection": lambda x: nn.Conv(4, (3, 3), padding="REFLECT", name="reflected")(x),  # noqa: PLW0108 - made inside
    "stride": lambda x: nn.ConvTranspose(4, (2, 2), (2, 2), name="up")(nn.Conv(4, (3, 3), (2, 2), name="down")(x)),
    "shift": lambda x: x + jnp.roll(x, 2, axis=1),
    "cumulative": lambda x: x + 0.01 * jnp.cumsum(x, axis=2),
    "position": lambda x: x * (jnp.arange(x.shape[1])[:, None, None] / x.shape[1]),
    "attention of pixels": lambda x: (
        nn.softmax(jnp.einsum("bhwc,bijc->bhwij", x, x).reshape(*x.shape[:3], -1)) @ x.reshape(x.shape[0], 1, -1, 4)
    ),
}
LOCAL = ("nothing", "known mean", "layer norm", "channel attention")


@pytest.fixture(autouse=True)
def registered(monkeypatch, unchecked):
    monkeypatch.setitem(NETWORKS, PlainConfig, Plain)


def shapes_of(model):
    return jax.eval_shape(model.init, jax.random.key(0), IMAGE, IMAGE)["params"]


@pytest.mark.parametrize("kind", NETWORKS, ids=lambda kind: kind.__name__)
@pytest.mark.slow
def test_every_network_of_the_library_may_be_padded_and_cut(kind):
    model = build(without_remat(kind()))
    assert spatial_problem(model, shapes_of(model)) is None


@pytest.mark.parametrize("op", OPERATIONS)
def test_operations_on_many_pixels_are_found(op):
    model = build(PlainConfig(op))
    problem = spatial_problem(model, shapes_of(model))
    assert (problem is None) == (op in LOCAL), problem


@pytest.mark.slow
@pytest.mark.parametrize("op", ["nothing", "known mean", "mean", "reflection"])
def test_a_plain_network_fuses_the_same_in_every_way_or_is_refused_by_name(op):
    """Padding it as if it were local is wrong by many gray levels."""
    config = PlainConfig(op)
    model = build(config)
    params = random_params(model, 0)
    ir, vi_y = np.random.default_rng(0).random((2, 1, 75, 70, 1), np.float32)
    exact = np.asarray(jax.jit(model.apply)({"params": params}, ir, vi_y))
    assert np.ptp(exact) > 0.05
    np.testing.assert_allclose(Fuser(params, config).fuse_luma(ir, vi_y), exact, atol=2e-6)
    tiled = Fuser(params, config, tile=16)
    if op in LOCAL:
        np.testing.assert_allclose(tiled.fuse_luma(ir, vi_y), exact, atol=1 / 255)
        return
    with pytest.raises(ValueError, match=r"Plain cannot be fused in tiles, because of (reduce_sum|slice) over pixels"):
        tiled.fuse_luma(ir, vi_y)
    with pytest.raises(ValueError, match="Plain cannot run on an array that holds more or less than the image"):
        apply_within(model, params, jnp.asarray(ir), jnp.asarray(vi_y), extent=jnp.array([60, 60]))


def test_an_export_without_a_writer_says_what_is_missing(tmp_path):
    pytest.importorskip("onnx")
    model = build(PlainConfig())
    save_weights(tmp_path / "w.safetensors", random_params(model, 0), PlainConfig(), {})
    with pytest.raises(ValueError, match=r"PlainConfig has no ONNX writer.*WRITERS.*stablehlo"):
        export_weights(tmp_path / "w.safetensors", tmp_path / "w.onnx", format="onnx")
    assert not (tmp_path / "w.onnx").exists()
