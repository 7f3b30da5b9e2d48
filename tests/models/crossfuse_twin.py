"""An independent PyTorch version of CrossFuse, written from the specification; submodules have the
names of the author's files.

Depth-wise, grouped and padded convolutions, normalization and attention are PyTorch's own.
"""

import torch
import torch.nn.functional as F
from torch import nn


def pointwise(inputs, outputs, bias=False):
    return nn.Conv2d(inputs, outputs, 1, bias=bias)


def conv3x3(inputs, outputs, groups=1):
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups, bias=False)


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Module()
        self.body.weight = nn.Parameter(torch.ones(width))
        self.body.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x):
        x = x.movedim(1, -1)
        return F.layer_norm(x, x.shape[-1:], self.body.weight, self.body.bias, 1e-5).movedim(-1, 1)


def transposed_attention(qkv, temperature):
    """[b, 3c, h, w] -> [b, c, h, w]; also the attention matrices [b, heads, n, n]."""
    b, c, h, w = qkv.shape
    heads = temperature.shape[0]
    q, k, v = qkv.reshape(b, 3, heads, c // 3 // heads, h * w).unbind(1)
    matrix = (temperature * F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT).softmax(-1)
    return (matrix @ v).reshape(b, c // 3, h, w), matrix


class ShortAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv, self.qkv_dwconv = pointwise(width, 3 * width), conv3x3(3 * width, 3 * width, 3 * width)
        self.project_out = pointwise(width, width)

    def forward(self, x):
        return self.project_out(transposed_attention(self.qkv_dwconv(self.qkv(x)), self.temperature)[0])


class LongAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv1, self.qkv2 = pointwise(width, 3 * width), conv3x3(3 * width, 3 * width)
        self.proj = pointwise(width, width)

    def forward(self, x):
        return self.proj(transposed_attention(self.qkv2(self.qkv1(x)), self.scale)[0])


class Gated(nn.Module):
    def __init__(self, width, hidden, groups):
        super().__init__()
        self.project_in, self.project_out = pointwise(width, 2 * hidden), pointwise(hidden, width)
        self.dwconv = conv3x3(2 * hidden, 2 * hidden, groups)

    def forward(self, x):
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class RestormerBlock(nn.Module):
    def __init__(self, width, heads, expansion):
        super().__init__()
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.attn = ShortAttention(width, heads)
        self.ffn = Gated(width, expansion * width, 2 * expansion * width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class LongScale(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = Norm(width), Norm(width)
        self.attn, self.mlp = LongAttention(width, heads), Gated(width, width, width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Bottleneck(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.bottleneckBlock = nn.Sequential(
            pointwise(width, 2 * width),
            nn.ReLU6(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(2 * width, 2 * width, 3, groups=2 * width, bias=False),
            nn.ReLU6(),
            pointwise(2 * width, width),
        )

    def forward(self, x):
        return self.bottleneckBlock(x)


class Coupling(nn.Module):
    def __init__(self, width):
        super().__init__()
        half = width // 2
        self.theta_phi, self.theta_rho, self.theta_eta = Bottleneck(half), Bottleneck(half), Bottleneck(half)
        self.shffleconv = pointwise(width, width, bias=True)

    def forward(self, x):
        z1, z2 = self.shffleconv(x).chunk(2, dim=1)
        z2 = z2 + self.theta_phi(z1)
        return torch.cat([z1 * self.theta_rho(z2).exp() + self.theta_eta(z2), z2], dim=1)


class ShortScale(nn.Module):
    def __init__(self, width, layers):
        super().__init__()
        self.net = nn.Sequential(*(Coupling(width) for _ in range(layers)))

    def forward(self, x):
        return self.net(x)


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, heads = config.width, config.heads
        self.patch_embed = nn.Module()
        self.patch_embed.proj = conv3x3(1, width)
        blocks = (RestormerBlock(width, heads, config.expansion) for _ in range(config.encoder_blocks))
        self.encoder_level1 = nn.Sequential(*blocks)
        self.baseFeature = LongScale(width, heads)
        self.detailFeature = ShortScale(width, config.coupling_layers)

    def forward(self, y):
        shallow = self.encoder_level1(self.patch_embed.proj(y))
        return self.baseFeature(shallow), self.detailFeature(shallow)


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        width = config.width
        self.reduce_channel = pointwise(2 * width, width)
        blocks = (RestormerBlock(width, config.heads, config.expansion) for _ in range(config.decoder_blocks))
        self.encoder_level2 = nn.Sequential(*blocks)
        self.output = nn.Sequential(conv3x3(width, width // 2), nn.LeakyReLU(), conv3x3(width // 2, 1))

    def forward(self, base, detail, skip):
        x = self.encoder_level2(self.reduce_channel(torch.cat([base, detail], dim=1)))
        return torch.sigmoid(self.output(x) + skip)


class Twin(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.DIDF_Encoder, self.DIDF_Decoder = Encoder(config), Decoder(config)
        self.BaseFuseLayer = LongScale(config.width, config.heads)
        self.DetailFuseLayer = ShortScale(config.width, 1)

    def forward(self, ir, vi_y):
        (ir_base, ir_detail), (vi_base, vi_detail) = self.DIDF_Encoder(ir), self.DIDF_Encoder(vi_y)
        fused = self.BaseFuseLayer(ir_base + vi_base), self.DetailFuseLayer(ir_detail + vi_detail)
        return self.DIDF_Decoder(*fused, vi_y)

    def checkpoint(self, prefix="module."):
        """The format saved by the author's script: a dict of named tensors for each of the four
        modules.
        """
        return {name: {prefix + k: v for k, v in m.state_dict().items()} for name, m in self.named_children()}


def randomize(module, seed):
    """Moves every entry away from its initial 0 or 1, so that every term has an effect; kernels
    keep the variance of their input.
    """
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 4:
            parameter.data = noise * 0.8 / parameter[0].numel() ** 0.5
        else:
            parameter.data += 0.1 * noise
    return module
