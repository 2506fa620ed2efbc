"""The quicker forward pass gives what the network gives."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from smtc_model.backbone import create_backbone
from smtc_model.compact import CompactNet
from smtc_model.fast_inference import FastCompactNet, WinogradConvolution
from smtc_model.frame_features import for_inference


def trained(**options):
    """A network whose norms have seen something."""
    torch.manual_seed(0)
    net = CompactNet(**options)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return net.eval()


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (8, 12), (37, 70)])
def test_winograd_is_the_convolution(size):
    torch.manual_seed(0)
    direct = nn.Conv2d(96, 40, 3, 1, 1)
    x = torch.randn(2, 96, *size)
    with torch.inference_mode():
        found = WinogradConvolution(direct.weight, direct.bias)(x)
        torch.testing.assert_close(found, direct(x), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "options", [{}, {"widths": (8, 8, 96, 100), "depths": (1, 1, 2), "colour_share": 0.5}]
)
@pytest.mark.parametrize("batch", [1, 2])
def test_same_features_as_the_network(options, batch):
    net = trained(**options)
    x = torch.randn(batch, 3, 48, 80)
    with torch.inference_mode():
        expected = net(x)
        found = FastCompactNet(net)(x)
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-4)


def test_the_backbone_itself_stays_as_it_is():
    backbone = create_backbone("compact", options={"widths": [8, 8, 16, 16], "depths": [1, 1, 1]}).eval()
    before = copy.deepcopy(backbone.state_dict())
    faster = for_inference(backbone, torch.device("cpu"))
    assert isinstance(faster.net, FastCompactNet)
    assert type(backbone.net) is CompactNet
    assert backbone.state_dict().keys() == before.keys()


def test_what_is_in_training_is_not_replaced():
    backbone = create_backbone("compact", options={"widths": [8, 8, 16, 16], "depths": [1, 1, 1]}).train()
    assert for_inference(backbone, torch.device("cpu")) is backbone


def test_a_wrapped_forward_does_not_lead_back_to_the_slower_network(monkeypatch):
    backbone = create_backbone("compact").eval()
    forward = backbone.forward
    backbone.forward = lambda frames: forward(frames)  # as whoever shares a network between threads does
    faster = for_inference(backbone, torch.device("cpu"))
    asked = []
    monkeypatch.setattr(faster.net, "forward", lambda frames: asked.append(frames) or frames)
    with torch.inference_mode():
        faster(torch.rand(1, 3, 32, 48))
    assert len(asked) == 1
