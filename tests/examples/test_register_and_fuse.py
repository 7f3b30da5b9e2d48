"""The joint run: one gradient moves the transforms and the network."""

import pytest
from register_and_fuse import JointOptions, run

pytestmark = pytest.mark.optimized


@pytest.mark.slow
def test_a_joint_run_brings_pairs_nearer(tmp_path, capsys):
    before, after = run(JointOptions(pairs=1, size=96, corner=3.0, steps=60, out=tmp_path / "pairs.png"))
    assert after.mean() < 0.7 * before.mean()
    assert (tmp_path / "pairs.png").is_file()
    assert "corner error" in capsys.readouterr().out
