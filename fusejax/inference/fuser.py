"""Fusing arrays; the result has the size, data type and color of the visible image."""

import functools
import threading
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float, Shaped

from fusejax.inference.compilation import keep_compilations
from fusejax.inference.extent import without_remat
from fusejax.inference.memory import choose_core, held_bytes
from fusejax.inference.pair_arrays import Fused, Sources, check_pair, finish, integer_type, make_sources
from fusejax.inference.thermal import Polarity, RangeOption, check_range
from fusejax.inference.tiles import OnTile, fuse_in_tiles
from fusejax.inference.whole import fuse_whole, fuse_with_maps
from fusejax.models import NETWORKS, ModelConfig, build
from fusejax.ops.arrays import as_array
from fusejax.typing import Params
from fusejax.weights.files import load_weights

Luma = Float[np.ndarray, "b h w 1"]


class Fuser:
    """A network with its weights, ready for images of any size.

    Each image is padded at the bottom and right to a bucket size that depends only on its own size,
    and the result is cropped back. The result depends neither on the bucket nor on the other
    images. With `exact_size`, the network is compiled for the exact size instead. For light
    networks, this takes about half the time of the bucket's program, and the result differs only by
    float rounding. `fuse_folder` uses it for sizes that many pairs of the folder share.
    """

    def __init__(
        self, params: Params, model_config: ModelConfig, *, tile: str | int = "auto", memory: int | None = None
    ):
        """Stores weights and options.

        Args:
            params: parameters of the network.
            model_config: configuration of the network.
            tile: `off` fuses each image as a whole, a number is the side of the tiles in pixels,
                and `auto` uses tiles if the network would need more memory than is available. See
                `fusejax.inference.tiles` for how much the tiled result differs from that of the
                whole image.
            memory: bytes that the process may use, for `auto`; by default half of the machine's
                memory.
        """
        keep_compilations()
        self.params, self.model = params, build(without_remat(model_config))
        self.tile, self.memory = tile, memory
        self._cores: dict[tuple[tuple[int, int], int], int | None] = {}
        self._choosing = threading.Lock()

    @classmethod
    def load(cls, weights: str | Path = "light", *, tile: str | int = "auto", memory: int | None = None) -> "Fuser":
        """Loads weights.

        Args:
            weights: shipped name, .safetensors file, folder of a finished run, or an .onnx or
                .stablehlo file written by `fusejax export`.
            tile: see `Fuser`.
            memory: see `Fuser`.

        Returns:
            A fuser with these weights.

        Raises:
            ValueError: if there are no usable weights.
        """
        if Path(weights).suffix in (".onnx", ".stablehlo"):
            from fusejax.export.loading import ExportedFuser

            return ExportedFuser(Path(weights))
        params, model_config, _ = load_weights(weights)
        return cls(jax.device_put(params), model_config, tile=tile, memory=memory)

    def fuse_luma(self, ir: Luma, vi_y: Luma, *, exact_size: bool = False) -> Luma:
        """Fuses a batch of images of equal size; input and output are float32 luma in [0, 1].

        Args:
            ir: infrared luma.
            vi_y: luma of the visible images.
            exact_size: whether to compile for the exact size, see `Fuser`.

        Returns:
            float32 [b, h, w, 1] in [0, 1].
        """
        if self.tile_side(sources := Sources(ir, vi_y)) is None:
            return self._fuse_whole(ir, vi_y, exact_size=exact_size)
        return self.fuse_sources(sources)

    def fuse_sources(self, sources: Sources, *, exact_size: bool = False, on_tile: OnTile | None = None) -> Luma:
        """Fuses pairs in their original data types, as a whole or in tiles.

        Args:
            sources: a pair or a batch of pairs.
            exact_size: whether to compile for the exact size, see `Fuser`.
            on_tile: for progress, see `fusejax.inference.tiles.OnTile`.

        Returns:
            Fused luma, float32 [b, h, w, 1] in [0, 1].
        """
        core = self.tile_side(sources)
        if core is not None:
            return fuse_in_tiles(self.model, self.params, sources, core=core, on_tile=on_tile)
        return self._fuse_whole(*sources.planes, exact_size=exact_size)

    def tile_side(self, sources: Sources) -> int | None:
        """Chooses the tiles used for these pairs.

        The answer is cached per size and data type, so memory that is allocated later does not
        change it.

        Args:
            sources: a pair or a batch of pairs.

        Returns:
            Their side in pixels; None if the pairs are fused as a whole.

        Raises:
            ValueError: if memory does not suffice for the smallest tiles.
        """
        held = held_bytes(sources.vi)
        with self._choosing:
            if (key := (sources.size, held)) not in self._cores:
                options = {"tile": self.tile, "memory": self.memory, "images": len(sources.vi), "held": held}
                self._cores[key] = choose_core(self.model, self.params, sources.size, **options)
            return self._cores[key]

    def _fuse_whole(self, ir: Luma, vi_y: Luma, *, exact_size: bool) -> Luma:
        return fuse_whole(self.model, self.params, ir, vi_y, exact_size=exact_size)

    def maps(self, ir: Luma, vi_y: Luma) -> dict[str, Luma]:
        """The network's maps for a batch of equal size.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible images in [0, 1].

        Returns:
            By name, float32 [b, h, w, 1] in [0, 1].

        Raises:
            ValueError: if the network has no maps.
        """
        return self.fuse_with_maps(Sources(ir, vi_y))[1]

    def fuse_with_maps(self, sources: Sources) -> tuple[Luma, dict[str, Luma]]:
        """Fuses pairs in their original data types and returns the network's maps; never tiled.

        Args:
            sources: a pair or a batch of pairs.

        Returns:
            Fused luma, float32 [b, h, w, 1] in [0, 1], and the maps, see `maps`.

        Raises:
            ValueError: if the network has no maps.
        """
        self.check_maps()
        return fuse_with_maps(self.model, self.params, *sources.planes)

    def check_maps(self) -> None:
        """Refuses networks without maps.

        Raises:
            ValueError: if the network has none; names the networks that have.
        """
        if "maps" not in self.model.provides:
            having = [network.__name__ for network in NETWORKS.values() if "maps" in network.provides]
            raise ValueError(f"{type(self.model).__name__} has no maps; networks that have: {', '.join(having)}.")

    def fuse(
        self,
        ir: Any,
        vi: Any,
        *,
        stretch: bool = False,
        ir_range: RangeOption = "auto",
        ir_polarity: Polarity = "white",
    ) -> Shaped[np.ndarray, "..."]:
        """Fuses one pair, or a batch with a leading axis.

        Args:
            ir: see `fusejax.fuse`.
            vi: see `fusejax.fuse`.
            stretch: see `fusejax.fuse`.
            ir_range: see `fusejax.fuse`.
            ir_polarity: see `fusejax.fuse`.

        Returns:
            Array with the shape and type of `vi`: color in, color out.
        """
        return self.fuse_pair(ir, vi, stretch=stretch, ir_range=ir_range, ir_polarity=ir_polarity).image

    def fuse_pair(
        self,
        ir: Any,
        vi: Any,
        *,
        stretch: bool = False,
        ir_range: RangeOption = "auto",
        ir_polarity: Polarity = "white",
        bits: Literal[8, 16] | None = None,
        maps: bool = False,
        exact_size: bool = False,
    ) -> Fused:
        """Like `fuse`, but also returns luma, infrared and, if requested, maps.

        Args:
            ir: see `fuse`.
            vi: see `fuse`.
            stretch: see `fuse`.
            ir_range: see `fuse`.
            ir_polarity: see `fuse`.
            bits: 8 or 16 for an integer image of this depth; by default the type of `vi`.
            maps: also compute the network's maps, for the whole image.
            exact_size: whether to compile for the exact size, see `Fuser`.

        Returns:
            Image, luma, maps and sources, from one run of the network.

        Raises:
            ValueError: see `fuse`; and if the network has no maps.
        """
        ir_range = check_range(ir_range)
        ir, vi = np.asarray(as_array(ir, "ir")), np.asarray(as_array(vi, "vi"))
        check_pair(ir, vi)
        sources = make_sources(ir, vi, ir_range, ir_polarity)
        if maps:
            fused_y, found = self.fuse_with_maps(sources)
        else:
            fused_y, found = self.fuse_sources(sources, exact_size=exact_size), {}
        image, fused_y = finish(sources, fused_y, stretch=stretch, dtype=integer_type(bits) or vi.dtype)
        if ir.ndim < 4:
            fused_y, found = fused_y[0], {name: values[0] for name, values in found.items()}
        return Fused(image.reshape(vi.shape), fused_y, found, sources)


@functools.cache
def _loaded(weights: str) -> Fuser:
    return Fuser.load(weights)


def fuse(
    ir: Any,
    vi: Any,
    *,
    weights: str | Path = "light",
    stretch: bool = False,
    ir_range: RangeOption = "auto",
    ir_polarity: Polarity = "white",
) -> Shaped[np.ndarray, "..."]:
    """Fuses an infrared and a visible image of the same scene, registered to each other.

    The luma of the visible image (BT.601, full range) is fused with the infrared image; chroma is
    taken from the visible image.

    Args:
        ir: [h, w], [h, w, 1] or [h, w, 3] (its luma is used), or a batch of such images; uint8,
            uint16 or float.
        vi: [h, w], [h, w, 1] (gray) or [h, w, 3] (RGB), or a batch; uint8, uint16, or float in
            [0, 1].
        weights: shipped name, .safetensors file or folder of a finished run.
        stretch: stretch the luma of each fused image to the full range; off by default, because it
            changes the meaning of gray levels. A pair without contrast is not changed.
        ir_range: values of `ir` that map to black and white. "full": the range of the data type, 0
            to 1 for floats. (LOW, HIGH): these values. "auto": the range of the data type for 8-bit
            images and for images that use it; otherwise the lowest and highest values without
            outliers, with a warning that states them. See
            `fusejax.inference.thermal.automatic_ranges`. Frames of a video are comparable only if
            all use the same range.
        ir_polarity: "white" if hot is bright in `ir`, "black" if hot is dark.

    Returns:
        Array with the shape and data type of `vi`: color in, color out.

    Raises:
        ValueError: for unequal sizes, unsupported shapes or types, NaN, and floats outside [0, 1]
            where these are not allowed.
    """
    return _loaded(str(weights)).fuse(ir, vi, stretch=stretch, ir_range=ir_range, ir_polarity=ir_polarity)
