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
    relative_strength,
    rematerialized,
)
from fusejax.typing import Luma


class RestormerCnnBlock(nn.Module):
    """Embeds its inputs, passes them through a global and a local branch, and merges the two.

    The global branch is x + Attention(LN x), then x + FeedForward(LN x); the local branch consists
    of residual 3x3 convolutions. Also returns how much the global branch changes its input relative
    to what both branches change, [b, h, w, 1] in [0, 1]; 0 without one.

    Attributes:
        width: channels of the output.
        heads: number of attention heads.
        residual_blocks: number of convolution pairs in the local branch.
        dtype: type of the arithmetic.
        has_attention: whether there is a global branch.
    """

    width: int
    heads: int
    residual_blocks: int
    dtype: Any
    has_attention: bool = True

    @nn.compact
    def __call__(self, *inputs: Float[Array, "b h w _"]) -> tuple[Float[Array, "b h w c"], Float[Array, "b h w 1"]]:
        dtype = self.dtype
        x = start = Conv3x3(self.width, dtype=dtype, name="embed")(*inputs)
        branches = []
        if self.has_attention:
            attention = ChannelAttention(self.heads, dtype=dtype, name="attention")
            feed_forward = GatedFeedForward(dtype=dtype, name="feed_forward")
            branches.append(pre_norm_residuals(x, attention, feed_forward, dtype=dtype))
        for n in range(self.residual_blocks):
            x = ResidualConvs(dtype, name=f"local{n + 1}")(x)
        share = jnp.zeros((*x.shape[:3], 1))
        if branches:
            share = relative_strength(branches[0] - start, x - start)
        return Conv3x3(self.width, dtype=dtype, name="merge")(*branches, x), share


class AngularFuse(nn.Module):
    """Fuses luma of any size: `apply({"params": p}, ir, vi_y) -> fused_y`, [b, h, w, 1] in (0, 1).

    If the number of levels requires it, height and width are padded at the bottom and right by
    reflection (by repetition along a side of one pixel), and the result is cropped back.

    Attributes:
        config: shape of the network.
    """

    config: AngularFuseConfig = AngularFuseConfig()

    provides = ("fused_y", "maps")

    def __call__(self, ir: Luma, vi_y: Luma) -> Luma:
        return self.outputs(ir, vi_y)["fused_y"]

    @nn.compact
    def outputs(self, ir: Luma, vi_y: Luma) -> dict[str, Any]:
        """Outputs for the losses; under jit, outputs that are not used are never computed.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].

        Returns:
            `fused_y`, the fused luma [b, h, w, 1] in (0, 1); `maps`, a dict of `attention`,
            likewise: how much the last block's global branch changes its input, relative to what
            both of its branches change.
        """
        h, w = ir.shape[1:3]
        pad = ((0, 0), (0, -h % self.multiple), (0, -w % self.multiple), (0, 0))
        ir, vi_y = (jnp.pad(x, pad, mode="reflect") for x in (ir, vi_y))
        y, share = self._decode(self._encode(ir, vi_y))
        y = Conv3x3(1, use_bias=True, dtype=self._dtype, name="head")(y)
        return {"fused_y": jax.nn.sigmoid(y.astype(jnp.float32))[:, :h, :w], "maps": {"attention": share[:, :h, :w]}}

    @property
    def multiple(self) -> int:
        """Sides are padded to multiples of this."""
        return 2 ** (len(self.config.widths) - 1)

    @property
    def _dtype(self) -> Any:
        return jnp.dtype(self.config.dtype)

    def _block(self, name: str, width: int) -> RestormerCnnBlock:
        block = rematerialized(RestormerCnnBlock, self.config.remat)
        config = self.config
        heads = config.heads_at(width)
        return block(width, heads, config.residual_blocks, self._dtype, config.attention, name=name)

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
            streams = {k: self._block(f"{k}_encoder{n + 1}", width)(*x)[:1] for k, x in streams.items()}
            encoded = [x for (x,) in streams.values()]
            features.append(encoded[0] if len(encoded) == 1 else self._block(f"fusion{n + 1}", width)(*encoded)[0])
        return features

    def _decode(self, features: list[Array]) -> tuple[Array, Array]:
        """Features at full resolution, and the last block's share of its global branch."""
        widths = self.config.widths
        y, share = self._block(f"decoder{len(widths)}", widths[-1])(features[-1])
        for n in range(len(widths) - 2, -1, -1):
            up = jax.nn.relu(UpsampleConv(widths[n], self._dtype, name=f"up{n + 1}")(y))
            y, share = self._block(f"decoder{n + 1}", widths[n])(up, features[n])
        return y, share
