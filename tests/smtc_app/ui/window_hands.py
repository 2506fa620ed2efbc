"""What a person does to a whole window, in a line: press a key, paint an object, wait for the worker."""

from __future__ import annotations

from PySide6.QtCore import Qt


def canvas_point(parts, x, y):
    return parts.window.canvas.widget_position(x + 0.5, y + 0.5).toPoint()


def press(qtbot, parts, key, modifier=Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(parts.window.canvas, key, modifier)


def drag(qtbot, parts, points):
    canvas = parts.window.canvas
    places = [canvas_point(parts, *point) for point in points]
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=places[0])
    for place in places[1:]:
        qtbot.mouseMove(canvas, place)
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=places[-1])


def show_frame(qtbot, parts, index):
    parts.frames.go_to(index)
    qtbot.waitUntil(lambda: parts.session.frame == index and parts.session.pixels is not None)


def paint_object(qtbot, parts, x=20, y=20):
    press(qtbot, parts, Qt.Key.Key_N)
    drag(qtbot, parts, [(x, y), (x + 4, y)])
    return max(parts.session.document.objects)


def wait_for_jobs(qtbot, parts):
    qtbot.waitUntil(lambda: not any(runner.jobs for runner in parts.runners))
