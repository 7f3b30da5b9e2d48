"""Properties of ComMask.

Masks are binary and complementary, keep the right fraction, are constant in cells and
deterministic, and are absent with p = 0.
"""

import numpy as np
import pytest

from fusejax.data.config import ComMaskConfig
from fusejax.data.masking import com_mask, draw_masks

SIZES = [(64, 64), (50, 37), (8, 8), (1, 1), (3, 40)]  # divisible by the patch, not divisible, smaller than it
VARIANTS = ("grid", "random")


def pair(seed=0, size=(48, 40)):
    rng = np.random.default_rng(seed)
    return tuple(rng.uniform(0.1, 0.9, (*size, 1)).astype(np.float32) for _ in range(2))


def masks(seed, *, size=(64, 64), patch=8, **options):
    return draw_masks(size, patch, rng=np.random.default_rng(seed), config=ComMaskConfig(**options))


@pytest.mark.parametrize("size", SIZES)
def test_grid_shows_every_pixel_in_exactly_one_image(size):
    for seed in range(5):
        ir_mask, vi_mask = masks(seed, size=size)
        assert ir_mask.shape == vi_mask.shape == (*size, 1)
        assert ir_mask.dtype == vi_mask.dtype == bool
        np.testing.assert_array_equal(ir_mask, ~vi_mask)


@pytest.mark.parametrize("size", SIZES)
def test_random_hides_no_pixel_in_both_images(size):
    for seed in range(5):
        ir_mask, vi_mask = masks(seed, size=size, variant="random")
        assert (ir_mask | vi_mask).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("size", SIZES)
def test_cells_are_constant_and_start_at_the_corner(size, variant):
    patch = 8
    for mask in masks(3, size=size, patch=patch, variant=variant):
        rows, columns = (np.arange(side) // patch * patch for side in size)
        np.testing.assert_array_equal(mask, mask[rows][:, columns])  # every pixel equals its cell's first one


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.5, 1.0])
def test_grid_shows_infrared_in_the_kept_share(keep):
    """65536 cells of one pixel: four standard deviations of the mean are below 0.008."""
    ir_mask, _ = masks(0, size=(256, 256), patch=1, keep=keep)
    assert abs(ir_mask.mean() - keep) < 0.008


def test_random_hides_both_images_equally_often():
    ir_mask, vi_mask = masks(0, size=(256, 256), patch=1, keep=0.6, variant="random")
    assert abs((~ir_mask).mean() - 0.2) < 0.008
    assert abs((~vi_mask).mean() - 0.2) < 0.008
    assert abs((ir_mask & vi_mask).mean() - 0.6) < 0.008


def test_masked_ones_sum_to_one():
    ones = np.ones((30, 41, 1), np.float32)
    ir, vi_y = com_mask(ones, ones, rng=np.random.default_rng(0), config=ComMaskConfig(probability=1.0))
    np.testing.assert_array_equal(ir + vi_y, ones)
    assert 0 < ir.mean() < 1


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_shown_pixels_are_untouched_and_hidden_ones_filled(fill, variant):
    config = ComMaskConfig(probability=1.0, patch_sizes=(8,), fill=fill, variant=variant)
    clean = pair()
    rng = np.random.default_rng(5)
    rng.random(), rng.choice(config.patch_sizes)  # the draws before the masks
    expected = draw_masks(clean[0].shape[:2], 8, rng=rng, config=config)
    seen = com_mask(*clean, rng=np.random.default_rng(5), config=config)
    for before, after, mask in zip(clean, seen, expected, strict=True):
        assert after.dtype == np.float32
        np.testing.assert_array_equal(after[mask], before[mask])
        np.testing.assert_array_equal(after[~mask], 0 if fill == "zero" else before.mean())
        assert (~mask).any()


def test_same_generator_same_masks():
    config = ComMaskConfig(probability=1.0)
    first, again, other = (com_mask(*pair(), rng=np.random.default_rng(s), config=config) for s in (7, 7, 8))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_probability_is_the_share_of_masked_pairs():
    clean, rng = pair(size=(8, 8)), np.random.default_rng(0)

    def masked_share(probability, draws=400):
        config = ComMaskConfig(probability=probability, patch_sizes=(1,))
        return np.mean([com_mask(*clean, rng=rng, config=config)[0] is not clean[0] for _ in range(draws)])

    assert masked_share(0.0) == 0
    assert masked_share(1.0) == 1
    assert abs(masked_share(0.3) - 0.3) < 0.1  # four standard deviations


def test_every_patch_size_is_drawn():
    """The side of a cell is the greatest common divisor of the positions where the mask changes."""
    config = ComMaskConfig(probability=1.0)
    ones, found = np.ones((128, 128, 1), np.float32), set()
    for seed in range(30):
        ir, _ = com_mask(ones, ones, rng=np.random.default_rng(seed), config=config)
        changes = np.flatnonzero(np.abs(np.diff(ir[..., 0], axis=1)).any(axis=0)) + 1
        found.add(int(np.gcd.reduce(changes)))
    assert found == {8, 16, 32}


def test_inputs_are_not_written_to():
    clean = pair()
    copies = [x.copy() for x in clean]
    com_mask(*clean, rng=np.random.default_rng(0), config=ComMaskConfig(probability=1.0))
    for x, copy in zip(clean, copies, strict=True):
        np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probability": 1.5}, "probability is 1.5; it must be a probability"),
        ({"keep": -0.1}, "keep is -0.1"),
        ({"patch_sizes": ()}, "at least one side"),
        ({"patch_sizes": (0,)}, "at least one side"),
        ({"variant": "squares"}, "variant is 'squares'; expected one of 'grid', 'random'"),
        ({"fill": "black"}, "fill is 'black'"),
    ],
)
def test_bad_options_are_refused(options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        ComMaskConfig(**options)
