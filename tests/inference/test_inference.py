"""Fusing arrays: the output has the kind of the input; a pair's result depends only on the pair."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fusing import TINY, tiny_params

from fusejax.inference.fuser import Fuser
from fusejax.inference.pair_arrays import stretch_range
from fusejax.models import build
from fusejax.ops.extent import bucket
from fusejax.weights.files import load_weights, save_weights


@pytest.fixture(scope="module")
def params():
    return tiny_params()


@pytest.fixture(scope="module")
def fuser(params):
    return Fuser(params, TINY)


def pixels(seed, *shape, dtype=np.uint8):
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(9, 13), (9, 13, 1), (9, 13, 3)])
def test_shape_and_type_of_the_visible_come_back(fuser, dtype, shape):
    fused = fuser.fuse(pixels(0, 9, 13), pixels(1, *shape, dtype=dtype))
    assert fused.shape == shape
    assert fused.dtype == dtype


def test_floats_and_color_infrared_are_accepted(fuser):
    ir, vi = pixels(0, 9, 13), pixels(1, 9, 13, 3)
    as_float = fuser.fuse(ir / np.float32(255), vi / np.float32(255))
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(np.round(as_float * 255).astype(np.uint8), fuser.fuse(ir, vi))
    np.testing.assert_array_equal(fuser.fuse(np.repeat(ir[..., None], 3, axis=-1), vi), fuser.fuse(ir, vi))


@pytest.mark.slow
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 3), (33, 70)])
def test_any_size(fuser, size):
    assert fuser.fuse(pixels(0, *size), pixels(1, *size, 3)).shape == (*size, 3)


@pytest.mark.slow
def test_one_by_one_equals_a_batch(fuser):
    ir, vi = pixels(0, 5, 9, 13, 1) / np.float32(255), pixels(1, 5, 9, 13, 3) / np.float32(255)
    together = fuser.fuse(ir, vi)
    for n in range(5):
        np.testing.assert_allclose(fuser.fuse(ir[n], vi[n]), together[n], atol=1e-5)


@pytest.mark.slow
def test_the_array_around_an_image_does_not_show(fuser, params):
    ir, vi_y = (pixels(s, 1, 20, 35, 1) / np.float32(255) for s in (0, 1))
    assert (bucket(20), bucket(35)) == (32, 48)
    expected = jax.jit(build(TINY).apply)({"params": params}, ir, vi_y)
    np.testing.assert_allclose(fuser.fuse_luma(ir, vi_y), jnp.clip(expected, 0, 1), atol=1e-6)


def test_buckets_are_few_and_no_smaller_than_the_side():
    sides = np.arange(1, 2000)
    buckets = np.array([bucket(int(s)) for s in sides])
    assert np.all(buckets >= sides)
    assert np.all(np.diff(buckets) >= 0)
    assert np.all(buckets[255:] <= 1.5 * sides[255:])
    assert len(set(buckets)) <= 22


def test_real_sizes_share_few_compiled_functions(data_root):
    from fusejax.data.folders import PairFolder
    from fusejax.io.images import image_size

    sizes = [image_size(p.ir) for p in PairFolder(data_root / "roadscene" / "train").pairs]
    assert len(set(sizes)) > 100
    assert len({(bucket(h), bucket(w)) for h, w in sizes}) <= 10


def test_gray_visible_gives_the_same_luma_as_gray_rgb(fuser):
    ir, gray = pixels(0, 9, 13), pixels(1, 9, 13, 1)
    color = fuser.fuse(ir, np.repeat(gray, 3, axis=-1))
    assert np.abs(color.astype(int) - fuser.fuse(ir, gray)).max() <= 1  # luma weights sum to 1 within rounding
    assert np.ptp(color, axis=-1).max() <= 1


def test_stretch_is_off_unless_asked_for(fuser):
    ir, vi = 60 + pixels(0, 16, 16) // 2, 60 + pixels(1, 16, 16) // 2
    assert np.ptp(fuser.fuse(ir, vi)) < 255
    stretched = fuser.fuse(ir, vi, stretch=True)
    assert (stretched.min(), stretched.max()) == (0, 255)
    flat = np.full((1, 4, 4, 1), 0.3, np.float32)
    np.testing.assert_array_equal(stretch_range(flat), flat)


@pytest.mark.parametrize(
    ("ir", "vi", "message"),
    [
        (np.zeros((4, 6)), np.zeros((4, 5)), r"ir is 6x4 but vi is 5x4 \(width x height\); register the pair first"),
        (np.zeros((4, 4), int), np.zeros((4, 4)), "ir is int64; expected uint8, uint16 or float"),
        (np.zeros((4, 4)), np.zeros((4, 4, 2)), r"vi has shape \(4, 4, 2\); expected"),
        (np.zeros((4, 4)), np.full((4, 4), 255.0), r"vi has values from 255 to 255; floats must lie in \[0, 1\]"),
        (np.full((4, 4), np.nan), np.zeros((4, 4)), "ir has values that are not finite"),
        (np.zeros((0, 4)), np.zeros((0, 4)), "it contains no pixels"),
    ],
)
def test_what_cannot_be_fused_is_refused(fuser, ir, vi, message):
    with pytest.raises(ValueError, match=message):
        fuser.fuse(ir, vi)


def test_weights_come_back_with_configuration_and_origin(params, tmp_path):
    save_weights(tmp_path / "w.safetensors", params, TINY, {"steps": 7})
    back, config, metadata = load_weights(tmp_path / "w.safetensors")
    jax.tree.map(np.testing.assert_array_equal, back, jax.device_get(params))
    assert config == TINY
    assert metadata == {"steps": 7}
    with pytest.raises(ValueError, match=r"No weights at nosuch .* shipped names:"):
        load_weights("nosuch")
    (tmp_path / "bad.safetensors").write_bytes(b"garbage!" * 4)
    with pytest.raises(ValueError, match=r"bad\.safetensors is not a readable safetensors file"):
        load_weights(tmp_path / "bad.safetensors")
