"""Images padded to larger arrays have the same scores: every metric respects the extent of its
image.
"""

import itertools

import jax.numpy as jnp
import metrics_reference as reference
import numpy as np
import perceptual_reference
import pytest
from test_metrics_laws import REFERENCES, SMALL, TOLERANCE, levels

from fusejax.metrics import CONVENTIONS
from fusejax.metrics.evaluation import score_arrays
from fusejax.metrics.region import mse_lower_bound, roi_mse, roi_ssim

ARRAY = (48, 64)
SIZES = ((41, 47), (48, 64), (43, 64), (16, 16))
GARBAGE = 0.37  # value beyond the image, which must not affect any metric
EXTREMES = (0.0, 1.0)  # such values that would also become the minimum or the maximum


def pictures(size: tuple[int, int]) -> list[np.ndarray]:
    """Fused, infrared, visible: levels 0..255."""
    ir, vi = levels(1, size), levels(2, size)
    return [np.clip(np.rint(0.6 * ir + 0.4 * vi) + np.arange(size[1]) % 3, 0, 255), ir, vi]


def padded(images: list[np.ndarray], array: tuple[int, int], *, beyond: tuple[float, ...] = (GARBAGE,)) -> jnp.ndarray:
    """A batch of images of several sizes, [b, h, w, c] in [0, 1]."""
    channels = images[0].shape[2:] or (1,)
    batch = np.empty((len(images), *array, *channels), np.float32)
    for target, image, value in zip(batch, images, itertools.cycle(beyond), strict=False):
        target[:] = value
        target[: image.shape[0], : image.shape[1]] = image.reshape(*image.shape[:2], *channels) / np.float32(255)
    return jnp.asarray(batch)


def scores_within(sizes, extents=None, array=ARRAY, metrics=SMALL):
    batch = [padded(list(images), array) for images in zip(*map(pictures, sizes), strict=True)]
    extents = jnp.asarray(sizes if extents is None else extents, jnp.int32)
    return score_arrays(*batch, extents, convention="exact", metrics=metrics)


@pytest.mark.slow
def test_images_of_several_sizes_score_as_the_float64_reference_says():
    got = scores_within(SIZES)
    for name in SMALL:
        for n, size in enumerate(SIZES):
            if name in ("VIF", "VIFF") and min(size) < 41:
                assert np.isnan(got[name][n])
            else:
                expected = REFERENCES[name](*pictures(size))
                np.testing.assert_allclose(got[name][n], expected, rtol=TOLERANCE[name], err_msg=f"{name} {size}")


@pytest.mark.slow
def test_a_border_that_is_off_by_one_pixel_changes_every_value():
    """Without this, the test above could pass for a metric that ignores the border."""
    right = scores_within(SIZES)
    for wrong in ((42, 47), (41, 48), (40, 47), (41, 46)):
        off = scores_within(SIZES, [wrong, *SIZES[1:]])
        for name in SMALL:
            relative = abs(off[name][0] - right[name][0]) / abs(right[name][0])
            assert not relative <= 1e-5, (name, wrong)  # NaN counts as a change


@pytest.mark.slow
def test_multi_scale_ssim_over_odd_sizes():
    sizes = ((161, 170), (183, 192), (160, 192))
    got = scores_within(sizes, array=(192, 192), metrics=("MS-SSIM",))["MS-SSIM"]
    expected = [reference.ms_ssim(*pictures(size)) for size in sizes[:2]]
    np.testing.assert_allclose(got[:2], expected, rtol=2e-6)
    assert np.isnan(got[2])


@pytest.mark.slow
@pytest.mark.parametrize("convention", ["cddfuse", "tang", "vifb"])
def test_conventions_score_padded_images_as_unpadded_ones(convention):
    """In color, so that VIFB's channels matter; the exact convention is tested above."""
    metrics = tuple(CONVENTIONS[convention].metrics)
    fused, ir, vi = (40 + image // 2 for image in pictures((43, 61)))
    images = [np.stack([fused, vi, fused], -1), ir, np.stack([vi, vi // 2, vi], -1)]
    alone = score_arrays(*(padded([x], (43, 61)) for x in images), convention=convention, metrics=metrics)
    extents = jnp.asarray([[43, 61]] * 2, jnp.int32)
    twice = (padded([x, x], ARRAY, beyond=EXTREMES) for x in images)
    got = score_arrays(*twice, extents, convention=convention, metrics=metrics)
    for name in metrics:
        np.testing.assert_allclose(got[name], np.repeat(alone[name], 2), rtol=1e-5, err_msg=name)


@pytest.mark.slow
def test_color_deviation_and_regions_end_with_the_image():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (21, 30, c)).astype(float) for c in (3, 1, 3)]
    whole, extents = [padded([x], (32, 48)) for x in images], jnp.asarray([[21, 30]], jnp.int32)
    angle = score_arrays(*whole, extents, convention="exact", metrics=("CD",))["CD"]
    np.testing.assert_allclose(angle, perceptual_reference.color_deviation(images[0] / 255, images[2] / 255), rtol=1e-6)
    planes = [x[..., :1] for x in (*whole, jnp.ones_like(whole[0]))]
    cut = [x[:, :21, :30] for x in planes]
    for metric in (roi_ssim, roi_mse):
        np.testing.assert_allclose(metric(*planes, extent=extents[0]), metric(*cut), rtol=1e-6)
    np.testing.assert_allclose(mse_lower_bound(*planes[1:3], extent=extents[0]), mse_lower_bound(*cut[1:3]), rtol=1e-6)
