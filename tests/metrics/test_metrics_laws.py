"""Laws of the metrics, and every one against an independent float64 reading."""

from functools import partial

import jax
import jax.numpy as jnp
import metrics_reference as reference
import numpy as np
import pytest

from fusejax.metrics import CONVENTIONS, METRICS, USUAL, RunningMean, evaluate, undefined_reason
from fusejax.metrics.edges import average_gradient, edge_angle, qabf, spatial_frequency
from fusejax.metrics.fidelity import correlation, sum_of_correlations_of_differences
from fusejax.metrics.information import _matmul_histogram, _scatter_histogram, entropy, mutual_information
from fusejax.metrics.structure import ms_ssim, ssim
from fusejax.metrics.visual_information import vif

SMALL = tuple(name for name in CONVENTIONS["exact"].metrics if name != "MS-SSIM")
# Float32 against float64. FMI sums entropies of nine cells that nearly cancel, Nabf sums 1 - Q with
# Q near 1.
TOLERANCE = dict.fromkeys(SMALL, 2e-06) | {"FMI_pixel": 1e-4, "FMI_gradient": 1e-4, "SCD": 1e-5, "Nabf": 1e-4}


def levels(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Smooth random 8-bit levels with a flat, saturated corner, where cancelling variances would
    show.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(*shape[:-2], -(-shape[-2] // 6), -(-shape[-1] // 6)))
    x = np.kron(coarse, np.ones((6, 6)))[..., : shape[-2], : shape[-1]] * 45 + 120 + 6 * rng.normal(size=shape)
    x[..., :14, :20] = 255
    return np.clip(np.rint(x), 0, 255)


def arrays(*images: np.ndarray) -> list[jnp.ndarray]:
    return [jnp.asarray(x[..., None] / 255.0, jnp.float32) for x in images]


SHAPE = (2, 44, 47)
IR, VI = levels(1, SHAPE), levels(2, SHAPE)
FUSED = np.rint(0.6 * IR + 0.4 * VI) + (np.arange(47) % 3)[None, None, :]
FUSED = np.clip(FUSED, 0, 255)


@pytest.fixture(scope="module")
def scores() -> dict[str, jnp.ndarray]:
    """All metrics of the exact convention that these small images allow, in one compiled call."""
    return evaluate(*arrays(FUSED, IR, VI), metrics=SMALL)


REFERENCES = {
    "EN": lambda f, a, b: reference.entropy(f),
    "SD": lambda f, a, b: reference.standard_deviation(f),
    "SF": lambda f, a, b: reference.spatial_frequency(f),
    "AG": lambda f, a, b: reference.average_gradient(f),
    "EI": lambda f, a, b: reference.edge_intensity(f),
    "MI": reference.mutual_information,
    "NMI": reference.normalized_mutual_information,
    "CE": reference.cross_entropy,
    "FMI_pixel": reference.feature_mutual_information,
    "FMI_gradient": partial(reference.feature_mutual_information, feature="gradient"),
    "CC": reference.correlation,
    "PSNR": reference.psnr,
    "MSE": reference.mse,
    "RMSE": lambda f, a, b: np.sqrt(reference.mse(f, a, b)),
    "SCD": reference.scd,
    "VIF": reference.vif,
    "VIFF": reference.viff,
    "Qabf": reference.qabf,
    "Nabf": reference.nabf,
    "Qcb": reference.qcb,
    "Qcv": reference.qcv,
    "SSIM": reference.ssim,
}


@pytest.mark.parametrize("name", SMALL)
def test_metric_matches_the_float64_reading(name, scores):
    expected = [REFERENCES[name](FUSED[i], IR[i], VI[i]) for i in range(len(FUSED))]
    np.testing.assert_allclose(scores[name], expected, rtol=TOLERANCE[name])


def test_ms_ssim_matches_the_float64_reading_on_odd_sides():
    f, a, b = (levels(seed, (1, 163, 162)) for seed in (3, 4, 5))
    f = np.rint((f + a + b) / 3)
    np.testing.assert_allclose(jax.jit(ms_ssim)(*arrays(f, a, b)), [reference.ms_ssim(f[0], a[0], b[0])], rtol=2e-6)


def test_every_metric_has_a_row_in_the_table():
    defined = {name for c in CONVENTIONS.values() for name in (*c.metrics, *c.color)}
    assert defined == set(METRICS)
    assert set(USUAL) <= set(CONVENTIONS["exact"].metrics)


# One answer, however it is computed. The bound is float32's rounding under another order of sums.
ORDER = {"rtol": 2e-6, "atol": 1e-7}


@pytest.mark.parametrize("name", ["EN", "SD", "SF", "AG", "MI", "SCD", "Qabf", "SSIM"])
def test_without_jit_the_values_are_the_same(name, scores):
    value = CONVENTIONS["exact"].metrics[name](*arrays(FUSED[:1], IR[:1], VI[:1]))
    np.testing.assert_allclose(value, scores[name][:1], **ORDER)


def test_batch_is_one_by_one(scores):
    for i in range(len(FUSED)):
        one = evaluate(*arrays(FUSED[i : i + 1], IR[i : i + 1], VI[i : i + 1]), metrics=USUAL)
        for name, value in one.items():
            np.testing.assert_allclose(value[0], scores[name][i], **ORDER)


def test_several_methods_at_once_are_each_method_alone(scores):
    methods = arrays(np.stack([FUSED, VI]))[0]
    both = evaluate(methods, *arrays(IR, VI), metrics=USUAL)
    for name, value in both.items():
        assert value.shape == (2, 2)
        np.testing.assert_allclose(value[0], scores[name], **ORDER)


def test_vmap_over_single_images_is_the_batch(scores):
    f, a, b = (x[:, None] for x in arrays(FUSED, IR, VI))
    for name in ("SSIM", "Qabf", "MI"):
        value = jax.jit(jax.vmap(CONVENTIONS["exact"].metrics[name]))(f, a, b)[:, 0]
        np.testing.assert_allclose(value, scores[name], **ORDER)


SYMMETRIC = [name for name in SMALL if name not in ("EN", "SD", "SF", "AG", "EI")]


def test_sources_may_be_exchanged(scores):
    exchanged = evaluate(*arrays(FUSED, VI, IR), metrics=SMALL)
    for name in SYMMETRIC:
        np.testing.assert_allclose(exchanged[name], scores[name], **ORDER, err_msg=name)


# Known values.


def test_entropy_of_known_histograms():
    flat, halves, ramp = np.full((16, 16), 7), np.repeat([[0, 255]], 16, 0).repeat(8, 1), np.arange(256).reshape(16, 16)
    np.testing.assert_allclose(
        entropy(arrays(np.stack([flat, halves, ramp]))[0]), [0.0, 1.0, 8.0], rtol=1e-6, atol=1e-7
    )


def test_mutual_information_with_itself_is_entropy_twice():
    f, *_ = arrays(VI)
    np.testing.assert_allclose(mutual_information(f, f, f), 2 * entropy(f), rtol=1e-6)


def test_qabf_reaches_its_maximum_for_a_copy_and_no_more():
    f, *_ = arrays(VI)
    maximum = 0.9994 / (1 + np.exp(-7.5)) * 0.9879 / (1 + np.exp(-4.4))
    np.testing.assert_allclose(qabf(f, f, f), maximum, rtol=1e-6)
    assert 0.9747 < maximum < 0.9749
    toolkits = 0.9994 * 0.9879 / (1 + np.exp(-4.4))
    np.testing.assert_allclose(qabf(f, f, f, equal="strength"), toolkits, rtol=1e-4)  # not where the strength is zero


def test_ssim_and_vif_of_a_copy_are_one():
    f, *_ = arrays(VI)
    np.testing.assert_allclose(ssim(f, f, f), 1.0, rtol=1e-6)
    np.testing.assert_allclose(vif(f, f, f), 1.0, rtol=1e-6)


def test_edge_angle_is_the_arctangent_of_the_ratio():
    gx, gy = np.meshgrid(np.linspace(-1020, 1020, 41), np.linspace(-1020, 1020, 41))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.where(gx == 0, np.pi / 2, np.arctan(gy / gx))
    angle = edge_angle(jnp.asarray(gx[None], jnp.float32), jnp.asarray(gy[None], jnp.float32))
    np.testing.assert_allclose(angle[0], expected, atol=4e-7)


def test_histogram_by_products_is_the_histogram_by_scatter():
    """The form for accelerators, over several chunks with a ragged end, gives the same exact
    counts.
    """
    first, second = (jnp.asarray(levels(seed, (67, 71)).astype(np.int32).ravel()) for seed in (1, 2))
    counts = _matmul_histogram(first, second)
    np.testing.assert_array_equal(counts, _scatter_histogram(first, second))
    assert counts.sum() == first.size


def test_conventions_differ_as_stated(scores):
    got = {c: evaluate(*arrays(FUSED, IR, VI), convention=c, metrics=("MI", "PSNR", "SF")) for c in ("cddfuse", "tang")}
    np.testing.assert_allclose(got["cddfuse"]["MI"], scores["MI"] * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(got["tang"]["PSNR"], scores["PSNR"] + 20 * np.log10(255), rtol=1e-6)
    assert (got["cddfuse"]["SF"] > scores["SF"]).all()


# Gradients: these serve as losses too.


@pytest.mark.parametrize(
    "metric", [ssim, vif, spatial_frequency, average_gradient, correlation], ids=lambda m: m.__name__
)
def test_gradient_is_finite_on_flat_images_and_lives_elsewhere(metric):
    gradient = jax.jit(jax.grad(lambda f, a, b: metric(f, a, b).sum()))
    flat = jnp.full((1, 42, 43, 1), 0.5)
    f, a, b = (x[:1, :42, :43] for x in arrays(FUSED, IR, VI))
    for sources in ((flat, flat, flat), (flat, a, b), (f, a, flat)):
        assert np.isfinite(gradient(*sources)).all()
    assert np.abs(gradient(f, a, b)).max() > 0


def test_scd_gradient_is_finite_where_it_is_undefined():
    gradient = jax.jit(jax.grad(lambda f, a, b: sum_of_correlations_of_differences(f, a, b).sum()))
    flat = jnp.full((1, 9, 9, 1), 0.5)
    a, b = (x[:1, 20:29, 20:29] for x in arrays(IR, VI))
    for images in ((flat, flat, flat), (a, a, b), (flat, a, b)):
        assert np.isfinite(gradient(*images)).all()


def test_ms_ssim_gradient_is_finite_on_flat_and_on_opposed_images():
    a = arrays(levels(6, (1, 161, 161)))[0]
    flat = jnp.full_like(a, 0.5)
    gradient = jax.jit(jax.grad(lambda f, a, b: ms_ssim(f, a, b).sum()))
    assert np.isfinite(gradient(flat, flat, flat)).all()
    assert np.isfinite(gradient(1.0 - a, a, a)).all()


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


# Degenerate input.


def test_undefined_metrics_are_nan_and_the_rest_of_the_batch_is_not():
    fused, ir, vi = FUSED.copy(), IR.copy(), VI.copy()
    fused[0] = ir[0]  # SCD is 0 / 0 there
    got = evaluate(*arrays(fused, ir, vi), metrics=SMALL)
    assert {name for name, value in got.items() if np.isnan(value[0])} == {"SCD"}
    assert not any(np.isnan(value[1]) for value in got.values())
    assert "equals a source" in undefined_reason("SCD")


def test_constant_images():
    constant = np.full(SHAPE, 100.0)
    got = {name: float(v[0]) for name, v in evaluate(*arrays(constant, constant, constant), metrics=SMALL).items()}
    assert {name for name, value in got.items() if np.isnan(value)} == {"NMI", "CC", "SCD", "VIF"}
    assert [got[n] for n in ("EN", "SD", "SF", "AG", "EI", "MI", "MSE")] == [0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(got["SSIM"], 1.0, rtol=1e-6)
    assert got["PSNR"] == np.inf
    black = evaluate(*arrays(0 * constant, 0 * constant, 0 * constant), metrics=("Qabf", "Qcv", "Nabf", "Qcb"))
    assert np.isnan(black["Qabf"]).all() and np.isnan(black["Qcv"]).all()
    assert (black["Nabf"] == 0).all() and (black["Qcb"] == 1).all()


def test_cddfuse_takes_a_flat_source_as_fully_kept():
    constant = np.full(SHAPE, 100.0)
    got = evaluate(*arrays(FUSED, constant, constant), convention="cddfuse", metrics=("VIF",))
    np.testing.assert_array_equal(got["VIF"], 2.0)


TOO_SMALL = {"AG", "VIF", "VIFF", "SSIM", "MS-SSIM", "Nabf", "FMI_pixel", "FMI_gradient"}


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


# Color.


def test_color_deviation_is_the_angle_of_rgb_vectors():
    rng = np.random.default_rng(0)
    vi, fused = rng.integers(0, 256, (2, 1, 9, 11, 3)) / 255.0
    vi[0, 0, 0] = 0
    ir = np.zeros((1, 9, 11, 1))
    score = lambda f: evaluate(*(jnp.asarray(x, jnp.float32) for x in (f, ir, vi)), metrics=("CD",))["CD"]  # noqa: E731
    np.testing.assert_allclose(score(fused), reference.color_deviation(fused[0], vi[0]), rtol=1e-6)
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


# Running mean.


def test_running_mean_is_the_same_for_every_split():
    values = np.random.default_rng(0).lognormal(3, 3, 60).astype(np.float32)
    values[[4, 17]] = np.nan, np.inf
    expected = np.mean(np.delete(values, [4, 17]).astype(np.float64))
    means = []
    for sizes in ([60], [1] * 60, [7, 13, 40]):
        mean, start = RunningMean.empty(["SD"]), 0
        for size in sizes:
            mean, start = mean.update({"SD": values[start : start + size]}), start + size
        means.append(float(mean.result()["SD"]))
        assert (int(mean.count["SD"]), int(mean.left_out["SD"])) == (58, 2)
    np.testing.assert_allclose(means, expected, rtol=1.2e-7)  # one unit in float32's last place


def test_running_means_merge_and_skip_padding():
    values = np.arange(8, dtype=np.float32)
    left = RunningMean.empty(["EN"]).update({"EN": values[:4]})
    right = RunningMean.empty(["EN"]).update({"EN": values[4:]}, valid=np.array([True, True, False, False]))
    for merged in (left.merge(right), jax.tree.map(jnp.add, left, right)):  # the latter is what psum does
        assert float(merged.result()["EN"]) == 2.5
        assert int(merged.left_out["EN"]) == 0
    assert np.isnan(RunningMean.empty(["EN"]).result()["EN"])
