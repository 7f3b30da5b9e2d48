"""AngularFuse's network: a U-Net of Restormer-CNN blocks (Liu et al. 2025, arXiv 2510.12260).

The paper states neither widths nor heads. The default follows the only public network with a block
of that name, EMMA's U-Fuser (Zhao et al. 2024, arXiv 2305.11443): 1,517,657 parameters.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.models.config import AngularFuseConfig
from fusejax.models.convolutions import Conv3x3, UpsampleConv
from fusejax.models.layers import (
    ChannelAttention,
    GatedFeedForward,
    ResidualConvs,
    pre_norm_residuals,
    rematerialized,
)
from fusejax.typing import Luma


class RestormerCnnBlock(nn.Module):
    """Embeds its inputs, passes them through a global and a local branch, and merges the two.

    The global branch is x + Attention(LN x), then x + FeedForward(LN x); the local branch consists
    of residual 3x3 convolutions.

    Attributes:
        width: channels of the output.
        heads: number of attention heads.
        residual_blocks: number of convolution pairs in the local branch.
        dtype: type of the arithmetic.
    """

    width: int
    heads: int
    residual_blocks: int
    dtype: Any

    @nn.compact
    def __call__(self, *inputs: Float[Array, "b h w _"]) -> Float[Array, "b h w c"]:
        dtype = self.dtype
        x = Conv3x3(self.width, dtype=dtype, name="embed")(*inputs)
        attention = ChannelAttention(self.heads, dtype=dtype, name="attention")
        y = pre_norm_residuals(x, attention, GatedFeedForward(dtype=dtype, name="feed_forward"), dtype=dtype)
        for n in range(self.residual_blocks):
            x = ResidualConvs(dtype, name=f"local{n + 1}")(x)
        return Conv3x3(self.width, dtype=dtype, name="merge")(y, x)


class AngularFuse(nn.Module):
    """Fuses luma of any size: `apply({"params": p}, ir, vi_y) -> fused_y`, [b, h, w, 1] in (0, 1).

    If the number of levels requires it, height and width are padded at the bottom and right by
    reflection (by repetition along a side of one pixel), and the result is cropped back.

    Attributes:
        config: shape of the network.
    """

    config: AngularFuseConfig = AngularFuseConfig()

    provides = ("fused_y",)

    def outputs(self, ir: Luma, vi_y: Luma) -> dict[str, Luma]:
        """Outputs for the losses.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].

        Returns:
            `fused_y`, the fused luma [b, h, w, 1] in (0, 1).
        """
        return {"fused_y": self(ir, vi_y)}

    @nn.compact
    def __call__(self, ir: Luma, vi_y: Luma) -> Luma:
        h, w = ir.shape[1:3]
        pad = ((0, 0), (0, -h % self.multiple), (0, -w % self.multiple), (0, 0))
        ir, vi_y = (jnp.pad(x, pad, mode="reflect") for x in (ir, vi_y))
        y = self._decode(self._encode(ir, vi_y))
        y = Conv3x3(1, use_bias=True, dtype=self._dtype, name="head")(y)
        return jax.nn.sigmoid(y.astype(jnp.float32))[:, :h, :w]

    @property
    def multiple(self) -> int:
        """Sides are padded to multiples of this."""
        return 2 ** (len(self.config.widths) - 1)

    @property
    def _dtype(self) -> Any:
        return jnp.dtype(self.config.dtype)

    def _block(self, name: str, width: int) -> RestormerCnnBlock:
        block = rematerialized(RestormerCnnBlock, self.config.remat)
        return block(width, self.config.heads_at(width), self.config.residual_blocks, self._dtype, name=name)

    def _encode(self, ir: Luma, vi_y: Luma) -> list[Array]:
        """Features of every level, finest first, of both modalities together."""
        features = []
        streams: dict[str, tuple[Array, ...]]
        streams = {"shared": (ir, vi_y)} if self.config.shared_encoder else {"ir": (ir,), "vi": (vi_y,)}
        for n, width in enumerate(self.config.widths):
            if n:
                streams = {
                    k: (Conv3x3(x.shape[-1], stride=2, dtype=self._dtype, name=f"{k}_down{n}")(x),)
                    for k, (x,) in streams.items()
                }
            streams = {k: (self._block(f"{k}_encoder{n + 1}", width)(*x),) for k, x in streams.items()}
            encoded = [x for (x,) in streams.values()]
            features.append(encoded[0] if len(encoded) == 1 else self._block(f"fusion{n + 1}", width)(*encoded))
        return features

    def _decode(self, features: list[Array]) -> Array:
        widths = self.config.widths
        y = self._block(f"decoder{len(widths)}", widths[-1])(features[-1])
        for n in range(len(widths) - 2, -1, -1):
            up = jax.nn.relu(UpsampleConv(widths[n], self._dtype, name=f"up{n + 1}")(y))
            y = self._block(f"decoder{n + 1}", widths[n])(up, features[n])
        return y
