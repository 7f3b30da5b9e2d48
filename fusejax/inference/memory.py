"""Choosing the size of the tiles for an image from the available memory."""

import functools
import math
import os
import resource
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from fusejax.inference.extent import apply_within
from fusejax.inference.options import check_tile
from fusejax.inference.tiles import HALO
from fusejax.typing import Params

# Unless the user sets a limit, smaller images are fused as a whole and nothing is measured.
_SMALL = 2_000_000
_CORES = (1024, 768, 512, 384, 256, 128, 64)
_FLOAT = 4
_PLANES = 5  # float planes for an image fused as a whole: both lumas, the network's copies, its result
_RESERVE = 192 * 2**20  # bytes for compiling the network and for what the system retains


def held_bytes(vi: np.ndarray) -> int:
    """Bytes that a batch of decoded pairs takes beside the network: fused luma and results.

    The decoded images themselves are in memory already.

    Args:
        vi: the visible images, [b, h, w, c], in the type of the results.
    """
    return vi.nbytes + math.prod(vi.shape[:3]) * _FLOAT


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
    """The side of the tiles for an image, without halo, or None to fuse it as a whole.

    Args:
        model: the network.
        params: its parameters.
        size: height and width of the image.
        tile: `off`, a side in pixels, or `auto` for tiles only if the network would not fit
            otherwise.
        memory: peak memory that the process may use, in bytes; by default half of the machine's
            memory, or the free memory of an accelerator. The network gets what the process does not
            yet use, minus `held` and a reserve for compiling.
        images: number of images in a batch, when they are not cut into tiles.
        held: bytes held by the arrays of the images.

    Raises:
        ValueError: if the smallest tiles do not fit, or `tile` is not one of the above.
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
            f"A {size[1]}x{size[0]} pair needs {missing / 2**20:.0f} MiB more than the memory limit, "
            f"{held / 2**20:.0f} MiB of it for its own pixels; raise the limit."
        )
    return fitting[0]


@functools.cache
def _bytes_per_pixel(model, structure, shapes) -> float:
    """Bytes of intermediate values per pixel, from the network compiled for 256x256."""
    params = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes])
    image = jax.ShapeDtypeStruct((1, 256, 256, 1), jnp.float32)
    extent = jnp.array([256, 256])
    compiled = jax.jit(lambda p, ir, vi_y: apply_within(model, p, ir, vi_y, extent=extent)[0])
    analysis = compiled.lower(params, image, image).compile().memory_analysis()
    if analysis is None:
        raise ValueError("This platform does not report how much memory a network needs; set the side of the tiles.")
    return analysis.temp_size_in_bytes / 256**2


def _free(memory: int | None) -> float:
    if memory is not None:
        return memory - _in_use()
    if stats := jax.devices()[0].memory_stats():
        return stats["bytes_limit"] - stats["bytes_in_use"]
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 - _in_use()


def _in_use() -> int:
    """Bytes of memory used by this process; if the system does not report it, the peak so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)
