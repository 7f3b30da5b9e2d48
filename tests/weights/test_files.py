"""Weight files: what is written is read back, and damaged files are rejected."""

import dataclasses
import json
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from safetensors import safe_open
from safetensors.numpy import save_file

from fusejax.models import AngularFuseConfig, CrossFuseConfig, FusionNetConfig, LightConfig, build
from fusejax.serialize import to_dict
from fusejax.weights import files
from fusejax.weights.files import load_weights, save_weights

CONFIG = FusionNetConfig(widths=(2, 2), attention_width=2, alpha_width=2)


@pytest.fixture(scope="module")
def params():
    pair = jnp.zeros((1, 8, 8, 1))
    shapes = jax.eval_shape(build(CONFIG).init, jax.random.key(0), pair, pair)["params"]
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), shapes)


@pytest.fixture
def path(params, tmp_path):
    save_weights(tmp_path / "w.safetensors", params, CONFIG, {"steps": 3})
    return tmp_path / "w.safetensors"


def rewritten(path, metadata):
    """The file with different metadata, as written by an older version or by someone else."""
    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in list(file.keys())}
        held = dict(file.metadata())
    save_file(arrays, path, metadata=metadata(held))


def test_weights_are_read_back(path, params):
    loaded, config, about = load_weights(path)
    assert (config, about) == (CONFIG, {"steps": 3})
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_half_precision_halves_the_file_and_is_read_as_float32(path, params, tmp_path):
    save_weights(tmp_path / "half.safetensors", params, CONFIG, {}, storage="float16")
    loaded, _, _ = load_weights(tmp_path / "half.safetensors")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2**-10, atol=1e-7), loaded, params)
    assert {x.dtype for x in jax.tree.leaves(loaded)} == {np.dtype(np.float32)}
    with safe_open(tmp_path / "half.safetensors", framework="numpy") as file:
        assert {file.get_tensor(name).dtype for name in list(file.keys())} == {np.dtype(np.float16)}
    huge = jax.tree.map(lambda x: x + 1e5, params)
    with pytest.raises(ValueError, match="NaN or infinite"), np.errstate(over="ignore"):
        save_weights(path, huge, CONFIG, {}, storage="float16")


def test_a_changed_bit_is_noticed_in_values_and_in_metadata(path):
    whole = path.read_bytes()
    for place in (len(whole) - 100, whole.index(b'\\"steps\\": 3') + 11):
        changed = bytearray(whole)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"w\.safetensors is damaged: its SHA-256 differs"):
            load_weights(path)


def test_files_without_a_checksum_still_load(path, params):
    rewritten(path, lambda held: {k: v for k, v in held.items() if k != "sha256"})
    jax.tree.map(np.testing.assert_array_equal, load_weights(path)[0], params)


def test_metadata_of_other_shapes_is_a_message(path):
    def wider(held):
        return {"network": held["network"], "model": held["model"].replace("[2, 2]", "[2, 4]")}

    rewritten(path, wider)
    with pytest.raises(ValueError, match=r"arrays do not fit FusionNetConfig: .* the network has"):
        load_weights(path)


def test_metadata_that_is_no_configuration_is_a_message(path):
    rewritten(path, lambda held: {"model": "{}}", "network": held["network"]})
    with pytest.raises(ValueError, match="its metadata cannot be used"):
        load_weights(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_neither_written_nor_read(path, params, value):
    broken = jax.tree.map(np.copy, params)
    next(iter(jax.tree.leaves(broken))).flat[0] = value
    with pytest.raises(ValueError, match="NaN or infinite, in 1 of"):
        save_weights(path, broken, CONFIG, {})
    with pytest.raises(ValueError, match="do not fit"):
        save_weights(path, params, dataclasses.replace(CONFIG, widths=(4, 2)), {})
    assert load_weights(path)[2] == {"steps": 3}  # nothing was replaced


def test_values_that_overflow_float32_are_refused(path, params):
    """They are finite as stored, and become infinite for the network."""
    wide = {name: np.asarray(value, np.float64) for name, value in flatten_dict(params, sep="/").items()}
    next(iter(wide.values())).flat[0] = 1e300
    with safe_open(path, framework="numpy") as file:
        held = {k: v for k, v in file.metadata().items() if k != "sha256"}
    save_file(wide, path, metadata=held)
    with pytest.raises(ValueError, match="NaN or infinite, in 1 of"):
        load_weights(path)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (LightConfig(blocks=10**9), "blocks"),
        (LightConfig(width=10**9), "width"),
        (AngularFuseConfig(residual_blocks=10**9), "residual_blocks"),
        (AngularFuseConfig(widths=(8,) * 1000), "widths"),
        (FusionNetConfig(widths=(10**9, 2)), "widths"),
        (CrossFuseConfig(coupling_layers=10**9), "coupling_layers"),
    ],
)
def test_networks_larger_than_their_file_are_refused_before_any_work(path, config, field):
    """Also with a checksum, which anybody can compute."""
    about = {"network": json.dumps(type(config).__name__), "model": json.dumps(to_dict(config)), "training": "{}"}
    with safe_open(path, framework="numpy") as file:
        flat = {name: file.get_tensor(name) for name in list(file.keys())}
    save_file(flat, path, metadata=about | {"sha256": files._checksum(flat, about)})
    start = time.process_time()
    with pytest.raises(ValueError, match=rf"w\.safetensors: its metadata cannot be used: {field} is \d+, which"):
        load_weights(path)
    assert time.process_time() - start < 10


def test_shapes_are_checked_although_the_checksum_is_right(path):
    def wider(held):
        about = {"network": held["network"], "model": held["model"].replace("[2, 2]", "[2, 4]"), "training": "{}"}
        with safe_open(path, framework="numpy") as file:
            flat = {name: file.get_tensor(name) for name in list(file.keys())}
        return about | {"sha256": files._checksum(flat, about)}

    rewritten(path, wider)
    with pytest.raises(ValueError, match="arrays do not fit FusionNetConfig"):
        load_weights(path)


@pytest.mark.parametrize("name", ["http://x/y", "s3://b/w.safetensors"])
def test_remote_weights_are_refused_in_one_line(name):
    with pytest.raises(ValueError, match="is a remote address; give a local file"):
        load_weights(name)
