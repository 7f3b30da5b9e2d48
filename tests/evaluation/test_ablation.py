"""`fusejax ablate`: runs, scores, table and grids; finished runs are not repeated."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from fusing import save_tiny_weights

from fusejax.cli.ablate import ablation_table
from fusejax.cli.main import main
from fusejax.config import load_ablation, load_config, shipped_configs
from fusejax.data.folders import PairFolder
from fusejax.data.pipeline import open_sources
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation import run as run_module
from fusejax.evaluation.ablation import Ablation, run_folder
from fusejax.evaluation.regions import AVERAGE, BOUND, REGION_METRICS, region_mask
from fusejax.evaluation.results import Scores
from fusejax.evaluation.run import open_pairs, run_ablation, score_sets
from fusejax.evaluation.score_files import read_scores
from fusejax.io.images import read_image, to_float
from fusejax.metrics import USUAL
from fusejax.metrics.region import roi_mse, roi_ssim
from fusejax.ops.color import rgb_to_luma
from fusejax.serialize import differences, to_dict
from fusejax.training.loop import fit

CONFIG = str(Path(__file__).parents[1] / "configs" / "tiny_ablation.py")
TINY = load_config(str(Path(__file__).parents[1] / "configs" / "tiny.py"))


def results(*means, metrics=USUAL, convention="cddfuse"):
    """Scores of variants v0, v1, ... with one mean for each seed; every metric has that value."""
    values = np.array(means, float)[:, :, None, None] * np.ones((1, 1, 2, len(metrics)))
    seeds = tuple(f"seed {n}" for n in range(len(means[0])))
    return Scores(tuple(f"v{n}" for n in range(len(means))), ("1", "2"), metrics, values, convention, seeds, "val")


def test_the_table_has_means_spreads_and_ranks_over_the_seeds():
    what = Ablation("Title", {"v0": TINY, "v1": TINY}, {"val": "made up"})
    table = ablation_table(what, results((1.0, 3.0), (5.0, 5.0)))
    assert table.name == "val" and table.caption.startswith("(made up) mean ± standard deviation over 2 seeds")
    assert "convention cddfuse" in table.caption
    v0, v1 = table.rows
    assert {cell.text for cell in v0[1:-1]} == {"2.000 ± 1.000"}  # the standard deviation of the seeds, not n - 1
    assert v0[-1].text.startswith("2.00 (") and v1[-1].text.startswith("1.00 (")
    assert {cell.mark for cell in v1[1:-1]} == {"best"}


def test_the_plain_average_and_the_bound_do_not_compete():
    found = results((1.0,), (9.0,))
    found = dataclasses.replace(found, methods=("v0", AVERAGE))
    what = Ablation("Title", {"v0": TINY}, {"val": "made up"})
    mine, average = ablation_table(what, found).rows
    assert [cell.mark for cell in average] == [""] * len(average) and average[-1].text == ""
    assert mine[-1].text == "1.00 (1.00 to 1.00)"
    inside = results((1.0,), (9.0,), metrics=REGION_METRICS, convention="regions")
    table = ablation_table(what, inside)
    assert table.header == ["method", "ROI-SSIM ↑", "ROI-MSE ↓", "MSE ↓"] and not table.has_marks
    assert "inside the boxes" in table.caption


@pytest.mark.slow
def test_the_command_trains_scores_and_draws_once(tmp_path, monkeypatch, capsys):
    write_synthetic_folder(tmp_path / "data" / "val", count=2, size=(48, 56))
    folders = ["--data-root", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    arguments = ["ablate", CONFIG, *folders, "--seeds", "2"]
    main(arguments)
    printed = capsys.readouterr().out
    assert "# Tiny networks" in printed and "mean ± standard deviation over 2 seeds" in printed
    assert (tmp_path / "out" / "table.md").read_text() in printed
    (grid,) = (tmp_path / "out" / "grids").glob("*.png")
    height, width, _ = read_image(grid).shape
    assert width == 2 * 56 + 4 and height >= 3 * 48  # the sources and two variants
    runs = [read_scores(run_folder(tmp_path / "out", "per axis", seed) / "metrics.csv") for seed in (0, 1)]
    assert [(one.methods, one.conditions, one.name) for (one,) in runs] == [
        (("per axis",), (f"seed {seed}",), "val") for seed in (0, 1)
    ]
    assert all(np.isfinite(one.values).all() for (one,) in runs)
    assert (runs[0][0].values != runs[1][0].values).any()
    (scores,) = read_scores(tmp_path / "out" / "metrics.csv")
    assert (scores.methods, scores.conditions) == (("conventional", "per axis"), ("seed 0", "seed 1"))
    np.testing.assert_array_equal(scores.values[1, 1], runs[1][0].values[0, 0])

    trained = []

    def watched(config, run, **options):
        trained.append(run)
        return fit(config, run, **options)

    monkeypatch.setattr(run_module, "fit", watched)
    main([*arguments, "--page"])
    assert trained == []
    page = (tmp_path / "out" / "pages" / "val" / "index.html").read_text(encoding="utf-8")
    assert "Tiny networks: val" in page
    assert all(name in page for name in ("conventional", "per axis", "day_000000", "night_000001"))
    (run_folder(tmp_path / "out", "per axis", 1) / "metrics.csv").unlink()
    main(arguments)
    assert trained == [run_folder(tmp_path / "out", "per axis", 1)]


def test_variants_can_be_chosen_and_trained_longer(tmp_path):
    whole = load_ablation("out_of_distribution")(tmp_path, tmp_path, False)
    name = list(whole.variants)[1]
    (longer,) = whole.only([name]).times_as_long(10).variants.values()
    changed = differences(to_dict(whole.variants[name]), to_dict(longer))
    assert changed == {
        f"stages.{n}.{key}": (value, 10 * value)
        for n, stage in enumerate(whole.variants[name].stages)
        for key, value in (("epochs", stage.epochs), ("steps", stage.steps))
    }


@pytest.fixture
def boxed(tmp_path):
    """Three pairs outside the data root, of which the first has no annotation."""
    write_synthetic_folder(tmp_path / "made", count=3, size=(48, 56), boxes=True)
    (tmp_path / "made" / "boxes" / "day_000000.json").unlink()
    return Ablation("Boxes", {"v0": TINY}, {"val": "w", "made": "w"}, boxed={"made": tmp_path / "made"})


@pytest.mark.slow
def test_sets_with_boxes_are_scored_inside_them(boxed, tmp_path):
    write_synthetic_folder(tmp_path / "val", count=1, size=(48, 56))
    usual, made, inside = score_sets(lambda ir, vi_y: (ir + 3 * vi_y) / 4, boxed, tmp_path, method="m", condition="s")
    assert [(x.name, x.convention, x.conditions) for x in (usual, made, inside)] == [
        ("val", "cddfuse", ("s",)), ("made", "cddfuse", ("s",)), ("made", "regions", ("s",))
    ]  # fmt: skip
    assert (usual.metrics, inside.metrics) == (USUAL, REGION_METRICS)
    assert inside.methods == ("m", AVERAGE, BOUND) and len(made.images) == 3 and len(inside.images) == 2
    values = []
    for pair in PairFolder(tmp_path / "made", boxes=True):
        ir, vi_y = to_float(pair["ir"])[None], rgb_to_luma(to_float(pair["vi"]))[None]
        mask = region_mask(pair["boxes"], height=48, width=56)
        values.append([metric((ir + 3 * vi_y) / 4, ir, vi_y, mask)[0] for metric in (roi_ssim, roi_mse)])
    mine, average, bound = (inside.mean(method) for method in inside.methods)
    np.testing.assert_allclose([mine["ROI-SSIM"], mine["ROI-MSE"]], np.mean(values[1:], axis=0), rtol=1e-5)
    assert np.isnan(values[0]).all()
    # (9 + 1) / 32 of (I - V)^2 for these shares, 1 / 4 at least
    for metric in ("ROI-MSE", "MSE"):
        assert bound[metric] == pytest.approx(0.8 * mine[metric], rel=1e-5)
        assert average[metric] == pytest.approx(bound[metric], rel=1e-6)
    assert np.isnan(bound["ROI-SSIM"])


@pytest.mark.slow
def test_sets_with_boxes_list_the_average_and_the_bound(boxed, tmp_path, monkeypatch):
    """Every run is scored once, the average and the bound once for all runs."""
    write_synthetic_folder(tmp_path / "val", count=1, size=(48, 56))

    def fit(config, run, validate):
        run.mkdir(parents=True)
        Path(save_tiny_weights(run)).rename(run / "weights.safetensors")

    monkeypatch.setattr(run_module, "fit", fit)
    usual, made, inside = run_ablation(boxed, data_root=tmp_path, out=tmp_path / "out", seeds=2)
    assert usual.methods == ("v0",) and made.methods == ("v0", AVERAGE) and inside.methods == ("v0", AVERAGE, BOUND)
    assert inside.conditions == made.conditions == ("seed 0", "seed 1")
    assert np.isnan(made.values[1, 1]).all() and np.isfinite(inside.values[1, 0]).all()
    again = run_ablation(boxed, data_root=tmp_path / "gone", out=tmp_path / "out", seeds=2)
    np.testing.assert_array_equal(again[2].values, inside.values)


def test_unknown_names_and_bad_numbers_are_refused(tmp_path, capsys):
    for arguments, message in [
        (["nosuch"], "nosuch is neither a file nor a shipped configuration; known: across_sets, angle, angular_parts,"),
        ([CONFIG, "--seeds", "0"], "seeds is 0; it must be at least 1"),
        ([CONFIG, "--length", "0"], "length is 0; it must be at least 1"),
        ([CONFIG, "--only", "per axes"], "no variant is named 'per axes'; known: conventional, per axis"),
    ]:
        with pytest.raises(SystemExit) as stop:
            main(["ablate", *arguments, "--data-root", str(tmp_path), "--out", str(tmp_path / "out")])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The folders on which the shipped ablations train, with two synthetic pairs each."""
    root = tmp_path_factory.mktemp("sets")
    for name in ("roadscene/train", "msrs128/train"):
        write_synthetic_folder(root / name, count=2, size=(192, 192))
    return root


# Their variants are networks too, or many plans: test_paper_ablations.
APART = {"direction_aware", "angular_parts", "fusionnet_parts", "crossfuse_parts", "across_sets", "top_k_shift"}


@pytest.mark.slow
@pytest.mark.parametrize("full_size", [False, True])
@pytest.mark.parametrize("name", sorted(set(shipped_configs("ablations")) - APART))
def test_shipped_ablations_differ_in_what_their_names_say(name, full_size, sets, tmp_path):
    found = load_ablation(name)(sets, tmp_path, full_size)
    assert not list(tmp_path.iterdir()), "configurations are data; making one writes nothing"
    configs = [to_dict(config) for config in found.variants.values()]
    assert len(configs) > 1
    if not full_size:
        for preparation in found.preparations:
            preparation.prepare()
        assert all(open_sources(config.data) for config in found.variants.values())
    same = ("batch_size", "seed") if name == "light_shape" else ("model", "batch_size", "seed")
    for n, config in enumerate(configs):
        assert all(differences(config, other) for other in configs[:n])
        assert {key: config[key] for key in same} == {key: configs[0][key] for key in same}
        assert [(s["steps"], s["epochs"], s["optim"]) for s in config["stages"]] == [
            (s["steps"], s["epochs"], s["optim"]) for s in configs[0]["stages"]
        ]


@pytest.mark.parametrize("full_size", [False, True])
@pytest.mark.slow
def test_target_aware_variants_differ_in_the_term_or_the_boxes(full_size, tmp_path, monkeypatch):
    found = load_ablation("target_aware")(tmp_path, tmp_path, full_size)
    base = to_dict(found.variants["all boxes"])
    changes = {name: differences(base, to_dict(config)) for name, config in found.variants.items()}
    (stage,) = base["stages"]
    assert [term["name"] for term in stage["objective"]["terms"]][-1] == "target_aware"
    assert all(key.startswith("stages.0.objective.terms.3") for key in changes.pop("no term"))
    assert changes == {
        "all boxes": {},
        "50 % of the boxes": {"data.box_keep": (1.0, 0.5)},
        "10 % of the boxes": {"data.box_keep": (1.0, 0.1)},
        "edges 20 % off": {"data.box_jitter": (0.0, 0.2)},
    }
    assert (base["data"]["max_boxes"], base["data"]["box_share"]) == (16, 0.0)
    trained = {
        pair["id"] for pair in open_sources(dataclasses.replace(found.variants["all boxes"].data, synthetic=4))[0]
    }
    for preparation in found.preparations:
        preparation.prepare()
    scored = open_pairs(found, "synthetic", tmp_path)
    assert all(len(pair["boxes"]) for pair in scored) and not trained & {pair["id"] for pair in scored}


def test_target_aware_pairs_are_written_once(tmp_path):
    def written():
        for preparation in load_ablation("target_aware")(tmp_path, tmp_path, False).preparations:
            preparation.prepare()
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}

    first = written()
    assert len(first) == 3 * 12 and written() == first
    last = max(path for path in first if path.suffix == ".json")
    last.unlink()
    assert written().keys() == first.keys() and last.stat().st_size > 0
