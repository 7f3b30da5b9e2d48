"""What accelerators can do at most, and what a step's time on them is made of."""

import dataclasses
import math
from collections.abc import Mapping

from fusejax.options import did_you_mean


@dataclasses.dataclass(frozen=True)
class Chip:
    """Peaks of one device, from its maker's data sheet, for dense arithmetic.

    Attributes:
        kind: part of JAX's `device_kind`.
        tflops: 10^12 floating-point operations a second by type; `float32` is what XLA computes
            float32 products in by default (TF32 on GPUs, bfloat16 on TPUs).
        bandwidth: bytes a second from and to the device's memory.
        link: bytes a second that a device sends to the others of its server or slice.
        linked: devices that reach each other so.
        network: bytes a second that a device sends where one server or slice is not enough.
    """

    kind: str
    tflops: Mapping[str, float]
    bandwidth: float
    link: float
    linked: int
    network: float

    def peak(self, dtype: str) -> float:
        """FLOP/s for operands of that type; NaN if the data sheet does not say."""
        return 1e12 * self.tflops.get(dtype, math.nan)


# GPUs: NVIDIA's data sheets of the SXM boards; NVLink in one direction; a 400 Gbit/s adapter a GPU
# (200 for the A100). TPUs: Google Cloud's pages of v5e and v5p; all links of a chip in one
# direction, which is half of the bidirectional figure there; data-center network of a chip.
CHIPS = {
    "a100": Chip("A100", {"float32": 156, "bfloat16": 312}, 2.039e12, 300e9, 8, 25e9),
    "h100": Chip("H100", {"float32": 495, "bfloat16": 989}, 3.35e12, 450e9, 8, 50e9),
    "h200": Chip("H200", {"float32": 495, "bfloat16": 989}, 4.8e12, 450e9, 8, 50e9),
    "v5e": Chip("TPU v5 lite", {"float32": 197, "bfloat16": 197}, 0.819e12, 200e9, 256, 3.1e9),
    "v5p": Chip("TPU v5", {"float32": 459, "bfloat16": 459}, 2.765e12, 600e9, 8960, 6.25e9),
}


def chip_of(device_kind: str) -> Chip | None:
    """The chip that JAX calls `device_kind`; None for one whose peaks are not listed here."""
    fitting = [chip for chip in CHIPS.values() if chip.kind in device_kind]
    return max(fitting, key=lambda chip: len(chip.kind), default=None)


def named_chip(name: str) -> Chip:
    """The chip of a short name, a key of `CHIPS`.

    Raises:
        ValueError: for another name.
    """
    if name not in CHIPS:
        raise ValueError(f"There is no chip {name!r}{did_you_mean(name, CHIPS)} Known: {', '.join(CHIPS)}.")
    return CHIPS[name]


@dataclasses.dataclass(frozen=True)
class StepTime:
    """What a step's time is made of, in seconds.

    Attributes:
        arithmetic: FLOPs over the chip's peak: less is impossible.
        memory: bytes that the program reads and writes over the memory's bandwidth, as far as the
            compiler that was asked fuses; another one reads and writes more or less.
        links: bytes that a device sends, over the slowest connection on the way.
    """

    arithmetic: float
    memory: float
    links: float

    @property
    def efficiency(self) -> float:
        """Share of the step in which a device computes, if nothing overlaps with what it sends and
        it runs at its peak. Time that the memory adds only raises it.
        """
        return self.arithmetic / (self.arithmetic + self.links)


def step_time(chip: Chip, *, devices: int, dtype: str, flops: float, traffic: float, sent: float) -> StepTime:
    """The parts of a step's time.

    Args:
        chip: of every device.
        devices: how many; more than `chip.linked` are joined by the network.
        dtype: type of the network's arithmetic.
        flops: of one device.
        traffic: bytes that one device reads and writes in its memory.
        sent: bytes that one device sends to others.
    """
    connection = chip.link if devices <= chip.linked else chip.network
    return StepTime(flops / chip.peak(dtype), traffic / chip.bandwidth, sent / connection)
