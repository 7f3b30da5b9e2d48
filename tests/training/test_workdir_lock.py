"""The lock of a run's folder: which processes are rejected, which locks are taken over."""

import json
import os
import subprocess
import sys

import pytest
from etils import epath

from fusejax.training import workdir_lock
from fusejax.training.workdir_lock import LOCK_FILE, WorkdirInUse, hold_workdir


def held(folder, **changes):
    """Leaves a lock in a folder, as this process would write it, with changes."""
    with hold_workdir(epath.Path(folder), print):
        content = json.loads((folder / LOCK_FILE).read_text())
    (folder / LOCK_FILE).write_text(json.dumps(content | changes))


def test_a_folder_in_use_is_refused_with_its_process(tmp_path):
    with (
        hold_workdir(epath.Path(tmp_path), print),
        pytest.raises(WorkdirInUse, match=rf"in use by process {os.getpid()} on host"),
        hold_workdir(epath.Path(tmp_path), print),
    ):
        pytest.fail("entered twice")
    assert not (tmp_path / LOCK_FILE).exists()
    with hold_workdir(epath.Path(tmp_path), print):
        assert (tmp_path / LOCK_FILE).exists()


def test_the_lock_of_a_dead_process_is_taken_over_at_once(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    held(tmp_path, pid=ended.pid, process=f"{ended.pid} 1", token="other")
    with hold_workdir(epath.Path(tmp_path), print):
        assert json.loads((tmp_path / LOCK_FILE).read_text())["pid"] == os.getpid()


def test_of_two_takeovers_of_one_dead_lock_the_later_one_wins(tmp_path, monkeypatch):
    held(tmp_path, process=f"{os.getpid()} 1", token="other")
    first, second = (workdir_lock._Lock(epath.Path(tmp_path) / LOCK_FILE) for _ in range(2))
    monkeypatch.setattr(workdir_lock.time, "sleep", lambda seconds: second._write())  # while the first one settles
    with pytest.raises(WorkdirInUse, match=f"has just been locked by process {os.getpid()}"):
        first.acquire(print)
    assert json.loads((tmp_path / LOCK_FILE).read_text())["token"] == second._content["token"]


def test_a_reader_never_sees_a_part_of_a_lock(tmp_path):
    """Whoever has opened the file before a beat reads the lock before it."""
    lock = workdir_lock._Lock(epath.Path(tmp_path) / LOCK_FILE)
    lock.acquire(print)
    for beats in range(3):
        with (tmp_path / LOCK_FILE).open() as reader:
            lock._content["beats"] = beats + 1
            lock._write()
            assert json.loads(reader.read())["beats"] == beats
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_FILE]


def test_a_lock_that_is_being_created_is_not_taken_over(tmp_path, monkeypatch):
    """It is empty for a moment; then its holder has written it."""
    (tmp_path / LOCK_FILE).touch()
    other = workdir_lock._Lock(epath.Path(tmp_path) / LOCK_FILE)
    monkeypatch.setattr(workdir_lock.time, "sleep", lambda seconds: other._write())
    with pytest.raises(WorkdirInUse, match="in use by process"), hold_workdir(epath.Path(tmp_path), print):
        pytest.fail("entered")


def test_a_reused_process_number_is_not_mistaken(tmp_path):
    held(tmp_path, process=f"{os.getpid()} 1", token="other")
    with hold_workdir(epath.Path(tmp_path), print):
        pass


def test_another_machine_is_watched_for_a_sign_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(workdir_lock, "_PATIENCE_SECONDS", 0.01)
    said = []
    held(tmp_path, machine="other", host="far", pid=7, token="other")
    with monkeypatch.context() as patch:

        def beat(seconds):
            content = json.loads((tmp_path / LOCK_FILE).read_text())
            (tmp_path / LOCK_FILE).write_text(json.dumps(content | {"beats": content["beats"] + 1}))

        patch.setattr("time.sleep", beat)
        with (
            pytest.raises(WorkdirInUse, match="process 7 on host far"),
            hold_workdir(epath.Path(tmp_path), said.append),
        ):
            pass
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with hold_workdir(epath.Path(tmp_path), said.append):  # its counter does not change
        pass
    assert all("process 7 on host far held this folder" in line for line in said) and len(said) == 2


def test_an_unreadable_lock_is_taken_over_and_a_foreign_one_is_not_deleted(tmp_path):
    (tmp_path / LOCK_FILE).write_text('{"host": "cut')
    with hold_workdir(epath.Path(tmp_path), print):
        (tmp_path / LOCK_FILE).write_text(json.dumps({"token": "other"}))
    assert (tmp_path / LOCK_FILE).exists()
