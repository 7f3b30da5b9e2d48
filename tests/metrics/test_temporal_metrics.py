"""Temporal metrics: values that can be computed by hand."""

import csv
from fractions import Fraction

import cv2
import numpy as np
import pytest
from benchmarks.moving import moving_scene

from fusejax.cli.main import main
from fusejax.io.images import to_float, write_image
from fusejax.io.video_writing import VideoWriter, from_pixels
from fusejax.metrics.flow import consistent, optical_flow, warp
from fusejax.metrics.temporal import evaluate_video
from fusejax.metrics.temporal_table import TEMPORAL_METRICS
from fusejax.ops.color import rgb_to_luma


@pytest.fixture(scope="module")
def texture():
    noise = np.random.default_rng(0).uniform(0, 1, (100, 140)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return (0.2 + 0.5 * (smooth - smooth.min()) / np.ptp(smooth))[..., None]


def test_a_still_video_scores_zero(texture):
    scores = evaluate_video([(texture, texture, texture)] * 4)
    assert scores.keys() == TEMPORAL_METRICS.keys()
    for name, values in scores.items():
        assert values.shape == (3,)
        assert np.isnan(values[0]) == (name in ("BiSWE", "MS2R"))
        np.testing.assert_allclose(values[1:], 0, atol=1e-3, err_msg=name)


def test_brightness_that_jumps_over_still_sources(texture):
    """Every measure of values is the jump, counted as its formula counts it."""
    jump = 0.02
    dark, bright = np.repeat(texture, 3, axis=-1), np.repeat(texture + np.float32(jump), 3, axis=-1)
    scores = {k: v[1] for k, v in evaluate_video([(x, texture, texture[::-1]) for x in (dark, bright, dark)]).items()}
    for name, times in (("flicker", 1), ("static", 1), ("WE", 1), ("flowD", np.sqrt(3)), ("BiSWE", 2)):
        np.testing.assert_allclose(scores[name], times * 255 * jump, rtol=0.05, err_msg=name)


def test_what_the_sources_change_is_no_flicker(texture):
    """Noise that the fused video passes on counts as change, not as flicker."""
    rng = np.random.default_rng(1)
    frames = []
    for _ in range(4):
        ir, vi = (x + 0.004 * rng.standard_normal(texture.shape).astype(np.float32) for x in (texture[::-1], texture))
        frames.append((0.3 * ir + 0.7 * vi, ir, vi))
    scores = evaluate_video(frames)
    assert np.nanmean(scores["static"]) > 0.5
    assert np.nanmean(scores["flicker"]) < 0.02


def test_a_wrong_mix_of_one_frame_is_flicker(texture):
    ir = np.ascontiguousarray(texture[::-1, ::-1])
    frames = [(texture + share * (ir - texture), ir, texture) for share in (0.3, 0.6)]
    expected = 255 * 0.3 * np.abs(ir - texture).mean()
    # The fit is biased toward the plain average, which costs 3% in a texture of this contrast.
    np.testing.assert_allclose(evaluate_video(frames)["flicker"], expected, rtol=0.05)


@pytest.mark.slow
def test_a_video_that_moves_with_its_sources_has_no_warping_error(texture):
    frames = [(texture[:, 4 - 2 * n : 124 - 2 * n],) * 3 for n in range(3)]
    scores = evaluate_video(frames)
    assert np.nanmax(scores["WE"]) < 0.5
    assert np.nanmax(scores["MS2R"]) < 0.05
    stuck = [(frames[0][0], *frame[1:]) for frame in frames]  # the fused video does not follow
    assert np.nanmin(evaluate_video(stuck)["WE"]) > 2
    assert np.nanmean(evaluate_video(stuck)["BiSWE"]) < 0.5  # its own flow is zero, that is its weakness


def test_what_a_moving_object_uncovers_is_no_warping_error(texture):
    """Pixels of the later frame count if their flow back cancels there, not in the earlier one."""
    frames = []
    for shift in (0, 8):
        image = 0.5 * texture
        image[20:80, 30 + shift : 90 + shift] = 0.5 + 0.5 * texture[20:80, 30:90]
        frames.append(image)
    forth, back = optical_flow(*frames), optical_flow(*frames[::-1])
    rows, columns = np.mgrid[:100, :140].astype(np.float32)
    place = columns + back[..., 0], rows + back[..., 1]
    error = np.abs(frames[1][..., 0] - cv2.remap(frames[0], *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
    returned = back + cv2.remap(forth, *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    expected = 255 * error[np.hypot(*np.moveaxis(returned, -1, 0)) < 1].mean()
    found = evaluate_video([(frame,) * 3 for frame in frames])["WE"]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_acceleration_shows_in_ms2r(texture):
    steady = [texture[:, 10 - n : 120 - n] for n in (0, 2, 4)]
    shaken = [texture[:, 10 - n : 120 - n] for n in (0, 3, 4)]  # accelerates by -2 pixels along x
    score = evaluate_video(zip(shaken, steady, steady, strict=True))["MS2R"][1]
    np.testing.assert_allclose(score, 2 / 2, rtol=0.15)  # mean over both components


def test_flow_points_to_where_things_went(texture):
    before, after = texture[:, 6:126], texture[:, 3:123]  # moved to the right by 3 pixels
    flow, back = optical_flow(before, after), optical_flow(after, before)
    np.testing.assert_allclose(flow[20:-20, 20:-20].mean(axis=(0, 1)), (3, 0), atol=0.1)
    np.testing.assert_allclose(warp(after, flow)[:, :100], before[:, :100], atol=0.02)
    assert consistent(flow, back)[20:-20, 20:-20].mean() > 0.95
    assert not consistent(flow, flow).any()


def test_bad_videos_are_refused(texture, unchecked):
    with pytest.raises(ValueError, match="at least two frames"):
        evaluate_video([(texture,) * 3])
    with pytest.raises(ValueError, match="differ in size"):
        evaluate_video([(texture,) * 3, (texture[1:],) * 3])
    with pytest.raises(ValueError, match="differ in size"):
        evaluate_video([(texture, texture, texture[1:])] * 2)


@pytest.mark.slow
def test_the_command_scores_videos_and_folders_of_frames(tmp_path, capsys):
    pytest.importorskip("av")
    pairs = list(moving_scene(2, frames=4, size=(40, 48)))
    for kind in ("ir", "vi"):
        with VideoWriter(tmp_path / f"{kind}.mkv", codec="ffv1", rate=Fraction(25)) as writer:
            for number, pair in enumerate(pairs):
                writer.write(from_pixels(pair[kind]))
                write_image(tmp_path / kind / f"{number}.png", pair[kind])
    words = ["evaluate", "--temporal", "--fused", str(tmp_path / "vi.mkv"), "--fused", str(tmp_path / "ir")]
    out = tmp_path / "scores"
    main([*words, "--ir", str(tmp_path / "ir.mkv"), "--vi", str(tmp_path / "vi"), "--out", str(out)])
    assert "means over 3 transitions" in capsys.readouterr().out
    expected = evaluate_video((pair["vi"], pair["ir"], rgb_to_luma(to_float(pair["vi"]))) for pair in pairs)
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    found = [float(row["WE"]) for row in rows if row["method"] == "vi.mkv"]
    np.testing.assert_allclose(found, expected["WE"], rtol=1e-3)
    with pytest.raises(SystemExit):
        main([*words, "--ir", str(tmp_path / "missing.mkv"), "--vi", str(tmp_path / "vi")])
    assert "missing.mkv: no such file" in capsys.readouterr().err
