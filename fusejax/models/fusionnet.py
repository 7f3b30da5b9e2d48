"""FusionNet: two streams, modality attention, alpha blending (Sun et al. 2025, arXiv 2509.11476).

The available parts of the paper state only the order of the modules: two encoders, an attention
that weights the modalities at every pixel, a pixel-wise alpha that blends the features, and a
decoder. No code is public. By default it has 610,820 parameters: encoders 185,024 each, attention
9,410, alpha 37,185, decoder 194,177; the channel gate adds 4,240.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fusejax.models.config import FusionNetConfig
from fusejax.models.convolutions import Conv3x3, Pointwise, convolve_same
from fusejax.models.layers import GlobalMean, ResidualConvs, rematerialized
from fusejax.typing import Luma

Features = Float[Array, "b h w c"]
HalfFeatures = Float[Array, "b h//2 w//2 d"]
Map = Float[Array, "b h w 1"]


class ZeroConv3x3(nn.Module):
    """3x3 convolution with bias and reflect padding, initialized with zero; its output is float32.

    Attributes:
        features: output channels.
        dtype: type of the arithmetic.
    """

    features: int
    dtype: Any = jnp.float32

    padding = "reflect"

    @nn.compact
    def __call__(self, x: Features) -> Float[Array, "b h w o"]:
        kernel = self.param("kernel", nn.initializers.zeros, (3, 3, x.shape[-1], self.features)).astype(self.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return convolve_same(x.astype(self.dtype), kernel, "reflect", 1).astype(jnp.float32) + bias


class Encoder(nn.Module):
    """Luma of even height and width to (skip at full resolution, features at half resolution)."""

    config: FusionNetConfig

    @nn.compact
    def __call__(self, y: Luma) -> tuple[Features, HalfFeatures]:
        dtype = jnp.dtype(self.config.dtype)
        width, *half = self.config.widths
        skip = Conv3x3(width, use_bias=True, dtype=dtype, name="stem")(y)
        skip = rematerialized(ResidualConvs, self.config.remat)(dtype, name="block1")(skip)
        x = Conv3x3(half[0], use_bias=True, stride=2, dtype=dtype, name="down")(skip)
        for n in range(len(half)):
            x = rematerialized(ResidualConvs, self.config.remat)(dtype, name=f"block{n + 2}")(x)
        return skip, x


class ModalityAttention(nn.Module):
    """Weights of the modalities at every pixel, and the attended features F (1 + w).

    With `channel_gate` the attended channels are also scaled by a gate. Returns infrared and
    visible features, and the float32 maps w_ir and w_vi, which sum to 1 and are 1/2 before
    training.
    """

    config: FusionNetConfig

    @nn.compact
    def __call__(self, ir: Features, vi: Features) -> tuple[Features, Features, Map, Map]:
        dtype = jnp.dtype(self.config.dtype)
        both = jnp.concatenate([ir, vi], axis=-1)
        hidden = jax.nn.relu(Pointwise(self.config.attention_width, dtype, use_bias=True, name="mix")(both))
        w_ir, w_vi = jnp.split(jax.nn.softmax(ZeroConv3x3(2, dtype, name="logits")(hidden)), 2, axis=-1)
        ir, vi = ir * (1 + w_ir).astype(dtype), vi * (1 + w_vi).astype(dtype)
        if self.config.channel_gate:
            gate_ir, gate_vi = self._gate(both)
            ir, vi = ir * gate_ir, vi * gate_vi
        return ir, vi, w_ir, w_vi

    def _gate(self, both: Features) -> list[Float[Array, "b 1 1 _"]]:
        """Gates in (0, 1) of infrared and visible channels, from means of unattended features."""
        dtype = jnp.dtype(self.config.dtype)
        means = GlobalMean(name="gate_mean")(both.astype(jnp.float32))
        y = jax.nn.relu(Pointwise(self.config.gate_width, dtype, use_bias=True, name="gate_squeeze")(means))
        y = Pointwise(both.shape[-1], dtype, use_bias=True, name="gate_expand")(y)
        return jnp.split(jax.nn.sigmoid(y), 2, axis=-1)


class AlphaMap(nn.Module):
    """Weight of infrared in the blend at every pixel, float32 in (0, 1); 1/2 before training."""

    config: FusionNetConfig

    @nn.compact
    def __call__(self, ir: Features, vi: Features) -> Map:
        dtype = jnp.dtype(self.config.dtype)
        hidden = Conv3x3(self.config.alpha_width, use_bias=True, dtype=dtype, name="mix")(ir, vi)
        return jax.nn.sigmoid(ZeroConv3x3(1, dtype, name="logit")(jax.nn.relu(hidden)))


class Decoder(nn.Module):
    """Blended skip, and blended features at half resolution, to one unbounded float32 channel."""

    config: FusionNetConfig

    @nn.compact
    def __call__(self, skip: Features, x: HalfFeatures) -> Map:
        dtype = jnp.dtype(self.config.dtype)
        for n in range(2):
            x = rematerialized(ResidualConvs, self.config.remat)(dtype, name=f"block{n + 1}")(x)
        x = Conv3x3(skip.shape[-1], use_bias=True, dtype=dtype, name="merge")(UpsampleBilinear(name="up")(x), skip)
        x = rematerialized(ResidualConvs, self.config.remat)(dtype, name="block3")(x)
        if self.config.image_space_alpha:
            return ZeroConv3x3(1, dtype, name="out")(x)  # so that training starts at the plain average
        return Conv3x3(1, use_bias=True, dtype=dtype, name="out")(x).astype(jnp.float32)


class FusionNet(nn.Module):
    """Fuses luma of any size: `apply({"params": p}, ir, vi_y) -> fused_y`, all [b, h, w, 1].

    From the paper (Sun et al. 2025): two encoders with their own weights, modality attention,
    pixel-wise alpha on the attended features, decoder, in this order. Not from the paper, but
    chosen here: every width and depth, biases and reflect padding everywhere, softmax for the
    attention and sigmoid for alpha, alpha as the weight of infrared, the blended skip connection,
    the two options. Alpha and the weights start at 1/2, because the last convolutions of their
    heads start at zero.

    Odd heights and widths are padded by a reflected row or column at the bottom and right (a
    repeated one along a side of one pixel), and the results are cropped back.

    fused_y is a sigmoid. With `image_space_alpha` it is neither squashed nor clipped and can leave
    [0, 1]: after a clip, pixels outside would receive no gradient that brings them back.

    Attributes:
        config: shape of the network.
    """

    config: FusionNetConfig = FusionNetConfig()

    provides = ("fused_y", "maps")

    def setup(self):
        self.ir_encoder, self.vi_encoder = Encoder(self.config), Encoder(self.config)
        self.attention, self.alpha = ModalityAttention(self.config), AlphaMap(self.config)
        self.decoder, self.map_up = Decoder(self.config), UpsampleBilinear()

    @property
    def multiple(self) -> int:
        """Sides are padded to multiples of this."""
        return 2

    def __call__(self, ir: Luma, vi_y: Luma) -> Luma:
        return self.outputs(ir, vi_y)["fused_y"]

    def outputs(self, ir: Luma, vi_y: Luma) -> dict[str, Any]:
        """Outputs for the losses; under jit, outputs that are not used are never computed.

        Args:
            ir: infrared luma in [0, 1].
            vi_y: luma of the visible image in [0, 1].

        Returns:
            `fused_y`, the fused luma; `maps`, a dict of `w_ir`, `w_vi` and `alpha`, float32
            [b, h, w, 1] in [0, 1], computed at half resolution and upsampled bilinearly. Each value
            is an average of map values with weights that are the same for both modalities, so
            w_ir + w_vi stays 1, and a map that is 1/2 everywhere stays exactly so.
        """
        (ir_skip, ir_features), (vi_skip, vi_features) = self.ir_encoder(pad_even(ir)), self.vi_encoder(pad_even(vi_y))
        w_ir = w_vi = jnp.full((*ir_features.shape[:3], 1), 0.5)
        if self.config.attention:
            ir_features, vi_features, w_ir, w_vi = self.attention(ir_features, vi_features)
        fixed = self.config.fixed_alpha
        alpha = self.alpha(ir_features, vi_features) if fixed is None else jnp.full_like(w_ir, fixed)
        maps = {k: self.map_up(x) for k, x in {"w_ir": w_ir, "w_vi": w_vi, "alpha": alpha}.items()}
        decoded = self.decoder(blend(maps["alpha"], ir_skip, vi_skip), blend(alpha, ir_features, vi_features))
        h, w = ir.shape[1:3]
        decoded, maps = jax.tree.map(lambda x: x[:, :h, :w], (decoded, maps))
        in_image_space = self.config.image_space_alpha
        fused_y = blend(maps["alpha"], ir, vi_y) + decoded if in_image_space else jax.nn.sigmoid(decoded)
        return {"fused_y": fused_y, "maps": maps}


def pad_even(y: Luma) -> Float[Array, "b _ _ 1"]:
    """Makes height and width even by reflection at bottom and right; repeats a single pixel."""
    return jnp.pad(y, ((0, 0), (0, y.shape[1] % 2), (0, y.shape[2] % 2), (0, 0)), mode="reflect")


def blend(alpha: Map, ir: Features, vi: Features) -> Features:
    """alpha * ir + (1 - alpha) * vi in the type of `ir`; exactly ir at 1 and vi at 0."""
    return alpha.astype(ir.dtype) * ir + (1 - alpha).astype(ir.dtype) * vi


class UpsampleBilinear(nn.Module):
    """`upsample_bilinear` as a module without parameters, for `fusejax.inference.extent`."""

    padding = "edge"

    @nn.compact
    def __call__(self, x: Features) -> Float[Array, "b 2*h 2*w c"]:
        return upsample_bilinear(x)


def upsample_bilinear(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Doubles the size: along each axis, a new pixel is 3/4 of the old pixel under it and 1/4 of
    the next nearest.

    Pixels are repeated at the border. Computed from differences of neighbors, which keeps constants
    exact. `jax.image.resize` computes the same as products with matrices and is six to seven times
    slower on CPU (64 channels at 4x64x64: 1.3 ms against 8.9; backward 2.3 and 14.6).
    """
    b, h, w, c = x.shape
    x = jnp.stack(_between(x, axis=1), axis=2).reshape(b, 2 * h, w, c)
    return jnp.stack(_between(x, axis=2), axis=3).reshape(b, 2 * h, 2 * w, c)


def _between(x: Array, axis: int) -> tuple[Array, Array]:
    """x moved a quarter of the way to the previous neighbor, and to the next one."""
    step = jnp.diff(x, axis=axis) / 4
    none = jnp.zeros_like(jax.lax.slice_in_dim(x, 0, 1, axis=axis))
    return x - jnp.concatenate([none, step], axis), x + jnp.concatenate([step, none], axis)
