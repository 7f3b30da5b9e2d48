"""`fusejax fuse` end to end on synthetic pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.cli.fuse import FuseOptions, fuse_command
from fusejax.cli.main import main
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.inference.fuser import Fuser
from fusejax.io.images import read_image, write_image
from fusejax.models import FusionNetConfig, build
from fusejax.weights.files import save_weights


@pytest.fixture(scope="module")
def fused(pairs, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("fused")
    fuse_command(FuseOptions(ir=pairs / "ir", vi=pairs / "vi", out=out, weights=weights, panel=True))
    return out


@pytest.mark.slow
def test_a_folder_equals_its_images_one_by_one(pairs, weights, fused):
    names = sorted(p.name for p in (pairs / "vi").iterdir())
    assert sorted(p.name for p in fused.glob("*.png")) == names
    fuser = Fuser.load(weights)
    for name in names:
        alone = fuser.fuse(read_image(pairs / "ir" / name), read_image(pairs / "vi" / name))
        np.testing.assert_array_equal(read_image(fused / name), alone)
    panel = read_image(fused / "panels" / names[0])
    assert panel.shape[1] == 4 * 48 + 3 * 4
    assert panel.shape[0] > 40


def test_two_files_keep_stem_depth_and_lossless_format(pairs, weights, tmp_path):
    ir, vi = pairs / "ir" / "day_000000.png", read_image(pairs / "vi" / "day_000000.png")
    write_image(tmp_path / "deep.tif", vi.astype(np.uint16) * 257)
    write_image(tmp_path / "photo.jpg", vi)
    for name, expected, dtype in (("deep.tif", "deep.tif", np.uint16), ("photo.jpg", "photo.png", np.uint8)):
        (path,) = fuse_command(FuseOptions(ir=ir, vi=tmp_path / name, out=tmp_path / "out", weights=weights))
        assert path.name == expected
        assert read_image(path).dtype == dtype
        assert read_image(path).shape == vi.shape


def test_nothing_is_overwritten_unless_asked(pairs, weights, fused):
    before = {p: p.read_bytes() for p in fused.glob("*.png")}
    with pytest.raises(FileExistsError, match=r"3 fused images already exist.*--skip-existing.*--overwrite"):
        fuse_command(FuseOptions(ir=pairs / "ir", vi=pairs / "vi", out=fused, weights=weights))
    assert before == {p: p.read_bytes() for p in fused.glob("*.png")}


def test_sizes_that_differ_are_refused_or_resampled(pairs, weights, tmp_path):
    write_image(tmp_path / "ir" / "a.png", np.full((20, 24), 90, np.uint8))
    write_image(tmp_path / "vi" / "a.png", read_image(pairs / "vi" / "day_000000.png"))
    given = {"ir": tmp_path / "ir", "vi": tmp_path / "vi", "weights": weights}
    with pytest.raises(ValueError, match=r"a\.png is 24x20 but .*a\.png is 48x40(?s:.*)--resize ir"):
        fuse_command(FuseOptions(out=tmp_path / "o", **given))
    assert not (tmp_path / "o").exists()
    (path,) = fuse_command(FuseOptions(out=tmp_path / "o", resize="ir", **given))
    assert read_image(path).shape == (40, 48, 3)


def test_missing_partners_and_mixed_arguments_are_named(pairs, weights, tmp_path):
    write_image(tmp_path / "vi" / "other.png", np.zeros((8, 8, 3), np.uint8))
    write_image(tmp_path / "vi" / "night_000001.png", np.zeros((40, 48, 3), np.uint8))
    with pytest.raises(ValueError, match=r"day_000000\.png has no visible partner"):
        fuse_command(FuseOptions(ir=pairs / "ir", vi=tmp_path / "vi", out=tmp_path / "o", weights=weights))
    other = tmp_path / "vi" / "other.png"
    with pytest.raises(ValueError, match="give two files, or two folders"):
        fuse_command(FuseOptions(ir=pairs / "ir", vi=other, out=tmp_path / "o", weights=weights))


@pytest.mark.slow
def test_maps_are_written_with_their_scale_and_refused_where_there_are_none(tmp_path, capsys):
    config = FusionNetConfig(widths=(4, 4), attention_width=4, alpha_width=4)
    pair = jnp.zeros((1, 8, 8, 1))
    params = jax.jit(build(config).init)(jax.random.key(0), pair, pair)["params"]
    noise = np.random.default_rng(0)
    params = jax.tree.map(lambda x: x + 0.3 * noise.standard_normal(x.shape, dtype=np.float32), params)
    save_weights(tmp_path / "w.safetensors", params, config, {})
    write_synthetic_folder(tmp_path / "set", count=1, size=(48, 64))
    folders = ["--ir", str(tmp_path / "set" / "ir"), "--vi", str(tmp_path / "set" / "vi")]
    main(["fuse", *folders, "--out", str(tmp_path / "out"), "--weights", str(tmp_path / "w.safetensors"), "--maps"])
    (stem,) = (p.stem for p in (tmp_path / "out").glob("*.png"))
    maps = tmp_path / "out" / "maps"
    assert {p.name for p in maps.iterdir()} == {f"{stem}{s}.png" for s in ("", "_alpha", "_w_ir", "_w_vi")}
    for name in ("alpha", "w_ir", "w_vi"):
        image = read_image(maps / f"{stem}_{name}.png")
        assert image.shape == (48, 64, 3)
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 3  # colors of a map that varies
    with pytest.raises(SystemExit):
        main(["fuse", *folders, "--out", str(tmp_path / "other"), "--maps"])
    assert "Light has no maps; networks that have: AngularFuse, CrossFuse, FusionNet." in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
