"""All that computes does so where it is told to: on a GPU, even where there is none (see `fake_gpu`)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fake_gpu import CUDA, FakeCudaTensor, fake_gpu

from smtc_model import carried_tracks
from smtc_model.backbone import create_backbone
from smtc_model.config import ModelConfig
from smtc_model.data import open_cache
from smtc_model.dense_training import DenseObjective
from smtc_model.discovery import DiscoveryConfig, propose, split_mask
from smtc_model.foreground import ForegroundNet
from smtc_model.foreground_training import ForegroundObjective
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PRESETS
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


@pytest.mark.parametrize("preset", ["default", "crw", "dino"])
def test_propagation(gpu, video, square, preset):
    config = dataclasses.replace(PRESETS[preset], short_side_px=None, target_features=64)
    keys = {0: square, 5: np.roll(square, 15, 1)}
    run = {"direction": "both", "config": config, "overlap": False, "check": True}
    there = list(propagate(_model().to(gpu), video, keys, **run))
    assert [frame.index for frame in there] == [1, 2, 3, 4]
    assert all(set(frame.consistency) == {1} for frame in there)


@pytest.mark.parametrize("head", [False, True])
def test_discovery_and_tracks(gpu, video, head, monkeypatch):
    model = _model(head=head)
    model.foreground = ForegroundNet().eval()
    matched = []
    match = carried_tracks.match

    def watched(query, *args, **kwargs):
        matched.append(type(query))
        return match(query, *args, **kwargs)

    monkeypatch.setattr(carried_tracks, "match", watched)
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
