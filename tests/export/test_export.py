"""Exported files: equal to the library, any size, sealed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.export import export_weights, standalone
from fusejax.inference.fuser import Fuser
from fusejax.models.config import CrossFuseConfig, FusionNetConfig, LightConfig
from fusejax.models.networks import build
from fusejax.weights.files import save_weights

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

SMALL = {
    "light": LightConfig(width=6, blocks=1),
    "fusionnet": FusionNetConfig(
        widths=(4, 6, 6), attention_width=6, alpha_width=4, channel_gate=True, image_space_alpha=True
    ),
    "crossfuse": CrossFuseConfig(width=8, heads=4, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Files of small networks whose parameters have all left their start."""
    rng, folder, files = np.random.default_rng(1), tmp_path_factory.mktemp("weights"), {}
    for name, config in SMALL.items():
        image = jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
        shapes = jax.eval_shape(build(config).init, jax.random.key(0), image, image)["params"]
        params = jax.tree.map(lambda x: 0.15 * rng.standard_normal(x.shape).astype(np.float32), shapes)
        files[name] = folder / f"{name}.safetensors"
        save_weights(files[name], params, config, {})
    return files


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_onnx_equals_the_library_at_every_size(weights, tmp_path, name):
    out = tmp_path / "model.onnx"
    metadata = export_weights(weights[name], out, format="onnx")
    assert metadata["largest_difference"] < 1e-5
    library, exported, rng = Fuser.load(weights[name]), Fuser.load(out), np.random.default_rng(0)
    for h, w in ((1, 1), (1, 5), (9, 16)):
        ir, vi = (rng.random((2, h, w, 1), np.float32) for _ in range(2))
        np.testing.assert_allclose(exported.fuse_luma(ir, vi), library.fuse_luma(ir, vi), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_stablehlo_equals_the_library(weights, tmp_path, name):
    metadata = export_weights(weights[name], tmp_path / "m.stablehlo", format="stablehlo")
    assert metadata["largest_difference"] < 1e-5


@pytest.mark.slow
def test_color_half_precision_and_fixed_size(weights, tmp_path):
    out = tmp_path / "model.onnx"
    options = {"format": "onnx", "size": (10, 14), "precision": "float16", "color": True}
    assert 0 < export_weights(weights["light"], out, **options)["largest_difference"] < 2 / 255
    image = np.zeros((11, 14), np.uint8)
    with pytest.raises(ValueError, match="for 14x10"):
        Fuser.load(out).fuse(image, image)


@pytest.mark.slow
def test_a_changed_byte_is_refused(weights, tmp_path):
    out = tmp_path / "model.onnx"
    export_weights(weights["light"], out, format="onnx")
    data = bytearray(out.read_bytes())
    data[len(data) // 3] ^= 1
    out.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        standalone.verify(out)
