"""The detector of people: targets, precision, and that it learns, resumes and refuses."""

import detect_people
import numpy as np
import pytest
from people.detector import STRIDE, average_precision, detections, matched, targets, train

ONCE = np.ones((1, 1), int)


def test_targets_show_the_center_and_the_box_can_be_read_from_them():
    box = np.array([[20.0, 30.0, 37.0, 75.0]])
    heat, shape = targets(box, (128, 160))
    assert heat.shape == (32, 40) and heat.max() == 1 and (heat == 1).sum() == 1
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    x, y, width, height = shape[row, column]
    middle = STRIDE * (column + x), STRIDE * (row + y)
    np.testing.assert_allclose([*middle, STRIDE * width, STRIDE * height], [28.5, 52.5, 17, 45], rtol=1e-6)
    assert 0 < heat[row, column + 1] < 1


def test_a_person_is_found_once_and_by_boxes_that_overlap_by_half():
    truth = np.array([[10, 10, 30, 60], [80, 10, 84, 18]], float)  # the second is too small to count
    boxes = np.array([[11, 10, 31, 60], [10, 11, 30, 61], [10, 10, 30, 30], [80, 10, 84, 18], [90, 90, 92, 95]], float)
    found = matched(np.array([0.9, 0.8, 0.7, 0.6, 0.5]), boxes, truth)
    assert found == [(0.9, True), (0.8, False), (0.7, False)]


def test_average_precision_is_the_area_under_precision_over_recall():
    found = [[(0.9, True), (0.7, False), (0.6, True)]]
    assert average_precision(found, np.array([2]), ONCE)[0] == pytest.approx(1 / 2 + 2 / 3 / 2)
    assert average_precision(found, np.array([4]), ONCE)[0] == pytest.approx(1 / 4 + 2 / 3 / 4)
    assert average_precision([[]], np.array([4]), ONCE)[0] == 0
    twice = average_precision([[(0.9, True)], [(0.8, False)]], np.array([1, 1]), np.array([[1, 1], [2, 0], [0, 2]]))
    np.testing.assert_allclose(twice, [0.5, 1, 0])


@pytest.mark.slow
def test_a_bright_person_is_learned():
    rng, n, truth = np.random.default_rng(0), 12, []
    images = 0.1 * rng.random((n, 32, 48, 1), np.float32)
    for image in images:
        x, y = rng.integers(4, 32), rng.integers(2, 10)
        image[y : y + 20, x : x + 8] = 1
        truth.append(np.array([[x, y, x + 8, y + 20]], float))
    people, times = np.ones(n, int), np.ones((1, n), int)
    first = train(None, [images], truth, (32, 48), 1, seed=0)
    later = train(first, [images], truth, (32, 48), 160, seed=0)
    before, after = (average_precision(detections(p, images, truth), people, times)[0] for p in (first, later))
    assert before < 0.3 and after > 0.8


@pytest.mark.slow
def test_the_study_compares_all_kinds_of_images_and_continues(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(detect_people, "DRAWN", (64, 80))
    monkeypatch.setattr(detect_people, "SIZE", (48, 64))
    options = detect_people.DetectOptions(
        tmp_path, weights=("average", "maximum"), scenes=4, test_scenes=8, steps=2, further=1, seeds=2
    )
    detect_people.main(options)
    text = (tmp_path / "tables.md").read_text()
    assert text in capsys.readouterr().out
    assert text.count("| both sources |") == 3 and "night, noisy infrared" in text and "| maximum |" in text
    (tmp_path / "1_maximum.json").unlink()  # as if the call had been killed there
    (tmp_path / "tables.md").unlink()
    detect_people.main(options)
    assert (tmp_path / "tables.md").read_text() == text
    with pytest.raises(SystemExit, match="use another --out"):
        detect_people.main(detect_people.DetectOptions(tmp_path, steps=3))
