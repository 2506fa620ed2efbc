"""Labels that follow their object lead back to the keyframe; labels that lost it do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smtc_model import label_check
from smtc_model.label_check import KeyframeCheck, agreement, carried_back, token_share


def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Features (6,8,32) of unit length, all different, and labels (6,8,2) with an object of 6 tokens."""
    generator = torch.Generator().manual_seed(0)
    features = torch.nn.functional.normalize(torch.randn((6, 8, 32), generator=generator), dim=-1)
    labels = torch.zeros((6, 8, 2))
    labels[..., 0] = 1
    labels[2:4, 3:6] = torch.tensor([0.0, 1.0])
    return features, labels


def moved(maps: torch.Tensor) -> torch.Tensor:
    order = torch.randperm(48, generator=torch.Generator().manual_seed(1))
    return maps.reshape(48, -1)[order].view(6, 8, -1)


def test_labels_carried_back_over_a_permutation_are_the_first_ones():
    features, labels = scene()
    back = carried_back(features, moved(features), moved(labels), top_k=1)
    torch.testing.assert_close(back, labels)
    assert agreement(back, labels) == [1.0]


def test_the_check_tells_a_followed_object_from_a_lost_one():
    features, labels = scene()
    truth = labels[..., 1].numpy().astype(np.uint16) * 7
    asked = []

    def describe(index):
        asked.append(index)
        return features, truth

    check = KeyframeCheck(describe)
    followed = moved(labels).permute(2, 0, 1)
    lost = torch.zeros_like(followed)
    lost[0] = 1
    assert check((4,), moved(features), followed, (0, 7))[7] > 0.9
    assert check((4,), moved(features), lost, (0, 7)) == {7: 0.0}
    assert asked == [4]


def test_agreement_is_the_soft_overlap_and_none_where_nothing_is():
    one, other = torch.zeros((1, 4, 3)), torch.zeros((1, 4, 3))
    one[0, :2, 1] = 1
    other[0, 1:3, 1] = 1
    assert agreement(one, other) == [pytest.approx(1 / 3), None]


def test_token_shares_are_what_a_label_covers_of_each_token():
    labels = np.zeros((8, 8), np.uint16)
    labels[:4, :2] = 7
    assert token_share(labels, 7, (2, 2)).tolist() == [[0.5, 0], [0, 0]]
    assert token_share(labels, 0, (2, 2)).tolist() == [[0.5, 1], [1, 1]]


def test_what_is_true_is_looked_at_once_for_each_label_and_can_be_ended_between_them(monkeypatch):
    features, labels = scene()
    truth = labels[..., 1].numpy().astype(np.uint16) * 7
    asked = []

    def share(labels, label, size):
        asked.append(label)
        return token_share(labels, label, size)

    monkeypatch.setattr(label_check, "token_share", share)
    check = KeyframeCheck(lambda index: (features, truth), between=lambda: asked.append(None))
    soft = moved(labels).permute(2, 0, 1)
    check((4,), moved(features), soft, (0, 7))
    assert asked == [None, 0, None, 7, None, None]  # the keyframe, each label, the way back
    check((4,), moved(features), torch.cat([soft, torch.zeros_like(soft[:1])]), (0, 7, 9))
    assert asked[6:] == [9, None, None]
