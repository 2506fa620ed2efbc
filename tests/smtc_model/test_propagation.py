"""Labels travel along with what they lie on, in all directions, in bounded memory."""

from __future__ import annotations

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from smtc_model.appearance import Appearance, _chosen
from smtc_model.backbone import Features, create_backbone
from smtc_model.confidence import NOWHERE, joined, object_confidence
from smtc_model.errors import ModelError
from smtc_model.fusion import _remoteness, _where_to_look
from smtc_model.matching import Window
from smtc_model.memory import LabelMemory, packed, unpacked
from smtc_model.metrics import jaccard
from smtc_model.motion import FlowEstimator
from smtc_model.propagation import PropagatedFrame, Propagator, blend, propagate
from smtc_model.propagation_config import CRW, PRESETS, PropagationConfig
from smtc_model.soft_store import SoftLabels, SoftStore

HEIGHT, WIDTH = 64, 96
SMALL = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=96, recent_frames=3)


class Clip:
    """Textured squares that move over a textured ground, with exact labels; made when asked for."""

    def __init__(
        self, count: int, *, squares: int = 1, speed: int = 2, height: int = HEIGHT, width: int = WIDTH
    ):
        rng = np.random.default_rng(3)
        self._count = count
        self._speed = speed
        self._ground = (90 + 30 * rng.random((height, width, 3))).astype(np.uint8)
        colours = np.array([(220, 40, 40), (40, 60, 220), (230, 220, 40)])
        self._patches = [
            np.clip(colours[i] + rng.normal(0, 12, (20, 20, 3)), 0, 255).astype(np.uint8)
            for i in range(squares)
        ]

    def __len__(self) -> int:
        return self._count

    def _corner(self, index: int, square: int) -> tuple[int, int]:
        travel = self._ground.shape[1] - 20 - 8
        step = (index * self._speed) % (2 * travel)  # to and fro
        return 6 + 26 * square, 4 + (step if step <= travel else 2 * travel - step)

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < self._count:
            raise IndexError(index)
        frame = self._ground.copy()
        for square, patch in enumerate(self._patches):
            y, x = self._corner(index, square)
            frame[y : y + 20, x : x + 20] = patch
        return frame

    def labels(self, index: int) -> np.ndarray:
        labels = np.zeros(self._ground.shape[:2], np.uint16)
        for square in range(len(self._patches)):
            y, x = self._corner(index, square)
            labels[y : y + 20, x : x + 20] = square + 1
        return labels


@pytest.fixture(scope="module")
def model():
    return create_backbone("colour-texture").eval()


def collect(frames) -> dict[int, PropagatedFrame]:
    return {frame.index: frame for frame in frames}


class Remembered(nn.Module):
    """A backbone that gives stored feature maps, one per call."""

    stride = 8

    def __init__(self, maps: torch.Tensor) -> None:
        super().__init__()
        self._maps = iter(maps)

    def forward(self, frames: torch.Tensor) -> Features:
        maps = next(self._maps)[None]
        return Features(maps, maps, maps, None)


@pytest.mark.parametrize("name", ["crw_small", "crw_wide"])
def test_crw_preset_is_the_reference(shared, name):
    golden = load_file(shared / "golden" / "propagation_reference.safetensors")
    context, radius, k, temperature = golden[f"{name}_params"].tolist()
    features, first = golden[f"{name}_features"], golden[f"{name}_first_label"]
    config = dataclasses.replace(
        CRW, recent_frames=int(context), window=Window(radius, "disk"), top_k=int(k), temperature=temperature
    )
    propagator = Propagator(Remembered(features), config=config)
    h, w = first.shape[:2]
    labels = first.argmax(-1).numpy()  # one-hot, so nothing is lost
    frame = np.zeros((h, w, 3), np.uint8)
    propagator.add_keyframe(0, frame, labels)
    for t in range(1, len(features)):
        soft = propagator.step(t, frame).soft.permute(1, 2, 0)
        torch.testing.assert_close(soft, golden[f"{name}_soft_labels"][t], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_follows_a_moving_object(model, preset):
    clip = Clip(5)
    config = dataclasses.replace(PRESETS[preset], short_side_px=None, size_multiple_px=None)
    found = collect(propagate(model, clip, {0: clip.labels(0)}, config=config, device="cpu"))
    assert sorted(found) == [1, 2, 3, 4]
    for index, frame in found.items():
        assert frame.labels.dtype == np.uint16
        assert frame.labels.shape == (HEIGHT, WIDTH)
        assert not frame.labels.flags.writeable
        assert frame.sources == (0,)
        assert jaccard(clip.labels(index) == 1, frame.labels == 1) > 0.4  # tokens are a third of its side


def test_default_is_precise_on_an_easy_clip(model):
    clip = Clip(10, squares=2)
    found = collect(propagate(model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu"))
    for index, frame in found.items():
        for label in (1, 2):
            assert jaccard(clip.labels(index) == label, frame.labels == label) > 0.85
        assert set(frame.confidence) == {1, 2}
        assert all(0 <= value <= 1 for value in frame.confidence.values())


def test_consistency_is_told_when_asked_for(model):
    clip = Clip(6, squares=2)
    plain = collect(propagate(model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu"))
    checked = collect(propagate(model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu", check=True))
    for index, frame in checked.items():
        assert plain[index].consistency == {}
        assert set(frame.consistency) == {1, 2}
        assert all(0.5 < value <= 1 for value in frame.consistency.values())
        np.testing.assert_array_equal(frame.labels, plain[index].labels)


def test_backward_goes_down_from_the_last_keyframe(model):
    clip = Clip(6)
    frames = list(
        propagate(model, clip, {5: clip.labels(5)}, direction="backward", config=SMALL, device="cpu")
    )
    assert [frame.index for frame in frames] == [4, 3, 2, 1, 0]
    assert all(jaccard(clip.labels(f.index) == 1, f.labels == 1) > 0.8 for f in frames)


def test_both_ways_reach_every_frame_and_name_their_sources(model):
    clip = Clip(9)
    keyframes = {2: clip.labels(2), 6: clip.labels(6)}
    found = collect(propagate(model, clip, keyframes, direction="both", config=SMALL, device="cpu"))
    assert sorted(found) == [0, 1, 3, 4, 5, 7, 8]
    assert {i: f.sources for i, f in found.items()} == {
        0: (2,), 1: (2,), 3: (2, 6), 4: (2, 6), 5: (2, 6), 7: (6,), 8: (6,),
    }  # fmt: skip
    assert all(jaccard(clip.labels(i) == 1, f.labels == 1) > 0.8 for i, f in found.items())


def test_object_that_enters_at_a_later_keyframe(model):
    clip = Clip(8, squares=2)
    first = clip.labels(0)
    first[first == 2] = 0
    keyframes = {0: first, 4: clip.labels(4)}
    found = collect(propagate(model, clip, keyframes, config=SMALL, device="cpu"))
    assert all(not (found[i].labels == 2).any() for i in (1, 2, 3))
    assert all(jaccard(clip.labels(i) == 2, found[i].labels == 2) > 0.8 for i in (5, 6, 7))
    assert all(jaccard(clip.labels(i) == 1, found[i].labels == 1) > 0.8 for i in found)


class Pole:
    """A thin pole before a textured ground; nothing moves but the noise of the camera."""

    def __init__(self, count: int, *, width: int = 4):
        self._ground = np.random.default_rng(5).integers(90, 120, (HEIGHT, WIDTH, 3))
        self.mask = np.zeros((HEIGHT, WIDTH), np.uint16)
        self.mask[8 : HEIGHT - 8, WIDTH // 2 : WIDTH // 2 + width] = 1
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        noise = np.random.default_rng(index).normal(0, 6, (HEIGHT, WIDTH, 3))
        clean = np.where(self.mask[..., None] == 1, (220, 60, 50), self._ground)
        return np.clip(clean + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("remember_vote", "whole"), [(True, True), (False, False)])
def test_thin_objects_survive_many_frames_because_votes_are_remembered_unblurred(model, remember_vote, whole):
    clip = Pole(20)
    config = dataclasses.replace(SMALL, remember_vote=remember_vote, label_cells=1, target_weight=2.5)
    last = collect(propagate(model, clip, {0: clip.mask}, config=config, device="cpu"))[19]
    assert (jaccard(clip.mask == 1, last.labels == 1) > 0.9) is whole


@pytest.mark.parametrize(("label_cells", "whole"), [(4, True), (1, False)])
def test_what_is_thinner_than_half_a_token_keeps_its_form_because_tokens_remember_cells(
    model, label_cells, whole
):
    clip = Pole(20, width=2)
    config = dataclasses.replace(SMALL, label_cells=label_cells)
    last = collect(propagate(model, clip, {0: clip.mask}, config=config, device="cpu"))[19]
    assert (jaccard(clip.mask == 1, last.labels == 1) > 0.9) is whole


@pytest.mark.parametrize(("labels", "cells"), [(2, 4), (24, 4), (25, 2), (96, 2), (97, 1), (70000, 1)])
def test_many_labels_get_fewer_cells(labels, cells):
    assert PropagationConfig().for_labels(labels).label_cells == cells


def test_cells_of_tokens_come_back_as_they_were():
    maps = torch.rand(3, 8, 12)
    remembered = packed(maps, 4)
    assert remembered.shape == (2, 3, 48)
    assert torch.equal(unpacked(remembered, 4), maps)
    assert torch.equal(remembered[1, 2, 16:32], maps[1, 4:8, 8:12].flatten())


def test_target_model_looks_where_objects_may_be_and_learns_the_background_around_them():
    seen = torch.zeros((3, 40, 60))
    seen[0], seen[1, 4, 4] = 1, 1
    possible, around = _where_to_look([seen, torch.zeros_like(seen)], (20, 30))
    assert possible.nonzero().tolist() == [[4, 4]]
    assert around[2, 2]
    assert around[10, 10]
    assert not around[11, 11]


def test_all_cells_of_a_small_object_are_learnt_beside_a_large_one():
    labels = torch.zeros((50_000, 3))
    labels[:, 1], labels[:20_000, 1] = 1, 0
    labels[:20_000, 0] = 1
    labels[30_000:30_007] = torch.tensor([0.0, 0, 1])
    chosen = _chosen(labels).tolist()
    assert set(range(30_000, 30_007)) <= set(chosen)
    assert 500 < sum(cell < 20_000 for cell in chosen) <= 1000
    assert 500 < sum(cell >= 20_000 for cell in chosen) <= 1007


@pytest.mark.parametrize("corner", [(20, 30), (0, 0), (59, 99)])
def test_a_cell_looks_the_same_whether_all_or_only_some_are_described(corner):
    random = np.random.default_rng(0)
    frame = random.integers(0, 255, (120, 200, 3), dtype=np.uint8)
    features = torch.nn.functional.normalize(
        torch.randn((15, 25, 16), generator=torch.Generator().manual_seed(0)), dim=2
    )
    appearance = Appearance(PropagationConfig(), torch.device("cpu"))
    everything = appearance.describe(frame, features)
    possible, around = torch.zeros((60, 100), dtype=torch.bool), torch.zeros((15, 25), dtype=torch.bool)
    possible[corner] = True
    some = appearance.describe(frame, features, look=(possible, around))
    assert 0 < len(some.where) < 30
    torch.testing.assert_close(some.embedded, everything.embedded[some.where])


def test_span_and_objects_limit_what_is_given(model):
    clip = Clip(8, squares=2)
    found = collect(
        propagate(model, clip, {0: clip.labels(0)}, span=(3, 6), objects={2}, config=SMALL, device="cpu")
    )
    assert sorted(found) == [3, 4, 5]
    for frame in found.values():
        assert set(np.unique(frame.labels)) == {0, 2}
        assert set(frame.confidence) == {2}


def test_same_input_same_bytes(model):
    clip = Clip(5)
    runs = [
        collect(propagate(model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu")) for _ in range(2)
    ]
    assert all(np.array_equal(runs[0][i].labels, runs[1][i].labels) for i in runs[0])


def test_cancelling_stops_between_frames(model):
    clip = Clip(50)
    seen: list[int] = []
    for frame in propagate(
        model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu", cancelled=lambda: len(seen) >= 2
    ):
        seen.append(frame.index)
    assert seen == [1, 2]


def test_an_object_that_leaves_vanishes(model):
    clip = Clip(4)
    empty = Clip(1, squares=0)

    class Leaves:
        def __len__(self):
            return 7

        def __getitem__(self, index):
            return clip[index] if index < 3 else empty[0]

    found = collect(propagate(model, Leaves(), {0: clip.labels(0)}, config=SMALL, device="cpu"))
    assert (found[2].labels == 1).any()
    assert (found[6].labels == 1).mean() < 0.01


def test_an_object_that_comes_back_where_only_the_keyframe_shows_it_is_found(model):
    clip, gone = Clip(1), Clip(1, squares=0)

    class ComesBack:
        def __len__(self):
            return 9

        def __getitem__(self, index):
            return gone[0] if 1 <= index < 8 else clip[0]

    found = collect(propagate(model, ComesBack(), {0: clip.labels(0)}, config=SMALL, device="cpu"))
    assert not found[7].labels.any()
    assert jaccard(clip.labels(0) == 1, found[8].labels == 1) > 0.8


@pytest.mark.parametrize(
    ("target_every", "believed", "frames"), [(1, True, [1] * 6), (3, True, [3, 3]), (3, False, [1] * 6)]
)
def test_one_of_so_many_frames_is_learnt_and_each_that_flow_cannot_follow(
    model, target_every, believed, frames, monkeypatch
):
    monkeypatch.setattr(
        "smtc_model.fusion.lost", lambda flow, *_, **__: torch.full(flow.shape[1:], not believed)
    )
    learnt = []
    learn = Appearance.learn

    def counting(self, seen, soft, *, keyframe, frames=1):
        if not keyframe:
            learnt.append(frames)
        learn(self, seen, soft, keyframe=keyframe, frames=frames)

    monkeypatch.setattr(Appearance, "learn", counting)
    clip = Clip(7)
    config = dataclasses.replace(SMALL, target_every=target_every)
    found = collect(propagate(model, clip, {0: clip.labels(0)}, config=config, device="cpu"))
    assert learnt == frames
    assert jaccard(clip.labels(6) == 1, found[6].labels == 1) > 0.9


def test_flow_has_no_say_where_it_cannot_be_believed():
    config = PropagationConfig(
        match_weight=2.0, warp_weight=0.5, target_weight=2.0, lost_target_weight=4.0, flow_lost=(0.2, 0.6)
    )
    assert config.weights(0.0) == config.weights(0.2) == (2.0, 0.5, 2.0)
    assert config.weights(0.4) == pytest.approx((2.0, 0.25, 3.0))
    assert config.weights(0.6) == config.weights(1.0) == (2.0, 0.0, 4.0)
    with pytest.raises(ValueError, match="flow_lost"):
        PropagationConfig(flow_lost=(0.2, 0.2))


@pytest.mark.parametrize(("pans", "weight"), [(True, SMALL.warp_weight), (False, 0.0)])
def test_a_fast_camera_is_followed_and_another_scene_is_not(model, pans, weight):
    scene = Clip(1, squares=3, height=120, width=320)
    wide, labels = np.tile(scene[0], (1, 2, 1)), np.tile(scene.labels(0), (1, 2))
    propagator = Propagator(model, config=SMALL, device="cpu")
    propagator.add_keyframe(0, wide[:, :320], labels[:, :320])
    other = wide[:, 24:344] if pans else np.random.default_rng(0).integers(0, 255, (120, 320, 3), np.uint8)
    propagator.step(1, np.ascontiguousarray(other))
    assert propagator.opinions["motion"][0] == weight


def test_what_jumps_is_doubted_while_flow_can_be_believed(model, monkeypatch):
    clip = Clip(2, speed=40, width=160)
    found = {}
    for believed in (True, False):
        monkeypatch.setattr(
            "smtc_model.fusion.lost",
            lambda flow, *_, gone=not believed, **__: torch.full(flow.shape[1:], gone),
        )
        monkeypatch.setattr(
            FlowEstimator, "__call__", lambda _self, one, _other: torch.zeros((2, *one.shape))
        )
        same_weights = dataclasses.replace(
            SMALL, lost_target_weight=SMALL.target_weight, warp_weight=0.0, label_cells=1, target_every=1
        )
        propagator = Propagator(model, config=same_weights, device="cpu")
        propagator.add_keyframe(0, clip[0], clip.labels(0))
        soft = propagator.step(1, clip[1]).soft[1]
        new_place = torch.from_numpy(clip.labels(1) == 1)[::2, ::2]
        found[believed] = float(soft[new_place].mean())
    assert found[True] < found[False] - 0.02


def test_flow_that_errs_leads_no_label_astray(model, monkeypatch):
    def wrong(_self, frame, _other):
        flow = torch.zeros((2, *frame.shape))
        flow[1] = frame.shape[1] / 2
        return flow

    monkeypatch.setattr(FlowEstimator, "__call__", wrong)
    clip = Clip(7, width=400)
    found = collect(propagate(model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu"))
    assert jaccard(clip.labels(6) == 1, found[6].labels == 1) > 0.8


@pytest.mark.parametrize("side", [2, 60])
def test_distances_stay_in_single_precision_as_some_gpus_have_no_other(side):
    expected = np.zeros((80, 120), np.float32)
    expected[:side, :side] = 1
    found = _remoteness(expected, 4.0, 0.3)
    assert found.dtype == np.float32
    assert found[0, 0] == 0 < found[-1, -1]


def test_memory_does_not_grow_with_the_video(model):
    clip = Clip(40)
    walk = propagate(model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu")
    for _ in range(12):
        next(walk)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in walk:
        pass
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 200_000


def test_more_objects_than_a_byte_can_count(model):
    """300 objects that fill a frame; the next frame is the same."""
    clip = Clip(2, squares=0, height=240, width=320)
    labels = np.kron(np.arange(1, 301, dtype=np.uint16).reshape(15, 20), np.ones((16, 16), np.uint16))
    found = collect(propagate(model, clip, {0: labels}, config=SMALL, device="cpu"))
    assert len(found[1].confidence) == 300
    assert (found[1].labels == labels).mean() > 0.8


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"keyframes": {0: np.zeros((HEIGHT, WIDTH), np.uint16)}}, "nothing to propagate"),
        ({"keyframes": {0: np.ones((10, 10), np.uint16)}}, "size"),
        ({"keyframes": {99: np.ones((HEIGHT, WIDTH), np.uint16)}}, "outside the video"),
        ({"direction": "sideways"}, "direction"),
        ({"span": (3, 3)}, "span"),
    ],
)
def test_bad_input_gets_a_sentence_at_once(model, change, sentence):
    clip = Clip(4)
    arguments = {"keyframes": {0: clip.labels(0)}} | change
    with pytest.raises(ModelError, match=sentence):
        propagate(model, clip, arguments.pop("keyframes"), device="cpu", **arguments)


def test_memory_keeps_keyframes_and_forgets_the_oldest_recent_frame():
    memory = LabelMemory(max_keyframes=2, recent_frames=2)
    features, labels = torch.zeros(2, 3, 4), torch.zeros(2, 3, 2)
    memory.add_keyframe(0, features, labels, now=0)
    for index in (1, 2, 3):
        memory.add_recent(index, features + index, labels)
    assert sorted(memory.frames.values()) == [0, 2, 3]
    memory.add_keyframe(10, features, labels, now=10)
    memory.add_keyframe(20, features, labels, now=20)
    assert sorted(memory.frames.values()) == [2, 3, 10, 20]


def test_memory_takes_new_objects():
    memory = LabelMemory(max_keyframes=2, recent_frames=2)
    memory.add_keyframe(0, torch.zeros(2, 3, 4), torch.ones(2, 3, 2), now=0)
    memory.add_recent(1, torch.zeros(2, 3, 4), torch.ones(2, 3, 5))
    view = memory.view()
    assert view.labels[view.slots[0]].sum(-1).unique().tolist() == [2.0]
    assert view.labels.shape[-1] == 5


def test_soft_labels_come_back_from_memory_and_disk():
    store = SoftStore(memory_bytes=3000)
    generator = torch.Generator().manual_seed(0)
    maps = {i: torch.rand(2, 20, 30, generator=generator) for i in range(4)}
    for index, soft in maps.items():
        store.put(index, SoftLabels(index, soft, (0, 5), {5: 0.5}))
    for index in (3, 0, 2, 1):
        found = store.pop(index)
        torch.testing.assert_close(found.soft, maps[index], atol=1e-3, rtol=0)
        assert (found.index, found.ids, found.confidence) == (index, (0, 5), {5: 0.5})
    with pytest.raises(KeyError):
        store.pop(0)
    store.close()


def test_blend_follows_the_closer_keyframe_and_joins_the_objects():
    one = SoftLabels(1, torch.tensor([0.1, 0.9]).view(2, 1, 1), (0, 4))
    other = SoftLabels(1, torch.tensor([0.2, 0.8]).view(2, 1, 1), (0, 7))
    near_one, near_other = blend(one, other, 0.1, (0, 4)), blend(one, other, 0.9, (0, 4))
    assert near_one.ids == (0, 4, 7)
    assert near_one.soft.argmax(0).item() == 1
    assert near_other.soft.argmax(0).item() == 2
    torch.testing.assert_close(near_one.soft.sum(0), torch.ones(1, 1))


@pytest.mark.parametrize(
    "change", [{"features": "x"}, {"top_k": 0}, {"temperature": 0.0}, {"label_grid": "x"}]
)
def test_wrong_settings_are_refused(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        dataclasses.replace(PropagationConfig(), **change)


def test_confidence_follows_certainty_and_agreement():
    soft = torch.zeros(3, 4, 4)
    soft[0], soft[1, :2] = 0.4, 0.9
    sure, unsure = torch.ones(3, 4, 4), torch.full((3, 4, 4), 0.6)
    high, low = (object_confidence(soft, (0, 4, 9), appearance=a) for a in (sure, unsure))
    assert high[4] > low[4] > 0
    assert high[9] == NOWHERE  # it wins nothing
    assert joined({4: 0.8}, {4: 0.6}, 0.5, {4: 1.0})[4] == pytest.approx(0.7)
    assert joined({4: 0.8}, {4: 0.6}, 0.5, {4: 0.0})[4] == pytest.approx(0.35)
