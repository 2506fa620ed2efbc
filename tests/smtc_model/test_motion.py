"""Optical flow: where it can be believed."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from smtc_model.motion import FlowEstimator, lost


def test_flow_is_lost_where_the_way_back_ends_elsewhere():
    there, back = torch.zeros(2, 8, 12), torch.zeros(2, 8, 12)
    there[1], back[1] = 2, -2
    assert not lost(there, back, tolerance=0.5).any()
    back[1, :, 6:] = 1  # reached from columns 4 to 9, and from the last ones, which leave the picture
    assert lost(there, back, tolerance=0.5).any(0).tolist() == [False] * 4 + [True] * 8


def test_flow_follows_a_camera_and_loses_what_changes():
    noise = np.random.default_rng(0).integers(0, 255, (120, 200), np.uint8)
    scene = cv2.GaussianBlur(noise, (0, 0), 3) * 2
    one, other = scene[10:90, 10:150].copy(), scene[14:94, 22:162].copy()
    flow_of = FlowEstimator()
    lost_share = lost(flow_of(one, other), flow_of(other, one), tolerance=1.5)
    assert lost_share[10:, 20:].float().mean() < 0.05
    changed = cv2.GaussianBlur(np.random.default_rng(1).integers(0, 255, (80, 140), np.uint8), (0, 0), 3) * 2
    lost_share = lost(flow_of(one, changed), flow_of(changed, one), tolerance=1.5)
    assert lost_share.float().mean() > 0.3
