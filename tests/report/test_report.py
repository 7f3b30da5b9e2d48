"""The report of a run: figures for a handmade log, and logs as left by kills and restarts."""

import json

import cv2
import numpy as np
import pytest
from etils import epath

from fusejax.cli.main import main
from fusejax.cli.report import ReportOptions, report_command
from fusejax.report import run_plots
from fusejax.report.run_history import read_history, segments
from fusejax.report.run_summary import summarize


def train(step, time, loss, **more):
    return {"kind": "train", "step": step, "time": time, "loss": loss, "a": loss / 2, "learning_rate": 1e-3} | more


def timing(seconds, wait, memory):
    return {
        "images_per_second": 8 / seconds,
        "step_seconds": seconds,
        "step_seconds_spread": seconds / 10,
        "data_wait_share": wait,
        "memory_gib": memory,
    }


# Two stages; killed at step 40 with the last checkpoint at 20, and resumed there 100 s later.
LINES = [
    {"kind": "start", "step": 0, "time": 1000.0, "steps": 60, "devices": 1, "processes": 1, "name": "tiny"},
    train(10, 1010.0, 4.0, grad_norm=1.0, param_norm=5.0, **timing(1.0, 0.5, 1.0)),
    train(20, 1015.0, 3.0, grad_norm=1.0, param_norm=5.0, **timing(0.5, 0.1, 2.0)),
    {"kind": "validation", "step": 20, "time": 1015.5, "SSIM": 0.5, "MSE": 30.0},
    train(30, 1020.0, 0.1, **timing(0.5, 0.1, 9.0)),
    train(40, 1025.0, 0.1, **timing(0.5, 0.1, 9.0)),
    {"kind": "validation", "step": 40, "time": 1025.5, "SSIM": 0.99, "MSE": 1.0},
    {"kind": "start", "step": 20, "time": 1125.5, "steps": 60, "devices": 2, "processes": 2, "name": "tiny"},
    train(30, 1130.5, 2.0, skipped=1, **timing(0.5, 0.1, 2.5)),
    train(40, 1135.5, 2.5, skipped=1, **timing(0.5, 0.1, 2.5)),
    {"kind": "validation", "step": 40, "time": 1135.6, "SSIM": 0.8, "MSE": 20.0},
    {"kind": "train", "step": 50, "time": 1145.5, "loss": 9.0, "b": 9.0, "learning_rate": 1e-3, "skipped": 2}
    | timing(1.0, 0.2, 2.25),
    {"kind": "validation", "step": 50, "time": 1146.0, "SSIM": 0.7, "MSE": 25.0},
]


def write(folder, lines, tail=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + tail)
    return folder


def test_the_summary_of_a_log_made_by_hand(tmp_path):
    found = summarize(read_history(write(tmp_path, LINES)))
    assert (found.steps, found.total_steps) == (50, 60)
    assert (found.restarts, found.repeated_steps) == ([20], 20)
    assert found.running_seconds == pytest.approx(25.5 + 20.5)
    assert found.elapsed_seconds == pytest.approx(146.0)
    first, second = found.losses
    assert (first.stage.end, second.stage.start, second.stage.end) == (40, 40, 50)
    assert (first.first, first.last, first.best, first.best_step) == (4.0, 2.5, 2.0, 30)
    assert second.best == 9.0
    assert found.scores == {"SSIM": (40, 0.8), "MSE": (40, 20.0)}  # of MSE less is better; 0.99 was taken back
    assert found.images_per_second == pytest.approx(50 * 8 / 35)  # 20 steps of 1 s and 30 of 0.5 s
    assert found.step_seconds == 0.5
    assert found.step_seconds_spread == pytest.approx(0.05)
    assert found.data_wait_share == pytest.approx((10 * 0.5 + 15 * 0.1 + 10 * 0.2) / 35)
    assert (found.skipped, found.memory_gib) == (2, 2.5)


def test_a_step_that_comes_twice_keeps_the_later_line(tmp_path):
    """In a log without start lines, only repeated steps reveal the restart."""
    history = read_history(write(tmp_path, [line for line in LINES if line["kind"] != "start"]))
    assert [(line["step"], line["loss"]) for line in history.train] == [(10, 4), (20, 3), (30, 2), (40, 2.5), (50, 9)]
    assert [(line["step"], line["SSIM"]) for line in history.validation] == [(20, 0.5), (40, 0.8), (50, 0.7)]
    assert (history.restarts, history.repeated, history.total_steps) == ([20], 20, None)


def test_a_restart_takes_back_what_has_not_come_again_yet(tmp_path):
    history = read_history(write(tmp_path, LINES[:8]))  # 30 and 40 were logged, and are to be done again
    assert [line["step"] for line in history.train] == [10, 20]
    assert [line["step"] for line in history.validation] == [20]


@pytest.mark.slow
def test_a_cut_off_line_is_left_out_and_reported(tmp_path, capsys):
    workdir = write(tmp_path, LINES, tail='{"kind": "train", "step": 60, "ti')
    report_command(ReportOptions(str(workdir), page=tmp_path / "page"))
    said = capsys.readouterr().out
    assert "steps               50 of 60" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert "steps               50 of 60" in said
    assert "wall time           46 s, idle for 2 min" in said
    assert "line 14 of log.jsonl is truncated and was skipped (the run was killed there, or is writing it)" in said


def test_what_stands_behind_a_cut_off_line_is_read(tmp_path):
    """The next process appends to the truncated line left by the kill."""
    lines = [json.dumps(line) for line in LINES]
    text = "\n".join(lines[:7]) + '\n{"kind": "train", "step": 5' + "\n".join(lines[7:]) + "\n"
    (tmp_path / "log.jsonl").write_text(text)
    history = read_history(tmp_path)
    assert history.notes == ["line 8 of log.jsonl is truncated and was skipped"]
    assert history.restarts == [20]


def test_keys_may_be_absent(tmp_path, capsys):
    bare = [{"kind": "train", "step": 5, "loss": 1.0}, {"kind": "train", "step": 10, "loss": float("nan"), "a": 1.0}]
    report_command(ReportOptions(str(write(tmp_path, bare))))
    said = capsys.readouterr().out
    assert "best 1 at step 5" in said
    for absent in ("throughput", "memory", "restarts", "skipped", "waiting"):
        assert absent not in said
    found = summarize(read_history(tmp_path))
    assert (found.step_seconds, found.scores, found.data_wait_share) == (None, {}, None)


def test_stages_are_named_where_the_start_line_names_them(tmp_path, capsys):
    lines = [dict(line, stages=[["first", 15], ["second", 60]]) if line["kind"] == "start" else line for line in LINES]
    report_command(ReportOptions(str(write(tmp_path, lines))))
    assert "first (steps 1 to 15), second (steps 16 to 50)" in capsys.readouterr().out
    assert [s.name for s in segments(read_history(tmp_path))] == ["first", "second"]


def test_the_figure_shows_what_is_logged(tmp_path, monkeypatch):
    """Panels, lines, the restart, and the best score, by their numbers."""
    figures = []
    monkeypatch.setattr(run_plots, "save_figure", lambda path, figure, dpi: figures.append(figure))
    run_plots.draw_report(epath.Path(tmp_path / "x.png"), read_history(write(tmp_path, LINES)))
    panels = {axis.get_title(): axis for axis in figures[0].axes if axis.get_title()}
    loss = next(axis for title, axis in panels.items() if title.startswith("loss and its parts"))
    lines = {line.get_label(): line for line in loss.lines}
    np.testing.assert_array_equal(lines["loss"].get_xdata(), [10, 20, 30, 40, 50])
    np.testing.assert_array_equal(lines["loss"].get_ydata(), [4.0, 3.0, 2.0, 2.5, 9.0])
    np.testing.assert_array_equal(lines["a"].get_ydata(), [2.0, 1.5, 1.0, 1.25, np.nan])  # not in the second stage
    restarts = [line for line in loss.lines if line.get_linestyle() == "--" and len(set(line.get_xdata())) == 1]
    assert [line.get_xdata()[0] for line in restarts] == [20]
    score = panels["SSIM (higher is better): best 0.8 at 40"]
    star = next(line for line in score.lines if line.get_marker() == "*")
    assert (list(star.get_xdata()), list(star.get_ydata())) == ([40], [0.8])
    assert "MSE (lower is better): best 20 at 40" in panels
    assert figures[0].get_suptitle() == "tiny: step 50 of 60; dashed red: restart; dotted gray: next stage"


@pytest.mark.slow
def test_the_image_is_written_and_grows_with_what_is_logged(tmp_path):
    write(tmp_path, LINES)
    main(["report", str(tmp_path), "--out", str(tmp_path / "other" / "few.png")])
    main(["report", str(write(tmp_path / "bare", LINES[1:3]))])
    few, bare = (cv2.imread(str(tmp_path / p)) for p in ("other/few.png", "bare/report.png"))
    assert few.shape[1] == bare.shape[1] == 1650
    assert 500 < bare.shape[0] < few.shape[0] < 2000
    assert not (tmp_path / "report.png").exists()


def test_folders_without_a_log_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path)])
    assert f"{tmp_path} has no log.jsonl; give the --workdir of a `fusejax train` run" in capsys.readouterr().err
    with pytest.raises(ValueError, match="has no training line yet"):
        read_history(write(tmp_path, LINES[:1]))
    with pytest.raises(ValueError, match=r"x\.jpg is not a \.png file"):
        report_command(ReportOptions(str(write(tmp_path, LINES)), out=str(tmp_path / "x.jpg")))


@pytest.mark.parametrize(
    "bad",
    [
        '{"kind": "train", "step": "x", "loss": 1}',
        '{"kind": "train", "step": null, "loss": 1}',
        '{"kind": "train", "step": [1], "loss": 1}',
        '{"kind": "train", "step": NaN, "loss": 1}',
        '{"kind": "train", "step": -3, "loss": 1}',
        '{"kind": "train", "step": 1e400, "loss": 1}',
        '{"kind": "start", "step": "a"}',
        '{"kind": "train", "step": 7, "loss": ' + "9" * 400 + "}",
        '{"kind": "start", "step": 0, "steps": "many", "stages": 5}',
        '{"kind": "start", "step": 0, "stages": [[1, 2, 3]]}',
    ],
)
def test_values_that_no_run_writes_do_not_stop_the_report(tmp_path, bad):
    workdir = write(tmp_path, [{"kind": "train", "step": 5, "loss": 1.0}, {"kind": "train", "step": 10, "loss": 0.5}])
    with (workdir / "log.jsonl").open("a") as file:
        file.write(bad + '\n{"kind": "train", "step": 15, "loss": 0.25, "a $\\\\frac{x}$": 2.0}\n')
    report_command(ReportOptions(str(workdir)))
    assert summarize(read_history(workdir)).steps == 15
    assert (workdir / "report.png").stat().st_size > 0


@pytest.mark.parametrize("place", ["http://x/y", "ftp://x"])
def test_a_log_at_an_unknown_address_is_refused_in_one_line(place):
    with pytest.raises(ValueError, match="not supported; name a local folder, or gs"):
        read_history(place)
