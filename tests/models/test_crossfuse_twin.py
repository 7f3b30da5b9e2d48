"""CrossFuse's network against an independent PyTorch version, and the import of its checkpoints."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_crossfuse import SMALL, count, features, luma

from fusejax.cli.main import main
from fusejax.models import CrossFuseConfig, build
from fusejax.models.crossfuse import Decoder, Encoder, LongScale, RestormerBlock, ShortScale
from fusejax.weights.files import load_weights
from fusejax.weights.torch_import import crossfuse_from_torch

torch = pytest.importorskip("torch", reason="PyTorch (extra `bench`) is not installed")
import crossfuse_twin as twins  # noqa: E402 - needs torch


def nchw(x):
    return torch.from_numpy(np.array(x)).permute(0, 3, 1, 2)


def nhwc(x):
    return x.permute(0, 2, 3, 1).numpy()


@pytest.fixture(scope="module")
def imported():
    """A twin with random weights, and the same weights read through the importer."""
    twin = twins.randomize(twins.Twin(SMALL), seed=1)
    checkpoint = {m: {k: v.numpy() for k, v in t.items()} for m, t in twin.checkpoint().items()}
    params, config = crossfuse_from_torch(checkpoint)
    assert config == SMALL
    return twin, jax.tree.map(jnp.asarray, params)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(7, 9), (12, 5)])
def test_every_block_agrees_with_the_twin(imported, size):
    twin, params = imported
    x = features((2, *size, 8))
    encoder, decoder = twin.DIDF_Encoder, twin.DIDF_Decoder
    blocks = [
        (RestormerBlock(SMALL), params["encoder"]["block1"], encoder.encoder_level1[0]),
        (RestormerBlock(SMALL), params["decoder"]["block2"], decoder.encoder_level2[1]),
        (LongScale(SMALL), params["encoder"]["base"], encoder.baseFeature),
        (LongScale(SMALL), params["base_fusion"], twin.BaseFuseLayer),
        (ShortScale(2), params["encoder"]["detail"], encoder.detailFeature),
        (ShortScale(1), params["detail_fusion"], twin.DetailFuseLayer),
    ]
    with torch.no_grad():
        for module, own, theirs in blocks:
            expected = nhwc(theirs(nchw(x)))
            assert np.abs(expected - x).max() > 0.1
            np.testing.assert_allclose(module.apply({"params": own}, x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [(7, 9), (12, 5), (33, 18)])
def test_network_agrees_with_the_twin(imported, size):
    twin, params = imported
    ir, vi_y = luma(size, seed=3), luma(size, seed=4)
    with torch.no_grad():
        base, detail = twin.DIDF_Encoder(nchw(ir))
        rebuilt = nhwc(twin.DIDF_Decoder(base, detail, nchw(ir)))
        fused_y = nhwc(twin(nchw(ir), nchw(vi_y)))
    got_base, got_detail = jax.jit(Encoder(SMALL).apply)({"params": params["encoder"]}, ir)
    np.testing.assert_allclose(got_base, nhwc(base), atol=1e-5, rtol=1e-5)
    np.testing.assert_allclose(got_detail, nhwc(detail), atol=1e-5, rtol=1e-5)
    got = jax.jit(Decoder(SMALL).apply)({"params": params["decoder"]}, got_base, got_detail, ir)
    np.testing.assert_allclose(got, rebuilt, atol=1e-5)
    assert fused_y.std() > 5e-3  # an output that does not vary would prove nothing
    np.testing.assert_allclose(jax.jit(build(SMALL).apply)({"params": params}, ir, vi_y), fused_y, atol=1e-5)


@pytest.mark.slow
def test_import_of_a_checkpoint_file_round_trips(imported, tmp_path, capsys):
    twin, params = imported
    torch.save(twin.checkpoint(), tmp_path / "author.pth")
    main(["import-torch", str(tmp_path / "author.pth"), "--out", str(tmp_path / "new" / "ours.safetensors")])
    loaded, config, _ = load_weights(tmp_path / "new" / "ours.safetensors")
    assert config == SMALL
    chex.assert_trees_all_equal(loaded, params)
    with pytest.raises(SystemExit):
        main(["import-torch", str(tmp_path / "author.pth"), "--out", str(tmp_path / "new" / "ours.safetensors")])
    assert "exists; use --overwrite" in capsys.readouterr().err


@pytest.mark.slow
def test_full_size_checkpoint_fits_the_default():
    twin = twins.Twin(CrossFuseConfig())
    checkpoint = {m: {k: v.numpy() for k, v in t.items()} for m, t in twin.checkpoint(prefix="").items()}
    params, config = crossfuse_from_torch(checkpoint)
    assert config == CrossFuseConfig() and count(params) == 1_188_272


def broken(twin, change):
    checkpoint = {m: {k: v.numpy() for k, v in t.items()} for m, t in twin.checkpoint().items()}
    change(checkpoint)
    return checkpoint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("BaseFuseLayer"), "lacks BaseFuseLayer"),
        (lambda c: c["DIDF_Decoder"].pop("module.output.2.weight"), "has no DIDF_Decoder.output.2.weight"),
        (
            lambda c: c["DIDF_Encoder"].update(extra=np.zeros(1)),
            "Unknown entries in the checkpoint: DIDF_Encoder.extra",
        ),
        (
            lambda c: c["BaseFuseLayer"].update({"module.attn.proj.weight": np.zeros((4, 8, 1, 1))}),
            "BaseFuseLayer.attn.proj.weight becomes",
        ),
        (
            lambda c: c["BaseFuseLayer"]["module.attn.proj.weight"].fill(np.nan),
            "BaseFuseLayer.attn.proj.weight holds values that are NaN or infinite",
        ),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused(imported, change, message):
    with pytest.raises(ValueError, match=message):
        crossfuse_from_torch(broken(imported[0], change))
