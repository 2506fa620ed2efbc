"""Features without any training: CIELAB patches with their surroundings and local gradients.

The floor that trained weights must beat, and the plainly named default until there are any. Each token
describes its cell of 8 x 8 pixels by

* the cell's CIELAB colours on a 4 x 4 grid (what it looks like),
* the mean colours of two wider neighbourhoods (where it belongs),
* histograms of gradient orientation over 16 x 16 pixels (its texture).

Raw descriptors are points whose *distance* means similarity, while everything downstream compares directions.
They are therefore lifted onto the unit sphere, x -> (x, sqrt(1 - |x|^2)): the dot product of two lifted
points is 1 - |x - y|^2 / 2 as long as |x| is small, so cosine ranks neighbours as distance does. A plain L2
norm would lose the brightness, since all descriptors of a cell point about the same way.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import IMAGENET_MEAN, IMAGENET_STD

ORIENTATIONS = 8
_GRID = 4


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """sRGB (B,3,H,W) in [0,1] -> CIELAB under D65 (IEC 61966-2-1), L in [0,100], a and b about +-100."""
    rgb = rgb.clamp(0, 1)
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = torch.einsum("ij,bjhw->bihw", _to_xyz(rgb.device, rgb.dtype), linear)
    delta = 6 / 29
    f = torch.where(xyz > delta**3, xyz.clamp_min(1e-8) ** (1 / 3), xyz / (3 * delta**2) + 4 / 29)
    x, y, z = f.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


@functools.lru_cache(maxsize=8)
def _to_xyz(device: torch.device, dtype: torch.dtype) -> Tensor:
    rows = [
        [0.4124564 / 0.95047, 0.3575761 / 0.95047, 0.1804375 / 0.95047],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339 / 1.08883, 0.1191920 / 1.08883, 0.9503041 / 1.08883],
    ]
    with torch.inference_mode(False):  # it is kept, and training may be next to use it
        return torch.tensor(rows, device=device, dtype=dtype)


class ColourTexture(nn.Module):
    """ImageNet-normalised frames (B,3,H,W) -> unit vectors (B,C,H/stride,W/stride).

    cell_weight, context_weight, texture_weight: share of each part in the squared distance.
    spread: scale of the descriptors before the lifting; larger tells more things apart, until most points
    would leave the sphere's cap and are pulled onto its rim.
    """

    def __init__(
        self,
        *,
        stride: int = 8,
        cell_weight: float = 1.0,
        context_weight: float = 1.0,
        texture_weight: float = 0.6,
        lightness_weight: float = 0.7,
        spread: float = 0.35,
    ) -> None:
        super().__init__()
        if stride < _GRID or stride % _GRID:
            raise ValueError(f"stride must be a multiple of {_GRID}, got {stride}")
        self.stride = stride
        self.options = {
            "stride": stride,
            "cell_weight": cell_weight,
            "context_weight": context_weight,
            "texture_weight": texture_weight,
            "lightness_weight": lightness_weight,
            "spread": spread,
        }
        self.channels = 3 * _GRID**2 + 2 * 3 + 2 * ORIENTATIONS + 1
        self.register_buffer("_mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        # Typical deviations of natural images, so that each part starts with about unit variance.
        lab = torch.tensor([lightness_weight / 22, 1 / 12, 1 / 14]).view(1, 3, 1, 1)
        self.register_buffer("_lab_scale", lab, persistent=False)
        offset = torch.tensor([50.0, 0.0, 0.0]).view(1, 3, 1, 1)
        self.register_buffer("_lab_offset", offset, persistent=False)
        twice = torch.arange(ORIENTATIONS) * (2 * math.pi / ORIENTATIONS)
        cos, sin = twice.cos(), twice.sin()
        lobes = torch.stack([1 + cos * cos, 1 + sin * sin, 2 * cos * sin, 2 * cos, 2 * sin], 1) / 4
        self.register_buffer("_lobes", lobes, persistent=False)
        self._weights = [math.sqrt(v) for v in (cell_weight, context_weight, texture_weight)]
        self._spread = spread

    def forward(self, normalised: Tensor) -> Tensor:
        """normalised (B,3,H,W), sides multiples of the stride -> (B,C,h,w), unit length over C."""
        lab = rgb_to_lab(normalised * self._std + self._mean)
        scaled = (lab - self._lab_offset) * self._lab_scale
        cell, context, texture = self._weights
        parts = [
            self._cells(scaled) * (cell / _GRID),
            self._context(scaled) * (context / math.sqrt(2)),
            self._texture(lab[:, :1]) * texture,
        ]
        point = torch.cat(parts, 1) * self._spread
        length = point.norm(dim=1, keepdim=True).clamp_min(1e-6)
        point = point * (length.clamp_max(0.99) / length)
        return torch.cat([point, (1 - point.square().sum(1, keepdim=True)).sqrt()], 1)

    def _cells(self, lab: Tensor) -> Tensor:
        pooled = F.avg_pool2d(lab, self.stride // _GRID)
        return F.pixel_unshuffle(pooled, _GRID)

    def _context(self, lab: Tensor) -> Tensor:
        token = F.avg_pool2d(lab, self.stride)
        return torch.cat([_smooth(token, 3), _smooth(token, 7)], 1)

    def _texture(self, lightness: Tensor) -> Tensor:
        """Square roots of orientation histograms (B,2*ORIENTATIONS,h,w) at full and half resolution."""
        fine = self._histogram(lightness, self.stride)
        coarse = self._histogram(F.avg_pool2d(lightness, 2), self.stride // 2)
        return torch.cat([fine, coarse], 1)

    def _histogram(self, lightness: Tensor, cell: int) -> Tensor:
        padded = F.pad(lightness, (1, 1, 1, 1), mode="replicate")
        gx = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
        gy = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
        # |cos|^4 lobes around each orientation: a smooth vote without an arc tangent; unsigned. All lobes are
        # sums of five products of the gradient, so that only these are made and pooled at full resolution.
        power, along, across = gx.square() + gy.square(), gx.square() - gy.square(), 2 * gx * gy
        scale = (power + 1e-6) ** -1.5
        products = torch.cat(
            [along * along, across * across, along * across, power * along, power * across], 1
        )
        pooled = _smooth(F.avg_pool2d(products * scale, cell), 3)
        pooled = torch.einsum("oi,bihw->bohw", self._lobes, pooled).clamp_min(0)
        # Strength saturates: an edge of 30 counts little more than one of 15.
        return (pooled / (pooled + 4)).sqrt()


def _smooth(maps: Tensor, size: int) -> Tensor:
    """Box mean of odd size that leaves out what lies beyond the border."""
    return F.avg_pool2d(maps, size, stride=1, padding=size // 2, count_include_pad=False)
