"""The protocol of everything that fuses: networks, exported files, other programs' files, rules.

`fusejax.load` returns a `Backend`, and everything that fuses takes one. A class of your own needs a
`name` and `fuse_luma`; the rest has defaults that suit a function of whole images:

    class Mean(fusejax.inference.Backend):
        name = "mean"

        def fuse_luma(self, ir, vi_y):
            return (ir + vi_y) / 2

    fusejax.inference.fuse_folder("ir", "vi", "out", weights=Mean())
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, NoReturn, Protocol, runtime_checkable

import flax.linen as nn
import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Shaped

from fusejax.inference.pair_arrays import (
    Fused,
    Sources,
    finish,
    make_sources,
)
from fusejax.inference.pair_checks import check_pair, check_strength, integer_type
from fusejax.inference.styles import Style, check_style
from fusejax.inference.thermal import Polarity, RangeOption, check_range
from fusejax.inference.tiles import OnTile
from fusejax.io.align import Aligner, AsRead
from fusejax.ops.arrays import as_array
from fusejax.typing import Params

Planes = Float[np.ndarray | jax.Array, "b h w 1"]
Luma = Float[np.ndarray, "b h w 1"]


class Differentiable(NamedTuple):
    """A network that can be differentiated, see `Backend.network`.

    Attributes:
        model: the network, a `fusejax.models.Network`.
        params: its parameters.
    """

    model: nn.Module
    params: Params


@runtime_checkable
class Backend(Protocol):
    """Something that fuses the luma of registered pairs of any size."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in tables and of folders."""
        ...

    @abstractmethod
    def fuse_luma(self, ir: Planes, vi_y: Planes) -> Planes:
        """Fuses a batch of whole images of equal size.

        Args:
            ir: infrared luma [b, h, w, 1], float32 in [0, 1].
            vi_y: luma of the visible images, of the same shape.

        Returns:
            Fused luma of the same shape, float32 in [0, 1].
        """
        ...

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where it comes from: file, network, training. JSON values."""
        return {}

    @property
    def network(self) -> Differentiable | None:
        """The network behind it, for gradients; None if there is none."""
        return None

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuses sizes that cannot be fused, before any work; by default none.

        Args:
            size: height and width in pixels.
        """
        del size

    def tile_side(self, sources: Sources) -> int | None:
        """Chooses the tiles used for these pairs.

        Args:
            sources: a pair or a batch of pairs.

        Returns:
            Their side in pixels; None if the pairs are fused as a whole, which is the default.
        """
        del sources
        return None

    def describe_work(self, sources: Sources, *, tile: int | None, exact_size: bool = False) -> str | None:
        """A line that explains why the first pair of a kind takes long.

        Args:
            sources: the pair.
            tile: side of its tiles, see `tile_side`.
            exact_size: see `fuse_sources`.

        Returns:
            The line, the same for all pairs that share the work; None, the default, if there is
            nothing to explain.
        """
        del sources, tile, exact_size
        return None

    def fuse_sources(
        self, sources: Sources, *, exact_size: bool = False, tile: int | None = None, on_tile: OnTile | None = None
    ) -> Luma:
        """Fuses pairs in their original data types.

        Args:
            sources: a pair or a batch of pairs.
            exact_size: whether many images of this size follow, so that a program for exactly this
                size is worth compiling.
            tile: side of the tiles, as returned by `tile_side`; None for the whole images.
            on_tile: for progress, see `fusejax.inference.tiles.OnTile`.

        Returns:
            Fused luma, float32 [b, h, w, 1] in [0, 1].
        """
        del exact_size, tile, on_tile
        return np.asarray(self.fuse_luma(*sources.planes), np.float32)

    def check_maps(self) -> None:
        """Refuses what has no maps; by default always.

        Raises:
            ValueError: if there are none; names what has some.
        """
        self._refuse_maps()

    def fuse_with_maps(self, sources: Sources) -> tuple[Luma, dict[str, Luma]]:
        """Fuses pairs in their original data types and returns the network's maps; never tiled.

        Args:
            sources: a pair or a batch of pairs.

        Returns:
            Fused luma, float32 [b, h, w, 1] in [0, 1], and the maps by name, likewise.

        Raises:
            ValueError: if there are no maps.
        """
        del sources
        self._refuse_maps()

    def _refuse_maps(self) -> NoReturn:
        raise ValueError(f"{self.name} has no maps; only networks with maps have them, such as fusionnet.")

    def fuse(
        self,
        ir: Any,
        vi: Any,
        *,
        stretch: bool = False,
        ir_range: RangeOption = "auto",
        ir_polarity: Polarity = "white",
        align: Aligner | None = None,
        strength: float = 1.0,
        style: Style = "fused",
    ) -> Shaped[np.ndarray, "..."]:
        """Fuses one pair, or a batch with a leading axis.

        Args:
            ir: see `fusejax.fuse`.
            vi: see `fusejax.fuse`.
            stretch: see `fusejax.fuse`.
            ir_range: see `fusejax.fuse`.
            ir_polarity: see `fusejax.fuse`.
            align: see `fusejax.fuse`.
            strength: see `fusejax.fuse`.
            style: see `fusejax.fuse`.

        Returns:
            Array with the shape and type of `vi`: color in, color out; RGB for styles other than
            "fused".
        """
        options: dict[str, Any] = {"stretch": stretch, "ir_range": ir_range, "ir_polarity": ir_polarity}
        return self.fuse_pair(ir, vi, align=align, strength=strength, style=style, **options).image

    def fuse_pair(
        self,
        ir: Any,
        vi: Any,
        *,
        stretch: bool = False,
        ir_range: RangeOption = "auto",
        ir_polarity: Polarity = "white",
        align: Aligner | None = None,
        strength: float = 1.0,
        style: Style = "fused",
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
            align: see `fuse`.
            strength: see `fuse`.
            style: see `fuse`.
            bits: 8 or 16 for an integer image of this depth; by default the type of `vi`.
            maps: also compute the network's maps, for the whole image.
            exact_size: see `fuse_sources`.

        Returns:
            Image, luma, maps and sources, from one run of the network.

        Raises:
            ValueError: see `fuse`; and if there are no maps.
        """
        ir_range, dtype, step = check_range(ir_range), integer_type(bits), align or AsRead()
        ir, vi = (on_host(x, name) for x, name in ((ir, "ir"), (vi, "vi")))
        check_pair(ir, vi, any_size=step.any_size)
        sources = make_sources(ir, vi, ir_range, ir_polarity, step, check_strength(strength))
        if style != "fused":
            check_style(style, strength=strength, stretch=stretch, maps=maps)
            fused_y, by_name = sources.planes[1], {}
        elif maps:
            fused_y, by_name = self.fuse_with_maps(sources)
        else:
            self.check_size(sources.size)
            tile = self.tile_side(sources)
            fused_y, by_name = self.fuse_sources(sources, exact_size=exact_size, tile=tile), {}
        image, fused_y = finish(sources, fused_y, stretch=stretch, dtype=dtype or vi.dtype, style=style)
        if vi.ndim < 4:
            image, fused_y, by_name = image[0], fused_y[0], {name: values[0] for name, values in by_name.items()}
        flat = vi.ndim == 2 and style == "fused"
        return Fused(image[..., 0] if flat else image, fused_y, by_name, sources)


def on_host(image: Any, name: str) -> np.ndarray:
    """An image as a NumPy array; ValueError with advice inside a transformation of JAX."""
    if isinstance(image, Tracer):
        raise ValueError(
            f"{name} is traced by a transformation of JAX (jit, grad, vmap, ...), but images are converted, colored "
            "and rounded on the host. Call fuse outside of it; inside, use fuse_luma, which is pure for networks: "
            "fuse_luma(ir, vi_y) with luma [b, h, w, 1], float32 in [0, 1]."
        )
    return np.asarray(as_array(image, name))
