"""The foreground network: its size, its labels from motion, and that it learns from them."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from smtc_model.backbone import create_backbone
from smtc_model.data import open_cache
from smtc_model.foreground import ForegroundNet, foreground_share
from smtc_model.foreground_training import (
    MOVING_PX,
    STILL_PX,
    ForegroundObjective,
    make_batch,
    speed_against_camera,
)
from smtc_model.smtc import SMTC
from smtc_model.train_config import ForegroundConfig, TrainConfig
from smtc_model.training import Trainer


def test_share_covers_the_frame_at_any_size():
    torch.manual_seed(0)
    frame = np.random.default_rng(0).integers(0, 256, (50, 130, 3), dtype=np.uint8)
    share = foreground_share(ForegroundNet().eval(), frame, device=torch.device("cpu"), side_px=64)
    assert share.shape == (16, 40), "stride 4 of 64 x 160"
    assert 0 <= share.min() <= share.max() <= 1


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="multiples of 32"):
        ForegroundNet()(torch.zeros(1, 3, 48, 64))


def test_foreground_is_what_moves(clips, cache_folder):
    """In the fixture's clips a square of 28 x 28 wanders over a ground of 96 x 72 that stands still."""
    cache = open_cache(clips, cache_folder)
    speed = speed_against_camera(cache, 0, 3)
    moving = speed > MOVING_PX
    assert 0.05 < moving.mean() < 0.3, "the square has 0.11 of the frame"
    batch = make_batch(
        cache, 4, ForegroundConfig(min_crop=1.0), np.random.default_rng(0), lambda *_: np.eye(8) * 9
    )
    assert batch.frames.shape == (4, 3, 192, 256)
    assert batch.speed.shape == (4, 48, 64)
    assert (batch.speed > MOVING_PX).any()
    assert (batch.speed < MOVING_PX).any()


class PlainGround:
    """A textured square that moves by two pixels a frame over plain ground, beside much texture at rest."""

    def __init__(self) -> None:
        self.clips = [SimpleNamespace(frames=11)]
        rng = np.random.default_rng(1)
        self._ground = cv2.resize(rng.integers(60, 200, (48, 86, 3), np.uint8), (256, 144))
        self._ground[36:112, 120:230] = 120
        self._square = cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (36, 36))

    def where(self, index: int) -> tuple[slice, slice]:
        return slice(56, 92), slice(140 + 2 * index, 176 + 2 * index)

    def frame(self, number: int, index: int) -> np.ndarray:
        frame = self._ground.copy()
        frame[self.where(index)] = self._square
        return frame


def test_plain_ground_beside_what_moves_is_not_labelled_as_moving():
    clip = PlainGround()
    speed = cv2.resize(speed_against_camera(clip, 0, 5), (256, 144), interpolation=cv2.INTER_NEAREST)
    truth = np.zeros(speed.shape, bool)
    truth[clip.where(5)] = True
    moving = speed > MOVING_PX
    assert moving[truth].mean() > 0.9
    assert (moving & ~truth).sum() < 0.1 * truth.sum()


def test_frames_whose_motion_tells_nothing_teach_nothing(clips, cache_folder):
    cache = open_cache(clips, cache_folder)
    objective = ForegroundObjective(SMTC(create_backbone("colour-texture")), ForegroundConfig(size=96))
    objective.to(torch.device("cpu"))
    batch = make_batch(cache, 2, objective.config, np.random.default_rng(0), lambda *_: None)
    assert float(objective.losses(batch, torch.Generator())["entropy"].detach()) == 0


def test_foreground_network_starts_from_the_compact_backbone():
    backbone = create_backbone("compact")
    model = ForegroundObjective(SMTC(backbone), ForegroundConfig()).student
    assert torch.equal(model.foreground.stem[0].weight, backbone.net.stem[0].weight)


def test_foreground_learns_what_moves(clips, cache_folder):
    """A few steps on the fixture's clips: the share of foreground on the square rises above that off it."""
    torch.manual_seed(0)
    cache = open_cache(clips, cache_folder)
    config = ForegroundConfig(size=96, min_crop=1.0, grey=0.0, blur=0.0, doubt_after=4)
    objective = ForegroundObjective(SMTC(create_backbone("colour-texture")), config)
    settings = TrainConfig(steps=40, clips=2, lr=3e-3, warmup=1, ema=0.5, amp="off")
    trainer = Trainer(objective, cache, settings, device=torch.device("cpu"))
    first = trainer.step()["total"]
    for _ in range(39):
        last = trainer.step()["total"]
    assert last < first
    batch = trainer.batch(100)
    with torch.no_grad():
        share = objective.result().foreground(batch.frames.float() / 255).sigmoid()
    assert share[batch.speed > MOVING_PX].mean() > share[batch.speed < STILL_PX].mean() + 0.1
