"""What a crash has left is offered at the start, and when its footage is opened again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtWidgets import QFileDialog
from window_fakes import open_task

from smtc_app.jobs.opened import SourceMissing


def lost(path, steps=3, minute=0):
    time = datetime(2024, 5, 1, 12, minute, tzinfo=UTC)
    return SimpleNamespace(source=SimpleNamespace(path=Path(path)), steps=steps, time=time)


@pytest.fixture
def left(make_application):
    """A window, what a crash has left, and what was restored."""
    found, restored = [], []
    parts = make_application(list_recoveries_task=lambda ctx: list(found))
    parts.autosave.restore = restored.append
    return parts, found, restored


def wait_for_files(qtbot, parts):
    qtbot.waitUntil(lambda: not parts.files.jobs)


def test_the_newest_is_offered_at_the_start(left, qtbot):
    parts, found, restored = left
    found += [lost("b.mp4", 1, 30), lost("a.mp4")]
    parts.autosave.look_for_lost_work()
    qtbot.waitUntil(lambda: "1 step on b.mp4 was not saved" in parts.window.banner.text)
    parts.window.banner._button.click()
    assert restored == found[:1]


def test_what_was_done_on_footage_is_offered_when_it_is_opened_again(left, qtbot):
    parts, found, restored = left
    found += [lost("other.mp4", 1, 30), lost("clip.mp4", 4, 20), lost("clip.mp4", 2, 10)]
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: "4 steps on clip.mp4 were not saved" in parts.window.banner.text)
    parts.window.banner._button.click()
    assert restored == found[1:2]


def test_nothing_is_offered_of_other_footage(left, qtbot):
    parts, found, _ = left
    found.append(lost("other.mp4"))
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    wait_for_files(qtbot, parts)
    assert "not saved" not in parts.window.banner.text


def test_lost_work_whose_video_has_moved_lets_the_person_choose_it(make_application, qtbot, monkeypatch):
    def missing_once(ctx, recovery, footage=None):
        if footage is None:
            return SourceMissing("The video a.mp4 of the unsaved work is not there: choose where it is now.")
        return open_task(ctx, footage)

    parts = make_application(restore_task=missing_once)
    parts.project.restore(lost("a.mp4"))
    qtbot.waitUntil(lambda: "choose where it is now" in parts.window.banner.text)
    asked = []
    monkeypatch.setattr(
        QFileDialog,
        "getOpenFileName",
        lambda _window, title, *_: (asked.append(title), ("/new/b.mp4", ""))[1],
    )
    parts.window.banner._button.click()
    qtbot.waitUntil(lambda: parts.session.is_open)
    assert asked == ["Where is a.mp4 now?"]
    assert parts.session.source.path == Path("/new/b.mp4")
