"""A light network for real time on a CPU: small convolutions steer a blend at full size.

Both sources are rearranged r x r (space to depth), so that every 3x3 convolution reaches 3r pixels
and costs r^2 times less than at full size. Five coefficients per cell come out, are interpolated to
full size and applied to the sources' own pixels. The form is our own; its parts are known: pixel
rearrangement (Shi et al. 2016), per-pixel coefficients from a small grid (Gharbi et al. 2017,
HDRNet, with a bilateral grid instead of a guided logit), a pooled global term in every block.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.models.config import LightConfig
from fusejax.models.convolutions import Conv3x3, Pointwise
from fusejax.models.depthwise import DepthwiseConv3x3
from fusejax.models.layers import GlobalMean
from fusejax.ops.extent import CORRECTED
from fusejax.ops.numerics import isolate_on_cpu, sum_arrays
from fusejax.typing import Luma

Cells = Float[Array, "b rows columns c"]
Plane = Float[Array, "b h w"]

_SMOOTH = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_COEFFICIENTS = 5


class PooledResidual(nn.Module):
    """x + conv(ReLU(conv(x) + linear(mean of x over the image))), reflect padding."""

    pooled: bool
    depthwise: bool = False

    @nn.compact
    def __call__(self, x: Cells) -> Cells:
        conv = SeparableConv3x3 if self.depthwise else Conv3x3
        y = conv(x.shape[-1], use_bias=True, name="conv1")(x)
        if self.pooled:
            y = y + Pointwise(x.shape[-1], name="pool")(GlobalMean(name="mean")(x))
        return x + conv(x.shape[-1], use_bias=True, name="conv2")(jax.nn.relu(y))


class SeparableConv3x3(nn.Module):
    """A depth-wise 3x3 convolution followed by a 1x1 (Howard et al. 2017, MobileNets)."""

    features: int
    use_bias: bool

    @nn.compact
    def __call__(self, x: Cells) -> Cells:
        (y,) = DepthwiseConv3x3("reflect", name="spatial")(x)
        return Pointwise(self.features, use_bias=self.use_bias, name="channels")(y)


def steer(config: LightConfig, cell: int, ir: Plane, vi_y: Plane) -> list[Plane]:
    """Both sources to the coefficients per pixel that steer the blend, by way of cells.

    Its modules become those of the calling module, so that `Light` has no level between.
    """
    cells = jnp.concatenate([space_to_depth(x - 0.5, cell) for x in (ir, vi_y)], axis=-1)
    x = jax.nn.relu(Conv3x3(config.width, use_bias=True, name="stem")(cells))
    for n in range(config.blocks):
        x = PooledResidual(config.pooled, config.depthwise, name=f"block{n + 1}")(x)
    maps = Conv3x3(_COEFFICIENTS, use_bias=True, name="coefficients")(x)
    return UpsampleCells(cell, name="up")(maps)


class CoarseSteering(nn.Module):
    """`steer` with larger cells and parameters of its own."""

    config: LightConfig

    @nn.compact
    def __call__(self, ir: Plane, vi_y: Plane) -> list[Plane]:
        return steer(self.config, self.config.coarse_cell, ir, vi_y)


class Light(nn.Module):
    """Fuses luma of any size: `apply({"params": p}, ir, vi_y) -> fused_y`, all [b, h, w, 1].

    F = V + a (I - V) + g_I H(I) + g_V H(V) + o, with a = sigmoid(s + k (I - V)) and H(x) = x minus
    its 5x5 binomial blur. The network gives s, k, g_I, g_V and o, one value per cell, interpolated
    linearly between the centers of the cells. All sharp detail comes from the source pixels, and
    cell borders are not visible. With k >> 0 the blend is the maximum of the
    sources, with k = 0 a plain average with smooth weights.

    Sides that the cell does not divide are extended at the bottom and right by reflection (a side
    of one pixel is repeated) and the result is cropped back. The result is not clipped and can
    leave [0, 1]: a clip would give pixels outside no gradient to come back by.

    Attributes:
        config: shape of the network.
    """

    config: LightConfig = LightConfig()

    provides = ("fused_y",)

    @property
    def multiple(self) -> int:
        """Height and width are padded to a multiple of this."""
        return max(self.config.cell, self.config.coarse_cell)

    @nn.compact
    def __call__(self, ir: Luma, vi_y: Luma) -> Luma:
        config, (h, w) = self.config, ir.shape[1:3]
        ir, vi_y = (pad_to_cells(x[..., 0], self.multiple) for x in (ir, vi_y))
        coefficients = steer(config, config.cell, ir, vi_y)
        if config.coarse_cell:
            coarse = CoarseSteering(config, name="coarse")(ir, vi_y)
            coefficients = [x + y for x, y in zip(coefficients, coarse, strict=True)]
        return combine(config, ir, vi_y, coefficients)[:, :h, :w, None]

    def outputs(self, ir: Luma, vi_y: Luma) -> dict[str, Any]:
        """Outputs for the losses.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].

        Returns:
            `fused_y`, the fused luma [b, h, w, 1].
        """
        # Isolated from the loss terms; otherwise XLA recomputes the blend for each term.
        return {"fused_y": isolate_on_cpu(lambda fused_y: fused_y, self(ir, vi_y))}


def combine(config: LightConfig, ir: Plane, vi_y: Plane, coefficients: list[Plane]) -> Plane:
    """The fused luma of `Light`; coefficients are s, k, g_I, g_V and o before their bounds."""
    share, guide, ir_gain, vi_gain, offset = coefficients
    difference = ir - vi_y
    if config.contrast_guide:
        share = share + 10.0 * (1.0 + guide) * difference
    fused = vi_y + jax.nn.sigmoid(share) * difference + config.offset * jnp.tanh(offset)
    if config.detail:
        fused = fused + config.detail * (jnp.tanh(ir_gain) * fine(ir) + jnp.tanh(vi_gain) * fine(vi_y))
    return fused


def fine(x: Plane) -> Plane:
    """x minus its 5x5 binomial blur, borders repeated.

    Larger arrays repeat the borders of their image, so that nothing has to be corrected for them.
    """
    h, w = x.shape[1:]
    with jax.named_scope(CORRECTED):
        padded = jnp.pad(x, ((0, 0), (2, 2), (2, 2)), mode="edge")
        rows = sum_arrays(t * padded[:, i : i + h] for i, t in enumerate(_SMOOTH))
        return x - sum_arrays(t * rows[:, :, i : i + w] for i, t in enumerate(_SMOOTH))


def pad_to_cells(x: Plane, cell: int) -> Float[Array, "b h2 w2"]:
    """Sides reflected up to multiples of `cell`, bottom and right; one of one pixel is repeated."""
    return jnp.pad(x, ((0, 0), (0, -x.shape[1] % cell), (0, -x.shape[2] % cell)), mode="reflect")


def space_to_depth(x: Plane, cell: int) -> Float[Array, "b h//{cell} w//{cell} {cell}*{cell}"]:
    """The pixels of every cell become its channels, row by row."""
    b, h, w = x.shape
    x = x.reshape(b, h // cell, cell, w // cell, cell)
    return x.swapaxes(2, 3).reshape(b, h // cell, w // cell, cell * cell)


class UpsampleCells(nn.Module):
    """`upsample_cells` of every channel, as a module for `fusejax.inference.extent`."""

    cell: int

    padding = "edge"

    @nn.compact
    def __call__(self, x: Cells) -> list[Float[Array, "b rows*{self.cell} columns*{self.cell}"]]:
        # Isolated so that XLA does not repeat the interpolation at every use of a coefficient.
        return isolate_on_cpu(self.maps, x)

    def maps(self, x: Cells) -> list[Array]:
        """The channels, interpolated one by one."""
        return [upsample_cells(channel[..., 0], self.cell) for channel in jnp.split(x, x.shape[-1], axis=-1)]


def upsample_cells(x: Float[Array, "b n m"], cell: int) -> Float[Array, "b n*{cell} m*{cell}"]:
    """Linear between the centers of the cells; the outermost values are repeated."""
    return _upsample(_upsample(x, cell, axis=1), cell, axis=2)


def _upsample(x: Float[Array, "b _ _"], cell: int, *, axis: int) -> Float[Array, "b _ _"]:
    def part(start: int | None, stop: int | None) -> Array:
        return x[(slice(None),) * axis + (slice(start, stop),)]

    before = jnp.concatenate([part(None, 1), part(None, -1)], axis=axis)
    after = jnp.concatenate([part(1, None), part(-1, None)], axis=axis)
    phases = []
    for n in range(cell):
        t = (n + 0.5) / cell - 0.5
        phases.append((1 - abs(t)) * x + abs(t) * (before if t < 0 else after))
    shape = list(x.shape)
    shape[axis] *= cell
    return jnp.stack(phases, axis=axis + 1).reshape(shape)
