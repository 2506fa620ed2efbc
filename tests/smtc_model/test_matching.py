"""Windowed matching gives what the dense published way gives, and skips only what cannot matter."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from smtc_model.matching import Window, grouped_topk, match, vote


def dense_vote(query, memory, labels, windows, k, temperature, motion=None):
    """The plain published way: full affinity, mask, top-k, softmax."""
    h, w, channels = query.shape
    n = len(memory)
    affinity = query.reshape(-1, channels) @ memory.reshape(-1, channels).T
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    y, x = y.reshape(-1), x.reshape(-1)
    blocks = []
    for m, window in enumerate(windows):
        dy, dx = (0, 0) if motion is None else motion[m]
        oy, ox = y[None] - y[:, None] - dy, x[None] - x[:, None] - dx
        if window.radius is None:
            blocks.append(torch.ones_like(oy, dtype=torch.bool))
        elif window.shape == "disk":
            blocks.append(oy**2 + ox**2 < window.radius**2)
        else:
            blocks.append((oy.abs() <= window.radius) & (ox.abs() <= window.radius))
    affinity[~torch.cat(blocks, 1)] = -torch.inf
    values, indices = affinity.topk(k, 1)
    weights = torch.softmax(values / temperature, 1)
    return (weights[..., None] * labels.reshape(n * h * w, -1)[indices]).sum(1)


def random_features(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(shape, generator=generator), dim=-1)


def one_hot_square(n, h, w, channels):
    labels = torch.zeros(n, h, w, channels)
    labels[..., 0] = 1
    for channel in range(1, channels):
        labels[:, 2 + channel : 5 + channel, 3:6] = 0
        labels[:, 2 + channel : 5 + channel, 3:6, channel] = 1
    return labels


@pytest.mark.parametrize("windows", [
    [Window(4, "disk"), Window(4, "disk")],
    [Window(3, "square"), Window(5, "square")],
    [Window(None), Window(4.5, "disk")],
    [Window(2.5, "square"), Window(None)],
])  # fmt: skip
def test_same_votes_as_dense_affinity(windows):
    query, memory = random_features(13, 19, 8), random_features(2, 13, 19, 8, seed=1)
    labels = torch.rand(2, 13, 19, 3, generator=torch.Generator().manual_seed(2))
    found = vote(match(query, memory, windows=windows, k=6), labels.view(-1, 3), temperature=0.1)
    torch.testing.assert_close(found, dense_vote(query, memory, labels, windows, 6, 0.1))


def test_windows_follow_motion():
    query, memory = random_features(8, 16, 8), random_features(1, 8, 16, 8, seed=1)
    labels = torch.rand(1, 8, 16, 2, generator=torch.Generator().manual_seed(2))
    motion = torch.tensor([1.0, 2.0]).view(1, 2, 1, 1).expand(1, 2, 8, 16)
    windows = [Window(3, "disk")]
    matches = match(query, memory, windows=windows, k=2, motion=motion)
    inside = torch.zeros(8, 16, dtype=torch.bool)
    inside[2:5, 2:11] = True  # the whole shifted window lies within the frame
    found = vote(matches, labels.view(-1, 2), temperature=0.1).view(8, 16, 2)
    expected = dense_vote(query, memory, labels, windows, 2, 0.1, motion=[(1, 2)]).view(8, 16, 2)
    torch.testing.assert_close(found[inside], expected[inside])


@pytest.mark.parametrize("windows", [[Window(3)] * 3, [Window(4, "disk"), Window(3), Window(3)]])
def test_tiles_of_any_size_give_the_same_votes(windows):
    query, memory = random_features(21, 35, 8), random_features(5, 21, 35, 8, seed=1)
    labels = one_hot_square(5, 21, 35, 3)
    foreground = labels[[0, 2, 3], ..., 0] < 1
    motion = 4 * torch.randn((3, 2, 21, 35), generator=torch.Generator().manual_seed(3)).cumsum(-1)
    motion[1:] = 0
    rest = {"windows": windows, "k": 4, "slots": [0, 2, 3], "foreground": foreground, "motion": motion}
    votes = [
        vote(match(query, memory, **rest, tile=tile), labels.view(-1, 3), temperature=0.1)
        for tile in (8, 16, 32)
    ]
    assert (votes[0][:, 1:] > 0).any()
    torch.testing.assert_close(votes[0], votes[1])
    torch.testing.assert_close(votes[0], votes[2])


def test_skipping_background_changes_nothing():
    query, memory = random_features(40, 48, 8), random_features(2, 40, 48, 8, seed=1)
    labels = one_hot_square(2, 40, 48, 3)
    windows = [Window(4, "disk")] * 2
    foreground = labels[..., 0] < 1
    matches = match(query, memory, windows=windows, k=5, foreground=foreground)
    assert matches.skipped.float().mean() > 0.5
    found = vote(matches, labels.view(-1, 3), temperature=0.1)
    torch.testing.assert_close(found, dense_vote(query, memory, labels, windows, 5, 0.1))


@pytest.mark.parametrize("motion", [(0, 0), (3, -2)])
def test_only_positions_that_reach_foreground_are_matched(motion):
    query, memory = random_features(40, 48, 8), random_features(2, 40, 48, 8, seed=1)
    foreground = torch.zeros((2, 40, 48), dtype=torch.bool)
    foreground[1, 20, 21] = True
    shifts = torch.zeros((2, 2, 40, 48))
    shifts[1] = torch.tensor(motion, dtype=torch.float32)[:, None, None]
    matches = match(query, memory, windows=[Window(9), Window(4)], k=5, foreground=foreground, motion=shifts)
    expected = torch.zeros((40, 48), dtype=torch.bool)
    y, x = 20 - motion[0], 21 - motion[1]
    expected[y - 4 : y + 5, x - 4 : x + 5] = True
    assert torch.equal(~matches.skipped.view(40, 48), expected)


def test_chosen_slots_only():
    query, memory = random_features(9, 9, 8), random_features(4, 9, 9, 8, seed=1)
    windows = [Window(3, "disk")] * 2
    labels = torch.rand(4, 9, 9, 2, generator=torch.Generator().manual_seed(2))
    found = vote(
        match(query, memory, windows=windows, k=3, slots=[1, 3]), labels.view(-1, 2), temperature=0.1
    )
    torch.testing.assert_close(found, dense_vote(query, memory[[1, 3]], labels[[1, 3]], windows, 3, 0.1))


def test_more_matches_wanted_than_a_window_holds():
    query, memory = random_features(6, 6, 8), random_features(1, 6, 6, 8, seed=1)
    labels = torch.rand(1, 6, 6, 2, generator=torch.Generator().manual_seed(2))
    labels = labels / labels.sum(-1, keepdim=True)
    found = vote(
        match(query, memory, windows=[Window(1.5, "disk")], k=30), labels.view(-1, 2), temperature=0.1
    )
    torch.testing.assert_close(found.sum(1), torch.ones(36))


def test_a_label_gets_the_same_votes_whatever_labels_are_beside_it():
    query, memory = random_features(9, 9, 8), random_features(1, 9, 9, 8, seed=1)
    labels = torch.rand(81, 150, generator=torch.Generator().manual_seed(2))
    matches = match(query, memory, windows=[Window(3, "disk")], k=3)
    alone = vote(matches, labels[:, 100:107], temperature=0.1)
    torch.testing.assert_close(vote(matches, labels, temperature=0.1)[:, 100:107], alone)


def test_skipped_queries_are_background_in_all_of_its_channels():
    query, memory = random_features(6, 6, 8), random_features(1, 6, 6, 8, seed=1)
    foreground = torch.zeros((1, 6, 6), dtype=torch.bool)
    foreground[0, 0, 0] = True
    matches = match(query, memory, windows=[Window(1)], k=2, foreground=foreground)
    found = vote(matches, torch.full((36, 8), 0.125), temperature=0.1, background=4)
    assert matches.skipped[-1]
    assert found[-1].tolist() == [1, 1, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("columns", [5, 100, 1000, 1003])
def test_grouped_topk_is_topk(columns):
    values = torch.randn(30, columns, generator=torch.Generator().manual_seed(0))
    found, where = grouped_topk(values, 5)
    expected = values.topk(5, 1)
    assert torch.equal(found, expected.values)
    assert torch.equal(values.gather(1, where), found)


@pytest.mark.parametrize("name", ["crw_small", "crw_wide"])
def test_reference_implementation(shared, name):
    golden = load_file(shared / "golden" / "propagation_reference.safetensors")
    features = golden[f"{name}_features"].permute(0, 2, 3, 1).contiguous()
    context, radius, k, temperature = golden[f"{name}_params"].tolist()
    context = int(context)
    labels = [golden[f"{name}_first_label"]]
    windows = [Window(None)] + [Window(radius, "disk")] * context
    for t in range(1, len(features)):
        memory = [0] + [max(0, i) for i in range(t - context, t)]
        matches = match(features[t], features[memory], windows=windows, k=int(k))
        flat = torch.cat([labels[i].flatten(0, 1) for i in memory])
        labels.append(vote(matches, flat, temperature=temperature).view_as(labels[0]))
    torch.testing.assert_close(torch.stack(labels), golden[f"{name}_soft_labels"], rtol=1e-3, atol=1e-4)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="radius"):
        Window(0)
    with pytest.raises(ValueError, match="shape"):
        Window(3, "round")
    query = random_features(4, 4, 8)
    with pytest.raises(ValueError, match="windows"):
        match(query, query[None], windows=[], k=1)
    with pytest.raises(ValueError, match="memory"):
        match(query, random_features(1, 5, 4, 8), windows=[Window(2)], k=1)
