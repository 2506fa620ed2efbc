"""The whole window on fake footage: keys and clicks reach the document, widgets show what it holds."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QMessageBox, QToolButton
from window_fakes import FRAMES, SIZE, square
from window_hands import canvas_point, drag, paint_object, press, show_frame, wait_for_jobs

from smtc_app.core.commands import SetLabels
from smtc_app.core.document import FrameStatus
from smtc_app.core.errors import UserError
from smtc_app.core.object_commands import AddObject
from smtc_app.core.settings import load_settings
from smtc_app.jobs.opened import MasksDamaged, Opened, SourceMissing
from smtc_app.ui.dialogs_category import CategoryDialog
from smtc_app.ui.main_window import KeyGuard


def test_an_empty_window_offers_ways_in_and_hides_what_cannot_be_used(make_application):
    window = make_application().window
    assert window.empty_state.isVisible()
    assert not window.timeline.isVisible()
    assert not window.object_panel.isVisible()
    assert not window.actions_table["propose"].isEnabled()
    assert window.actions_table["open"].isEnabled()


def test_opening_shows_the_first_frame_and_its_place(application):
    window = application.window
    assert window.canvas.isVisible()
    assert application.session.pixels[0, 0, 0] == 0
    assert window.status_labels.frame.text() == f"Frame 0 / {FRAMES - 1}"
    assert window.status_labels.size_.text() == f"{SIZE[0]} × {SIZE[1]}"
    assert "clip.mp4" in window.windowTitle()


def test_a_path_that_cannot_be_opened_is_told_and_what_is_open_stays(application, qtbot):
    application.project.open("missing.mp4")
    qtbot.waitUntil(lambda: "missing.mp4" in application.window.banner.text)
    assert application.window.banner.kind == "error"
    assert application.session.title == "clip.mp4"


def test_dropping_a_file_opens_it(make_application, qtbot):
    parts = make_application()
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/videos/other.mp4")])
    event = QDropEvent(
        QPointF(9, 9),
        Qt.DropAction.CopyAction,
        data,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    parts.window.dropEvent(event)
    qtbot.waitUntil(lambda: parts.session.title == "other.mp4")


def test_opened_paths_become_recent_ones(make_application, qtbot, tmp_path):
    file = tmp_path / "seen.mp4"
    file.touch()
    parts = make_application()
    parts.project.open(str(file))
    qtbot.waitUntil(lambda: [action.text() for action in parts.window.recent_menu.actions()] == [str(file)])
    qtbot.waitUntil(lambda: load_settings()[0].recent == (str(file),))


def test_opening_does_not_wait_for_the_settings_file(make_application, qtbot, monkeypatch):
    saved, saved_before = [], []
    parts = make_application()

    def save(settings):
        saved.append(threading.current_thread())

    monkeypatch.setattr(parts._settings_writer, "_save", save)
    parts.project.opened.connect(lambda _path: saved_before.append(len(saved)))
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: len(saved) == 1)
    assert saved_before == [0]
    assert saved != [threading.main_thread()]


def test_events_of_widgets_that_take_no_text_are_not_looked_at(make_application, qtbot, monkeypatch):
    watched = set()
    look = KeyGuard.eventFilter

    def noted(guard, widget, event):
        watched.add(type(widget).__name__)
        return look(guard, widget, event)

    monkeypatch.setattr(KeyGuard, "eventFilter", noted)
    parts = make_application()
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    show_frame(qtbot, parts, 3)
    assert watched == set()


@pytest.mark.parametrize(
    ("key", "modifier", "frame"),
    [
        (Qt.Key.Key_Right, Qt.KeyboardModifier.NoModifier, 6),
        (Qt.Key.Key_D, Qt.KeyboardModifier.NoModifier, 6),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.NoModifier, 4),
        (Qt.Key.Key_A, Qt.KeyboardModifier.NoModifier, 4),
        (Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier, FRAMES - 1),
        (Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier, 0),
        (Qt.Key.Key_Home, Qt.KeyboardModifier.NoModifier, 0),
        (Qt.Key.Key_End, Qt.KeyboardModifier.NoModifier, FRAMES - 1),
    ],
)
def test_keys_go_to_the_frame_they_say(application, qtbot, key, modifier, frame):
    show_frame(qtbot, application, 5)
    press(qtbot, application, key, modifier)
    qtbot.waitUntil(lambda: application.session.frame == frame)
    assert application.session.pixels[0, 0, 0] == frame
    assert application.window.status_labels.frame.text() == f"Frame {frame} / {FRAMES - 1}"


def test_playing_shows_every_frame_in_order_and_stops_at_the_end(application, qtbot):
    shown = []
    application.frames.shown.connect(lambda message: shown.append((message[0], int(message[1][0, 0, 0]))))
    press(qtbot, application, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: bool(shown) and not application.frames.playing)
    assert shown == [(index, index) for index in range(1, FRAMES)]


def test_painting_makes_an_object_a_keyframe_and_one_undo_step(application, qtbot):
    press(qtbot, application, Qt.Key.Key_P)
    drag(qtbot, application, [(20, 20), (26, 20)])
    document = application.session.document
    assert list(document.objects) == [1]
    assert document.labels(0)[20, 22] == 1
    assert document.keyframes == (0,)
    qtbot.waitUntil(lambda: application.window.object_panel.rows != ())
    assert application.window.object_panel.rows[0].area_px == np.count_nonzero(document.labels(0))
    press(qtbot, application, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert not document.objects
    assert not document.has_labels(0)
    press(qtbot, application, Qt.Key.Key_Y, Qt.KeyboardModifier.ControlModifier)
    assert document.labels(0)[20, 22] == 1


def test_the_menu_names_what_undo_takes_back(application, qtbot):
    paint_object(qtbot, application)
    assert application.window.actions_table["undo"].text() == "Undo Paint 'object 1'"
    assert application.window.isWindowModified()


def test_the_eraser_takes_labels_away(application, qtbot):
    paint_object(qtbot, application)
    press(qtbot, application, Qt.Key.Key_E)
    drag(qtbot, application, [(20, 20), (24, 20)])
    assert not application.session.document.has_labels(0)


def test_polygon_and_fill_give_their_region_to_the_object(application, qtbot):
    canvas = application.window.canvas
    press(qtbot, application, Qt.Key.Key_L)
    for corner in ((10, 10), (30, 10), (30, 30), (10, 30)):
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas_point(application, *corner))
    press(qtbot, application, Qt.Key.Key_Return)
    labels = application.session.document.labels(0)
    assert labels[20, 20] == 1
    assert labels[40, 40] == 0
    press(qtbot, application, Qt.Key.Key_G)
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas_point(application, 45, 40))
    assert application.session.document.labels(0)[40, 40] == 1


def test_propagation_fills_the_video_frame_by_frame_and_is_one_undo_step(application, qtbot):
    paint_object(qtbot, application)
    press(qtbot, application, Qt.Key.Key_F)
    document = application.session.document
    qtbot.waitUntil(lambda: len(document.labelled_frames) == FRAMES)
    wait_for_jobs(qtbot, application)
    assert document.status(FRAMES - 1, 1) == FrameStatus.PROPAGATED
    assert np.array_equal(document.labels(FRAMES - 1), document.labels(0))
    press(qtbot, application, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert document.labelled_frames == (0,)


@pytest.mark.parametrize(
    ("key", "modifier", "frames"),
    [
        (Qt.Key.Key_B, Qt.KeyboardModifier.NoModifier, range(6)),
        (Qt.Key.Key_F, Qt.KeyboardModifier.NoModifier, range(5, FRAMES)),
        (Qt.Key.Key_F, Qt.KeyboardModifier.ShiftModifier, range(FRAMES)),
    ],
)
def test_directions_reach_the_frames_they_say(application, qtbot, key, modifier, frames):
    show_frame(qtbot, application, 5)
    paint_object(qtbot, application)
    press(qtbot, application, key, modifier)
    wait_for_jobs(qtbot, application)
    assert application.session.document.labelled_frames == tuple(frames)


def test_the_range_bounds_propagation(application, qtbot):
    show_frame(qtbot, application, 5)
    paint_object(qtbot, application)
    application.window.timeline.set_range((3, 8))
    press(qtbot, application, Qt.Key.Key_F, Qt.KeyboardModifier.ShiftModifier)
    wait_for_jobs(qtbot, application)
    assert application.session.document.labelled_frames == (3, 4, 5, 6, 7)


def test_propagating_nothing_says_what_is_missing(application, qtbot):
    press(qtbot, application, Qt.Key.Key_F)
    assert "no object" in application.window.banner.text


def test_escape_cancels_a_propagation_and_keeps_what_came(make_application, qtbot):
    from window_fakes import Propagated

    def endless(ctx, source, groups, **_settings):
        ids, keyframes, _direction, _span = groups[0]
        ctx.partial((ids, Propagated(1, keyframes[0], dict.fromkeys(ids, 1.0), (0,))))
        while True:
            ctx.progress(1, 9)

    parts = make_application(propagate_task=endless)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: parts.session.document.has_labels(1))
    assert parts.window.job_bar.isVisible()
    press(qtbot, parts, Qt.Key.Key_Escape)
    wait_for_jobs(qtbot, parts)
    assert parts.session.document.labelled_frames == (0, 1)
    assert not parts.window.job_bar.isVisible()
    assert "kept" in parts.window.banner.text


def test_leaving_the_gpu_is_told(make_application, qtbot):
    from types import SimpleNamespace

    from window_fakes import SUMMARY

    sentence = "The GPU ran out of memory, so this was computed on the CPU."
    summary = SimpleNamespace(model=SUMMARY.model, frames=1, message=sentence)
    parts = make_application(propagate_task=lambda ctx, source, groups, **settings: summary)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    press(qtbot, parts, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: parts.window.banner.text == sentence)
    assert parts.window.banner.kind == "warning"


def test_a_failing_model_is_told_and_the_window_goes_on(make_application, qtbot):
    def failing(ctx, *_arguments, **_settings):
        raise UserError("The model file is damaged; fetch it again.")

    parts = make_application(propose_task=failing)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    press(qtbot, parts, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: "damaged" in parts.window.banner.text)
    paint_object(qtbot, parts)
    assert parts.session.document.has_labels(0)


def test_merge_split_and_delete(application, qtbot):
    first, second = paint_object(qtbot, application, 10, 10), paint_object(qtbot, application, 45, 35)
    document = application.session.document
    press(qtbot, application, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    press(qtbot, application, Qt.Key.Key_M)
    assert list(document.objects) == [first]
    assert document.labels(0)[35, 46] == first
    press(qtbot, application, Qt.Key.Key_X)
    assert len(document.objects) == 2
    assert document.labels(0)[35, 46] != document.labels(0)[10, 11]
    press(qtbot, application, Qt.Key.Key_Delete)
    assert not document.objects
    for _step in range(3):
        press(qtbot, application, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert list(document.objects) == [first, second]


def test_splitting_one_part_asks_the_model(application, qtbot):
    paint_object(qtbot, application)
    press(qtbot, application, Qt.Key.Key_X)
    qtbot.waitUntil(lambda: len(application.session.document.objects) == 2)


def test_clicks_select_objects_and_shift_adds(application, qtbot):
    first, second = paint_object(qtbot, application, 10, 10), paint_object(qtbot, application, 45, 35)
    canvas = application.window.canvas
    press(qtbot, application, Qt.Key.Key_I)
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=canvas_point(application, 11, 10))
    assert application.session.selection == (first,)
    shift = Qt.KeyboardModifier.ShiftModifier
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, shift, canvas_point(application, 46, 35))
    assert set(application.session.selection) == {first, second}
    qtbot.waitUntil(lambda: set(application.window.object_panel.selected) == {first, second})


def test_digits_select_objects_by_number(application, qtbot):
    paint_object(qtbot, application, 10, 10)
    paint_object(qtbot, application, 45, 35)
    press(qtbot, application, Qt.Key.Key_1)
    assert application.session.active == 1
    press(qtbot, application, Qt.Key.Key_2)
    assert application.session.active == 2


def test_visibility_and_lock_follow_clicks_in_the_list(application, qtbot):
    object_id = paint_object(qtbot, application)
    panel, document = application.window.object_panel, application.session.document
    qtbot.waitUntil(lambda: panel.rows != ())
    viewport = panel.view.viewport()
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=panel.row_centre(object_id, "visible"))
    assert not document.objects[object_id].visible
    qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=panel.row_centre(object_id, "locked"))
    assert document.objects[object_id].locked
    before = document.labels(0)
    drag(qtbot, application, [(50, 40), (52, 40)])
    assert document.labels(0) is before
    assert "locked" in application.window.banner.text


def test_k_marks_and_unmarks_keyframes_and_ctrl_arrows_find_them(application, qtbot):
    document = application.session.document
    show_frame(qtbot, application, 7)
    press(qtbot, application, Qt.Key.Key_K)
    assert document.keyframes == (7,)
    show_frame(qtbot, application, 0)
    press(qtbot, application, Qt.Key.Key_Right, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: application.session.frame == 7)
    press(qtbot, application, Qt.Key.Key_K)
    assert document.keyframes == ()


def test_w_goes_to_the_least_sure_frames_one_after_the_other(application, qtbot):
    paint_object(qtbot, application)
    press(qtbot, application, Qt.Key.Key_F)
    wait_for_jobs(qtbot, application)
    for frame in (FRAMES - 1, FRAMES - 2, FRAMES - 3):
        press(qtbot, application, Qt.Key.Key_W)
        qtbot.waitUntil(lambda frame=frame: application.session.frame == frame)


def test_tab_and_h_switch_outlines_and_masks(application, qtbot):
    actions = application.window.actions_table
    press(qtbot, application, Qt.Key.Key_Tab)
    assert actions["outline"].isChecked()
    press(qtbot, application, Qt.Key.Key_H)
    assert not actions["masks"].isChecked()


def test_brackets_change_brush_and_opacity(application, qtbot):
    radius = application.window.canvas.brush_radius_px
    press(qtbot, application, Qt.Key.Key_P)
    press(qtbot, application, Qt.Key.Key_BracketRight)
    assert application.window.canvas.brush_radius_px > radius
    assert application.window.brush_slider.value() == round(application.window.canvas.brush_radius_px)
    opacity = application.window.opacity_slider.value()
    press(qtbot, application, Qt.Key.Key_BracketLeft, Qt.KeyboardModifier.ShiftModifier)
    assert application.window.opacity_slider.value() < opacity


def test_letters_belong_to_the_name_while_it_is_edited(application, qtbot):
    object_id = paint_object(qtbot, application)
    panel = application.window.object_panel
    qtbot.waitUntil(lambda: panel.rows != ())
    press(qtbot, application, Qt.Key.Key_F2)
    editor = panel.view.viewport().findChild(type(application.window.transport.time_edit))
    qtbot.keyClicks(editor, "fat sheep")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    objects = application.session.document.objects
    qtbot.waitUntil(lambda: objects[object_id].name == "fat sheep")
    assert application.session.frame == 0
    assert not application.models.jobs


def test_saving_asks_nothing_once_there_is_a_project(application, qtbot, tmp_path):
    paint_object(qtbot, application)
    application.session.set_project(tmp_path / "mine.smtc", None)
    press(qtbot, application, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: not application.session.document.modified)
    assert (tmp_path / "saved").read_text() == str(tmp_path / "mine.smtc")
    assert application.window.windowTitle().startswith("mine.smtc")
    assert not application.window.isWindowModified()


def test_work_done_while_saving_stays_unsaved(make_application, qtbot, tmp_path):
    import threading
    from types import SimpleNamespace

    go_on = threading.Event()

    def slow(ctx, path, state, source, parameters, save_id):
        go_on.wait(10)
        return SimpleNamespace(path=Path(path)), None

    parts = make_application(save_task=slow)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    parts.session.set_project(tmp_path / "mine.smtc", None)
    parts.project.save()
    drag(qtbot, parts, [(40, 40), (44, 40)])
    go_on.set()
    wait_for_jobs(qtbot, parts)
    assert parts.session.document.modified


@pytest.mark.parametrize(
    ("answer", "closes"),
    [
        (QMessageBox.StandardButton.Cancel, False),
        (QMessageBox.StandardButton.Discard, True),
    ],
)
def test_closing_asks_about_unsaved_work(application, qtbot, monkeypatch, answer, closes):
    paint_object(qtbot, application)
    asked = []
    monkeypatch.setattr(QMessageBox, "exec", lambda box: asked.append(box.text()) or answer)
    application.window.close()
    assert asked == ["Save the changes to clip.mp4?"]
    assert application.window.isVisible() is not closes


def test_saving_on_close_closes_once_saved(application, qtbot, monkeypatch, tmp_path):
    paint_object(qtbot, application)
    application.session.set_project(tmp_path / "mine.smtc", None)
    monkeypatch.setattr(QMessageBox, "exec", lambda box: QMessageBox.StandardButton.Save)
    application.window.close()
    qtbot.waitUntil(lambda: not application.window.isVisible())
    assert (tmp_path / "saved").exists()


def test_closing_without_changes_asks_nothing_and_ends_the_threads(application, qtbot):
    source = application.session.source
    application.window.close()
    assert not application.window.isVisible()
    assert source.closed
    with pytest.raises(RuntimeError):
        application.models.submit("late", lambda ctx: None)


def test_a_project_whose_video_is_gone_lets_the_person_choose_it(make_application, qtbot, monkeypatch):
    from PySide6.QtWidgets import QFileDialog
    from window_fakes import FakeSource, open_task

    def missing_once(ctx, path, demo=False, footage=None):
        if footage is None:
            return SourceMissing("The video clip.mp4 is not there: choose where it is now.")
        return open_task(ctx, footage)

    parts = make_application(open_task=missing_once)
    parts.project.open("mine.smtc")
    qtbot.waitUntil(lambda: "is not there" in parts.window.banner.text)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_arguments: ("/elsewhere/moved.mp4", ""))
    qtbot.mouseClick(parts.window.banner._button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: parts.session.is_open)
    assert isinstance(parts.session.source, FakeSource)


@pytest.fixture
def with_damaged_masks(make_application, qtbot):
    """A painted clip, over which a project of damaged masks was asked for."""
    from window_fakes import open_task

    def damaged(ctx, path, demo=False, footage=None, *, repair=False):
        if path.suffix == ".smtc" and not repair:
            return MasksDamaged("The mask 00004.png is missing.")
        return open_task(ctx, path)

    parts = make_application(open_task=damaged)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    parts.project.open("mine.smtc")
    qtbot.waitUntil(lambda: parts.window.banner.text == "The mask 00004.png is missing.")
    assert parts.session.source.path.name == "clip.mp4"
    return parts


def test_a_project_with_damaged_masks_opens_without_them_when_asked(with_damaged_masks, qtbot):
    parts = with_damaged_masks
    qtbot.mouseClick(parts.window.banner._button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: parts.session.source.path.name == "mine.smtc")


def test_what_was_done_since_the_offer_is_not_dropped_without_a_question(
    with_damaged_masks, qtbot, monkeypatch
):
    parts, asked = with_damaged_masks, []

    def cancel(box: QMessageBox) -> QMessageBox.StandardButton:
        asked.append(box.text())
        return QMessageBox.StandardButton.Cancel

    monkeypatch.setattr(QMessageBox, "exec", cancel)
    paint_object(qtbot, parts)
    qtbot.mouseClick(parts.window.banner._button, Qt.MouseButton.LeftButton)
    assert asked == ["Save the changes to clip.mp4?"]
    assert not parts.project.is_opening
    assert parts.session.document.modified


def test_notes_of_opening_are_told(make_application, qtbot):
    from window_fakes import open_task

    def noted(ctx, path, demo=False, footage=None):
        opened = open_task(ctx, path)
        return Opened(opened.source, opened.document, notes=("Restored 3 steps.",), recovery=object())

    parts = make_application(open_task=noted)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: "Restored 3 steps." in parts.window.banner.text)
    assert parts.session.document.modified


def test_a_banner_never_moves_the_picture(application):
    canvas = application.window.canvas
    before = canvas.mapTo(application.window, QPoint(0, 0)), canvas.size()
    application.window.banner.show_message("Something went wrong with a rather long sentence.", kind="error")
    assert (canvas.mapTo(application.window, QPoint(0, 0)), canvas.size()) == before


def test_a_banner_leaves_the_caption_of_the_view_free(application):
    window = application.window
    window.banner.show_message("Something went wrong with a rather long sentence. " * 3, kind="error")
    alone = window.banner.y()
    window.view_caption.show_text("Slots")
    top = window.banner.mapTo(window, QPoint(0, 0)).y()
    caption = window.view_caption
    assert top >= caption.mapTo(window, QPoint(0, caption.height())).y()
    window.view_caption.show_text("")
    assert window.banner.y() == alone


def test_imported_labels_become_objects(application, qtbot, monkeypatch):
    from PySide6.QtWidgets import QFileDialog

    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_arguments: ("/masks/first.png", ""))
    press(qtbot, application, Qt.Key.Key_I, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: application.session.document.has_labels(0))
    assert list(application.session.document.objects) == [3]
    assert "Repaired." in application.window.banner.text


def test_a_worker_that_cannot_be_interrupted_does_not_keep_the_window(make_application, qtbot, monkeypatch):
    import threading

    from smtc_app.jobs.runner import JobRunner

    go_on = threading.Event()
    close = JobRunner.close
    monkeypatch.setattr(JobRunner, "close", lambda runner: close(runner, 0.05))
    parts = make_application(propose_task=lambda ctx, *_arguments, **_settings: go_on.wait(10))
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    press(qtbot, parts, Qt.Key.Key_S)
    qtbot.waitUntil(lambda: parts.window.job_bar.isVisible())
    parts.window.close()
    assert not parts.window.isVisible()
    assert not parts.workers_ended
    go_on.set()


def test_keys_stay_the_windows_after_a_banner_was_answered(application, qtbot):
    window, pressed = application.window, []
    window.canvas.setFocus()
    window.banner.show_message("A question", button="Do it", slot=lambda: pressed.append(1))
    qtbot.mouseClick(window.banner._button, Qt.MouseButton.LeftButton)
    assert pressed
    assert window.canvas.hasFocus()


def test_objects_are_reordered_categorised_and_split_together(application, qtbot, monkeypatch):
    session = application.session
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    for object_id in (1, 2, 3):
        session.push(AddObject(f"thing {object_id}"))
        labels[square(4 + 20 * (object_id - 1), 2)] = object_id
        labels[square(4 + 20 * (object_id - 1), 30)] = object_id
    session.push(SetLabels(0, labels))
    application.window.object_panel.dropped.emit(((2, 3), 0))
    assert list(session.document.objects) == [2, 3, 1]
    monkeypatch.setattr(CategoryDialog, "exec", lambda dialog: dialog.box.setCurrentText("animal") or 1)
    session.select((2, 3))
    press(qtbot, application, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    assert [session.document.objects[i].category for i in (2, 3, 1)] == ["animal", "animal", ""]
    assert session.categories == ("animal",)
    assert application.project.parameters()["categories"] == ["animal"]
    press(qtbot, application, Qt.Key.Key_X)
    assert len(session.document.objects) == 5
    session.step_history(False)
    assert len(session.document.objects) == 3


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_what_a_narrow_window_has_no_room_for_is_behind_an_arrow_that_is_seen(application, qtbot, theme):
    application.window.actions_table[f"theme_{theme}"].trigger()
    window = application.window
    window.resize(820, 600)
    (button,) = window.main_bar.findChildren(QToolButton, "qt_toolbar_ext_button")
    qtbot.waitUntil(button.isVisible)
    image = button.grab().toImage()
    rim = 3
    inside = [
        image.pixelColor(x, y).lightness()
        for x in range(rim, image.width() - rim)
        for y in range(rim, image.height() - rim)
    ]
    assert max(inside) - min(inside) > 60
