"""Fixtures of the model's tests."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from golden import head_state
from safetensors.torch import load_file

from smtc_model.config import ModelConfig
from smtc_model.smtc import SlotHead


@pytest.fixture(scope="session")
def golden(shared) -> dict[str, torch.Tensor]:
    """Golden tensors of the model by name."""
    return load_file(shared / "golden" / "smtc_reference.safetensors")


@pytest.fixture
def released_head() -> SlotHead:
    """The released model's slot head with the parameters of the golden recipe, in training mode."""
    head = SlotHead(384, ModelConfig(official_compat=True))
    head.load_state_dict(head_state())
    return head


@pytest.fixture
def no_weights_found(tmp_path, monkeypatch):
    """No weights on this machine but those that the test puts into the folder it is given."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("SMTC_WEIGHTS", str(folder))
    monkeypatch.setattr("smtc_model.assets.bundled_weights_folder", lambda: tmp_path / "bundled")
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    return folder


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Four clips of six frames: a textured square wanders over a textured ground."""
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number in range(4):
        folder = root / f"clip{number}"
        folder.mkdir()
        ground = cv2.resize(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8), (96, 72))
        square = cv2.resize(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8), (28, 28))
        for index in range(6):
            frame = ground.copy()
            x, y = 10 + 6 * index, 8 + (3 + number) * index
            frame[y : y + 28, x : x + 28] = square[: 72 - y]
            cv2.imwrite(str(folder / f"{index:02d}.png"), frame)
    return root


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")
