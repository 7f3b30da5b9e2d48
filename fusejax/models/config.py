"""Configurations of the networks: plain data, which does not import JAX.

The type of a configuration selects the network; see `fusejax.models.build`.
"""

import dataclasses
from typing import Literal

from fusejax.options import check_at_least, check_choices

Dtype = Literal["float32", "bfloat16"]
Remat = Literal["none", "full", "dots"]


@dataclasses.dataclass(frozen=True)
class AngularFuseConfig:
    """Shape of AngularFuse's U-Net.

    Attributes:
        widths: channels of each level, finest first; every further level halves height and width.
        heads: attention heads of every block, or None for max(1, width // 8). With the default 8,
            as in EMMA's code, the blocks of width 8 have one channel per head, whose softmax is
            always 1, so that q, k and scale are never trained.
        residual_blocks: residual convolution pairs in the local branch of a block.
        shared_encoder: use one encoder for both inputs together, instead of one for each and a
            block that joins them.
        attention: whether blocks have a global branch; without it, they are residual convolutions
            alone (for ablations).
        dtype: data type of the arithmetic, `float32` or `bfloat16`; parameters and output stay
            float32.
        remat: what the backward pass recomputes, see `fusejax.models.layers.rematerialized`.
    """

    widths: tuple[int, ...] = (8, 16, 32, 32)
    heads: int | None = 8
    residual_blocks: int = 2
    shared_encoder: bool = False
    attention: bool = True
    dtype: Dtype = "float32"
    remat: Remat = "none"

    def __post_init__(self):
        check_choices(self)
        _check_widths(self.widths)
        check_at_least(self, 0, "residual_blocks")
        if self.heads is not None:
            check_at_least(self, 1, "heads")

    def heads_at(self, width: int) -> int:
        """Attention heads of a block.

        Args:
            width: channels of the block.

        Returns:
            Number of heads, at least 1.
        """
        return max(1, width // 8) if self.heads is None else self.heads


@dataclasses.dataclass(frozen=True)
class CrossFuseConfig:
    """Shape of CrossFuse's network.

    Attributes:
        width: channels everywhere; even, a multiple of `heads`.
        heads: attention heads of every block.
        encoder_blocks: number of Restormer blocks in the encoder.
        decoder_blocks: number of Restormer blocks in the decoder.
        expansion: width of a Restormer block's feed-forward part, relative to `width`.
        coupling_layers: number of invertible layers in the detail branch; its fusion layer has one.
        paths: `both`; `long` or `short` keeps one path and gives the decoder zeros for the other;
            `exchanged` gives the short path's features the part of the base and the long path's
            that of the detail. For ablations, in training or with trained parameters.
        dtype: data type of the arithmetic, `float32` or `bfloat16`; parameters, output and the
            coupling layers, whose exponential is unbounded, stay float32.
        remat: what the backward pass of the Restormer blocks and coupling layers recomputes, see
            `fusejax.models.layers.rematerialized`.
    """

    width: int = 64
    heads: int = 8
    encoder_blocks: int = 4
    decoder_blocks: int = 4
    expansion: int = 2
    coupling_layers: int = 3
    paths: Literal["both", "long", "short", "exchanged"] = "both"
    dtype: Dtype = "float32"
    remat: Remat = "none"

    def __post_init__(self):
        check_choices(self)
        check_at_least(self, 1, "width", "heads", "encoder_blocks", "decoder_blocks", "expansion")
        check_at_least(self, 1, "coupling_layers")
        if self.width % 2 or self.width % self.heads:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}.")


@dataclasses.dataclass(frozen=True)
class FusionNetConfig:
    """Shape of FusionNet. No number here is from the paper, which states none.

    Attributes:
        widths: channels of the encoder's residual blocks. The first block runs at full resolution
            and provides the skip connection; the others run at half resolution and share one width.
        attention_width: hidden channels of the modality attention.
        alpha_width: hidden channels of the alpha map.
        channel_gate: scale the attended channels by a sigmoid computed from the means of all
            features. Because of the means (including padding), the result depends on the whole
            image, so separately fused tiles differ from the image fused as a whole.
        gate_width: hidden width of the channel gate.
        attention: whether features are weighted by modality attention; without it, both weights are
            1/2 everywhere (for ablations).
        fixed_alpha: weight of infrared in the blend at every pixel, instead of a learned map (for
            ablations).
        image_space_alpha: blend the images instead of only decoding the blended features: fused_y =
            alpha * ir + (1 - alpha) * vi_y + decoded.
        dtype: data type of the arithmetic, `float32` or `bfloat16`; parameters, the maps and the
            output stay float32.
        remat: what the backward pass of the residual blocks recomputes, see
            `fusejax.models.layers.rematerialized`.
    """

    widths: tuple[int, ...] = (32, 64, 64)
    attention_width: int = 64
    alpha_width: int = 32
    channel_gate: bool = False
    gate_width: int = 16
    attention: bool = True
    fixed_alpha: float | None = None
    image_space_alpha: bool = False
    dtype: Dtype = "float32"
    remat: Remat = "none"

    def __post_init__(self):
        check_choices(self)
        _check_widths(self.widths)
        check_at_least(self, 1, "attention_width", "alpha_width", "gate_width")
        if self.fixed_alpha is not None and not 0 <= self.fixed_alpha <= 1:
            raise ValueError(f"fixed_alpha is {self.fixed_alpha}; it must be a weight, 0 to 1.")
        if self.channel_gate and not self.attention:
            raise ValueError("channel_gate is a part of the attention; leave attention on.")
        if len(self.widths) < 2 or len(set(self.widths[1:])) > 1:
            raise ValueError(f"widths are {self.widths}; give one for full resolution, then equal ones for half.")


@dataclasses.dataclass(frozen=True)
class LightConfig:
    """Shape of the light network.

    Attributes:
        cell: side r in pixels of the cells by which the sources are rearranged.
        width: channels of the convolutions.
        blocks: number of residual blocks with two 3x3 convolutions each.
        pooled: whether every block adds a term computed from the means over the whole image. The
            result then depends on the whole image, so separately fused tiles differ from the image
            fused as a whole.
        contrast_guide: whether the blend also follows the difference of the sources at the pixel
            itself, which takes its edges from the sources instead of from the cells.
        detail: largest gain of the fine detail of each source; with 0, none is added to the blend.
        offset: largest smooth offset that is added to the blend.
        depthwise: whether the blocks use a depth-wise 3x3 convolution followed by a 1x1 instead of
            a full 3x3.
        coarse_cell: side in pixels of the cells of a second network of the same width and depth,
            whose coefficients are added; a multiple of `cell`. 0 for no second network.

    Example:
        >>> LightConfig(width=6, blocks=1).width
        6
    """

    cell: int = 4
    width: int = 24
    blocks: int = 3
    pooled: bool = True
    contrast_guide: bool = True
    detail: float = 1.5
    offset: float = 0.25
    depthwise: bool = False
    coarse_cell: int = 0

    def __post_init__(self):
        check_at_least(self, 1, "cell", "width", "blocks")
        check_at_least(self, 0, "detail", "offset", "coarse_cell")
        if self.coarse_cell % self.cell:
            raise ValueError(f"coarse_cell is {self.coarse_cell}; give a multiple of cell ({self.cell}), or 0.")


@dataclasses.dataclass(frozen=True)
class OtherConfig:
    """Base of the configurations of networks outside the package, see `fusejax.plugins`.

    A subclass is a frozen dataclass like the others, with a line in `NETWORKS`.
    """


ModelConfig = AngularFuseConfig | CrossFuseConfig | FusionNetConfig | LightConfig | OtherConfig


def _check_widths(widths: tuple[int, ...]) -> None:
    if not widths or min(widths) < 1:
        raise ValueError(f"widths are {widths}; give at least one, each at least 1 channel.")
