"""The bundled network's forward pass with less work, for features on a processor.

Batch norms become part of the convolutions before them, and wide 3 x 3 convolutions of stride 1, which are
most of the work, take Winograd's way: F(4 x 4, 3 x 3) of Lavin and Gray, "Fast Algorithms for Convolutional
Neural Networks", CVPR 2016, with a quarter of the multiplications. Convolutions whose windows do not overlap
become one matrix product. Results differ from the network's by rounding only, about 1e-5 of their size.

Letters: C channels, O output channels, H x W cells, t tiles of 4 x 4 cells.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .compact import CompactNet, ResidualBlock

_INPUT = torch.tensor(
    [
        [4.0, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
_WEIGHT = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
_OUTPUT = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])
_TILE = 4
_FEWEST_CHANNELS, _FEWEST_CELL_CHANNELS = 96, 64
"""Of a 3 x 3 convolution, and of one without overlap; with fewer the direct way is the quicker one."""
_STRIP_FLOATS = 500_000
"""Of transformed input at a time, about what a core's second-level cache holds."""


class WinogradConvolution(nn.Module):
    """A 3 x 3 convolution of stride 1 and padding 1: (1,C,H,W) -> (1,O,H,W), channels last in memory.

    weight (O,C,3,3), bias (O,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        transformed = torch.einsum("ai,bj,ocij->abco", _WEIGHT, _WEIGHT, weight.double().cpu())
        self.register_buffer("_weight", transformed.flatten(0, 1).float().contiguous())  # (36,C,O)
        self.register_buffer("_bias", bias)
        self.register_buffer("_to_frequency", torch.kron(_INPUT, _INPUT))  # (36,36)
        self.register_buffer("_from_frequency", torch.kron(_OUTPUT, _OUTPUT))  # (16,36)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        if batch != 1:
            return torch.cat([self(one[None]) for one in x])
        outputs = self._weight.shape[2]
        down, across = -(-height // _TILE), -(-width // _TILE)
        margins = (0, 0, 1, _TILE * across + 1 - width, 1, _TILE * down + 1 - height)
        padded = F.pad(x[0].permute(1, 2, 0), margins)  # (4 down + 2, 4 across + 2, C)
        result = x.new_empty((down, _TILE, across, _TILE, outputs))
        rows = min(down, max(1, _STRIP_FLOATS // (36 * across * channels)))
        tiles, frequencies, products, cells = (
            x.new_empty(frequency_count, rows, across, depth)
            for frequency_count, depth in ((36, channels), (36, channels), (36, outputs), (16, outputs))
        )
        for top in range(0, down, rows):
            if top + rows > down:  # the last strip looks at some tiles again, so that all have one shape
                top = down - rows
            strip = padded[_TILE * top : _TILE * (top + rows) + 2]
            cut = strip.unfold(0, 6, _TILE).unfold(1, 6, _TILE).permute(3, 4, 0, 1, 2)
            tiles.view(6, 6, rows, across, channels).copy_(cut)
            torch.mm(self._to_frequency, tiles.view(36, -1), out=frequencies.view(36, -1))
            torch.bmm(frequencies.view(36, -1, channels), self._weight, out=products.view(36, -1, outputs))
            torch.mm(self._from_frequency, products.view(36, -1), out=cells.view(16, -1))
            in_place = cells.view(_TILE, _TILE, rows, across, outputs).permute(2, 0, 3, 1, 4)
            torch.add(in_place, self._bias, out=result[top : top + rows])
        return result.view(_TILE * down, _TILE * across, outputs)[:height, :width].permute(2, 0, 1)[None]


class CellConvolution(nn.Module):
    """A convolution whose windows do not overlap, of side k <= stride: (1,C,H,W) -> (1,O,H/stride,W/stride).

    weight (O,C,k,k), bias (O,); the stride divides H and W. Channels last in memory.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, stride: int) -> None:
        super().__init__()
        self._side, self._stride = weight.shape[2], stride
        self.register_buffer("_weight", weight.permute(2, 3, 1, 0).flatten(0, 2).contiguous())  # (k*k*C,O)
        self.register_buffer("_bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows, columns, side = height // self._stride, width // self._stride, self._side
        cells = x.permute(0, 2, 3, 1).reshape(batch, rows, self._stride, columns, self._stride, channels)
        cells = cells[:, :, :side, :, :side].transpose(2, 3).reshape(batch * rows * columns, -1)
        found = torch.addmm(self._bias, cells, self._weight)
        return found.view(batch, rows, columns, -1).permute(0, 3, 1, 2)


class _Block(nn.Module):
    """A `ResidualBlock` without its norms."""

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        self.first = _convolution(block.conv1, block.norm1)
        self.second = _convolution(block.conv2, block.norm2)
        shortcut = block.shortcut
        self.shortcut = _convolution(*shortcut) if isinstance(shortcut, nn.Sequential) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).relu_()).add_(self.shortcut(x)).relu_()


class FastCompactNet(CompactNet):
    """A `CompactNet` in evaluation mode, with its weights, for inference only."""

    def __init__(self, net: CompactNet) -> None:
        nn.Module.__init__(self)
        self.channels, self.options, self.colour = net.channels, net.options, net.colour
        self._colour_share = net._colour_share
        self.stem = nn.Sequential(_convolution(net.stem[0], net.stem[1]), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList(nn.Sequential(*(_Block(block) for block in s)) for s in net.stages)
        for name in ("from_stride4", "from_stride8", "from_stride16", "project"):
            self.add_module(name, _plain(getattr(net, name)))
        self.eval()


def _convolution(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Module:
    """Both as one, with the norm's running statistics."""
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    weight = convolution.weight.detach() * scale[:, None, None, None]
    bias = norm.bias.detach() - norm.running_mean * scale
    fused = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        convolution.stride,
        convolution.padding,
    ).to(weight.device)
    fused.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
    fused.bias = nn.Parameter(bias, requires_grad=False)
    return _plain(fused)


def _plain(convolution: nn.Conv2d) -> nn.Module:
    """The quickest way to compute a convolution."""
    weight, bias = convolution.weight.detach(), convolution.bias.detach()
    kernel, stride = convolution.kernel_size, convolution.stride
    if kernel == (3, 3) and stride == (1, 1) and convolution.in_channels >= _FEWEST_CHANNELS:
        return WinogradConvolution(weight, bias)
    wide = convolution.in_channels >= _FEWEST_CELL_CHANNELS
    if kernel[0] <= stride[0] and convolution.padding == (0, 0) and wide:
        return CellConvolution(weight, bias, stride=stride[0])
    return convolution
