"""All that computes does so where it is told to: on a GPU, even where there is none (see `fake_gpu`)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fake_gpu import CUDA, FakeCudaTensor, fake_gpu, watched
from torch.utils._python_dispatch import _disable_current_modes

from smtc_model import carried_tracks
from smtc_model.adaptation import AdaptConfig, adapt
from smtc_model.backbone import create_backbone
from smtc_model.config import ModelConfig
from smtc_model.data import open_cache
from smtc_model.dense_training import DenseObjective
from smtc_model.discovery import DiscoveryConfig, propose, split_mask
from smtc_model.foreground import ForegroundNet
from smtc_model.foreground_training import ForegroundObjective
from smtc_model.matching import Window, match
from smtc_model.propagation import Propagator, propagate
from smtc_model.propagation_config import PRESETS, PropagationConfig
from smtc_model.run_record import RunRecord
from smtc_model.smtc import SMTC
from smtc_model.smtc_training import SlotObjective
from smtc_model.train_config import DenseConfig, ForegroundConfig, SlotConfig, TrainConfig
from smtc_model.training import Trainer

TINY = {"widths": [8, 8, 16, 16], "depths": [1, 1, 1]}


@pytest.fixture
def gpu(monkeypatch):
    with fake_gpu(monkeypatch) as device:
        yield device


@pytest.fixture
def video():
    """A red square on grey that moves by 3 pixels a frame."""
    rng = np.random.default_rng(0)
    frames = [(120 + 20 * rng.random((64, 96, 3))).astype(np.uint8) for _ in range(6)]
    for index, frame in enumerate(frames):
        frame[20:44, 8 + 3 * index : 32 + 3 * index] = (210, 40, 40)
    return frames


@pytest.fixture
def square():
    labels = np.zeros((64, 96), np.uint8)
    labels[20:44, 8:32] = 1
    return labels


def _model(*, head: bool = False) -> SMTC:
    torch.manual_seed(0)
    backbone = create_backbone("compact", options=TINY)
    config = ModelConfig(num_semantics=4, num_instances=2)
    return (SMTC.with_new_head(backbone, config) if head else SMTC(backbone)).eval()


def test_the_fake_gpu_refuses_what_a_gpu_refuses(gpu):
    there = torch.ones(3).to(gpu)
    assert there.device == gpu
    with pytest.raises(RuntimeError, match="on the CPU and on the GPU"):
        there + torch.ones(3)
    with pytest.raises(RuntimeError):
        there.numpy()
    assert (there + 1).cpu().numpy().tolist() == [2, 2, 2]


def test_lists_index_what_is_on_the_fake_gpu(gpu):
    there = torch.arange(12.0).view(4, 3).to(gpu)
    assert there[[2, 0]].tolist() == [[6, 7, 8], [0, 1, 2]]
    assert there[:, [True, False, True]].tolist() == [[0, 2], [3, 5], [6, 8], [9, 11]]
    there[[3]] = 0
    assert there[3].tolist() == [0, 0, 0]
    with _disable_current_modes():
        lost = torch.ones(3, device="meta")
    with pytest.raises(RuntimeError, match="without values"):
        there + lost


def test_matching_is_the_same_in_few_calls(gpu):
    generator = torch.Generator().manual_seed(0)
    query, memory = (
        F.normalize(torch.randn(s, generator=generator), dim=-1) for s in ((40, 64, 8), (6, 40, 64, 8))
    )
    motion = torch.zeros((5, 2, 40, 64))
    motion[0, 1] = torch.arange(64) // 6
    rest = {"windows": [Window(6)] * 5, "k": 3, "slots": [0, 2, 3, 4, 5]}
    here = match(query, memory, motion=motion, **rest)
    query, memory, motion = query.to(gpu), memory.to(gpu), motion.to(gpu)
    with watched() as small:
        match(query, memory, motion=motion, tile=8, **rest)
    with watched() as large:
        there = match(query, memory, motion=motion, **rest)
    torch.testing.assert_close(there.values.cpu(), here.values)
    assert torch.equal(there.indices.cpu(), here.indices)
    assert large.launches.total() < small.launches.total() / 4
    assert large.waits.total() <= 2


def test_a_frame_waits_for_the_gpu_as_often_with_many_objects(gpu, video, square):
    def waits(labels, **settings):
        config = PropagationConfig(target_features=64, **settings)
        propagator = Propagator(_model().to(gpu), config=config, device=gpu)
        propagator.add_keyframe(0, video[0], labels)
        propagator.step(1, video[1])
        with watched() as found:
            propagator.labels(propagator.step(2, video[2]), video[2])
        return found.waits

    many = square.copy()
    many[20:44, 8:32] += np.arange(24, dtype=np.uint8)[:, None] // 4
    in_sight = {"search_lost": False}
    assert waits(many, **in_sight).total() <= waits(square, **in_sight).total() <= 20
    # What an untrained network shows is taken for lost: as many more waits for all objects as for one.
    assert waits(many).total() <= 40


@pytest.mark.parametrize("overlap", [False, True])
def test_labels_are_those_of_the_cpu(gpu, video, square, overlap):
    config = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=64)
    keys = {0: square, 5: np.roll(square, 15, 1)}
    run = {"direction": "both", "config": config, "check": True}
    here = list(propagate(_model(), video, keys, overlap=False, **run))
    there = list(propagate(_model().to(gpu), video, keys, overlap=overlap, **run))
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-4)
        assert one.consistency == pytest.approx(other.consistency, abs=1e-4)


@pytest.mark.parametrize("preset", ["default", "crw", "dino"])
def test_propagation(gpu, video, square, preset):
    config = dataclasses.replace(PRESETS[preset], short_side_px=None, target_features=64)
    keys = {0: square, 5: np.roll(square, 15, 1)}
    run = {"direction": "both", "config": config, "overlap": False, "check": True}
    there = list(propagate(_model().to(gpu), video, keys, **run))
    assert [frame.index for frame in there] == [1, 2, 3, 4]
    assert all(set(frame.consistency) == {1} for frame in there)


@pytest.mark.parametrize("went_on", ["cpu", "cuda"])
def test_a_run_goes_on_where_it_is_told_to(gpu, video, square, tmp_path, went_on):
    """What a GPU has remembered is of use where there is none, and the other way round."""
    config = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=64)

    def run(device, *, record=None):
        model = _model() if device == "cpu" else _model().to(gpu)
        return propagate(model, video, {0: square}, config=config, overlap=False, record=record)

    path = tmp_path / "state.safetensors"
    first = run({"cpu": "cuda", "cuda": "cpu"}[went_on], record=RunRecord(path, identity={}, every_s=0))
    for _ in range(3):
        next(first)
    first.close()
    rest = {f.index: f.labels for f in run(went_on, record=RunRecord(path, identity={}))}
    whole = {f.index: f.labels for f in run(went_on)}
    assert list(rest) == [3, 4, 5]
    assert all((rest[index] != whole[index]).mean() < 0.01 for index in rest)


def test_adapting_to_a_video(gpu, video, square):
    quick = {"propagation": PropagationConfig(short_side_px=None, target_features=64)}
    quick["config"] = AdaptConfig(frames=6, steps=4, queries=64, least_confidence=0.0)
    here = adapt(_model(), video, {0: square}, **quick)
    with watched() as found:
        there = adapt(_model().to(gpu), video, {0: square}, **quick)
    assert "aten::_softmax_backward_data" in found.launches
    changed = there.model.backbone.net.project.weight
    assert changed.device == gpu
    torch.testing.assert_close(
        changed.detach().cpu(), here.model.backbone.net.project.weight.detach(), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("head", [False, True])
def test_discovery_and_tracks(gpu, video, head, monkeypatch):
    model = _model(head=head)
    model.foreground = ForegroundNet().eval()
    matched = []

    def noted(query, *args, **kwargs):
        matched.append(type(query))
        return match(query, *args, **kwargs)

    monkeypatch.setattr(carried_tracks, "match", noted)
    found = propose(model.to(gpu), video, range(3), config=DiscoveryConfig(head_with_motion=True))
    assert any(found.values())
    assert set(matched) == {FakeCudaTensor}


def test_splitting(gpu, video, square):
    assert len(split_mask(_model().to(gpu), video[0], square > 0)) == 2


def test_auto_is_where_the_model_lies(gpu, video, square):
    """A model that was left on the CPU of a machine with a GPU."""
    assert propose(_model(), video, [0])
    assert split_mask(_model(), video[0], square > 0)


def _dense():
    return DenseObjective(_model(), DenseConfig(crop=48, source_side=(40.0, 64.0), anchors=3, cycle_weight=1))


def _slots():
    return SlotObjective(_model(head=True), SlotConfig(size=48, gap=(1, 1)))


def _foreground():
    return ForegroundObjective(_model(), ForegroundConfig(size=96, doubt_after=1))


@pytest.mark.parametrize("make", [_dense, _slots, _foreground])
def test_training(gpu, clips, cache_folder, make):
    cache = open_cache(clips, cache_folder)
    config = TrainConfig(steps=2, clips=2, amp="off", warmup=1)

    def totals(device):
        torch.manual_seed(0)
        trainer = Trainer(make(), cache, config, device=device)
        values = [trainer.step()["total"] for _ in range(2)]
        pictures = trainer.objective.pictures(trainer.batch(0))
        assert all(type(picture) is torch.Tensor for picture in pictures.values())
        return values

    assert totals(CUDA) == pytest.approx(totals(torch.device("cpu")), rel=1e-3)
