"""Weights & Biases without network: the files of offline runs, and what a refusal does."""

import json
from pathlib import Path

import numpy as np
import pytest
from etils import epath

wandb = pytest.importorskip("wandb", reason="the extra wandb is not installed")

from wandb.proto import wandb_internal_pb2  # noqa: E402 - needs the extra

from fusejax.cli.main import main  # noqa: E402
from fusejax.io.images import read_image  # noqa: E402
from fusejax.training.board import WandbBoard  # noqa: E402
from fusejax.training.logs import RunLog  # noqa: E402

pytestmark = pytest.mark.slow
TINY = str(Path(__file__).parents[1] / "configs" / "tiny.py")


@pytest.fixture(autouse=True)
def _offline(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    for kind in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{kind}_DIR", str(tmp_path / kind))
    yield
    wandb.teardown()


def records(file):
    """The records of a .wandb file: a LevelDB log after 7 bytes of header, in blocks of 32 KiB."""
    data, at, found, parts = file.read_bytes(), 7, [], b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:  # no room for checksum (4), length (2) and kind (1)
            at += left
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # complete, or the last part
            found.append(wandb_internal_pb2.Record.FromString(parts))
            parts = b""
    return found


def of_kind(workdir, kind):
    """All records of a kind, one list per process, in the order of the processes."""
    wandb.teardown()  # its own process may still be writing when `finish` returns; a command waits for it at exit
    files = sorted(workdir.glob("wandb/offline-run-*/*.wandb"))
    return [[getattr(r, kind) for r in records(file) if r.WhichOneof("record_type") == kind] for file in files]


def rows(workdir):
    items = [[{i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in h.item} for h in history]
             for history in of_kind(workdir, "history")]  # fmt: skip
    return [[{k: v for k, v in row.items() if not k.startswith("_")} for row in part] for part in items]


def test_a_resumed_run_goes_on_under_the_same_identifier_and_no_step_is_lost(tmp_path, monkeypatch):
    workdir = tmp_path / "run"
    command = ["train", TINY, "--workdir", str(workdir), "--wandb", "fusion"]
    with monkeypatch.context() as patch:
        patch.setattr(RunLog, "advance", lambda _, step: 1 / (4 - step))  # three steps are logged, two are saved
        with pytest.raises(ZeroDivisionError):
            main(command)
    main(command)
    runs = [run for (run,) in of_kind(workdir, "run")]
    assert {(run.run_id, run.project) for run in runs} == {((workdir / "wandb_id.txt").read_text(), "fusion")}
    assert [run.display_name for run in runs] == ["run", ""]  # a name that the user gave meanwhile is kept
    config = {item.key: json.loads(item.value_json) for item in runs[0].config.update}
    assert config["name"] == "tiny" and config["data"]["crop"] == 16
    lines = [json.loads(line) for line in (workdir / "log.jsonl").read_text().splitlines()]
    logged = [(line["step"], k, v) for line in lines if line["kind"] == "train" for k, v in line.items()]
    expected = [(step, f"train/{k}", v) for step, k, v in logged if k not in ("kind", "step", "time")]
    first, second = rows(workdir)
    assert [(row["step"], k, v) for row in first + second for k, v in row.items() if k != "step"] == expected
    assert ({row["step"] for row in first}, {row["step"] for row in second}) == ({1, 2, 3}, {3, 4})
    for metrics in of_kind(workdir, "metric"):  # everything is drawn over our steps, not over wandb's own
        assert {m.glob_name: m.step_metric for m in metrics if m.step_metric}["*"] == "step"


def test_a_panel_is_kept_as_a_lossless_image(tmp_path, rng):
    log = RunLog(epath.Path(tmp_path), steps=9, start=0)
    log.open_boards(wandb="fusion", config={})
    panel = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    log.panel("street/a", 5, panel)
    log.close()
    (row,) = rows(tmp_path)[0]
    (file,) = tmp_path.glob("wandb/offline-run-*/files/media/images/panels/**/*.png")
    assert (row["step"], row["panels/street/a._type"]) == (5, "image-file")
    np.testing.assert_array_equal(read_image(file), panel)


def test_a_refused_project_is_reported_once_and_the_log_goes_on(tmp_path):
    said = []
    board = WandbBoard("a/b", epath.Path(tmp_path), config={}, report=said.append)
    board.scalar("train/loss", 0.25, 4)
    board.image("panels/a", np.zeros((2, 3, 3), np.uint8), 5)
    board.close()
    assert len(said) == 1
    assert "W&B events stop here, but the log continues: " in said[0]
    assert "a/b" in said[0]


def test_a_failure_in_the_middle_is_reported_once_and_ends_the_events(tmp_path):
    said = []
    board = WandbBoard("fusion", epath.Path(tmp_path), config={}, report=said.append)
    board.scalar("train/loss", 0.5, 3)
    wandb.run.finish()
    for step in (4, 5):
        board.scalar("train/loss", 0.25, step)
    board.close()
    assert len(said) == 1
    assert rows(tmp_path) == [[{"train/loss": 0.5, "step": 3}]]
