"""The breakdown of a step's time on a chip, from XLA's counts and the chip's data sheet."""

import math

import pytest
from jax.sharding import AbstractMesh

from fusejax.planning.chips import CHIPS, chip_of, named_chip, step_time
from fusejax.planning.collectives import Collective
from fusejax.planning.plan import Plan, StageCost, describe_time

V5E = CHIPS["v5e"]


def test_kinds_that_jax_reports_are_known():
    assert chip_of("NVIDIA H100 80GB HBM3") is CHIPS["h100"]
    assert chip_of("TPU v5 lite") is V5E
    assert chip_of("TPU v5") is CHIPS["v5p"]
    assert chip_of("cpu") is None


def test_each_part_is_divided_by_its_own_peak():
    # One second of arithmetic, half a second of memory, a quarter of a second of links.
    time = step_time(V5E, devices=256, dtype="bfloat16", flops=197e12, traffic=0.5 * 0.819e12, sent=0.25 * 200e9)
    assert (time.arithmetic, time.memory, time.links) == pytest.approx((1.0, 0.5, 0.25))
    assert time.efficiency == pytest.approx(0.8)
    alone = step_time(V5E, devices=1, dtype="bfloat16", flops=1.0, traffic=1.0, sent=0.0)
    assert alone.efficiency == 1.0


def test_a_grid_without_closed_axes_sends_at_half_the_rate():
    open_grid, torus = (
        step_time(V5E, devices=n, dtype="bfloat16", flops=1e12, traffic=0.0, sent=1e9).links for n in (64, 256)
    )
    assert open_grid == pytest.approx(2 * torus)


def test_beyond_a_server_each_device_also_sends_its_share_through_the_network():
    h100 = CHIPS["h100"]
    within, across = (
        step_time(h100, devices=n, dtype="bfloat16", flops=1e12, traffic=0.0, sent=1e9).links for n in (8, 16)
    )
    assert within == pytest.approx(1e9 / h100.link)
    assert across - within == pytest.approx(1e9 / 8 / h100.network)


def test_collectives_wait_for_messages_on_the_longest_way_and_back():
    def latency(chip, devices, calls):
        return step_time(
            CHIPS[chip], devices=devices, dtype="bfloat16", flops=1.0, traffic=0.0, sent=0.0, calls=calls
        ).latency

    assert latency("v5e", 64, 1) == pytest.approx(2 * (7 + 7) * 1e-6)  # an 8x8 grid
    assert latency("v5e", 64, 3) == pytest.approx(3 * latency("v5e", 64, 1))
    assert latency("h100", 64, 1) == pytest.approx(2 * (7 * 1.2e-6 + 3 * 8.5e-6))  # eight servers: three rounds
    assert latency("h100", 1, 5) == 0.0


def test_gpus_take_half_the_rate_in_float32():
    assert CHIPS["h100"].peak("bfloat16") == pytest.approx(2 * CHIPS["h100"].peak("float32"), rel=2e-3)
    assert math.isnan(CHIPS["h100"].peak("int4"))


def test_the_plan_says_the_time_of_a_step():
    mesh = AbstractMesh((4, 1), ("data", "fsdp"))
    summed = Collective("all-reduce", "data", 4, arrays=(800_000_000,), times=1)  # 2 x 3/4 of it is sent
    cost = StageCost("main", 0, 0, 0, 0, 0, 0, flops=1.97e12, traffic=0.0, collectives=[summed])
    line = describe_time(cost, "v5e", mesh.size, "float32")
    # Without closed axes, 4 chips send at half the rate; the message goes over two links and back.
    assert "4 x v5e, float32: at least 10.000 ms of arithmetic and 12.000 ms of communication, 0.004 ms of its" in line
    assert "(efficiency 45.4% or more)" in line


def test_a_chip_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match=r"There is no chip 'h10'.*Known: a100, h100, h200, v5e, v5p"):
        Plan(chip="h10")
    assert named_chip("h100") is CHIPS["h100"]
