"""Nothing of the user's is lost: sources, foreign files and links are refused or left alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fusejax.cli.main import main
from fusejax.data.synthetic import write_synthetic_folder
from fusejax.evaluation.results import Scores
from fusejax.io import unfinished
from fusejax.io.images import write_image
from fusejax.io.outputs import check_files, check_out, made_here, save_figure, write_complete, writing
from fusejax.live.outputs import FileOutput
from fusejax.report.files import SCORE_FILES, TABLE_FILES, write_tables
from fusejax.report.tables import score_table
from fusejax.web import page as web_page


def touch(path, content="mine"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.fixture
def pairs(tmp_path):
    write_synthetic_folder(tmp_path / "set", count=2, size=(40, 48))
    return tmp_path / "set"


@pytest.mark.parametrize("link", ["same", "relative", "symbolic", "hard", "folder"])
def test_a_source_is_known_under_every_name(tmp_path, link):
    source = touch(tmp_path / "a" / "x.png")
    target = tmp_path / "b" / "x.png"
    if link == "folder":
        (tmp_path / "b").symlink_to(tmp_path / "a")
    else:
        target.parent.mkdir()
    if link == "same":
        target = source
    elif link == "relative":
        target = tmp_path / "b" / ".." / "a" / "x.png"
    elif link == "symbolic":
        target.symlink_to(source)
    elif link == "hard":
        target.hardlink_to(source)
    with pytest.raises(ValueError, match="one of the sources, which are never overwritten"):
        check_files([target], sources=[source])


def test_images_in_a_folder_of_sources_are_sources(tmp_path):
    touch(tmp_path / "vi" / "deep" / "x.png")
    touch(tmp_path / "vi" / "metrics.csv")
    with pytest.raises(ValueError, match="one of the sources"):
        check_files([tmp_path / "vi" / "deep" / "x.png"], sources=[tmp_path / "vi"])
    assert check_files([tmp_path / "vi" / "metrics.csv"], sources=[tmp_path / "vi"]) == [
        tmp_path / "vi" / "metrics.csv"
    ]
    assert check_files([tmp_path / "vi" / "new.png"], sources=[tmp_path / "vi"]) == []


def test_two_results_of_one_name_and_folders_in_the_way_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two results would be called"):
        check_files([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "a.png"])
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder, but --out needs a file"):
        check_files([tmp_path / "a.png"])


def test_own_files_are_known_by_their_content(tmp_path):
    from matplotlib.figure import Figure

    save_figure(tmp_path / "report.png", Figure(figsize=(1, 1)), dpi=30)
    write_image(tmp_path / "image.png", np.zeros((4, 4), np.uint8))
    assert made_here(tmp_path / "report.png") and not made_here(tmp_path / "image.png")
    files = [tmp_path / "report.png", tmp_path / "image.png", tmp_path / "none.png"]
    assert check_files(files, own=True) == [tmp_path / "image.png"]
    assert check_files(files[:1], sources=[tmp_path], own=True) == [], "also in a folder of sources"
    assert check_files(files) == files[:2]


@pytest.mark.parametrize("out", ["gs://bucket/x", "s3://bucket/x", "http://host/x", "file:///x"])
def test_a_remote_address_is_no_local_folder(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="remote address, which is not supported; name a local folder"):
        check_out(Path(out))
    assert not list(tmp_path.iterdir())
    check_out(Path("10:30/x"))  # a colon alone is no address


def test_a_deleted_current_folder_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError, match="the current folder has been deleted"):
        check_out(Path("out"))


def test_hidden_files_are_new_and_never_written_through_links(tmp_path, monkeypatch):
    victim = touch(tmp_path / "victim")
    monkeypatch.setattr(unfinished, "_name", lambda suffix: f".hidden{suffix}")
    (tmp_path / ".hidden.txt").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_complete(tmp_path / "a.txt", "new")
    assert victim.read_text() == "mine"


def test_two_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a.txt"
    with writing(path) as one:
        one.write_text("one")
        with writing(path) as two:
            two.write_text("two")
        assert path.read_text() == "two"
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_hidden_file_that_was_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    """As by a process that takes it for abandoned."""
    fcntl, made = pytest.importorskip("fcntl"), []

    def lock(held, how):
        made.extend(path for path in tmp_path.glob(".fusejax-*"))
        if len(made) == 1:
            made[0].unlink()
        return fcntl.flock(held, how)

    monkeypatch.setattr(unfinished, "fcntl", SimpleNamespace(flock=lock, LOCK_EX=fcntl.LOCK_EX, LOCK_NB=fcntl.LOCK_NB))
    with writing(tmp_path / "a.txt") as hidden, open(hidden, "rb") as other:
        assert len(made) > 1
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


LEFT_BY = """
import os, signal, sys
from pathlib import Path
from fusejax.io.unfinished import unfinished_file, unfinished_folder
with unfinished_file(Path(sys.argv[1]) / "a.png"), unfinished_folder(Path(sys.argv[1])) as folder:
    (folder / "x").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_killed_runs_left_is_removed_by_the_next(tmp_path):
    subprocess.run([sys.executable, "-c", LEFT_BY, str(tmp_path)], check=False)
    left = {p.name for p in tmp_path.iterdir()}
    assert len(left) == 2
    kept = [touch(tmp_path / name) for name in (".fusejax-notes", f".fusejax-{'0' * 31}.png")]
    (tmp_path / f".fusejax-{'1' * 32}").symlink_to(tmp_path / "elsewhere")
    with writing(tmp_path / "b.txt") as hidden:
        names = {p.name for p in (*kept, hidden)} | {f".fusejax-{'1' * 32}"}
        assert {p.name for p in tmp_path.iterdir()} == names
        unfinished._swept.clear()
        with writing(tmp_path / "c.txt"):  # what a living process writes stays
            assert hidden.exists()


def test_a_foreign_folder_is_no_page(tmp_path):
    for content in ("{}", '{"format": "graph-model"}', "[" * 100_000, "null"):
        touch(tmp_path / "site" / "model.json", content)
        touch(tmp_path / "site" / "thesis.txt")
        with pytest.raises(FileExistsError, match="was not written by fusejax page"):
            web_page._check_folder(tmp_path / "site", overwrite=True)
    assert (tmp_path / "site" / "thesis.txt").read_text() == "mine"


def test_a_page_is_replaced_file_by_file(tmp_path, monkeypatch):
    about = json.dumps({"network": "N", "sha256": "0", "largest_difference": 0.0})
    for name, content in {"model.json": about, "index.html": "old", ".git/HEAD": "ref", "thesis.txt": "mine"}.items():
        touch(tmp_path / "out" / name, content)
    for name in ("model.json", "index.html", "runtime/a.wasm"):
        touch(tmp_path / "new" / name, "new")
    web_page._check_folder(tmp_path / "out", overwrite=True)
    replace, order = Path.replace, []
    monkeypatch.setattr(Path, "replace", lambda path, target: (order.append(target.name), replace(path, target)))
    web_page._put(tmp_path / "new", tmp_path / "out")
    assert order[-1] == "model.json" and len(order) == 3, "a page that was cut short describes the network it has"
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_text() for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    new = dict.fromkeys(("model.json", "index.html", "runtime/a.wasm"), "new")
    assert found == new | {".git/HEAD": "ref", "thesis.txt": "mine"}
    (tmp_path / "out" / "model.json").write_text(about)
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with pytest.raises(FileExistsError, match="is a link"):
        web_page._check_folder(tmp_path / "link", overwrite=True)


def test_a_plan_next_to_sources_replaces_none(pairs):
    stem = "day_000000"
    before = (pairs / "vi" / f"{stem}.png").read_bytes()
    words = ["align", "--target", str(pairs), "--auxiliary", str(pairs), "--overwrite", "--target-split", "None"]
    with pytest.raises(SystemExit):
        main([*words, "--out", str(pairs / "vi" / f"{stem}.json")])
    assert (pairs / "vi" / f"{stem}.png").read_bytes() == before


def test_weights_are_not_exported_onto_themselves(tmp_path, capsys):
    path = touch(tmp_path / "w.safetensors")
    words = ["export", "--weights", str(path), "--format", "safetensors", "--overwrite"]
    with pytest.raises(SystemExit):
        main([*words, "--out", str(path)])
    assert "one of the sources" in capsys.readouterr().err
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["ranks.png", "metrics.csv", "metrics.json", "table.tex", "val/distributions.png"])
def test_a_comparison_keeps_foreign_files(tmp_path, capsys, name):
    path = touch(tmp_path / "out" / name)
    with pytest.raises(SystemExit):
        main(["compare", "--data-root", str(tmp_path), "--sets", "val", "--out", str(tmp_path / "out")])
    assert "already exists; use --overwrite" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_scores_do_not_replace_a_source(pairs, capsys):
    before = (pairs / "vi" / "day_000000.png").read_bytes()
    (pairs / "vi" / "day_000000.png").rename(pairs / "vi" / "distributions.png")
    (pairs / "ir" / "day_000000.png").rename(pairs / "ir" / "distributions.png")
    words = ["--fused", str(pairs / "vi"), "--ir", str(pairs / "ir"), "--vi", str(pairs / "vi"), "--overwrite"]
    with pytest.raises(SystemExit):
        main(["evaluate", *words, "--metrics", "EN", "--out", str(pairs / "vi")])
    assert "one of the sources" in capsys.readouterr().err
    assert (pairs / "vi" / "distributions.png").read_bytes() == before


def test_a_report_keeps_foreign_files(tmp_path, capsys):
    start = {"event": "start", "step": 0, "stages": [["all", 2]]}
    touch(tmp_path / "run" / "log.jsonl", json.dumps(start) + "\n" + json.dumps({"step": 1, "loss": 1.0}) + "\n")
    for words in (
        ["--out", str(touch(tmp_path / "x.png"))],
        ["--page", str(touch(tmp_path / "p" / "index.html").parent)],
    ):
        with pytest.raises(SystemExit):
            main(["report", str(tmp_path / "run"), *words])
        assert "already exists; use --overwrite" in capsys.readouterr().err
    assert (tmp_path / "x.png").read_text() == (tmp_path / "p" / "index.html").read_text() == "mine"


def test_umask_decides_about_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_complete(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_a_live_recording_does_not_replace_its_source(tmp_path):
    source = touch(tmp_path / "vi.mkv")
    (tmp_path / "o.mkv").symlink_to(source)
    for target in (source, tmp_path / "o.mkv"):
        with pytest.raises(ValueError, match="one of the sources"):
            FileOutput(target, overwrite=True, sources=[source])
    FileOutput(source, overwrite=True, sources=[tmp_path / "device"])


def test_files_of_a_study_that_was_cut_short_are_known(tmp_path):
    scores = Scores(("a",), ("x",), ("EN",), np.zeros((1, 1, 1, 1)), "exact")
    write_tables(tmp_path, [scores], [score_table(scores)])
    written = [tmp_path / name for name in (*SCORE_FILES, *TABLE_FILES)]
    assert check_files(written, own=True) == [tmp_path / "table.md"]


def test_an_ablation_keeps_a_foreign_table(tmp_path, capsys):
    path = touch(tmp_path / "out" / "table.md")
    config = Path(__file__).parents[1] / "configs" / "tiny_ablation.py"
    with pytest.raises(SystemExit):
        main(["ablate", str(config), "--data-root", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "table.md already exists" in capsys.readouterr().err
    assert path.read_text() == "mine"
