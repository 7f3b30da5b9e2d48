"""The joint run: one gradient moves the transforms and the network."""

import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.optimized
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))


@pytest.mark.slow
def test_a_joint_run_brings_pairs_nearer_and_changes_the_network(tmp_path, capsys):
    from register_and_fuse import JointOptions, run

    before, after = run(JointOptions(pairs=1, size=96, corner=3.0, steps=60, out=tmp_path / "pairs.png"))
    assert after.mean() < 0.7 * before.mean()
    assert (tmp_path / "pairs.png").is_file()
    assert "corner error" in capsys.readouterr().out
