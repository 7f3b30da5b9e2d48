"""Boxes, their loss and metrics: against float64 implementations, and the laws they must obey."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from regions import BOXES, HEIGHT, VALID, WIDTH, draw, luma, planes
from scipy import ndimage

from fusejax.losses.region import target_aware_loss
from fusejax.ops.boxes import rasterize, thermal_saliency

pytestmark = pytest.mark.optimized

OPTIONS = [{}, {"area_balanced": True}, {"soft_edge_sigma": 2.0}, {"soft_edge_sigma": 2.0, "area_balanced": True}]


def rasterize64(boxes, valid, *, soft_edge_sigma=0.0, area_balanced=False):
    """One image [h, w], box by box and pixel by pixel."""
    mask = np.zeros((HEIGHT, WIDTH))
    for (x1, y1, x2, y2), ok in zip(boxes.astype(np.float64), valid, strict=True):
        inside = [
            (i, j)
            for i, j in itertools.product(range(HEIGHT), range(WIDTH))
            if ok and x1 <= j + 0.5 < x2 and y1 <= i + 0.5 < y2
        ]
        for i, j in inside:
            mask[i, j] = max(mask[i, j], len(inside) ** -0.5 if area_balanced else 1.0)
    region = mask > 0
    if soft_edge_sigma:
        mask = np.clip(ndimage.gaussian_filter(mask, soft_edge_sigma, mode="reflect"), 0, mask.max())
    return mask / mask[region].mean() if area_balanced and region.any() else mask


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS, ids=["hard", "balanced", "soft", "soft balanced"])
def test_masks_agree_with_a_loop_over_boxes(options):
    got = draw(**options)
    want = [rasterize64(b, v, **options) for b, v in zip(BOXES, VALID, strict=True)]
    np.testing.assert_allclose(got[..., 0], want, atol=2e-6)
    np.testing.assert_array_equal(got[2], 0.0)
    chex.assert_type(got, jnp.float32)
    if "area_balanced" in options:
        region = draw()[:2] > 0
        np.testing.assert_allclose(jnp.where(region, got[:2], 0).sum((1, 2, 3)) / region.sum((1, 2, 3)), 1, rtol=1e-6)
    else:
        assert ((got >= 0) & (got <= 1)).all()


@pytest.mark.slow
def test_integer_boxes_cover_half_open_pixel_ranges():
    for x1, y1, x2, y2 in ((2, 3, 9, 8), (0, 0, WIDTH, HEIGHT), (5, 5, 6, 6)):
        mask = draw([[[x1, y1, x2, y2]]], [[True]])[0, ..., 0]
        assert mask.sum() == (x2 - x1) * (y2 - y1)
        assert mask[y1:y2, x1:x2].all()


@pytest.mark.parametrize("options", OPTIONS, ids=["hard", "balanced", "soft", "soft balanced"])
def test_flips_of_boxes_and_of_masks_commute(options):
    mask, (x1, y1, x2, y2) = draw(**options), np.moveaxis(BOXES, -1, 0)
    left_right = draw(np.stack([WIDTH - x2, y1, WIDTH - x1, y2], -1), **options)
    up_down = draw(np.stack([x1, HEIGHT - y2, x2, HEIGHT - y1], -1), **options)
    np.testing.assert_allclose(left_right, mask[:, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(up_down, mask[:, ::-1], atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=["hard", "balanced", "soft", "soft balanced"])
@pytest.mark.slow
def test_order_duplicates_and_boxes_outside_do_not_matter(options):
    mask = draw(**options)
    chex.assert_trees_all_equal(draw(BOXES[:, ::-1], VALID[:, ::-1], **options), mask)
    chex.assert_trees_all_equal(draw(np.tile(BOXES, (1, 2, 1)), np.tile(VALID, (1, 2)), **options), mask)
    outside = np.broadcast_to(np.float32([WIDTH, 0, WIDTH + 9, 9]), (3, 1, 4))
    more = np.concatenate([BOXES, outside], 1), np.pad(VALID, ((0, 0), (0, 1)), constant_values=True)
    chex.assert_trees_all_equal(draw(*more, **options), mask)


def test_a_list_without_entries_gives_empty_masks():
    for options in OPTIONS:
        np.testing.assert_array_equal(draw(np.zeros((3, 0, 4)), np.zeros((3, 0), bool), **options), 0.0)


def test_one_compiled_step_takes_none_and_all_boxes():
    count = itertools.count()

    @jax.jit
    def step(f, i, v, boxes, valid):
        next(count)
        return target_aware_loss(f, i, v, rasterize(boxes, valid, height=HEIGHT, width=WIDTH))

    images = [luma(s) for s in range(3)]
    values = [step(*images, BOXES, valid) for valid in (VALID, np.zeros_like(VALID), np.ones_like(VALID))]
    assert next(count) == 1
    chex.assert_tree_all_finite(values)
    np.testing.assert_array_equal(values[1], 0.0)
    assert (values[2] > 0).all()


def test_bad_options_are_refused():
    images = [luma(s) for s in range(3)]
    with pytest.raises(ValueError, match="must not be negative"):
        draw(soft_edge_sigma=-1.0)
    with pytest.raises(ValueError, match="start must be below full"):
        thermal_saliency(luma(0), start=2.0, full=2.0)
    with pytest.raises(ValueError, match="target is 'vi'"):
        target_aware_loss(*images, luma(3), target="vi")
    with pytest.raises(ValueError, match="must fit the mask"):
        target_aware_loss(*images, luma(3), padding="valid")


saliency = jax.jit(thermal_saliency, static_argnames=("start", "full"))


def scene(hot=0.9, *, size=(48, 64)):
    """A faint ramp with a hot rectangle of 8x6 pixels."""
    x = np.broadcast_to(np.linspace(0.3, 0.4, size[1]), size).copy()
    x[20:28, 30:36] = hot
    return jnp.asarray(x[None, ..., None], jnp.float32)


def test_saliency_agrees_with_float64():
    x = luma(0, size=(48, 64)) * scene()
    for one, got in zip(np.asarray(x, np.float64)[..., 0], saliency(x)[..., 0], strict=True):
        difference = one - ndimage.gaussian_filter(one, 20.0, mode="reflect")
        np.testing.assert_allclose(got, np.clip(difference / difference.std() - 1, 0, 1), atol=1e-5)


@pytest.mark.slow
def test_saliency_finds_what_is_hot_and_nothing_in_flat_or_noisy_images():
    mask = saliency(scene())
    np.testing.assert_array_equal(mask[0, 20:28, 30:36], 1.0)
    assert mask.sum() == 48
    np.testing.assert_array_equal(saliency(scene(hot=0.0)), 0.0)
    slope = jax.jit(jax.grad(lambda x: thermal_saliency(x).sum()))
    noise = 0.5 + 0.01 * (luma(0, size=(48, 64), batch=1) - 0.5)
    for quiet in (noise, *(jnp.full((1, 48, 64, 1), v, jnp.float32) for v in (0.0, 0.5, 1.0))):
        np.testing.assert_array_equal(saliency(quiet), 0.0)
        chex.assert_tree_all_finite(slope(quiet))
    np.testing.assert_array_equal(saliency(jnp.full((1, 1, 1, 1), 0.7)), 0.0)


TARGETS = ("ir", "maximum")


loss = jax.jit(target_aware_loss, static_argnames=("target", "padding"))


@jax.jit
def slopes(f, i, v, m):
    return [jax.grad(lambda f, t=t: target_aware_loss(f, i, v, m, target=t).sum())(f) for t in TARGETS]


def magnitude64(x):
    return sum(np.abs(ndimage.sobel(x, axis, mode="constant")) for axis in (0, 1))


def target_aware64(f, i, v, m, target):
    goal = i if target == "ir" else np.maximum(i, v)
    gradient = np.abs(magnitude64(f) - np.maximum(magnitude64(i), magnitude64(v)))
    return (m * (np.abs(f - goal) + gradient)).sum() / (m.sum() + 1)


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 48)])
@pytest.mark.slow
def test_target_aware_loss_agrees_with_float64(size):
    images = [luma(s, size=size) for s in range(3)]
    for mask in (draw(size=size), luma(9, size=size)):
        for target in TARGETS:
            want = [target_aware64(*x, target) for x in planes(*images, mask)]
            np.testing.assert_allclose(loss(*images, mask, target=target), want, rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_target_aware_gradients_agree_with_finite_differences_in_float64():
    with jax.enable_x64(True):
        rng = np.random.default_rng(3)
        point, ir, vi_y, mask = (jnp.asarray(rng.random((1, 4, 5, 1))) for _ in range(4))
        steps = 1e-6 * np.eye(point.size).reshape(-1, *point.shape[1:])
        others = [jnp.broadcast_to(x, steps.shape) for x in (ir, vi_y, mask)]
        for target, exact in zip(TARGETS, slopes(point, ir, vi_y, mask), strict=True):
            above, below = (loss(point + s, *others, target=target) for s in (steps, -steps))
            np.testing.assert_allclose(exact.ravel(), (above - below) / 2e-6, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_images_without_boxes_have_neither_loss_nor_gradient():
    images, mask = [luma(s) for s in range(3)], draw()
    for target, slope in zip(TARGETS, slopes(*images, mask), strict=True):
        value = loss(*images, mask, target=target)
        assert (value[:2] > 0).all()
        assert value[2] == 0
        assert slope[:2].any(axis=(1, 2, 3)).all()
        np.testing.assert_array_equal(slope[2], 0.0)


@pytest.mark.slow
def test_target_aware_gradients_are_finite_on_flat_and_identical_images():
    kinds = [*(jnp.full((1, HEIGHT, WIDTH, 1), v) for v in (0.0, 0.5, 1.0)), luma(0, batch=1)]
    images = [jnp.concatenate(p) for p in zip(*itertools.product(kinds, repeat=3), strict=True)]
    mask = jnp.concatenate([draw()[:1]] * 64)
    chex.assert_tree_all_finite([loss(*images, mask), *slopes(*images, mask)])
    np.testing.assert_array_equal(loss(*images, mask)[::21], 0.0)  # F = I = V


def test_pixels_beyond_the_reach_of_the_edge_filter_do_not_count():
    f, i, v = (luma(s) for s in range(3))
    mask = draw()
    near = ndimage.binary_dilation(np.asarray(mask[..., 0]) > 0, np.ones((1, 3, 3)))[..., None]
    other = jnp.where(near, f, 1 - f)
    assert (other != f).any()
    for target in TARGETS:
        np.testing.assert_array_equal(loss(other, i, v, mask, target=target), loss(f, i, v, mask, target=target))
    assert (loss(jnp.where(mask > 0, f, 1 - f), i, v, mask)[:2] != loss(f, i, v, mask)[:2]).all()


def test_a_larger_error_inside_the_boxes_costs_more():
    """F = I plus a constant, visible black: inside a wide box only the intensity part moves, and by
    M / (M + 1).
    """
    i, mask = 0.5 * luma(0), draw([[[4, 4, 12, 10]]] * 3, [[True]] * 3)
    values = [loss(i + error, i, jnp.zeros_like(i), mask)[0] for error in (0.0, 0.1, 0.2, 0.4)]
    np.testing.assert_allclose(values, np.array([0.0, 0.1, 0.2, 0.4]) * 48 / 49, atol=1e-6)
