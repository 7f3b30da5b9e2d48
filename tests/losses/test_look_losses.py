"""Terms for the look: what a resolved pair keeps and drops, slopes, and what each term punishes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import ndimage

from fusejax.losses import ObjectiveConfig, Progress, TermConfig, evaluate_objective
from fusejax.losses.look import (
    chosen_bands_loss,
    clip_inward,
    flat_texture_loss,
    glare_contrast_loss,
    kept_contrast_loss,
    resolved_base_loss,
    undershoot_loss,
)
from fusejax.losses.resolved import resolve_pair, split_bands

SIZE = 64
TERMS = {
    "chosen_bands": lambda f, i, v, r: chosen_bands_loss(f, r),
    "kept_contrast": lambda f, i, v, r: kept_contrast_loss(f, r),
    "flat_texture": flat_texture_loss,
    "resolved_base": lambda f, i, v, r: resolved_base_loss(f, r),
    "glare_contrast": lambda f, i, v, r: glare_contrast_loss(f, r),
    "undershoot": lambda f, i, v, r: undershoot_loss(f, r),
}
resolve = jax.jit(resolve_pair)


def as_luma(x):
    return jnp.asarray(x, jnp.float32)[None, ..., None]


def disk(row, column, radius, *, soft=1.0):
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return ndimage.gaussian_filter((np.hypot(rows - row, columns - column) < radius).astype(float), soft)


def grain(seed, sigma):
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, (SIZE, SIZE)), 0.7) * sigma * 2.4


@pytest.fixture(scope="module")
def night():
    """A flat visible image with one lamp; infrared on a pedestal, with grain and a person."""
    vi = 0.1 + 0.6 * disk(14, 14, 5)
    ir = 0.35 + 0.4 * disk(44, 44, 7) + grain(0, 0.008)
    return as_luma(ir), as_luma(vi)


@pytest.mark.slow
def test_bands_and_base_add_up_to_the_image(night):
    bands, base = split_bands(night[0])
    np.testing.assert_allclose(sum(bands) + base, night[0], atol=1e-6)


@pytest.mark.slow
def test_grain_is_dropped_and_a_person_is_not(night):
    resolved = resolve(*night)
    ir = np.asarray(resolved.ir)[0, ..., 0]
    grainy = np.asarray(night[0])[0, 4:24, 34:60, 0]
    assert ir[4:24, 34:60].std() < 0.45 * grainy.std()
    assert ir[44, 44] - ir[44, 26] > 0.33
    noise = np.asarray(resolved.noise)[0, ..., 0]
    assert noise[4:24, 34:60].mean() > 0.8
    assert noise[44, 37] < 0.2  # the person's edge


@pytest.mark.slow
def test_the_wanted_image_has_no_pedestal(night):
    resolved = resolve(*night)
    wanted = np.asarray(resolved.base + sum(resolved.bands))[0, ..., 0]
    dark = wanted[4:24, 40:60]
    assert abs(dark.mean() - 0.1) < 0.03
    assert wanted[44, 44] - dark.mean() > 0.3
    assert wanted[14, 14] > 0.55


def wanted_of(resolved):
    return np.asarray(resolved.base + sum(resolved.bands))[0, ..., 0]


@pytest.mark.slow
def test_opposite_details_do_not_cancel():
    """A sign that is dark in the visible image and less bright in infrared stays dark."""
    sign = disk(32, 32, 8)
    ir, vi = as_luma(0.4 + 0.1 * sign + 0.5 * disk(6, 6, 8)), as_luma(0.6 - 0.4 * sign)
    resolved = resolve(ir, vi)
    wanted = wanted_of(resolved)
    assert wanted[32, 32] < wanted[32, 56] - 0.25
    kept = np.asarray(resolved.ir)[0, ..., 0]
    assert abs(kept[32, 32] - kept[32, 56]) < 0.07  # dropped, instead of asking for the sum

    def loss(fused):
        return float(kept_contrast_loss(as_luma(fused + 0.3 * disk(6, 6, 8)), resolved)[0])

    assert loss(0.6 - 0.4 * sign) < 0.3
    assert 0.5 < loss(np.full((SIZE, SIZE), 0.5)) < loss(0.4 + 0.1 * sign)


@pytest.mark.slow
def test_the_weaker_polarity_is_raised_but_a_hot_person_wins():
    """The same two images: the visible detail keeps its sign unless the infrared one is hot."""
    person = disk(32, 32, 8)
    vi = as_luma(0.6 - 0.15 * person)
    mild = wanted_of(resolve(as_luma(0.4 + 0.25 * person + 0.6 * disk(2, 2, 15)), vi))
    assert mild[32, 32] < mild[32, 56] - 0.18  # more than the 0.15 of the visible image
    hot = wanted_of(resolve(as_luma(0.4 + 0.3 * person), vi))
    assert hot[32, 32] > hot[32, 56] + 0.15


@pytest.mark.slow
def test_wires_in_a_white_sky_leave_it_white_and_people_in_glare_appear():
    rows = np.mgrid[:SIZE, :SIZE][0]
    wires = 0.05 + 0.25 * (rows % 16 == 8)
    sky = wanted_of(resolve(as_luma(np.where(rows < 40, wires, 0.5)), as_luma(np.where(rows < 40, 0.98, 0.4))))
    assert sky[4:24].min() > 0.93
    glare = 0.15 + 1.2 * disk(32, 32, 18, soft=3.0)
    lit = wanted_of(resolve(as_luma(0.4 + 0.3 * disk(32, 32, 5)), as_luma(np.minimum(glare, 1.0))))
    assert min(lit[32, 32], 1.0) > lit[32, 38] + 0.1


@pytest.fixture(scope="module")
def lamp():
    """A blown-out lamp with a person in front of it, who shows in the infrared image alone."""
    vi = np.minimum(0.15 + 1.2 * disk(32, 32, 18, soft=3.0), 1.0)
    return as_luma(0.4 + 0.25 * disk(32, 32, 5)), as_luma(vi)


@pytest.mark.slow
def test_glare_is_marked_only_where_something_hot_is_in_a_blown_out_light(lamp):
    ir, vi = lamp
    marked = resolve(ir, vi).glare[0, ..., 0]
    assert marked[32, 32] > 0.9
    assert marked[32, 40] > 0.5  # around it, too
    assert marked[4, 4] < 0.01
    small = jnp.minimum(0.15 + 1.2 * as_luma(disk(32, 32, 7)), 1.0)
    assert resolve(ir, small).glare.max() < 0.1  # a street lamp, which is hot itself
    assert resolve(ir, 0.8 * vi).glare.max() < 0.2  # a light that is not blown out
    assert resolve(jnp.full_like(ir, 0.4), vi).glare.max() < 0.05  # nothing hot


@pytest.mark.slow
def test_the_wanted_image_shows_a_person_in_a_blown_out_light_within_the_range(lamp):
    resolved = resolve(*lamp)
    wanted = np.asarray(resolved.base + sum(resolved.bands))[0, ..., 0]
    seen = np.clip(wanted, 0, 1)
    assert seen[30:35, 30:35].mean() - seen[32, 37:40].min() > 0.2  # 0.25 in the infrared image
    assert wanted[24:40, 24:40].max() < 1.1
    assert seen[32, 19] > 0.9  # the lamp stays a lamp


@pytest.mark.slow
def test_the_room_for_a_person_is_the_same_in_bands_and_base(lamp):
    """A fused image that is the wanted one has no loss: base and bands ask for one image."""
    resolved = resolve(*lamp)
    wanted = resolved.base + sum(resolved.bands)
    plain = lamp[1]
    for term, share in ((glare_contrast_loss, 0.4), (chosen_bands_loss, 0.6), (resolved_base_loss, 0.6)):
        assert float(term(wanted, resolved)[0]) < share * float(term(plain, resolved)[0])


@pytest.mark.slow
def test_glare_contrast_counts_what_is_lost_and_nothing_elsewhere(lamp, night):
    resolved = resolve(*lamp)
    wanted = resolved.base + sum(resolved.bands)
    values = [float(glare_contrast_loss(x, resolved)[0]) for x in (wanted, lamp[1], 2 * lamp[1] - wanted)]
    assert values[0] < 0.4 * values[1]
    assert 1.0 < values[1] < values[2]
    assert float(glare_contrast_loss(jnp.full_like(lamp[0], 0.5), resolve(*night))[0]) < 0.05


@pytest.mark.slow
def test_what_is_too_white_to_show_a_person_learns_to_be_darker(lamp):
    """With a plain clip the loss would have no slope there at all."""
    resolved = resolve(*lamp)
    white = lamp[1] + 0.1
    slope = jax.grad(lambda f: glare_contrast_loss(f, resolved).sum())(white)[0, ..., 0]
    assert float(slope[32, 38]) > 0.01  # beside the person: descent makes it darker
    assert float(slope[4:12, 4:12].max()) < 0.2 * float(slope[32, 38])


@pytest.mark.slow
def test_a_dark_ring_around_a_street_lamp_costs():
    vi = np.minimum(0.15 + 0.4 * disk(32, 32, 14, soft=4.0) + 1.2 * disk(32, 32, 7), 1.0)
    ir = as_luma(0.4 + 0.4 * disk(32, 32, 4))
    resolved = resolve(ir, as_luma(vi))
    assert resolved.glare.max() < 0.05
    ring = vi - 0.2 * (disk(32, 32, 12) - disk(32, 32, 6))
    assert float(undershoot_loss(as_luma(vi), resolved)[0]) < 1e-4
    assert float(undershoot_loss(as_luma(ring), resolved)[0]) > 5e-3


@pytest.mark.slow
def test_shadows_have_a_floor_however_cold_they_are():
    shade = disk(32, 32, 16, soft=2.0)
    vi = as_luma(0.7 - 0.5 * shade)
    for ir in (as_luma(0.6 - 0.5 * shade), as_luma(0.6 - 0.6 * shade)):
        floor = np.asarray(resolve(ir, vi).floor)[0, ..., 0]
        np.testing.assert_allclose(floor[32, 32], 0.8 * 0.2 - 2 / 255, atol=0.01)
        np.testing.assert_allclose(floor[4, 4], 0.8 * 0.6 - 2 / 255, atol=0.01)  # the darker source


@pytest.mark.slow
def test_undershoot_counts_what_is_darker_than_the_floor(night):
    resolved = resolve(*night)
    ir, vi = night
    for fused in (vi, jnp.maximum(ir, vi)):
        assert float(undershoot_loss(fused, resolved)[0]) == 0
    darker = [float(undershoot_loss(vi - d, resolved)[0]) for d in (0.05, 0.1)]
    np.testing.assert_allclose(darker[1] - darker[0], 0.05, rtol=0.02)
    slope = jax.grad(lambda f: undershoot_loss(f, resolved).sum())(vi - 0.2)
    assert float(slope.max()) < 0  # also below black


def test_clip_inward_clips_and_slopes_only_towards_the_range():
    x = jnp.array([-0.5, 0.25, 1.5])
    np.testing.assert_array_equal(clip_inward(x), [0.0, 0.25, 1.0])
    np.testing.assert_array_equal(jax.grad(lambda x: clip_inward(x).sum())(x), [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(jax.grad(lambda x: -clip_inward(x).sum())(x), [-1.0, -1.0, 0.0])


@pytest.mark.slow
def test_flat_texture_punishes_grain_and_nothing_else(night):
    resolved = resolve(*night)

    def loss(fused):
        return float(flat_texture_loss(as_luma(fused), *night, resolved)[0])

    vi = np.asarray(night[1])[0, ..., 0]
    assert loss(vi) < 0.0011  # the square root of its smoothing
    assert loss(vi + 0.4 * disk(44, 44, 7)) < loss(vi + grain(0, 0.008))
    np.testing.assert_allclose(loss(vi + grain(0, 0.016)), 2 * loss(vi + grain(0, 0.008)), rtol=0.1)


@pytest.mark.slow
def test_a_lost_person_costs_more_with_a_weight_for_hot_objects(night):
    resolved = resolve(*night)
    hot = np.asarray(resolved.hot)[0, ..., 0]
    assert hot[44, 44] > 0.9
    assert hot[4:24].max() < 0.1
    for term, factor in ((chosen_bands_loss, 1.3), (resolved_base_loss, 1.1)):
        plain, weighted = (float(term(night[1], resolved, hot_weight=w)[0]) for w in (0.0, 4.0))
        assert weighted > factor * plain


@pytest.mark.slow
def test_no_term_has_a_slope_through_the_sources(night):
    def total(ir):
        return chosen_bands_loss(night[1], resolve_pair(ir, night[1])).sum()

    np.testing.assert_array_equal(jax.grad(total)(night[0]), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", TERMS)
def test_gradients_match_finite_differences(name, night):
    resolved = resolve(*night)
    fused = 0.2 + 0.5 * (0.5 * night[0] + 0.5 * night[1])
    direction = as_luma(grain(3, 0.2))

    def along(t):
        return 10 * TERMS[name](fused + t * direction, *night, resolved).sum()

    check_grads(jax.jit(along), (0.0,), order=1, modes=["rev"], eps=1e-3, atol=2e-2, rtol=2e-2)


@pytest.mark.slow
def test_a_term_on_the_resolved_pair_sees_it(night):
    ir, vi_y = night
    resolved = resolve(ir, vi_y)
    given = {"fused_y": 0.5 * (ir + vi_y), "ir": ir, "vi_y": vi_y}

    def value(given, sources):
        config = ObjectiveConfig((TermConfig("scd", sources=sources),))
        return float(evaluate_objective(config, given, Progress(0, 0, 1.0))[0][0])

    expected = value(given | {"ir": resolved.ir, "vi_y": resolved.vi_y}, "clean")
    np.testing.assert_allclose(value(given, "resolved"), expected, rtol=1e-5)
    assert abs(value(given, "resolved") - value(given, "clean")) > 1e-3
