"""Twins of networks in PyTorch, eager and compiled, for the benchmarks of steps and devices.

They are `torch_twin` and `torch_light_twin`: the same networks, written from the specification.
"""

import functools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.torch_light_twin import LightTwin
from benchmarks.torch_twin import UFuser

TWINS: dict[str, Any] = {
    "angularfuse": UFuser,
    "angularfuse_tuned": functools.partial(UFuser, heads=None),
    "light": LightTwin,
}


def channels_last(x: np.ndarray, device: str, dtype: torch.dtype) -> torch.Tensor:
    """[b, h, w, c] as PyTorch's [b, c, h, w], in memory as it was."""
    return torch.from_numpy(x).to(device, dtype).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def twin_calls(
    network: str,
    *,
    size: tuple[int, int],
    crops: int,
    side: int,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[Callable[[], None], Callable[[], None], nn.Module]:
    """A training step on max(I, V), a forward pass without gradients, and the twin that they run.

    Args:
        network: a key of `TWINS`, a configuration.
        size: height and width of the forward pass's pair.
        crops: of the training step.
        side: of the crops.
        device: of PyTorch.
        dtype: of the arithmetic, by autocast; parameters are float32.

    Returns:
        Two functions that wait for the device, and the twin.

    Raises:
        ValueError: if the network has no twin.
    """
    if network not in TWINS:
        raise ValueError(f"{network} has no twin in PyTorch; these have: {', '.join(TWINS)}.")
    twin = TWINS[network]().to(device, memory_format=torch.channels_last)
    adam = torch.optim.Adam(twin.parameters(), lr=1e-4)
    ir, vi_y = (channels_last(noise(n, crops, side, side, 1), device, torch.float32) for n in (0, 1))
    wide_ir, wide_vi = (channels_last(noise(n, 1, *size, 1), device, torch.float32) for n in (0, 1))
    autocast = torch.autocast(device, dtype, enabled=dtype != torch.float32)

    def step() -> None:
        adam.zero_grad()
        with autocast:
            fused = twin(ir, vi_y)
        (fused.float() - torch.maximum(ir, vi_y)).abs().mean().backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        adam.step()
        wait(device)

    def forward() -> None:
        with torch.no_grad(), autocast:
            twin(wide_ir, wide_vi)
        wait(device)

    return step, forward, twin


def wait(device: str) -> None:
    """Waits for the device to finish its work."""
    if device == "cuda":
        torch.cuda.synchronize()


def torch_rows(
    network: str, *, sizes: tuple[tuple[int, int], ...], crops: tuple[int, ...], side: int, repeats: int
) -> Iterator[tuple[str, str, str, list[float], int, float]]:
    """Times a twin, eager and through torch.compile, on a GPU if there is one.

    Args:
        network: a key of `TWINS`, a configuration.
        sizes: height and width of forward passes.
        crops: batch sizes of training steps.
        side: of the crops.
        repeats: number of timed calls.

    Yields:
        Name, work, data type, seconds of each call (none if memory was too small), images per call,
        and peak memory in bytes (NaN on a CPU).
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    works = [(f"forward {width}x{height}", 1, (height, width), 1) for height, width in sizes]
    works += [(f"step {count}x{side}x{side}", 0, (side, side), count) for count in crops]
    for compiled in (False, True):
        name = f"{network}, torch {torch.__version__} {'compiled' if compiled else 'eager'}"
        for dtype in (torch.float32, torch.bfloat16):
            for work, which, size, count in works:
                *calls, twin = twin_calls(network, size=size, crops=count, side=side, device=device, dtype=dtype)
                if compiled:
                    twin.compile()
                seconds, memory = torch_seconds(calls[which], repeats, device)
                yield name, work, str(dtype).removeprefix("torch."), seconds, count, memory


def torch_seconds(call: Callable[[], None], repeats: int, device: str) -> tuple[list[float], float]:
    """Seconds of each call after three in which PyTorch compiles and tunes itself; peak memory."""
    seconds = []
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        for _ in range(3):
            call()
        for _ in range(repeats):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    except torch.OutOfMemoryError:
        return [], math.nan
    return seconds, float(torch.cuda.max_memory_allocated()) if device == "cuda" else math.nan
