"""An independent PyTorch version of the light network, written from its equations and not from the
JAX modules.

Rearrangement, interpolation and blur are PyTorch's own: `pixel_unshuffle`, `interpolate` with
`bilinear` (centers of the cells, outermost values repeated), a convolution with a fixed kernel.
"""

import torch
import torch.nn.functional as F
from torch import nn

COEFFICIENTS = 5


def conv(inputs, outputs):
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect")


class PooledResidual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = conv(width, width), conv(width, width)
        self.pool = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x):
        y = self.conv1(x) + self.pool(x.mean(dim=(2, 3), keepdim=True))
        return x + self.conv2(F.relu(y))


class LightTwin(nn.Module):
    """Inputs and output [b, 1, h, w]; sides are multiples of the cell."""

    def __init__(self, cell=4, width=24, blocks=3, detail=1.5, offset=0.25):
        super().__init__()
        self.cell, self.blocks, self.detail, self.offset = cell, blocks, detail, offset
        self.stem = conv(2 * cell * cell, width)
        for n in range(1, blocks + 1):
            self.add_module(f"block{n}", PooledResidual(width))
        self.coefficients = conv(width, COEFFICIENTS)
        taps = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
        self.register_buffer("blur", torch.outer(taps, taps)[None, None])

    def fine(self, x):
        return x - F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), self.get_buffer("blur"))

    def forward(self, ir, vi):
        cells = [F.pixel_unshuffle(x - 0.5, self.cell) for x in (ir, vi)]
        x = F.relu(self.stem(torch.cat(cells, dim=1)))
        for n in range(1, self.blocks + 1):
            x = self.get_submodule(f"block{n}")(x)
        maps = F.interpolate(self.coefficients(x), scale_factor=self.cell, mode="bilinear", align_corners=False)
        share, guide, ir_gain, vi_gain, offset = maps.split(1, dim=1)
        difference = ir - vi
        alpha = torch.sigmoid(share + 10 * (1 + guide) * difference)
        gains = torch.tanh(ir_gain) * self.fine(ir) + torch.tanh(vi_gain) * self.fine(vi)
        return vi + alpha * difference + self.detail * gains + self.offset * torch.tanh(offset)
