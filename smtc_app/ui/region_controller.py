"""The region tool: what belongs together under a click, or wherever a stroke leads, of the size that is set.

The regions of a frame take the model a moment. They are asked for when the tool is taken and when the frame
changes with the tool in the hand, and kept for the last few frames. What a click would take is shown before
(`preview_controller`).
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from smtc_app.core.frame_regions import FrameRegions
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.annotation_controller import AnnotationController
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.latest_job import LatestJob
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

REST_MS = 150
"""A frame is looked at for so long before its regions are worked out."""
SPACING_PX = 4
"""Along a stroke, so that a fast hand misses no region."""
KEPT_BYTES = 64 << 20
"""Of regions; those of the frame in sight are kept however large."""


class RegionController(QObject):
    """Connects the tool, its slider and the worker.

    Signals:
        told, failed: a sentence for the person.
        changed: None; another part would be taken by the next click.
    """

    told = Signal(object)
    failed = Signal(object)
    changed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        frames: FrameController,
        annotation: AnnotationController,
        runner: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._annotation = window, session, annotation
        self._services = services
        self.model_settings: Callable[[], dict[str, Any]] = dict
        self._kept: OrderedDict[int, FrameRegions] = OrderedDict()
        self._notches = 0.0
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._ask)
        self._search = LatestJob(runner, "Regions", self)
        self._search.answered.connect(self._on_found)
        self._search.failed.connect(self.failed)
        self._search.busy_changed.connect(window.canvas.set_waiting)
        window.canvas.stroke_finished.connect(self._on_stroke_finished)
        window.canvas.region_stepped.connect(self._on_stepped)
        window.region_slider.valueChanged.connect(self._on_slider_moved)
        window.actions_table["tool_region"].toggled.connect(self._on_tool_taken)
        frames.shown.connect(self._on_frame_shown)
        session.opened.connect(self._forget)
        session.closed.connect(self._forget)

    def part_at(self, x: int, y: int) -> Callable[[], np.ndarray] | None:
        """Gives the labels after a click on a pixel, or what is swept over so far, in any thread; None where
        they are not known yet."""
        found = self._here()
        if found is None:
            return None
        points, erasing = self._window.canvas.sweep or ((), False)
        places = _places((*points, (x, y)), found)
        return self._annotation.region_of(found, places, self._step, erasing=erasing)

    @property
    def _step(self) -> int:
        return self._window.region_slider.value()

    def _here(self) -> FrameRegions | None:
        document, found = self._session.document, self._kept.get(self._session.frame)
        if document is None or found is None or found.shape[::-1] != tuple(document.size):
            return None
        return found

    @property
    def _in_hand(self) -> bool:
        return self._window.canvas.tool == "region" and self._session.is_open

    @Slot()
    def _ask(self) -> None:
        session = self._session
        if self._in_hand and session.pixels is not None and self._here() is None:
            self._search.ask(
                session.frame,
                self._services.regions_task,
                session.source,
                session.frame,
                **self.model_settings(),
            )

    @Slot(object)
    def _on_found(self, answer: tuple[Any, int, FrameRegions]) -> None:
        source, frame, found = answer
        if not self._session.is_open or source is not self._session.source:
            return
        self._kept[frame] = found
        while sum(each.nbytes for each in self._kept.values()) > KEPT_BYTES and len(self._kept) > 1:
            self._kept.popitem(last=False)
        self.changed.emit(None)

    @Slot(object)
    def _on_stroke_finished(self, event: Any) -> None:
        if event.tool != "region":
            return
        found = self._here()
        if found is None:
            self.told.emit("The regions of this frame are still being worked out: click again in a moment.")
            if not self._search.busy:
                self._ask()
            return
        places = _places(event.points, found)
        if places and event.erasing:
            self._annotation.erase_region(found, places, self._step)
        elif places:
            self._annotation.take_region(found, places, self._step)

    @Slot(object)
    def _on_stepped(self, notches: float) -> None:
        """Trackpads turn the wheel by small parts of a notch."""
        self._notches += notches
        whole = int(self._notches)
        if whole:
            self._notches -= whole
            slider = self._window.region_slider
            slider.setValue(slider.value() + whole)

    @Slot(int)
    def _on_slider_moved(self, _step: int) -> None:
        self.changed.emit(None)

    @Slot(bool)
    def _on_tool_taken(self, on: bool) -> None:
        if on:
            QTimer.singleShot(0, self._ask)  # the tool is in the hand only then
        else:
            self._rest.stop()
            self._search.drop()

    @Slot(object)
    def _on_frame_shown(self, _message: object) -> None:
        if self._in_hand:
            self._rest.start()

    @Slot(object)
    def _forget(self, _nothing: object) -> None:
        self._kept.clear()
        self._search.drop()


def _places(points: Sequence[tuple[float, float]], regions: FrameRegions) -> list[tuple[int, int]]:
    """Pixels (x, y) of the frame along the line through points, each once, in order."""
    height, width = regions.shape
    line = list(points[:1])
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        pieces = math.ceil(math.dist((x0, y0), (x1, y1)) / SPACING_PX)
        line += [(x0 + (x1 - x0) * i / pieces, y0 + (y1 - y0) * i / pieces) for i in range(1, pieces + 1)]
    pixels = dict.fromkeys((math.floor(x), math.floor(y)) for x, y in line)
    return [(x, y) for x, y in pixels if 0 <= x < width and 0 <= y < height]
