"""Adapting as a task: a better model becomes a file that runs can name, any other leaves nothing."""

from __future__ import annotations

import dataclasses
import functools

import cv2
import numpy as np
import pytest

from smtc_app.core.errors import UserError
from smtc_app.io.source import open_source
from smtc_app.jobs import tasks
from smtc_app.jobs.adapt_tasks import adapt_task
from smtc_app.jobs.context import Cancelled
from smtc_model import adaptation
from smtc_model.adaptation import AdaptConfig
from smtc_model.propagation_config import PRESETS

SMALL = dataclasses.replace(PRESETS["default"], short_side_px=None, target_features=64)


class Context:
    """Keeps reports; cancels from the second one on if told so."""

    def __init__(self, *, cancel: bool = False) -> None:
        self.reports, self._cancel, self.partials = [], cancel, []

    def progress(self, done, total, message=""):
        self.reports.append((done, total, message))

    def partial(self, result):
        self.partials.append(result)

    def cancelled(self):
        return self._cancel and len(self.reports) > 1


def square(index: int) -> np.ndarray:
    labels = np.zeros((48, 64), np.uint16)
    labels[12:32, 4 + 3 * index : 24 + 3 * index] = 1
    return labels


@pytest.fixture
def source(tmp_path):
    """A folder of six frames: a red square on grey noise goes right."""
    folder = tmp_path / "frames"
    folder.mkdir()
    ground = np.random.default_rng(0).integers(80, 120, (48, 64, 3), dtype=np.uint8)
    for index in range(6):
        frame = ground.copy()
        frame[square(index) > 0] = 40, 40, 220
        cv2.imwrite(str(folder / f"{index:02d}.png"), frame)
    with open_source(folder) as opened:
        yield opened


@pytest.fixture
def quick(monkeypatch):
    """Settings for so small a video; gives a function that sets the margin."""
    monkeypatch.setitem(PRESETS, "default", SMALL)
    plain = adaptation.adapt

    def with_margin(margin: float) -> None:
        config = AdaptConfig(steps=4, queries=32, margin=margin)
        monkeypatch.setattr(adaptation, "adapt", functools.partial(plain, config=config))

    return with_margin


def test_a_better_model_is_a_file_that_propagation_takes(source, quick, tmp_path):
    quick(-1.0)
    ctx, path = Context(), tmp_path / "adapted.safetensors"
    summary = adapt_task(ctx, source, {0: square(0)}, path, device="cpu")
    assert summary.path == path
    assert "adapted to this video" in summary.message
    assert ctx.reports[-1][0] <= ctx.reports[-1][1]
    used = tasks.propagate_task(Context(), source, {0: square(0)}, model=str(path), device="cpu")
    assert used.model.name == "adapted"
    assert used.model.hash != tasks.preload_task(Context(), device="cpu").hash


def test_without_a_path_it_goes_to_the_weights_of_the_user(source, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("SMTC_WEIGHTS", str(tmp_path / "weights"))
    quick(-1.0)
    summary = adapt_task(Context(), source, {0: square(0)}, device="cpu")
    assert summary.path.parent == tmp_path / "weights"
    named = tasks.preload_task(Context(), model=summary.path.stem, device="cpu")
    assert summary.path.stem == f"adapted-{named.hash[:12]}"


def test_what_does_not_help_is_not_kept(source, quick, tmp_path):
    quick(1.0)
    summary = adapt_task(Context(), source, {0: square(0)}, tmp_path / "adapted.safetensors", device="cpu")
    assert summary.path is None
    assert "does not help" in summary.message
    assert not (tmp_path / "adapted.safetensors").exists()


def test_cancelling_keeps_nothing(source, quick, tmp_path):
    quick(-1.0)
    with pytest.raises(Cancelled):
        adapt_task(Context(cancel=True), source, {0: square(0)}, tmp_path / "a.safetensors", device="cpu")
    assert not (tmp_path / "a.safetensors").exists()


def test_a_model_without_a_layer_for_it_is_told(source, tmp_path):
    with pytest.raises(UserError, match="cannot be adapted"):
        adapt_task(
            Context(),
            source,
            {0: square(0)},
            tmp_path / "a.safetensors",
            model="colour-texture",
            device="cpu",
        )
    with pytest.raises(UserError, match="no propagation preset"):
        adapt_task(Context(), source, {0: square(0)}, preset="none", device="cpu")
