"""How fast the canvas and the timeline are: milliseconds from an event to the painted widget.

    python tests/benchmarks/ui_speed.py [--json] [--size 960x600] [--frame 1920x1080] [--frames N]

Everything is measured on synthetic footage without a screen (Qt's offscreen platform), which paints with the
same raster engine as a screen does. Times are CPU times of the GUI thread, so that other work on the machine
does not count; `budget` is what the application promises.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import cv2
import numpy as np

if "cv2" in os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH", ""):
    del os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"]

from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication

from smtc_app.core.annotation import FrameStatus, ObjectInfo, mask_box
from smtc_app.core.live_wire import LiveWire
from smtc_app.core.palette import lookup_table, object_colour
from smtc_app.ui.canvas import Canvas
from smtc_app.ui.object_tags import tags
from smtc_app.ui.overlay import Proposal
from smtc_app.ui.timeline import Timeline
from smtc_app.ui.timeline_model import LaneModel

REPEATS = 40


def timed(action: Callable[[int], object], repeats: int = REPEATS) -> tuple[float, float]:
    """(median, 95th percentile) of the CPU time of `action(i)` in this thread, in milliseconds."""
    action(0)
    times_ms = []
    for i in range(1, repeats + 1):
        start = time.thread_time()
        action(i)
        times_ms.append((time.thread_time() - start) * 1000)
    return float(np.median(times_ms)), float(np.percentile(times_ms, 95))


def footage(size: tuple[int, int], objects: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two frames with `objects` disks each."""
    rng = np.random.default_rng(0)
    width, height = size
    frames, masks = [], []
    for _ in range(2):
        noise = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        frames.append(cv2.GaussianBlur(noise, (0, 0), 3))
        labels = np.zeros((height, width), np.uint16)
        for object_id in range(1, objects + 1):
            centre = int(rng.integers(width)), int(rng.integers(height))
            cv2.circle(labels, centre, int(rng.integers(20, height // 6)), object_id, -1)
        masks.append(labels)
    return frames, masks


def send_mouse(widget: Canvas, kind: QEvent.Type, position: QPointF, button: Qt.MouseButton) -> None:
    """A mouse event with the left button down."""
    where = widget.mapToGlobal(position)
    buttons = Qt.MouseButton.LeftButton
    event = QMouseEvent(kind, position, where, button, buttons, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(widget, event)


def canvas_rows(
    size: tuple[int, int], frame: tuple[int, int]
) -> dict[str, tuple[tuple[float, float], float]]:
    """Scrubbing, panning and painting; {what: ((median, p95), budget)} in milliseconds."""
    frames, masks = footage(frame, 20)
    canvas = Canvas()
    canvas.resize(*size)
    canvas.set_lut(lookup_table([ObjectInfo(i, str(i), colour=object_colour(i)) for i in range(1, 21)]))
    canvas.show()
    QApplication.processEvents()

    def scrub(i: int) -> None:
        canvas.set_frame(frames[i % 2])
        canvas.set_labels(masks[i % 2])
        canvas.repaint()

    rows = {"canvas: show a cached frame with masks": (timed(scrub), 16.0)}
    canvas.set_selected((2,))
    canvas.set_active(2, object_colour(2))
    canvas.set_tool("brush")
    for radius_px in (12, 60, 200):
        canvas.set_brush_radius_px(radius_px)
        start = QPointF(size[0] / 5, size[1] / 3)
        send_mouse(canvas, QEvent.Type.MouseButtonPress, start, Qt.MouseButton.LeftButton)

        def paint(i: int, start: QPointF = start) -> None:
            to = start + QPointF(9 * i, 40 * np.sin(i / 5))
            send_mouse(canvas, QEvent.Type.MouseMove, to, Qt.MouseButton.NoButton)
            QApplication.processEvents()

        rows[f"canvas: brush segment, radius {radius_px} px"] = (timed(paint), 10.0)
        send_mouse(canvas, QEvent.Type.MouseButtonRelease, start, Qt.MouseButton.LeftButton)

    def zoom(i: int) -> None:
        canvas.zoom_by(1.25 if i % 2 else 0.8)
        canvas.repaint()

    rows["canvas: zoom by a notch"] = (timed(zoom), 33.0)
    canvas.fit()
    rows["canvas: repaint what has not changed"] = (timed(lambda _: canvas.repaint()), 8.0)
    proposals = []
    for label in range(1, 9):
        x0, y0, x1, y1 = box = mask_box(masks[0] == label)
        mask = masks[0][y0:y1, x0:x1] == label
        proposals.append(Proposal(label, mask, object_colour(label), box=box))
    canvas.set_proposals(proposals)

    def hover(i: int) -> None:
        canvas.set_selected_proposals((i % 8,))
        QApplication.processEvents()

    rows["canvas: hover from proposal to proposal"] = (timed(hover), 10.0)
    return rows


def numbered_rows(
    size: tuple[int, int], frame: tuple[int, int], objects: int
) -> dict[str, tuple[tuple[float, float], float]]:
    """Scrubbing where objects of like colours carry their numbers, which are found anew on each frame."""
    frames, masks = footage(frame, objects)
    colours = {i: object_colour(i) for i in range(1, objects + 1)}
    canvas = Canvas()
    canvas.resize(*size)
    canvas.set_lut(lookup_table([ObjectInfo(i, str(i), colour=colour) for i, colour in colours.items()]))
    canvas.show()
    QApplication.processEvents()

    def scrub(i: int) -> None:
        canvas.set_frame(frames[i % 2])
        canvas.set_labels(masks[i % 2])
        canvas.set_tags(tags(masks[i % 2], colours))
        canvas.repaint()

    return {f"canvas: the same with numbers, {objects} objects": (timed(scrub), 16.0)}


def outline_rows(
    size: tuple[int, int], frame: tuple[int, int]
) -> dict[str, tuple[tuple[float, float], float]]:
    """Polygon and lasso that follow the edges of the picture: each move of the mouse, painted."""
    frames, masks = footage(frame, 20)
    canvas = Canvas()
    canvas.resize(*size)
    canvas.show()
    QApplication.processEvents()
    # Noise has more edges than footage; the disks give it contours to follow.
    canvas.set_frame(np.where(masks[0][..., None] > 0, frames[0] // 2 + 120, frames[0] // 2).astype(np.uint8))
    canvas.set_magnetic(True)
    start = QPointF(size[0] / 2, size[1] / 2)
    rows = {}

    def move(i: int) -> None:
        to = start + QPointF(4 * i, 60 * np.sin(i / 8))
        send_mouse(canvas, QEvent.Type.MouseMove, to, Qt.MouseButton.NoButton)
        QApplication.processEvents()

    canvas.anchor_set.connect(lambda asked: canvas.set_live_wire(LiveWire(canvas._magnet.image, *asked)))
    canvas.set_tool("polygon")
    send_mouse(canvas, QEvent.Type.MouseButtonPress, start, Qt.MouseButton.LeftButton)
    send_mouse(canvas, QEvent.Type.MouseButtonRelease, start, Qt.MouseButton.LeftButton)
    rows["canvas: magnetic polygon, move"] = (timed(move), 10.0)
    canvas.set_tool("lasso")
    send_mouse(canvas, QEvent.Type.MouseButtonPress, start, Qt.MouseButton.LeftButton)
    rows["canvas: magnetic lasso, move"] = (timed(move), 10.0)
    return rows


def timeline_rows(
    size: tuple[int, int], frames: int, objects: int
) -> dict[str, tuple[tuple[float, float], float]]:
    """Scrubbing, zooming, results streaming in, with every lane in sight."""
    rng = np.random.default_rng(0)
    timeline = Timeline()
    timeline.resize(size[0], objects * 22 + 100)
    timeline.set_frame_count(frames, 25.0)
    timeline.set_lanes([LaneModel(i, f"object {i}", object_colour(i)) for i in range(1, objects + 1)])
    for object_id in range(1, objects + 1):
        states = np.full(frames, FrameStatus.PROPAGATED, np.uint8)
        states[:: 97 + object_id] = FrameStatus.MANUAL
        timeline.set_lane_states(object_id, states)
        timeline.set_confidence(object_id, rng.random(frames).astype(np.float32))
    timeline.set_keyframes(range(0, frames, 97))
    timeline.show()
    QApplication.processEvents()

    def scrub(i: int) -> None:
        timeline.set_current(i * 7)
        timeline.viewport().repaint()

    def stream(i: int) -> None:
        for object_id in range(1, objects + 1):
            timeline.update_lane(object_id, i, FrameStatus.PROPAGATED, 0.7)
        timeline.viewport().repaint()

    def zoom(i: int) -> None:
        timeline.zoom_by(1.25 if i % 8 < 4 else 0.8)
        timeline.viewport().repaint()

    return {
        "timeline: move the playhead": (timed(scrub), 16.0),
        "timeline: zoom by a notch": (timed(zoom), 50.0),
        "timeline: a propagated frame of every object": (timed(stream), 50.0),
    }


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 when a median is over its budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="960x600", help="of the canvas in points (default %(default)s)")
    parser.add_argument("--frame", default="1920x1080", help="of the video in pixels (default %(default)s)")
    parser.add_argument("--frames", type=int, default=100_000, help="of the timeline (default %(default)s)")
    parser.add_argument("--objects", type=int, default=50, help="lanes, and numbers (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="for machines")
    arguments = parser.parse_args(argv)
    size, frame = (tuple(map(int, text.split("x"))) for text in (arguments.size, arguments.frame))
    application = QApplication.instance() or QApplication([])
    rows = canvas_rows(size, frame)
    rows |= numbered_rows(size, frame, arguments.objects)
    rows |= outline_rows(size, frame)
    rows |= timeline_rows(size, arguments.frames, arguments.objects)
    application.processEvents()
    if arguments.json:
        result = {name: {"median_ms": m, "p95_ms": p, "budget_ms": b} for name, ((m, p), b) in rows.items()}
        print(json.dumps(result, indent=2))
    else:
        print(f"{'':48}{'median':>9}{'95 %':>9}{'budget':>9}  ms")
        for name, ((median, p95), budget) in rows.items():
            print(f"{name:48}{median:9.2f}{p95:9.2f}{budget:9.0f}")
    return int(any(median > budget for (median, _), budget in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
