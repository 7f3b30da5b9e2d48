"""Fusing arrays: the result has the size, type and color of the visible image."""

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from fusejax.data.images import from_float
from fusejax.inference.compilation import keep_compilations
from fusejax.inference.extent import apply_within, extension_index, without_remat
from fusejax.inference.memory import choose_core
from fusejax.inference.pair_arrays import Plane, check_pair, stretch_pair, unit_infrared, unit_visible
from fusejax.inference.thermal import Polarity, RangeOption, check_range
from fusejax.inference.tiles import fuse_in_tiles
from fusejax.models import NETWORKS, ModelConfig, build
from fusejax.ops.arrays import as_array
from fusejax.ops.color import recolor, rgb_to_luma
from fusejax.typing import Params
from fusejax.weights.files import load_weights

Luma = Float[np.ndarray, "b h w 1"]


@dataclasses.dataclass(frozen=True)
class Fused:
    """What fusing one pair gives.

    Attributes:
        image: the fused image, of the shape and type of the visible one.
        luma: its luma before color is added, float32 in [0, 1].
        ir: the infrared image as the network saw it, float32 in [0, 1].
        maps: the network's maps by name, in [0, 1]; empty unless asked for.
    """

    image: np.ndarray
    luma: Plane
    ir: Plane
    maps: dict[str, Plane] = dataclasses.field(default_factory=dict)


def bucket(side: int, network_multiple: int = 1) -> int:
    """The side in pixels of the array that an image is put on.

    One compiled function serves all sizes of a bucket: multiples of 16 up to 64, of 64 up to 256,
    of 128 beyond, and of what the network needs. The network does not see what lies beyond the
    image (`fusejax.inference.extent`).
    """
    multiple = math.lcm(network_multiple, 16 if side <= 64 else 64 if side <= 256 else 128)
    return -(-side // multiple) * multiple


class Fuser:
    """A network with its weights, ready for images of any size.

    Each image is extended at the bottom and right to a bucket that depends on its own size only,
    and cropped back; its result depends neither on the bucket nor on the other images.
    """

    def __init__(
        self, params: Params, model_config: ModelConfig, *, tile: str | int = "auto", memory: int | None = None
    ):
        """Keeps weights and options.

        Args:
            params: parameters of the network.
            model_config: of the network.
            tile: `off` fuses images whole, a number in tiles of this side in pixels, `auto` in
                tiles if the network needs more memory than there is. How far the result of
                tiles differs from that of the whole image: see `fusejax.inference.tiles`.
            memory: bytes that the process may use, for `auto`; by default half of the machine's.
        """
        keep_compilations()
        self.params, self.model = params, build(without_remat(model_config))
        self.tile, self.memory = tile, memory

    @classmethod
    def load(cls, weights: str | Path = "light", *, tile: str | int = "auto", memory: int | None = None) -> "Fuser":
        """Loads weights.

        Args:
            weights: shipped name, .safetensors file, folder of a finished run, or an .onnx or
                .stablehlo file that `fusejax export` wrote.
            tile: see `Fuser`.
            memory: see `Fuser`.

        Raises:
            ValueError: if there are no usable weights.
        """
        if Path(weights).suffix in (".onnx", ".stablehlo"):
            from fusejax.export.loading import ExportedFuser

            return ExportedFuser(Path(weights))
        params, model_config, _ = load_weights(weights)
        return cls(jax.device_put(params), model_config, tile=tile, memory=memory)

    def fuse_luma(self, ir: Luma, vi_y: Luma) -> Luma:
        """Fused luma of a batch of equal size: float32 in [0, 1], in and out."""
        h, w = ir.shape[1:3]
        core = choose_core(self.model, self.params, (h, w), tile=self.tile, memory=self.memory)
        if core is not None:
            return fuse_in_tiles(self.model, self.params, ir, vi_y, core=core)
        return np.asarray(_forward(self.model, self.params, *self._extended(ir, vi_y)))[:, :h, :w]

    def maps(self, ir: Luma, vi_y: Luma) -> dict[str, Luma]:
        """The network's maps of a batch of equal size by name, in [0, 1], for luma in [0, 1].

        Raises:
            ValueError: if the network has no maps.
        """
        return self._fuse_with_maps(ir, vi_y)[1]

    def _fuse_with_maps(self, ir: Luma, vi_y: Luma) -> tuple[Luma, dict[str, Luma]]:
        self.check_maps()
        h, w = ir.shape[1:3]
        fused_y, maps = jax.tree.map(
            lambda x: np.asarray(x)[:, :h, :w], _outputs(self.model, self.params, *self._extended(ir, vi_y))
        )
        return fused_y, maps

    def _extended(self, *images: Luma) -> list[np.ndarray]:
        """Images on arrays of the bucket, and how much of an array the network may look at."""
        multiple, sides = self.model.multiple, images[0].shape[1:3]
        rows, columns = (extension_index(side, multiple, bucket(side, multiple)) for side in sides)
        extent = np.array([-(-side // multiple) * multiple for side in sides], np.int32)
        return [*(x.astype(np.float32)[:, rows][:, :, columns] for x in images), extent]

    def check_maps(self) -> None:
        """Raises ValueError for a network that has no maps."""
        if "maps" not in self.model.provides:
            having = [network.__name__ for network in NETWORKS.values() if "maps" in network.provides]
            raise ValueError(f"{type(self.model).__name__} has no maps; networks that do: {', '.join(having)}.")

    def fuse(
        self,
        ir: Any,
        vi: Any,
        *,
        stretch: bool = False,
        ir_range: RangeOption = "auto",
        ir_polarity: Polarity = "white",
    ) -> Shaped[np.ndarray, "..."]:
        """Fuses one pair, or a batch with a leading axis; see `fuse`."""
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
    ) -> Fused:
        """Like `fuse`, with luma, infrared and, if asked for, the maps; the network runs once.

        Args:
            ir: see `fuse`.
            vi: see `fuse`.
            stretch: see `fuse`.
            ir_range: see `fuse`.
            ir_polarity: see `fuse`.
            bits: 8 or 16 for an integer image of this depth; by default of the type of `vi`.
            maps: also compute the network's maps.

        Raises:
            ValueError: see `fuse`; and if the network has no maps.
        """
        ir_range = check_range(ir_range)
        ir, vi = np.asarray(as_array(ir, "ir")), np.asarray(as_array(vi, "vi"))
        check_pair(ir, vi)
        vi_rgb = unit_visible(vi)
        ir_y = unit_infrared(ir, ir_range, ir_polarity)
        gray = vi_rgb.shape[-1] == 1
        vi_y = vi_rgb if gray else rgb_to_luma(vi_rgb)
        batched = ir_y.ndim == 4
        sources = (ir_y, vi_y) if batched else (ir_y[None], vi_y[None])
        fused_y, found = self._fuse_with_maps(*sources) if maps else (self.fuse_luma(*sources), {})
        if not batched:
            fused_y, found = fused_y[0], {name: values[0] for name, values in found.items()}
        if stretch:
            fused_y = stretch_pair(fused_y, ir_y, vi_y)
        fused = (fused_y if gray else recolor(fused_y, vi_rgb)).reshape(vi.shape)
        dtype = np.dtype({8: np.uint8, 16: np.uint16}[bits] if bits else vi.dtype)
        image = fused.astype(dtype) if np.issubdtype(dtype, np.floating) else from_float(fused, dtype)
        return Fused(image, fused_y, ir_y, found)


# Compiled for a network and a size, not for an instance of `Fuser`.
@functools.partial(jax.jit, static_argnames="model")
def _forward(model, params, ir, vi_y, extent):
    """Clipped: a network that blends images can leave the range by its residual."""
    return jnp.clip(apply_within(model, params, ir, vi_y, extent=extent)[0], 0.0, 1.0)


@functools.partial(jax.jit, static_argnames="model")
def _outputs(model, params, ir, vi_y, extent):
    found = apply_within(model, params, ir, vi_y, extent=extent, method="outputs")[0]
    return jnp.clip(found["fused_y"], 0.0, 1.0), found["maps"]


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
    """Fuses an infrared and a visible image of one scene, registered to each other.

    The luma of the visible image (BT.601, full range) is fused with the infrared one; chroma comes
    from the visible image.

    Args:
        ir: [h, w], [h, w, 1] or [h, w, 3] (its luma is used), or a batch of them; uint8, uint16 or
            float.
        vi: [h, w], [h, w, 1] (gray) or [h, w, 3] (RGB), or a batch; uint8, uint16, or float in
            [0, 1].
        weights: shipped name, .safetensors file or folder of a finished run.
        stretch: stretch each fused luma to the full range; off by default, because it changes what
            gray levels mean. A pair without any contrast is left as it is.
        ir_range: values of `ir` that are black and white. "full": the range of the type, 0 to 1 for
            floats; (LOW, HIGH): these values; "auto": the range of the type for 8 bit and for
            images that use it, else the darkest and brightest values without outliers, with a
            warning that names them. See `fusejax.inference.thermal.automatic_ranges`. Frames of a
            video keep their relation only if the range is the same for all.
        ir_polarity: "white" if hot is bright in `ir`, "black" if hot is dark.

    Returns:
        Array of the shape and type of `vi`: color in, color out.

    Raises:
        ValueError: for sizes that differ, other shapes or types, NaN, and floats outside [0, 1]
            where they are not allowed.
    """
    return _loaded(str(weights)).fuse(ir, vi, stretch=stretch, ir_range=ir_range, ir_polarity=ir_polarity)
