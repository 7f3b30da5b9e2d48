"""The table of `fusejax plan --scaling`, from programs compiled for 1, 2, 4 and 8 virtual devices
in a separate process.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from devices import environment

from fusejax.cli.main import main
from fusejax.planning.chips import CHIPS

CONFIG = str(Path(__file__).parents[1] / "configs" / "tiny_smooth.py")
COUNTS = (1, 2, 4, 8)

SCRIPT = """
import dataclasses, json, sys
import jax
from fusejax.config import load_config
from fusejax.planning.scaling import scaling
from fusejax.training.program import Program
from fusejax.training.sharding import make_mesh

config = dataclasses.replace(load_config(sys.argv[1]), batch_size=2)
rows = scaling(config, json.loads(sys.argv[2]), chip="h100")
figures = lambda row: {k: getattr(row, k) for k in ("sent", "seconds", "efficiency")} | {"row": row.markdown()}
found = [dataclasses.asdict(row) | figures(row) for row in rows]
params = Program(config, make_mesh(config.mesh, devices=jax.devices()[:1])).target.params
print(json.dumps([found, sum(4 * x.size for x in jax.tree.leaves(params))]))
"""


@pytest.fixture(scope="module")
def found():
    command = [sys.executable, "-c", SCRIPT, CONFIG, json.dumps(COUNTS)]
    result = subprocess.run(command, env=environment(8), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.slow
def test_a_device_sends_its_gradients_around_the_ring_once(found):
    """2 (n-1)/n of the gradients' bytes, and of a few scalars: parts of the loss and norms."""
    rows, gradients = found
    for count, row in zip(COUNTS, rows, strict=True):
        ring = 2 * (count - 1) / count
        assert ring * gradients <= row["sent"] <= ring * (gradients + 4 * 24)
        assert row["batch"] == 2 * count


@pytest.mark.slow
def test_the_work_of_a_device_does_not_grow_with_their_number(found):
    rows, _ = found
    for row in rows:
        assert row["cost"]["flops"] == pytest.approx(rows[0]["cost"]["flops"], rel=0.02)
        assert row["cost"]["traffic"] == pytest.approx(rows[0]["cost"]["traffic"], rel=0.05)
        assert 0 < row["least_memory"] < row["time"]["memory"]


@pytest.mark.slow
def test_rows_add_up(found):
    for count, row in zip(COUNTS, found[0], strict=True):
        time, (least, most) = row["time"], row["seconds"]
        assert time["links"] == pytest.approx(row["sent"] / CHIPS["h100"].link)
        communication = time["links"] + time["latency"]
        assert least == pytest.approx(max(time["arithmetic"], row["least_memory"]) + communication)
        assert row["efficiency"] == pytest.approx((least - communication) / least)
        assert most == pytest.approx(max(time["arithmetic"], time["memory"]) + communication)
        cells = [cell.strip() for cell in row["row"].strip("|").split("|")]
        assert cells[:4] == [str(count), str(2 * count), "1" if count > 1 else "0", f"{row['sent'] / 1e6:,.2f} MB"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scaling", "1", "8"),
        ("--scaling", "1", "--chip", "h100", "--devices", "2"),
        ("--scaling", "0", "--chip", "h100"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["plan", CONFIG, *arguments])
    assert stop.value.code == 2
    assert "--scaling takes numbers of devices, at least 1; it needs --chip" in capsys.readouterr().err
