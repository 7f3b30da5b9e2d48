"""Fusing images of any size in bounded memory, tile by tile, with the result of the whole image.

Convolutions need a halo around every tile. What a network knows about the whole image - the sums of
its channel attention and its pooled means, see `fusejax.inference.extent` - is estimated on the
image at reduced size and then made exact: a pass over all tiles adds up the sums over the full
image. One compiled function does all of this.

A block's sums depend on those of the blocks before it, so after n passes those of the first n
blocks are exact; those of the others are usually closer than before, though a pass can also move
them away. Largest difference to the whole image in gray levels of 255 after 0, 1 and 2 passes, one
image each: the released U-Net at 687x382 in tiles of 192: 1.48,
0.039, 0.013; a light network with random weights, same image: 0.26, 0.081, 0.027; a CrossFuse
network of width 16 with random weights at 370x205 in tiles of 128: 2.84, 2.20, 0.81; FusionNet with
channel gate and random weights, same image: 0.03, 0.00.
"""

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from fusejax.inference.extent import Sums, apply_within, extension_index
from fusejax.typing import Luma, Params

HALO = 32
# Passes that correct the sums before the one that fuses: see the differences above.
PASSES = 2

# Rows and columns of the image, as index arrays, to the luma of both sources there.
Read = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
# The same at reduced size: all of the image in so many rows and columns.
ReadReduced = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


class Cut(NamedTuple):
    """One tile along one axis, in pixels: where its array starts, and the part that counts."""

    start: int
    core_start: int
    core_stop: int


def cuts(side: int, core: int, halo: int) -> list[Cut]:
    """Arrays of core + 2 halo pixels that lie within `side`; their cores cover it once.

    Args:
        side: of the image, at least core + 2 halo.
        core: pixels of a core; those at the border have more.
        halo: pixels around it that are computed and not used.
    """
    size, found, begin = core + 2 * halo, [], 0
    while begin < side:
        start = min(max(begin - halo, 0), side - size)
        stop = side if start + size >= side else start + size - halo
        found.append(Cut(start, begin, stop))
        begin = stop
    return found


class Tiling:
    """A network that fuses images in tiles of one size."""

    def __init__(self, model: Any, *, core: int, halo: int = HALO):
        """Prepares tiles.

        Args:
            model: network with `remat="none"`.
            core: side in pixels of what a tile contributes, rounded up to what the network needs.
            halo: pixels around it.
        """
        self.multiple = model.multiple
        self.core, self.halo = (-(-n // self.multiple) * self.multiple for n in (core, halo))
        self.step = functools.partial(_step, model)

    def fuse(
        self, params: Params, size: tuple[int, int], read: Read, reduced: ReadReduced, *, passes: int = PASSES
    ) -> Iterator[tuple[slice, slice, Float[np.ndarray, "h w 1"]]]:
        """Fuses one image; only one tile is in memory.

        Args:
            params: of the network.
            size: height and width of the image.
            read: gives [1, h, w, 1] at the given rows and columns.
            reduced: gives [1, h, w, 1] of the given size.
            passes: passes over all tiles before the last one.

        Yields:
            Rows and columns of each core, and its fused luma in [0, 1].
        """
        axes = [self._axis(side) for side in size]
        arrays, extent, tiles = zip(*axes, strict=True)
        scaled = [self._reduced_side(side, size) for side in size]
        rows, columns = (extension_index(s, self.multiple, n) for s, n in zip(scaled, arrays, strict=True))
        images = [x[:, rows][:, :, columns] for x in reduced(*scaled)]
        own_extent, core = np.array(scaled, np.int32), np.array([0, scaled[0], 0, scaled[1]], np.int32)
        shapes = jax.eval_shape(self.step, params, *images, own_extent, core)[1]
        nothing = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
        _, sums = self.step(params, *images, own_extent, core, given=nothing, use_given=np.bool_(False))
        indices = [
            extension_index(side, self.multiple, max(n, -(-side // self.multiple) * self.multiple))
            for side, n in zip(size, arrays, strict=True)
        ]
        for n in range(passes + 1):
            total = nothing
            for cut in itertools.product(*tiles):
                (top, *rows), (left, *columns) = cut
                window = indices[0][top : top + arrays[0]], indices[1][left : left + arrays[1]]
                core = np.array([rows[0] - top, rows[1] - top, columns[0] - left, columns[1] - left], np.int32)
                fused, own = self.step(
                    params, *read(*window), np.array(extent, np.int32), core, given=sums, use_given=np.bool_(True)
                )
                if n < passes:
                    total = jax.tree.map(np.add, total, jax.device_get(own))
                    continue
                core = np.asarray(fused)[0, core[0] : core[1], core[2] : core[3]]
                stop = [min(rows[1], size[0]), min(columns[1], size[1])]
                yield (
                    slice(rows[0], stop[0]),
                    slice(columns[0], stop[1]),
                    core[: stop[0] - rows[0], : stop[1] - columns[0]],
                )
            sums = total

    def _axis(self, side: int) -> tuple[int, int, list[Cut]]:
        """Along one axis: pixels of an array, those that belong to the image, and the tiles."""
        array, used = self.core + 2 * self.halo, -(-side // self.multiple) * self.multiple
        if used <= array:
            return array, used, [Cut(0, 0, used)]
        return array, array, cuts(used, self.core, self.halo)

    def _reduced_side(self, side: int, size: tuple[int, int]) -> int:
        """The side of the reduced image, which fits one array."""
        scale = min(1.0, (self.core + 2 * self.halo) / max(size))
        return max(self.multiple, int(side * scale) // self.multiple * self.multiple)


@functools.partial(jax.jit, static_argnums=0)
def _step(
    model: Any,
    params: Params,
    ir: Luma,
    vi_y: Luma,
    extent: Array,
    core: Array,
    *,
    given: Any = None,
    use_given: Array | bool = True,
) -> tuple[Luma, Sums]:
    fused_y, sums = apply_within(model, params, ir, vi_y, extent=extent, core=core, given=given, use_given=use_given)
    return jnp.clip(fused_y, 0.0, 1.0), sums


def fuse_in_tiles(
    model: Any, params: Params, ir: Float[np.ndarray, "b h w 1"], vi_y: Float[np.ndarray, "b h w 1"], *, core: int
) -> Float[np.ndarray, "b h w 1"]:
    """Fused luma of whole images, one after the other in tiles, see `Tiling`."""
    tiling, fused = Tiling(model, core=core), np.empty(vi_y.shape, np.float32)
    for n in range(len(ir)):
        pair = ir[n, ..., 0], vi_y[n, ..., 0]

        def read(rows: np.ndarray, columns: np.ndarray, pair=pair) -> tuple[np.ndarray, np.ndarray]:
            ir_tile, vi_tile = (x[np.ix_(rows, columns)].astype(np.float32)[None, ..., None] for x in pair)
            return ir_tile, vi_tile

        def reduced(height: int, width: int, pair=pair) -> tuple[np.ndarray, np.ndarray]:
            ir_small, vi_small = (
                cv2.resize(x, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)[None, ..., None]
                for x in pair
            )
            return ir_small, vi_small

        for rows, columns, luma in tiling.fuse(params, vi_y.shape[1:3], read, reduced):
            fused[n, rows, columns] = luma
    return fused
