"""The dataset browser in the whole window: list, next and previous video, marks, nothing lost on the way."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox
from window_fakes import open_task, square

from smtc_app.core.commands import SetLabels
from smtc_app.core.dataset import MediaInfo, ProjectSummary, VideoEntry, VideoRow, VideoState
from smtc_app.core.errors import UserError
from smtc_app.core.object_commands import AddObject
from smtc_app.ui.dataset_model import length_text, state_text, tooltip_text


def opened(qtbot, parts, name):
    qtbot.waitUntil(lambda: parts.dataset.current == name and parts.session.pixels is not None)


@pytest.fixture
def browsing(make_application, qtbot, tmp_path):
    """A window with a dataset of three videos, the second of them open."""
    parts = make_application()
    parts.dataset.open(str(tmp_path / "set"))
    opened(qtbot, parts, "second")
    return parts


def paint(parts):
    if not parts.session.document.objects:
        parts.session.push(AddObject("thing"))
    labels = square(4, 4).astype(np.uint16)
    parts.session.push(SetLabels(0, labels))
    assert parts.session.document.modified


def test_opening_a_dataset_lists_its_videos_and_opens_the_last_one(browsing):
    panel = browsing.window.dataset_panel
    assert panel.isVisible()
    assert panel.names == ["first", "second", "third"]
    assert panel.row("third").state == VideoState.DONE
    assert browsing.session.title == "second.mp4"
    assert panel.model.current == "second"


def test_a_path_that_is_a_dataset_is_shown_as_one(make_application, qtbot, tmp_path):
    from window_fakes import find_dataset_task

    def open_any(ctx, path, demo=False, footage=None):
        return find_dataset_task(ctx, path) if Path(path).name == "set" else open_task(ctx, path, demo)

    parts = make_application(open_task=open_any)
    parts.controller.open(str(tmp_path / "set"))
    opened(qtbot, parts, "second")
    assert parts.window.dataset_panel.isVisible()


def test_keys_go_through_the_list_and_stop_at_its_ends(browsing, qtbot):
    canvas = browsing.window.canvas
    qtbot.keyClick(canvas, Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    opened(qtbot, browsing, "third")
    qtbot.keyClick(canvas, Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    assert "last video" in browsing.window.banner.text
    qtbot.keyClick(canvas, Qt.Key.Key_PageUp, Qt.KeyboardModifier.ControlModifier)
    opened(qtbot, browsing, "second")


def test_going_on_saves_into_the_datasets_folder_without_a_question(browsing, qtbot, tmp_path):
    paint(browsing)
    browsing.dataset.step(1)
    opened(qtbot, browsing, "third")
    project = tmp_path / "set" / "smtc-projects" / "second.smtc"
    assert (tmp_path / "saved").read_text() == str(project)
    assert browsing.dataset._probe.refreshed[-1:] != []


def test_a_video_that_cannot_be_saved_stays_open(make_application, qtbot, tmp_path):
    def save_task(ctx, path, state, source, parameters, save_id):
        raise UserError("The disk is full.")

    parts = make_application(save_task=save_task)
    parts.dataset.open(str(tmp_path / "set"))
    opened(qtbot, parts, "second")
    paint(parts)
    parts.dataset.step(1)
    qtbot.waitUntil(lambda: "disk is full" in parts.window.banner.text)
    assert (parts.dataset.current, parts.session.document.modified) == ("second", True)
    assert parts.dataset._target is None


def test_going_on_leads_past_a_video_that_cannot_be_read(make_application, qtbot, tmp_path):
    damaged = {"second"}

    def open_some(ctx, path, demo=False, footage=None):
        if path.stem in damaged:
            raise UserError(f"{path.name} is cut off.")
        return open_task(ctx, path, demo)

    parts = make_application(open_task=open_some)
    parts.dataset.open(str(tmp_path / "set"))
    opened(qtbot, parts, "first")
    parts.dataset.step(1)
    opened(qtbot, parts, "third")
    parts.dataset.step(-1)
    opened(qtbot, parts, "first")
    damaged.clear()
    parts.dataset.open_video("second")
    opened(qtbot, parts, "second")
    parts.dataset.step(-1)
    opened(qtbot, parts, "first")
    parts.dataset.step(1)
    opened(qtbot, parts, "second")


def test_a_dataset_opens_on_the_first_video_that_can_be_opened(make_application, qtbot, tmp_path):
    damaged = {"first", "second"}

    def open_some(ctx, path, demo=False, footage=None):
        if path.stem in damaged:
            raise UserError(f"{path.name} is cut off.")
        return open_task(ctx, path, demo)

    parts = make_application(open_task=open_some)
    parts.dataset.open(str(tmp_path / "set"))
    opened(qtbot, parts, "third")
    assert parts.window.banner.text.startswith("second.mp4 is cut off. ")
    assert "third.mp4" in parts.window.banner.text
    panel = parts.window.dataset_panel
    assert [panel.row(name).problem for name in panel.names] == [
        "first.mp4 is cut off.",
        "second.mp4 is cut off.",
        "",
    ]
    # Who chooses one is told why it cannot be opened, and stays where he was.
    parts.dataset.open_video("first")
    qtbot.waitUntil(lambda: parts.window.banner.text == "first.mp4 is cut off.")
    assert parts.dataset.current == "third"
    damaged.clear()
    parts.dataset.open_video("second")
    opened(qtbot, parts, "second")
    assert panel.row("second").problem == ""


def test_a_dataset_without_a_video_that_can_be_opened_says_why(make_application, qtbot, tmp_path):
    def open_none(ctx, path, demo=False, footage=None):
        raise UserError(f"{path.name} is cut off.")

    parts = make_application(open_task=open_none)
    parts.dataset.open(str(tmp_path / "set"))
    panel = parts.window.dataset_panel
    qtbot.waitUntil(lambda: bool(panel.names) and all(panel.row(name).problem for name in panel.names))
    assert (parts.dataset.current, parts.dataset._target) == (None, None)
    assert "is cut off" in parts.window.banner.text


def test_edits_made_while_the_next_video_is_read_are_saved_too(make_application, qtbot, tmp_path):
    """The next video appears only after everything that was painted in the last one is on disk."""
    saved = []

    def save_task(ctx, path, state, source, parameters, save_id):
        saved.append(state.labels(0).sum())
        return SimpleNamespace(path=Path(path)), None

    edits = []

    def open_slowly(ctx, path, demo=False, footage=None):
        if Path(path).stem == "third":
            ctx.partial("paint now")
            gate.wait(10)
        return open_task(ctx, path, demo)

    gate = threading.Event()
    parts = make_application(open_task=open_slowly, save_task=save_task)
    parts.dataset.open(str(tmp_path / "set"))
    opened(qtbot, parts, "second")
    document = parts.session.document
    parts.dataset.step(1)
    paint(parts)
    edits.append(document.labels(0).sum())
    gate.set()
    opened(qtbot, parts, "third")
    assert saved == edits


def test_leaving_another_unsaved_video_is_asked_about(browsing, qtbot, monkeypatch):
    browsing.project.open("/elsewhere/other.mp4")
    qtbot.waitUntil(lambda: browsing.session.title == "other.mp4" and browsing.session.pixels is not None)
    assert browsing.dataset.current is None
    paint(browsing)
    monkeypatch.setattr(QMessageBox, "exec", lambda box: QMessageBox.StandardButton.Cancel)
    browsing.dataset.open_video("first")
    assert (browsing.session.title, browsing.dataset._target) == ("other.mp4", None)


def test_a_running_job_ends_before_the_video_is_left(browsing, qtbot):
    started = []

    def endless(ctx):
        started.append(True)
        while True:
            ctx.progress(0, 1)

    browsing.models.submit("Computing", endless)
    qtbot.waitUntil(lambda: bool(started))
    browsing.dataset.step(1)
    opened(qtbot, browsing, "third")
    assert not browsing.models.busy


def test_done_is_marked_with_one_key_and_in_the_list(browsing, qtbot):
    folder, actions = browsing.dataset._found.folder, browsing.window.actions_table
    qtbot.keyClick(browsing.window.canvas, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    panel = browsing.window.dataset_panel
    assert panel.row("second").done
    assert actions["video_done"].isChecked()
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=panel.row_centre("third", "mark"))
    qtbot.waitUntil(lambda: folder.marks == [("second", True), ("third", False)])
    assert not panel.row("third").done


def test_a_click_on_a_row_opens_it(browsing, qtbot):
    panel = browsing.window.dataset_panel
    qtbot.mouseClick(panel.view.viewport(), Qt.MouseButton.LeftButton, pos=panel.row_centre("first"))
    opened(qtbot, browsing, "first")


def test_what_the_probe_finds_is_shown(browsing, qtbot):
    probe, panel = browsing.dataset._probe, browsing.window.dataset_panel
    qtbot.waitUntil(lambda: probe.wanted == ["first", "second", "third"])
    summary = ProjectSummary(VideoState.IN_WORK, 2, 5, 0.8, 0.25)
    probe.deliver(
        SimpleNamespace(
            name="first",
            looked_inside=True,
            media=MediaInfo(1234, False, (1920, 1080)),
            summary=summary,
            pictured=True,
            picture=np.zeros((90, 50, 3), np.uint8),
            problem="",
        )
    )
    qtbot.waitUntil(lambda: panel.row("first").summary is summary)
    assert panel.row("first").media.size == (1080, 1920)
    assert panel.model.missing(range(3)) == ["second", "third"]
    assert state_text(panel.row("first")) == "In work · 25% sure"


def test_filter_and_order_decide_which_video_is_next(browsing, qtbot):
    panel = browsing.window.dataset_panel
    panel.filter.setText("ir")
    assert panel.names == ["first", "third"]
    browsing.dataset.step(-1)
    opened(qtbot, browsing, "third")
    panel.filter.setText("zebra")
    assert panel.names == []


def test_closing_the_dataset_keeps_the_video(browsing):
    probe = browsing.dataset._probe
    browsing.dataset.close_dataset()
    assert probe.closed
    assert not browsing.window.dataset_panel.isVisible()
    assert browsing.session.title == "second.mp4"
    assert not browsing.window.actions_table["next_video"].isEnabled()


def test_recent_ones_hold_the_dataset_and_not_each_of_its_videos(browsing, qtbot, tmp_path):
    browsing.dataset.step(1)
    opened(qtbot, browsing, "third")
    assert browsing.settings.recent == (str((tmp_path / "set").resolve()),)


def test_texts_say_what_is_known():
    entry = VideoEntry("bear", Path("/videos/bear.mp4"))
    assert length_text(VideoRow(entry)) == ""
    assert length_text(VideoRow(entry, MediaInfo(1, True, (64, 48)))) == "1 frame · 64×48"
    assert length_text(VideoRow(entry, MediaInfo(1500, False, None))) == "~1\u202f500 frames"
    assert state_text(VideoRow(entry)) == "Untouched"
    assert "cannot be read" in tooltip_text(VideoRow(entry, problem="bear.mp4 cannot be read."))


def test_ten_thousand_videos_are_listed_at_once_and_ask_for_what_is_in_sight(make_application, qtbot):
    panel = make_application().window.dataset_panel
    panel.show()
    rows = [VideoRow(VideoEntry(f"video{i:05d}", Path(f"/v/{i}.mp4"))) for i in range(10_000)]
    with qtbot.waitSignal(panel.wanted) as asked:
        panel.set_dataset("many", "", rows)
    assert asked.args[0][0] == "video00000"
    assert len(asked.args[0]) < 40
    with qtbot.waitSignal(panel.wanted) as asked:
        panel.view.scrollToBottom()
    assert "video09999" in asked.args[0]


def test_proposing_for_all_leaves_out_what_is_open_or_done_and_tells(browsing, qtbot):
    qtbot.keyClick(
        browsing.window.canvas,
        Qt.Key.Key_P,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
    )
    qtbot.waitUntil(lambda: "Proposals wait in 1 video." in browsing.window.banner.text)
    assert browsing.dataset._probe.refreshed == ["first"]
    assert not browsing.session.document.modified
    assert browsing.window.actions_table["propose_all"].isEnabled()


def test_proposing_for_all_goes_on_over_videos_and_ends_with_esc(make_application, qtbot, tmp_path):
    def endless(ctx, entries, *_args, **_settings):
        while True:
            ctx.progress(0, len(entries), entries[0].name)

    parts = make_application(propose_videos_task=endless)
    parts.dataset.open(str(tmp_path / "set"))
    opened(qtbot, parts, "second")
    action = parts.window.actions_table["propose_all"]
    action.trigger()
    qtbot.waitUntil(lambda: "Proposing on the first frame of 1 video" in parts.window.job_bar.text)
    assert not action.isEnabled()
    parts.dataset.step(1)
    opened(qtbot, parts, "third")
    assert parts.survey_jobs.busy
    qtbot.keyClick(parts.window.canvas, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: "Cancelled" in parts.window.banner.text)
    assert not parts.survey_jobs.busy
    assert action.isEnabled()


@pytest.mark.parametrize("name", ["birds", "a-very-long-name-of-a-folder-of-three-videos"])
def test_the_name_of_the_dataset_is_cut_and_never_overlaps(make_application, qtbot, tmp_path, name):
    parts = make_application()
    parts.dataset.open(str(tmp_path / name))
    opened(qtbot, parts, "second")
    panel = parts.window.dataset_panel
    title = panel._title
    qtbot.waitUntil(lambda: title.width() > 40)
    assert title.fontMetrics().horizontalAdvance(title.shown) <= title.width()
    assert (title.shown == name) is (name == "birds")
    assert panel._count.width() >= panel._count.sizeHint().width()
    assert panel._count.text() == "1 / 3 done"
