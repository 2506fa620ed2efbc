"""A model learns from the video's own labels, keeps its shape, and says honestly whether that helped."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from smtc_model import adaptation
from smtc_model.adaptation import AdaptConfig, adapt, with_change
from smtc_model.backbone import create_backbone
from smtc_model.errors import ModelError
from smtc_model.propagation_config import PropagationConfig
from smtc_model.smtc import SMTC
from smtc_model.weights import load_model, save_model

SHAPE = {"widths": [8, 8, 16, 16], "depths": [1, 1, 1]}
PROPAGATION = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=64)
QUICK = AdaptConfig(frames=8, steps=6, queries=64, least_confidence=0.0)


def square_at(index: int) -> np.ndarray:
    labels = np.zeros((48, 64), np.uint16)
    labels[12:32, 4 + 3 * index : 24 + 3 * index] = 1
    return labels


@pytest.fixture
def clip() -> list[np.ndarray]:
    """A red square on grey noise goes right."""
    rng = np.random.default_rng(0)
    ground = rng.integers(80, 120, (48, 64, 3), dtype=np.uint8)
    frames = []
    for index in range(8):
        frame = ground.copy()
        frame[square_at(index) > 0] = 220, 40, 40
        frames.append(frame)
    return frames


@pytest.fixture
def model() -> SMTC:
    torch.manual_seed(0)
    return SMTC(create_backbone("compact", options=SHAPE)).eval()


@pytest.mark.parametrize("colour_share", [0.0, 0.5])
def test_a_change_of_the_features_becomes_part_of_the_network(colour_share):
    torch.manual_seed(0)
    plain = SMTC(create_backbone("compact", options={**SHAPE, "colour_share": colour_share})).eval()
    change = 0.1 * torch.randn(128, 128)
    frames = torch.rand(1, 3, 32, 48)
    with torch.inference_mode():
        before, after = plain.encode(frames).keys, with_change(plain, change).encode(frames).keys
    learned = before[:, :128] + torch.einsum("ij,bjhw->bihw", change, before[:, :128])
    found = torch.nn.functional.normalize(after[:, :128], dim=1)
    torch.testing.assert_close(found, torch.nn.functional.normalize(learned, dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(after[:, 128:], before[:, 128:])


def test_adapting_leaves_the_model_alone_and_gives_one_of_another_hash(clip, model, tmp_path):
    known = model.hash
    found = adapt(model, clip, {0: square_at(0)}, config=QUICK, propagation=PROPAGATION)
    assert model.hash == known != found.model.hash
    save_model(found.model, tmp_path / "adapted.safetensors")
    assert load_model(tmp_path / "adapted.safetensors", device="cpu").hash == found.model.hash


def test_training_makes_labels_easier_to_find(clip, model):
    from smtc_model.frame_features import FrameFeatures

    features = FrameFeatures(model, PROPAGATION, torch.device("cpu"))
    maps = {i: features(i, clip[i]).permute(2, 0, 1).numpy() for i in (0, 5)}
    config = dataclasses.replace(QUICK, steps=60, stay=0.1)
    lessons = adaptation._lessons(
        maps, {0: square_at(0)}, {5: square_at(5)}, {5: {1: 0.9}}, config, channels=128
    )
    change = adaptation._train(lessons, config, cancelled=lambda: False, progress=lambda n: None, width=128)
    cells = torch.arange(maps[0].shape[1] * maps[0].shape[2])
    before, after = (
        float(adaptation._loss(c, lessons[1], lessons[0], cells, dataclasses.replace(config, stay=0.0)))
        for c in (torch.zeros(128, 128), change)
    )
    assert after < 0.9 * before


def test_the_part_lies_on_the_side_with_more_frames():
    labels = square_at(0)
    assert adaptation._part_of({6: labels}, 8, 48).direction == "backward"
    part = adaptation._part_of({0: np.zeros_like(labels), 2: labels}, 100, 48)
    assert (part.first, part.stop, part.turns) == (2, 50, (25, 49))


def test_the_same_twice_and_progress_counts_to_the_end(clip, model):
    told = []
    once = adapt(model, clip, {0: square_at(0)}, config=QUICK, propagation=PROPAGATION)
    again = adapt(
        model,
        clip,
        {0: square_at(0)},
        config=QUICK,
        propagation=PROPAGATION,
        progress=lambda done, total: told.append((done, total)),
    )
    assert (once.before, once.after, once.model.hash) == (again.before, again.after, again.model.hash)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] <= told[-1][1]


def test_not_better_is_said(clip, model):
    demanding = dataclasses.replace(QUICK, margin=1.0)
    found = adapt(model, clip, {0: square_at(0)}, config=demanding, propagation=PROPAGATION)
    assert not found.better
    assert 0 <= found.before <= 1


def test_cancelled_gives_nothing(clip, model):
    asked = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 30

    assert adapt(model, clip, {0: square_at(0)}, config=QUICK, cancelled=cancelled) is None


def test_what_cannot_be_adapted_is_told(clip, model):
    with pytest.raises(ModelError, match="no layer for it"):
        adapt(SMTC(create_backbone("colour-texture")), clip, {0: square_at(0)})
    with pytest.raises(ModelError, match="no keyframe holds an object"):
        adapt(model, clip, {0: np.zeros((48, 64), np.uint16)})
    with pytest.raises(ModelError, match="too short"):
        adapt(model, clip[:3], {0: square_at(0)})


def test_progress_counts_every_frame_and_step_once(clip, model):
    told = []
    adapt(
        model,
        clip,
        {0: square_at(0)},
        config=QUICK,
        propagation=PROPAGATION,
        progress=lambda done, total: told.append((done, total)),
    )
    total = told[-1][1]
    assert told == [(done, total) for done in range(1, total + 1)]
