"""The timeline by real mouse events."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PySide6")

from PySide6.QtCore import QPoint, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QWheelEvent
from PySide6.QtWidgets import QApplication

from smtc_app.core.annotation import FrameStatus
from smtc_app.ui import timeline_paint
from smtc_app.ui.theme import Theme
from smtc_app.ui.thumbnail_row import THUMBNAIL_PX
from smtc_app.ui.timeline import Timeline
from smtc_app.ui.timeline_model import LaneModel, Marker, TimeAxis

LEFT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton
COUNT = 200
HEADER, RULER, LANE = timeline_paint.HEADER_PX, timeline_paint.RULER_PX, timeline_paint.LANE_PX


@pytest.fixture
def timeline(qtbot):
    widget = Timeline()
    qtbot.addWidget(widget)
    widget.resize(HEADER + 1000, 220)
    widget.show()
    widget.set_frame_count(COUNT, 25.0)
    widget.set_lanes([LaneModel(1, "dog", (200, 0, 0)), LaneModel(2, "cat", (0, 200, 0), locked=True)])
    qtbot.waitExposed(widget)
    return widget


def collect(signal):
    received = []
    signal.connect(received.append)
    return received


def on_frame(timeline, frame, y=RULER + 4) -> QPoint:
    return QPoint(round(timeline.x_of(frame + 0.5)), y)


def wheel(timeline, position, notches, modifiers=Qt.KeyboardModifier.NoModifier):
    area = timeline.viewport()
    event = QWheelEvent(
        QPointF(position),
        QPointF(area.mapToGlobal(position)),
        QPoint(),
        QPoint(0, round(120 * notches)),
        Qt.MouseButton.NoButton,
        modifiers,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(area, event)


def shown(timeline):
    image = timeline.viewport().grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def lane_colour(timeline, row, frame):
    """What is drawn near the bottom of a lane on a frame."""
    x = round(timeline.x_of(frame + 0.5))
    return tuple(shown(timeline)[RULER + row * LANE + LANE - timeline_paint.LANE_GAP_PX // 2 - 2, x].tolist())


def status_colour(name):
    return QColor(getattr(timeline_paint.status_colours(Theme.current().colours), name)).getRgb()[:3]


def test_a_click_seeks_and_a_drag_scrubs(qtbot, timeline):
    asked = collect(timeline.frame_requested)
    area = timeline.viewport()
    qtbot.mousePress(area, LEFT, pos=on_frame(timeline, 50))
    for frame in (51, 60, 60, 40):
        qtbot.mouseMove(area, on_frame(timeline, frame))
    qtbot.mouseRelease(area, LEFT, pos=on_frame(timeline, 40))
    assert asked == [50, 51, 60, 40]
    qtbot.mouseMove(area, on_frame(timeline, 90))
    assert asked[-1] == 40


def test_scrubbing_beyond_the_ends_stays_on_the_first_and_last_frame(qtbot, timeline):
    asked = collect(timeline.frame_requested)
    area = timeline.viewport()
    qtbot.mousePress(area, LEFT, pos=on_frame(timeline, 50))
    qtbot.mouseMove(area, QPoint(3000, 20))
    qtbot.mouseMove(area, QPoint(-50, 20))
    qtbot.mouseRelease(area, LEFT, pos=QPoint(-50, 20))
    assert asked == [50, COUNT - 1, 0]


def test_a_click_on_a_name_selects_its_object(qtbot, timeline):
    clicked, asked = collect(timeline.lane_clicked), collect(timeline.frame_requested)
    area = timeline.viewport()
    qtbot.mouseClick(area, LEFT, Qt.KeyboardModifier.ControlModifier, QPoint(40, RULER + LANE + 5))
    assert clicked == [(2, Qt.KeyboardModifier.ControlModifier)]
    qtbot.mouseClick(area, LEFT, pos=QPoint(40, 200))
    assert len(clicked) == 1
    assert asked == []


def test_shift_drag_chooses_a_range_in_either_direction(qtbot, timeline):
    spans = collect(timeline.range_changed)
    area, shift = timeline.viewport(), Qt.KeyboardModifier.ShiftModifier
    qtbot.mousePress(area, LEFT, shift, on_frame(timeline, 80))
    qtbot.mouseMove(area, on_frame(timeline, 30))
    qtbot.mouseRelease(area, LEFT, shift, on_frame(timeline, 30))
    assert spans[-1] == timeline.range == (30, 81)
    timeline.set_in(50)
    timeline.set_out(150)
    assert timeline.range == (50, 151)
    timeline.set_in(180)
    assert timeline.range == (180, COUNT)
    timeline.set_out(20)
    assert timeline.range == (0, 21)
    timeline.set_range(None)
    assert spans[-1] is None


def test_the_wheel_zooms_at_the_cursor_and_a_double_click_shows_all(qtbot, timeline):
    spot = on_frame(timeline, 120)
    for _ in range(6):
        wheel(timeline, spot, 1)
    assert timeline.axis.px_per_frame == pytest.approx(5 * 1.25**6)
    assert timeline.axis.frame_at(spot.x() - HEADER) == 120
    qtbot.mouseDClick(timeline.viewport(), LEFT, pos=QPoint(spot.x(), 5))
    assert timeline.axis.px_per_frame == pytest.approx(5)


def test_zoomed_in_it_scrolls_by_wheel_bar_and_middle_button_and_follows_the_playhead(qtbot, timeline):
    for _ in range(8):
        wheel(timeline, on_frame(timeline, 0), 1)
    bar = timeline.horizontalScrollBar()
    assert bar.maximum() > 0
    wheel(timeline, QPoint(400, 30), -2, Qt.KeyboardModifier.ShiftModifier)
    first = timeline.axis.first
    assert first > 0
    bar.setValue(bar.value() + 100)
    assert timeline.axis.first == pytest.approx(first + 100 / timeline.axis.px_per_frame, abs=0.1)
    first, area = timeline.axis.first, timeline.viewport()
    qtbot.mousePress(area, MIDDLE, pos=QPoint(500, 50))
    qtbot.mouseMove(area, QPoint(400, 50))
    qtbot.mouseRelease(area, MIDDLE, pos=QPoint(400, 50))
    assert timeline.axis.first == pytest.approx(first + 100 / timeline.axis.px_per_frame)
    timeline.set_current(COUNT - 1)
    assert timeline.axis.shown()[1] == COUNT
    timeline.set_current(0)
    assert timeline.axis.shown()[0] == 0


def test_lanes_show_status_and_confidence(timeline):
    states = np.full(COUNT, FrameStatus.PROPAGATED, np.uint8)
    states[100:] = FrameStatus.MANUAL
    confidence = np.full(COUNT, 1.0, np.float32)
    confidence[50:100] = 0.15
    timeline.set_lane_states(1, states)
    timeline.set_confidence(1, confidence)
    assert lane_colour(timeline, 0, 20) == status_colour("propagated")
    assert lane_colour(timeline, 0, 150) == status_colour("manual")
    assert lane_colour(timeline, 0, 70) == status_colour("doubtful")


def test_a_propagated_frame_shows_as_it_comes(timeline):
    assert lane_colour(timeline, 0, 33) == status_colour("trough")
    timeline.update_lane(1, 33, FrameStatus.PROPAGATED, 1.0)
    assert lane_colour(timeline, 0, 33) == status_colour("propagated")
    assert lane_colour(timeline, 0, 40) == status_colour("trough")


def test_an_object_keeps_its_lane_when_others_come_and_go(timeline):
    timeline.update_lane(2, 10, FrameStatus.MANUAL)
    timeline.set_lanes([LaneModel(2, "cat", (0, 200, 0)), LaneModel(7, "bird", (0, 0, 200))])
    assert lane_colour(timeline, 0, 10) == status_colour("manual")
    assert lane_colour(timeline, 1, 10) == status_colour("trough")
    with pytest.raises(KeyError):
        timeline.set_lane_states(1, np.zeros(COUNT, np.uint8))


def test_keyframes_locked_frames_and_markers_are_drawn_and_said(timeline):
    plain = shown(timeline)
    timeline.set_keyframes([40])
    timeline.set_locked([90])
    timeline.set_markers([Marker(140, "A region that no label explains")])
    marked = shown(timeline)
    strip = slice(RULER - timeline_paint.STRIP_PX, RULER)
    changed = np.flatnonzero((plain[strip] != marked[strip]).any(axis=(0, 2)))
    for frame in (40, 140):
        assert np.abs(changed - timeline.x_of(frame + 0.5)).min() <= 1
    x = round(timeline.x_of(90.5))
    assert (plain[RULER:, x - 2 : x + 3] != marked[RULER:, x - 2 : x + 3]).any()
    assert timeline.tooltip_at(QPointF(on_frame(timeline, 40, 5))) == "Frame 40  ·  0:01.60\nKeyframe"
    assert "no label explains" in timeline.tooltip_at(QPointF(on_frame(timeline, 140, 5)))
    assert "Locked" in timeline.tooltip_at(QPointF(on_frame(timeline, 90)))


def test_markers_of_one_source_leave_those_of_another(timeline):
    timeline.set_markers([Marker(140, "No label explains this")], source="alarm")
    timeline.set_markers([Marker(40, "Correct this next", "correct")], source="correct next")
    timeline.set_markers([Marker(60, "Correct that next", "correct")], source="correct next")
    said = {f: timeline.tooltip_at(QPointF(on_frame(timeline, f, 5))) for f in (40, 60, 140)}
    assert "Correct" not in said[40]
    assert "Correct that next" in said[60]
    assert "No label explains this" in said[140]
    timeline.set_markers([], source="alarm")
    assert "No label" not in timeline.tooltip_at(QPointF(on_frame(timeline, 140, 5)))
    assert "Correct that next" in timeline.tooltip_at(QPointF(on_frame(timeline, 60, 5)))


def test_the_tooltip_of_a_lane_says_where_its_label_came_from(timeline):
    timeline.update_lane(1, 60, FrameStatus.PROPAGATED, 0.5)
    text = timeline.tooltip_at(QPointF(on_frame(timeline, 60)))
    assert text.splitlines() == ["Frame 60  ·  0:02.40", "dog: propagated, confidence 50%"]
    assert timeline.tooltip_at(QPointF(20, RULER + LANE + 4)) == "cat (locked)"


def test_on_the_ruler_a_click_beside_a_keyframe_hits_it(qtbot, timeline):
    timeline.set_keyframes([40])
    asked = collect(timeline.frame_requested)
    qtbot.mouseClick(timeline.viewport(), LEFT, pos=on_frame(timeline, 41, 10))
    qtbot.mouseClick(timeline.viewport(), LEFT, pos=on_frame(timeline, 41))
    assert asked == [40, 41]


def test_presentation_times_are_those_of_the_video(timeline):
    timeline.set_frame_count(10, 25.0, lambda index: 100.0 + index**2)
    assert timeline.tooltip_at(QPointF(on_frame(timeline, 3, 5))) == "Frame 3  ·  1:49.00"


def test_thumbnails_are_asked_for_a_few_at_a_time_and_drawn_when_they_come(qtbot, timeline):
    waiting = []
    timeline.set_thumbnail_provider(lambda frame, deliver: waiting.append((frame, deliver)))
    timeline.viewport().repaint()
    assert 1 <= len(waiting) <= 2
    answered = set()
    for _ in range(100):
        if not waiting:
            break
        frame, deliver = waiting.pop()
        assert frame not in answered
        answered.add(frame)
        deliver(frame, np.full((90, 160, 3), 250, np.uint8))
        QApplication.processEvents()
        timeline.viewport().repaint()
    assert len(answered) >= 10
    row = shown(timeline)[RULER + THUMBNAIL_PX // 2, HEADER + 20 : HEADER + 900]
    assert (row == 250).mean() > 0.9


def test_the_only_frame_of_a_video_shows_its_whole_thumbnail(qtbot, timeline):
    timeline.set_frame_count(1, 25.0)
    picture = np.full((90, 160, 3), 250, np.uint8)
    picture[:20] = 100  # cut away where the thumbnail is stretched over the whole row
    timeline.set_thumbnail_provider(lambda frame, deliver: deliver(frame, picture))
    timeline.viewport().repaint()
    QApplication.processEvents()
    timeline.viewport().repaint()
    column = shown(timeline)[RULER : RULER + THUMBNAIL_PX, HEADER + 520]
    assert column[3].max() < 150 < column[-5].min()


def test_a_thumbnail_of_the_video_before_is_not_shown(qtbot, timeline):
    waiting = []
    timeline.set_thumbnail_provider(lambda frame, deliver: waiting.append((frame, deliver)))
    timeline.viewport().repaint()
    timeline.set_frame_count(COUNT, 25.0)
    timeline.set_thumbnail_provider(lambda frame, deliver: None)
    for frame, deliver in waiting:
        deliver(frame, np.full((90, 160, 3), 250, np.uint8))
    QApplication.processEvents()
    assert not (shown(timeline)[RULER + 5 : RULER + THUMBNAIL_PX - 5, HEADER + 5 :] == 250).any()


def test_scrubbing_paints_the_lanes_once(qtbot, timeline, monkeypatch):
    painted = []
    original = timeline_paint.paint_lane
    monkeypatch.setattr(timeline_paint, "paint_lane", lambda *a: (painted.append(1), original(*a)))
    timeline.update_lane(1, 1, FrameStatus.MANUAL)
    for frame in range(1, 60):
        timeline.set_current(frame)
        timeline.viewport().repaint()
    assert len(painted) == 2


def test_only_lanes_in_sight_are_painted(timeline, monkeypatch):
    painted = []
    original = timeline_paint.paint_lane
    monkeypatch.setattr(timeline_paint, "paint_lane", lambda *a: (painted.append(1), original(*a)))
    timeline.set_lanes([LaneModel(i, f"object {i}", (9, 9, 9)) for i in range(1, 51)])
    timeline.viewport().repaint()
    assert 0 < len(painted) <= 220 / timeline_paint.LEAST_LANE_PX + 1
    timeline.set_selected([48])
    assert timeline.verticalScrollBar().value() > 0
    wheel(timeline, QPoint(20, 100), 3)
    assert timeline.tooltip_at(QPointF(20, RULER + 4)) != "object 1"


def test_lanes_are_lower_the_more_of_them_there_are_and_hold_what_they_held(qtbot, timeline):
    clicked = collect(timeline.lane_clicked)

    def lanes(count):
        timeline.set_lanes([LaneModel(i, f"object {i}", (9, 9, 9)) for i in range(1, count + 1)])
        return timeline._layout().lane_px

    room = timeline._layout().lanes.height()
    fitting = int(room // LANE)
    assert lanes(fitting) == LANE
    assert timeline_paint.LEAST_LANE_PX < lanes(fitting + 4) < LANE
    assert timeline.verticalScrollBar().maximum() == 0, "all in sight still"
    least = lanes(50)
    assert least == timeline_paint.LEAST_LANE_PX
    assert room // least > 1.7 * fitting
    timeline.update_lane(7, 30, FrameStatus.MANUAL)
    x, y = round(timeline.x_of(30.5)), RULER + 6 * least + least - 3
    assert tuple(shown(timeline)[y, x].tolist()) == status_colour("manual")
    assert "object 7" in timeline.tooltip_at(QPointF(20, y))
    qtbot.mouseClick(timeline.viewport(), LEFT, pos=QPoint(20, y))
    assert clicked[-1][0] == 7
    timeline.set_selected([50])
    bottom = RULER + room - least / 2
    assert "object 50" in timeline.tooltip_at(QPointF(20, bottom))
    timeline.resize(timeline.width(), RULER + 50 * 16 + 4)
    assert timeline._layout().lane_px == 16
    assert timeline.verticalScrollBar().maximum() == 0


def test_it_is_empty_without_a_video(qtbot):
    widget = Timeline()
    qtbot.addWidget(widget)
    widget.resize(600, 150)
    widget.show()
    asked = collect(widget.frame_requested)
    qtbot.mouseClick(widget.viewport(), LEFT, pos=QPoint(300, 20))
    wheel(widget, QPoint(300, 20), 1)
    assert asked == []
    assert widget.tooltip_at(QPointF(300, 20)) == ""


def ruler_texts(flag):
    metrics = QFontMetricsF(QApplication.font())
    axis = TimeAxis(COUNT, 1000, px_per_frame=1000 / COUNT)
    rect = QRectF(HEADER, 0, 1000, RULER)
    return timeline_paint.ruler_labels(axis, rect, lambda frame: frame / 25, metrics, flag), metrics, rect


@pytest.mark.parametrize("frame", [0, 19, 20, 22, 100, COUNT - 1])
def test_the_playhead_covers_no_label_of_the_ruler(frame):
    middle = HEADER + 1000 * (frame + 0.5) / COUNT
    flag = (frame, max(HEADER, middle - 14), middle + 14)
    labels, metrics, rect = ruler_texts(flag)
    everything, _, _ = ruler_texts(None)
    assert labels
    assert set(labels) <= set(everything)
    for x, text, _ in labels:
        end = x + metrics.horizontalAdvance(text)
        assert end <= flag[1] or x >= flag[2]
        assert end <= rect.right()


def test_the_ruler_keeps_the_time_of_the_current_frame_but_not_a_time_without_its_number():
    everything, _, _ = ruler_texts(None)
    first, second = everything[0], everything[2]
    assert (first[1], second[2]) == ("0", True)
    at_first, _, _ = ruler_texts((0, first[0] - 4, everything[1][0] - 2))
    assert everything[1] in at_first
    assert first not in at_first
    beside_second, _, _ = ruler_texts((int(second[1]) - 1, second[0] - 4, everything[3][0] - 2))
    assert second not in beside_second
    assert everything[3] not in beside_second
