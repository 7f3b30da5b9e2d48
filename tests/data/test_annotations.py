"""Object boxes from annotation files, through crop and mirror, to batches."""

import dataclasses
import itertools
import json
import zipfile

import jax
import numpy as np
import pytest

from fusejax.data.annotations import AnnotationError, find_annotation, read_boxes
from fusejax.data.config import DataConfig
from fusejax.data.folders import PairError, PairFolder
from fusejax.data.images import write_image
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.data.synthetic import SyntheticPairs
from fusejax.data.tfds import prepare
from fusejax.data.transforms import PadBoxes, RandomPairedCrop, RandomPairedFlip, SelectBoxes, crop_boxes
from fusejax.ops.boxes import rasterize

SIZE = (768, 1024)
M3FD = """<annotation>
	<folder>Vis</folder>
	<filename>00031.png</filename>
	<size><width>1024</width><height>768</height><depth>3</depth></size>
	<segmented>0</segmented>
	<object>
		<name>People</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>
		<bndbox><xmin>501</xmin><ymin>350</ymin><xmax>520</xmax><ymax>401</ymax></bndbox>
	</object>
	<object>
		<name>Car</name><pose>Unspecified</pose><truncated>1</truncated><difficult>0</difficult>
		<bndbox><xmin>900.5</xmin><ymin>0</ymin><xmax>1024</xmax><ymax>768</ymax></bndbox>
	</object>
</annotation>
"""
READ = {
    "a.xml": (M3FD, ("People", "Car"), [[501, 350, 520, 401], [900.5, 0, 1024, 768]]),
    # cx and w rounded to six places: the right edge lies 0.0005 pixels outside of the image
    "a.txt": (
        "0 0.500000 0.250000 0.125000 0.500000\n\n1 0.937500 0.5 0.125001 1.0\n",
        ("person", "car"),
        [[448, 0, 576, 384], [895.9995, 0, 1024, 768]],
    ),
    "a.json": (
        '[{"label": "person", "xyxy": [849, 405, 961, 663]}, {"label": "dog", "xyxy": [0.5, 1, 2, 3.25]}]',
        ("person", "dog"),
        [[849, 405, 961, 663], [0.5, 1, 2, 3.25]],
    ),
}


def voc(xmin="1", name="<name>Car</name>", head=""):
    box = f"<bndbox><xmin>{xmin}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
    return f"{head}<annotation><object>{name}{box}</object></annotation>"


def listed(*xyxy, label="car"):
    return json.dumps([{"label": "car", "xyxy": [1, 1, 2, 2]}, {"label": label, "xyxy": xyxy}])


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", READ)
def test_every_kind_is_read(tmp_path, name):
    text, labels, xyxy = READ[name]
    write(tmp_path / "classes.txt", "person\ncar\n")
    path = write(tmp_path / name, text)
    assert find_annotation(tmp_path, "a") == path
    boxes = read_boxes(path, size=SIZE)
    assert boxes.labels == labels
    assert boxes.xyxy.dtype == np.float32
    np.testing.assert_allclose(boxes.xyxy, xyxy, atol=2e-4)  # float32 at 1024
    assert (boxes.xyxy[:, 2:] <= SIZE[::-1]).all()


@pytest.mark.parametrize(("name", "text"), [("a.xml", "<annotation/>"), ("a.txt", "\n"), ("a.json", "[]")])
def test_a_file_without_boxes(tmp_path, name, text):
    write(tmp_path / "classes.txt", "person")
    boxes = read_boxes(write(tmp_path / name, text), size=SIZE)
    assert (boxes.labels, boxes.xyxy.shape, boxes.xyxy.dtype) == ((), (0, 4), np.float32)


def test_given_classes_set_the_spelling_and_what_numbers_stand_for(tmp_path):
    path = write(tmp_path / "a.xml", M3FD)
    assert read_boxes(path, size=SIZE, classes=("car", "PEOPLE")).labels == ("PEOPLE", "car")
    assert read_boxes(write(tmp_path / "a.txt", "1 .5 .5 .1 .1"), size=SIZE, classes=("x", "y")).labels == ("y",)


BAD = [
    ("a.xml", None, r"a\.xml: no such annotation"),
    ("a.png", "", r"a\.png: unknown kind of annotation; expected one of \.xml, \.txt, \.json"),
    ("a.xml", "<annotation>", r"a\.xml: malformed XML \(no element found"),
    ("a.xml", "", r"a\.xml: malformed XML"),
    ("a.xml", voc(head='<!DOCTYPE a [<!ENTITY e SYSTEM "x">]>'), r"malformed XML \(a document type is declared"),
    ("a.xml", voc(name="<name>&e;</name>"), r"a\.xml: malformed XML \(undefined entity"),
    ("a.xml", voc(xmin="left"), r"a\.xml, box 1: bndbox .*'left'.* does not hold four numbers"),
    ("a.xml", voc(name=""), r"a\.xml, box 1: no name"),
    ("a.xml", voc(name="<name>Cat</name>"), r"a\.xml, box 1: class 'Cat' is unknown; expected one of car, person"),
    ("a.xml", voc(xmin="nan"), r"a\.xml, box 1: \(nan, 1, 9, 9\) are not finite"),
    ("a.xml", voc(xmin="9"), r"a\.xml, box 1: \(9, 1, 9, 9\) has no area; .* x1 < x2"),
    ("a.txt", "0 .5 .5 .1 .1\n0 .5 .5 .1\n", r"a\.txt, line 2: '0 \.5 \.5 \.1' is not `class cx cy w h`"),
    ("a.txt", "car .5 .5 .1 .1", r"a\.txt, line 1: 'car .* is not `class cx cy w h`"),
    ("a.txt", "\n2 .5 .5 .1 .1", r"a\.txt, line 2: class 2 is unknown; there are 2: car, person"),
    ("a.txt", "-1 .5 .5 .1 .1", r"a\.txt, line 1: class -1 is unknown"),
    ("a.txt", "0 .5 .5 .1 0", r"a\.txt, line 1: \(45, 25, 55, 25\) has no area; .* y1 < y2"),
    ("a.txt", "0 .98 .5 .1 .1", r"a\.txt, line 1: \(93, 22\.5, 103, 27\.5\) is not a box inside a 100x50 image"),
    ("a.txt", "0 nan .5 .1 .1", r"a\.txt, line 1: .* are not finite"),
    ("a.json", '[\n{"label": "car" "xyxy"', r"a\.json, line 2: malformed JSON \(Expecting ','"),
    ("a.json", "{}", r"a\.json: expected a list of \{label, xyxy\}, found dict"),
    ("a.json", "[3]", r"a\.json, box 1: 3 does not hold a label and xyxy"),
    ("a.json", listed(1, 2, 3), r"a\.json, box 2: .*\[1, 2, 3\].* does not hold a label and xyxy, four numbers"),
    ("a.json", listed(1, 2, 3, "4"), r"a\.json, box 2: .*does not hold"),
    ("a.json", listed(1, 2, 3, True), r"a\.json, box 2: .*does not hold"),
    ("a.json", listed(1, 2, 3, 4, label=7), r"a\.json, box 2: .*does not hold"),
    ("a.json", listed(1, 2, 3, 4, label="dog"), r"a\.json, box 2: class 'dog' is unknown"),
    ("a.json", listed(1, 2, 3, 50.5), r"a\.json, box 2: \(1, 2, 3, 50\.5\) is not a box inside a 100x50 image"),
    ("a.json", listed(-1, 2, 3, 4), r"a\.json, box 2: \(-1, 2, 3, 4\) is not a box inside"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_bad_annotations_name_the_file_and_the_line_or_box(tmp_path, name, text, message):
    if text is not None:
        write(tmp_path / name, text)
    with pytest.raises(AnnotationError, match=message):
        read_boxes(tmp_path / name, size=(50, 100), classes=("car", "person"))


def test_other_bad_files(tmp_path):
    with pytest.raises(
        AnnotationError, match=r"a\.txt: its classes are numbers; put their names.* into .*classes\.txt"
    ):
        read_boxes(write(tmp_path / "a.txt", "0 .5 .5 .1 .1"), size=SIZE)
    (tmp_path / "b.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(AnnotationError, match=r"b\.json: not a text file"):
        read_boxes(tmp_path / "b.json", size=SIZE)
    write(tmp_path / "a.xml", M3FD)
    with pytest.raises(AnnotationError, match=r"a\.xml and a\.txt annotate the same image; keep one"):
        find_annotation(tmp_path, "a")
    assert find_annotation(tmp_path, "c") is None


def write_pair(ir, vi, stem="a", size=(12, 16)):
    write_image(ir / f"{stem}.png", np.zeros((*size, 1), np.uint8))
    write_image(vi / f"{stem}.png", np.zeros((*size, 3), np.uint8))


@pytest.mark.parametrize("name", ["boxes", "annotations", "Annotation", "LABELS"])
def test_folders_find_the_annotations_beside_the_images(tmp_path, name):
    for stem in ("a", "b.01"):
        write_pair(tmp_path / "Ir", tmp_path / "Vis", stem)
    write(tmp_path / name / "b.01.xml", voc())
    write_image(tmp_path / name / "a.png", np.zeros((4, 4, 1), np.uint8))  # a segmentation is no annotation
    bare, boxed = PairFolder(tmp_path, boxes=True)
    assert (boxed["labels"], boxed["boxes"].tolist()) == (("Car",), [[1, 1, 9, 9]])
    assert (bare["labels"], bare["boxes"].shape, bare["boxes"].dtype) == ((), (0, 4), np.float32)
    assert PairFolder(tmp_path)[1].keys() == {"id", "ir", "vi"}


@pytest.mark.parametrize("annotations", ["Annotations", "Annotations/train"])
def test_annotations_beside_modalities_that_hold_splits(tmp_path, annotations):
    write_pair(tmp_path / "infrared" / "train", tmp_path / "visible" / "train")
    write(tmp_path / annotations / "a.xml", voc())
    assert PairFolder(tmp_path, split="train", boxes=True)[0]["labels"] == ("Car",)


def test_sequences_have_their_own_annotations_and_folders_may_have_none(tmp_path):
    for name in ("one", "two"):
        write_pair(tmp_path / name / "ir", tmp_path / name / "vi")
    write(tmp_path / "two" / "boxes" / "a.json", listed(2, 3, 4, 5))
    assert [p["labels"] for p in PairFolder(tmp_path, boxes=True)] == [(), ("car", "car")]


def test_bad_annotations_are_told_before_training_or_left_out(tmp_path):
    for stem in ("a", "b", "c"):
        write_pair(tmp_path / "ir", tmp_path / "vi", stem)
    write(tmp_path / "boxes" / "b.json", listed(1, 2, 17, 4))
    write(tmp_path / "boxes" / "c.json", "[]")
    write(tmp_path / "boxes" / "c.xml", voc())
    with pytest.raises(PairError, match=r"(?s)2 of 3 pairs.*c\.xml and c\.json.*b\.json, box 2: .* a 16x12 image"):
        PairFolder(tmp_path, boxes=True)
    assert [p["id"] for p in PairFolder(tmp_path, boxes=True, skip_bad=True)] == ["a"]
    assert len(PairFolder(tmp_path)) == 3


draw = jax.jit(rasterize, static_argnames=("height", "width"))


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
    """Corners at thirds of a pixel, so never on a pixel's center, where mirroring and drawing need
    not commute.
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
        else:  # by the pixels: a fifth of the area, or a side of 4, up to the rounding of the corners
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
    """The center of the box is found anywhere in the crop but for the 2 pixels at its border."""
    box = np.array([[30, 30, 38, 38]], np.float32)
    places = np.mgrid[:68, :68].astype(np.uint8)[..., None]  # a crop's first pixel tells its row and its column
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
    alone = SelectBoxes(("car",), keep=0.3).map(many())["boxes"]  # the filter moves no draw
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


def batches(config, count, *, batch_size=3, **options):
    made = iter(training_batches(open_sources(config), config, batch_size=batch_size, seed=5, **options))
    return list(itertools.islice(made, count))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Five pairs whose infrared image is the mask of their boxes; the last has no annotation."""
    root, rng = tmp_path_factory.mktemp("boxed"), np.random.default_rng(8)
    for n in range(5):
        size = (40 + 3 * n, 52 - 2 * n)
        boxes = [np.floor([x, y, x + 8, y + 12]) for x, y in rng.uniform(0, 26, (n + 1, 2))] if n < 4 else []
        mask = np.zeros((*size, 1), np.uint8)
        for x1, y1, x2, y2 in np.array(boxes, int).reshape(-1, 4):
            mask[y1:y2, x1:x2] = 255
        write_image(root / "ir" / f"p{n}.png", mask)
        write_image(root / "vi" / f"p{n}.png", np.full((*size, 3), 50 * n, np.uint8))
        if boxes:
            entries = [{"label": "Person", "xyxy": b.tolist()} for b in boxes]
            write(root / "boxes" / f"p{n}.json", json.dumps([*entries, {"label": "lamp", "xyxy": [0, 0, 40, 40]}]))
    return root


def test_batches_hold_boxes_that_lie_on_the_images(root):
    config = DataConfig(root=str(root), crop=24, com_mask=None, max_boxes=6, box_share=0.5)
    made = batches(config, 20, batch_size=4)
    assert made[0].keys() == {"id", "ir", "vi_y", "ir_input", "vi_input", "boxes", "boxes_valid"}
    exact = 0
    for batch in made:
        boxes, valid = batch["boxes"], batch["boxes_valid"]
        assert (boxes.shape, boxes.dtype, valid.shape, valid.dtype) == ((4, 6, 4), np.float32, (4, 6), bool)
        assert not valid[batch["id"] == "p4"].any()
        assert (boxes[~valid] == 0).all()
        mask = np.asarray(draw(boxes, valid, height=24, width=24))
        assert (mask <= batch["ir"]).all()  # dropped boxes are in the image, but not in the list
        exact += (mask == batch["ir"]).all(axis=(1, 2, 3)).sum()
    assert 20 < exact < 80
    assert np.mean([b["boxes_valid"].any(axis=1)[b["id"] != "p4"].mean() for b in made]) > 0.5


def test_boxes_change_neither_order_nor_crops_nor_masks(root):
    plain = DataConfig(root=str(root), crop=24)
    boxed = dataclasses.replace(plain, max_boxes=3, box_keep=0.5, box_jitter=0.1)
    for a, b in zip(batches(plain, 6), batches(boxed, 6), strict=True):
        assert a.keys() == b.keys() - {"boxes", "boxes_valid"}
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_worker_processes_and_shards_change_no_box(root):
    config = DataConfig(root=str(root), crop=24, max_boxes=3, box_share=0.5, box_keep=0.7, box_jitter=0.2)
    whole = batches(config, 4, batch_size=4)
    other = dataclasses.replace(config, workers=2)
    part = batches(other, 3, batch_size=2, shard_index=1, shard_count=2, samples_seen=4)
    for a, b in zip(whole[1:], part, strict=True):
        for name in ("ir", "boxes", "boxes_valid"):
            np.testing.assert_array_equal(a[name][2:], b[name])


def test_synthetic_pairs_know_people_from_cars():
    pairs = [SyntheticPairs(12, size=(64, 64))[n] for n in range(12)]
    assert all(len(p["labels"]) == len(p["boxes"]) for p in pairs)
    assert {label for p in pairs for label in p["labels"]} == {"person", "car"}
    shapes = [(label, *box) for p in pairs for label, box in zip(p["labels"], p["boxes"], strict=True)]
    wide = {k: np.median([(x2 - x1) / (y2 - y1) for m, x1, y1, x2, y2 in shapes if m == k]) for k in ("person", "car")}
    assert wide["person"] < 0.6
    assert wide["car"] > 1
    config = DataConfig(synthetic=8, crop=32, max_boxes=4, box_share=1.0, box_classes=("CAR",))
    (batch,) = batches(config, 1, batch_size=8)
    expected = {str(p["id"]): "car" in p["labels"] for p in open_sources(config)[0]}
    assert [bool(v) for v in batch["boxes_valid"].any(axis=1)] == [expected[str(n)] for n in batch["id"]]


def test_prepared_sets_deliver_boxes_by_name(tmp_path):
    write_pair(tmp_path / "s" / "Ir", tmp_path / "s" / "Vis", "00000", (32, 40))
    text = voc(name="<name>Lamp</name>").replace("</annotation>", voc()[len("<annotation>") :].replace("9<", "11<"))
    write(tmp_path / "s" / "Annotation" / "00000.xml", text)
    (tmp_path / "manual").mkdir()
    with zipfile.ZipFile(tmp_path / "manual" / "M3FD_Detection.zip", "w") as archive:
        for path in (tmp_path / "s").rglob("*.*"):
            archive.write(path, path.relative_to(tmp_path / "s"))
    prepare("m3fd/detection", data_dir=str(tmp_path), manual_dir=str(tmp_path / "manual"))
    config = DataConfig(root=str(tmp_path), tfds=("m3fd/detection",), crop=32, max_boxes=2, box_share=1.0)
    assert open_sources(config)[0][0]["labels"] == ("Lamp", "Car")
    assert open_sources(dataclasses.replace(config, max_boxes=0, box_share=0.0))[0][0]["labels"].tolist() == [4, 1]
    (batch,) = batches(dataclasses.replace(config, workers=1), 1, batch_size=2)
    assert batch["boxes_valid"].tolist() == [[True, False]] * 2  # a lamp is not among the classes
    sides = batch["boxes"][:, 0, 2:] - batch["boxes"][:, 0, :2]
    assert sides[:, 1].tolist() == pytest.approx([10, 10], abs=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_boxes": -1}, r"data\.max_boxes is -1; it must be at least 0"),
        ({"box_share": 1.5}, r"data\.box_share is 1\.5; it is a share, 0 to 1"),
        ({"box_keep": -0.1}, r"data\.box_keep is -0\.1; it is a share"),
        ({"box_jitter": 0.5}, r"data\.box_jitter is 0\.5; it must be at least 0 and below 0\.5"),
        ({"box_jitter": -0.1}, r"data\.box_jitter is -0\.1"),
        ({"box_share": 0.5, "max_boxes": 0}, r"data\.box_share is 0\.5 but no boxes are read; set data\.max_boxes"),
        ({"box_keep": 0.5, "max_boxes": 0}, r"data\.box_keep is 0\.5 but no boxes are read"),
    ],
)
def test_unusable_settings_say_so(options, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**{"synthetic": 1, "max_boxes": 4} | options)


def test_real_annotations(data_root):
    for split, expected in (("train", {"010005": 3}), ("test_dev", {"190001": 2, "190005": 1})):
        source = PairFolder(data_root / "llvip" / split, boxes=True)
        found = {p["id"]: p for p in source if len(p["boxes"])}
        assert {name: len(p["boxes"]) for name, p in found.items()} == expected
        for pair in found.values():
            assert set(pair["labels"]) == {"person"}
            for x1, y1, x2, y2 in pair["boxes"].astype(int):  # people are warmer than the street
                assert pair["ir"][y1:y2, x1:x2].mean() > pair["ir"].mean()
    config = DataConfig(
        root=str(data_root), folders=("llvip/train",), crop=256, com_mask=None, max_boxes=4, box_share=1.0
    )
    for batch in batches(config, 2, batch_size=32):
        assert batch["boxes_valid"].any(axis=1).tolist() == (batch["id"] == "010005").tolist()
