"""The step before fusion: grids, near scenes, streams, and what `--register` means."""

import dataclasses

import cv2
import numpy as np
import pytest
from test_register_commands import folders, shifted_rig
from test_registration import scene
from test_residual import registration, shift

from fusejax.cli.registering import RegisterFlags
from fusejax.io.align import AlignError
from fusejax.io.pairing import PairPaths
from fusejax.registration import RegisterInfrared, Rig, TrackedRig, tracking
from fusejax.registration import aligner as aligners
from fusejax.registration import rig as rigs
from fusejax.registration.aligner import common_field
from fusejax.registration.choice import register_by
from fusejax.registration.parallax import Near


def images(ir=(48, 64), vi=(48, 64)):
    rng = np.random.default_rng(0)
    return rng.integers(0, 65536, (*ir, 1), dtype=np.uint16), rng.integers(0, 256, (*vi, 3), dtype=np.uint8)


def test_on_the_infrared_grid_the_infrared_image_is_kept_and_the_visible_one_moved():
    ir, vi = images()
    done = RegisterInfrared(shifted_rig(5), grid="ir")(ir, vi)
    assert done.ir is ir and done.mask is None and done.share is None
    np.testing.assert_array_equal(done.vi[:, 5:], vi[:, :-5])
    assert done.vi[:, :5].max() == 0  # the visible camera does not see it
    assert done.vi.dtype == np.uint8


def test_the_common_grid_is_the_part_of_the_visible_image_that_both_show():
    ir, vi = images()
    done = RegisterInfrared(shifted_rig(5), grid="common")(ir, vi)
    np.testing.assert_array_equal(done.vi, vi[:, :59])
    np.testing.assert_array_equal(done.ir, ir[:, 5:])
    assert done.mask is None


def test_the_common_field_of_a_turned_image_holds_no_border():
    for angle in (0, 3, 17, 45):
        matrix = cv2.getRotationMatrix2D((99.5, 74.5), angle, 1.0)
        mask = cv2.warpAffine(np.ones((150, 200), np.float32), matrix, (200, 150), flags=cv2.INTER_NEAREST)
        rows, columns = common_field(mask)
        assert mask[rows, columns].min() == 1
        assert mask[rows, columns].size > 0.4 * mask.sum()


def test_images_without_a_common_field_are_refused_by_name():
    with pytest.raises(AlignError, match="street: the images have no common field"):
        RegisterInfrared(shifted_rig(500), grid="common")(*images(), name="street")


def test_a_near_point_is_found_where_two_pinhole_cameras_see_it():
    """Independent of the formula: points in space are projected into both cameras."""
    vi_camera = np.array([[400, 0, 319.5], [0, 400, 239.5], [0, 0, 1.0]])
    ir_camera = np.array([[150, 0, 79.5], [0, 150, 59.5], [0, 0, 1.0]])
    place = np.array([0.2, -0.05, 0.0])  # of the infrared camera, meters right and down
    rig = Rig(ir_camera @ np.linalg.inv(vi_camera), (120, 160), (480, 640), "homography", 0.1, 9, 9)
    point = np.array([0.7, 0.3, 4.0])
    seen, wanted = vi_camera @ point, ir_camera @ (point - place)
    near = RegisterInfrared(rig, near=Near(4.0, (0.2, -0.05), 150.0))
    for factor in (1, 2):  # also for images of twice the size
        sizes = (120 * factor, 160 * factor), (480 * factor, 640 * factor)
        ir, vi = (np.zeros((*size, 1), np.uint8) for size in sizes)
        u, v, w = near.transform(ir, vi) @ [*(factor * (seen[:2] / seen[2] + 0.5) - 0.5), 1]
        np.testing.assert_allclose([u / w, v / w], factor * (wanted[:2] / wanted[2] + 0.5) - 0.5, atol=1e-3)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"register": "rig", "distance": "-2"}, "give a number above 0"),
        ({"register": "rig", "distance": "5"}, "needs the baseline"),
        ({"register": "rig", "distance": "near"}, "give meters, or `found`"),
        ({"distance": "5"}, "also give --register rig"),
        ({"register": "auto", "focal": 100.0}, "also give --distance"),
        ({"register": "pair", "distance": "found"}, "a distance needs a rig"),
        ({"register": "nowhere"}, "--register nowhere is none of auto, rig, pair, nor a file"),
    ],
)
def test_flags_that_say_nothing_are_refused_with_what_to_give(flags, message):
    with pytest.raises(ValueError, match=message):
        RegisterFlags(**flags).aligner(list)


def test_a_found_shift_moves_the_rig_and_a_refused_one_does_not(monkeypatch):
    ir, vi = images()
    found = [registration(shift(3, 1), model="translation")]
    monkeypatch.setattr(aligners, "estimate", lambda *_, **__: found[0])
    moved = RegisterInfrared(shifted_rig(5), near=Near()).transform(ir, vi)
    np.testing.assert_allclose(moved, shift(8, 1))
    for other in (registration(shift(3, 1), refused="flat"), registration(shift(60, 0))):
        found[0] = other
        kept = RegisterInfrared(shifted_rig(5), near=Near()).transform(ir, vi)
        np.testing.assert_allclose(kept, shift(5, 0))


def test_a_pair_is_registered_once_however_often_it_comes(monkeypatch):
    ir, vi = images()
    calls = []
    monkeypatch.setattr(aligners, "estimate", lambda *_, **__: calls.append(0) or registration(shift(1, 0)))
    step = RegisterInfrared()
    for _ in range(2):
        step(ir, vi, name="a")
    step(ir + np.uint16(1), vi, name="a")  # another image under the same name
    assert len(calls) == 2


@pytest.fixture
def pairs(tmp_path):
    folders(tmp_path, [scene(n, size=(40, 48)) for n in range(8)])
    return [PairPaths(str(n), tmp_path / "ir" / f"{n}.png", tmp_path / "vi" / f"{n}.png") for n in range(8)]


def answering(monkeypatch, matrices):
    left = iter(matrices)
    monkeypatch.setattr(rigs, "estimate", lambda *_, **__: registration(next(left), model="homography"))
    monkeypatch.setattr(rigs, "sharpened", lambda rig, _: rig)  # the images do not show these transforms


def test_auto_is_a_rig_for_many_pairs_that_agree(monkeypatch, pairs):
    answering(monkeypatch, [shift(3, 0)] * 7 + [shift(30, 0)])
    said = []
    step = register_by("auto", lambda: pairs, say=said.append)
    assert isinstance(step.rig, Rig)
    np.testing.assert_allclose(step.rig.matrix, shift(3, 0), atol=1e-9)
    assert "7 of 8 pairs agree" in said[0]


def test_auto_is_pair_by_pair_for_few_unequal_or_disagreeing_ones(monkeypatch, pairs):
    said = []
    assert register_by("auto", lambda: pairs[:7], say=said.append).rig is None
    assert "7 pairs" in said[-1]
    answering(monkeypatch, [shift(20 * n, 0) for n in range(8)])
    assert register_by("auto", lambda: pairs, say=said.append).rig is None
    assert "only 1 of 8 pairs agree" in said[-1]
    cv2.imwrite(str(pairs[3].ir), np.zeros((20, 24), np.uint8))
    assert register_by("auto", lambda: pairs, say=said.append).rig is None
    assert "2 combinations of sizes" in said[-1]
    with pytest.raises(ValueError, match="0 is 48x40 and 48x40 and 3 is 24x20 and 48x40"):
        register_by("rig", lambda: pairs, say=said.append)


def tracked(monkeypatch, answers, **options):
    left = iter(answers)
    monkeypatch.setattr(tracking, "estimate", lambda *_, **__: next(left))
    said = []
    return TrackedRig(say=said.append, **options), said


def test_a_stream_takes_its_first_frame_and_follows_slowly(monkeypatch):
    ir, vi = images()
    still = registration(np.eye(3))
    step, said = tracked(monkeypatch, [registration(shift(5, 0)), *[still] * 4, *[registration(shift(2, 0))] * 20])
    first = step(ir, vi)
    np.testing.assert_array_equal(first.ir[:, :59], ir[:, 5:])
    assert said == ["registration: the cameras' transform is found"]
    before = step.matrix
    for _ in range(2000):
        step(ir, vi)
        moved = np.abs((step.matrix - before)[:2, 2]).max()
        assert moved <= 0.2 + 1e-6
        before = step.matrix
    assert step.matrix[0, 2] > 7  # it follows


def test_a_stream_keeps_the_visible_image_until_it_is_registered_and_gives_up(monkeypatch):
    ir, vi = images()
    refused = registration(np.eye(3), refused="too dark")
    step, said = tracked(monkeypatch, [refused] * 10)
    for _ in range(9):
        assert step(ir, vi).mask.max() == 0
    assert said == ["registration: waiting for frames that can be registered (too dark)"]
    with pytest.raises(AlignError, match="none of the first 10 frames can be registered: too dark"):
        step(ir, vi)


def test_a_stream_of_another_size_is_registered_anew(monkeypatch):
    step, _ = tracked(monkeypatch, [registration(shift(5, 0)), registration(shift(9, 0))])
    step(*images())
    step(*images(vi=(96, 128)))
    np.testing.assert_allclose(step.matrix, shift(9, 0), atol=1e-9)


def test_live_frames_never_wait_for_the_registration(monkeypatch):
    import threading

    released = threading.Event()

    def slow(*_, **__):
        released.wait(10)
        return registration(shift(5, 0))

    monkeypatch.setattr(tracking, "estimate", slow)
    step = TrackedRig(background=True, say=lambda _: None)
    assert step(*images()).mask.max() == 0
    released.set()
    step._thread.join()
    assert step(*images()).share.max() == 1


def test_videos_refuse_pair_by_pair_and_distances_without_a_rig():
    with pytest.raises(ValueError, match="flickers; give auto"):
        RegisterFlags(register="pair").stream_aligner(live=False)
    with pytest.raises(ValueError, match="needs the file of a rig"):
        RegisterFlags(register="auto", distance="found").stream_aligner(live=True)
    assert isinstance(RegisterFlags(register="auto").stream_aligner(live=True), TrackedRig)
    assert RegisterFlags().stream_aligner(live=True) is None


def test_a_rig_of_other_sizes_is_scaled_and_of_another_aspect_refused():
    rig = dataclasses.replace(shifted_rig(5), ir_size=(24, 32), vi_size=(24, 32))
    ir, vi = images()
    np.testing.assert_array_equal(RegisterInfrared(rig)(ir, vi).ir[:, :54], ir[:, 10:])
    with pytest.raises(ValueError, match=r"street: the rig was found on visible images of 32x24 .* 64x40"):
        RegisterInfrared(rig)(ir, vi[:40], name="street")
