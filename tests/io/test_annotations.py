"""Object boxes from annotation files through crops and flips to batches."""

import json

import numpy as np
import pytest
from annotating import SIZE, voc, write, write_pair

from fusejax.data.folders import PairError, PairFolder
from fusejax.io.annotations import AnnotationError, AnnotationWarning, find_annotation, read_boxes
from fusejax.io.images import write_image

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
    # cx and w rounded to six places: the right edge lies 0.0005 pixels outside the image
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


def listed(*xyxy, label="car"):
    return json.dumps([{"label": "car", "xyxy": [1, 1, 2, 2]}, {"label": label, "xyxy": xyxy}])


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
    ("a.xml", None, r"a\.xml: the file does not exist"),
    ("a.png", "", r"a\.png: unknown annotation format; expected one of \.xml, \.txt, \.json"),
    ("a.xml", "<annotation>", r"a\.xml: malformed XML \(no element found"),
    ("a.xml", "", r"a\.xml: malformed XML"),
    ("a.xml", voc(head='<!DOCTYPE a [<!ENTITY e SYSTEM "x">]>'), r"malformed XML \(it declares a document type"),
    ("a.xml", voc(name="<name>&e;</name>"), r"a\.xml: malformed XML \(undefined entity"),
    ("a.xml", voc(xmin="left"), r"a\.xml, box 1: bndbox .*'left'.* is not four numbers"),
    ("a.xml", voc(name=""), r"a\.xml, box 1: no name"),
    ("a.xml", voc(name="<name>Cat</name>"), r"a\.xml, box 1: class 'Cat' is unknown; expected one of car, person"),
    ("a.xml", voc(xmin="nan"), r"a\.xml, box 1: \(nan, 1, 9, 9\) has values that are not finite"),
    ("a.xml", voc(xmin="9"), r"a\.xml, box 1: \(9, 1, 9, 9\) has no area; .* x1 < x2"),
    ("a.xml", voc(head="").replace("<annotation>", "<annotation><size><width>x</width></size>"), "its size is not two"),
    ("a.txt", "0.5 .5 .5 .1 .1", r"a\.txt, line 1: '0\.5 .* is not `class cx cy w h`"),
    ("a.txt", "0 .5 .5 .1 .1 .2 .3 .4", r"a\.txt, line 1: .* is not `class cx cy w h`"),
    ("a.txt", "9" * 400 + " .5 .5 .1 .1", r"a\.txt, line 1: .* is not `class cx cy w h`"),
    ("a.json", "[" * 200_000, r"a\.json: malformed JSON \(nested too deeply\)"),
    ("a.json", listed(1, 2, 3, 10**400), r"a\.json, box 2: .* is not a label and xyxy, four numbers"),
    ("a.json", "[" + "9" * 5000 + "]", r"a\.json: malformed JSON \(Exceeds the limit"),
    ("a.json", '{"annotations": [{"image_id": 1}]}', r"a\.json, box 1: .* has an unknown image, category or no bbox"),
    ("a.json", '{"annotations": [], "images": [3]}', r"a\.json, image 1: 3 is not an image of COCO"),
    ("a.json", '{"annotations": [], "categories": [{}]}', r"a\.json: its categories are not pairs"),
    ("a.txt", "0 .5 .5 .1 .1\n0 .5 .5 .1\n", r"a\.txt, line 2: '0 \.5 \.5 \.1' is not `class cx cy w h`"),
    ("a.txt", "car .5 .5 .1 .1", r"a\.txt, line 1: 'car .* is not `class cx cy w h`"),
    ("a.txt", "\n2 .5 .5 .1 .1", r"a\.txt, line 2: class 2 is unknown; there are 2: car, person"),
    ("a.txt", "-1 .5 .5 .1 .1", r"a\.txt, line 1: class -1 is unknown"),
    ("a.txt", "0 .5 .5 .1 0", r"a\.txt, line 1: \(45, 25, 55, 25\) has no area; .* y1 < y2"),
    ("a.txt", "0 .98 .5 .1 .1", r"a\.txt, line 1: \(93, 22\.5, 103, 27\.5\) is not inside the 100x50 image"),
    ("a.txt", "0 nan .5 .1 .1", r"a\.txt, line 1: .* are not finite"),
    ("a.json", '[\n{"label": "car" "xyxy"', r"a\.json: malformed JSON in line 2 \(Expecting ','"),
    ("a.json", "{}", r"a\.json: expected a list of \{label, xyxy\} or a COCO file, found dict"),
    ("a.json", "[3]", r"a\.json, box 1: 3 is not a label and xyxy"),
    ("a.json", listed(1, 2, 3), r"a\.json, box 2: .*\[1, 2, 3\].* is not a label and xyxy, four numbers"),
    ("a.json", listed(1, 2, 3, "4"), r"a\.json, box 2: .*is not a label"),
    ("a.json", listed(1, 2, 3, True), r"a\.json, box 2: .*is not a label"),
    ("a.json", listed(1, 2, 3, 4, label=7), r"a\.json, box 2: .*is not a label"),
    ("a.json", listed(1, 2, 3, 4, label="dog"), r"a\.json, box 2: class 'dog' is unknown"),
    ("a.json", listed(1, 2, 3, 51.5), r"a\.json, box 2: \(1, 2, 3, 51\.5\) is not inside the 100x50 image"),
    ("a.json", listed(100, 2, 101, 4), r"a\.json, box 2: \(100, 2, 101, 4\) is not inside the"),
    ("a.json", listed(-2, 2, 3, 4), r"a\.json, box 2: \(-2, 2, 3, 4\) is not inside the"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
def test_bad_annotations_name_the_file_and_the_line_or_box(tmp_path, name, text, message):
    if text is not None:
        write(tmp_path / name, text)
    with pytest.raises(AnnotationError, match=message):
        read_boxes(tmp_path / name, size=(50, 100), classes=("car", "person"))


@pytest.mark.parametrize("size", [(0, 0), (0, 77), (77, 0)])
def test_a_size_of_zero_is_not_stated(tmp_path, size):
    head = f"<annotation><size><width>{size[1]}</width><height>{size[0]}</height></size>"
    file = write(tmp_path / "a.xml", voc().replace("<annotation>", head))
    assert (
        read_boxes(file, size=(12, 16)).xyxy.tolist()
        == read_boxes(write(tmp_path / "b.xml", voc()), size=(12, 16)).xyxy.tolist()
    )


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


@pytest.mark.parametrize("name", ["boxes", "annotations", "Annotation", "LABELS"])
def test_folders_find_the_annotations_next_to_the_images(tmp_path, name):
    for stem in ("a", "b.01"):
        write_pair(tmp_path / "Ir", tmp_path / "Vis", stem)
    write(tmp_path / name / "b.01.xml", voc())
    write_image(tmp_path / name / "a.png", np.zeros((4, 4, 1), np.uint8))  # a segmentation is no annotation
    bare, boxed = PairFolder(tmp_path, boxes=True)
    assert (boxed["labels"], boxed["boxes"].tolist()) == (("Car",), [[1, 1, 9, 9]])
    assert (bare["labels"], bare["boxes"].shape, bare["boxes"].dtype) == ((), (0, 4), np.float32)
    assert PairFolder(tmp_path)[1].keys() == {"id", "ir", "vi"}


@pytest.mark.parametrize("annotations", ["Annotations", "Annotations/train"])
def test_annotations_next_to_modalities_that_hold_splits(tmp_path, annotations):
    write_pair(tmp_path / "infrared" / "train", tmp_path / "visible" / "train")
    write(tmp_path / annotations / "a.xml", voc())
    assert PairFolder(tmp_path, split="train", boxes=True)[0]["labels"] == ("Car",)


def test_sequences_have_their_own_annotations_and_folders_may_have_none(tmp_path):
    for name in ("one", "two"):
        write_pair(tmp_path / name / "ir", tmp_path / name / "vi")
    write(tmp_path / "two" / "boxes" / "a.json", listed(2, 3, 4, 5))
    assert [p["labels"] for p in PairFolder(tmp_path, boxes=True)] == [(), ("car", "car")]


def test_bad_annotations_are_reported_before_training_or_left_out(tmp_path):
    for stem in ("a", "b", "c"):
        write_pair(tmp_path / "ir", tmp_path / "vi", stem)
    write(tmp_path / "boxes" / "b.json", listed(1, 2, 19, 4))
    write(tmp_path / "boxes" / "c.json", "[]")
    write(tmp_path / "boxes" / "c.xml", voc())
    with pytest.raises(PairError, match=r"(?s)2 of 3 pairs.*c\.xml and c\.json.*b\.json, box 2: .* the 16x12 image"):
        PairFolder(tmp_path, boxes=True)
    assert [p["id"] for p in PairFolder(tmp_path, boxes=True, skip_bad=True)] == ["a"]
    assert len(PairFolder(tmp_path)) == 3


def voc_of_size(width, height, *box):
    corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    return f"<annotation>{size}<object><name>car</name><bndbox>{corners}</bndbox></object></annotation>"


def coco(images, boxes, names=("person", "car")):
    return json.dumps(
        {
            "images": [{"id": n, "file_name": name, "height": h, "width": w} for n, (name, h, w) in enumerate(images)],
            "annotations": [{"image_id": n, "category_id": c, "bbox": list(b), "area": 1} for n, c, b in boxes],
            "categories": [{"id": n, "name": name} for n, name in enumerate(names)],
        }
    )


def test_boxes_made_for_another_size_are_scaled_with_a_word(tmp_path):
    path = write(tmp_path / "a.xml", voc_of_size(80, 64, 45, 35, 65, 55))
    with pytest.warns(
        AnnotationWarning, match=r"a\.xml: made for an image of 80x64, but the image is 160x128; the boxes"
    ):
        assert read_boxes(path, size=(128, 160)).xyxy.tolist() == [[90, 70, 130, 110]]
    with pytest.warns(AnnotationWarning):  # sides that were rounded
        read_boxes(path, size=(127, 160))
    for size in ((160, 128), (128, 128)):  # turned, another shape
        with pytest.raises(AnnotationError, match=r"a\.xml: made for an image of 80x64, but .* has another shape"):
            read_boxes(path, size=size)
    for stated in ((160, 128), (0, 0)):  # the same, and not stated
        same = write(tmp_path / "b.xml", voc_of_size(*stated, 90, 70, 130, 110))
        assert read_boxes(same, size=(128, 160)).xyxy.tolist() == [[90, 70, 130, 110]]


@pytest.mark.parametrize("box", [(1, 1, 101, 51), (-1, 0, 5, 5), (0, -0.5, 100.25, 50)])
def test_boxes_up_to_a_pixel_outside_are_clipped_with_a_word(tmp_path, box):
    expected = np.clip(box, 0, [100, 50, 100, 50]).tolist()
    for name, text in (("a.xml", voc_of_size(100, 50, *box)), ("a.json", json.dumps([{"label": "car", "xyxy": box}]))):
        with pytest.warns(AnnotationWarning, match=rf"{name}, box 1: .* out of the 100x50 image; it is clipped"):
            assert read_boxes(write(tmp_path / name, text), size=(50, 100)).xyxy.tolist() == [expected]


def test_suffixes_in_any_case_and_accents_in_any_form(tmp_path):
    write(tmp_path / "b.XML", voc())
    write(tmp_path / "c.Json", "[]")
    write(tmp_path / "cafe\u0301.TXT", "0 .5 .5 .1 .1")
    assert find_annotation(tmp_path, "b").name == "b.XML"
    assert find_annotation(tmp_path, "c").name == "c.Json"
    assert find_annotation(tmp_path, "caf\u00e9") == find_annotation(tmp_path, "cafe\u0301") is not None
    assert read_boxes(tmp_path / "b.XML", size=SIZE).labels == ("Car",)


def test_lines_of_ultralytics_are_read(tmp_path):
    box = [[45, 22.5, 55, 27.5]]
    for line in ("0.0 .5 .5 .1 .1", "0 .5 .5 .1 .1 0.87", "0 .45 .45 .55 .45 .55 .55 .45 .55"):
        boxes = read_boxes(write(tmp_path / "a.txt", line), size=(50, 100), classes=("car",))
        np.testing.assert_allclose(boxes.xyxy, box, atol=1e-4)


def test_coco_per_image_and_per_folder(tmp_path):
    one = write(tmp_path / "one" / "a.json", coco([("x/a.jpg", 50, 100)], [(0, 1, (1, 2, 3, 4))]))
    assert find_annotation(tmp_path / "one", "a") == one
    boxes = read_boxes(one, size=(50, 100))
    assert (boxes.labels, boxes.xyxy.tolist()) == (("car",), [[1, 2, 4, 6]])
    with pytest.warns(AnnotationWarning, match="the boxes are scaled"):
        assert read_boxes(one, size=(100, 200)).xyxy.tolist() == [[2, 4, 8, 12]]
    many = coco(
        [("a.jpg", 50, 100), ("b.jpg", 50, 100)], [(0, 0, (1, 1, 2, 2)), (1, 1, (5, 5, 5, 5)), (1, 0, (0, 0, 1, 1))]
    )
    shared = write(tmp_path / "all" / "instances_train.json", many)
    write(tmp_path / "all" / "c.json", "[]")
    assert find_annotation(tmp_path / "all", "b") == shared and find_annotation(tmp_path / "all", "d") is None
    boxes = read_boxes(shared, size=(50, 100), stems=("x", "b"))
    assert (boxes.labels, boxes.xyxy.tolist()) == (("car", "person"), [[5, 5, 10, 10], [0, 0, 1, 1]])
    with pytest.raises(AnnotationError, match=r"none of its 2 images is called d"):
        read_boxes(shared, size=(50, 100), stems=("d",))


def test_a_coco_file_of_a_folder_reaches_training(tmp_path):
    for stem in ("a", "b"):
        write_pair(tmp_path / "ir", tmp_path / "vi", stem)
    write(tmp_path / "boxes" / "coco.json", coco([("a.png", 12, 16), ("b.png", 12, 16)], [(1, 0, (1, 2, 3, 4))]))
    assert [p["labels"] for p in PairFolder(tmp_path, boxes=True)] == [(), ("person",)]
