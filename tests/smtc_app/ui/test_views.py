"""View modes, the other frame, and questions of which only the latest matters, on a whole window of fakes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextDocument
from PySide6.QtTest import QTest
from window_fakes import FRAMES, Views, square

from smtc_app.core import commands
from smtc_app.core.annotation import FrameStatus
from smtc_app.core.errors import UserError
from smtc_app.core.views import OtherFrame, ViewMode
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.latest_job import LatestJob

MODE_KEYS = {
    ViewMode.SLOTS: Qt.Key.Key_F4,
    ViewMode.PCA: Qt.Key.Key_F5,
    ViewMode.QUERY: Qt.Key.Key_F6,
    ViewMode.WHY: Qt.Key.Key_F7,
    ViewMode.CONSISTENCY: Qt.Key.Key_F8,
    ViewMode.IMAGE: Qt.Key.Key_F3,
}


def _plain(html):
    document = QTextDocument()
    document.setHtml(html)
    return document.toPlainText().replace("\n", "")


def _until(qtbot, condition) -> None:
    """Patient, for machines with other work to do."""
    qtbot.waitUntil(condition, timeout=30_000)


def _labels(frame: int) -> commands.Command:
    labels = square(4, 4).astype(np.uint16)
    return commands.SetLabels(frame, labels, "Square", objects=(1,))


@pytest.fixture
def annotated(application, qtbot):
    """Object 1 on keyframe 0, propagated to the end; frame 5 is shown."""
    session = application.session
    session.push(commands.AddObject(object_id=1))
    session.push(_labels(0))
    session.select((1,))
    application.propagation.propagate("forward")
    _until(qtbot, lambda: not application.models.busy and session.document.has_labels(FRAMES - 1))
    application.frames.go_to(5)
    _until(qtbot, lambda: session.frame == 5)
    return application


def _key(application, key) -> None:
    application.window.canvas.setFocus()
    QTest.keyClick(application.window.canvas, key)


def _click(application, x: float, y: float) -> None:
    canvas = application.window.canvas
    QTest.mouseClick(
        canvas, Qt.MouseButton.LeftButton, pos=canvas.widget_position(x + 0.5, y + 0.5).toPoint()
    )


def _colour_at_middle(view) -> tuple[int, int, int]:
    image = view.grab().toImage()
    ratio = image.devicePixelRatio()
    colour = image.pixelColor(round(view.width() * ratio / 2), round(view.height() * ratio / 2))
    return colour.red(), colour.green(), colour.blue()


def test_every_mode_has_a_key_and_is_shown_as_the_current_one(annotated, qtbot):
    for mode, key in MODE_KEYS.items():
        _key(annotated, key)
        assert annotated.views.mode is mode
        checked = [m for m, button in annotated.window.view_bar.mode_buttons.items() if button.isChecked()]
        assert checked == [mode]


def test_a_picture_takes_the_place_of_the_frame_and_leaves_with_the_mode(annotated, qtbot):
    window = annotated.window
    plain = _colour_at_middle(window.canvas)
    _key(annotated, Qt.Key.Key_F5)
    _until(qtbot, lambda: window.view_caption.text() == "pca of 5")
    assert _colour_at_middle(window.canvas) == (105, 105, 105)
    _key(annotated, Qt.Key.Key_F3)
    assert _colour_at_middle(window.canvas) == plain
    assert window.view_caption.isHidden()


def test_the_picture_follows_the_frame_and_is_not_computed_twice(annotated, qtbot):
    window, views = annotated.window, annotated.views
    _key(annotated, Qt.Key.Key_F4)
    _until(qtbot, lambda: window.view_caption.text() == "slots of 5")
    annotated.frames.go_to(6)
    _until(qtbot, lambda: window.view_caption.text() == "slots of 6")
    annotated.frames.go_to(5)
    _until(qtbot, lambda: window.view_caption.text() == "slots of 5")
    assert views._clip.asked == [(ViewMode.SLOTS, 5, None), (ViewMode.SLOTS, 6, None)]


def test_a_picture_of_another_frame_is_not_left_standing(make_application, qtbot):
    class Slow(Views):
        go_on = threading.Event()

        def picture_task(self, ctx, mode, frame, **settings):
            if frame == 1:
                assert self.go_on.wait(20)
            return super().picture_task(ctx, mode, frame, **settings)

    application = make_application(make_views=Slow)
    application.project.open("clip.mp4")
    _until(qtbot, lambda: application.session.pixels is not None)
    window = application.window
    plain = _colour_at_middle(window.canvas)
    _key(application, Qt.Key.Key_F5)
    _until(qtbot, lambda: _colour_at_middle(window.canvas) == (100, 100, 100))
    application.frames.go_to(1)
    _until(qtbot, lambda: _colour_at_middle(window.canvas)[2] == plain[2])
    assert "Feature PCA" in window.view_caption.text()
    Slow.go_on.set()
    _until(qtbot, lambda: _colour_at_middle(window.canvas) == (101, 101, 101))


def test_consistency_compares_with_the_frame_that_is_chosen(annotated, qtbot):
    window, other = annotated.window, annotated.views.other
    _key(annotated, Qt.Key.Key_F8)
    _until(qtbot, lambda: window.view_caption.text() == "5 against 0")
    assert window.view_bar.other_box.isVisible()
    other.choose(OtherFrame.PREVIOUS_FRAME)
    _until(qtbot, lambda: window.view_caption.text() == "5 against 4")
    window.view_bar.fixed_box.setValue(9)
    _until(qtbot, lambda: window.view_caption.text() == "5 against 9")
    assert window.view_bar.other_box.currentData() is OtherFrame.FIXED
    assert window.companion.isHidden()


def test_the_bar_never_widens_the_window(annotated, qtbot):
    window, side = annotated.window, annotated.window._side
    window.resize(1000, 720)
    before = side.mapTo(window, QPoint(0, 0)).x(), window.width()
    _key(annotated, Qt.Key.Key_F8)
    _key(annotated, Qt.Key.Key_O)
    annotated.views.other.choose(OtherFrame.FIXED)
    bar = window.view_bar
    _until(qtbot, lambda: bar.fixed_box.isVisible() and bar.onion_slider.isVisible())
    assert (side.mapTo(window, QPoint(0, 0)).x(), window.width()) == before
    assert bar.onion_slider.geometry().right() <= bar.width()


def test_a_pixel_is_looked_for_under_the_cursor_and_held_by_a_click(annotated, qtbot):
    window, views = annotated.window, annotated.views
    _key(annotated, Qt.Key.Key_F6)
    assert window.companion.isVisible()
    _until(qtbot, lambda: window.companion.caption.text() == "Frame 0 · keyframe")
    canvas = window.canvas
    QTest.mouseMove(canvas, canvas.widget_position(20.5, 10.5).toPoint())
    _until(qtbot, lambda: (ViewMode.QUERY, 5, (20.5, 10.5), 0) in views._clip.asked)
    _until(qtbot, lambda: len(window.companion.view._marks) == 1)
    _click(annotated, 30, 12)
    _until(qtbot, lambda: "30, 12" in window.view_caption.text())
    assert canvas._marks[0].cross
    QTest.mouseMove(canvas, canvas.widget_position(50.5, 30.5).toPoint())
    _until(qtbot, lambda: not views._matches.busy)
    assert all(entry[2] != (50.5, 30.5) for entry in views._clip.asked)
    _click(annotated, 30, 12)
    assert canvas._marks == ()
    assert not annotated.session.selection or annotated.session.selection == (1,)
    _key(annotated, Qt.Key.Key_F3)
    assert window.companion.isHidden()


def test_votes_are_listed_marked_and_lead_to_their_frames(annotated, qtbot):
    window, views = annotated.window, annotated.views
    _key(annotated, Qt.Key.Key_F7)
    assert window.companion.isHidden()
    _click(annotated, 8, 8)
    _until(qtbot, lambda: window.companion.votes.topLevelItemCount() == 2)
    assert views._clip.asked[-1] == (ViewMode.WHY, 5, (8.5, 8.5), (0,))
    first = window.companion.votes.topLevelItem(0)
    assert [first.text(column) for column in range(4)] == ["70%", "object 1", "4", "5, 6"]
    _until(qtbot, lambda: "Together" in window.companion.summary.text())
    said = _plain(window.companion.summary.text())
    assert said.startswith("Votes say object 1 and outweigh appearance (background). This is the last step")
    assert "Appearance■ background 80%, ■ object 1 20%60% of the say" in said
    assert "Votes■ object 1 70%, ■ background 30%40% of the say" in said, "as they are listed"
    assert "Motion■ object 1 100%not counted: too fast" in said
    assert "object 1 · propagated from frame 0" in window.view_caption.text()
    _until(qtbot, lambda: window.companion.caption.text() == "Frame 4")
    assert [(mark.x, mark.y) for mark in window.companion.view._marks] == [(5, 6)]
    place = window.companion.votes.visualItemRect(window.companion.votes.topLevelItem(1)).center()
    QTest.mouseClick(window.companion.votes.viewport(), Qt.MouseButton.LeftButton, pos=place)
    _until(qtbot, lambda: window.companion.caption.text() == "Frame 0 · keyframe")
    assert [(mark.x, mark.y) for mark in window.companion.view._marks] == [(7, 8)]
    annotated.frames.go_to(6)
    _until(qtbot, lambda: window.companion.isHidden())


def test_votes_are_followed_back_to_the_keyframe(annotated, qtbot):
    window, views = annotated.window, annotated.views
    _key(annotated, Qt.Key.Key_F7)
    _click(annotated, 8, 8)
    _until(qtbot, lambda: "last step only" in window.companion.summary.text())
    votes = window.companion.votes

    def click_twice(row):
        place = votes.visualItemRect(votes.topLevelItem(row)).center()
        QTest.mouseClick(votes.viewport(), Qt.MouseButton.LeftButton, pos=place)
        QTest.mouseDClick(votes.viewport(), Qt.MouseButton.LeftButton, pos=place)

    click_twice(0)
    _until(qtbot, lambda: annotated.session.frame == 4 and votes.topLevelItemCount() == 2)
    assert views._clip.asked[-1] == (ViewMode.WHY, 4, (5.5, 6.5), (0,))
    assert [(mark.x, mark.y) for mark in window.canvas._marks] == [(5.5, 6.5)]
    _until(qtbot, lambda: votes.topLevelItem(0).text(2) == "3")
    click_twice(1)
    _until(qtbot, lambda: "Frame 0 is a keyframe" in window.view_caption.text())
    assert annotated.session.frame == 0
    assert [(mark.x, mark.y) for mark in window.canvas._marks] == [(7.5, 8.5)]
    asked = len(views._clip.asked)
    annotated.frames.go_to(4)
    _until(qtbot, lambda: annotated.session.frame == 4)
    assert len(views._clip.asked) == asked, "coming by again asks nothing"


@pytest.mark.parametrize(("frame", "said"), [(0, "keyframe"), (5, "nothing voted")])
def test_where_nothing_voted_it_says_so(application, qtbot, frame, said):
    application.session.push(commands.AddObject(object_id=1))
    application.session.push(_labels(0))
    application.frames.go_to(frame)
    _until(qtbot, lambda: application.session.frame == frame)
    _key(application, Qt.Key.Key_F7)
    _click(application, 8, 8)
    assert said in application.window.view_caption.text()
    assert application.views._clip.asked == []


def test_what_was_corrected_on_the_frame_needs_no_votes(annotated, qtbot):
    document = annotated.session.document
    labels = np.array(document.labels(5))
    labels[40:44, 40:44] = 1
    annotated.session.push(commands.SetLabels(5, labels))
    annotated.session.push(commands.SetKeyframe(5, False))
    assert document.status(5, 1) is FrameStatus.CORRECTED
    _key(annotated, Qt.Key.Key_F7)
    _click(annotated, 41, 41)
    assert "object 1 is corrected by hand on this frame" in annotated.window.view_caption.text()
    assert annotated.views._clip.asked == []


def test_a_click_still_picks_in_the_other_modes(annotated, qtbot):
    annotated.session.select(())
    _key(annotated, Qt.Key.Key_F5)
    _click(annotated, 8, 8)
    assert annotated.session.selection == (1,)


def test_the_other_frame_lies_beside_with_the_same_zoom_and_its_own_masks(annotated, qtbot):
    window = annotated.window
    _key(annotated, Qt.Key.Key_J)
    _until(qtbot, lambda: window.companion.caption.text() == "Frame 0 · keyframe")
    canvas, view = window.canvas, window.companion.view
    canvas.zoom_by(3.0)
    assert view.scale == pytest.approx(canvas.scale)
    assert view.viewpoint[1:3] == pytest.approx(canvas.viewpoint[1:3], abs=1)
    view.zoom_by(0.5)
    assert canvas.scale == pytest.approx(view.scale)
    canvas.fit()
    assert view.viewpoint.fitting
    x, y = view.widget_position(10, 10).toPoint().toTuple()
    assert view.grab().toImage().pixelColor(x, y).red() > 60
    annotated.session.push(commands.SetLabels(0, square(40, 20).astype(np.uint16), "Moved", objects=(1,)))
    assert view.grab().toImage().pixelColor(x, y).red() < 60
    _key(annotated, Qt.Key.Key_T)
    _until(qtbot, lambda: annotated.views.other.choice is OtherFrame.NEXT_KEYFRAME)
    _key(annotated, Qt.Key.Key_J)
    assert window.companion.isHidden()


def test_the_onion_skin_mixes_both_frames_by_its_opacity(annotated, qtbot):
    window = annotated.window
    annotated.views.other.choose(OtherFrame.FIXED)
    corner = QPoint(0, 0)

    def red() -> int:
        place = window.canvas.widget_position(60, 44).toPoint() + corner
        return window.canvas.grab().toImage().pixelColor(place).red()

    annotated.frames.go_to(11)
    _until(qtbot, lambda: annotated.session.frame == 11)
    assert red() == 11
    _key(annotated, Qt.Key.Key_O)
    _until(qtbot, lambda: red() in (5, 6))
    for _ in range(4):
        QTest.keyClick(window.canvas, Qt.Key.Key_BracketRight, Qt.KeyboardModifier.AltModifier)
    _until(qtbot, lambda: red() <= 1)
    _key(annotated, Qt.Key.Key_O)
    assert red() == 11


def test_a_view_that_fails_says_why(make_application, qtbot):
    class Broken(Views):
        def picture_task(self, ctx, mode, frame, **settings):
            raise UserError("The model is not there.")

    application = make_application(make_views=Broken)
    application.project.open("clip.mp4")
    _until(qtbot, lambda: application.session.pixels is not None)
    _key(application, Qt.Key.Key_F4)
    _until(qtbot, lambda: application.window.banner.text == "The model is not there.")


def test_closing_the_video_lets_go_of_its_views(annotated, qtbot):
    clip = annotated.views._clip
    _key(annotated, Qt.Key.Key_F5)
    annotated.project.may_drop = lambda *_: True
    annotated.session.undo.mark_clean()
    annotated.project.close()
    _until(qtbot, lambda: clip.closed)
    assert annotated.views.mode is ViewMode.IMAGE


@pytest.fixture
def runner(qtbot):
    runner = JobRunner()
    yield runner
    runner.close()


def test_of_many_questions_the_first_and_the_last_are_answered(runner, qtbot):
    job, answers = LatestJob(runner, "Question"), []
    job.answered.connect(answers.append)
    gate, started = threading.Event(), threading.Event()

    def task(ctx, number):
        started.set()
        assert gate.wait(20)
        return number

    job.ask("frame 1", task, 0)
    _until(qtbot, started.is_set)
    for number in range(1, 6):
        job.ask("frame 1", task, number)
    gate.set()
    _until(qtbot, lambda: not job.busy)
    assert answers == [0, 5]


def test_a_question_about_something_else_ends_the_one_that_runs(runner, qtbot):
    job, answers, failures = LatestJob(runner, "Question"), [], []
    job.answered.connect(answers.append)
    job.failed.connect(failures.append)
    started = threading.Event()

    def endless(ctx):
        started.set()
        while True:
            ctx.progress(0, 0)

    def quick(ctx):
        return "answer"

    job.ask("frame 1", endless)
    _until(qtbot, started.is_set)
    job.ask("frame 2", quick)
    _until(qtbot, lambda: answers == ["answer"])
    job.ask("frame 3", endless)
    job.drop()
    _until(qtbot, lambda: not job.busy)
    assert failures == []
