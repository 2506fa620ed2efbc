"""Masks beside footage are offered until the person has answered, and the answer is kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QToolButton
from window_fakes import open_task

from smtc_app.core.settings import load_settings


def with_masks(ctx, path, demo=False, footage=None):
    """Every video has masks: in ROOT/Annotations/NAME, the first for frame 3."""
    opened = open_task(ctx, path, demo)
    masks = Path(path).parent / "Annotations" / Path(path).stem
    return dataclasses.replace(opened, first_mask=(3, masks / "00003.png"))


@pytest.fixture
def make(make_application, qtbot, tmp_path):
    def make(settings=None):
        parts = make_application(settings, open_task=with_masks)
        parts.dataset.open(str(tmp_path / "set"))
        wait_for(qtbot, parts, "second")
        return parts

    return make


def wait_for(qtbot, parts, name):
    qtbot.waitUntil(lambda: parts.dataset.current == name and parts.session.pixels is not None)


def go(qtbot, parts, name):
    parts.dataset.open_video(name)
    wait_for(qtbot, parts, name)


def offered(parts):
    return "masks beside this video" in parts.window.banner.text


def close_banner(qtbot, parts):
    button = parts.window.banner.findChild(QToolButton)
    assert "this dataset" in button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_each_video_of_a_dataset_is_offered_once(make, qtbot):
    parts = make()
    assert offered(parts)
    assert "frame 3" in parts.window.banner.text
    go(qtbot, parts, "third")
    assert offered(parts)
    go(qtbot, parts, "second")
    assert not offered(parts)


def test_closing_the_offer_holds_for_the_dataset_and_for_good(make, qtbot):
    parts = make()
    close_banner(qtbot, parts)
    go(qtbot, parts, "third")
    assert not offered(parts)
    parts.close()
    settings, notes = load_settings()
    assert not notes
    later = make(settings)
    assert not offered(later)
    go(qtbot, later, "first")
    assert not offered(later)


def test_another_dataset_is_offered_all_the_same(make, qtbot, tmp_path):
    parts = make()
    close_banner(qtbot, parts)
    parts.dataset.open(str(tmp_path / "other"))
    qtbot.waitUntil(lambda: parts.session.is_open and "other" in str(parts.session.source.path))
    qtbot.waitUntil(lambda: offered(parts))


def test_without_a_dataset_the_answer_is_for_the_video(make_application, qtbot, tmp_path):
    parts = make_application(open_task=with_masks)
    for name, expected in (("a", True), ("b", True), ("a", False)):
        parts.project.open(str(tmp_path / f"{name}.mp4"))
        qtbot.waitUntil(lambda name=name: parts.session.title == f"{name}.mp4")
        assert offered(parts) is expected
    assert parts.mask_offer.declined == ()
    parts.project.open(str(tmp_path / "c.mp4"))
    qtbot.waitUntil(lambda: offered(parts))
    parts.window.banner.findChild(QToolButton).click()
    assert parts.mask_offer.declined == (str(tmp_path / "Annotations" / "c"),)


def test_the_first_mask_is_taken_over(make, qtbot):
    parts = make()
    parts.window.banner._button.click()
    qtbot.waitUntil(lambda: parts.session.document.has_labels(3))
    assert parts.mask_offer.declined == ()


def test_a_message_that_follows_the_offer_is_no_answer(make, qtbot):
    parts = make()
    parts.controller.tell("Something else.")
    parts.window.banner.findChild(QToolButton).click()
    assert parts.mask_offer.declined == ()
