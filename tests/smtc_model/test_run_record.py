"""A run that was ended goes on with the bytes of one that was not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from test_propagation import Clip

from smtc_model import run_record
from smtc_model.backbone import create_backbone
from smtc_model.errors import ModelError
from smtc_model.propagation import propagate
from smtc_model.propagation_config import CRW, PropagationConfig
from smtc_model.run_record import RunRecord, freeze, thaw

SMALL = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=96, recent_frames=3)


@pytest.fixture(scope="module")
def model():
    return create_backbone("colour-texture").eval()


def run(model, clip, keyframes, direction, config, record=None, limit=None) -> dict[int, bytes]:
    frames = propagate(
        model, clip, keyframes, direction=direction, config=config, device="cpu", record=record, check=True
    )
    found = {}
    for frame in frames:
        found[frame.index] = frame.labels.tobytes() + repr((frame.confidence, frame.consistency)).encode()
        if len(found) == limit:
            frames.close()
            break
    return found


@pytest.mark.parametrize(
    ("direction", "keys", "preset"),
    [
        ("forward", (0,), "default"),
        ("forward", (0, 6), "default"),
        ("backward", (11,), "default"),
        ("both", (4, 8), "default"),
        ("forward", (0,), "crw"),
    ],
)
@pytest.mark.parametrize("ended_after", [1, 3, 6])
def test_going_on_gives_the_bytes_of_an_uninterrupted_run(
    model, tmp_path, direction, keys, preset, ended_after
):
    clip = Clip(12, squares=2)
    keyframes = {key: clip.labels(key) for key in keys}
    config = SMALL if preset == "default" else dataclasses.replace(CRW, recent_frames=4)

    def record():
        return RunRecord(tmp_path / "state.safetensors", identity={"run": 1}, every_s=0)

    whole = run(model, clip, keyframes, direction, config)
    first = run(model, clip, keyframes, direction, config, record(), limit=ended_after)
    rest = run(model, clip, keyframes, direction, config, record())
    assert {**first, **rest} == whole
    # The frame after which it was ended was still in the hands of the caller: it is done once more.
    assert len(first) + len(rest) <= len(whole) + 1


def test_a_state_of_another_run_is_refused_and_says_what_differs(model, tmp_path):
    clip = Clip(4)
    path = tmp_path / "state.safetensors"
    record = RunRecord(path, identity={"model": "a", "direction": "both"}, every_s=0)
    run(model, clip, {0: clip.labels(0)}, "forward", SMALL, record)
    with pytest.raises(ModelError, match="another model;"):
        RunRecord(path, identity={"model": "b", "direction": "both"}).load()


@pytest.mark.parametrize("keep", [0, 5, 200])
def test_a_damaged_state_is_refused(model, tmp_path, keep):
    clip = Clip(4)
    path = tmp_path / "state.safetensors"
    record = RunRecord(path, identity={}, every_s=0)
    run(model, clip, {0: clip.labels(0)}, "forward", SMALL, record)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match="start the run anew"):
        record.load()


def test_no_state_is_a_fresh_start_and_a_state_is_due_once_per_interval(tmp_path):
    record = RunRecord(tmp_path / "state.safetensors", identity={}, every_s=1e9)
    assert record.load() is None
    assert not record.due()
    record.remove()


def test_the_first_state_is_due_early_and_later_ones_less_and_less_often(tmp_path, monkeypatch):
    now_s = 100.0
    monkeypatch.setattr(run_record.time, "monotonic", lambda: now_s)
    record = RunRecord(tmp_path / "state.safetensors", identity={})
    due = []
    for second in range(1, 101):
        now_s = 100.0 + second
        if record.due():
            due.append(second)
    assert due == [3, 9, 21, 45, 75]


def test_what_is_frozen_is_a_copy_and_keeps_its_kinds():
    shared = torch.arange(3.0)
    value = {"a": [shared, shared], 2: (np.arange(2, dtype=np.uint8), None), "s": {1, 2}}
    frozen = freeze(value)
    shared += 1
    back = thaw(frozen, None)
    assert back["a"][0] is back["a"][1]
    assert back["a"][0].tolist() == [0, 1, 2]
    assert back[2][0].dtype == np.uint8
    assert (back[2][1], back["s"]) == (None, {1, 2})


def test_what_is_not_known_is_not_saved_in_silence():
    with pytest.raises(TypeError, match="complex"):
        freeze({"x": 1j})
