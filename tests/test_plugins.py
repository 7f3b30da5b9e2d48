"""Networks, losses and metrics outside the package, in every command that uses them."""

import json
import subprocess

import pytest
from devices import COMMAND

from fusejax.data.synthetic import write_synthetic_folder
from fusejax.plugins import load_plugins, split_plugins

PLUGIN = """
import dataclasses
import flax.linen as nn
import jax.numpy as jnp
from fusejax.losses import TERMS
from fusejax.metrics import CONVENTIONS, METRICS
from fusejax.metrics.table import MetricInfo
from fusejax.models import NETWORKS, OtherConfig
from fusejax.ops.extent import valid_size
from fusejax.ops.numerics import image_mean, to_levels


@dataclasses.dataclass(frozen=True)
class BlendConfig(OtherConfig):
    start: float = 0.5


class Blend(nn.Module):
    config: BlendConfig
    provides = ("fused_y",)
    multiple = 1

    @nn.compact
    def __call__(self, ir, vi_y):
        share = self.param("share", nn.initializers.constant(self.config.start), (1,))
        return share * ir + (1 - share) * vi_y

    def outputs(self, ir, vi_y):
        return {"fused_y": self(ir, vi_y)}


def mean_level(fused, ir, vi_y, *, extent=None):
    return image_mean(to_levels(fused), valid_size(fused, extent))


NETWORKS[BlendConfig] = Blend
TERMS["far_from_infrared"] = lambda fused_y, ir: -jnp.abs(fused_y - ir).mean(axis=(1, 2, 3))
METRICS["ML"] = MetricInfo(title="mean level", family="mean", values="0..255", better="higher", source="a test")
CONVENTIONS["exact"].metrics["ML"] = mean_level
"""

CONFIG = """
import sys
from fusejax.config import OptimConfig, StageConfig, TrainConfig
from fusejax.data.config import DataConfig
from fusejax.losses import ObjectiveConfig, TermConfig


def get_config():
    network = sys.modules["fusejax_plugin_own"].BlendConfig(start=0.25)
    stage = StageConfig(ObjectiveConfig((TermConfig("far_from_infrared"),)), optim=OptimConfig(1e-2), steps=4)
    data = DataConfig(synthetic=2, crop=16, com_mask=None)
    return TrainConfig("own", network, (stage,), data=data, batch_size=2, log_every=1, save_every=2)
"""


def run(*words, status=0):
    done = subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout, " ".join(done.stderr.split())


@pytest.mark.slow
def test_a_plugin_reaches_every_command(tmp_path):
    (tmp_path / "own.py").write_text(PLUGIN)
    (tmp_path / "config.py").write_text(CONFIG)
    write_synthetic_folder(tmp_path / "pairs", count=2, size=(32, 40))
    plugin, pairs = ["--plugin", tmp_path / "own.py"], ["--ir", tmp_path / "pairs/ir", "--vi", tmp_path / "pairs/vi"]
    workdir = tmp_path / "run"
    run("train", tmp_path / "config.py", "--workdir", workdir, *plugin)
    run("fuse", *plugin, *pairs, "--weights", workdir, "--out", tmp_path / "fused")
    words = ["--weights", workdir, "--fused", tmp_path / "fused", "--metrics", "ML", "--out", tmp_path / "scores"]
    run("evaluate", *pairs, *words, *plugin)
    assert "ML" in (tmp_path / "scores" / "metrics.csv").read_text()
    words = ["--weights", workdir, "--format", "stablehlo", "--size", "40x32", "--out", tmp_path / "own.stablehlo"]
    run("export", *words, *plugin)
    out, _ = run("info", tmp_path / "config.py", f"--plugin={tmp_path / 'own.py'}")
    assert "own: 1 parameters" in out and "loss 1 far_from_infrared" in out
    run("plan", tmp_path / "config.py", *plugin)
    # Without the plugin, the network is named as missing, not the run as damaged.
    _, said = run("fuse", *pairs, "--weights", workdir, "--out", tmp_path / "o", status=2)
    assert "is for the network 'BlendConfig'" in said and "--plugin FILE" in said
    _, said = run("fuse", *pairs, "--weights", f"{workdir}@2", "--out", tmp_path / "o", status=2)
    assert "network that is not in this version" in said and "damaged" not in said
    run("fuse", *pairs, "--weights", f"{workdir}@2", "--out", tmp_path / "o", *plugin)
    log = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log if line["kind"] == "train"] == [1, 2, 3, 4]


@pytest.mark.slow
def test_an_unfinished_run_with_a_term_of_its_configuration_is_not_called_damaged(tmp_path):
    text = CONFIG.replace("import sys\n", "import sys\nimport jax.numpy as jnp\nfrom fusejax.losses import TERMS\n")
    text = text.replace(
        "def get_config",
        'TERMS["mine"] = lambda fused_y, ir: jnp.abs(fused_y - ir).mean(axis=(1, 2, 3))\n\n\ndef get_config',
    )
    text = text.replace('"far_from_infrared"', '"mine"').replace(
        'sys.modules["fusejax_plugin_own"].BlendConfig(start=0.25)', "LightConfig(width=4, blocks=1)"
    )
    (tmp_path / "config.py").write_text(text.replace("import sys\n", "from fusejax.models import LightConfig\n"))
    write_synthetic_folder(tmp_path / "pairs", count=1, size=(32, 40))
    workdir = tmp_path / "run"
    run("train", tmp_path / "config.py", "--workdir", workdir)
    (workdir / "weights.safetensors").unlink()  # as if it had been stopped behind step 4
    pairs = ["--ir", tmp_path / "pairs/ir", "--vi", tmp_path / "pairs/vi"]
    _, said = run("fuse", *pairs, "--weights", workdir, "--out", tmp_path / "o")
    assert "has not finished; using the weights of step 4" in said
    run("report", workdir)


def test_plugins_are_taken_out_of_any_place_of_a_command():
    assert split_plugins(["--plugin", "a.py", "fuse", "--plugin=b.py", "--ir", "x"]) == (
        ["fuse", "--ir", "x"],
        ["a.py", "b.py"],
    )
    for words in (["fuse", "--plugin"], ["fuse", "--plugin="], ["--plugin", "a.py"]):
        with pytest.raises(ValueError, match="--plugin"):
            split_plugins(words)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"none\.py: no such Python file"),
        ("x = (", r"none\.py, line 1: "),
        ("x = 1\nnope", r"none\.py, line 2: NameError: name 'nope'"),
    ],
)
def test_a_plugin_that_cannot_be_run_is_named_with_its_line(tmp_path, monkeypatch, text, message):
    monkeypatch.setenv("FUSEJAX_PLUGIN", "")
    if text is not None:
        (tmp_path / "none.py").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_plugins([str(tmp_path / "none.py")])


def test_a_plugin_is_run_once(tmp_path, monkeypatch):
    monkeypatch.setenv("FUSEJAX_PLUGIN", "")
    (tmp_path / "once.py").write_text("from fusejax import plugins\nplugins.TIMES = getattr(plugins, 'TIMES', 0) + 1\n")
    load_plugins([str(tmp_path / "once.py")])
    load_plugins()  # as a child process would
    from fusejax import plugins

    assert plugins.TIMES == 1
