"""Adapting in the whole window: on where it helps, off where it does not, and only for this video."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from window_fakes import open_task, propagate_task, square
from window_hands import paint_object, press, wait_for_jobs

from smtc_app.core.commands import SetLabels
from smtc_app.core.replay import PropagationRun

CONTROL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


def adapted(better: bool):
    """A task that knows at once whether it helps."""

    def adapt_task(ctx, source, keyframes, **settings):
        assert any(labels.any() for labels in keyframes.values())
        path = Path("/weights/adapted-0123456789ab.safetensors") if better else None
        return SimpleNamespace(path=path, message="It helps." if better else "It does not help.")

    return adapt_task


@pytest.fixture
def opened(make_application, qtbot):
    """A window with one object on the first frame, and the models that propagations asked for."""

    def make(adapt_task):
        models = []

        def noting(ctx, source, groups, *, model, **settings):
            models.append(model)
            return propagate_task(ctx, source, groups, **settings)

        parts = make_application(adapt_task=adapt_task, propagate_task=noting)
        parts.project.open("clip.mp4")
        qtbot.waitUntil(lambda: parts.session.pixels is not None)
        paint_object(qtbot, parts)
        parts.session.push(SetLabels(0, square(20, 20, 16).astype(np.uint16)))
        return parts, models

    return make


def is_on(parts) -> bool:
    return parts.window.actions_table["adapt"].isChecked()


def test_what_helps_is_used_until_it_is_switched_off(opened, qtbot):
    parts, models = opened(adapted(True))
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)
    wait_for_jobs(qtbot, parts)
    assert is_on(parts)
    assert "It helps. Propagate anew" in parts.window.banner.text
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    assert parts.session.runs[-1].settings["model"] == "adapted-0123456789ab"
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)  # known already: nothing is trained anew
    assert is_on(parts)
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    assert models == ["adapted-0123456789ab", None, "adapted-0123456789ab"]


def test_what_does_not_help_stays_off(opened, qtbot):
    parts, models = opened(adapted(False))
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)
    wait_for_jobs(qtbot, parts)
    assert not is_on(parts)
    assert "It does not help." in parts.window.banner.text
    press(qtbot, parts, Qt.Key.Key_F)
    wait_for_jobs(qtbot, parts)
    assert models == [None]


def test_another_model_ends_it(opened, qtbot):
    parts, _ = opened(adapted(True))
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)
    wait_for_jobs(qtbot, parts)
    chosen = {"model": "other", "device": "cpu"}
    assert parts.adapting.applied_to(chosen) == chosen
    assert not is_on(parts)


def test_another_video_is_not_adapted_to(opened, qtbot):
    parts, _ = opened(adapted(True))
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)
    wait_for_jobs(qtbot, parts)
    parts.session.close()
    assert not is_on(parts)


def test_a_project_goes_on_with_the_model_of_its_last_run(make_application, qtbot):
    def open_adapted(ctx, path, demo=False, footage=None):
        run = PropagationRun((1,), (0,), "forward", 0, 5, settings={"model": "adapted-0123456789ab"})
        return dataclasses.replace(open_task(ctx, path), runs=(run,))

    parts = make_application(open_task=open_adapted)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    assert is_on(parts)
    plain = {"model": parts.settings.model, "preset": "default"}
    assert parts.adapting.applied_to(plain) == {**plain, "model": "adapted-0123456789ab"}


def test_escape_cancels_and_nothing_changes(opened, qtbot):
    def endless(ctx, source, keyframes, **settings):
        while True:
            ctx.progress(1, 2, "adapting")

    parts, _ = opened(endless)
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)
    qtbot.waitUntil(lambda: parts.adapting.busy)
    press(qtbot, parts, Qt.Key.Key_Escape)
    wait_for_jobs(qtbot, parts)
    assert not is_on(parts)
    assert "the model stays as it was" in parts.window.banner.text


def test_without_an_object_the_way_is_told(make_application, qtbot):
    parts = make_application(adapt_task=adapted(True))
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    press(qtbot, parts, Qt.Key.Key_A, CONTROL_SHIFT)
    assert not is_on(parts)
    assert "nothing to learn from" in parts.window.banner.text
