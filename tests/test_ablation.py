"""`fusejax ablate`: runs, scores, table and grids; what is finished is not repeated."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from fusejax import ablation as ablation_module
from fusejax.ablation import Ablation, markdown, ranked, run_folder, write_csv
from fusejax.cli import main
from fusejax.config import load_ablation, shipped_configs
from fusejax.data.images import read_image
from fusejax.data.pipeline import open_sources
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.metrics import USUAL
from fusejax.serialise import differences, to_dict
from fusejax.training.loop import fit

CONFIG = str(Path(__file__).parent / "configs" / "tiny_ablation.py")


def results(*means):
    """One metric set per seed and variant; every metric has the value given."""
    return {f"v{n}": [{"val": dict.fromkeys(USUAL, m)} for m in seeds] for n, seeds in enumerate(means)}


def test_means_spreads_and_ranks():
    table = ranked(results((1.0, 3.0), (5.0, 5.0), (0.0, 0.0)), "val")
    assert table["v0"]["EN"] == (2.0, 1.0, 2.0)
    assert [table[f"v{n}"]["SSIM"][2] for n in range(3)] == [2.0, 1.0, 3.0]


def test_table_and_csv_say_the_same(tmp_path):
    what = Ablation("Title", {"v0": None, "v1": None}, {"val": "made up"})
    found = results((1.0, 3.0), (5.0, 5.0))
    text = markdown(what, found)
    assert "over 2 seeds, convention `cddfuse`" in text and "**val** (made up)" in text
    assert "| v0 | 2.000 ± 1.000 |" in text and text.strip().endswith("| 1.00 |")
    write_csv(tmp_path / "t.csv", what, found)
    rows = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert len(rows) == 2 * len(USUAL)
    assert (float(rows[0]["mean"]), float(rows[0]["standard_deviation"]), rows[0]["seeds"]) == (2.0, 1.0, "2")


def test_the_command_trains_scores_and_draws_once(tmp_path, monkeypatch, capsys):
    write_synthetic_folder(tmp_path / "data" / "val", count=2, size=(48, 56))
    folders = ["--data-root", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    arguments = ["ablate", CONFIG, *folders, "--seeds", "2"]
    main(arguments)
    printed = capsys.readouterr().out
    assert "Tiny networks; mean ± standard deviation over 2 seeds" in printed
    assert (tmp_path / "out" / "table.md").read_text() in printed
    (grid,) = (tmp_path / "out" / "grids").glob("*.png")
    height, width, _ = read_image(grid).shape
    assert width == 2 * 56 + 4 and height >= 3 * 48  # the sources and two variants
    scores = [json.loads((run_folder(tmp_path / "out", "per axis", s) / "scores.json").read_text()) for s in (0, 1)]
    assert all(np.isfinite(list(s["val"].values())).all() for s in scores) and scores[0] != scores[1]

    trained = []
    monkeypatch.setattr(ablation_module, "fit", lambda config, run: trained.append(run) or fit(config, run))
    main(arguments)
    assert trained == []
    (run_folder(tmp_path / "out", "per axis", 1) / "scores.json").unlink()
    main(arguments)
    assert trained == [run_folder(tmp_path / "out", "per axis", 1)]


def test_unknown_names_and_bad_numbers_are_refused(tmp_path, capsys):
    for arguments, message in [
        (["nosuch"], "nosuch: neither a file nor a shipped configuration; shipped: angle, com_mask"),
        ([CONFIG, "--seeds", "0"], "seeds is 0; it must be at least 1"),
    ]:
        with pytest.raises(SystemExit) as stop:
            main(["ablate", *arguments, "--data-root", str(tmp_path), "--out", str(tmp_path / "out")])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The folders that the shipped ablations train on, with two made-up pairs each."""
    root = tmp_path_factory.mktemp("sets")
    for name in ("roadscene/train", "msrs128/train"):
        write_synthetic_folder(root / name, count=2, size=(64, 64))
    return root


@pytest.mark.parametrize("full_size", [False, True])
@pytest.mark.parametrize("name", sorted(shipped_configs("ablations")))
def test_shipped_ablations_differ_in_what_their_names_say(name, full_size, sets, tmp_path):
    found = load_ablation(name)(sets, tmp_path, full_size)
    configs = [to_dict(config) for config in found.variants.values()]
    assert len(configs) > 1
    if not full_size:
        assert all(open_sources(config.data) for config in found.variants.values())
    for n, config in enumerate(configs):
        assert all(differences(config, other) for other in configs[:n])
        assert {key: config[key] for key in ("model", "batch_size", "seed")} == {
            key: configs[0][key] for key in ("model", "batch_size", "seed")
        }
        assert [(s["steps"], s["epochs"], s["optim"]) for s in config["stages"]] == [
            (s["steps"], s["epochs"], s["optim"]) for s in configs[0]["stages"]
        ]
