"""What `evaluate_folders` returns: values, names and files that belong together."""

import numpy as np

from fusejax.evaluation import evaluate_folders
from fusejax.evaluation.loop import make_sample
from fusejax.io.images import read_image, write_image
from fusejax.metrics import evaluate


def test_values_and_files_belong_together(tmp_path):
    rng = np.random.default_rng(0)
    for kind in ("ir", "vi", "a", "b"):
        for name in ("x", "y"):
            write_image(tmp_path / kind / f"{name}.png", rng.integers(0, 256, (20, 24), dtype=np.uint8))
    found = evaluate_folders([tmp_path / "a", tmp_path / "b"], tmp_path / "ir", tmp_path / "vi", metrics=["SD", "CC"])
    (scores,) = found.scores
    assert found.names == ("x", "y") and scores.convention == "exact" and found.regions is None
    assert scores.methods == tuple(found.fused) == ("a", "b")
    for method in scores.methods:
        for n, name in enumerate(scores.images):
            files = found.fused[method][name], found.pairs[name].ir, found.pairs[name].vi
            assert files[0] == tmp_path / method / f"{name}.png"
            expected = evaluate(*map(read_image, files), metrics=["SD", "CC"])
            for metric, value in expected.items():
                np.testing.assert_allclose(scores.of(method, metric)[n], value, rtol=1e-5)


def test_gray_methods_beside_colored_ones_are_gray_in_three_channels():
    ir, vi = np.zeros((4, 5, 1), np.float32), np.zeros((4, 5, 3), np.float32)
    gray, color = np.full((4, 5, 1), 51, np.uint8), np.full((4, 5, 3), 26214, np.uint16)
    sample = make_sample([gray, color], ir, vi)
    np.testing.assert_allclose(sample.fused, np.stack([np.full((4, 5, 3), 0.2), np.full((4, 5, 3), 0.4)]), atol=1e-6)
    assert make_sample([gray, gray], ir, vi).fused.shape == (2, 4, 5, 1)
