"""The summary of a configuration by `fusejax info`."""

import pytest

from fusejax.cli.main import main


@pytest.mark.slow
def test_info_prints_counts_and_settings(capsys):
    main(["info", "angularfuse", "--settings"])
    text = capsys.readouterr().out
    assert "angularfuse: 1,517,657 parameters" in text
    assert "GFLOP per pair of 640x480 (width x height)" in text
    assert '"edge_weight": 0.75' in text
