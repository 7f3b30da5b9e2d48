"""Degradations: common properties, and each one against an independent computation."""

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.data.synthetic import synthetic_pair
from fusejax.evaluation import conditions, degradations
from fusejax.evaluation.conditions import CONDITIONS, KINDS, Condition, _apply, apply_function, degrade, jpeg
from fusejax.ops.filters import gaussian_blur

PAIR = synthetic_pair(2, size=(44, 60))
KEY = jax.random.key(3)
FUNCTIONS = {name: kind for name, kind in KINDS.items() if kind.function is not None}
DRAWN = ("gaussian_noise", "poisson_noise", "stripes", "low_light")


def distance(a, b):
    return float(np.square(a.astype(np.float64) - b).mean())


def run(name, image, strength, *, key=KEY):
    return apply_function(image, FUNCTIONS[name].function, strength, key=key)


def test_each_kind_draws_its_own_noise_for_each_pair(monkeypatch):
    keys = []

    def note(image, function, strength, *, key):
        keys.append(tuple(jax.random.key_data(key).tolist()))
        return image

    monkeypatch.setattr(conditions, "apply_function", note)
    for kind, level, name in (
        ("stripes", 1, "a"),
        ("stripes", 4, "a"),
        ("gaussian_noise", 1, "a"),
        ("stripes", 1, "b"),
    ):
        degrade(PAIR["ir"], PAIR["vi"], Condition(kind, "ir", level), name=name)
    assert keys[0] == keys[1], "stronger noise is weaker noise, scaled"
    assert len(set(keys)) == 3


def test_jpeg_keeps_half_the_resolution_of_chroma():
    lines = np.zeros((16, 16, 3), np.uint8)
    lines[:, ::2], lines[:, 1::2] = (200, 60, 60), (60, 117, 200)  # of nearly equal luma
    found = jpeg(lines, quality=95).astype(int)
    assert np.abs(np.diff(found, axis=1))[:, 2:-2].max() < 30, "neighbors have one color"
    blocks = np.repeat(lines[:, :2].reshape(16, 2, 3), 8, axis=1)
    assert np.abs(jpeg(blocks, quality=95).astype(int) - blocks)[:, [2, 13]].max() < 30


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_strength_changes_nothing_and_more_changes_more(name):
    image, kind = PAIR["vi"], FUNCTIONS[name]
    np.testing.assert_array_equal(run(name, image, 0.0), image)
    found = [run(name, image, strength) for strength in kind.strengths]
    assert all(x.shape == image.shape and x.dtype == np.uint8 for x in found)
    distances = [0.0, *(distance(x, image) for x in found)]
    assert distances == sorted(distances)
    assert distances[1] > 0
    np.testing.assert_array_equal(run(name, image, kind.strengths[-1]), found[-1])  # no state


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.slow
def test_the_array_around_the_image_does_not_matter(name):
    """Noise is drawn for the whole array, so only degradations without noise are compared."""
    image = PAIR["ir"].astype(np.float32) / 255
    strength = np.float32(0.0 if name in DRAWN else FUNCTIONS[name].strengths[-1])
    alone = _apply(KEY, image, strength, np.array([44, 60], np.int32), function=FUNCTIONS[name].function)
    around = np.full((64, 64, 1), 0.7, np.float32)
    around[:44, :60] = image
    within = _apply(KEY, around, strength, np.array([44, 60], np.int32), function=FUNCTIONS[name].function)
    np.testing.assert_allclose(within[:44, :60], alone, atol=2e-6)  # sums of another length


@pytest.mark.slow
def test_blur_is_the_librarys():
    image = jnp.asarray(PAIR["vi"].astype(np.float32) / 255)
    for sigma in (0.5, 2.0, 4.0):
        blurred = degradations.blur(KEY, image, jnp.float32(sigma), jnp.array([44, 60]))
        np.testing.assert_allclose(blurred, gaussian_blur(image[None], sigma)[0], atol=2e-6)


@pytest.mark.slow
def test_noise_has_the_deviation_that_it_states():
    gray = np.full((256, 256, 1), 128, np.uint8)
    noisy = run("gaussian_noise", gray, 10 / 255).astype(np.float64)
    assert noisy.std() == pytest.approx(10, rel=0.02)  # the standard error is 0.3 %
    assert noisy.mean() == pytest.approx(128, abs=0.2)
    photons = run("poisson_noise", gray, 1 / 400).astype(np.float64) / 255
    assert photons.var() == pytest.approx((128 / 255) / 400, rel=0.03)
    striped = run("stripes", gray, 10 / 255).astype(np.float64)
    assert (striped == striped[:1]).all()
    assert striped[0].std() == pytest.approx(10, rel=0.15)  # 256 columns


def test_the_warps_move_the_image():
    image = PAIR["ir"]
    moved = run("shift", image, 4.0)[..., 0].astype(int)
    rows, columns = np.mgrid[:44, :60]
    expected = [
        image[np.clip(rows + y, 0, 43), np.clip(columns + x, 0, 59), 0] for y, x in ((4, 0), (-4, 0), (0, 4), (0, -4))
    ]
    assert min(np.abs(moved - e).max() for e in expected) == 0
    turned = run("rotation", image, 4.0)[..., 0]
    middle = ((60 - 1) / 2, (44 - 1) / 2)
    by_hand = [
        cv2.warpAffine(image, cv2.getRotationMatrix2D(middle, a, 1), (60, 44), borderMode=cv2.BORDER_REPLICATE)
        for a in (4, -4)
    ]
    assert min(np.abs(turned.astype(int) - b).max() for b in by_hand) <= 4  # OpenCV places in 1/32 pixel


def test_fog_and_exposure_follow_their_equations():
    image = PAIR["vi"].astype(np.float64) / 255
    depth = 1 - 0.8 * (np.arange(44) / 43)[:, None, None]
    passed = np.exp(-2 * depth)
    np.testing.assert_allclose(run("fog", PAIR["vi"], 2.0), 255 * (image * passed + 0.85 * (1 - passed)), atol=0.51)
    brighter = 255 * np.clip((image**2.2 * 2) ** (1 / 2.2), 0, 1)
    np.testing.assert_allclose(run("overexposure", PAIR["vi"], 1.0), brighter, atol=0.51)
    bright = np.full((64, 64, 1), 200, np.uint8)
    light = (run("low_light", bright, 3.0) / 255.0) ** 2.2
    assert light.mean() == pytest.approx((200 / 255) ** 2.2 / 8, rel=0.02)


def test_jpeg_loses_more_at_lower_quality():
    for image in (PAIR["ir"], PAIR["vi"]):
        distances = [distance(jpeg(image, quality=q), image) for q in (100, 80, 50, 10)]
        assert distances == sorted(distances)
    assert distance(jpeg(PAIR["ir"], quality=100), PAIR["ir"]) < 1  # gray: no chroma is thrown away


def test_conditions_change_their_source_alone_and_always_alike():
    assert len({condition.name for condition in CONDITIONS}) == len(CONDITIONS)
    for condition in (Condition("gaussian_noise", "ir", 2), Condition("jpeg", "vi", 1)):
        first = degrade(PAIR["ir"], PAIR["vi"], condition, name="a")
        again = degrade(PAIR["ir"], PAIR["vi"], condition, name="a")
        for n, (kind, x, y) in enumerate(zip(("ir", "vi"), first, again, strict=True)):
            np.testing.assert_array_equal(x, y)
            assert (x == (PAIR["ir"], PAIR["vi"])[n]).all() == (kind != condition.source)
    noise = Condition("gaussian_noise", "ir", 2)
    other = degrade(PAIR["ir"], PAIR["vi"], noise, name="b")[0]
    assert (other != degrade(PAIR["ir"], PAIR["vi"], noise, name="a")[0]).any()
    with pytest.raises(ValueError, match="depends on a network"):
        degrade(PAIR["ir"], PAIR["vi"], Condition("adversarial_noise", "both", 1), name="a")


def test_amounts_are_readable():
    amounts = {c.name: c.amount for c in CONDITIONS}
    assert amounts["ir_gaussian_noise_3"] == "20 levels"
    assert amounts["vi_jpeg_1"] == "80 % quality"
    assert amounts["ir_dead_1"] == ""
