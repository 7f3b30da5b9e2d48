"""Comparing methods: what is fused, scored and ranked, and rows measured elsewhere."""

import dataclasses
import math

import cv2
import numpy as np
import pytest

from fusejax.cli import compare
from fusejax.cli.compare import CompareOptions, compare_command
from fusejax.cli.parsing import flat, parse
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.comparison import compare_methods
from fusejax.evaluation.results import Evaluation, Scores
from fusejax.evaluation.score_files import read_scores
from fusejax.inference.folder import fuse_folder
from fusejax.io.images import read_image, write_image
from fusejax.metrics import evaluate
from fusejax.report.known_rows import read_rows

SET = "streets/val"


@pytest.mark.parametrize("overwrite", [False, True])
def test_grids_of_an_earlier_run_are_kept_unless_asked(tmp_path, monkeypatch, overwrite):
    monkeypatch.setattr(compare, "plot_distributions", lambda path, scores: None)
    monkeypatch.setattr(compare, "comparison_grid", lambda result, name, ir_range: np.zeros((4, 4), np.uint8))
    scores = Scores(("a",), ("x/1", "2", "3"), ("EN",), np.zeros((1, 1, 3, 1)), "exact", name=SET)
    kept = tmp_path / "streets_val" / "grids" / "x_1.png"
    kept.parent.mkdir(parents=True)
    kept.write_text("older")
    options = CompareOptions(tmp_path, tmp_path, overwrite=overwrite)
    compare._draw(Evaluation([scores], None, [], {}, {}, {}), options)
    assert sorted(path.name for path in kept.parent.iterdir()) == ["2.png", "x_1.png"], "two are shown"
    assert (kept.read_bytes() == b"older") is not overwrite


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two pairs, and a folder of another method's results on them: the infrared images."""
    root = tmp_path_factory.mktemp("data")
    write_synthetic_folder(root / SET, count=2, size=(48, 56))
    for path in (root / SET / "ir").iterdir():
        write_image(root / "copies" / SET / path.name, read_image(path))
    return root


@pytest.fixture(scope="module")
def compared(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    rows = out / "rows.md"
    rows.write_text(f"## {SET} (2 pairs)\n\n| row | EN | SSIM |\n|---|---|---|\n| known | 9.5 | 0.1 (1 pair) |\n")
    weights, others = (("light", "other=average"),), ((f"theirs={root / 'copies'}",),)
    options = CompareOptions(
        root,
        out,
        (SET,),
        weights=weights,
        others=others,
        rows=rows,
        shown=1,
        page=out / "page",
        convention="cddfuse",
        against=("vifb",),
        stretched=True,
        strata=(("all=*", "night=night*"),),
    )
    return options, compare_command(options)


def unit_pairs(root):
    for ir in sorted((root / SET / "ir").iterdir()):
        yield tuple(read_image(path)[None] / np.float32(255) for path in (ir, root / SET / "vi" / ir.name))


METHODS = ("light", "other", "average", "maximum", "theirs")


@pytest.mark.slow
def test_every_method_is_fused_scored_and_ranked(compared, root):
    options, ((result),) = compared
    scores = result.scores[0]
    assert (scores.methods, scores.name, scores.convention) == (METHODS, SET, "cddfuse")
    place = options.out / "streets_val"
    for method in METHODS[:4]:
        assert len(list((place / method).glob("*.png"))) == 2
    np.testing.assert_array_equal(scores.values[1], scores.values[2])  # "other" is the average, too
    copied = [evaluate(ir, ir, vi, metrics=("EN",), convention="cddfuse")["EN"][0] for ir, vi in unit_pairs(root)]
    assert scores.mean("theirs")["EN"] == pytest.approx(np.mean(copied), rel=1e-6)
    text = (options.out / "table.md").read_text()
    assert "| known | **9.500** | 0.1000 |" in text  # only the metrics that all rows have are compared
    assert "with its 95% interval" in text and "Measured elsewhere: known." in text
    assert r"\begin{tabular}" in (options.out / "table.tex").read_text()
    (read,) = read_scores(options.out / "metrics.csv")
    np.testing.assert_array_equal(read.values, scores.values)
    assert "Comparison on streets/val" in (options.out / "page" / "streets_val" / "index.html").read_text()


@pytest.mark.slow
def test_conventions_and_stretched_images_are_scored_beside_the_plain_ones(compared, root):
    options, _ = compared
    plain, stretched = (
        read_image(options.out / "streets_val" / place / "average/day_000000.png").astype(float)
        for place in ("", "stretched")
    )
    lumas = [image @ [0.299, 0.587, 0.114] for image in (plain, stretched)]
    low, high = lumas[0].min(), lumas[0].max()
    np.testing.assert_allclose(lumas[1], 255 * (lumas[0] - low) / (high - low), atol=1.01)
    tables = read_scores(options.out / "agreement/metrics.csv")
    assert [table.convention for table in tables] == ["cddfuse", "vifb"]
    assert tables[1].methods == (*METHODS, *(f"{method} (stretched)" for method in METHODS))
    text = (options.out / "agreement.md").read_text()
    assert "Kendall's tau" in text and "if this method alone is stretched" in text
    table = (options.out / "table.md").read_text()
    assert "(stretched)" not in table and f"**{SET}, all**" in table and "night**" not in table  # which is one image
    with pytest.raises(ValueError, match="--strata night: expected NAME=PATTERN"):
        compare_command(dataclasses.replace(options, out=root / "x", strata=(("night",),)))


@pytest.mark.slow
def test_the_grid_shows_sources_and_methods_in_their_order(compared, root):
    options, (result,) = compared
    grid = read_image(options.out / "streets_val/grids/day_000000.png")
    ir, vi = (read_image(root / SET / kind / "day_000000.png") for kind in ("ir", "vi"))
    files = [result.fused[name]["day_000000"] for name in METHODS]
    for n, shown in enumerate([ir, vi, *map(read_image, files)]):
        row, column = divmod(n, 3)
        image = np.broadcast_to(shown, (48, 56, 3)).copy()
        band = grid[row * grid.shape[0] // 3 : (row + 1) * grid.shape[0] // 3]
        left = column * (56 + 4)
        distance = cv2.matchTemplate(band, image, cv2.TM_SQDIFF)[:, left]
        top = distance.argmin()
        assert distance[top] < 48 * 56 * 3 / 10  # all but a few pixels are equal
        assert (band[:top, left : left + 56] < 128).any(), "a caption above each image"


@pytest.mark.slow
def test_a_finished_comparison_is_not_replaced_and_its_images_are_kept(compared):
    options, _ = compared
    with pytest.raises(FileExistsError, match=r"table\.md already exists; use --overwrite"):
        compare_command(options)


def test_rules_are_what_their_names_say(root, tmp_path):
    for rule, function in (("average", np.mean), ("maximum", np.max)):
        fuse_folder(root / SET / "ir", root / SET / "vi", tmp_path / rule, weights=rule)
        ir, vi = (read_image(root / SET / kind / "night_000001.png").astype(float) for kind in ("ir", "vi"))
        expected = function([ir[..., 0], vi @ [0.299, 0.587, 0.114]], axis=0)
        fused = read_image(tmp_path / rule / "night_000001.png") @ np.array([0.299, 0.587, 0.114])
        inside = (fused > 2) & (fused < 253)  # where no color had to be clipped
        assert np.abs(fused - expected)[inside].max() <= 1


def test_rows_are_read_as_older_versions_wrote_them(tmp_path):
    (tmp_path / "t.csv").write_text("set,method,EN,SD\na/b,m,1.25,undefined\na/b,n,2.5,3.0\n")
    found = read_rows(tmp_path / "t.csv")
    assert found["a/b"]["n"] == {"EN": 2.5, "SD": 3.0}
    assert found["a/b"]["m"]["EN"] == 1.25 and math.isnan(found["a/b"]["m"]["SD"])


def test_tables_of_a_model_card_are_rows(tmp_path):
    (tmp_path / "card.md").write_text(
        "# Card\n\n| | |\n|---|---|\n| data | some |\n\n**one/val**\n\n| row | EN | speed | SCD |\n|---|---|---|---|\n"
        "| **ours** | 7.1 | 3 | undefined |\n\n## two (8 pairs)\n| row | EN |\n|---|---|\n| theirs | 6.5 |\n"
    )
    found = read_rows(tmp_path / "card.md")
    assert found["one/val"]["ours"]["EN"] == 7.1
    assert found["one/val"]["ours"].keys() == {"EN", "SCD"}  # `speed` is no metric
    assert math.isnan(found["one/val"]["ours"]["SCD"])
    assert found["two"] == {"theirs": {"EN": 6.5}}


def test_files_without_means_are_refused(tmp_path):
    (tmp_path / "t.md").write_text("| a | b |\n|---|---|\n| 1 | 2 |\n")
    with pytest.raises(ValueError, match=r"t\.md has no means: expected a CSV with the columns set, method"):
        read_rows(tmp_path / "t.md")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": ("median",)}, "Unknown rule 'median'; the rules are average, maximum"),
        ({"rules": ()}, "Nothing to compare"),
        ({"rules": ("average", "average")}, "The same method is given twice: average, average"),
        ({"weights": ("average=light",)}, "Two methods are called average; give one another name"),
        ({"metrics": ("XX",)}, "does not define XX"),
        ({"weights": ("nothing",)}, "No weights at nothing"),
        ({"others": {"other": "elsewhere"}}, "elsewhere has no subfolder streets/val"),
    ],
)
def test_what_cannot_be_compared_is_said_before_any_work(root, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        compare_methods(root, [SET, "streets/val/."], tmp_path, **({"rules": ("average",)} | options))
    assert not list(tmp_path.iterdir())


def test_weights_on_the_command_line_are_names_and_not_letters():
    given = ["--data-root", "a", "--out", "b", "--weights", "light", "average", "--weights", "maximum"]
    assert flat(parse(CompareOptions, "compare", given).weights) == ["light", "average", "maximum"]
