"""Tracks carried through a clip: where candidates arrive, and which of them are chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from smtc_model import carried_tracks
from smtc_model.carried_tracks import ClipFrame, best_independent, carry_tracks
from smtc_model.region_tree import build_tree
from smtc_model.regions import build_regions

GREY, RED, BLUE = (120, 120, 120), (220, 30, 30), (30, 30, 220)


def _frame(index: int, *, blue: bool = True) -> np.ndarray:
    """A red square that moves and a blue one that stands."""
    image = np.full((64, 96, 3), GREY, np.uint8)
    image[20:40, 8 + 4 * index : 28 + 4 * index] = RED
    if blue:
        image[40:58, 70:88] = BLUE
    return image


def _clip_frame(index: int, image: np.ndarray, *, starts: tuple[tuple[int, int, int], ...]) -> ClipFrame:
    """starts: colours of which nodes start tracks."""
    grid = image[2::4, 2::4].astype(np.float32) - 100
    regions = build_regions(image, grid, np.ones((2, 2, 1), np.float32))
    tree = build_tree(regions)
    score = np.zeros(len(tree.members))
    for node, members in enumerate(tree.members):
        mask = members[regions.labels]
        for colour in starts:
            wanted = (image == colour).all(2)
            score[node] = max(
                score[node], 0.9 * ((mask & wanted).sum() / max((mask | wanted).sum(), 1) > 0.9)
            )
    tokens = F.normalize(torch.from_numpy(grid), dim=2).half()
    return ClipFrame(index, tokens, regions, tree, score, score)


def _carry(frames):
    return carry_tracks(frames, size_power=0.5, max_area=0.4, max_border=0.45)


def _iou(frame: ClipFrame, members: np.ndarray, wanted: np.ndarray) -> float:
    mask = members[frame.regions.labels]
    return (mask & wanted).sum() / max((mask | wanted).sum(), 1)


def _wanted(frame: ClipFrame, colour) -> np.ndarray:
    return np.abs(frame.regions.image.astype(int) - colour).max(2) < 60


def test_a_track_goes_where_its_object_goes():
    frames = [_clip_frame(i, _frame(i), starts=(RED,) if i == 0 else ()) for i in range(4)]
    tracks = _carry(frames)
    # Only its first frame has a node to agree with, and the mean over the frames is all that counts.
    assert len(tracks.rank) == 1
    for frame, members in zip(frames, tracks.members, strict=True):
        assert _iou(frame, members[0], _wanted(frame, RED)) > 0.8


def test_what_is_first_proposed_later_is_carried_back(monkeypatch):
    monkeypatch.setattr(carried_tracks, "KEYFRAME_STEP", 2)
    frames = [_clip_frame(i, _frame(i), starts=(BLUE,) if i == 2 else ()) for i in range(4)]
    tracks = _carry(frames)
    for frame, members in zip(frames, tracks.members, strict=True):
        assert max(_iou(frame, one, _wanted(frame, BLUE)) for one in members) > 0.75


def test_the_same_object_is_one_track(monkeypatch):
    monkeypatch.setattr(carried_tracks, "KEYFRAME_STEP", 1)
    frames = [_clip_frame(i, _frame(i), starts=(RED, BLUE)) for i in range(4)]
    assert len(_carry(frames).rank) == 2


def test_nothing_to_carry_gives_no_tracks():
    tracks = _carry([_clip_frame(i, _frame(i), starts=()) for i in range(2)])
    assert len(tracks.rank) == 0
    assert [len(members) for members in tracks.members] == [0, 0]


@pytest.mark.parametrize(
    ("value", "pairs", "best"),
    [
        ([3, 2, 2], [(0, 1), (0, 2)], [1, 2]),  # two parts are worth more than the whole
        ([5, 2, 2], [(0, 1), (0, 2)], [0]),
        ([1, 0, 1], [], [0, 2]),  # what is worth nothing is left out
        ([3, 2.5, 2.5, 2], [(0, 1), (0, 2), (2, 3)], [1, 2]),
    ],
)
def test_the_best_that_do_not_conflict_are_chosen(value, pairs, best):
    conflict = np.zeros((len(value),) * 2, bool)
    for a, b in pairs:
        conflict[a, b] = conflict[b, a] = True
    chosen = best_independent(np.array(value, float), conflict)
    assert not conflict[np.ix_(chosen, chosen)].any()
    assert sum(value[k] for k in chosen) == sum(value[k] for k in best)
