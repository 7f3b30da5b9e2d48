"""Released weights: the first losses of their training are reproduced from the data."""

import importlib
import itertools
import json
from pathlib import Path

import pytest

from fusejax.cli.align import AlignOptions, align_command
from fusejax.data.alignment import AlignConfig
from fusejax.evaluation.repetition import first_losses

SCRIPTS = Path(__file__).parents[2] / "scripts"
LOSSES = json.loads((Path(__file__).parent / "first_losses.json").read_text())
STEPS = 2  # the second depends on the gradient of the first


@pytest.fixture(scope="module")
def plan(data_root, tmp_path_factory):
    """The plan of the command in CrossFuse's cards."""
    path = tmp_path_factory.mktemp("alignment") / "plan.json"
    target, auxiliary = data_root / "roadscene", data_root / "msrs128" / "train"
    align_command(AlignOptions(target, auxiliary, path, config=AlignConfig(stride=64)))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_the_first_losses_come_out_again(name, data_root, plan, monkeypatch):
    """As many steps as are stored: scripts/repeat_losses.py."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    config = importlib.import_module("repeat_losses").released_config(name, data_root, plan)
    losses = list(itertools.islice(first_losses(config), STEPS))
    assert losses == pytest.approx(LOSSES[name][:STEPS], rel=1e-5)
    assert len(set(losses)) == STEPS
