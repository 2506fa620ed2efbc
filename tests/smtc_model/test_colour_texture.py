"""The untrained features tell what looks alike from what does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import color, data

from smtc_model.backbone import create_backbone
from smtc_model.colour_texture import ColourTexture, rgb_to_lab


def test_lab_agrees_with_scikit_image():
    rgb = data.astronaut()[::16, ::16] / 255
    found = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None].float())[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, color.rgb2lab(rgb), atol=0.05)


def test_unit_vectors_of_the_promised_shape():
    net = ColourTexture()
    maps = net(torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(0)))
    assert maps.shape == (2, net.channels, 6, 8)
    torch.testing.assert_close(maps.norm(dim=1), torch.ones(2, 6, 8))


def test_a_moved_patch_finds_itself():
    frame = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255
    backbone = create_backbone("colour-texture")
    first = backbone(frame[:, :, :256, :256]).tokens[0].flatten(1).T
    moved = backbone(frame[:, :, 16:272, 24:280]).tokens[0]
    y, x = torch.meshgrid(torch.arange(4, 26), torch.arange(4, 26), indexing="ij")
    best = (moved[:, y, x].flatten(1).T @ first.T).argmax(1).view(22, 22)
    assert ((best == (y + 2) * 32 + x + 3).float().mean()) > 0.9


def test_brightness_counts():
    grey = torch.full((1, 3, 16, 16), 0.2)
    backbone = create_backbone("colour-texture")
    dark, light = backbone(grey).tokens, backbone(grey + 0.5).tokens
    assert float((dark * light).sum(1).max()) < 0.95


def test_wrong_stride_is_refused():
    with pytest.raises(ValueError, match="stride"):
        ColourTexture(stride=6)
