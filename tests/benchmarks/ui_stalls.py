"""How long the window stands still during big edits: a stroke across a large frame, the refinement of a
large mask, 30 objects over a clip, 50 objects on 1000 frames.

    python tests/benchmarks/ui_stalls.py FOLDER [--size 1920x1080] [--frames 1000] [--objects 50] [--json]

The real window with its workers and its journal, on synthetic footage that is written to FOLDER once; only
the model is replaced by disks, so that what is measured is the application. A timer beats every 2 ms; the
longest time between two beats is how long nothing was answered: wall time, and the processor time that the
GUI thread itself spent in it (what is left when other work on the machine is not counted).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import av
import cv2
import numpy as np

if "cv2" in os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH", ""):
    del os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"]

from PySide6.QtCore import QObject, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from smtc_app.app import Application, make_services
from smtc_app.core import commands
from smtc_app.core.annotation import ProposalMask
from smtc_app.core.document import Document
from smtc_app.core.settings import Settings
from smtc_app.core.undo import UndoStack
from smtc_app.io.project import save_project
from smtc_app.io.source import open_source
from smtc_app.ui.mask_edits import REFINEMENTS

PROPOSED = 30
BUDGET_MS = 50.0
PATIENCE_S = 300.0


class Heartbeat(QObject):
    """The longest gaps between two turns of the event loop since `start`, in milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.wall_ms = self.own_ms = 0.0
        self._clocks = time.perf_counter(), time.thread_time()
        self._timer = QTimer(self)
        self._timer.setInterval(2)
        self._timer.timeout.connect(self._beat)

    def start(self) -> None:
        self.wall_ms = self.own_ms = 0.0
        self._clocks = time.perf_counter(), time.thread_time()
        self._timer.start()

    def stop(self) -> None:
        self._beat()
        self._timer.stop()

    def _beat(self) -> None:
        now = time.perf_counter(), time.thread_time()
        self.wall_ms = max(self.wall_ms, (now[0] - self._clocks[0]) * 1000)
        self.own_ms = max(self.own_ms, (now[1] - self._clocks[1]) * 1000)
        self._clocks = now


def write_clip(path: Path, size: tuple[int, int], frames: int) -> None:
    """A video whose picture drifts."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    picture = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", 12
        for index in range(frames):
            shifted = np.ascontiguousarray(np.roll(picture, 4 * index, axis=1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shifted, format="rgb24")))
        container.mux(stream.encode(None))


def disks(size: tuple[int, int], count: int, frame: int) -> list[tuple[tuple[int, int], int]]:
    """Centres and radii that drift with the frame."""
    rng = np.random.default_rng(1)
    width, height = size
    return [
        (((int(rng.integers(width)) + 3 * frame) % width, int(rng.integers(height))), radius)
        for radius in rng.integers(height // 30, height // 6, count)
    ]


def propose_task(ctx, source, frames, *, first_track=1, **_settings):
    """`PROPOSED` disks on every frame."""
    found = {}
    for frame in frames:
        proposals = []
        for k, (centre, radius) in enumerate(disks(source.size, PROPOSED, frame)):
            mask = np.zeros((source.size[1], source.size[0]), np.uint8)
            cv2.circle(mask, centre, int(radius), 1, -1)
            proposals.append(ProposalMask(frame, k + 1, mask=mask, score=1 - k / 100, track=first_track + k))
        found[frame] = proposals
        ctx.partial((frame, proposals))
        ctx.progress(len(found), len(frames))
    model = SimpleNamespace(name="disks", hash="0", trained=False, device="cpu", licence="", has_slots=False)
    return found, SimpleNamespace(model=model, frames=len(found), message="", fell_back_to_cpu=False)


def write_project(path: Path, clip: Path, objects: int) -> None:
    """`objects` disks on every frame of the clip, propagated from the first."""
    with open_source(clip) as source:
        document = Document(len(source), source.size)
        undo = UndoStack(document, limit_bytes=1)
        for object_id in range(1, objects + 1):
            undo.push(commands.AddObject(object_id=object_id))
        for frame in range(len(source)):
            labels = np.zeros(document.shape, np.uint16)
            for object_id, (centre, radius) in enumerate(disks(source.size, objects, frame), 1):
                cv2.circle(labels, centre, int(radius), object_id, -1)
            if frame == 0:
                undo.push(commands.SetLabels(0, labels, "Draw"))
            else:
                confidence = {object_id: 0.5 + object_id / 200 for object_id in range(1, objects + 1)}
                undo.push(commands.ApplyPropagation([(frame, labels, confidence, (0,))]))
        save_project(path, document.snapshot(), source, {})
        document.close()


class Bench:
    """Steps of a person, with the heart beating through each of them."""

    def __init__(self, settings: Settings) -> None:
        services = dataclasses.replace(make_services(settings), propose_task=propose_task)
        self.parts = Application(services, settings)
        self.parts.window.resize(1600, 1000)
        self.parts.window.show()
        self.heart = Heartbeat()
        self.rows: dict[str, tuple[float, float, float]] = {}

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError("the window did not get there")
            QApplication.processEvents()
            time.sleep(0.0005)

    def settle(self) -> None:
        """Until no worker has anything left, and the slow refreshes have been through."""
        end = time.monotonic() + 0.4
        self.wait(lambda: not any(r.jobs for r in self.runners()) and time.monotonic() > end)

    def runners(self) -> Iterator:
        parts = self.parts
        return (r for r in vars(parts).values() if type(r).__name__ == "JobRunner")

    def row(self, name: str, action: Callable[[], object], until: Callable[[], object]) -> None:
        self.settle()
        self.heart.start()
        started_s = time.perf_counter()
        action()
        self.wait(until)
        taken_ms = (time.perf_counter() - started_s) * 1000
        self.settle()
        self.heart.stop()
        self.rows[name] = self.heart.own_ms, self.heart.wall_ms, taken_ms
        print(f"{name:52}{self.heart.own_ms:9.1f}{self.heart.wall_ms:9.1f}{taken_ms:9.0f}", flush=True)

    def trigger(self, action_id: str) -> Callable[[], None]:
        return self.parts.window.actions_table[action_id].trigger


def run(bench: Bench, clip: Path, project: Path) -> None:
    """All rows."""
    parts = bench.parts
    session, panel = parts.session, parts.window.proposal_panel

    def objects() -> int:
        return len(session.document.objects)

    def undo_and_redo(what: str, before: int, after: int) -> None:
        bench.row(f"undo: {what}", bench.trigger("undo"), lambda: objects() == before)
        bench.row(f"redo: {what}", bench.trigger("redo"), lambda: objects() == after)

    def shown() -> bool:
        return session.is_open and session.pixels is not None

    panel.most.setValue(PROPOSED)
    bench.row("open the video", lambda: parts.project.open(str(clip)), shown)
    large_edits(bench)
    bench.row(
        "propose on 16 frames",
        bench.trigger("propose_clip"),
        lambda: len(session.document.proposal_frames) == 16,
    )
    bench.row("accept 30 objects on 16 frames", bench.trigger("accept_all"), lambda: objects() == PROPOSED)
    undo_and_redo("accept 30 objects", 0, PROPOSED)
    session.select(list(session.document.objects))
    bench.row("merge 30 objects on 16 frames", bench.trigger("merge"), lambda: objects() == 1)
    undo_and_redo("merge 30 objects", PROPOSED, 1)
    bench.trigger("undo")()
    session.select(list(session.document.objects))
    bench.row("delete 30 objects on 16 frames", bench.trigger("delete"), lambda: objects() == 0)
    undo_and_redo("delete 30 objects", PROPOSED, 0)
    bench.trigger("undo")()
    session.undo.mark_clean()

    def opened_project() -> bool:
        return session.project == project and session.pixels is not None

    bench.row("open a project", lambda: parts.project.open(str(project)), opened_project)
    total = objects()
    for verb, left in (("merge", total - 29), ("delete", total - 30)):
        session.select(list(session.document.objects)[:30])
        bench.row(
            f"{verb} 30 of {total} objects on all frames",
            bench.trigger(verb),
            lambda left=left: objects() == left,
        )
        undo_and_redo(f"{verb} 30 of {total}", total, left)
        bench.trigger("undo")()
    session.undo.mark_clean()


def large_edits(bench: Bench) -> None:
    """A stroke up and down the whole frame, and all refinements of a mask of half its height; undone."""
    parts = bench.parts
    session, canvas = parts.session, parts.window.canvas
    width, height = session.document.size
    labels = np.zeros(session.document.shape, np.uint16)
    cv2.circle(labels, (width // 2, height // 2), height // 3, 1, -1)
    rng = np.random.default_rng(2)
    noise = rng.random(labels.shape) < 0.01
    labels[noise] = 1 - labels[noise]
    session.push(commands.AddObject(object_id=1))
    session.push(commands.SetLabels(0, labels, "Draw"))
    session.select((1,))
    for what in REFINEMENTS:
        before = session.document.revision
        bench.row(
            f"{what.replace('_', ' ')}, a large mask",
            bench.trigger(what),
            lambda before=before: session.document.revision != before,
        )
        bench.trigger("undo")()

    def smooth_and_undo() -> None:
        bench.trigger("smooth")()
        bench.trigger("undo")()

    bench.row(
        "undo while a large mask is smoothed",
        smooth_and_undo,
        lambda: not parts.edits.busy,
    )
    draw(bench, "brush", "release a stroke across the frame", stroke_points(canvas))
    draw(bench, "lasso", "release a lasso around nearly all of the frame", lasso_points(canvas))
    while session.undo.can_undo:
        bench.trigger("undo")()


def stroke_points(canvas: QWidget) -> list[QPoint]:
    """Up and down, from left to right."""
    margin = 40
    xs = np.linspace(margin, canvas.width() - margin, 60)
    return [QPoint(round(x), (margin, canvas.height() - margin)[i % 2]) for i, x in enumerate(xs)]


def lasso_points(canvas: QWidget) -> list[QPoint]:
    """Once around, a little within the frame."""
    around = np.linspace(0, 2 * np.pi, 90)
    half_width, half_height = canvas.width() / 2, canvas.height() / 2
    return [
        QPoint(round(half_width * (1 + 0.94 * np.cos(a))), round(half_height * (1 + 0.94 * np.sin(a))))
        for a in around
    ]


def draw(bench: Bench, tool: str, name: str, points: list[QPoint]) -> None:
    """Draw with a tool; the row is what follows when the button is let go."""
    session, canvas = bench.parts.session, bench.parts.window.canvas
    bench.parts.canvas_controller.set_tool(tool)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=points[0])
    for point in points[1:]:
        QTest.mouseMove(canvas, point)
        QApplication.processEvents()
    before = session.document.revision
    bench.row(
        name,
        lambda: QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=points[-1]),
        lambda: session.document.revision != before,
    )


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 1 when the GUI thread was busy for longer than the budget at a time."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="for the footage and the project")
    parser.add_argument("--size", default="1920x1080", help="of the video (default %(default)s)")
    parser.add_argument("--frames", type=int, default=1000, help="of the video (default %(default)s)")
    parser.add_argument("--objects", type=int, default=50, help="of the project (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="for machines, last")
    arguments = parser.parse_args(argv)
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        os.environ[name] = str(folder / "home")
    clip = folder / f"{arguments.size}-{arguments.frames}.mp4"
    project = folder / f"{clip.stem}-{arguments.objects}.smtc"
    if not clip.exists():
        write_clip(clip, tuple(map(int, arguments.size.split("x"))), arguments.frames)
    if not project.exists():
        write_project(project, clip, arguments.objects)
    application = QApplication.instance() or QApplication([])
    bench = Bench(Settings(hint_shown=True))
    print(f"{'':52}{'own':>9}{'wall':>9}{'in all':>9}  ms")
    run(bench, clip, project)
    bench.parts.close(discard=True)
    application.processEvents()
    if arguments.json:
        keys = ("longest_own_ms", "longest_wall_ms", "total_ms")
        print(json.dumps({name: dict(zip(keys, row, strict=True)) for name, row in bench.rows.items()}))
    return int(any(own_ms > BUDGET_MS for own_ms, _, _ in bench.rows.values()))


if __name__ == "__main__":
    sys.exit(main())
