"""The bundled backbone: a small residual CNN whose features match the parts of a video with one another.

Three stages at strides 4, 8 and 16 (basic residual blocks, He et al. 2016) are projected to one width and
added at stride 8: the coarse stage tells objects apart, the fine ones place their edges. It is trained from
scratch without labels (`dense_training.py`). Colour, the strongest cue between near frames, can be kept
beside what was learned (`colour_share`). Sizes are a compromise for two CPU cores; to try another shape, pass
`widths` and `depths`: they travel in the configuration of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .colour_texture import ColourTexture

WIDTHS = (32, 64, 96, 192)
DEPTHS = (1, 2, 3)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the first one strides."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        nn.init.zeros_(self.norm2.weight)  # every block starts as its shortcut: faster start, He et al. 2019
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        return self.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def build_stages(widths: Sequence[int], depths: Sequence[int]) -> tuple[nn.Sequential, nn.ModuleList]:
    """Stem (3 channels to widths[0], stride 2) and the stages after it, each of stride 2."""
    stem = nn.Sequential(
        nn.Conv2d(3, widths[0], 3, 2, 1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    )
    stages = nn.ModuleList(
        nn.Sequential(
            ResidualBlock(inputs, outputs, 2),
            *(ResidualBlock(outputs, outputs) for _ in range(depth - 1)),
        )
        for inputs, outputs, depth in zip(widths, widths[1:], depths, strict=False)
    )
    return stem, stages


class CompactNet(nn.Module):
    """Normalised frames (B,3,H,W) -> features (B,channels,H/8,W/8); H and W multiples of 16.

    widths: channels of the stem and the three stages. depths: blocks of the stages.
    colour_share: s in [0,1). Above 0 the features are unit vectors made of the learned ones and of
    `ColourTexture`'s, so that their cosine is (1 - s) times the learned one plus s times that of colour.
    Learned cosines spread about ten times wider, so equal say means a share near 0.95.
    """

    width = 128
    stride = 8
    size_multiple = 16

    def __init__(
        self,
        *,
        widths: Sequence[int] = WIDTHS,
        depths: Sequence[int] = DEPTHS,
        colour_share: float = 0.0,
    ):
        super().__init__()
        if len(widths) != 4 or len(depths) != 3 or min((*widths, *depths)) < 1:
            raise ValueError(f"widths {widths} needs four and depths {depths} three positive numbers")
        if not 0 <= colour_share < 1:
            raise ValueError(f"colour_share must lie in [0, 1), got {colour_share}")
        self.options = {"widths": list(widths), "depths": list(depths), "colour_share": colour_share}
        self.colour = ColourTexture(stride=self.stride) if colour_share else None
        self.channels = self.width + (self.colour.channels if self.colour else 0)
        self._colour_share = colour_share
        self.stem, self.stages = build_stages(widths, depths)
        self.from_stride4 = nn.Conv2d(widths[1], self.width, 2, 2)
        self.from_stride8 = nn.Conv2d(widths[2], self.width, 1)
        self.from_stride16 = nn.Conv2d(widths[3], self.width, 1)
        self.project = nn.Conv2d(self.width, self.width, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2] % 16 or x.shape[-1] % 16:
            raise ValueError(f"sides of {tuple(x.shape[-2:])} must be multiples of 16")
        x = x.contiguous(memory_format=torch.channels_last)
        fine = self.stages[0](self.stem(x))
        middle = self.stages[1](fine)
        coarse = self.from_stride16(self.stages[2](middle))
        fused = self.from_stride4(fine) + self.from_stride8(middle)
        fused = fused + F.interpolate(coarse, size=middle.shape[-2:], mode="bilinear", align_corners=False)
        learned = self.project(F.relu(fused))
        if self.colour is None:
            return learned
        parts = (learned, 1 - self._colour_share), (self.colour(x), self._colour_share)
        return torch.cat([F.normalize(part, dim=1) * share**0.5 for part, share in parts], dim=1)
