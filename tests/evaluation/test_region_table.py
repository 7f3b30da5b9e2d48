"""Scores inside boxes: `fusejax evaluate --boxes` against direct calls, and invalid input."""

import csv
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fusejax.cli.main import main
from fusejax.data.folders import PairFolder
from fusejax.data.synthetic import SyntheticPairs, write_synthetic_folder
from fusejax.evaluation.regions import AVERAGE, BOUND, read_region_boxes, region_mask, region_scores
from fusejax.io.annotations import read_boxes
from fusejax.io.images import read_image, to_float, write_image
from fusejax.metrics.fidelity import mean_squared_error
from fusejax.metrics.region import average_fusion, roi_mse, roi_ssim
from fusejax.ops.boxes import rasterize
from fusejax.ops.color import rgb_to_luma

SIZE = (40, 48)
ROWS = ("half", "copy", AVERAGE, BOUND)


@pytest.fixture
def pairs(tmp_path):
    """Four pairs, of which the first has no annotation and the second only a lamp.

    Two methods of fused images.
    """
    root = tmp_path / "set"
    write_synthetic_folder(root, count=4, size=SIZE, boxes=True)
    (root / "boxes" / "day_000000.json").unlink()
    (root / "boxes" / "night_000001.json").write_text('[{"label": "lamp", "xyxy": [1, 1, 20, 20]}]')
    for path in (root / "vi").iterdir():
        vi = read_image(path)
        write_image(tmp_path / "half" / path.name, read_image(root / "ir" / path.name) // 2)
        write_image(tmp_path / "copy" / path.name, vi)  # in color: its luma counts
    return root


def run(root, *arguments, methods=("half", "copy")):
    fused = [a for m in methods for a in ("--fused", str(root.parent / m))]
    sources = ["--ir", str(root / "ir"), "--vi", str(root / "vi")]
    main(["evaluate", *fused, *sources, "--metrics", "EN", "--boxes", str(root / "boxes"), *arguments])


def rows_of(out):
    table = [row for row in csv.DictReader((out / "metrics.csv").open()) if row["convention"] == "regions"]
    return {(row["name"], row["method"]): row for row in table}


def read_planes(root, name):
    files = [root.parent / m / f"{name}.png" for m in ("half", "copy")] + [
        root / k / f"{name}.png" for k in ("ir", "vi")
    ]
    planes = [to_float(read_image(path))[None] for path in files]
    return [rgb_to_luma(x) if x.shape[-1] == 3 else x for x in planes]


def test_the_written_folder_holds_the_boxes(tmp_path):
    write_synthetic_folder(tmp_path, count=3, size=SIZE, seed=2, boxes=True)
    drawn = {p["id"]: p for p in SyntheticPairs(3, size=SIZE, seed=2)}
    for pair in PairFolder(tmp_path, boxes=True):
        np.testing.assert_array_equal(pair["boxes"], drawn[pair["id"]]["boxes"])
        assert pair["labels"] == drawn[pair["id"]]["labels"]


@pytest.mark.slow
def test_evaluate_prints_and_writes_what_the_functions_say(pairs, tmp_path, capsys):
    run(pairs, "--out", str(tmp_path / "out"))
    printed = capsys.readouterr().out
    assert "inside boxes of people, car, bus" in printed
    assert "means over 2 images, errors on [0, 1]; 2 of 4 skipped because they have no boxes" in printed
    found = rows_of(tmp_path / "out")
    names = ("day_000002", "night_000003")
    assert list(found) == [(name, row) for row in ROWS for name in names]
    for name in names:
        half, copy, ir, vi_y = read_planes(pairs, name)
        boxes = read_boxes(pairs / "boxes" / f"{name}.json", size=SIZE).xyxy[None]
        mask = rasterize(jnp.asarray(boxes), jnp.ones(boxes.shape[:2], bool), height=SIZE[0], width=SIZE[1])
        assert 0 < mask.mean() < 1
        for row, fused in (("half", half), ("copy", copy), (AVERAGE, np.asarray(average_fusion(ir, vi_y)))):
            got = {k: float(found[name, row][k]) for k in ("ROI-SSIM", "ROI-MSE", "MSE")}
            assert got == pytest.approx(
                {
                    "ROI-SSIM": float(roi_ssim(fused, ir, vi_y, mask)[0]),
                    "ROI-MSE": float(roi_mse(fused, ir, vi_y, mask)[0]),
                    "MSE": float(mean_squared_error(fused, ir, vi_y, full_scale=1.0)[0]),
                },
                rel=1e-5,
            )
        average, bound = found[name, AVERAGE], found[name, BOUND]
        assert bound["ROI-SSIM"] == "nan"
        inside = np.asarray(mask[0, ..., 0]) > 0
        quarter = np.square(np.asarray(ir - vi_y, np.float64)[0, ..., 0]) / 4
        for column, want in (("ROI-MSE", quarter[inside].mean()), ("MSE", quarter.mean())):
            assert float(bound[column]) == pytest.approx(want, rel=1e-6)
            assert float(average[column]) == pytest.approx(float(bound[column]), rel=1e-6)
            assert all(float(found[name, m][column]) > float(bound[column]) for m in ("half", "copy"))
    means = {c: np.mean([float(found[n, "half"][c]) for n in names]) for c in ("ROI-SSIM", "ROI-MSE", "MSE")}
    line = next(x for x in printed.partition("inside boxes")[2].splitlines() if "half" in x)
    numbers = [float(x) for x in re.findall(r"\d+\.\d+", line)]
    np.testing.assert_allclose(numbers, list(means.values()), atol=5e-4)


@pytest.mark.slow
def test_classes_choose_the_boxes(pairs, tmp_path, capsys):
    run(pairs, "--out", str(tmp_path / "lamps"), "--box-classes", "LAMP", methods=("half",))
    printed = capsys.readouterr().out
    assert "inside boxes of LAMP: means over 1 images" in printed and "3 of 4 skipped" in printed
    assert {name for name, _ in rows_of(tmp_path / "lamps")} == {"night_000001"}
    images = {path.stem: SIZE for path in (pairs / "ir").iterdir()}
    every = read_region_boxes(pairs / "boxes", images, ())
    people = read_region_boxes(pairs / "boxes", images, ("person",))
    cars = read_region_boxes(pairs / "boxes", images, ("car",))
    assert every["night_000001"].tolist() == [[1, 1, 20, 20]]
    counts = [sum(map(len, found.values())) for found in (every, people, cars)]
    assert counts[0] == counts[1] + counts[2] + 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("day_000000.xml", "<annotation>", "day_000000.xml: malformed XML"),
        ("day_000000.txt", "0 .5 .5 .2 .2\n7 .5 .5 .2 .2", "day_000000.txt, line 2: class 7 is unknown; there are 2"),
        (
            "day_000000.json",
            '[{"label": "car", "xyxy": [1, 1, 51, 9]}]',
            "box 1: (1, 1, 51, 9) is not inside the 48x40",
        ),
        ("day_000002.xml", "<annotation/>", "annotate the same image; keep one"),
    ],
)
def test_bad_annotations_are_refused_before_any_work(pairs, tmp_path, capsys, name, text, message):
    (pairs / "boxes" / "classes.txt").write_text("person\ncar\n")
    (pairs / "boxes" / name).write_text(text)
    with pytest.raises(SystemExit) as stop:
        run(pairs, "--out", str(tmp_path / "out"))
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_class_without_boxes_and_a_missing_folder_are_refused(pairs, tmp_path, capsys):
    for arguments, message in [
        (["--box-classes", "dog"], "has no boxes of the classes dog for these images; classes found: "),
        (["--boxes", str(tmp_path / "none")], "none is not a folder of annotations"),
    ]:
        with pytest.raises(SystemExit):
            run(pairs, *arguments)
        assert message in capsys.readouterr().err


def test_boxes_between_pixel_centers_count_as_none(tmp_path):
    write_image(tmp_path / "a.png", np.zeros(SIZE, np.uint8))
    entries = [{"label": "car", "xyxy": xyxy} for xyxy in ([0.6, 0, 1.4, 9], [3, 2.5, 5, 3.5], [3, 2.6, 5, 3.5])]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    found = read_region_boxes(tmp_path, {"a": SIZE}, ())["a"]
    assert found.tolist() == [[3, 2.5, 5, 3.5]]
    assert region_mask(found, height=SIZE[0], width=SIZE[1]).sum() == 2


@pytest.mark.slow
def test_images_of_a_batch_and_methods_do_not_see_each_other():
    fused, ir, vi_y = (jnp.asarray(np.random.default_rng(s).random((2, *SIZE, 1)), jnp.float32) for s in range(3))
    mask = jnp.zeros_like(ir).at[0, 4:20, 6:30].set(1.0)
    together = region_scores(jnp.stack([fused, ir]), ir, vi_y, mask)
    for m, one in enumerate((fused, ir)):
        alone = region_scores(one[None, :1], ir[:1], vi_y[:1], mask[:1])
        for name, values in alone.items():
            np.testing.assert_allclose(together[name][[m, 2, 3], 0], values[:, 0], rtol=1e-6)
    assert jax.tree.map(lambda x: np.isnan(x[:3, 1]).tolist(), together) == {
        "ROI-SSIM": [True] * 3,
        "ROI-MSE": [True] * 3,
        "MSE": [False] * 3,
    }
