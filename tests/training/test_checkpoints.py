"""Checkpoints that are damaged, cannot be written, or belong to another run; other topologies;
kills.
"""

import contextlib
import os
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from disk_damage import flip, no_room
from etils import epath

from fusejax.training.checkpoint import CheckpointFailed, Checkpoints, DamagedCheckpoint
from fusejax.training.state import TrainState
from fusejax.weights.fingerprint import fingerprints

# Orbax leaves its own tasks unfinished if reading or writing fails.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


CONFIG = {"name": "a", "seed": 0, "log_every": 1, "optim": {"rate": 0.1}}


KEYS = jax.random.split(jax.random.key(0), 3)


def state_at(step, width=512):
    """Random numbers, which cannot be compressed: the file of each array has the array's size."""
    params = {"w": jax.random.normal(KEYS[0], (64, width)) + step, "b": jax.random.normal(KEYS[1], (7,), jnp.bfloat16)}
    moments = {"all": {"mu": jax.random.normal(KEYS[2], (64, width)) * step}}
    return TrainState(jnp.int32(step), params, moments, average={}, skipped=jnp.int32(0))


def target(width=512):
    return jax.eval_shape(lambda: state_at(0, width))


def opened(folder):
    return contextlib.closing(Checkpoints(folder, keep_newest=3, best_metric="SSIM"))


def save(checkpoints, step, scores=None):
    checkpoints.save(state_at(step), step=step, config=CONFIG, data={"samples_seen": 8 * step}, scores=scores)


def assert_is_step(restored, step):
    assert (restored.step, restored.data) == (step, {"samples_seen": 8 * step})
    jax.tree.map(np.testing.assert_array_equal, restored.state, state_at(step))


@pytest.fixture(scope="module")
def three_steps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("three") / "checkpoints"
    with opened(folder) as checkpoints:
        for step in (1, 2, 3):
            save(checkpoints, step)
    return folder


@pytest.fixture
def folder(three_steps, tmp_path):
    return Path(shutil.copytree(three_steps, tmp_path / "checkpoints"))


def array_file(folder, step):
    return max((folder / str(step) / "state").rglob("d/*"), key=lambda p: p.stat().st_size)


DAMAGES = {
    "flipped array": (lambda f: flip(array_file(f, 3)), "item 'state' has values that were not saved, in .*/"),
    "truncated array": (lambda f: os.truncate(array_file(f, 3), 9000), "item 'state' cannot be read .*Error reading"),
    "no state": (lambda f: shutil.rmtree(f / "3" / "state"), "item 'state' cannot be read .*\"state\" was not found"),
    "no data": (lambda f: shutil.rmtree(f / "3" / "data"), "item 'data' cannot be read"),
    "flipped data": (lambda f: flip(f / "3" / "data" / "metadata", 0.9, bit=0), "item 'data' is not what was saved"),
    "cut configuration": (lambda f: os.truncate(f / "3" / "config" / "metadata", 9), "item 'config' cannot be read"),
    "flipped fingerprint": (lambda f: flip(f / "3" / "meta" / "metadata", 0.1), "item 'meta' "),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_step_is_named_and_passed_over_only_when_allowed(kind, folder):
    damage, expected = DAMAGES[kind]
    damage(folder)
    with opened(folder) as checkpoints:
        with pytest.raises(DamagedCheckpoint) as error:
            checkpoints.restore(target(), config=CONFIG)
        assert re.search(f"{folder}/3 is damaged: {expected}", str(error.value))
        assert "Older steps: 2, 1. Use --allow-older" in str(error.value)
        assert sorted(os.listdir(folder)) == ["1", "2", "3"]
        restored = checkpoints.restore(target(), config=CONFIG, allow_older=True)
        assert_is_step(restored, 2)
        (message,) = restored.messages
        assert re.search(f"{expected}(.|\n)*It is now 3.damaged; the run goes back to step 2", message)
        save(checkpoints, 3)
        assert checkpoints.steps == [1, 2, 3]
        assert (folder / "3.damaged").is_dir()
    with opened(folder) as checkpoints:
        assert_is_step(checkpoints.restore(target(), config=CONFIG), 3)


def test_nothing_is_moved_where_no_step_is_intact_and_names_are_not_used_twice(folder):
    for step in (2, 3):
        flip(array_file(folder, step))
    (folder / "3.damaged").mkdir()
    with opened(folder) as checkpoints:
        with pytest.raises(DamagedCheckpoint, match=r"2 is damaged.*\n.*1. Use --allow-older"):
            checkpoints.restore(target(), config=CONFIG, step=2)
        restored = checkpoints.restore(target(), config=CONFIG, allow_older=True)
        assert_is_step(restored, 1)
        assert len(restored.messages) == 2
        assert sorted(os.listdir(folder)) == ["1", "2.damaged", "3.damaged", "3.damaged-2"]
        flip(array_file(folder, 1))
        with pytest.raises(DamagedCheckpoint, match="There is no older step to go back to; delete the folder"):
            checkpoints.restore(target(), config=CONFIG, allow_older=True)
        assert checkpoints.steps == [1]


def test_every_bit_of_every_type_changes_the_fingerprint():
    rng = np.random.default_rng(0)
    for kind in (np.float32, jnp.bfloat16, np.int32, np.uint32, np.uint8, np.bool_):
        array = rng.integers(0, 2, (3, 5)).astype(kind)
        before = fingerprints({"a": jnp.asarray(array)})["a"]
        raw = array.view(np.uint8)
        for bit in range(1 if kind is np.bool_ else 8 * array.dtype.itemsize):
            row, entry = rng.integers(3), rng.integers(5)
            byte = entry * array.dtype.itemsize + bit // 8
            raw[row, byte] ^= 1 << bit % 8
            assert fingerprints({"a": jnp.asarray(array)})["a"] != before
            raw[row, byte] ^= 1 << bit % 8
    one, other = jnp.array([1.0, 2.0, 3.0]), jnp.array([2.0, 1.0, 3.0])
    assert fingerprints({"a": one}) != fingerprints({"a": other})
    nan = jnp.array([0x7FC00001], jnp.uint32)
    assert fingerprints({"a": nan.view(jnp.float32)}) == fingerprints({"a": nan})


def test_another_configuration_is_shown_and_needs_override(folder):
    other = CONFIG | {"log_every": 7, "optim": {"rate": 0.2}}
    with opened(folder) as checkpoints:
        with pytest.raises(ValueError, match=r"optim\.rate: 0\.1 in the checkpoint, 0\.2 now\n.*--override") as error:
            checkpoints.restore(target(), config=other)
        assert not isinstance(error.value, DamagedCheckpoint) and "log_every" not in str(error.value)
        restored = checkpoints.restore(target(), config=other, override=True)
        assert_is_step(restored, 3)
        assert "optim.rate: 0.1 in the checkpoint, 0.2 now" in restored.messages[0]
        assert checkpoints.restore(target(), config=CONFIG | {"log_every": 7}).messages == ()


def test_settings_below_a_resumable_one_may_differ(folder, monkeypatch):
    monkeypatch.setattr("fusejax.training.checks.RESUMABLE", ("optim",))
    with opened(folder) as checkpoints:
        assert_is_step(checkpoints.restore(target(), config=CONFIG | {"optim": {"rate": 0.2}}), 3)
        with pytest.raises(ValueError, match="optimum: None in the checkpoint, 1 now"):
            checkpoints.restore(target(), config=CONFIG | {"optimum": 1})


def test_a_checkpoint_of_another_model_is_not_taken_for_damage(folder):
    wider, renamed = target(256), target().replace(params={"v": target().params["w"], "b": target().params["b"]})
    with opened(folder) as checkpoints:
        for other, expected in (
            (wider, r"params/w is float32\[64, 512\] in the checkpoint, float32\[64, 256\] in this model"),
            (
                renamed,
                r"params/v is missing in the checkpoint, float32\[64, 512\] in this model; params/w is .*missing",
            ),
        ):
            with pytest.raises(ValueError, match=f"3 is a checkpoint of a different model: .*{expected}") as error:
                checkpoints.restore(other, config=CONFIG, override=True, allow_older=True)
            assert not isinstance(error.value, DamagedCheckpoint)
        with pytest.raises(ValueError, match="has no step 7; it has: 1, 2, 3"):
            checkpoints.restore(target(), config=CONFIG, step=7)
    assert sorted(os.listdir(folder)) == ["1", "2", "3"]


def test_a_failed_save_is_reported_leaves_the_last_good_step_and_is_tried_again(tmp_path):
    with contextlib.closing(Checkpoints(tmp_path / "c", keep_newest=1, best_metric="SSIM")) as checkpoints:
        save(checkpoints, 1)
        assert checkpoints.check(wait=True) is None
        with no_room():
            save(checkpoints, 2)
            message = checkpoints.check(wait=True)
            assert re.search(r"saving step 2 in .* failed \(1 of 3 tries\): .*File too large", message)
            assert "the last good checkpoint is step 1; trying again" in message
            save(checkpoints, 2)
            save(checkpoints, 3)  # sees the failure of the one before
            assert "saving step 2" in checkpoints.check()
            with pytest.raises(CheckpointFailed, match=r"step 3 .*3 of 3 tries.*File too large.*checkpoint is step 1"):
                checkpoints.check(wait=True)
        save(checkpoints, 3)
        assert (checkpoints.check(wait=True), checkpoints.steps) == (None, [3])
        assert os.listdir(tmp_path / "c") == ["3"]  # failed saves take no space
        assert_is_step(checkpoints.restore(target(), config=CONFIG), 3)


def test_successes_between_failures_start_the_count_anew(tmp_path):
    with opened(tmp_path / "c") as checkpoints:
        for step in range(1, 5):
            with no_room():
                save(checkpoints, step)
                assert "(1 of 3 tries)" in checkpoints.check(wait=True)
            save(checkpoints, step)
            assert checkpoints.check(wait=True) is None


def test_closing_reports_that_the_last_save_failed(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c", keep_newest=1, best_metric="SSIM")
    with no_room():
        save(checkpoints, 1)
        with pytest.raises(CheckpointFailed, match="there is no checkpoint yet"):
            checkpoints.close()
    checkpoints.close()  # a second time does nothing


def test_the_best_step_survives_and_is_known_again(tmp_path):
    with contextlib.closing(Checkpoints(tmp_path / "c", keep_newest=1, best_metric="SSIM")) as checkpoints:
        for step, score in ((1, float("nan")), (2, 0.9), (3, 0.5), (4, 0.9), (5, 0.1)):
            save(checkpoints, step, {"SSIM": score})
        assert (checkpoints.steps, checkpoints.best_step, checkpoints.latest_step) == ([4, 5], 4, 5)
    flip(tmp_path / "c" / "5" / "meta" / "metadata")
    with contextlib.closing(Checkpoints(tmp_path / "c", keep_newest=1, best_metric="SSIM")) as checkpoints:
        assert checkpoints.best_step == 4
        assert_is_step(checkpoints.restore(target(), config=CONFIG, allow_older=True), 4)
    with contextlib.closing(Checkpoints(tmp_path / "d", keep_newest=3, best_metric="SSIM")) as checkpoints:
        for step, score in ((1, 0.9), (2, 0.9), (3, 0.5)):
            save(checkpoints, step, {"SSIM": score})
        assert (checkpoints.steps, checkpoints.best_step) == ([1, 2, 3], 2), "the later one of equal ones"


def test_a_folder_without_access_or_that_is_a_file_is_refused(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    (tmp_path / "file").write_text("mine")
    closed.chmod(0o555)
    root = os.geteuid() == 0  # root may write everywhere, so another user tries
    if root:
        for parent in (tmp_path, *tmp_path.parents[:3]):  # pytest's own, closed to others
            parent.chmod(0o755)
        os.seteuid(65534)
    try:
        for place, reason in (("closed", "Permission denied"), ("file", "Not a directory|File exists")):
            with pytest.raises(PermissionError, match=f"Cannot write to .*{place}.*(?:{reason}).*--workdir"):
                Checkpoints(tmp_path / place / "checkpoints", keep_newest=1, best_metric="SSIM")
    finally:
        if root:
            os.seteuid(0)
    assert (tmp_path / "file").read_text() == "mine" and not list(closed.iterdir())


def test_reading_without_access_is_not_taken_for_damage(folder, monkeypatch):
    with opened(folder) as checkpoints:

        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied", "meta")

        monkeypatch.setattr("fusejax.training.saved_step.read_json", refuse)
        with pytest.raises(PermissionError):
            checkpoints.restore(target(), config=CONFIG, allow_older=True)
    assert (folder / "3").is_dir()


def test_remote_folders_keep_their_address(monkeypatch):
    seen = []

    class Manager:
        def __init__(self, folder, options):
            seen.append(folder)

        def all_steps(self):
            return []

    monkeypatch.setattr("orbax.checkpoint.CheckpointManager", Manager)
    monkeypatch.setattr("fusejax.training.checks.check_writable", seen.append)
    Checkpoints(epath.Path("gs://bucket/run") / "checkpoints", keep_newest=1, best_metric="SSIM")
    Checkpoints("runs/a", keep_newest=1, best_metric="SSIM")
    assert [str(path) for path in seen] == ["gs://bucket/run/checkpoints"] * 2 + [str(Path("runs/a").absolute())] * 2
