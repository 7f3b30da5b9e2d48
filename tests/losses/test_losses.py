"""AngularFuse's losses against a float64 implementation of the formulas, and the laws they must
obey.
"""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from fusejax.losses import ObjectiveConfig, Progress, TermConfig, evaluate_objective
from fusejax.losses.angle import (
    angle_direction_loss,
    direction_loss,
    gradient_vector_loss,
    magnitude_loss,
    stronger_gradient,
)
from fusejax.losses.config import ReferenceConfig
from fusejax.losses.intensity import intensity_loss
from fusejax.losses.reference import fine_grained_reference
from fusejax.ops.filters import sobel

SOURCES = ("sources", "reference")
WEIGHTINGS = ("magnitude", "none")
GLOBAL = ReferenceConfig(equalization="global")
EPSILON = 1e-3


def luma(seed, *, size=(16, 16), batch=2):
    """Independent uniform pixels: every gradient is textured and no two sources tie."""
    return jnp.asarray(np.random.default_rng(seed).random((batch, *size, 1)), jnp.float32)


jitted_reference = jax.jit(fine_grained_reference, static_argnames="config")
jitted_sobel = jax.jit(sobel)


@functools.cache
def angular(
    *, gradient_source="sources", direction_weighting="magnitude", gradient_weight=10.0, direction_weight=1.0,
    reference=GLOBAL,
):  # fmt: skip
    """The objective, (fused_y, ir, vi_y) -> total and parts, with short names for the parts;
    jitted.
    """
    kind = "angle" if gradient_source == "sources" else "reference"
    terms = (
        TermConfig("reference_intensity"),
        TermConfig(f"{kind}_magnitude", gradient_weight),
        TermConfig(f"{kind}_direction", gradient_weight * direction_weight, {"weighting": direction_weighting}),
    )
    config = ObjectiveConfig(terms, reference=reference)

    def objective(fused_y, ir, vi_y):
        total, parts = evaluate_objective(config, {"fused_y": fused_y, "ir": ir, "vi_y": vi_y}, Progress(0, 0, 1.0))
        return total, {name.split("_")[1]: value for name, value in parts.items()}

    return jax.jit(objective)


def objective(fused_y, ir, vi_y, **options):
    return angular(**options)(fused_y, ir, vi_y)


def objective_gradient(fused_y, ir, vi_y, **options):
    return jax.jit(jax.grad(lambda f, i, v: angular(**options)(f, i, v)[0].sum()))(fused_y, ir, vi_y)


def sobel64(x):
    """Float64 Sobel of [b, h, w, 1] with replicated borders, by another library."""
    x = np.asarray(x, np.float64)
    gx = [ndimage.sobel(i[..., 0], axis=1, mode="nearest") for i in x]
    gy = [ndimage.sobel(i[..., 0], axis=0, mode="nearest") for i in x]
    return np.stack([gx, gy])


def norm64(g):
    return np.sqrt(g[0] ** 2 + g[1] ** 2 + EPSILON**2)


def objective64(fused_y, ir, vi_y, *, gradient_source, direction_weighting):
    """Section 3 of the specification in float64; returns totals [b] and parts [b].

    I_ref comes from the library.
    """
    reference = np.asarray(jitted_reference(ir, vi_y, config=GLOBAL), np.float64)
    g_f, g_i, g_v = sobel64(fused_y), sobel64(ir), sobel64(vi_y)
    g_r = sobel64(reference) if gradient_source == "reference" else np.where(norm64(g_v) >= norm64(g_i), g_v, g_i)
    cosine = (g_f * g_r).sum(0) / (norm64(g_f) * norm64(g_r))
    strength = np.sqrt((g_r**2).sum(0))
    v = strength / (strength.mean((1, 2), keepdims=True) + 1e-3) if direction_weighting == "magnitude" else 1.0
    parts = {
        "intensity": np.abs(fused_y - reference).mean((1, 2, 3)),
        "magnitude": np.abs(norm64(g_f) - norm64(g_r)).mean((1, 2)),
        "direction": (v * (1 - cosine)).mean((1, 2)),
    }
    return parts["intensity"] + 10 * (parts["magnitude"] + parts["direction"]), parts


@pytest.mark.slow
@pytest.mark.parametrize("direction_weighting", WEIGHTINGS)
@pytest.mark.parametrize("gradient_source", SOURCES)
def test_objective_and_its_gradient_agree_with_float64(gradient_source, direction_weighting):
    """Central differences of the float64 formulas: 1e-3 covers float32 in the value, the kinks of |
    | lie far off.
    """
    choices = {"gradient_source": gradient_source, "direction_weighting": direction_weighting}
    fused_y, ir, vi_y = (luma(s, size=(5, 6), batch=1) for s in range(3))
    total, parts = objective(fused_y, ir, vi_y, **choices)
    total64, parts64 = objective64(np.asarray(fused_y, np.float64), ir, vi_y, **choices)
    chex.assert_trees_all_close(parts, parts64, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(total, total64, rtol=1e-5)

    grad = objective_gradient(fused_y, ir, vi_y, **choices)
    h, point = 1e-6, np.asarray(fused_y, np.float64)
    steps = h * np.eye(point.size).reshape(-1, *point.shape)
    slopes = [
        (objective64(point + d, ir, vi_y, **choices)[0] - objective64(point - d, ir, vi_y, **choices)[0]) / (2 * h)
        for d in steps
    ]
    np.testing.assert_allclose(grad.ravel(), np.ravel(slopes), rtol=1e-3, atol=1e-3 * np.abs(slopes).max())


def test_total_is_the_weighted_sum_of_its_parts():
    total, parts = objective(*(luma(s) for s in range(3)), gradient_weight=3.0, direction_weight=0.5)
    chex.assert_shape([total, *parts.values()], (2,))
    expected = parts["intensity"] + 3.0 * (parts["magnitude"] + 0.5 * parts["direction"])
    np.testing.assert_allclose(total, expected, rtol=1e-6)


def test_vector_loss_agrees_with_float64():
    fused, reference = luma(0), luma(1)
    got = gradient_vector_loss(jitted_sobel(fused), jitted_sobel(reference))
    chex.assert_shape(got, (2,))
    np.testing.assert_allclose(got, (norm64(sobel64(fused) - sobel64(reference)) - EPSILON).mean((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(gradient_vector_loss(jitted_sobel(fused), jitted_sobel(fused)), 0.0, atol=1e-8)


def test_stronger_gradient_takes_both_components_from_one_source():
    ir, vi_y = luma(0), luma(1)
    selected, of_ir, of_vi = (jnp.stack(g) for g in (stronger_gradient(ir, vi_y), jitted_sobel(ir), jitted_sobel(vi_y)))
    is_ir, is_vi = (selected == of_ir).all(0), (selected == of_vi).all(0)
    assert (is_ir | is_vi).all()
    assert is_ir.any()
    assert is_vi.any()
    length = jnp.hypot(*selected)
    np.testing.assert_allclose(length, jnp.maximum(jnp.hypot(*of_ir), jnp.hypot(*of_vi)), rtol=1e-6)


def test_ties_go_to_the_visible():
    vi_y = jnp.round(luma(0) * 64) / 64  # exact in binary, so that 1 - V has exactly the opposite gradient
    chex.assert_trees_all_equal(stronger_gradient(1 - vi_y, vi_y), jitted_sobel(vi_y))


@pytest.mark.parametrize("gradient_source", SOURCES)
def test_angle_terms_vanish_where_the_fused_gradient_is_the_selected_one(gradient_source):
    """IR = 0 and F = V, or F = I_ref.

    Only eps remains: eps^2 / |G|^2 per pixel, below 1e-3 on this texture.
    """
    ir, vi_y = jnp.zeros((2, 16, 16, 1)), luma(1)
    fused_y = vi_y if gradient_source == "sources" else jitted_reference(ir, vi_y, config=GLOBAL)
    _, parts = objective(fused_y, ir, vi_y, gradient_source=gradient_source)
    np.testing.assert_allclose(parts["magnitude"], 0.0, atol=1e-6)
    np.testing.assert_allclose(parts["direction"], 0.0, atol=1e-3)
    if gradient_source == "reference":
        np.testing.assert_allclose(parts["intensity"], 0.0, atol=1e-7)


def test_lower_contrast_keeps_the_direction_and_costs_magnitude():
    ir, vi_y = jnp.zeros((2, 16, 16, 1)), luma(1)
    _, parts = objective(0.4 * vi_y + 0.3, ir, vi_y)
    np.testing.assert_allclose(parts["direction"], 0.0, atol=1e-3)
    np.testing.assert_allclose(parts["magnitude"], 0.6 * jnp.hypot(*jitted_sobel(vi_y)).mean((1, 2, 3)), rtol=1e-2)


@pytest.mark.parametrize("direction_weighting", WEIGHTINGS)
def test_inverted_contrast_costs_two_in_direction_and_no_magnitude(direction_weighting):
    ir, vi_y = jnp.zeros((2, 16, 16, 1)), luma(1)
    _, parts = objective(1 - vi_y, ir, vi_y, direction_weighting=direction_weighting)
    np.testing.assert_allclose(parts["direction"], 2.0, atol=5e-3)  # mean |G| / (mean |G| + 1e-3) is just below 1
    np.testing.assert_allclose(parts["magnitude"], 0.0, atol=1e-6)


def test_brightness_shift_changes_the_intensity_only():
    fused_y, ir, vi_y = 0.5 * luma(0), luma(1), luma(2)
    _, before = objective(fused_y, ir, vi_y)
    _, after = objective(fused_y + 0.25, ir, vi_y)
    assert (jnp.abs(after.pop("intensity") - before.pop("intensity")) > 0.01).all()
    chex.assert_trees_all_close(after, before, rtol=1e-5)


def test_direction_lies_between_zero_and_two():
    for seed in range(4):
        fused, reference = jitted_sobel(luma(seed, batch=8)), jitted_sobel(luma(seed + 10, batch=8))
        pixelwise = direction_loss(fused, reference, weighting="none")
        assert (pixelwise >= 0).all()
        assert (pixelwise <= 2).all()


TURNS = {
    "quarter turn": lambda x: jnp.rot90(x, axes=(1, 2)),
    "left-right": lambda x: x[:, :, ::-1],
    "up-down": lambda x: x[:, ::-1],
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS.keys())
@pytest.mark.parametrize("gradient_source", SOURCES)
@pytest.mark.slow
def test_turning_all_images_changes_nothing(gradient_source, turn):
    images = [luma(s, size=(12, 17)) for s in range(3)]
    want = objective(*images, gradient_source=gradient_source)
    chex.assert_trees_all_close(objective(*map(turn, images), gradient_source=gradient_source), want, rtol=1e-5)


def test_exchanging_the_sources_changes_nothing():
    fused_y, ir, vi_y = (luma(s) for s in range(3))
    chex.assert_trees_all_close(objective(fused_y, ir, vi_y), objective(fused_y, vi_y, ir), rtol=1e-6)


@pytest.mark.slow
def test_an_image_does_not_depend_on_its_batch_mates():
    images = [luma(s, batch=3) for s in range(3)]
    options = {"reference": ReferenceConfig()}
    together = objective(*images, **options)
    alone = [objective(*(p[i : i + 1] for p in images), **options) for i in range(3)]
    chex.assert_trees_all_close(together, jax.tree.map(lambda *x: jnp.concatenate(x), *alone), rtol=1e-6)


FLAT = [jnp.full((1, 16, 16, 1), v, jnp.float32) for v in (0.0, 0.5, 1.0)]


@pytest.mark.slow
@pytest.mark.parametrize("direction_weighting", WEIGHTINGS)
@pytest.mark.parametrize("gradient_source", SOURCES)
def test_flat_images_give_finite_values_and_gradients(gradient_source, direction_weighting):
    """Every combination of black, gray, white and textured images, as one batch."""
    choices = {"gradient_source": gradient_source, "direction_weighting": direction_weighting}
    choices["reference"] = ReferenceConfig()
    kinds = [*FLAT, luma(0, batch=1)]
    images = [jnp.concatenate(p) for p in zip(*itertools.product(kinds, repeat=3), strict=True)]
    chex.assert_tree_all_finite(objective(*images, **choices))
    chex.assert_tree_all_finite(objective_gradient(*images, **choices))


def test_vector_loss_is_finite_on_flat_and_on_identical_images():
    slope = jax.jit(jax.grad(lambda f, r: gradient_vector_loss(sobel(f), sobel(r)).sum()))
    for fused_y, reference in itertools.product([*FLAT, luma(0, batch=1)], repeat=2):
        chex.assert_tree_all_finite(slope(fused_y, reference))


@pytest.mark.slow
def test_gradients_agree_with_finite_differences_in_float64():
    """Each term separately; the pixels are random, so that no norm difference is within a step of
    its kink.
    """
    terms = {
        "intensity": intensity_loss,
        "magnitude": lambda f, r: magnitude_loss(sobel(f), sobel(r)),
        "weighted": lambda f, r: direction_loss(sobel(f), sobel(r)),
        "unweighted": lambda f, r: direction_loss(sobel(f), sobel(r), weighting="none"),
        "vector": lambda f, r: gradient_vector_loss(sobel(f), sobel(r)),
    }
    with jax.enable_x64(True):
        rng = np.random.default_rng(3)
        point, reference = (jnp.asarray(rng.random((1, 4, 5, 1))) for _ in range(2))
        steps = 1e-6 * np.eye(point.size).reshape(-1, *point.shape[1:])
        values = jax.jit(lambda f: {k: term(f, jnp.broadcast_to(reference, f.shape)) for k, term in terms.items()})
        above, below = values(point + steps), values(point - steps)
        slopes = jax.tree.map(lambda a, b: (a - b) / 2e-6, above, below)
        exact = jax.tree.map(np.ravel, jax.jit(jax.jacrev(values))(point))
        chex.assert_trees_all_close(exact, slopes, rtol=1e-5, atol=1e-7)


def test_flat_reference_costs_direction_only_when_unweighted():
    flat, textured = jitted_sobel(FLAT[1]), jitted_sobel(luma(0, batch=1))
    for fused in (flat, textured):
        np.testing.assert_array_equal(direction_loss(fused, flat), 0.0)
        np.testing.assert_allclose(direction_loss(fused, flat, weighting="none"), 1.0, rtol=1e-6)


def test_simple_losses_have_known_values():
    fused_y, reference = jnp.full((2, 4, 5, 1), 0.75), jnp.full((2, 4, 5, 1), 0.5)
    np.testing.assert_allclose(intensity_loss(fused_y, reference), 0.25)
    ramp = jnp.broadcast_to(0.1 * jnp.arange(5.0)[None, None, :, None], (2, 4, 5, 1))
    # Sobel of a ramp of slope 0.1: 0.8 inside, 0.4 in the two border columns.
    np.testing.assert_allclose(
        magnitude_loss(jitted_sobel(ramp), jitted_sobel(reference)), (3 * 0.8 + 2 * 0.4) / 5, rtol=2e-3
    )


def test_the_reference_carries_no_gradient():
    fused_y, ir, vi_y = (luma(s) for s in range(3))
    loss = angular(gradient_source="reference", reference=ReferenceConfig())
    grads = jax.grad(lambda i, v: loss(fused_y, i, v)[0].sum(), argnums=(0, 1))(ir, vi_y)
    chex.assert_trees_all_equal(grads, jax.tree.map(jnp.zeros_like, grads))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"vi_y is \(2, 16, 15, 1\); all must have the same shape"):
        objective(luma(0), luma(1), luma(2, size=(16, 15)))


def test_without_signs_an_opposite_edge_costs_nothing():
    ramp = jnp.ones((1, 48, 1, 1)) * jnp.linspace(0, 1, 48)[:, None]
    flat = jnp.zeros_like(ramp)
    for weighting in ("magnitude", "none"):
        both = [
            float(angle_direction_loss(1 - ramp, flat, ramp, weighting=weighting, signed=signed)[0])
            for signed in (True, False)
        ]
        assert both[0] == pytest.approx(2, abs=0.02) and both[1] == pytest.approx(0, abs=0.02)
