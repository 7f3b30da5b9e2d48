"""Metrics at their limits: gradients, degenerate images, color, and running means."""

import jax
import jax.numpy as jnp
import metrics_reference as reference
import numpy as np
import perceptual_reference
import pytest
from metrics_images import FUSED, IR, SHAPE, SMALL, VI, arrays, levels

from fusejax.metrics import CONVENTIONS, evaluate, undefined_reason
from fusejax.metrics.fidelity import correlation, sum_of_correlations_of_differences
from fusejax.metrics.sharpness import average_gradient, spatial_frequency
from fusejax.metrics.structure import ms_ssim, ssim
from fusejax.metrics.visual_information import vif


@pytest.mark.parametrize(
    "metric",
    [ssim, pytest.param(vif, marks=pytest.mark.slow), spatial_frequency, average_gradient, correlation],
    ids=lambda m: m.__name__,
)
@pytest.mark.slow
def test_gradient_is_finite_on_flat_images_and_lives_elsewhere(metric):
    gradient = jax.jit(jax.grad(lambda f, a, b: metric(f, a, b).sum()))
    flat = jnp.full((1, 42, 43, 1), 0.5, jnp.float32)
    f, a, b = (x[:1, :42, :43] for x in arrays(FUSED, IR, VI))
    for sources in ((flat, flat, flat), (flat, a, b), (f, a, flat)):
        assert np.isfinite(gradient(*sources)).all()
    assert np.abs(gradient(f, a, b)).max() > 0


def test_scd_gradient_is_finite_where_it_is_undefined():
    gradient = jax.jit(jax.grad(lambda f, a, b: sum_of_correlations_of_differences(f, a, b).sum()))
    flat = jnp.full((1, 9, 9, 1), 0.5, jnp.float32)
    a, b = (x[:1, 20:29, 20:29] for x in arrays(IR, VI))
    for images in ((flat, flat, flat), (a, a, b), (flat, a, b)):
        assert np.isfinite(gradient(*images)).all()


@pytest.mark.slow
def test_ms_ssim_gradient_is_finite_on_flat_and_on_opposed_images():
    a = arrays(levels(6, (1, 161, 161)))[0]
    flat = jnp.full_like(a, 0.5)
    gradient = jax.jit(jax.grad(lambda f, a, b: ms_ssim(f, a, b).sum()))
    assert np.isfinite(gradient(flat, flat, flat)).all()
    assert np.isfinite(gradient(1.0 - a, a, a)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric", [ssim, average_gradient, sum_of_correlations_of_differences], ids=lambda m: m.__name__
)
def test_gradient_matches_a_finite_difference(metric):
    rng = np.random.default_rng(0)  # not 8-bit: AG has a kink wherever two neighbors are equal
    f, a, b, direction = jnp.asarray(rng.random((4, 1, 16, 16, 1)), jnp.float32)
    value = jax.jit(lambda t: metric(f + t * direction, a, b).sum())
    step = 2e-3  # pixels in [0, 1]; half a level
    slope = (value(step) - value(-step)) / (2 * step)
    np.testing.assert_allclose(jax.grad(value)(0.0), slope, rtol=2e-2)


@pytest.mark.slow
def test_undefined_metrics_are_nan_and_the_rest_of_the_batch_is_not():
    fused, ir, vi = FUSED.copy(), IR.copy(), VI.copy()
    fused[0] = ir[0]  # SCD is 0 / 0 there
    got = evaluate(*arrays(fused, ir, vi), metrics=SMALL)
    assert {name for name, value in got.items() if np.isnan(value[0])} == {"SCD"}
    assert not any(np.isnan(value[1]) for value in got.values())
    assert "equals a source" in undefined_reason("SCD")


@pytest.mark.slow
def test_constant_images():
    constant = np.full(SHAPE, 100.0)
    got = {name: float(v[0]) for name, v in evaluate(*arrays(constant, constant, constant), metrics=SMALL).items()}
    expected = {"NMI", "CC", "SCD", "VIF", "Qabf", "Qcv"} & {*SMALL}
    assert {name for name, value in got.items() if np.isnan(value)} == expected
    assert not np.signbit(got["EN"])
    assert [got[n] for n in ("EN", "SD", "SF", "AG", "EI", "MI", "MSE")] == [0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(got["SSIM"], 1.0, rtol=1e-6)
    assert got["PSNR"] == np.inf
    names = ("Qabf", "Qcv", "Nabf", "Qcb")
    black = evaluate(*arrays(0 * constant, 0 * constant, 0 * constant), metrics=names)
    assert np.isnan(black["Qabf"]).all() and np.isnan(black["Qcv"]).all()
    assert (black["Nabf"] == 0).all() and (black["Qcb"] == 1).all()


def test_no_edge_is_kept_where_the_sources_are_constant():
    """Whatever the fused image and their level; the border around them is no edge."""
    noise = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.float64)
    for ir, vi in ((7, 100), (7, 7), (0, 255)):
        found = evaluate(*arrays(noise, np.full(SHAPE, ir), np.full(SHAPE, vi)), metrics=("Qabf", "Qcv"))
        assert np.isnan(found["Qabf"]).all() and np.isnan(found["Qcv"]).all()
    found = evaluate(*arrays(noise, np.full(SHAPE, 7), noise), metrics=("Qabf", "Qcv"))
    assert np.isfinite(found["Qabf"]).all() and np.isfinite(found["Qcv"]).all()


@pytest.mark.slow
def test_cddfuse_takes_a_flat_source_as_fully_kept():
    constant = np.full(SHAPE, 100.0)
    got = evaluate(*arrays(FUSED, constant, constant), convention="cddfuse", metrics=("VIF",))
    np.testing.assert_array_equal(got["VIF"], 2.0)


TOO_SMALL = {"AG", "VIF", "VIFF", "SSIM", "MS-SSIM", "Nabf", "FMI_pixel", "FMI_gradient"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "undefined"), [((1, 1), TOO_SMALL | {"CC", "SCD", "NMI", "Qabf", "Qcv"}), ((1, 9), TOO_SMALL)]
)
def test_sides_below_a_window_give_nan_and_no_error(size, undefined):
    images = arrays(*(levels(seed, (30, 40))[None, 15 : 15 + size[0], 25 : 25 + size[1]] for seed in (1, 2, 3)))
    got = evaluate(*images, metrics=tuple(CONVENTIONS["exact"].metrics))
    assert {name for name, value in got.items() if np.isnan(value).any()} == undefined


def test_errors_name_what_came():
    f, a, b = arrays(FUSED, IR, VI)
    with pytest.raises(ValueError, match=r"fused is \(2, 44, 46, 1\)"):
        evaluate(f[:, :, 1:], a, b)
    with pytest.raises(ValueError, match="'exakt'; expected one of exact, cddfuse, tang, vifb"):
        evaluate(f, a, b, convention="exakt")
    with pytest.raises(ValueError, match="'cddfuse' does not define Qcb"):
        evaluate(f, a, b, convention="cddfuse", metrics=("EN", "Qcb"))


def test_color_deviation_is_the_angle_of_rgb_vectors():
    rng = np.random.default_rng(0)
    vi, fused = rng.integers(0, 256, (2, 1, 9, 11, 3)) / 255.0
    vi[0, 0, 0] = 0
    ir = np.zeros((1, 9, 11, 1))
    score = lambda f: evaluate(*(jnp.asarray(x, jnp.float32) for x in (f, ir, vi)), metrics=("CD",))["CD"]  # noqa: E731
    np.testing.assert_allclose(score(fused), perceptual_reference.color_deviation(fused[0], vi[0]), rtol=1e-6)
    np.testing.assert_allclose(score(0.5 * vi), 0.0, atol=1e-6)  # a change of brightness only
    assert np.isnan(score(fused[..., :1])).all()


def test_color_images_become_gray_as_the_convention_says():
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (1, 12, 13, 3)) / 255.0
    ir = rng.integers(0, 256, (1, 12, 13, 1)) / 255.0
    f, a, b = (jnp.asarray(x, jnp.float32) for x in (rgb, ir, rgb))
    gray = np.rint(rgb[0] * 255 @ np.array([0.299, 0.587, 0.114]))
    got = evaluate(f, a, b, convention="cddfuse", metrics=("EN", "SD"))
    np.testing.assert_allclose([got["EN"][0], got["SD"][0]], [reference.entropy(gray), gray.std()], rtol=1e-6)
    channels = evaluate(f, a, b, convention="vifb", metrics=("EN",))["EN"]
    np.testing.assert_allclose(
        channels, np.mean([reference.entropy(rgb[0, ..., c] * 255) for c in range(3)]), rtol=1e-6
    )
