"""TensorBoard events: what is in the file, and what a full disk does. W&B: when it is asked for."""

import sys
import types

import numpy as np
import pytest
from disk_damage import no_room
from etils import epath
from tensorboardX.proto.event_pb2 import Event

from fusejax.cli.main import main
from fusejax.training import board as board_file
from fusejax.training.board import Board
from fusejax.training.logs import RunLog


def events(folder):
    data, found = b"".join(path.read_bytes() for path in folder.iterdir()), []
    while data:  # length (8 bytes) and its checksum (4), the event and its checksum (4)
        size = int.from_bytes(data[:8], "little")
        found.append(Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return found


def test_values_and_images_are_in_the_file(tmp_path):
    said = []
    board = Board(epath.Path(tmp_path / "events"), start=3, report=said.append)
    board.scalar("train/loss", 0.25, 4)
    board.image("panels/a", np.zeros((2, 3, 3), np.uint8), 5)
    board.close()
    first, start, loss, panel = events(tmp_path / "events")
    assert first.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (3, 1)
    assert (loss.step, loss.summary.value[0].tag, loss.summary.value[0].simple_value) == (4, "train/loss", 0.25)
    assert (panel.step, panel.summary.value[0].image.height, panel.summary.value[0].image.width) == (5, 2, 3)
    assert not said


def test_events_reach_the_file_while_the_run_goes_on(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(board_file.time, "monotonic", lambda: now[0])
    board = Board(epath.Path(tmp_path / "events"), start=0, report=print)
    before = len(events(tmp_path / "events"))
    for step in (1, 2):
        now[0] += 0.6 * board_file._SECONDS_BETWEEN_FLUSHES
        board.scalar("train/loss", 0.25, step)
    assert [event.step for event in events(tmp_path / "events")][before:][-1] == 2
    board.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # tensorboardX cannot close its file
def test_a_full_disk_ends_the_events_with_one_line_not_the_run(tmp_path):
    said = []
    board = Board(epath.Path(tmp_path / "events"), start=0, report=said.append)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with no_room():
        for step in range(30):  # more than any queue holds
            board.image("panels/a", noise, step)
        board.close()
    assert len(said) == 1
    assert "TensorBoard events stop here, but the log continues: OSError: [Errno 27] File too large" in said[0]


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").write_text("x")
    said = []
    board = Board(epath.Path(tmp_path / "file" / "events"), start=0, report=said.append)
    board.scalar("train/loss", 0.25, 4)
    board.close()
    assert len(said) == 1


@pytest.mark.parametrize("found", [None, types.ModuleType("wandb")], ids=["nothing", "a folder ./wandb"])
def test_the_extra_is_named_if_wandb_is_missing(found, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", found)
    with pytest.raises(SystemExit) as stop:
        main(["train", "tests/configs/tiny.py", "--workdir", str(tmp_path / "run"), "--wandb", "fusion"])
    assert stop.value.code == 2
    assert "--wandb needs the wandb extra: pip install 'fusejax[wandb]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_wandb_is_not_touched_unless_asked_for_nor_by_later_processes(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it would be reported
    for workdir, project in ((epath.Path(tmp_path), ""), (None, "fusion")):
        log, said = RunLog(workdir, steps=2, start=0), []
        monkeypatch.setattr(log, "message", said.append)
        log.open_boards(wandb=project, config={})
        log.scalars("train", 1, {"loss": 0.5})
        log.close()
        assert said == ["train 1/2  loss 0.5"]
