"""The people study: patches, average precision, and that informative images are learned."""

import numpy as np
import pytest
from people.patches import NEGATIVES, PATCH, cut_patches, image_kinds
from people.study import PeopleConfig, average_precision, people_table, run_people_study

from fusejax.data.synthetic import synthetic_pair

pytestmark = pytest.mark.optimized


@pytest.mark.slow
def test_average_precision_is_the_mean_precision_at_each_person():
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    assert average_precision(scores, np.array([1, 1, 0, 0, 0], bool)) == 1
    assert average_precision(scores, np.array([0, 1, 0, 1, 0], bool)) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert average_precision(np.zeros(5), np.array([0, 1, 0, 1, 0], bool)) == pytest.approx(2 / 5)
    assert np.isnan(average_precision(scores, np.zeros(5, bool)))
    rng = np.random.default_rng(0)
    scores, people = rng.standard_normal(200), rng.random(200) < 0.3
    order, hits, total = np.argsort(-scores), 0, 0.0
    for rank, n in enumerate(order, start=1):
        hits += people[n]
        total += people[n] * hits / rank
    assert average_precision(scores, people) == pytest.approx(total / people.sum())


@pytest.mark.parametrize("height", [12, 64, 150])  # enlarged, shrunk, shrunk by areas first
def test_patches_show_the_box_with_a_margin(height):
    image = np.zeros((200, 240, 1), np.float32)
    width = round(height * 0.5)
    image[20 : 20 + height, 60 : 60 + width] = 1
    box = np.array([[60, 20, 60 + width, 20 + height]], np.float32)
    kinds = {"a": image, "b": np.concatenate([image, 1 - image], axis=-1)}
    found = cut_patches(kinds, box, ["person"], rng=np.random.default_rng(0))
    assert found["a"].images.shape == (1 + NEGATIVES, *PATCH, 1)
    assert found["a"].people.tolist() == [True] + [False] * NEGATIVES
    assert found["a"].images[0].mean() == pytest.approx(1 / 1.25**2, abs=0.06)
    assert found["a"].images[0, 6:26, 4:12].min() > 0.99
    assert max(patch.mean() for patch in found["a"].images[1:]) < 0.5  # at most a fifth of the smaller one
    np.testing.assert_allclose(found["b"].images[..., :1], found["a"].images)


def test_other_objects_are_negatives_and_copies_are_people():
    pair = synthetic_pair(4, size=(96, 128))
    kinds = image_kinds(pair, {"maximum": np.maximum})
    assert list(kinds) == ["visible", "infrared", "maximum", "both sources"]
    np.testing.assert_array_equal(kinds["maximum"], np.maximum(kinds["visible"], kinds["infrared"]))
    labels = list(pair["labels"])
    found = cut_patches(kinds, pair["boxes"], labels, rng=np.random.default_rng(0), copies=2)["infrared"]
    assert found.people.sum() == 3 * labels.count("person")
    assert (~found.people).sum() == NEGATIVES


@pytest.mark.slow
def test_what_shows_people_is_learned_and_what_does_not_is_not():
    config = PeopleConfig(scenes=16, test_scenes=16, size=(96, 128), steps=80, seeds=2)
    methods = {"nothing": lambda ir, vi_y: 0.5 + 0 * ir}
    found = run_people_study(methods, config)
    assert list(found) == ["day", "night", "night, noisy infrared"]
    night = {kind: values.mean() for kind, values in found["night"].items()}
    assert night["infrared"] > night["nothing"] + 0.3
    assert night["both sources"] > night["nothing"] + 0.3
    text = people_table(found)
    assert text.count("±") == 3 * 4
    assert "| infrared |" in text
