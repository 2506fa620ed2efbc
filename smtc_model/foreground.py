"""Where in a frame things are that can move on their own, as learned from watching things move.

A small network of its own, from a single frame to a share of foreground per pixel block. Its labels are no
person's: optical flow tells in unlabelled clips what moves against the camera (Pathak et al., "Learning
Features by Watching Objects Move", CVPR 2017), and the network learns to tell it from one frame, so that it
knows still things and still frames, too (`foreground_training`). The paper has no such part: it takes the
weights of a backbone that knows objects (DINO) for granted.

Letters: B frames, H x W pixels.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import IMAGENET_MEAN, IMAGENET_STD
from .compact import DEPTHS, WIDTHS, CompactNet, ResidualBlock, build_stages

FOREGROUND_SIDE_PX = 288
"""Shorter side of the frames that the network is asked about: about what it was trained on."""

_DEEP = 256
_WIDTH = 64


class ForegroundNet(nn.Module):
    """frames (B,3,H,W) RGB in [0,1], sides multiples of 32 -> logits (B,H/4,W/4) of being foreground.

    The stages of `CompactNet`, a deeper one at stride 32 that also knows the mean of the whole frame, and
    back to stride 4 (a feature pyramid, Lin et al., CVPR 2017).
    """

    size_multiple = 32
    stride = 4
    mean_rgb: Tensor
    std_rgb: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stages = build_stages(WIDTHS, DEPTHS)
        self.deep = nn.Sequential(ResidualBlock(WIDTHS[-1], _DEEP, 2), ResidualBlock(_DEEP, _DEEP))
        self.whole = nn.Linear(_DEEP, _DEEP)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, _WIDTH, 1) for channels in (*WIDTHS[1:], _DEEP))
        self.mix = nn.ModuleList(ResidualBlock(_WIDTH, _WIDTH) for _ in self.lateral)
        self.out = nn.Conv2d(_WIDTH, 1, 3, padding=1)
        self.register_buffer("mean_rgb", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std_rgb", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def start_from(self, net: CompactNet) -> None:
        """Take over the weights of a backbone's stages. Raises RuntimeError if they have another shape."""
        self.stem.load_state_dict(net.stem.state_dict())
        self.stages.load_state_dict(net.stages.state_dict())

    def train(self, mode: bool = True) -> ForegroundNet:
        """As of every module, but the stages keep their norms' statistics: a batch is too small for them."""
        super().train(mode)
        for module in (*self.stem.modules(), *self.stages.modules()):
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, frames: Tensor) -> Tensor:
        if frames.ndim != 4 or frames.shape[1] != 3 or any(side % 32 for side in frames.shape[-2:]):
            raise ValueError(
                f"frames must have shape (B, 3, H, W), H and W multiples of 32, got {tuple(frames.shape)}"
            )
        x = self.stem(((frames - self.mean_rgb) / self.std_rgb).contiguous(memory_format=torch.channels_last))
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        x = self.deep(x)
        # What a thing is depends on what else is there.
        levels.append(F.relu(x + self.whole(x.mean((2, 3)))[:, :, None, None]))
        mixed = self.mix[-1](self.lateral[-1](levels[-1]))
        for level, lateral, mix in list(zip(levels, self.lateral, self.mix, strict=True))[-2::-1]:
            finer = lateral(level)
            coarse = F.interpolate(mixed, size=finer.shape[-2:], mode="bilinear", align_corners=False)
            mixed = mix(finer + coarse)
        return self.out(mixed)[:, 0]


def foreground_share(
    net: ForegroundNet, frame: np.ndarray, *, device: torch.device, side_px: int = FOREGROUND_SIDE_PX
) -> np.ndarray:
    """Share of foreground (h,w) float32, 0 to 1, of a frame uint8 (H,W,3) RGB, at stride 4 of `side_px`."""
    height, width = frame.shape[:2]
    scale = side_px / min(height, width)
    multiple = net.size_multiple
    size = tuple(max(1, round(side * scale / multiple)) * multiple for side in (height, width))
    pixels = torch.from_numpy(frame.copy()).to(device).permute(2, 0, 1)[None].float() / 255
    pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
    with torch.inference_mode():
        return net(pixels)[0].sigmoid().float().cpu().numpy()
