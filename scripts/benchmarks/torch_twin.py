"""An independent PyTorch version of the AngularFuse U-Net, written from the specification and not
from the JAX modules.

Concatenations, grouped and transposed convolutions are PyTorch's own.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.scale = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.qkv_mix = nn.Conv2d(3 * width, 3 * width, 3, padding=1, bias=False)
        self.out = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = self.qkv_mix(self.qkv(x)).reshape(b, 3, self.heads, c // self.heads, h * w).unbind(1)
        attention = (self.scale * F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-1, -2)).softmax(-1)
        return self.out((attention @ v).reshape(b, c, h, w))


class FeedForward(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.expand = nn.Conv2d(width, 2 * width, 1, bias=False)
        self.mix = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=width, bias=False, padding_mode="reflect")
        self.reduce = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x):
        gate, value = self.mix(self.expand(x)).chunk(2, dim=1)
        return self.reduce(F.gelu(gate) * value)


class Norm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def conv(inputs, outputs, bias=False, stride=1):
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=bias, padding_mode="reflect")


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = conv(width, width, True), conv(width, width, True)

    def forward(self, x):
        return x + self.conv2(F.relu(self.conv1(x)))


class Block(nn.Module):
    def __init__(self, inputs, width, heads):
        super().__init__()
        self.embed = conv(inputs, width)
        self.norm1, self.attention = Norm(width, eps=1e-5), Attention(width, heads)
        self.norm2, self.feed_forward = Norm(width, eps=1e-5), FeedForward(width)
        self.local1, self.local2 = Residual(width), Residual(width)
        self.merge = conv(2 * width, width)

    def forward(self, x):
        x = self.embed(x)
        y = x + self.attention(self.norm1(x))
        y = y + self.feed_forward(self.norm2(y))
        return self.merge(torch.cat([y, self.local2(self.local1(x))], dim=1))


class UFuser(nn.Module):
    """Inputs and output [b, 1, h, w]; sides are multiples of 2 ** (levels - 1)."""

    def __init__(self, widths: tuple[int, ...] = (8, 16, 32, 32), heads: int | None = 8) -> None:
        super().__init__()
        self.levels = len(widths)
        heads_at = (lambda w: max(1, w // 8)) if heads is None else (lambda w: heads)
        before = (1, *widths)
        for n, width in enumerate(widths, start=1):
            for kind in ("ir", "vi"):
                self.add_module(f"{kind}_encoder{n}", Block(before[n - 1], width, heads_at(width)))
                if n > 1:
                    self.add_module(f"{kind}_down{n - 1}", conv(before[n - 1], before[n - 1], stride=2))
            self.add_module(f"fusion{n}", Block(2 * width, width, heads_at(width)))
            inputs = width if n == self.levels else 2 * width
            self.add_module(f"decoder{n}", Block(inputs, width, heads_at(width)))
            if n < self.levels:
                self.add_module(f"up{n}", nn.ConvTranspose2d(widths[n], width, 4, stride=2, padding=1, bias=False))
        self.head = conv(widths[0], 1, bias=True)

    def forward(self, ir, vi):
        part, features = dict(self.named_children()), []
        for n in range(1, self.levels + 1):
            if n > 1:
                ir, vi = part[f"ir_down{n - 1}"](ir), part[f"vi_down{n - 1}"](vi)
            ir, vi = part[f"ir_encoder{n}"](ir), part[f"vi_encoder{n}"](vi)
            features.append(part[f"fusion{n}"](torch.cat([ir, vi], dim=1)))
        y = part[f"decoder{self.levels}"](features[-1])
        for n in range(self.levels - 1, 0, -1):
            y = part[f"decoder{n}"](torch.cat([F.relu(part[f"up{n}"](y)), features[n - 1]], dim=1))
        return torch.sigmoid(self.head(y))


def _in_torch(name: str, value: np.ndarray) -> tuple[str, np.ndarray]:
    """Name and layout of a JAX parameter in the PyTorch version."""
    *path, last = name.split("/")
    if last == "scale" and path[-1] == "attention":
        return ".".join([*path, last]), value.reshape(-1, 1, 1)
    if last == "kernel" and value.ndim == 2:
        value = value.T[..., None, None]
    elif last == "kernel":
        value = value.transpose(2, 3, 0, 1) if path[-1].startswith("up") else value.transpose(3, 2, 0, 1)
    return ".".join([*path, {"kernel": "weight", "scale": "weight"}.get(last, last)]), value


def load_flat(twin: nn.Module, flat: dict[str, np.ndarray]) -> None:
    """Copies parameters named as in the JAX tree, joined with "/".

    Every parameter must occur exactly once.
    """
    own = dict(twin.named_parameters())
    for name, array in flat.items():
        torch_name, value = _in_torch(name, np.asarray(array))
        parameter = own.pop(torch_name)
        if tuple(parameter.shape) != value.shape:
            raise ValueError(f"{name} is {value.shape} but {torch_name} is {tuple(parameter.shape)}")
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(np.array(value)))
    if own:
        raise ValueError(f"not set: {sorted(own)}")
