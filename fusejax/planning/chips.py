"""Peak rates of accelerators, and a breakdown of a step's time on them."""

import dataclasses
import math
from collections.abc import Mapping

from fusejax.options import did_you_mean


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peak rates of one device for dense arithmetic, from the manufacturer's data sheet.

    Attributes:
        kind: part of JAX's `device_kind`.
        tflops: 10^12 floating-point operations per second, by type; `float32` is the type in which
            XLA computes float32 products by default (TF32 on GPUs, bfloat16 on TPUs).
        bandwidth: bytes per second to and from the device's memory.
        link: bytes per second that a device sends to others in its server or slice.
        linked: number of devices connected by such links.
        network: bytes per second that a device sends beyond its server or slice.
    """

    kind: str
    tflops: Mapping[str, float]
    bandwidth: float
    link: float
    linked: int
    network: float

    def peak(self, dtype: str) -> float:
        """FLOP/s for operands of that type; NaN if the data sheet does not state it."""
        return 1e12 * self.tflops.get(dtype, math.nan)


# GPUs: NVIDIA's data sheets for the SXM boards; NVLink in one direction; one 400 Gbit/s adapter per
# GPU (200 for the A100). TPUs: Google Cloud's pages on v5e and v5p; all links of a chip in one
# direction, which is half of the bidirectional figure given there; data-center network per chip.
CHIPS = {
    "a100": Chip("A100", {"float32": 156, "bfloat16": 312}, 2.039e12, 300e9, 8, 25e9),
    "h100": Chip("H100", {"float32": 495, "bfloat16": 989}, 3.35e12, 450e9, 8, 50e9),
    "h200": Chip("H200", {"float32": 495, "bfloat16": 989}, 4.8e12, 450e9, 8, 50e9),
    "v5e": Chip("TPU v5 lite", {"float32": 197, "bfloat16": 197}, 0.819e12, 200e9, 256, 3.1e9),
    "v5p": Chip("TPU v5", {"float32": 459, "bfloat16": 459}, 2.765e12, 600e9, 8960, 6.25e9),
}


def chip_of(device_kind: str) -> Chip | None:
    """The chip that JAX calls `device_kind`; None for a chip that is not listed here."""
    fitting = [chip for chip in CHIPS.values() if chip.kind in device_kind]
    return max(fitting, key=lambda chip: len(chip.kind), default=None)


def named_chip(name: str) -> Chip:
    """The chip with a short name, a key of `CHIPS`.

    Raises:
        ValueError: if there is no chip of that name.
    """
    if name not in CHIPS:
        raise ValueError(f"There is no chip {name!r}{did_you_mean(name, CHIPS)} Known: {', '.join(CHIPS)}.")
    return CHIPS[name]


@dataclasses.dataclass(frozen=True)
class StepTime:
    """Breakdown of a step's time, in seconds.

    Attributes:
        arithmetic: FLOPs divided by the chip's peak, a lower bound.
        memory: bytes that the program reads and writes, divided by the memory bandwidth, with the
            operator fusion of the compiler that was used; other compilers read and write more or
            less.
        links: bytes that a device sends, divided by the rate of the slowest connection on the way.
    """

    arithmetic: float
    memory: float
    links: float

    @property
    def efficiency(self) -> float:
        """Fraction of the step in which a device computes, if it runs at its peak and communication
        does not overlap. Time added by the memory only raises this fraction.
        """
        return self.arithmetic / (self.arithmetic + self.links)


def step_time(chip: Chip, *, devices: int, dtype: str, flops: float, traffic: float, sent: float) -> StepTime:
    """Computes the breakdown of a step's time.

    Args:
        chip: chip of every device.
        devices: number of devices; more than `chip.linked` are connected by the network.
        dtype: data type of the network's arithmetic.
        flops: FLOPs of one device.
        traffic: bytes that one device reads and writes in its memory.
        sent: bytes that one device sends to others.
    """
    connection = chip.link if devices <= chip.linked else chip.network
    return StepTime(flops / chip.peak(dtype), traffic / chip.bandwidth, sent / connection)
