"""Long and large runs in small: no thread left behind, cancelled within a frame, many objects at once."""

from __future__ import annotations

import dataclasses
import gc
import itertools
import threading
import weakref

import numpy as np
import pytest
import torch
from test_propagation import Clip

from smtc_model import refine
from smtc_model.backbone import create_backbone
from smtc_model.colour_texture import ColourTexture
from smtc_model.fusion import FrameFusion
from smtc_model.label_check import KeyframeCheck
from smtc_model.propagation import Propagator, propagate
from smtc_model.propagation_config import PropagationConfig
from smtc_model.target_model import TargetModel

SMALL = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=64, recent_frames=3)


@pytest.fixture(scope="module")
def model():
    return create_backbone("colour-texture").eval()


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("propagation")]


def test_a_cancel_within_a_frame_ends_it_before_the_next_part(model, monkeypatch):
    clip, cancelled, fused = Clip(30), threading.Event(), []
    look, fuse = FrameFusion.look, FrameFusion.fuse

    def looking(self, frame):
        if len(fused) == 3:
            cancelled.set()
        look(self, frame)

    def fusing(self, matched, features, **keywords):
        fused.append(1)
        return fuse(self, matched, features, **keywords)

    monkeypatch.setattr(FrameFusion, "look", looking)
    monkeypatch.setattr(FrameFusion, "fuse", fusing)
    settings = {"config": SMALL, "device": "cpu", "cancelled": cancelled.is_set}
    found = list(propagate(model, clip, {0: clip.labels(0)}, **settings))
    assert len(fused) == 3
    assert len(found) <= 3
    assert not workers()


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_a_cancel_while_a_frame_is_refined_ends_it_between_two_objects(model, monkeypatch, direction):
    clip, cancelled, refined = Clip(30, squares=2), threading.Event(), []
    channels = refine.refined_channels

    def refining(*arguments, **keywords):
        for channel in channels(*arguments, **keywords):
            refined.append(channel[0])
            if len(refined) == 3:  # the first object of the second frame
                cancelled.set()
            yield channel

    monkeypatch.setattr(refine, "refined_channels", refining)
    settings = {"config": SMALL, "device": "cpu", "direction": direction, "cancelled": cancelled.is_set}
    keyframes = {0: clip.labels(0), 20: clip.labels(20)}
    assert len(list(propagate(model, clip, keyframes, **settings))) == 1
    assert refined == [1, 2, 1]
    assert not workers()


def test_a_cancel_comes_between_the_parts_of_learning(model, monkeypatch):
    clip, done = Clip(4), []

    def noted(part):
        def noting(*arguments, **keywords):
            done.append(part.__qualname__)
            return part(*arguments, **keywords)

        return noting

    for kind, name in ((ColourTexture, "forward"), (TargetModel, "embed"), (TargetModel, "learn")):
        monkeypatch.setattr(kind, name, noted(getattr(kind, name)))
    propagator = Propagator(model, config=SMALL)
    features = [propagator._features(i, clip[i]) for i in range(3)]
    done.clear()
    propagator.between = lambda: done.append("asked")
    propagator.add_keyframe(0, clip[0], clip.labels(0), features=features[0])
    for index in (1, 2):
        propagator.step(index, clip[index], features=features[index])
    assert {"ColourTexture.forward", "TargetModel.embed", "TargetModel.learn", "asked"} == set(done)
    assert all("asked" in pair for pair in itertools.pairwise(done))


def test_what_a_run_held_is_freed_with_it(model, monkeypatch):
    held = []
    start = FrameFusion.start

    def starting(self, *arguments):
        held.append(weakref.ref(self))
        start(self, *arguments)

    agree = KeyframeCheck.__call__

    def agreeing(self, *arguments):
        held.append(weakref.ref(self))
        return agree(self, *arguments)

    monkeypatch.setattr(FrameFusion, "start", starting)
    monkeypatch.setattr(KeyframeCheck, "__call__", agreeing)
    gc.disable()  # memory of tensors does not hasten the collection of cycles, so there must be none
    try:
        frames = propagate(model, Clip(6), {0: Clip(6).labels(0)}, config=SMALL, device="cpu", check=True)
        next(frames)
        frames.close()
        del frames
        assert [ref() for ref in held] == [None, None]
    finally:
        gc.enable()


def test_a_run_leaves_cores_for_its_own_threads_and_gives_them_back(model, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        frames = propagate(model, Clip(10), {0: Clip(10).labels(0)}, config=SMALL, device="cpu")
        next(frames)
        assert torch.get_num_threads() == 2
        frames.close()
        assert torch.get_num_threads() == 4
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("direction", ["forward", "both"])
def test_closing_a_run_early_leaves_no_thread(model, direction):
    clip = Clip(30)
    keyframes = {0: clip.labels(0), 20: clip.labels(20)}
    frames = propagate(model, clip, keyframes, direction=direction, config=SMALL, device="cpu")
    next(frames)
    assert workers()
    frames.close()
    assert not workers()


class Broken(Clip):
    """Cannot read one frame."""

    def __getitem__(self, index: int) -> np.ndarray:
        if index == 7:
            raise OSError("the disk reports an error")
        return super().__getitem__(index)


def test_a_frame_that_cannot_be_read_is_told_after_those_before_it(model):
    clip = Broken(12)
    frames = propagate(model, clip, {0: clip.labels(0)}, config=SMALL, device="cpu")
    assert [next(frames).index for _ in range(6)] == [1, 2, 3, 4, 5, 6]
    with pytest.raises(OSError, match="the disk reports an error"):
        next(frames)
    assert not workers()


def test_fifty_objects_share_one_pass(model):
    clip = Clip(4)
    labels = np.zeros(clip.labels(0).shape, np.uint16)
    for number in range(50):
        y, x = divmod(number, 10)
        labels[12 * y + 2 : 12 * y + 10, 9 * x + 2 : 9 * x + 9] = number + 1
    found = list(propagate(model, clip, {0: labels}, config=SMALL, device="cpu"))
    assert [frame.index for frame in found] == [1, 2, 3]
    assert set(found[0].confidence) == set(range(1, 51))
