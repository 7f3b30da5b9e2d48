"""Measures of the look: against a float64 reading of their definitions, laws, undefined cases."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fusejax.metrics import evaluate, higher_is_better, merit
from fusejax.metrics.evaluation import score_arrays

NAMES = ("kept", "cancelled", "texture", "veil", "saturation")
WEIGHTS = np.array([0.299, 0.587, 0.114])


def blurred(x, sigma):
    """As OpenCV does with float images: mirrored about the border pixels, cut at 4 sigma."""
    return ndimage.gaussian_filter(x, sigma, mode="mirror", truncate=4.0)


def kept_and_cancelled64(fused, ir, vi):
    kept = cancelled = total = 0.0
    for s in (2, 4, 8, 16):
        ci, cv, cf = (blurred(x, s) - blurred(x, 2 * s) for x in (ir, vi, fused))
        m = np.maximum(abs(ci), abs(cv))
        w = np.where(m > 0.03, m, 0)
        r = np.minimum(abs(cf) / np.maximum(m, 1e-6), 1)
        opposite = (ci * cv < 0) & (np.minimum(abs(ci), abs(cv)) > 0.015)
        kept, total = kept + (w * r).sum(), total + w.sum()
        cancelled += (w * opposite * (r < 0.5)).sum()
    return kept / total, cancelled / total


def empty(ir):
    return abs(blurred(ir, 4) - blurred(ir, 16)) < 0.05


def texture64(fused, ir, vi):
    deviation = np.sqrt(np.maximum(blurred(vi * vi, 5) - blurred(vi, 5) ** 2, 0))
    flat = ndimage.binary_erosion((deviation < 0.012) & empty(ir), np.ones((9, 9)), border_value=1)

    def rms(x):
        return 255 * np.sqrt(((x - blurred(x, 3))[flat] ** 2).mean())

    return rms(fused) - rms(vi) if flat.mean() >= 0.02 else np.nan


def veil64(fused, ir, vi):
    dark = (vi <= np.sort(vi.ravel())[-(-3 * vi.size // 10) - 1]) & empty(ir)
    return 255 * (fused - vi)[dark].mean() if dark.mean() >= 0.02 else np.nan


def saturation64(fused, vi):
    def relative(x):
        y = x @ WEIGHTS
        return np.sqrt(((x - y[..., None]) ** 2).sum(-1)) / np.maximum(y, 0.03), y

    (wanted, luma), (found, _) = relative(vi), relative(fused)
    colored = (wanted > 0.15) & (luma > 0.06)
    return found[colored].sum() / wanted[colored].sum() if colored.mean() > 0.01 else np.nan


def reference(fused, ir, vi):
    """fused, vi: [h, w, 3], ir: [h, w], float64 in [0, 1]."""
    gray = fused @ WEIGHTS, ir, vi @ WEIGHTS
    return dict(
        zip(
            NAMES,
            (*kept_and_cancelled64(*gray), texture64(*gray), veil64(*gray), saturation64(fused, vi)),
            strict=True,
        )
    )


def scene(seed=0, *, size=(90, 118)):
    """An 8-bit scene with a flat sky, objects of opposite polarity and infrared grain."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    vi = np.where(rows < size[0] // 2, 0.7, 0.25 + 0.1 * np.sin(columns / 3.0))
    ir = np.where(rows < size[0] // 2, 0.3, 0.45) + rng.normal(0, 0.008, size)
    for n in range(6):
        near = np.hypot(rows - rng.uniform(0, size[0]), columns - rng.uniform(0, size[1])) < rng.uniform(4, 12)
        ir, vi = np.where(near, rng.uniform(), ir), np.where(near & (n % 2 == 0), rng.uniform(), vi)
    tint = np.stack([1.1 * vi, vi, 0.7 * vi], -1)
    fused = np.clip(tint + 0.4 * (ir - vi)[..., None], 0, 1)
    return [np.rint(255 * np.clip(x, 0, 1)) / 255 for x in (fused, ir, tint)]


def scored(fused, ir, vi, **options):
    return {k: float(v) for k, v in evaluate(fused, ir, vi, convention="look", **options).items()}


def within(values, expected):
    assert values.keys() == expected.keys()
    for name in values:
        np.testing.assert_allclose(values[name], expected[name], atol=1e-3, rtol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_measures_are_those_of_float64(seed):
    images = scene(seed)
    expected = reference(*images)
    assert np.isfinite(list(expected.values())).all()
    within(scored(*(x.astype(np.float32) for x in images)), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stem"), [("roadscene/val", "FLIR_00122"), ("vifb/test_dev", "manlight")])
def test_the_measures_of_real_pairs_are_those_of_float64(name, stem, data_root):
    def read(kind, mode):
        return np.asarray(Image.open(next((data_root / name / kind).glob(f"{stem}.*"))).convert(mode)) / 255.0

    ir, vi = read("ir", "L"), read("vi", "RGB")
    fused = np.rint(255 * np.clip(vi + 0.5 * (ir - vi @ WEIGHTS)[..., None], 0, 1)) / 255
    within(scored(*(x.astype(np.float32) for x in (fused, ir, vi))), reference(fused, ir, vi))


@pytest.mark.slow
def test_padding_does_not_change_the_measures():
    images = scene(1)
    alone = scored(*(x.astype(np.float32) for x in images))
    wide = [np.full((128, 128, x.shape[-1] if x.ndim == 3 else 1), value, np.float32) for x, value in
            zip(images, (0.0, 1.0, 0.9), strict=True)]  # fmt: skip
    for array, image in zip(wide, images, strict=True):
        array[: image.shape[0], : image.shape[1]] = image.reshape(*image.shape[:2], -1)
    got = score_arrays(
        *(jnp.asarray(x)[None] for x in wide), jnp.asarray([[90, 118]], jnp.int32), convention="look", metrics=NAMES
    )
    within({name: float(got[name][0]) for name in NAMES}, alone)


def test_a_pair_that_shows_nothing_has_no_measures():
    gray = np.full((32, 40), 0.5, np.float32)
    found = scored(gray, gray, gray)
    assert all(np.isnan(found[name]) for name in ("kept", "cancelled", "saturation"))
    assert found["texture"] == found["veil"] == 0


@pytest.mark.slow
def test_each_measure_sees_what_it_is_named_after():
    _, ir, vi = (x.astype(np.float32) for x in scene(2))
    copied = scored(vi, ir, vi)
    np.testing.assert_allclose([copied["texture"], copied["veil"], copied["saturation"]], [0, 0, 1], atol=1e-4)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.02, vi.shape[:2]).astype(np.float32)[..., None]
    grain = scored(np.clip(vi + noise, 0, 1), ir, vi)
    assert grain["texture"] > copied["texture"] + 2
    lifted = scored(0.2 + 0.8 * vi, ir, vi)
    assert lifted["veil"] > 20
    assert lifted["saturation"] < 0.9
    half = np.where((vi @ WEIGHTS.astype(np.float32) > 2)[..., None], vi, vi.mean())
    assert scored(half, ir, vi)["kept"] < 0.05
    opposite = scored(np.repeat(((ir + 1 - ir) / 2)[..., None], 3, 2), ir, np.repeat((1 - ir)[..., None], 3, 2))
    assert opposite["cancelled"] > 0.9
    assert scored(np.repeat(ir[..., None], 3, 2), ir, np.repeat((1 - ir)[..., None], 3, 2))["cancelled"] < 0.01


def test_directions_and_defaults():
    assert [higher_is_better(name) for name in NAMES] == [True, False, False, False, False]
    values = np.array([0.8, 1.0, 1.5, np.nan])
    np.testing.assert_allclose(merit("saturation", values), [-0.2, 0.0, -0.5, np.nan])
    np.testing.assert_array_equal(merit("veil", values - 1.0), -np.abs(values - 1.0))
    np.testing.assert_array_equal(merit("cancelled", values), -values)
    np.testing.assert_array_equal(merit("kept", values), values)
