"""Laws of the metrics, and every metric against an independent float64 implementation."""

from functools import partial

import jax
import jax.numpy as jnp
import metrics_reference as reference
import numpy as np
import perceptual_reference
import pytest
from metrics_images import FUSED, IR, SMALL, VI, arrays, levels

from fusejax.metrics import CONVENTIONS, METRICS, USUAL, evaluate
from fusejax.metrics.edges import edge_angle, qabf
from fusejax.metrics.information import _matmul_histogram, _scatter_histogram, entropy, mutual_information
from fusejax.metrics.structure import ms_ssim, ssim
from fusejax.metrics.visual_information import vif

# Float32 against float64. FMI sums entropies of nine cells that nearly cancel, Nabf sums 1 - Q with
# Q near 1.
TOLERANCE = dict.fromkeys(SMALL, 2e-06) | {"FMI_pixel": 1e-4, "FMI_gradient": 1e-4, "SCD": 1e-5, "Nabf": 1e-4}


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
    "Qcb": perceptual_reference.qcb,
    "Qcv": perceptual_reference.qcv,
    "SSIM": reference.ssim,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_metric_matches_the_float64_reading(name, scores):
    expected = [REFERENCES[name](FUSED[i], IR[i], VI[i]) for i in range(len(FUSED))]
    np.testing.assert_allclose(scores[name], expected, rtol=TOLERANCE[name])


@pytest.mark.slow
def test_ms_ssim_matches_the_float64_reading_on_odd_sides():
    f, a, b = (levels(seed, (1, 163, 162)) for seed in (3, 4, 5))
    f = np.rint((f + a + b) / 3)
    np.testing.assert_allclose(jax.jit(ms_ssim)(*arrays(f, a, b)), [reference.ms_ssim(f[0], a[0], b[0])], rtol=2e-6)


def test_every_metric_has_a_row_in_the_table():
    defined = {name for c in CONVENTIONS.values() for name in (*c.metrics, *c.color)}
    assert defined == set(METRICS)
    assert set(USUAL) <= set(CONVENTIONS["exact"].metrics)


# One answer, however it is computed. The bound is float32 rounding with another order of sums.
ORDER = {"rtol": 2e-6, "atol": 1e-7}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["EN", "SD", "SF", "AG", "MI", "SCD", "Qabf", "SSIM"])
def test_without_jit_the_values_are_the_same(name, scores):
    value = CONVENTIONS["exact"].metrics[name](*arrays(FUSED[:1], IR[:1], VI[:1]))
    np.testing.assert_allclose(value, scores[name][:1], **ORDER)


@pytest.mark.slow
def test_batch_is_one_by_one(scores):
    for i in range(len(FUSED)):
        one = evaluate(*arrays(FUSED[i : i + 1], IR[i : i + 1], VI[i : i + 1]), metrics=USUAL)
        for name, value in one.items():
            np.testing.assert_allclose(value[0], scores[name][i], **ORDER)


@pytest.mark.slow
def test_several_methods_at_once_are_each_method_alone(scores):
    methods = arrays(np.stack([FUSED, VI]))[0]
    both = evaluate(methods, *arrays(IR, VI), metrics=USUAL)
    for name, value in both.items():
        assert value.shape == (2, 2)
        np.testing.assert_allclose(value[0], scores[name], **ORDER)


@pytest.mark.slow
def test_vmap_over_single_images_is_the_batch(scores):
    f, a, b = (x[:, None] for x in arrays(FUSED, IR, VI))
    for name in ("SSIM", "Qabf", "MI"):
        value = jax.jit(jax.vmap(CONVENTIONS["exact"].metrics[name]))(f, a, b)[:, 0]
        np.testing.assert_allclose(value, scores[name], **ORDER)


SYMMETRIC = [name for name in SMALL if name not in ("EN", "SD", "SF", "AG", "EI")]


@pytest.mark.slow
def test_sources_may_be_exchanged(scores):
    exchanged = evaluate(*arrays(FUSED, VI, IR), metrics=SMALL)
    for name in SYMMETRIC:
        np.testing.assert_allclose(exchanged[name], scores[name], **ORDER, err_msg=name)


@pytest.mark.slow
def test_entropy_of_known_histograms():
    flat, halves, ramp = np.full((16, 16), 7), np.repeat([[0, 255]], 16, 0).repeat(8, 1), np.arange(256).reshape(16, 16)
    np.testing.assert_allclose(
        entropy(arrays(np.stack([flat, halves, ramp]))[0]), [0.0, 1.0, 8.0], rtol=1e-6, atol=1e-7
    )


@pytest.mark.slow
def test_mutual_information_with_itself_is_entropy_twice():
    f, *_ = arrays(VI)
    np.testing.assert_allclose(mutual_information(f, f, f), 2 * entropy(f), rtol=1e-6)


@pytest.mark.slow
def test_qabf_reaches_its_maximum_for_a_copy_and_no_more():
    f, *_ = arrays(VI)
    maximum = 0.9994 / (1 + np.exp(-7.5)) * 0.9879 / (1 + np.exp(-4.4))
    np.testing.assert_allclose(qabf(f, f, f), maximum, rtol=1e-6)
    assert 0.9747 < maximum < 0.9749
    toolkits = 0.9994 * 0.9879 / (1 + np.exp(-4.4))
    np.testing.assert_allclose(qabf(f, f, f, equal="strength"), toolkits, rtol=1e-4)  # not where the strength is zero


@pytest.mark.slow
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
    """The accelerator implementation, over several chunks with an incomplete last one, gives the
    same exact counts.
    """
    first, second = (jnp.asarray(levels(seed, (67, 71)).astype(np.int32).ravel()) for seed in (1, 2))
    counts = _matmul_histogram(first, second)
    np.testing.assert_array_equal(counts, _scatter_histogram(first, second))
    assert counts.sum() == first.size


@pytest.mark.slow
def test_conventions_differ_as_stated(scores):
    got = {c: evaluate(*arrays(FUSED, IR, VI), convention=c, metrics=("MI", "PSNR", "SF")) for c in ("cddfuse", "tang")}
    np.testing.assert_allclose(got["cddfuse"]["MI"], scores["MI"] * np.log(2), rtol=1e-6)
    np.testing.assert_allclose(got["tang"]["PSNR"], scores["PSNR"] + 20 * np.log10(255), rtol=1e-6)
    assert (got["cddfuse"]["SF"] > scores["SF"]).all()
