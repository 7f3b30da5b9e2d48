"""Networks of the library as backends: whole images in buckets, or tiles if memory is short."""

import functools
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from fusejax.inference.backend import Backend, Differentiable, Luma, Planes
from fusejax.inference.compilation import keep_compilations
from fusejax.inference.extent import spatial_problem, without_remat
from fusejax.inference.memory import choose_core, held_bytes
from fusejax.inference.options import check_tile, memory_limit
from fusejax.inference.pair_arrays import Sources
from fusejax.inference.tiles import OnTile, fuse_in_tiles
from fusejax.inference.whole import fuse_traced, fuse_whole, fuse_with_maps
from fusejax.io.pairing import size_text
from fusejax.models import NETWORKS, ModelConfig, build
from fusejax.ops.extent import bucket
from fusejax.typing import Params
from fusejax.weights.files import load_weights


class Fuser(Backend):
    """A network with its weights, ready for images of any size.

    Each image is padded at the bottom and right to a bucket size that depends only on its own size,
    and the result is cropped back. The result depends neither on the bucket nor on the other
    images. With `exact_size`, the network is compiled for the exact size instead. For light
    networks, this takes about half the time of the bucket's program, and the result differs only by
    float rounding. `fuse_folder` uses it for sizes that many pairs of the folder share. Networks
    that combine pixels in a way that the library does not know always use it.

    Example:
        >>> import numpy as np
        >>> network = Fuser.load("light")
        >>> ir, vi = np.zeros((2, 32, 32, 1), np.float32), np.ones((2, 32, 32, 1), np.float32)
        >>> network.fuse(ir, vi).shape  # a batch
        (2, 32, 32, 1)
    """

    def __init__(
        self,
        params: Params,
        model_config: ModelConfig,
        *,
        tile: str | int = "auto",
        memory: int | str | None = None,
        name: str | None = None,
        provenance: Mapping[str, Any] | None = None,
    ):
        """Stores weights and options.

        Args:
            params: parameters of the network.
            model_config: configuration of the network.
            tile: `off` fuses each image as a whole, a number is the side of the tiles in pixels,
                and `auto` uses tiles if the network would need more memory than is available. See
                `fusejax.inference.tiles` for how much the tiled result differs from that of the
                whole image.
            memory: what the process may use, for `auto`: bytes, or a text such as "2G"; by default
                half of the machine's memory.
            name: see `Backend`; by default the name of the network.
            provenance: see `Backend`; by default only the network.

        Raises:
            ValueError: if `tile` or `memory` is something else.
        """
        check_tile(tile)
        keep_compilations()
        self.params, self.model = params, build(without_remat(model_config))
        self.tile, self.memory = tile, memory_limit(memory)
        network = type(self.model).__name__
        self._name, self._provenance = name or network, {"network": network} | dict(provenance or {})
        self._cores: dict[tuple[tuple[int, int], int], int | None] = {}
        self._choosing = threading.Lock()

    @classmethod
    def load(
        cls, weights: str | Path = "light", *, tile: str | int = "auto", memory: int | str | None = None
    ) -> "Fuser":
        """Loads weights of the library's networks; `fusejax.load` also loads everything else.

        Args:
            weights: shipped name, .safetensors file, or folder of a run.
            tile: see `Fuser`.
            memory: see `Fuser`.

        Returns:
            A fuser with these weights.

        Raises:
            ValueError: if there are no usable weights.
        """
        params, model_config, training = load_weights(weights)
        return cls(
            jax.device_put(params),
            model_config,
            tile=tile,
            memory=memory,
            name=Path(weights).name.removesuffix(".safetensors"),
            provenance={"weights": str(weights), "training": training},
        )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_cores", "_choosing")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _cores={}, _choosing=threading.Lock())

    @property
    def name(self) -> str:
        """The name of the weights, or of the network."""
        return self._name

    @property
    def provenance(self) -> Mapping[str, Any]:
        """The network, and where the weights come from."""
        return self._provenance

    @property
    def network(self) -> Differentiable:
        """The network with its parameters."""
        return Differentiable(self.model, self.params)

    def fuse_luma(self, ir: Planes, vi_y: Planes, *, exact_size: bool = False) -> Planes:
        """Fuses a batch of images of equal size.

        Pure: under a transformation of JAX (jit, grad, vmap), it is the network at the exact size,
        never tiled. Otherwise the result is on the host.

        Args:
            ir: infrared luma, float32 in [0, 1].
            vi_y: luma of the visible images, likewise.
            exact_size: whether to compile for the exact size, see `Fuser`.

        Returns:
            float32 [b, h, w, 1] in [0, 1].
        """
        if isinstance(ir, Tracer) or isinstance(vi_y, Tracer):
            return fuse_traced(self.model, self.params, ir, vi_y)
        sources = Sources(np.asarray(ir), np.asarray(vi_y))
        if (tile := self.tile_side(sources)) is not None:
            return fuse_in_tiles(self.model, self.params, sources, core=tile)
        exact_size = exact_size or self._problem is not None
        return fuse_whole(self.model, self.params, sources.ir, sources.vi, exact_size=exact_size)

    def fuse_sources(
        self, sources: Sources, *, exact_size: bool = False, tile: int | None = None, on_tile: OnTile | None = None
    ) -> Luma:
        """Fuses pairs in their original data types, as a whole or in tiles.

        Args:
            sources: a pair or a batch of pairs.
            exact_size: whether to compile for the exact size, see `Fuser`.
            tile: side of the tiles, as returned by `tile_side`; None for the whole images.
            on_tile: for progress, see `fusejax.inference.tiles.OnTile`.

        Returns:
            Fused luma, float32 [b, h, w, 1] in [0, 1].
        """
        if tile is not None:
            return fuse_in_tiles(self.model, self.params, sources, core=tile, on_tile=on_tile)
        exact_size = exact_size or self._problem is not None
        return fuse_whole(self.model, self.params, *sources.planes, exact_size=exact_size)

    @functools.cached_property
    def _problem(self) -> str | None:
        """Why images can be neither padded nor cut for this network, see `spatial_problem`."""
        return spatial_problem(self.model, self.params)

    def tile_side(self, sources: Sources) -> int | None:
        """Chooses the tiles used for these pairs.

        The answer is cached per size and data type, so memory that is allocated later does not
        change it.

        Args:
            sources: a pair or a batch of pairs.

        Returns:
            Their side in pixels; None if the pairs are fused as a whole.

        Raises:
            ValueError: if memory does not suffice for the smallest tiles, or if tiles are asked for
                and the network cannot be cut into tiles.
        """
        if self.tile != "off" and self._problem is not None:
            if self.tile == "auto":
                return None
            raise ValueError(
                f"{type(self.model).__name__} cannot be fused in tiles, because of {self._problem}; use --tile off."
            )
        held = held_bytes(sources.vi)
        with self._choosing:
            if (key := (sources.size, held)) not in self._cores:
                options = {"tile": self.tile, "memory": self.memory, "images": len(sources.vi), "held": held}
                self._cores[key] = choose_core(self.model, self.params, sources.size, **options)
            return self._cores[key]

    def describe_work(self, sources: Sources, *, tile: int | None, exact_size: bool = False) -> str:
        """Says what is compiled, or how often tiles are passed over.

        Args:
            sources: see `Backend`.
            tile: see `Backend`.
            exact_size: see `Backend`.

        Returns:
            The line.
        """
        size = sources.size
        if tile is not None:
            return (
                f"fusing images of {size_text(size)} in tiles of {tile} pixels, in several passes until the result "
                "converges (compiled once, kept for later runs)"
            )
        exact_size = exact_size or self._problem is not None
        shared = size_text((bucket(size[0]), bucket(size[1])))
        images = f"images of {size_text(size)}" if exact_size else f"images of up to {shared}"
        return f"compiling the network for {images}, once per size (kept for later runs)"

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
        """See `Backend`.

        Args:
            sources: see `Backend`.

        Returns:
            Fused luma, float32 [b, h, w, 1] in [0, 1], and the maps, see `maps`.

        Raises:
            ValueError: if the network has no maps.
        """
        self.check_maps()
        return fuse_with_maps(self.model, self.params, *sources.planes, exact_size=self._problem is not None)

    def check_maps(self) -> None:
        """Refuses networks without maps.

        Raises:
            ValueError: if the network has none; names the networks that have.
        """
        if "maps" not in self.model.provides:
            having = [network.__name__ for network in NETWORKS.values() if "maps" in network.provides]
            raise ValueError(f"{type(self.model).__name__} has no maps; networks that have: {', '.join(having)}.")
