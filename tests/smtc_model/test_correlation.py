"""Correlation with the previous frame: golden values, hand-computed cases, the two ways to begin a clip."""

from __future__ import annotations

import pytest
import torch
from golden import as_grid, assert_golden

from smtc_model.correlation import correlate, previous_frames


@pytest.mark.parametrize("role", ["student", "teacher"])
def test_projected_correlation_matches_golden_values(golden, released_head, role):
    keys = as_grid(golden[f"{role}_keys"])
    with torch.no_grad():
        correlation, fused = released_head.fuse(keys)
    assert_golden(correlation, golden, f"{role}_correlation")
    assert_golden(fused.flatten(3).transpose(2, 3), golden, f"{role}_fused")


def test_correlation_is_every_dot_product_by_hand():
    keys = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 2, 1, 2)  # two channels, two tokens in a row
    previous = torch.tensor([[5.0], [7.0]]).view(1, 1, 2, 1, 1).expand(1, 1, 2, 2, 2)
    products = correlate(keys, previous, 2)
    assert products.shape == (1, 1, 4, 1, 2)
    expected = torch.tensor([5 * 1 + 7 * 3, 5 * 2 + 7 * 4.0]).expand(4, 2)
    torch.testing.assert_close(products.view(4, 2), expected)


def test_positions_are_in_reading_order_after_resizing():
    previous = torch.zeros(1, 1, 1, 4, 4)
    previous[..., 2:, :2] = 8.0  # lower left quarter
    products = correlate(torch.ones(1, 1, 1, 1, 1), previous, 2)
    torch.testing.assert_close(products.flatten(), torch.tensor([0.0, 0.0, 8.0, 0.0]))


def test_previous_frame_is_clamped_given_or_rolled():
    keys = torch.arange(3.0).view(1, 3, 1, 1, 1)
    assert previous_frames(keys).flatten().tolist() == [0, 0, 1]
    assert previous_frames(keys, roll=True).flatten().tolist() == [2, 0, 1]
    before = torch.full((1, 1, 1, 1), 9.0)
    assert previous_frames(keys, before=before).flatten().tolist() == [9, 0, 1]


def test_clips_of_a_batch_do_not_see_each_other():
    keys = torch.randn(2, 3, 4, 5, 6)
    together = correlate(keys, previous_frames(keys), 4)
    alone = correlate(keys[1:], previous_frames(keys[1:]), 4)
    torch.testing.assert_close(together[1:], alone)
