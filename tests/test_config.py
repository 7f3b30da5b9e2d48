"""Strict configurations: to JSON and back, where they are found, what is rejected."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest

from fusejax.config import OptimConfig, StageConfig, TrainConfig, load_config, shipped_configs
from fusejax.losses.config import ReferenceConfig
from fusejax.models.config import AngularFuseConfig
from fusejax.serialize import differences, from_dict, to_dict


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_shipped_configurations_survive_json(name):
    config = load_config(name)
    assert isinstance(config, TrainConfig)
    assert from_dict(TrainConfig, json.loads(json.dumps(to_dict(config)))) == config


def test_shipped_names_hold_the_paper_and_the_tuned_recipe():
    assert {"angularfuse", "angularfuse_tuned"} <= shipped_configs().keys()
    paper = load_config("angularfuse")
    (stage,) = paper.stages
    assert (stage.epochs, paper.data.crop, stage.objective.reference.edge_weight) == (70, 128, 0.75)


def test_unknown_keys_name_the_nearest():
    values = to_dict(load_config("angularfuse"))
    values["data"]["crops"] = 64
    with pytest.raises(ValueError, match="DataConfig has no field 'crops'; did you mean 'crop'"):
        from_dict(TrainConfig, values)


def test_differences_are_dotted():
    config = load_config("angularfuse")
    other = dataclasses.replace(config, seed=3, data=dataclasses.replace(config.data, crop=64))
    assert differences(to_dict(config), to_dict(other)) == {"data.crop": (128, 64), "seed": (0, 3)}


def test_wrong_values_and_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="batch_size 8 does not split into 3 micro-batches"):
        dataclasses.replace(load_config("angularfuse"), micro_batches=3)
    with pytest.raises(ValueError, match=r"neither a file nor a shipped configuration; known: .*angularfuse"):
        load_config("angularfusion")
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ValueError, match=r"has no function get_config\(\)"):
        load_config(str(tmp_path / "empty.py"))


def test_configurations_load_without_jax():
    """Configurations import nothing slow, and nothing that uses them."""
    slow = "{'jax', 'flax', 'grain', 'cv2', 'numpy', 'orbax'}"
    code = f"import sys, fusejax.config; print(sorted({slow} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": ()}, "widths are ()"),
        ({"widths": (8, 0)}, "each at least 1 channel"),
        ({"dtype": "float99"}, "dtype is 'float99'; expected one of 'float32', 'bfloat16'"),
        ({"heads": 0}, "heads is 0; it must be at least 1"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(change, message, unchecked):
    with pytest.raises(ValueError, match=re.escape(message)):
        AngularFuseConfig(**change)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (OptimConfig, {"learning_rate": -1.0}, "learning_rate is -1.0; it must be a number above 0"),
        (OptimConfig, {"learning_rate": float("nan")}, "learning_rate is nan"),
        (OptimConfig, {"clip_norm": 0.0}, "clip_norm is 0.0"),
        (StageConfig, {"steps": 0}, "has steps 0; it must be at least 1"),
        (StageConfig, {"steps": -3}, "has steps -3"),
        (StageConfig, {"epochs": 0}, "has epochs 0"),
    ],
)
def test_settings_that_cannot_train_are_refused(kind, change, message):
    given = {"objective": load_config("angularfuse").stages[0].objective} if kind is StageConfig else {}
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**given, **change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def get_config(:\n", r"own\.py, line 1: "),
        ("def get_config():\n    return 5\n", "must return a TrainConfig; it returned int"),
        ("import nosuch\n", r"own\.py, line 1: ModuleNotFoundError: No module named 'nosuch'"),
        ("def get_config():\n    return 1 / 0\n", r"own\.py, line 2: ZeroDivisionError"),
    ],
)
def test_mistakes_in_an_own_configuration_are_named_with_their_line(tmp_path, text, message):
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_config(str(tmp_path / "own.py"))


def test_settings_under_their_former_names_still_load():
    """British names, until version 0.2."""
    config = ReferenceConfig(edge_weight=0.5, equalised_weight=0.125, equalisation="global")
    assert config == ReferenceConfig(edge_weight=0.5, equalized_weight=0.125, equalization="global")
    saved = to_dict(config)
    old = {"equalised_weight": saved.pop("equalized_weight"), "equalisation": saved.pop("equalization")} | saved
    assert from_dict(ReferenceConfig, old) == config
    with pytest.raises(ValueError, match="no field 'equaled_weight'; did you mean 'equalized_weight'"):
        from_dict(ReferenceConfig, {"equaled_weight": 1})


def test_negative_seeds_are_refused_by_name():
    with pytest.raises(ValueError, match="seed is -1; it must be at least 0"):
        dataclasses.replace(load_config("light"), seed=-1)
