"""Output files: what cannot be written is named before the work, what fails leaves nothing."""

import errno
import json
import os

import numpy as np
import pytest
from disk_damage import no_room
from matplotlib.figure import Figure

from fusejax.evaluation.results import Scores
from fusejax.evaluation.score_files import write_scores
from fusejax.io.outputs import check_out, errors_naming, save_figure, write_complete, write_rows, writing


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc")
@pytest.mark.parametrize("out", ["/proc", "/proc/below/more"])
def test_a_folder_that_takes_no_files_is_named_with_the_reason(tmp_path, out):
    with pytest.raises(OSError, match=r"written, /proc accepts no files \(.*\); choose another --page") as caught:
        check_out(tmp_path / out, option="--page")
    assert caught.value.filename == out


def test_nothing_is_made_where_files_can_be_written(tmp_path):
    check_out(tmp_path / "new" / "below")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("x")
    with pytest.raises(NotADirectoryError, match=r"--out .*below cannot be created, .*file is a file; use another"):
        check_out(tmp_path / "file" / "below")


def test_a_full_disk_keeps_the_old_file_and_names_it(tmp_path):
    path = tmp_path / "a.txt"
    write_complete(path, "old")
    with no_room(), pytest.raises(OSError, match=r"File too large: '.*a\.txt'"):
        write_complete(path, bytes(30_000))
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_scores_are_complete_or_not_there(tmp_path):
    names = [f"image {n}" for n in range(500)]
    values = np.linspace(0, 1, 500).reshape(1, 1, 500, 1)
    scores = Scores(("method",), tuple(names), ("EN",), values, "exact")
    with no_room(), pytest.raises(OSError, match=r"File too large: '.*metrics\.csv'"):
        write_scores(tmp_path / "new", [scores])
    assert not list((tmp_path / "new").iterdir())
    write_scores(tmp_path / "new", [scores])
    assert json.loads((tmp_path / "new" / "metrics.json").read_text())[0]["images"] == 500


def test_rows_and_figures_are_what_was_given(tmp_path):
    write_rows(tmp_path / "a.csv", [["name", "value"], ["a, b", 0.5]])
    assert (tmp_path / "a.csv").read_bytes() == b'name,value\r\n"a, b",0.5\r\n'
    save_figure(tmp_path / "a.png", Figure(figsize=(1, 1)), dpi=30)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_errors_name_the_file_that_is_written_in_the_end(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '.*end'"), errors_naming(tmp_path / "end"):
        (tmp_path / "missing" / "part").write_text("x")
    with pytest.raises(OSError, match="No space left on device: 'end'"), errors_naming("end"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_reader_during_the_write_sees_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "a.txt"
    write_complete(path, "old")
    with writing(path) as hidden:
        hidden.write_bytes(b"ne")
        assert path.read_text() == "old", "while a part is written"
        hidden.write_bytes(b"new")
    with path.open() as reader:
        write_complete(path, "newer")
        assert reader.read() == "new", "opened before"
    assert path.read_text() == "newer" and [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_names_that_are_not_utf8_are_written_as_escapes(tmp_path):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    write_complete(tmp_path / "a.txt", f"{name}\n")
    assert (tmp_path / "a.txt").read_bytes() == b"caf\\udce9\n"
