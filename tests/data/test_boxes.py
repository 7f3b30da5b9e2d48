"""Boxes in crops and flips, their selection and padding, and boxes in batches."""

import numpy as np
import pytest
from annotating import draw

from fusejax.data.transforms import PadBoxes, RandomPairedCrop, RandomPairedFlip, SelectBoxes, crop_boxes


def mask_of(boxes, size):
    """[h, w, 1] uint8, 255 inside."""
    boxes = np.asarray(boxes, np.float32).reshape(1, -1, 4)
    drawn = draw(boxes, np.ones(boxes.shape[:2], bool), height=size[0], width=size[1])
    return np.asarray(drawn[0] * 255).astype(np.uint8)


def drawn_pair(boxes, size):
    """A pair whose infrared image is the mask of its boxes."""
    mask = mask_of(boxes, size)
    return {"id": "p", "ir": mask, "vi": np.repeat(mask, 3, -1), "boxes": np.array(boxes, np.float32)}


def random_box(rng, size):
    """Corners at thirds of a pixel, and thus never at a pixel's center, where mirroring and drawing
    need not commute.
    """
    (y1, y2), (x1, x2) = (np.sort(rng.choice(3 * side + 1, 2, replace=False)) / 3 for side in size)
    return np.array([x1, y1, x2, y2], np.float32)


def test_cropped_boxes_are_the_boxes_of_the_cropped_image(rng):
    size, side, fates = (30, 44), 16, []
    for _ in range(300):
        box = random_box(rng, size)
        pair = drawn_pair([box], size) | {"labels": ("car",)}
        out = RandomPairedCrop(side).random_map(pair, rng)
        assert len(out["labels"]) == len(out["boxes"])
        if len(out["boxes"]):
            assert ((out["boxes"] >= 0) & (out["boxes"] <= side)).all()
            np.testing.assert_array_equal(out["ir"], mask_of(out["boxes"], (side, side)))
        else:  # counted in pixels: a fifth of the area, or a side of 4, up to the rounding of the corners
            rows, columns = (out["ir"][..., 0].any(axis=k).sum() for k in (1, 0))
            height, width = box[3] - box[1], box[2] - box[0]
            assert min(rows, columns) <= 4 or (rows - 1) * (columns - 1) <= 0.2 * height * width
        fates.append(len(out["boxes"]))
    assert 0.2 < np.mean(fates) < 0.9


@pytest.mark.parametrize(
    ("box", "left"),
    [
        ([12, 0, 16, 4], [[12, 0, 16, 4]]),
        ([12.5, 0, 20, 16], []),  # 3.5 pixels wide
        ([12, 0, 32, 10], [[12, 0, 16, 10]]),  # exactly a fifth
        ([12, 0, 32.5, 10], []),  # just less
        ([0, 10, 40, 40], []),
        ([20, 20, 30, 30], []),
    ],
)
def test_what_must_be_left_of_a_box(box, left):
    cut, kept = crop_boxes(np.array([box], np.float32), top=0, left=0, size=16)
    assert cut[kept].tolist() == left


def test_mirrored_boxes_are_the_boxes_of_the_mirrored_image(rng):
    size, ways = (21, 34), set()
    for _ in range(60):
        boxes = [random_box(rng, size) for _ in range(3)]
        pair = drawn_pair(boxes, size)
        before = pair["boxes"].copy()
        out = RandomPairedFlip().random_map(pair, rng)
        np.testing.assert_array_equal(out["ir"], mask_of(out["boxes"], size))
        np.testing.assert_array_equal(pair["boxes"], before)  # sources may hand out the same array again
        ways.add(tuple((out["boxes"] == before).all(axis=0)))
    assert len(ways) == 4


@pytest.mark.slow
def test_share_of_the_crops_that_are_drawn_around_a_box():
    """Small boxes far apart in a large image, so that chance alone finds few."""
    size, labels, count = (400, 500), ("a", "b", "c", "narrow"), 2000
    boxes = np.array([[20, 30, 27, 42], [492, 390, 500, 400], [300.2, 200.7, 304.4, 205], [100, 100, 103, 130]])
    pair = {"id": "p", "ir": np.zeros((*size, 1)), "vi": np.zeros((*size, 3)), "boxes": boxes.astype(np.float32)}

    def found(share):
        crop, rng = RandomPairedCrop(32, share), np.random.default_rng(3)
        return [crop.random_map(pair | {"labels": labels}, rng)["labels"] for _ in range(count)]

    chance, half = (np.mean([len(out) > 0 for out in found(share)]) for share in (0.0, 0.5))
    assert 0 < chance < 0.04
    assert abs(half - (0.5 + 0.5 * chance)) < 0.035  # 3 sigma
    always = found(1.0)
    assert all(always)
    np.testing.assert_allclose([np.mean([name in out for out in always]) for name in labels[:3]], 1 / 3, atol=0.035)
    assert not any("narrow" in out for out in always)  # never kept, so never aimed at


def test_windows_around_a_box_reach_every_place():
    """The center of the box occurs anywhere in the crop except in the 2 pixels at its border."""
    box = np.array([[30, 30, 38, 38]], np.float32)
    places = np.mgrid[:68, :68].astype(np.uint8)[..., None]  # a crop's first pixel is its row and column
    pair = {"id": "p", "ir": places[0], "vi": np.repeat(places[1], 3, -1), "boxes": box}
    rng, crop = np.random.default_rng(0), RandomPairedCrop(16, 1.0)
    made = [crop.random_map(pair, rng) for _ in range(1500)]
    centers = 34 - np.array([(int(p["ir"][0, 0, 0]), int(p["vi"][0, 0, 0])) for p in made])
    assert (centers.min(axis=0).tolist(), centers.max(axis=0).tolist()) == ([2, 2], [14, 14])


def test_boxes_draw_nothing_for_pairs_without_them():
    pair = {"id": "p", "ir": np.arange(900).reshape(30, 30, 1), "vi": np.zeros((30, 30, 3))}
    empty = pair | {"boxes": np.zeros((0, 4), np.float32), "labels": ()}
    for seed in range(5):
        plain = RandomPairedCrop(16).random_map(pair, np.random.default_rng(seed))
        assert "boxes" not in plain
        for other in (pair, empty):
            generator = np.random.default_rng(seed)
            np.testing.assert_array_equal(RandomPairedCrop(16, 1.0).random_map(other, generator)["ir"], plain["ir"])


def many(count=400, size=(200, 300), **extra):
    rng = np.random.default_rng(1)
    corner = np.stack([rng.uniform(0, size[1] - 40, count), rng.uniform(0, size[0] - 60, count)], axis=1)
    boxes = np.concatenate([corner, corner + rng.uniform(10, 40, (count, 2))], axis=1).astype(np.float32)
    labels = tuple(("Car", "person")[n % 2] for n in range(count))
    return {"id": "p", "ir": np.zeros((*size, 1)), "boxes": boxes, "labels": labels} | extra


def test_classes_are_matched_in_any_case():
    out = SelectBoxes(classes=("CAR", "bus")).map(many())
    assert out["labels"] == ("Car",) * 200
    np.testing.assert_array_equal(out["boxes"], many()["boxes"][::2])
    for empty in (SelectBoxes().map(many()), SelectBoxes(("Car", "PERSON")).map(many())):
        np.testing.assert_array_equal(empty["boxes"], many()["boxes"])
    assert PadBoxes(8, ("PERSON",)).map(many(10))["boxes_valid"].tolist() == [True] * 5 + [False] * 3


def test_kept_boxes_are_a_growing_share_that_follows_the_id():
    kept = [{tuple(b) for b in SelectBoxes(keep=share).map(many())["boxes"].tolist()} for share in (0.0, 0.3, 0.6, 1.0)]
    assert kept[0] < kept[1] < kept[2] < kept[3]
    np.testing.assert_allclose([len(k) / 400 for k in kept], [0, 0.3, 0.6, 1], atol=0.07)  # 3 sigma
    other = {tuple(b) for b in SelectBoxes(keep=0.3).map(many(id="q"))["boxes"].tolist()}
    assert 0.05 < len(other & kept[1]) / len(other) < 0.6  # independent: 0.3
    alone = SelectBoxes(("car",), keep=0.3).map(many())["boxes"]  # the filter does not change the draws
    assert {tuple(b) for b in alone.tolist()} == {b for b in kept[1] if b in {tuple(x) for x in alone.tolist()}}
    assert len(alone) == sum(label == "Car" for label in SelectBoxes(keep=0.3).map(many())["labels"])


def test_jitter_moves_each_edge_by_shares_of_its_side():
    pair = many()
    before, sides = pair["boxes"].copy(), np.tile(pair["boxes"][:, 2:] - pair["boxes"][:, :2], 2)
    out = SelectBoxes(jitter=0.2).map(pair)["boxes"]
    assert out.dtype == np.float32
    np.testing.assert_array_equal(pair["boxes"], before)
    np.testing.assert_array_equal(out, SelectBoxes(jitter=0.2).map(many())["boxes"])  # the same every time
    moved = ((out - before) / sides)[((out > 0) & (out < [300, 200, 300, 200])).all(axis=1)]
    assert np.abs(moved).max() <= 0.2 + 1e-5  # float32 at 300
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(moved.std(axis=0), 0.2 / np.sqrt(3), rtol=0.1)
    assert np.abs(np.corrcoef(moved.T) - np.eye(4)).max() < 0.2
    large = SelectBoxes(jitter=0.49).map(many())["boxes"]
    assert (large[:, 2:] > large[:, :2]).all()
    assert ((large >= 0) & (large <= [300, 200, 300, 200])).all()


def test_the_largest_boxes_are_padded_to_one_shape():
    boxes = np.array([[0, 0, 4, 4], [0, 0, 9, 9], [1, 1, 3, 9], [0, 0, 4, 4]], np.float32)
    pair = {"id": "p", "ir": 1, "boxes": boxes, "labels": ("a",) * 4}
    two, six = PadBoxes(2).map(pair), PadBoxes(6).map(pair)
    assert two["boxes"].tolist() == boxes[[0, 1]].tolist()  # of equal ones the first
    assert six["boxes"].tolist() == [*boxes.tolist(), [0] * 4, [0] * 4]
    assert six["boxes_valid"].tolist() == [True] * 4 + [False] * 2
    assert (six["boxes"].dtype, six["boxes_valid"].dtype) == (np.float32, bool)
    assert six.keys() == {"id", "ir", "boxes", "boxes_valid"}
    none = PadBoxes(3, ("a",)).map({"id": "p"})
    assert (none["boxes"].shape, none["boxes_valid"].any()) == ((3, 4), False)
    assert PadBoxes(0).map(pair).keys() == {"id", "ir"}


def test_false_boxes_have_the_sizes_of_true_ones_and_lie_in_the_image():
    true = SelectBoxes().map(many())["boxes"]
    out = SelectBoxes(false=0.2).map(many())["boxes"]
    np.testing.assert_array_equal(out[: len(true)], true)
    added = out[len(true) :]
    assert 0.13 < len(added) / len(true) < 0.27  # 3 sigma
    assert ((added >= 0) & (added <= [300, 200, 300, 200])).all()
    sides = {tuple(side) for side in np.round(true[:, 2:] - true[:, :2], 2).tolist()}
    assert {tuple(side) for side in np.round(added[:, 2:] - added[:, :2], 2).tolist()} <= sides
    np.testing.assert_array_equal(SelectBoxes(false=0.2).map(many())["boxes"], out)
    cars = SelectBoxes(("car",), false=1.0).map(many())["boxes"]
    assert len(cars) == 2 * sum(label == "Car" for label in many()["labels"])
