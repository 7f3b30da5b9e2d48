"""Estimates of the time that is left."""

import time

from fusejax.training.pace import Pace


def test_the_first_estimate_waits_for_its_step(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace, pending, lines = Pace(1000), 0.0, {}
    for step in range(1, 40):
        pending += 2.0  # a step takes 2 s on a device that the loop does not wait for
        if pace.needs_result(step):
            now[0], pending = now[0] + pending, 0.0
        lines[step] = pace.stepped(step)
    assert lines.pop(1) == "step 1/1000"
    assert lines.pop(11) == "step 11/1000, 2 s per step, about 33 min left"
    assert not any(lines.values())
    pace.begin()
    assert pace.needs_result(40)


def test_there_is_a_line_every_half_minute(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace, said = Pace(10_000), []
    for step in range(1, 200):
        now[0] += 1.0
        if pace.stepped(step):
            said.append(step)
    assert said == [1, 11, 41, 71, 101, 131, 161, 191]
