"""Model cards are correct: scores are reproduced from the data."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from fusejax.data.folders import PairFolder
from fusejax.inference.fuser import Fuser
from fusejax.io.images import from_float, to_float
from fusejax.metrics import evaluate
from fusejax.models import build
from fusejax.ops.color import rgb_to_luma
from fusejax.report.known_rows import read_rows
from fusejax.weights.files import load_weights, shipped_weights

pytestmark = pytest.mark.optimized

WEIGHTS = Path(__file__).parents[2] / "fusejax" / "weights"
LOSSES = json.loads((Path(__file__).parent / "first_losses.json").read_text())
SET = "msrs/test_dev"
RECOMPUTED = ("SD", "SCD")  # need no large windows; this tests the weights, not the metrics


def test_every_shipped_file_has_a_card_and_first_losses_and_all_are_small():
    names = shipped_weights()
    assert set(LOSSES) == set(names)
    assert {path.stem for path in WEIGHTS.glob("*.md")} == set(names)
    assert sum(path.stat().st_size for path in WEIGHTS.glob("*.safetensors")) < 10 * 2**20  # 10 MiB


@pytest.mark.parametrize("name", shipped_weights())
def test_metadata_names_no_folder_of_a_machine(name):
    metadata = load_weights(name)[2]
    assert metadata["config"]["data"]["root"] == ""
    assert '"/' not in json.dumps(metadata), "an absolute path"


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped_weights())
def test_scores_of_the_card_are_recomputed(name, data_root, say):
    """Of the images that `fusejax fuse` writes, or of their luma alone where the card says so."""
    (row, chosen), gray = _card_row(name), "gray 8-bit results" in (WEIGHTS / f"{name}.md").read_text()
    fuser, found = Fuser.load(name), []
    for pair in PairFolder(data_root / SET):
        if chosen not in ("", pair["id"]):
            continue
        ir, vi = (to_float(pair[kind]) for kind in ("ir", "vi"))
        vi = rgb_to_luma(vi) if gray else vi
        fused = _gray(fuser, ir, vi) if gray else to_float(fuser.fuse(pair["ir"], pair["vi"]))
        scores = evaluate(*(x[None] for x in (fused, ir, vi)), convention="cddfuse", metrics=RECOMPUTED)
        found.append([float(scores[metric][0]) for metric in RECOMPUTED])
    for metric, mean in zip(RECOMPUTED, np.mean(found, axis=0), strict=True):
        say(f"{name}: {metric} {mean:.4f}, card {row[metric]:.3f}")
        assert mean == pytest.approx(row[metric], abs=2e-3), metric


def _gray(fuser, ir, vi_y):
    return to_float(from_float(fuser.fuse_luma(ir[None], vi_y[None])[0], np.uint8))


def _card_row(name):
    """A row of scores, and the pair of SET that has them; "" for the mean over all pairs.

    Cards of large networks have a table with one pair, because eight take minutes to fuse.
    """
    tables = read_rows(WEIGHTS / f"{name}.md")
    if single := [key for key in tables if key.startswith(f"{SET}/")]:
        return tables[single[0]][name], single[0].removeprefix(f"{SET}/")
    # From a table of methods under its name, or from the first table of sets.
    return tables[SET][name] if SET in tables else next(rows[SET] for rows in tables.values() if SET in rows), ""


def test_parameters_are_as_many_as_the_cards_say():
    for name in shipped_weights():
        params, config, _ = load_weights(name)
        count = sum(x.size for x in _leaves(params))
        assert f"{count:,}" in (WEIGHTS / f"{name}.md").read_text(), name
        assert dataclasses.is_dataclass(config)
        assert build(config).provides[0] == "fused_y"


def _leaves(tree):
    return [x for v in tree.values() for x in _leaves(v)] if isinstance(tree, dict) else [tree]
