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
        axes: axes of the grid that the links form; 1 in a server, whose GPUs form a chain.
        closed: number of devices from which the ends of each axis are linked too. Smaller grids
            send at half the rate.
        hop: seconds that a message takes from one device to the next.
        network_hop: the same between servers or slices.
    """

    kind: str
    tflops: Mapping[str, float]
    bandwidth: float
    link: float
    linked: int
    network: float
    axes: int
    closed: int
    hop: float
    network_hop: float

    def peak(self, dtype: str) -> float:
        """FLOP/s for operands of that type; NaN if the data sheet does not state it."""
        return 1e12 * self.tflops.get(dtype, math.nan)


# Sources. GPUs: NVIDIA's data sheets for the SXM boards (A100 80GB, H100, H200; dense rates, not
# those with sparsity); NVLink in one direction, half of the data sheet's figure; one 400 Gbit/s
# adapter per GPU as in DGX H100 (200 in DGX A100); times of a hop from NCCL's src/graph/tuning.cc
# (tree, LL128). TPUs: https://docs.cloud.google.com/tpu/docs/v5e and .../v5p; all links of a chip
# in one direction, half of the bidirectional figure given there; data-center network per chip (v5e:
# 6.4 Tbit/s for 256). Closed axes and 1 us per hop from https://jax-ml.github.io/scaling-book
# (tpus, sharding); the 10 us between slices are an assumption, no public source states them.
_GPU, _TPU = {"axes": 1, "closed": 1, "hop": 1.2e-6, "network_hop": 8.5e-6}, {"hop": 1e-6, "network_hop": 10e-6}
CHIPS = {
    "a100": Chip("A100", {"float32": 156, "bfloat16": 312}, 2.039e12, 300e9, 8, 25e9, **_GPU),
    "h100": Chip("H100", {"float32": 495, "bfloat16": 989}, 3.35e12, 450e9, 8, 50e9, **_GPU),
    "h200": Chip("H200", {"float32": 495, "bfloat16": 989}, 4.8e12, 450e9, 8, 50e9, **_GPU),
    "v5e": Chip(
        "TPU v5 lite", {"float32": 197, "bfloat16": 197}, 0.819e12, 200e9, 256, 3.1e9, axes=2, closed=256, **_TPU
    ),
    "v5p": Chip("TPU v5", {"float32": 459, "bfloat16": 459}, 2.765e12, 600e9, 8960, 6.25e9, axes=3, closed=64, **_TPU),
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
        links: bytes that a device sends, divided by the rate of its links; beyond a server or
            slice, each device also sends its share of them through the network.
        latency: time in which collectives wait for messages to arrive, however short these are.
    """

    arithmetic: float
    memory: float
    links: float
    latency: float

    @property
    def efficiency(self) -> float:
        """Fraction of the step in which a device computes, if it runs at its peak and communication
        does not overlap. Time added by the memory only raises this fraction.
        """
        return self.arithmetic / (self.arithmetic + self.links + self.latency)


def step_time(
    chip: Chip, *, devices: int, dtype: str, flops: float, traffic: float, sent: float, calls: int = 0
) -> StepTime:
    """Computes the breakdown of a step's time.

    Beyond a server or slice, collectives are taken to be hierarchical: summed within it first, then
    every device exchanges its share of the sum with its counterparts.

    Args:
        chip: chip of every device.
        devices: number of devices; more than `chip.linked` are connected by the network.
        dtype: data type of the network's arithmetic.
        flops: FLOPs of one device.
        traffic: bytes that one device reads and writes in its memory.
        sent: bytes that one device sends to others.
        calls: number of collectives, one after the other.
    """
    inside = min(devices, chip.linked)
    links = sent / (chip.link if devices >= chip.closed else chip.link / 2)
    hops = chip.hop * chip.axes * (inside ** (1 / chip.axes) - 1)  # the longest way through a square grid
    if devices > chip.linked:
        links += sent / chip.linked / chip.network
        hops += chip.network_hop * math.ceil(math.log2(devices / chip.linked))
    # Sums go to one device and back.
    return StepTime(flops / chip.peak(dtype), traffic / chip.bandwidth, links, 2 * calls * hops)
