"""How large the tiles of an image may be."""

import functools
import math
import os
import re
import resource
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fusejax.inference.extent import apply_within
from fusejax.inference.tiles import HALO
from fusejax.typing import Params

# Without a limit by the user, smaller images are fused whole and nothing is measured.
_SMALL = 2_000_000
_CORES = (1024, 768, 512, 384, 256, 128, 64)
_FLOAT = 4
_PLANES = 5  # of floats for an image that is fused whole: both lumas, the network's copies, its result
_RESERVE = 192 * 2**20  # for compiling the network and for what the system keeps
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def parse_memory(text: str) -> int:
    """Bytes from a number with unit K, M or G (powers of 1024), such as `2G` or `800M`.

    Raises:
        ValueError: for anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)(?:i?B)?", text.strip(), flags=re.IGNORECASE)
    if not match:
        raise ValueError(f"memory is {text!r}; give a number with K, M or G, such as 2G.")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def check_tile(tile: str | int) -> None:
    """Raises ValueError unless `tile` is `auto`, `off` or a side in pixels."""
    if tile not in ("auto", "off") and not (str(tile).isdecimal() and int(tile) > 0):
        raise ValueError(f"tile is {tile!r}; expected auto, off or a side in pixels.")


def held_bytes(ir_type: np.dtype, vi: np.ndarray) -> int:
    """Bytes of the arrays of a batch of pairs beside the network: sources, fused luma and images.

    Args:
        ir_type: of the infrared images.
        vi: the visible images, [b, h, w, c].
    """
    pixels = math.prod(vi.shape[:3])
    return 2 * vi.nbytes + pixels * (np.dtype(ir_type).itemsize + _FLOAT)


def choose_core(
    model,
    params: Params,
    size: tuple[int, int],
    *,
    tile: str | int = "auto",
    memory: int | None = None,
    images: int = 1,
    held: int = 0,
) -> int | None:
    """The side of the tiles for an image, without halo, or None to fuse it whole.

    Args:
        model: the network.
        params: its parameters.
        size: height and width of the image.
        tile: `off`, a side in pixels, or `auto`: tiles if the network does not fit otherwise.
        memory: bytes that the process may use at its peak; by default half of the machine's, or
            what is free on an accelerator. The network gets what the process does not use yet, less
            `held` and a reserve for compiling.
        images: how many images go through the network together, where they are not cut.
        held: bytes of the images' own arrays.

    Raises:
        ValueError: if the smallest tiles do not fit, or `tile` is none of the above.
    """
    check_tile(tile)
    if tile == "off":
        return None
    if tile != "auto":
        return int(tile)
    pixels = images * size[0] * size[1]
    if memory is None and pixels <= _SMALL:
        return None
    needed = _bytes_per_pixel(model, jax.tree.structure(params), tuple(x.shape for x in jax.tree.leaves(params)))
    budget = _free(memory) - held - _RESERVE
    if (needed + _PLANES * _FLOAT) * pixels <= budget:
        return None
    fitting = [core for core in _CORES if needed * (core + 2 * HALO) ** 2 <= budget]
    if not fitting:
        missing = needed * (_CORES[-1] + 2 * HALO) ** 2 - budget
        raise ValueError(
            f"A {size[1]}x{size[0]} pair needs {missing / 2**20:.0f} MiB more than the memory that it may use, "
            f"{held / 2**20:.0f} MiB of it for its own pixels; allow more."
        )
    return fitting[0]


@functools.cache
def _bytes_per_pixel(model, structure, shapes) -> float:
    """Of the intermediate values, from the compiled network at 256x256."""
    params = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes])
    image = jax.ShapeDtypeStruct((1, 256, 256, 1), jnp.float32)
    extent = jnp.array([256, 256])
    compiled = jax.jit(lambda p, ir, vi_y: apply_within(model, p, ir, vi_y, extent=extent)[0])
    analysis = compiled.lower(params, image, image).compile().memory_analysis()
    if analysis is None:
        raise ValueError("This platform does not say how much memory a network needs; give the side of the tiles.")
    return analysis.temp_size_in_bytes / 256**2


def _free(memory: int | None) -> float:
    if memory is not None:
        return memory - _in_use()
    if stats := jax.devices()[0].memory_stats():
        return stats["bytes_limit"] - stats["bytes_in_use"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 - _in_use()


def _in_use() -> int:
    """Bytes of this process in memory; where the system does not tell, their peak so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)
