"""Journeys through the real window on a real X server, run as a process of their own by `test_journeys`.

A journey is a generator: it moves the mouse and types with xdotool, and yields conditions to wait for. A
timer steps it, so that it goes on while a dialog has its own event loop. What it found goes to stdout as
JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, QPoint, QRect, QTimer
from PySide6.QtWidgets import QApplication, QComboBox, QFileDialog, QLineEdit, QWidget

from smtc_app.app import Application, make_services
from smtc_app.core.export import FORMATS
from smtc_app.core.settings import Settings
from smtc_app.ui.dialogs_export import ExportDialog

STEP_MS = 20
PATIENCE_S = 240
DEMO_LAST = 4
"""The demo clip is propagated to here: a busy machine takes seconds for a frame of many objects."""

Condition = Callable[[], object]


def xdotool(*arguments: object) -> None:
    subprocess.run(["xdotool", *map(str, arguments)], check=True, capture_output=True)


class Window:
    """The application under test, and hands."""

    def __init__(self, config: Path) -> None:
        self.settings = Settings(hint_shown=True)
        self.parts = Application(make_services(self.settings), self.settings)
        self.parts.window.resize(1280, 760)
        self.parts.window.move(0, 0)
        self.parts.window.show()

    @property
    def document(self):
        return self.parts.session.document

    def focus(self) -> None:
        """There is no window manager that would give the keyboard to the newest window."""
        target = QApplication.activeModalWidget() or self.parts.window
        xdotool("windowfocus", int(target.winId()))

    def key(self, *keys: str) -> None:
        self.focus()
        xdotool("key", "--clearmodifiers", *keys)

    def write(self, text: str) -> None:
        self.focus()
        xdotool("type", "--delay", 5, text)

    def click(self, widget, position: QPoint, button: int = 1) -> None:
        place = widget.mapToGlobal(position)
        xdotool("mousemove", place.x(), place.y(), "click", button)

    def drag(self, points: list[tuple[float, float]]) -> None:
        """Over the canvas, through frame coordinates."""
        canvas = self.parts.window.canvas
        places = [canvas.mapToGlobal(canvas.widget_position(*point).toPoint()) for point in points]
        xdotool("mousemove", places[0].x(), places[0].y(), "mousedown", 1)
        for place in places[1:]:
            xdotool("mousemove", place.x(), place.y())
        xdotool("mouseup", 1)

    def idle(self) -> bool:
        return not any(runner.jobs for runner in self.parts.runners)

    def shows(self, frame: int) -> Condition:
        return lambda: self.parts.session.frame == frame and self.parts.session.pixels is not None

    def dialog(self, kind: type = QObject) -> object | None:
        active = QApplication.activeModalWidget()
        return active if isinstance(active, kind) else None

    def tell_file_dialog(self, path: Path) -> Iterator[Condition]:
        """Type a path into the file dialog that is open, and confirm it."""
        yield lambda: self.dialog(QFileDialog)
        field = self.dialog(QFileDialog).findChild(QLineEdit, "fileNameEdit")
        field.setFocus()
        self.key("ctrl+a")
        self.write(str(path))
        yield lambda: field.text() == str(path)
        self.key("Return")
        yield lambda: self.dialog() is None


BYSTANDER = """
import select, sys, time
last, worst = time.perf_counter(), 0.0
while not select.select([sys.stdin], [], [], 0.002)[0]:
    now = time.perf_counter()
    worst, last = max(worst, now - last), now
print(worst * 1000)
"""


class Heartbeat(QObject):
    """How long the event loop was held at most, and what an idle process beside it had to wait."""

    def __init__(self) -> None:
        super().__init__()
        self.gaps_ms: list[float] = []
        self.bystander_ms = 0.0
        self._last_s = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        self._bystander = subprocess.Popen(
            [sys.executable, "-c", BYSTANDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._last_s = time.perf_counter()
        self._timer.start()

    def stop(self) -> None:
        self._timer.stop()
        self.bystander_ms = float(self._bystander.communicate("stop\n")[0])

    def _beat(self) -> None:
        now_s = time.perf_counter()
        self.gaps_ms.append((now_s - self._last_s) * 1000)
        self._last_s = now_s


def demo(window: Window, folder: Path, found: dict) -> Iterator[Condition]:
    """Propose, accept, correct, propagate, export, save the demo clip; open the project again."""
    parts = window.parts
    window.click(parts.window.empty_state.demo_button, parts.window.empty_state.demo_button.rect().center())
    yield window.shows(0)
    window.key("s")
    yield lambda: window.document.proposals(0)
    found["proposals"] = len(window.document.proposals(0))
    found["objects_before_enter"] = len(window.document.objects)
    window.key("Return")
    yield lambda: window.document.objects
    found["objects"] = len(window.document.objects)
    window.key("p")
    yield lambda: parts.window.canvas.tool == "brush"
    before = np.array(window.document.labels(0))
    window.drag([(60, 60), (80, 70), (100, 60)])
    yield lambda: not np.array_equal(window.document.labels(0), before)
    window.key("ctrl+z")
    yield lambda: np.array_equal(window.document.labels(0), before)
    window.key("ctrl+shift+z")
    yield lambda: not np.array_equal(window.document.labels(0), before)
    window.key(*["Right"] * DEMO_LAST)
    yield window.shows(DEMO_LAST)
    window.key("ctrl+bracketright")
    yield lambda: parts.window.timeline.range == (0, DEMO_LAST + 1)
    window.key("shift+f")
    yield lambda: window.document.labelled_frames == tuple(range(DEMO_LAST + 1)) and window.idle()
    window.key("ctrl+e")
    yield lambda: window.dialog() is not None
    dialog = window.dialog()
    window.key("ctrl+a")
    window.write(str(folder / "masks"))
    yield lambda: dialog.request.folder == folder / "masks"
    window.key("Return")
    yield lambda: "read back equal" in parts.window.banner.text
    window.key("ctrl+s")
    yield from window.tell_file_dialog(folder / "mine")
    yield lambda: not window.document.modified
    masks = [np.array(window.document.labels(i)) for i in range(DEMO_LAST + 1)]
    np.savez_compressed(folder / "labels.npz", *masks)
    found["ids"] = list(window.document.objects)
    window.key("ctrl+w")
    yield lambda: not parts.session.is_open
    parts.project.open(str(folder / "mine.smtc"))
    yield window.shows(0)
    found["reopened_equal"] = all(
        np.array_equal(window.document.labels(i), mask) for i, mask in enumerate(masks)
    )


def regions(window: Window, folder: Path, found: dict) -> Iterator[Condition]:
    """Two things of the demo clip by one click each, the second taken back, then in part, then whole."""
    parts = window.parts
    canvas, slider = parts.window.canvas, parts.window.region_slider
    window.click(parts.window.empty_state.demo_button, parts.window.empty_state.demo_button.rect().center())
    yield window.shows(0)
    window.key("shift+g")
    yield lambda: canvas.tool == "region"
    yield lambda: parts.regions.part_at(0, 0) is not None
    for number, (x, y) in enumerate(((401, 71), (154, 149)), 1):
        place = canvas.widget_position(x, y).toPoint()
        window.click(canvas, place)
        yield lambda number=number: number in window.document.objects and window.document.area(0, number)
        found[f"first_{number}"] = window.document.area(0, number)
        window.key("n")
        yield lambda number=number: number + 1 in window.document.objects
    window.key("ctrl+z")
    yield lambda: len(window.document.objects) == 2
    window.click(canvas, place, button=3)
    yield lambda: not window.document.area(0, 2)
    xdotool("keydown", "ctrl", "click", 5, "keyup", "ctrl")
    yield lambda: slider.value() == -1
    window.click(canvas, place)
    yield lambda: window.document.area(0, 2)
    found["part_of_2"] = window.document.area(0, 2)
    xdotool("keydown", "ctrl", "click", 4, "keyup", "ctrl")
    yield lambda: slider.value() == 0
    window.click(canvas, place)
    yield lambda: window.document.area(0, 2) == found["first_2"]
    found["tool"], found["objects"] = canvas.tool, len(window.document.objects)
    np.savez_compressed(folder / "labels.npz", window.document.labels(0))


def footage(window: Window, folder: Path, found: dict, path: str) -> Iterator[Condition]:
    """Open, step, scrub, paint, propagate both ways, undo, cancel, export real footage."""
    parts = window.parts
    parts.project.open(path)
    yield window.shows(0)
    source = parts.session.source.reopen()
    count = len(source)
    equal = []

    def compare() -> None:
        equal.append(bool(np.array_equal(parts.session.pixels, source[parts.session.frame])))

    compare()
    for keys, frame in ((("Right",), 1), (("shift+Right",), 11), (("Left",), 10), (("End",), count - 1)):
        window.key(*keys)
        yield window.shows(min(frame, count - 1))
        compare()
    timeline = parts.window.timeline
    middle = count // 2
    window.click(timeline.viewport(), QPoint(round(timeline.x_of(middle + 0.5)), 10))
    yield lambda: parts.session.frame == parts.frames.wanted != count - 1
    compare()
    parts.frames.go_to(middle)
    yield window.shows(middle)
    width, height = source.size
    window.key("n")
    yield lambda: parts.window.canvas.tool == "brush" and len(window.document.objects) == 1
    parts.window.canvas.set_brush_radius_px(height / 12)
    window.drag([(width * 0.4, height * 0.5), (width * 0.5, height * 0.55), (width * 0.6, height * 0.5)])
    yield lambda: window.document.has_labels(middle)
    timeline.set_range((max(0, middle - 2), min(count, middle + 3)))
    window.key("shift+f")
    first, stop = timeline.range
    heart = Heartbeat()
    # The first run also loads the model, which is another matter than the window living beside it.
    yield lambda: len(window.document.labelled_frames) >= 2
    heart.start()
    yield lambda: window.document.labelled_frames == tuple(range(first, stop)) and window.idle()
    heart.stop()
    found["slowest_beat_ms"], found["bystander_ms"] = max(heart.gaps_ms), heart.bystander_ms
    window.key("ctrl+z")
    yield lambda: window.document.labelled_frames == (middle,)
    window.key("ctrl+y")
    yield lambda: window.document.labelled_frames == tuple(range(first, stop))
    timeline.set_range(None)
    window.key("f")
    yield lambda: len(window.document.labelled_frames) > stop - first or window.idle()
    window.key("Escape")
    yield window.idle
    found["kept_after_cancel"] = len(window.document.labelled_frames) >= stop - first
    timeline.set_range((first, stop))
    window.key("ctrl+e")
    yield lambda: window.dialog() is not None
    dialog = window.dialog()
    window.key("ctrl+a")
    window.write(str(folder / "masks"))
    yield lambda: dialog.request.folder == folder / "masks"
    window.key("Return")
    yield lambda: "read back equal" in parts.window.banner.text
    masks = {source.name(i): np.array(window.document.labels(i)) for i in range(first, stop)}
    np.savez_compressed(folder / "labels.npz", **masks)
    found["frames_equal"], found["count"] = equal, count
    source.close()


def formats(window: Window, folder: Path, found: dict, path: str, last: str) -> Iterator[Condition]:
    """Propose, accept, propagate, correct, propagate again, save, and export in every format."""
    parts, last_frame = window.parts, int(last)
    parts.project.open(path)
    yield window.shows(0)
    window.key("s")
    yield lambda: window.document.proposals(0)
    window.key("Return")
    yield lambda: window.document.objects and window.idle()
    parts.window.timeline.set_range((0, last_frame + 1))
    window.key("f")
    yield lambda: window.document.labelled_frames == tuple(range(last_frame + 1)) and window.idle()
    window.key(*["Right"] * (last_frame // 2))
    yield window.shows(last_frame // 2)
    window.key("p")
    yield lambda: parts.window.canvas.tool == "brush"
    before = np.array(window.document.labels(last_frame // 2))
    width, height = parts.session.source.size
    window.drag([(width * 0.3, height * 0.3), (width * 0.4, height * 0.35)])
    yield lambda: not np.array_equal(window.document.labels(last_frame // 2), before)
    runs = len(parts.session.runs)
    window.key("shift+f")
    yield lambda: len(parts.session.runs) > runs and window.idle()
    found["exported"] = {}
    for number, key in enumerate(FORMATS):
        window.key("ctrl+e")
        yield lambda: isinstance(window.dialog(), ExportDialog)
        dialog = window.dialog()
        dialog.findChild(QComboBox, "exportFormat").setFocus()
        window.key("Home", *["Down"] * number)
        yield lambda dialog=dialog, key=key: dialog.chosen_format.key == key
        field = dialog.findChild(QLineEdit, "exportFolder")
        window.click(field, field.rect().center())
        yield field.hasFocus
        window.key("ctrl+a")
        window.write(str(folder / key))
        yield lambda dialog=dialog, key=key: dialog.request.folder == folder / key
        grab(dialog, folder / f"dialog-{key}.png")
        window.key("Return")
        yield lambda key=key: str(folder / key) in parts.window.banner.text and window.idle()
        found["exported"][key] = parts.window.banner.text
    grab(parts.window, folder / "window.png")
    window.key("ctrl+s")
    yield from window.tell_file_dialog(folder / "mine")
    yield lambda: not window.document.modified
    masks = [np.array(window.document.labels(i)) for i in range(last_frame + 1)]
    np.savez_compressed(folder / "labels.npz", *masks)
    found["ids"] = list(window.document.objects)


def grab(widget: QWidget, path: Path) -> None:
    """What a widget looks like, for people who look into a failed journey."""
    widget.grab().save(str(path))


def views(window: Window, folder: Path, found: dict, path: str) -> Iterator[Condition]:
    """Go through every view mode by keys, ask two pixels, compare two frames, trace a magnetic outline."""
    parts = window.parts
    canvas, companion = parts.window.canvas, parts.window.companion
    caption = parts.window.view_caption
    parts.project.open(path)
    yield window.shows(0)
    width, height = parts.session.source.size
    window.key("n")
    yield lambda: canvas.tool == "brush"
    canvas.set_brush_radius_px(height / 12)
    window.drag([(width * 0.4, height * 0.5), (width * 0.5, height * 0.55), (width * 0.6, height * 0.5)])
    yield lambda: window.document.has_labels(0)
    parts.window.timeline.set_range((0, 4))
    window.key("f")
    yield lambda: window.document.has_labels(3) and window.idle()
    parts.frames.go_to(3)
    yield window.shows(3)

    def picture() -> bytes:
        """The lower right part of the canvas, where neither the caption nor the brush's circle is."""
        corner = canvas.widget_position(width * 0.7, height * 0.7).toPoint()
        part = canvas.grab(QRect(corner, canvas.widget_position(width, height).toPoint()))
        return part.toImage().bits().tobytes()

    seen = {}

    def settled() -> bool:
        """Whether the canvas looks as it did a step ago: panels that come and go resize it a moment later."""
        before, seen["image"] = seen.get("image"), picture()
        return window.idle() and before == seen["image"]

    yield settled
    found["beats_ms"] = []
    # The first view also imports what it needs, which is another matter than the window living beside it.
    window.key("F4")
    yield lambda: caption.text() and not caption.text().endswith("…") and not parts.views.busy
    seen["slots"] = picture()
    for key, mode in (("F5", "pca"), ("F8", "consistency")):
        window.key(key)
        heart = Heartbeat()
        heart.start()
        yield lambda mode=mode: parts.views.mode.value == mode
        yield lambda: caption.text() and not caption.text().endswith("…") and not parts.views.busy
        heart.stop()
        found["beats_ms"].append((max(heart.gaps_ms), heart.bystander_ms))
        seen[mode] = picture()
    found["different_pictures"] = len(set(seen.values()))
    middle = canvas.widget_position(width / 2, height * 0.53).toPoint()
    window.key("F6")
    yield lambda: companion.isVisible() and not parts.views.busy
    middle = canvas.widget_position(width / 2, height * 0.53).toPoint()
    window.click(canvas, middle)
    yield lambda: "is most like" in caption.text()
    found["query"] = caption.text()
    window.key("F7")
    yield lambda: parts.views.mode.value == "why" and not companion.isVisible()
    window.click(canvas, canvas.widget_position(width / 2, height * 0.53).toPoint())
    yield lambda: companion.votes.topLevelItemCount() and not parts.views.busy
    found["votes"] = companion.summary.text()
    window.key("F3")
    yield lambda: parts.views.mode.value == "image" and not companion.isVisible()
    # The panel beside the canvas has gone, the canvas takes its room a moment later.
    yield lambda: picture() == seen["image"]
    window.key("j")
    yield lambda: companion.caption.text().startswith("Frame 0")
    window.key("o")
    yield lambda: parts.window.view_bar.onion_slider.isVisible() and not parts.views.busy
    window.key("o", "j")
    yield lambda: not companion.isVisible()
    window.key("n", "l", "u")
    yield lambda: canvas.tool == "polygon" and len(window.document.objects) == 2
    before = np.array(window.document.labels(3))
    for number, (x, y) in enumerate(((0.2, 0.2), (0.35, 0.2), (0.3, 0.35)), 1):
        window.click(canvas, canvas.widget_position(width * x, height * y).toPoint())
        yield lambda number=number: canvas.corner_count == number and not parts.view_jobs.jobs
    window.key("Return")
    yield lambda: not canvas.gesture_in_progress
    found["polygon_px"] = int((np.array(window.document.labels(3)) != before).sum())


def run(journey: Iterator[Condition], window: Window, found: dict) -> int:
    application = QApplication.instance()
    state = {"condition": lambda: True, "since": time.monotonic(), "code": 0, "busy": False}

    def step() -> None:
        if state["busy"]:
            return
        state["busy"] = True
        try:
            while state["condition"]():
                state["condition"], state["since"] = next(journey), time.monotonic()
            if time.monotonic() - state["since"] > PATIENCE_S:
                raise TimeoutError(f"waited in vain at line {journey.gi_frame.f_lineno}")
        except StopIteration:
            application.exit(0)
        except BaseException:
            found["error"] = traceback.format_exc()
            found["banner"] = window.parts.window.banner.text
            window.parts.window.grab().save(found["folder"] + "/failed.png")
            state["code"] = 1
            application.exit(1)
        finally:
            state["busy"] = False

    timer = QTimer()
    timer.setInterval(STEP_MS)
    timer.timeout.connect(step)
    timer.start()
    application.exec()
    timer.stop()
    while (dialog := QApplication.activeModalWidget()) is not None:
        dialog.close()
    window.parts.close(discard=True)
    return state["code"]


def main() -> int:
    name, folder, *arguments = sys.argv[1:]
    application = QApplication([name])
    found: dict = {"platform": application.platformName(), "folder": folder}
    window = Window(Path(folder))
    journeys = {"demo": demo, "footage": footage, "formats": formats, "regions": regions, "views": views}
    code = run(journeys[name](window, Path(folder), found, *arguments), window, found)
    sys.stdout.write(json.dumps(found))
    return code


if __name__ == "__main__":
    sys.exit(main())
