"""Views of features, on maps small enough to know the answer by hand."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_model.consistency import forward_backward
from smtc_model.matching import Matches, Window, match, vote
from smtc_model.region_slots import FrameSlots
from smtc_model.views import (
    Remembered,
    correspond,
    explain_label,
    feature_at,
    feature_pca,
    frame_features,
    pca_image,
    slot_maps,
    slot_numbers,
    slot_reference,
    unit,
)
from smtc_model.weights import load_model


def _distinct(h: int, w: int, channels: int = 64, *, seed: int = 7) -> np.ndarray:
    """A map in which every token looks like nothing else."""
    return unit(np.random.default_rng(seed).normal(size=(h, w, channels)).astype(np.float32))


def test_features_have_the_shape_of_the_grid_and_unit_brings_them_to_length_one():
    model = load_model("colour-texture", device="cpu")
    frame = np.random.default_rng(0).integers(0, 255, (96, 160, 3), dtype=np.uint8)
    features = frame_features(model, frame, side_px=48)
    stride = model.backbone.stride
    assert features.shape == (48 // stride, 80 // stride, model.backbone.channels)
    assert np.linalg.norm(unit(features), axis=-1) == pytest.approx(1, abs=1e-5)


def test_pca_finds_the_directions_that_vary_and_orders_them():
    rng = np.random.default_rng(1)
    points = np.zeros((20, 30, 6), np.float32)
    points[..., 4] = rng.normal(0, 3, (20, 30))
    points[..., 1] = rng.normal(0, 2, (20, 30))
    points[..., 0] = rng.normal(0, 1, (20, 30))
    pca = feature_pca([points])
    assert np.abs(pca.axes).argmax(0).tolist() == [4, 1, 0]
    assert pca.axes.max(0) == pytest.approx(np.abs(pca.axes).max(0))


def test_pca_colours_of_a_frame_do_not_depend_on_the_other_frames_shown():
    clip = [_distinct(6, 8), _distinct(6, 8)[::-1]]
    pca = feature_pca(clip)
    whole, alone = pca_image(np.concatenate(clip), pca), pca_image(clip[0], pca)
    assert np.array_equal(whole[:6], alone)
    assert alone.dtype == np.uint8
    assert alone.min() == 0
    assert alone.max() == 255


def test_pca_refuses_nothing_and_too_few_channels():
    with pytest.raises(ValueError, match="at least one frame"):
        feature_pca([])
    with pytest.raises(ValueError, match="3 channels"):
        feature_pca([np.zeros((2, 2, 2), np.float32)])


def _grouped(order: tuple[int, ...], looks: np.ndarray) -> FrameSlots:
    """A frame of four columns; column c looks like `looks[c]` and belongs to slot `order[c]`."""
    features = np.repeat(looks[None], 3, axis=0)
    shares = np.zeros((3, 4, 4), np.float32)
    for column, slot in enumerate(order):
        shares[:, column, slot] = 1
    return FrameSlots(features, shares, trained=False)


def test_the_same_thing_keeps_its_slot_number_whatever_the_frame_calls_it():
    looks = np.eye(4, 8, dtype=np.float32)
    reference = slot_reference([np.repeat(looks[None], 3, axis=0)], 4)
    first = slot_numbers(_grouped((0, 1, 2, 3), looks), reference)
    second = slot_numbers(_grouped((2, 0, 3, 1), looks), reference)
    assert sorted(first) == [0, 1, 2, 3]
    assert [second[slot] for slot in (2, 0, 3, 1)] == first.tolist()


def test_slot_maps_show_the_winner_full_where_it_is_clear_and_dark_where_it_is_a_draw():
    shares = np.zeros((1, 2, 2), np.float32)
    shares[0, 0] = (1, 0)
    shares[0, 1] = (0.5, 0.5)
    slots = FrameSlots(np.zeros((1, 2, 3), np.float32), shares, trained=True)
    colours = np.array([(200, 0, 0), (0, 200, 0)], np.uint8)
    image = slot_maps(slots, np.array([0, 1]), colours, (1, 2))
    assert image[0, 0].tolist() == pytest.approx([200, 0, 0], abs=6)
    assert image[0, 1].max() == 100


def test_a_pixel_is_found_where_it_moved_to():
    first = _distinct(9, 12)
    second = np.roll(first, (2, -3), (0, 1))
    found = correspond(first, (7.5 / 12, 4.5 / 9), second, count=2)
    best = found.matches[0]
    assert (best.x * 12, best.y * 9) == pytest.approx((4.5, 6.5), abs=0.05)
    assert best.similarity == pytest.approx(1, abs=1e-5)
    assert np.unravel_index(found.heat.argmax(), found.heat.shape) == (6, 4)
    assert found.heat.max() == 1
    other = found.matches[1]
    assert max(abs(other.x * 12 - 4.5), abs(other.y * 9 - 6.5)) > 2


def test_few_tokens_give_few_matches():
    assert len(correspond(_distinct(2, 2), (0.5, 0.5), _distinct(2, 2), count=5).matches) == 1


def test_features_are_interpolated_between_tokens_and_refused_outside():
    features = np.eye(2, dtype=np.float32)[None]
    assert feature_at(features, (0.25, 0.5)).tolist() == [1, 0]
    assert feature_at(features, (0.5, 0.5)) == pytest.approx([0.5**0.5, 0.5**0.5])
    with pytest.raises(ValueError, match="shares of the frame"):
        feature_at(features, (1.2, 0.5))


def test_votes_are_those_of_the_engine():
    """The explanation of one pixel adds up to what matching and voting give for it."""
    import torch

    rng = np.random.default_rng(3)
    query = unit(rng.normal(size=(8, 10, 5)).astype(np.float32))
    memory = unit(rng.normal(size=(2, 8, 10, 5)).astype(np.float32))
    labels = rng.integers(0, 3, (2, 8, 10))
    window = Window(3, "disk")
    matches: Matches = match(
        torch.from_numpy(query), torch.from_numpy(memory), windows=[window, window], k=4, tile=1
    )
    one_hot = torch.from_numpy(np.eye(3, dtype=np.float32)[labels].reshape(-1, 3))
    expected = vote(matches, one_hot, temperature=0.1).numpy()[5 * 10 + 6]
    remembered = [Remembered(i, memory[i], labels[i], window) for i in range(2)]
    votes = explain_label(query, (6.5 / 10, 5.5 / 8), remembered, top_k=4, temperature=0.1)
    sums = [sum(v.weight for v in votes if v.label == label) for label in range(3)]
    assert sums == pytest.approx(expected, abs=1e-4)
    assert [v.weight for v in votes] == sorted((v.weight for v in votes), reverse=True)
    for v in votes:
        assert labels[v.frame][int(v.y * 8), int(v.x * 10)] == v.label
        assert np.hypot(v.x * 10 - 6.5, v.y * 8 - 5.5) < 3


def test_a_window_follows_its_centre():
    features = _distinct(6, 6)
    moved = np.roll(features, 3, 1)
    labels = np.arange(36).reshape(6, 6)
    near = Remembered(4, moved, labels, Window(1.5), centre=(4.5 / 6, 2.5 / 6))
    votes = explain_label(features, (1.5 / 6, 2.5 / 6), [near], top_k=1, temperature=0.1)
    assert (votes[0].label, votes[0].frame) == (2 * 6 + 4, 4)


def test_without_memory_nothing_votes():
    with pytest.raises(ValueError, match="none can vote"):
        explain_label(_distinct(2, 2), (0.5, 0.5), [], top_k=1, temperature=1)


def test_what_is_found_again_comes_home_and_what_is_gone_does_not():
    first = _distinct(10, 12)
    second = np.roll(first, (1, 2), (0, 1))
    second[:, :3] = _distinct(10, 3, seed=8)
    result = forward_backward(first, second, top_k=1)
    kept = np.ones((10, 12), bool)
    kept[:, [0, 10, 11]] = False
    assert result.error[kept].max() < 0.01
    assert result.similarity[kept].min() > 0.99
    assert np.median(result.error[~kept]) > 1
    assert result.similarity[~kept].max() < 0.9


def test_matches_stay_within_the_radius():
    first = _distinct(10, 12)
    far = np.roll(first, 6, 1)
    assert forward_backward(first, far, top_k=1).similarity.min() > 0.99
    assert forward_backward(first, far, top_k=1, radius=3).similarity.max() < 0.9


def test_consistency_refuses_maps_of_different_sizes():
    with pytest.raises(ValueError, match="same features"):
        forward_backward(_distinct(2, 3), _distinct(3, 2))
