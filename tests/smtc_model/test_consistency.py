"""What moves and comes back agrees with itself; what disappears does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from smtc_model.consistency import agreement, carried_back, forward_backward, token_labels


def texture(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2.0)


def test_a_shifted_picture_comes_back_within_a_pixel():
    wide = texture(96, 160)
    error = forward_backward(wide[:, 8:136], wide[:, 4:132])
    assert error.shape == (96, 128)
    assert error.dtype == np.float32
    assert np.median(error) < 0.5


def test_a_region_that_is_replaced_stands_out():
    frame = texture(96, 128)
    other = frame.copy()
    other[30:60, 40:80] = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    error = forward_backward(frame, other)
    outside = np.ones((96, 128), bool)
    outside[20:70, 30:90] = False
    assert error[35:55, 45:75].mean() > 50 * error[outside].mean()


def test_error_is_in_pixels_of_the_frame_whatever_the_grid():
    wide = texture(192, 320)
    wide[40:120, 100:200] = 0
    fine = forward_backward(wide[:, 8:264], wide[:, :256])
    coarse = forward_backward(wide[:, 8:264], wide[:, :256], short_side_px=96)
    assert coarse.shape == fine.shape == (192, 256)
    assert np.median(coarse) < 1.0


def test_two_sizes_are_refused():
    with pytest.raises(ValueError, match="one size"):
        forward_backward(texture(64, 64), texture(64, 72))


def test_labels_carried_back_over_a_permutation_are_the_first_ones():
    generator = torch.Generator().manual_seed(0)
    known = torch.nn.functional.normalize(torch.randn((6, 8, 32), generator=generator), dim=-1)
    labels = torch.zeros((6, 8, 2))
    labels[..., 0] = 1
    labels[2:4, 3:6] = torch.tensor([0.0, 1.0])
    order = torch.randperm(48, generator=generator)
    moved = known.view(48, -1)[order].view(6, 8, -1)
    moved_labels = labels.view(48, 2)[order].view(6, 8, 2)
    back = carried_back(known, moved, moved_labels, top_k=1)
    torch.testing.assert_close(back, labels)
    assert agreement(back, labels) == [1.0]


def test_agreement_is_the_soft_overlap_and_none_where_nothing_is():
    one, other = torch.zeros((1, 4, 3)), torch.zeros((1, 4, 3))
    one[0, :2, 1] = 1
    other[0, 1:3, 1] = 1
    assert agreement(one, other) == [pytest.approx(1 / 3), None]


def test_token_labels_are_shares_of_each_token():
    labels = np.zeros((8, 8), np.uint16)
    labels[:4, :2] = 7
    shares = token_labels(labels, (0, 7), (2, 2))
    assert shares.shape == (2, 2, 2)
    assert shares[0, 0].tolist() == [0.5, 0.5]
    assert shares[1, 1].tolist() == [1.0, 0.0]
