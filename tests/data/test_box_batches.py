"""Boxes in batches, in synthetic pairs and in prepared data sets; invalid settings."""

import dataclasses
import itertools
import json
import zipfile

import numpy as np
import pytest
from annotating import draw, voc, write, write_pair

from fusejax.data.config import DataConfig
from fusejax.data.folders import PairFolder
from fusejax.data.pipeline import open_sources, training_batches
from fusejax.data.synthetic import SyntheticPairs
from fusejax.data.tfds import prepare
from fusejax.io.images import write_image


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


@pytest.mark.slow
def test_worker_processes_and_shards_change_no_box(root):
    config = DataConfig(root=str(root), crop=24, max_boxes=3, box_share=0.5, box_keep=0.7, box_jitter=0.2)
    whole = batches(config, 4, batch_size=4)
    other = dataclasses.replace(config, workers=2)
    part = batches(other, 3, batch_size=2, shard_index=1, shard_count=2, samples_seen=4)
    for a, b in zip(whole[1:], part, strict=True):
        for name in ("ir", "boxes", "boxes_valid"):
            np.testing.assert_array_equal(a[name][2:], b[name])


@pytest.mark.slow
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


@pytest.mark.slow
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
        ({"box_share": 1.5}, r"data\.box_share is 1\.5; it must be a fraction, 0 to 1"),
        ({"box_keep": -0.1}, r"data\.box_keep is -0\.1; it must be a fraction"),
        ({"box_jitter": 0.5}, r"data\.box_jitter is 0\.5; it must be at least 0 and below 0\.5"),
        ({"box_jitter": -0.1}, r"data\.box_jitter is -0\.1"),
        ({"box_share": 0.5, "max_boxes": 0}, r"data\.box_share is 0\.5 but no boxes are read; set data\.max_boxes"),
        ({"box_keep": 0.5, "max_boxes": 0}, r"data\.box_keep is 0\.5 but no boxes are read"),
    ],
)
def test_unusable_settings_say_so(options, message):
    with pytest.raises(ValueError, match=message):
        DataConfig(**{"synthetic": 1, "max_boxes": 4} | options)


@pytest.mark.slow
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
