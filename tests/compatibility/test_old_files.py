"""Files that JAX 0.10.2, Orbax 0.12.8 and grain 0.2.18 wrote are still read.

`make_files.py` wrote them.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

import fusejax
from fusejax.config import load_config
from fusejax.training.loop import fit
from fusejax.weights.files import load_weights

FILES = Path(__file__).parent / "files"
CONFIG = str(Path(__file__).parents[1] / "configs" / "tiny.py")


@pytest.fixture(scope="module")
def pair():
    with np.load(FILES / "pair.npz") as arrays:
        return dict(arrays)


def test_the_files_say_which_versions_wrote_them():
    assert json.loads((FILES / "about.json").read_text())["jax"] == "0.10.2"


def test_old_weights_fuse_as_they_did(pair):
    fused = fusejax.load(FILES / "weights.safetensors").fuse(pair["ir"], pair["vi"], ir_range="full")
    np.testing.assert_allclose(fused, pair["fused"], atol=2e-6)


@pytest.mark.parametrize("suffix", ["onnx", "stablehlo"])
def test_old_exported_programs_fuse_as_they_did(pair, suffix):
    if suffix == "onnx":
        pytest.importorskip("onnxruntime", reason="onnxruntime (extra `onnx`) is not installed")
    fuser = fusejax.load(FILES / f"program.{suffix}")
    np.testing.assert_allclose(fuser.fuse(pair["ir"], pair["vi"], ir_range="full"), pair["fused"], atol=1e-5)


@pytest.mark.slow
def test_an_old_run_continues_to_the_same_weights(tmp_path, capsys):
    with zipfile.ZipFile(FILES / "run.zip") as archive:
        archive.extractall(tmp_path)
    fit(load_config(CONFIG), tmp_path / "run")
    said = capsys.readouterr().out
    assert "train 3/4" in said and "train 2/4" not in said
    found, _, _ = load_weights(tmp_path / "run")
    expected, _, _ = load_weights(FILES / "weights.safetensors")
    flat = {name: np.asarray(value) for name, value in _flat(expected).items()}
    # Two Adam steps of at most 1e-3 each: half a step's rounding is allowed, another batch is not.
    for name, value in _flat(found).items():
        np.testing.assert_allclose(value, flat[name], atol=2e-5, err_msg=name)


def _flat(tree):
    from flax.traverse_util import flatten_dict

    return flatten_dict(tree, sep="/")
