"""Object proposals: what is chosen, where its edges are, and which proposals are the same object."""

from __future__ import annotations

import itertools
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from davis_root import draw_frame

from smtc_model import discovery, frame_candidates, native_masks
from smtc_model.backbone import create_backbone
from smtc_model.config import ModelConfig
from smtc_model.discovery import FEW, DiscoveryConfig, SlotCache, propose, split_mask
from smtc_model.linking import TrackLinker
from smtc_model.metrics import jaccard
from smtc_model.native_masks import main_part, to_native, without_pinholes
from smtc_model.object_motion import camera_compensated_flow
from smtc_model.objectness import background_contrast
from smtc_model.region_slots import encode, frame_slots, soft_kmeans
from smtc_model.region_tree import best_antichain, build_tree
from smtc_model.regions import MOST_REGIONS, build_regions
from smtc_model.smtc import SMTC
from smtc_model.weights import load_model

STILL = DiscoveryConfig(motion_offsets=())


@pytest.fixture(scope="module")
def model():
    return load_model("colour-texture", device="cpu")


@pytest.fixture(scope="module")
def video():
    return [draw_frame(index)[0] for index in range(4)]


@pytest.fixture(scope="module")
def found(model, video):
    return propose(model, video, range(4), config=STILL, device="cpu")


def _regions(frame, **kwargs):
    grid = np.ones((4, 4, 2), np.float32) / 2
    return build_regions(frame, grid, grid, **kwargs)


def test_finds_the_objects_and_not_the_background(found):
    for index, proposals in found.items():
        labels = draw_frame(index)[1]
        for number in (1, 2):
            assert max(jaccard(labels == number, p.mask) for p in proposals) > 0.85
        assert max(p.mask.mean() for p in proposals) < 0.4


def test_proposals_describe_their_masks(found):
    proposals = found[1]
    assert [p.id for p in proposals] == list(range(1, len(proposals) + 1))
    for p in proposals:
        x0, y0, x1, y1 = p.box
        assert p.mask.shape == (96, 128)
        assert p.area == p.mask.sum() == p.mask[y0:y1, x0:x1].sum()
        assert p.mask[y0:y1, x0].any()
        assert p.mask[y1 - 1, x0:x1].any()
        assert 0 <= p.score <= 1
        assert not p.mask.flags.writeable
    assert np.sum([p.mask for p in proposals], axis=0).max() == 1


def test_an_object_keeps_its_track(found):
    for number in (1, 2):
        tracks = set()
        for index, proposals in found.items():
            labels = draw_frame(index)[1]
            best = max(proposals, key=lambda p: jaccard(labels == number, p.mask))
            tracks.add(best.track)
        assert len(tracks) == 1


def test_the_same_seed_gives_the_same_masks(model, video, found):
    again = propose(model, video, range(4), config=STILL, device="cpu")
    for index, proposals in found.items():
        assert len(again[index]) == len(proposals) > 0
        for one, other in zip(again[index], proposals, strict=True):
            np.testing.assert_array_equal(one.mask, other.mask)


def test_frames_of_another_size_start_tracks_of_their_own(model, video):
    mixed = [*video[:2], *(np.ascontiguousarray(frame[:64]) for frame in video[:2])]
    found = propose(model, mixed, range(4), config=STILL, device="cpu")
    tracks = [{p.track for p in found[index]} for index in range(4)]
    assert tracks[0] & tracks[1]
    assert tracks[2] & tracks[3]
    assert not (tracks[0] | tracks[1]) & (tracks[2] | tracks[3])


@pytest.mark.parametrize(("limit", "value"), [("MOST_TOGETHER", 3), ("MOST_APART", 0)])
def test_long_or_sparse_runs_are_linked_from_frame_to_frame(model, video, monkeypatch, limit, value):
    monkeypatch.setattr(discovery, limit, value)
    found = propose(model, video, range(4), config=STILL, device="cpu")
    alone = SlotCache(model, video, config=STILL, device="cpu").propose(0, STILL)
    assert [p.area for p in found[0]] == [p.area for p in alone]
    assert {p.track for p in found[0]} & {p.track for p in found[3]}


def test_carrying_can_be_ended(model, video):
    cache = SlotCache(model, video, config=STILL, device="cpu")
    calls = []

    def looked(done):
        calls.append(done)
        if calls.count(4) > 3:  # all four frames have been looked at by then
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(cache.propose_linked(range(4), STILL, looked=looked))
    assert set(calls) == {0, 1, 2, 3, 4}
    assert calls == sorted(calls)


@pytest.mark.parametrize("carry", [True, False])
def test_a_frame_can_be_ended_between_its_parts(model, video, monkeypatch, carry):
    """Each of what takes long on large frames is followed by a question whether to go on."""
    done = []

    def noted(part):
        def noting(*arguments, **keywords):
            result = part(*arguments, **keywords)
            done.append(part.__name__)
            return result

        return noting

    parts = ("frame_slots", "build_regions", "build_tree", "measure", "camera_compensated_flow")
    for name in parts:
        monkeypatch.setattr(discovery, name, noted(getattr(discovery, name)))
    monkeypatch.setattr(frame_candidates, "main_part", noted(main_part))
    monkeypatch.setattr("smtc_model.native_masks.watershed", noted(native_masks.watershed))
    cache = SlotCache(model, video, config=replace(STILL, motion_offsets=(1,)), device="cpu")
    config = replace(STILL, carry=carry)
    list(cache.propose_linked(range(2), config, looked=lambda done_frames: done.append(None)))
    assert {*parts, "main_part", "watershed", None} == set(done)
    assert all(None in pair for pair in itertools.pairwise(done))


def test_max_objects_keeps_the_best(model, video, found):
    config = DiscoveryConfig(max_objects=1, motion_offsets=())
    (only,) = propose(model, video, [0], config=config, device="cpu")[0]
    assert only.score == max(p.score for p in found[0])


def test_doubtful_proposals_only_make_up_a_few(model, video):
    cache = SlotCache(model, video, config=STILL, device="cpu")
    every = cache.propose(0, replace(STILL, granularity=1.0))
    assert len(every) > FEW
    bound = every[FEW].score + 1e-6  # so that the one after the few falls below it
    few = cache.propose(0, replace(STILL, granularity=1.0, likely_score=bound))
    assert [p.score for p in few] == [p.score for p in every[:FEW]]
    assert len(cache.propose(0, replace(STILL, granularity=1.0, likely_score=every[FEW].score))) > FEW


def test_progress_is_told_and_may_stop(model, video):
    told = []
    propose(model, video, [2, 0], config=STILL, device="cpu", progress=lambda *state: told.append(state))
    assert told == [(0, 2), (1, 2), (2, 2)]

    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        propose(model, video, [0], config=STILL, device="cpu", progress=stop)


def test_frames_outside_the_video_are_refused(model, video):
    with pytest.raises(ValueError, match="frame 4 is outside the video, which has 4 frames"):
        propose(model, video, [4], config=STILL, device="cpu")


@pytest.mark.parametrize("frame", [np.zeros((40, 60, 3), np.uint8), np.full((5, 7, 3), 200, np.uint8)])
def test_nothing_to_see_gives_no_proposals(model, frame):
    assert propose(model, [frame], [0], device="cpu") == {0: []}


@pytest.mark.parametrize(
    "wrong", [{"max_objects": 0}, {"granularity": 1.5}, {"num_slots": 0}, {"min_area": 0.5, "max_area": 0.1}]
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong)))):
        DiscoveryConfig(**wrong)


def test_granularity_is_chosen_anew_without_computing(model, video, monkeypatch):
    cache = SlotCache(model, video, config=STILL, device="cpu")
    cache.candidates(0)
    monkeypatch.setattr(model, "encode", None)
    masks = {}
    for granularity in (0.0, 1.0):
        config = DiscoveryConfig(granularity=granularity, max_objects=100, motion_offsets=())
        masks[granularity] = [p.area for p in cache.propose(0, config)]
    assert np.mean(masks[0.0]) > np.mean(masks[1.0])
    assert len(masks[0.0]) <= len(masks[1.0])


def test_the_cache_links_frames_as_a_fresh_run_does(model, video, monkeypatch):
    cache = SlotCache(model, video, config=STILL, device="cpu")
    fresh = propose(model, video, range(4), config=STILL, device="cpu")
    first = dict(cache.propose_linked(range(4), STILL))
    monkeypatch.setattr(model, "encode", None)
    again = dict(cache.propose_linked(range(4), STILL))
    for found in (first, again):
        assert {i: [(p.track, p.area, p.box) for p in ps] for i, ps in found.items()} == {
            i: [(p.track, p.area, p.box) for p in ps] for i, ps in fresh.items()
        }
    assert 3 in cache
    assert 4 not in cache


def test_small_holes_are_filled_and_fragments_go():
    mask = np.zeros((40, 40), bool)
    mask[5:35, 5:35] = True
    mask[10, 10] = False  # a pinhole
    mask[20:30, 20:30] = False  # a real hole
    filled = without_pinholes(mask)
    assert filled[10, 10]
    assert not filled[25, 25]
    mask[0, 39] = True
    assert np.array_equal(main_part(mask), mask & (np.arange(40) < 39))


def test_works_with_a_slot_head(video):
    torch.manual_seed(0)
    backbone = create_backbone("colour-texture")
    model = SMTC.with_new_head(backbone, ModelConfig(num_semantics=4, num_instances=2)).eval()
    keys = encode(model, video[1], device=torch.device("cpu"))
    settings = {"num_slots": 3, "iterations": 2, "seed": 0}
    slots = frame_slots(model, keys, None, **settings)
    assert slots.shares.shape == (*keys.shape[-2:], 8)
    np.testing.assert_allclose(slots.shares.sum(2), 1, atol=1e-4)
    assert not slots.trained
    moved = frame_slots(model, keys, keys.flip(-1), **settings)
    assert np.abs(moved.shares - slots.shares).max() > 1e-3, "the previous frame has no effect"
    assert propose(model, video, [0, 1], config=STILL, device="cpu")[1]


def test_a_trained_head_is_for_stills_unless_asked_for(video):
    """Everything on the second frame of a video; only `trained` and the slots' number tell who made them."""
    torch.manual_seed(0)
    config = ModelConfig(num_semantics=4, num_instances=2)
    model = SMTC.with_new_head(create_backbone("colour-texture"), config).eval()
    model.trained = True

    def made(**settings):
        cache = SlotCache(model, video, config=DiscoveryConfig(**settings), device="cpu")
        found = cache.candidates(1)
        return found.trained, found.regions.slots.shape[1]

    assert made(motion_offsets=()) == (True, 8)
    assert made(motion_offsets=(1,), num_slots=5) == (False, 5)
    assert made(motion_offsets=(1,), head_with_motion=True) == (True, 8)


class _LeftHalf(torch.nn.Module):
    """A foreground network that is sure of the left half of the frame."""

    size_multiple = 32

    def forward(self, frames):
        height, width = (side // 4 for side in frames.shape[-2:])
        logits = torch.full((len(frames), height, width), -6.0)
        logits[..., : width // 2] = 6.0
        return logits


def test_a_foreground_network_prefers_what_it_sees(video):
    backbone = create_backbone("colour-texture")
    scores = []
    for net in (None, _LeftHalf()):
        model = SMTC(backbone, foreground=net).eval()
        found = SlotCache(model, video, config=STILL, device="cpu").candidates(0)
        left = found.regions.centre[:, 1] < found.regions.labels.shape[1] / 2
        scores.append([found.score[: len(left)][side].max() for side in (left, ~left)])
    before, after = (left / right for left, right in scores)
    assert after > 2 * before


def test_split_separates_two_things_in_one_mask(model):
    frame, labels = draw_frame(0)
    parts = split_mask(model, frame, labels > 0, parts=2, device="cpu")
    assert len(parts) == 2
    assert np.array_equal(parts[0] | parts[1], labels > 0)
    assert not (parts[0] & parts[1]).any()
    for part in parts:
        assert max(jaccard(labels == number, part) for number in (1, 2)) > 0.9


def test_split_of_one_thing_by_its_colours(model):
    frame = np.full((96, 128, 3), 120, np.uint8)
    mask = np.zeros((96, 128), bool)
    mask[20:80, 30:100] = True
    frame[20:80, 30:60], frame[20:80, 60:100] = (200, 40, 40), (30, 40, 190)
    parts = split_mask(model, frame, mask, parts=2, device="cpu")
    assert jaccard(mask & (np.arange(128) >= 60), parts[0]) > 0.95


def test_split_refuses_what_cannot_be_split(model):
    frame, labels = draw_frame(0)
    with pytest.raises(ValueError, match="mask is empty"):
        split_mask(model, frame, labels > 9, device="cpu")
    with pytest.raises(ValueError, match="parts must be at least 2, got 1"):
        split_mask(model, frame, labels > 0, parts=1, device="cpu")
    single = np.zeros(labels.shape, bool)
    single[3, 3] = True
    assert [part.sum() for part in split_mask(model, frame, single, device="cpu")] == [1]


def test_native_masks_follow_the_edges_of_the_frame():
    """A coarse boundary two pixels off moves to the edge that the frame has there."""
    frame = np.full((240, 320, 3), 60, np.uint8)
    frame[:, 161:] = 200
    coarse = np.zeros((60, 80), np.int32)
    coarse[:, 41:] = 1
    labels = to_native(coarse, frame)
    edge = np.abs((labels > 0).argmax(1) - 161)
    assert edge.max() <= 1


def test_antichain_by_hand():
    #        6
    #     4     5
    #    0 1   2 3
    parent = np.array([4, 4, 5, 5, 6, 6, -1])
    assert best_antichain(parent, np.array([1, 1, 1, 1, 3, 1.5, 4.9])).tolist() == [2, 3, 4]
    assert best_antichain(parent, np.array([1, 1, 1, 1, 3, 1.5, 5])).tolist() == [6]
    assert best_antichain(parent, np.array([1.0, 0, 0, 0, 0, 0, 0])).tolist() == [0]


def test_tree_merges_alike_neighbours_first():
    frame, labels = draw_frame(0)
    tree = build_tree(_regions(frame))
    regions = _regions(frame)
    best = 0.0
    for members in tree.members:
        best = max(best, jaccard(labels == 1, members[regions.labels]))
    assert best > 0.85
    assert tree.members[-1].all()
    assert (tree.parent[:-1] > np.arange(len(tree.parent) - 1)).all()


def test_noise_does_not_explode_into_regions():
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    assert len(_regions(noise)) <= MOST_REGIONS


def test_what_touches_the_border_is_background():
    frame, labels = draw_frame(0)
    regions = _regions(frame)
    saliency = background_contrast(regions, np.arange(len(regions)), regions.colour / 10)[regions.labels]
    assert saliency[labels == 1].mean() > 3 * saliency[labels == 0].mean()


def test_motion_of_the_camera_is_taken_out():
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (40, 60, 3), np.uint8)
    scene = cv2.resize(coarse, (360, 240), interpolation=cv2.INTER_CUBIC)
    moving = cv2.resize(coarse[:10, :10], (60, 60), interpolation=cv2.INTER_CUBIC)
    first, second = scene[20:220, 20:340].copy(), scene[20:220, 26:346].copy()
    first[70:130, 100:160] = second[72:132, 98:158] = moving
    (motion,) = camera_compensated_flow(first, [second])
    assert np.median(np.abs(motion[:, 200:])) < 0.3
    np.testing.assert_allclose(np.median(motion[80:120, 110:150], axis=(0, 1)), [2, 4], atol=0.7)


def test_another_scene_has_no_motion():
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 255, (2, 60, 80, 3), np.uint8)
    assert camera_compensated_flow(one, [other]) == []


def test_soft_kmeans_tells_clusters_apart():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(centre, 0.05, (50, 2)) for centre in ((0, 0), (1, 0), (0, 1))])
    best = soft_kmeans(points, 3, iterations=5, seed=0).argmax(1)
    assert [len(set(best[i : i + 50])) for i in (0, 50, 100)] == [1, 1, 1]
    assert len(set(best)) == 3


def test_soft_kmeans_of_equal_points_has_one_slot():
    assert soft_kmeans(np.ones((6, 3)), 4, iterations=3, seed=0).tolist() == [[1.0]] * 6


def test_linking_survives_a_gap_and_tells_newcomers_apart():
    image = draw_frame(0)[0]
    one, two = np.zeros((2, 96, 128), bool)
    one[10:40, 10:40], two[50:80, 80:110] = True, True
    features = np.eye(2)
    linker = TrackLinker(patience=2)
    linker.expect(image)
    assert linker.link([one, two], features) == [1, 2]
    linker.expect(image)
    assert linker.link([two], features[1:]) == [2]
    linker.expect(image)
    assert linker.link([two, one], features[::-1]) == [2, 1]
    other = np.zeros_like(one)
    other[60:90, 10:30] = True
    linker.expect(image)
    assert linker.link([other], -features[:1]) == [3]
