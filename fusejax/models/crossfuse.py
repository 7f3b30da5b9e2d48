"""CrossFuse's frequency-aware network (Shi et al. 2025, arXiv 2502.14493).

It is the network of CDDFuse (arXiv 2211.14461): one Restormer encoder for both modalities, a
long-scale (transformer, low frequencies, "base") and a short-scale (invertible, high frequencies,
"detail") branch, a fusion layer for each, and a Restormer decoder. There is no downsampling. By
default it has 1,188,272 parameters: encoder 599,144, base fusion 363,016, detail fusion 18,176,
decoder 207,936.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.models.config import CrossFuseConfig, Remat
from fusejax.models.convolutions import Conv3x3, Pointwise
from fusejax.models.depthwise import DepthwiseConv3x3
from fusejax.models.layers import (
    ChannelAttention,
    GatedFeedForward,
    pre_norm_residuals,
    relative_strength,
    rematerialized,
)
from fusejax.typing import Luma

Features = Float[Array, "b h w c"]


class RestormerBlock(nn.Module):
    """Channel attention, then gated feed-forward, with depth-wise 3x3 (Zamir et al. 2022)."""

    config: CrossFuseConfig

    @nn.compact
    def __call__(self, x: Features) -> Features:
        dtype = jnp.dtype(self.config.dtype)
        attention = ChannelAttention(self.config.heads, depthwise=True, dtype=dtype, name="attention")
        feed_forward = GatedFeedForward(
            self.config.expansion, depthwise=True, padding="constant", dtype=dtype, name="feed_forward"
        )
        return pre_norm_residuals(x, attention, feed_forward, dtype=dtype)


class LongScale(nn.Module):
    """Channel attention with a full 3x3, then a feed-forward part whose 3x3 mixes channel pairs."""

    config: CrossFuseConfig

    @nn.compact
    def __call__(self, x: Features) -> Features:
        dtype = jnp.dtype(self.config.dtype)
        attention = ChannelAttention(self.config.heads, dtype=dtype, name="attention")
        feed_forward = GatedFeedForward(padding="constant", dtype=dtype, name="feed_forward")
        return pre_norm_residuals(x, attention, feed_forward, dtype=dtype)


class CouplingBranch(nn.Module):
    """1x1 to twice the width, depth-wise 3x3 with reflect padding, 1x1 back; ReLU6 in between."""

    @nn.compact
    def __call__(self, x: Features) -> Features:
        y = jax.nn.relu6(Pointwise(2 * x.shape[-1], name="expand")(x))
        (y,) = DepthwiseConv3x3("reflect", name="mix")(y)
        y = jax.nn.relu6(y)
        return Pointwise(x.shape[-1], name="reduce")(y)


class CouplingLayer(nn.Module):
    """Mixes the channels, then couples their halves z1 and z2.

    (z1, z2) -> (z1 exp(rho(z2')) + eta(z2'), z2') with z2' = z2 + phi(z1).

    `inverse` undoes the coupling, not the mix: z1 = (y1 - eta(y2)) exp(-rho(y2)), z2 = y2 -
    phi(z1).

    Attributes:
        width: channels of input and output; even.
    """

    width: int

    def setup(self):
        self.mix = Pointwise(self.width, use_bias=True)
        self.phi, self.rho, self.eta = CouplingBranch(), CouplingBranch(), CouplingBranch()

    def __call__(self, x: Features) -> Features:
        return self.couple(self.mix(x))

    def couple(self, mixed: Features) -> Features:
        """The coupling alone, for features that are already mixed."""
        z1, z2 = jnp.split(mixed, 2, axis=-1)
        z2 = z2 + self.phi(z1)
        z1 = z1 * jnp.exp(self.rho(z2)) + self.eta(z2)
        return jnp.concatenate([z1, z2], axis=-1)

    def inverse(self, y: Features) -> Features:
        """The mixed features from which `couple` computed `y`."""
        y1, y2 = jnp.split(y, 2, axis=-1)
        z1 = (y1 - self.eta(y2)) * jnp.exp(-self.rho(y2))
        return jnp.concatenate([z1, y2 - self.phi(z1)], axis=-1)


class ShortScale(nn.Module):
    """Invertible coupling layers, in float32.

    Attributes:
        layers: number of coupling layers.
        remat: what the backward pass recomputes, see `fusejax.models.layers.rematerialized`.
    """

    layers: int
    remat: Remat = "none"

    @nn.compact
    def __call__(self, x: Features) -> Features:
        x = x.astype(jnp.float32)
        for n in range(self.layers):
            x = rematerialized(CouplingLayer, self.remat)(x.shape[-1], name=f"coupling{n + 1}")(x)
        return x


class Encoder(nn.Module):
    """Luma to (base, detail), both [b, h, w, width]."""

    config: CrossFuseConfig

    @nn.compact
    def __call__(self, y: Luma) -> tuple[Features, Features]:
        config = self.config
        x = Conv3x3(config.width, padding="constant", dtype=jnp.dtype(config.dtype), name="embed")(y)
        for n in range(config.encoder_blocks):
            x = rematerialized(RestormerBlock, config.remat)(config, name=f"block{n + 1}")(x)
        return LongScale(config, name="base")(x), ShortScale(config.coupling_layers, config.remat, name="detail")(x)


class Decoder(nn.Module):
    """sigmoid(decoded features + skip); about 0.5 to 0.73 before training."""

    config: CrossFuseConfig

    @nn.compact
    def __call__(self, base: Features, detail: Features, skip: Luma) -> Luma:
        config, dtype = self.config, jnp.dtype(self.config.dtype)
        x = jnp.concatenate([base.astype(dtype), detail.astype(dtype)], axis=-1)
        x = Pointwise(config.width, dtype, name="reduce")(x)
        for n in range(config.decoder_blocks):
            x = rematerialized(RestormerBlock, config.remat)(config, name=f"block{n + 1}")(x)
        x = Conv3x3(config.width // 2, padding="constant", dtype=dtype, name="head1")(x)
        x = Conv3x3(1, padding="constant", dtype=dtype, name="head2")(jax.nn.leaky_relu(x, 0.01))
        return jax.nn.sigmoid(x.astype(jnp.float32) + skip)


class CrossFuse(nn.Module):
    """Fuses luma of any size: `apply({"params": p}, ir, vi_y)`, [b, h, w, 1] in (0, 1).

    Attributes:
        config: shape of the network.
    """

    config: CrossFuseConfig = CrossFuseConfig()

    provides = ("fused_y", "features", "rebuilt", "maps")

    def setup(self):
        self.encoder, self.decoder = Encoder(self.config), Decoder(self.config)
        self.base_fusion, self.detail_fusion = LongScale(self.config), ShortScale(1, self.config.remat)

    @property
    def multiple(self) -> int:
        """Every size is supported."""
        return 1

    def __call__(self, ir: Luma, vi_y: Luma) -> Luma:
        return self._decode_fused(self._encode_both(ir, vi_y), vi_y)

    def outputs(self, ir: Luma, vi_y: Luma) -> dict[str, Any]:
        """Outputs for the losses; under jit, outputs that are not used are never computed.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].

        Returns:
            `fused_y`, the fused luma; `features`, a dict of `ir_base`, `ir_detail`, `vi_base` and
            `vi_detail` [b, h, w, width]; `rebuilt`, a dict of `ir` and `vi_y`: each image decoded
            from its own features with itself as the skip (stage one of the training); `maps`, a
            dict of [b, h, w, 1] in [0, 1]: `long`, the strength of the long path's fused features
            relative to both paths', and `ir_long` and `ir_short`, that of infrared features
            relative to both images', for each path. Strength is the norm over the channels.
        """
        (ir_long, vi_long), (ir_short, vi_short) = encoded = self._encode_both(ir, vi_y)
        (ir_base, vi_base), (ir_detail, vi_detail) = self._roles(*encoded)
        rebuilt = (self._decode(*pair, skip) for pair, skip in (((ir_long, ir_short), ir), ((vi_long, vi_short), vi_y)))
        return {
            "fused_y": self._decode_fused(encoded, vi_y),
            "features": {"ir_base": ir_base, "ir_detail": ir_detail, "vi_base": vi_base, "vi_detail": vi_detail},
            "rebuilt": dict(zip(("ir", "vi_y"), rebuilt, strict=True)),
            "maps": {
                "long": relative_strength(*self._fuse(encoded)),
                "ir_long": relative_strength(ir_long, vi_long),
                "ir_short": relative_strength(ir_short, vi_short),
            },
        }

    def _encode_both(self, ir: Luma, vi_y: Luma) -> list[list[Features]]:
        """Features of the long and the short path, each for infrared and visible."""
        # One pass for both, because two calls of the encoder need three times the memory of one
        # (2.5 GiB instead of 0.7 at 480x640). Interleaved, so that a batch that is split over
        # devices stays in place.
        both = jnp.stack([ir, vi_y], axis=1)
        encoded = self.encoder(both.reshape(-1, *ir.shape[1:]))
        pairs = [jax.lax.split(x.reshape(*both.shape[:-1], -1), (1, 1), axis=1) for x in encoded]
        return [[x[:, 0] for x in pair] for pair in pairs]

    def _decode_fused(self, encoded: list[list[Features]], vi_y: Luma) -> Luma:
        return self._decode(*self._fuse(encoded), vi_y)

    def _fuse(self, encoded: list[list[Features]]) -> tuple[Features, Features]:
        """Features of both images together, of the long and the short path."""
        (ir_long, vi_long), (ir_short, vi_short) = encoded
        return self.base_fusion(ir_long + vi_long), self.detail_fusion(ir_short + vi_short)

    def _decode(self, long: Features, short: Features, skip: Luma) -> Luma:
        paths = self.config.paths
        long = jnp.zeros_like(long) if paths == "short" else long
        short = jnp.zeros_like(short) if paths == "long" else short
        return self.decoder(*self._roles(long, short), skip)

    def _roles(self, long: Any, short: Any) -> tuple[Any, Any]:
        """What serves as base and what as detail."""
        return (short, long) if self.config.paths == "exchanged" else (long, short)
