"""Augmentation: what changes, what stays clean, and reproducible draws."""

import dataclasses

import numpy as np
import pytest

from fusejax.data.augmentation import Augment, draw_lamps, draw_light
from fusejax.data.config import AugmentConfig, DataConfig
from fusejax.data.deformation import displaced, elastic_field, homography_field
from fusejax.data.memory import KeptInMemory
from fusejax.data.pipeline import open_sources, training_batches


def pair(seed=0):
    rng = np.random.default_rng(seed)
    made = {k: (0.3 + 0.4 * rng.random((16, 16, 1))).astype(np.float32) for k in ("ir", "vi_y")}
    return made | {"id": "a", "ir_input": made["ir"], "vi_input": made["vi_y"]}


def augmented(seed=0, **config):
    return Augment(AugmentConfig(**config)).random_map(pair(), np.random.default_rng(seed))


def test_noise_is_in_the_inputs_alone():
    made, plain = augmented(noise=0.1), pair()
    for clean, given in (("ir", "ir_input"), ("vi_y", "vi_input")):
        np.testing.assert_allclose(made[clean], plain[clean], atol=1e-6)
        assert 0.001 < np.std(made[given] - plain[given]) < 0.11


def test_sources_change_by_themselves_and_keep_their_polarity():
    made, plain = augmented(brightness=0.1, contrast=0.3), pair()
    for clean, given in (("ir", "ir_input"), ("vi_y", "vi_input")):
        np.testing.assert_array_equal(made[clean], made[given])
        gain, shift = np.polyfit(plain[clean].ravel(), made[clean].ravel(), 1)
        assert 0.7 <= gain <= 1.3
        assert gain != 1
        assert shift != 0
    assert np.std(made["ir"]) / np.std(plain["ir"]) != pytest.approx(np.std(made["vi_y"]) / np.std(plain["vi_y"]))


def test_misalignment_shifts_the_infrared_input_alone():
    shifts = set()
    for seed in range(40):
        made, plain = augmented(seed, misalignment=2), pair()
        np.testing.assert_allclose(made["ir"], plain["ir"], atol=1e-6)
        np.testing.assert_allclose(made["vi_input"], plain["vi_y"], atol=1e-6)
        inner = made["ir_input"][2:-2, 2:-2]
        (found,) = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if np.allclose(inner, plain["ir"][2 - dy : 14 - dy, 2 - dx : 14 - dx], atol=1e-6)
        ]
        shifts.add(found)
    assert len(shifts) > 12
    assert {y for y, _ in shifts} == {x for _, x in shifts} == {-2, -1, 0, 1, 2}


def waves(size=96):
    y, x = np.mgrid[:size, :size].astype(np.float32)
    made = {"ir": (0.5 + 0.2 * np.sin(x / 5) + 0.2 * np.cos(y / 7))[..., None], "vi_y": (x / size)[..., None]}
    return made | {"id": "a", "ir_input": made["ir"], "vi_input": made["vi_y"]}


@pytest.mark.parametrize("amounts", [{"corners": 4.0}, {"elastic": 1.0}, {"corners": 3.0, "elastic": 0.7}])
def test_deformed_inputs_move_and_the_objective_sees_the_registered_pair(amounts):
    plain = waves()
    made = Augment(AugmentConfig(**amounts)).random_map(plain, np.random.default_rng(1))
    for name in ("ir", "vi_y", "vi_input"):
        np.testing.assert_allclose(made[name], plain[name], atol=1e-6)
    assert 0.005 < np.abs(made["ir_input"] - plain["ir"]).mean() < 0.2


def test_deformed_pairs_move_for_the_objective_too():
    plain = waves()
    made = Augment(AugmentConfig(corners=3.0, deformed="pair")).random_map(plain, np.random.default_rng(1))
    np.testing.assert_array_equal(made["ir"], made["ir_input"])
    assert np.abs(made["ir"] - plain["ir"]).mean() > 0.005
    masked = plain | {"ir_input": np.zeros_like(plain["ir"])}  # the network sees less than the objective
    made = Augment(AugmentConfig(corners=3.0, deformed="pair")).random_map(masked, np.random.default_rng(1))
    assert made["ir_input"].max() == 0 and np.abs(made["ir"] - plain["ir"]).mean() > 0.005


def test_fields_have_the_size_that_is_asked_for():
    rng = np.random.default_rng(0)
    field = np.stack([homography_field((40, 60), rng, corner=3.0) for _ in range(50)])
    ends = field[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(ends).max() <= 3.0 and np.abs(ends).max() > 2.7
    elastic = np.stack([elastic_field((64, 64), rng, amount=2.0, sigma=8.0) for _ in range(40)])
    assert elastic.std() == pytest.approx(2.0, rel=0.15)
    assert np.abs(np.diff(elastic, axis=1)).mean() < 0.3  # smooth


def test_a_constant_field_is_a_shift():
    image = waves()["ir"]
    moved = displaced(image, np.broadcast_to(np.array([3.0, -2.0], np.float32), (96, 96, 2)).copy())
    np.testing.assert_allclose(moved[2:, :-3], image[:-2, 3:], atol=1e-6)


@pytest.mark.parametrize("wrong", [{"corners": -1.0}, {"elastic": float("inf")}, {"deformed": "vi"}])
def test_impossible_deformations_are_refused(unchecked, wrong):
    with pytest.raises(ValueError, match=r"give pixels, 0 or more|deformed is 'vi'"):
        AugmentConfig(**wrong)


def test_half_of_the_infrared_images_stand_on_a_pedestal():
    lifted = 0
    for seed in range(40):
        made, plain = augmented(seed, pedestal=0.4), pair()
        np.testing.assert_allclose(made["vi_y"], plain["vi_y"], atol=1e-6)
        np.testing.assert_array_equal(made["ir"], made["ir_input"])
        gain, low = np.polyfit(plain["ir"].ravel(), made["ir"].ravel(), 1)
        assert 0 <= low + 1e-6 < 0.4
        assert 0.6 * (1 - low) - 1e-5 <= gain <= 1 - low + 1e-5
        lifted += gain < 1 - 1e-4
    assert 10 < lifted < 30


def test_dusk_darkens_the_visible_image_only():
    factors = []
    for seed in range(40):
        made, plain = augmented(seed, dusk=0.5), pair()
        np.testing.assert_allclose(made["ir"], plain["ir"], atol=1e-6)
        np.testing.assert_array_equal(made["vi_y"], made["vi_input"])
        ratio = made["vi_y"] / plain["vi_y"]
        np.testing.assert_allclose(ratio, ratio.mean(), rtol=1e-5)
        factors.append(ratio.mean())
    assert 10 < sum(f < 0.9 for f in factors) < 30
    assert min(factors) >= 0.2


def test_a_light_saturates_the_visible_image_only():
    made, plain = augmented(glare=1.0), pair()
    np.testing.assert_allclose(made["ir"], plain["ir"], atol=1e-6)
    assert made["vi_y"].max() == 1
    assert made["vi_y"].dtype == np.float32


def test_half_of_the_lights_are_in_front_of_something_warm():
    ir = np.zeros((32, 20, 1), np.float32)
    ir[20:23, 4:7] = 1
    lights = [draw_light(ir, np.random.default_rng(seed)) for seed in range(60)]
    assert all(light.shape == (32, 20, 1) and light.min() >= 0 and light.max() > 0.9 for light in lights)
    centers = [np.unravel_index(light.argmax(), light.shape)[:2] for light in lights]
    assert 20 < sum(bool(ir[row, column, 0]) for row, column in centers) < 42


def test_shares_outside_the_range_are_refused():
    with pytest.raises(ValueError, match=r"augment.glare is 1.5"):
        AugmentConfig(glare=1.5)
    with pytest.raises(ValueError, match="misalignment is -1"):
        AugmentConfig(misalignment=-1)


def test_batches_are_drawn_again_alike_and_crops_do_not_depend_on_augmentation():
    config = DataConfig(synthetic=3, crop=16, com_mask=None, keep_decoded=True)
    changed = dataclasses.replace(config, augment=AugmentConfig(brightness=0.05, noise=0.02))
    first, again, plain = (
        next(iter(training_batches(open_sources(c), c, batch_size=2, seed=0))) for c in (changed, changed, config)
    )
    np.testing.assert_array_equal(first["ir_input"], again["ir_input"])
    assert np.corrcoef(first["ir"].ravel(), plain["ir"].ravel())[0, 1] > 0.9  # other crops: about 0
    np.testing.assert_array_equal(plain["ir"], plain["ir_input"])


def test_elements_are_read_once():
    class Counting:
        reads = 0
        skipped = ("one.png: broken",)

        def __len__(self):
            return 2

        def __getitem__(self, index):
            self.reads += 1
            return {"id": str(index)}

    source = Counting()
    kept = KeptInMemory(source)
    assert [kept[n]["id"] for n in (0, 1, 0, 1)] == ["0", "1", "0", "1"]
    assert (source.reads, len(kept), kept.skipped) == (2, 2, source.skipped)


def test_lamps_are_small_white_and_hot_and_the_same_for_the_input():
    made, plain = augmented(lamps=1.0), pair()
    assert (made["vi_y"] >= plain["vi_y"]).all() and made["vi_y"].max() == 1
    assert (made["ir"] - plain["ir"]).max() > 0.1
    assert made["vi_input"] is made["vi_y"] and made["ir_input"] is made["ir"]
    for seed in range(20):
        light, heat = draw_lamps((112, 120), np.random.default_rng(seed))
        assert light.shape == heat.shape == (112, 120, 1)
        assert light.max() > 0.9 and heat.max() > 0.15
        assert (light > 0.9).mean() < 0.06
        assert heat[light < 0.2].max() < 0.2
