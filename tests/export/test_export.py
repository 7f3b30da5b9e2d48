"""Exported files: equal to the library, for any size, with a checksum."""

import functools
import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fusejax
from fusejax.export import export_weights, exporting
from fusejax.export.exporting import LIMITS
from fusejax.export.promise import check_file
from fusejax.inference import Fuser, standalone
from fusejax.models.config import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig
from fusejax.models.networks import NETWORKS, build
from fusejax.weights.files import load_weights, save_weights

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

SMALL = {
    "light": LightConfig(width=6, blocks=1),
    "light variant": LightConfig(width=6, blocks=1, depthwise=True, coarse_cell=8),
    "angularfuse": AngularFuseConfig(widths=(4, 8), heads=None, residual_blocks=1),
    "fusionnet": FusionNetConfig(
        widths=(4, 6, 6), attention_width=6, alpha_width=4, channel_gate=True, image_space_alpha=True
    ),
    "crossfuse": CrossFuseConfig(width=8, heads=4, encoder_blocks=1, decoder_blocks=1, coupling_layers=1),
}
# Shipped weights, one of each network; the others differ in width, depth or values only.
EXPORTED = ("angularfuse", "crossfuse_small", "fusionnet_small", "light")
# A StableHLO program is compiled again for every size.
SIZES = {"onnx": ((1, 1), (1, 5), (9, 16), (311, 513)), "stablehlo": ((1, 1), (311, 513))}


def draw_params(config, scale=0.15):
    """Parameters that have all moved away from their initial values; for larger ones see
    test_forms.py.
    """
    rng, image = np.random.default_rng(1), jax.ShapeDtypeStruct((1, 16, 16, 1), jnp.float32)
    shapes = jax.eval_shape(build(config).init, jax.random.key(0), image, image)["params"]
    return jax.tree.map(lambda x: scale * rng.standard_normal(x.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder, files = tmp_path_factory.mktemp("weights"), {}
    for name, config in SMALL.items():
        files[name] = folder / f"{name}.safetensors"
        save_weights(files[name], draw_params(config), config, {})
    return files


@pytest.fixture(scope="module")
def exported(weights, tmp_path_factory):
    """The file of a small network in a format, written once, and its metadata."""

    @functools.cache
    def write(name, format):
        out = tmp_path_factory.mktemp("exported") / f"model.{format}"
        return out, export_weights(weights[name], out, format=format)

    return write


@pytest.fixture(scope="module")
def fused_by_library(weights):
    """What the library gives for a pair of a size, computed once for all formats."""
    load = functools.cache(lambda name: fusejax.load(weights[name]))
    return functools.cache(lambda name, size: load(name).fuse_luma(*random_pair(size)))


def random_pair(size):
    return np.random.default_rng(size).random((2, 1, *size, 1), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "stablehlo"])
@pytest.mark.parametrize("name", SMALL)
def test_files_equal_the_library_at_every_size(exported, fused_by_library, name, format):
    file, metadata = exported(name, format)
    assert metadata["largest_difference"] < 1e-5
    standing_alone = fusejax.load(file)
    for size in SIZES[format]:
        fused = standing_alone.fuse_luma(*random_pair(size))
        np.testing.assert_allclose(fused, fused_by_library(name, size), atol=1e-5, err_msg=str(size))


def test_every_kind_of_network_is_exported_below():
    assert {type(load_weights(name)[1]) for name in EXPORTED} == set(NETWORKS)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "stablehlo", "safetensors"])
@pytest.mark.parametrize("name", EXPORTED)
def test_shipped_weights_can_be_exported(tmp_path, name, format, say):
    out = tmp_path / f"{name}.{format}"
    metadata = export_weights(name, out, format=format)
    parameters = 4 * sum(x.size for x in jax.tree.leaves(load_weights(name)[0]))
    say(f"{name}.{format}: {metadata['largest_difference']:.1e}, {out.stat().st_size / parameters:.2f} of the size")
    assert metadata["name"] == name and metadata["version"] == fusejax.__version__ and metadata["card"]
    assert metadata["largest_difference"] < 1e-5
    # With as few parameters as in `crossfuse_small` (63 kB), graph and card take more space.
    assert out.stat().st_size < (1.2 * parameters if parameters > 150_000 else parameters + 64_000)
    if format == "stablehlo":  # no paths of this machine's files
        with zipfile.ZipFile(out) as archive:
            assert not any(b"fusejax/" in archive.read(name) for name in archive.namelist())


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "stablehlo", "safetensors"])
def test_half_precision_stays_within_two_levels(weights, tmp_path, format):
    out = tmp_path / f"light.{format}"
    assert 0 < export_weights(weights["light"], out, format=format, precision="float16")["largest_difference"] < 2 / 255
    rng = np.random.default_rng(2)
    ir, vi = (rng.random((1, 40, 56, 1), np.float32) for _ in range(2))
    difference = np.abs(fusejax.load(out).fuse_luma(ir, vi) - fusejax.load(weights["light"]).fuse_luma(ir, vi)).max()
    assert 0 < difference < LIMITS["float16"]
    if format == "stablehlo":
        with zipfile.ZipFile(out) as archive:
            program = jax.export.deserialize(bytearray(archive.read(standalone.PROGRAM)))
        assert "xf16>" in program.mlir_module(), "weights are stored in half of the bytes"


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "stablehlo"])
def test_color_and_fixed_size(weights, tmp_path, format):
    out = tmp_path / f"model.{format}"
    export_weights(weights["light"], out, format=format, size=(10, 14), color=True)
    rng = np.random.default_rng(3)
    ir, vi = rng.integers(0, 256, (10, 14), np.uint8), rng.integers(0, 256, (10, 14, 3), np.uint8)
    difference = fusejax.load(out).fuse(ir, vi).astype(int) - fusejax.load(weights["light"]).fuse(ir, vi)
    assert np.abs(difference).max() <= 1
    image = np.zeros((11, 14), np.uint8)
    with pytest.raises(ValueError, match="for 14x10"):
        fusejax.load(out).fuse(image, image)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "stablehlo"])
def test_strength_is_an_input_that_does_what_the_option_does(weights, exported, tmp_path, format):
    out = tmp_path / f"model.{format}"
    metadata = export_weights(weights["light"], out, format=format, color=True, strength_input=True)
    assert metadata["strength_input"]
    run, library = standalone.open_program(out, standalone.verify(out)), fusejax.load(weights["light"])
    rng = np.random.default_rng(4)
    ir, vi = rng.random((1, 13, 18, 1), np.float32), rng.random((1, 13, 18, 3), np.float32)
    for strength in (0.0, 0.4, 1.0, 2.0):
        expected = library.fuse(ir, vi, ir_range="full", strength=strength)
        np.testing.assert_allclose(run(ir, vi, strength), expected, atol=1e-4)
    np.testing.assert_allclose(run(ir, vi, 0.0), vi, atol=1e-4)
    np.testing.assert_array_equal(run(ir, vi), run(ir, vi, 1.0))
    np.testing.assert_allclose(fusejax.load(out).fuse(ir, vi, ir_range="full"), run(ir, vi), atol=1e-4)
    assert "takes a strength" in check_file(out)[0]
    plain, without = exported("light", format)
    assert not without["strength_input"]
    with pytest.raises(ValueError, match="takes no strength; export it with --strength-input"):
        standalone.open_program(plain, without)(ir, ir, 0.5)


@pytest.mark.slow
def test_runtimes_may_leave_the_strength_out(weights, tmp_path):
    """ONNX: an input with a default, so programs that feed two inputs go on as they are."""
    import onnxruntime

    out = tmp_path / "model.onnx"
    export_weights(weights["light"], out, format="onnx", strength_input=True)
    session = onnxruntime.InferenceSession(out.read_bytes(), providers=["CPUExecutionProvider"])
    ir, vi = random_pair((9, 16)).transpose(0, 1, 4, 2, 3)
    (plain,) = session.run(["fused"], {"ir": ir, "vi": vi})
    (same,) = session.run(["fused"], {"ir": ir, "vi": vi, "strength": np.array(1, np.float32)})
    (half,) = session.run(["fused"], {"ir": ir, "vi": vi, "strength": np.array(0.5, np.float32)})
    np.testing.assert_array_equal(plain, same)
    np.testing.assert_allclose(half, (plain + vi) / 2, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "stablehlo", "safetensors"])
def test_a_changed_byte_is_refused(exported, tmp_path, format):
    out, whole = tmp_path / f"model.{format}", exported("light", format)[0].read_bytes()
    for place in (len(whole) // 3, len(whole) - 8):
        data = bytearray(whole)
        data[place] ^= 1
        out.write_bytes(data)
        with pytest.raises(ValueError, match="damaged"):
            fusejax.load(out)


@pytest.mark.slow
def test_weights_as_a_file_keep_their_origin(weights, tmp_path):
    out = tmp_path / "copy.safetensors"
    metadata = export_weights(weights["light"], out, format="safetensors")
    params, config, about = load_weights(out)
    assert about == metadata | {"largest_difference": 0.0} and config == SMALL["light"]
    jax.tree.map(np.testing.assert_array_equal, params, draw_params(SMALL["light"]))
    with pytest.raises(FileExistsError):
        export_weights(weights["light"], out, format="safetensors")
    with pytest.raises(ValueError, match="parameters only"):
        export_weights(weights["light"], tmp_path / "b.safetensors", format="safetensors", color=True)
    with pytest.raises(ValueError, match="parameters only"):
        export_weights(weights["light"], tmp_path / "b.safetensors", format="safetensors", strength_input=True)


@pytest.mark.parametrize(
    ("precision", "error", "kept"),
    [("float32", 5e-5, True), ("float32", 2e-4, False), ("float16", 7e-3, True), ("float16", 9e-3, False)],
)
def test_a_file_that_differs_by_more_than_its_limit_leaves_the_older_one(
    weights, tmp_path, monkeypatch, precision, error, kept
):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        exporting, "_random_pairs", lambda size, color: [tuple(rng.random((2, 1, 8, 8, 1), np.float32))]
    )
    exact = Fuser.load(weights["light"])
    fused = lambda path, pairs: [exact.fuse(*pair, ir_range="full") + np.float32(error) for pair in pairs]  # noqa: E731
    monkeypatch.setattr(exporting, "_fused_by_weights", fused)
    out = tmp_path / "a.safetensors"
    out.write_text("older")
    options = {"format": "safetensors", "precision": precision, "overwrite": True}
    if kept:
        assert export_weights(weights["light"], out, **options)["largest_difference"] == pytest.approx(error, rel=0.02)
        _, config, about = load_weights(out)
        assert type(config) is LightConfig and about["largest_difference"] == pytest.approx(error, rel=0.02)
    else:
        with pytest.raises(ValueError, match=rf"differs from the library by {error:.1g}.*; it was not kept"):
            export_weights(weights["light"], out, **options)
        assert out.read_text() == "older"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.slow
def test_a_program_runs_on_every_platform(exported):
    file, _ = exported("light", "stablehlo")
    with zipfile.ZipFile(file) as archive:
        program = jax.export.deserialize(bytearray(archive.read(standalone.PROGRAM)))
    assert program.platforms == ("cpu", "cuda", "tpu")


@pytest.mark.slow
def test_a_file_of_another_origin_is_refused(exported, tmp_path):
    file, _ = exported("light", "onnx")
    metadata = standalone.verify(file)
    assert json.dumps(metadata)  # plain values only
    renamed = tmp_path / "model.stablehlo"
    renamed.write_bytes(file.read_bytes())
    with pytest.raises(ValueError, match="not written by fusejax export"):
        fusejax.load(renamed)
