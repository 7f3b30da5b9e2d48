"""How large the tiles of an image may be."""

import functools
import os
import re
import resource
import sys

import jax
import jax.numpy as jnp

from fusejax.inference.extent import apply_within
from fusejax.inference.tiles import HALO
from fusejax.typing import Params

# Without a limit by the user, smaller images are fused whole and nothing is measured.
_SMALL = 2_000_000
_CORES = (1024, 768, 512, 384, 256, 128, 64)
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


def choose_core(
    model, params: Params, size: tuple[int, int], *, tile: str | int = "auto", memory: int | None = None
) -> int | None:
    """The side of the tiles for an image, without halo, or None to fuse it whole.

    Args:
        model: the network.
        params: its parameters.
        size: height and width of the image.
        tile: `off`, a side in pixels, or `auto`: tiles if the network does not fit otherwise.
        memory: bytes that the process may use at its peak; by default half of the machine's, or
            what is free on an accelerator. The network gets half of what the process has not used
            yet; the rest is left for reading, color and writing.

    Raises:
        ValueError: if the smallest tiles do not fit, or `tile` is none of the above.
    """
    check_tile(tile)
    if tile == "off":
        return None
    if tile != "auto":
        return int(tile)
    if memory is None and size[0] * size[1] <= _SMALL:
        return None
    needed = _bytes_per_pixel(model, jax.tree.structure(params), tuple(x.shape for x in jax.tree.leaves(params)))
    budget = _free(memory) / 2
    if needed * size[0] * size[1] <= budget:
        return None
    fitting = [core for core in _CORES if needed * (core + 2 * HALO) ** 2 <= budget]
    if not fitting:
        least = needed * (_CORES[-1] + 2 * HALO) ** 2
        raise ValueError(f"The smallest tiles need {2 * least / 2**20:.0f} MiB more than is in use; allow more memory.")
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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    if memory is not None:
        return memory - peak
    if stats := jax.devices()[0].memory_stats():
        return stats["bytes_limit"] - stats["bytes_in_use"]
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total / 2 - peak
