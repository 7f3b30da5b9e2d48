"""Frames of two streams are paired by the time at which they were taken."""

import dataclasses
import threading
import time

import numpy as np
import pytest

from fusejax.inference.time_pairing import hold_last
from fusejax.live.clock import StreamClock
from fusejax.live.controls import Controls, Settings
from fusejax.live.pairing import Partners, Waiting
from fusejax.live.ranges import LiveRange
from fusejax.live.sources import Playback
from fusejax.live.statistics import Statistics


@dataclasses.dataclass(frozen=True)
class Stamp:
    seconds: float


def stamps(rate, seconds, *, start=0.0):
    return [Stamp(start + k / rate) for k in range(round(rate * seconds))]


def held(ir, vi, *, offset=0.0, bound=0.5, ahead=1 / 60):
    return list(hold_last(ir, vi, offset=offset, bound=bound, ahead=ahead))


def test_equal_rates_are_paired_one_by_one_even_with_jitter(rng):
    vi = stamps(30, 2)
    ir = [Stamp(each.seconds + rng.uniform(-0.01, 0.01)) for each in vi]
    assert [one for one, _ in held(ir, vi)] == ir


def test_a_slow_infrared_stream_is_held_and_never_older_than_its_interval():
    ir, vi = stamps(9, 3), stamps(30, 3)
    pairs = held(ir, vi)
    assert len(pairs) == 90 and {one for one, _ in pairs} == set(ir)
    ages = [two.seconds - one.seconds for one, two in pairs]
    assert min(ages) >= -1 / 60 and max(ages) < 1 / 9


def test_a_fast_infrared_stream_gives_its_nearest_frame():
    pairs = held(stamps(60, 1), stamps(25, 1), ahead=1 / 120)
    assert all(abs(one.seconds - two.seconds) <= 1 / 120 + 1e-9 for one, two in pairs)


def test_an_offset_moves_the_infrared_stream():
    vi = stamps(30, 2)
    late = [Stamp(each.seconds + 0.5) for each in vi]  # its clock shows half a second more
    pairs = held(late, vi, offset=-0.5)
    assert [one.seconds for one, _ in pairs] == pytest.approx([two.seconds + 0.5 for _, two in pairs])


def test_streams_that_never_overlap_have_no_pairs():
    assert all(one is None for one, _ in held(stamps(30, 1, start=100), stamps(30, 1)))
    assert all(one is None for one, _ in held(stamps(30, 1), stamps(30, 1, start=100)))


def test_a_frame_is_not_held_longer_than_the_bound():
    pairs = held(stamps(10, 1), stamps(10, 3), bound=0.5)
    assert [one is not None for one, _ in pairs] == [k <= 14 for k in range(30)]


@pytest.mark.parametrize("rate", [9, 30, 60])
def test_the_live_rule_is_that_of_files(rate):
    """Frames arrive in the order of their times, with the visible frame first if both are due."""
    ir, vi, partners = stamps(rate, 2), stamps(30, 2), Partners(offset=0.0, bound=0.5)
    ahead, found = 1 / 60, []
    coming = iter(ir)
    after = next(coming)
    for visible in vi:
        while after is not None and after.seconds <= visible.seconds + ahead:
            partners.put(after)
            after = next(coming, None)
        found.append(partners.partner(visible.seconds, ahead=ahead, patience=0.0))
    assert found == [one for one, _ in held(ir, vi)]


def test_an_infrared_frame_that_is_due_is_waited_for():
    partners = Partners(offset=0.0, bound=0.5)
    for k in range(3):
        partners.put(Stamp(k / 10))
    threading.Timer(0.05, partners.put, [Stamp(0.3)]).start()
    assert partners.partner(0.3, ahead=0.05, patience=2.0) == Stamp(0.3)
    began = time.monotonic()
    assert partners.partner(0.33, ahead=0.05, patience=2.0) == Stamp(0.3)  # the next one is not due
    assert time.monotonic() - began < 1.0
    later = Partners(offset=1.0, bound=0.5)
    for k in range(3):
        later.put(Stamp(k / 10))
    assert later.partner(1.25, ahead=0.0, patience=2.0) == Stamp(0.2), "with the offset, the next one is due at 1.3"
    assert time.monotonic() - began < 1.0


def test_a_clock_that_jumps_back_starts_the_infrared_stream_anew():
    partners = Partners(offset=0.0, bound=0.5)
    for seconds in (100.0, 100.1, 3.0):
        partners.put(Stamp(seconds))
    assert partners.partner(3.0, ahead=0.01, patience=0.0) == Stamp(3.0)


def test_the_time_of_a_frame_is_that_of_the_quickest_delivery(rng):
    clock, taken = StreamClock(), 1000 + np.arange(200) / 30
    arrivals = taken + 0.02 + rng.exponential(0.02, 200)
    placed = [clock.place(t - 1000 + 7, a) for t, a in zip(taken, arrivals, strict=True)]
    assert np.all(placed <= arrivals)
    assert np.ptp((placed - taken)[30:]) < 0.01  # jitter of 20 ms is gone
    assert np.all(np.diff(placed) > 0)


@pytest.mark.parametrize("jump", [-500.0, 500.0])
def test_a_stream_whose_times_jump_is_placed_at_its_arrival(jump):
    clock = StreamClock()
    for k in range(30):
        clock.place(k / 30, 50 + k / 30)
    assert clock.place(1 + jump, 51.0) == pytest.approx(51.0)
    assert clock.place(None, 52.0) == pytest.approx(52.0)


def test_the_range_of_a_quiet_scene_stays_and_follows_what_comes_in(rng):
    quiet = (8000 + 400 * rng.random((48, 64, 1))).astype(np.uint16)
    hot = quiet.copy()
    hot[10:30, 10:30] = 12000
    follow = LiveRange("auto")
    first = follow.of(quiet, 0.0)
    assert first[0] >= 8000 and first[1] <= 8400
    for k in range(1, 30):
        assert follow.of(quiet, k / 30) == pytest.approx(first)
    for k in range(30, 75):
        wide = follow.of(hot, k / 30)
    assert wide[1] > 11900
    after = [follow.of(quiet, k / 30)[1] for k in range(75, 105)]
    assert after[-1] > 11000 and np.all(np.diff(after[6:]) < 0)  # narrows slowly, from the next look on
    assert LiveRange("auto").of(np.zeros((8, 8, 1), np.uint8), 0.0) == (0.0, 255.0)
    assert LiveRange((1.0, 2.0)).of(hot, 0.0) == (1.0, 2.0)


@pytest.mark.parametrize(
    "change", [{"strength": True}, {"strength": 2.1}, {"temporal": "1"}, {"view": "x"}, {"recording": 1}, {"speed": 1}]
)
def test_settings_that_make_no_sense_change_nothing(change):
    controls = Controls(Settings())
    with pytest.raises(ValueError, match=f"{next(iter(change))}.*; (give|there are)"):
        controls.change(recording=True, **change) if "recording" not in change else controls.change(**change)
    assert controls.settings == Settings()


def test_a_short_pause_drops_no_frame_and_a_machine_that_is_too_slow_shows_recent_ones():
    busy = Waiting()
    assert sum(busy.put(Stamp(k / 30), k / 30) for k in range(25)) == 0  # nothing is taken for 0.8 s
    assert [busy.take(0).seconds for _ in range(25)] == [k / 30 for k in range(25)]
    assert busy.take(0) is None  # caught up, so that another pause is one of its own
    assert sum(busy.put(Stamp(2 + k / 30), 2 + k / 30) for k in range(25)) == 0
    slow, dropped, ages = Waiting(), 0, []
    for k in range(300):  # every third frame can be fused
        dropped += slow.put(Stamp(k / 30), k / 30)
        if k % 3 == 0:
            ages.append(k / 30 - slow.take(0).seconds)
    assert max(ages) < 1.2 and max(ages[20:]) < 0.2
    assert 185 <= dropped <= 200


def test_files_that_cannot_be_played_in_time_stay_together():
    playback = Playback(time.monotonic())
    assert playback.due(0.1) == pytest.approx(playback.start + 0.1)
    late = Playback(time.monotonic() - 3.0)  # one file is three seconds behind
    now = time.monotonic()
    assert late.due(0.0) == pytest.approx(now, abs=0.2)
    assert late.due(0.5) == pytest.approx(now + 0.5, abs=0.2)  # for both files


def test_figures_are_those_of_the_frames(rng):
    statistics, latency = Statistics(), rng.uniform(0.01, 0.2, 1000)
    for k, late in enumerate(latency):
        statistics.show(k / 25 - late, k / 25)
    statistics.drop("too late", 3)
    summary = statistics.summary()
    assert summary.frames == 1000 and summary.fps == pytest.approx(25)
    assert summary.median == pytest.approx(1000 * np.median(latency), abs=1.5)
    assert summary.late == pytest.approx(1000 * np.quantile(latency, 0.95), abs=1.5)
    assert statistics.summary(recent=True).fps == pytest.approx(25)
    for k in range(1, 200):
        statistics.show(40.0, 40.0 + k / 10)
    assert statistics.summary(recent=True).fps == pytest.approx(10)
    assert statistics.summary().fps > 15
    assert "3 too late" in str(summary)
    assert "no frames" in str(Statistics().summary())
