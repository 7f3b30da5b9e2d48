"""The log of a run in a folder and in an object store, where appending replaces the object."""

import json
from pathlib import Path

import pytest
from etils import epath
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from fusejax.cli.main import main
from fusejax.io import run_log
from fusejax.io.run_log import LogFile, read_log

LINES = [{"kind": "train", "step": n, "time": float(n), "loss": 1 / n} for n in range(1, 8)]


class ObjectStore(DirFileSystem):
    """gs:// on a local folder: opening a file for appending starts over, as in gcsfs."""

    def open(self, path, mode="rb", **options):
        return super().open(path, mode.replace("a", "w"), **options)


@pytest.fixture(params=["folder", "store"])
def workdir(request, tmp_path, monkeypatch):
    if request.param == "folder":
        return epath.Path(tmp_path)
    store = ObjectStore(str(tmp_path), LocalFileSystem(auto_mkdir=True))
    monkeypatch.setattr("etils.epath.backend._FileSystemSpecBackend.fs", lambda self, path: store)
    return epath.Path("gs://bucket/run")


def written(workdir, lines):
    log = LogFile(workdir)
    for line in lines:
        log.write(json.dumps(line))
    return log


def test_lines_are_written_at_once_and_a_restart_adds_to_them(workdir, monkeypatch):
    monkeypatch.setattr(run_log, "_LINES", 2)
    killed = written(workdir, LINES[:3])
    assert [json.loads(line) for line in read_log(workdir).splitlines()] == LINES[:3]
    written(workdir, LINES[3:]).close()
    killed.close()
    assert [json.loads(line) for line in read_log(workdir).splitlines()] == LINES


def test_a_part_is_not_written_forever(workdir, tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, "_LINES", 3)
    written(workdir, LINES).close()
    names = [path.name for path in tmp_path.rglob("*.jsonl")]
    assert sorted(names) == (["log.jsonl"] if "://" not in str(workdir) else [f"00000{n}.jsonl" for n in (1, 2, 3)])


def test_a_missing_log_is_reported(workdir):
    with pytest.raises(FileNotFoundError, match=r"/?.* has no log\.jsonl"):
        read_log(workdir)


def test_a_store_that_fails_costs_a_line(workdir, monkeypatch):
    log = written(workdir, LINES[:1])

    class HttpError(Exception):  # gcsfs has one that is not an OSError
        pass

    def fail(*args):
        raise HttpError("503")

    with monkeypatch.context() as patch:
        if "://" in str(workdir):
            patch.setattr(type(workdir), "write_text", fail)
        else:
            log._file.close()
            log._file = open("/dev/full", "w") if Path("/dev/full").exists() else pytest.skip("no /dev/full")  # noqa: SIM115
        with pytest.raises(OSError, match=r"503|No space"):
            log.write("{}")


def test_a_remote_run_is_reported(workdir, capsys):
    workdir.mkdir(parents=True, exist_ok=True)
    written(workdir, LINES).close()
    main(["report", str(workdir)])
    assert f"written to {workdir}/report.png" in capsys.readouterr().out
    assert (workdir / "report.png").read_bytes().startswith(b"\x89PNG")
