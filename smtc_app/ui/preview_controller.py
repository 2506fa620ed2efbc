"""What an edit would give, before it is made: fill and region under the cursor, holes, specks, grow and
shrink in the menu, and the paths along edges that an outline may take. All of it is computed in a worker.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QTimer, Slot

from smtc_app.core.annotation import Box, mask_box
from smtc_app.core.live_wire import LiveWire
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.annotation_controller import AnnotationController
from smtc_app.ui.latest_job import LatestJob
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.mask_edits import REFINEMENTS
from smtc_app.ui.region_controller import RegionController
from smtc_app.ui.session import Session

SHOWN_AHEAD = ("fill", "region")
"""Tools of which it is shown what a click at the cursor would do."""
REST_MS = 70
"""The cursor rests for so long before the region under it is worked out."""


class PreviewController(QObject):
    """Connects canvas, menu and worker; the document is never touched."""

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        annotation: AnnotationController,
        regions: RegionController,
        runner: JobRunner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session = window, session
        self._annotation, self._regions = annotation, regions
        self._point: tuple[int, int] | None = None
        self._wanted: object = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._on_rest)
        self._edit = LatestJob(runner, "Preview", self)
        self._edit.answered.connect(self._on_edit)
        self._wire = LatestJob(runner, "Edges", self)
        self._wire.answered.connect(window.canvas.set_live_wire)
        canvas, actions = window.canvas, window.actions_table
        canvas.hovered.connect(self._on_hovered)
        canvas.stroke_finished.connect(self._on_stroke_finished)
        canvas.anchor_set.connect(self._on_anchor_set)
        actions.connect_checked("magnet", canvas.set_magnetic)
        for tool in SHOWN_AHEAD:
            actions[f"tool_{tool}"].toggled.connect(self._on_tool_taken)
        window.tolerance_slider.valueChanged.connect(self._on_size_changed)
        regions.changed.connect(self._on_size_changed)
        session.selection_changed.connect(self._on_selection_changed)
        for what in REFINEMENTS:
            actions[what].hovered.connect(partial(self._preview_refinement, what))
        window.menus["Objects"].hovered.connect(self._on_menu_hovered)
        window.menus["Objects"].aboutToHide.connect(self._drop)

    @Slot(object)
    def _on_anchor_set(self, message: tuple[tuple[float, float], float]) -> None:
        anchor, reach_px = message
        if self._session.pixels is not None:
            self._wire.ask(anchor, live_wire_task, self._session.pixels, anchor, reach_px)

    @Slot(object)
    def _on_hovered(self, event: Any) -> None:
        self._point = None if event is None else (event.x, event.y)
        sweeping = self._window.canvas.sweep is not None
        if self._shown_ahead and not (sweeping and self._rest.isActive()):
            self._rest.start()

    @Slot(object)
    def _on_stroke_finished(self, event: Any) -> None:
        """What was taken away shall not be seen again as what a click would take."""
        if event.erasing:
            self._point = None
            self._drop()

    @property
    def _shown_ahead(self) -> bool:
        return self._window.canvas.tool in SHOWN_AHEAD and self._session.is_open

    @Slot(bool)
    def _on_tool_taken(self, on: bool) -> None:
        if on:
            self._rest.start()
        else:
            self._drop()

    @Slot(object)
    def _on_size_changed(self, _size: object) -> None:
        """More or less would be taken."""
        if self._shown_ahead:
            self._rest.start()

    @Slot(object)
    def _on_selection_changed(self, _ids: object) -> None:
        """Another object would be filled."""
        if self._wanted is not None:
            self._drop()
            self._rest.start()

    @Slot()
    def _on_rest(self) -> None:
        tool = self._window.canvas.tool
        if self._point is None or tool not in SHOWN_AHEAD:
            self._drop()
        elif tool == "fill":
            what = (tool, self._point, self._annotation.fill_tolerance)
            self._ask(self._annotation.fill_of(*self._point), what)
        else:
            what = (tool, self._point, self._window.region_slider.value(), self._window.canvas.sweep)
            self._ask(self._regions.part_at(*self._point), what)

    def _preview_refinement(self, what: str) -> None:
        self._ask(self._annotation.refinement_of(what), (what, None))

    def _ask(self, change: Callable[[], np.ndarray] | None, what: object) -> None:
        session = self._session
        if change is None:
            self._drop()
            return
        self._wanted = (session.frame, session.document.revision, what)
        before = session.document.labels(session.frame)
        self._edit.ask(self._wanted, preview_task, change, before, self._wanted)

    @Slot(object)
    def _on_edit(self, message: tuple[object, np.ndarray, Box | None]) -> None:
        wanted, labels, box = message
        session = self._session
        if wanted != self._wanted or not session.is_open:
            return
        if wanted[:2] != (session.frame, session.document.revision):
            return
        self._window.canvas.drop_edit_preview()
        if box is not None:
            self._window.canvas.show_edit_preview(labels, box)

    @Slot(object)
    def _on_menu_hovered(self, action: Any) -> None:
        if action.objectName() not in REFINEMENTS:
            self._drop()

    @Slot()
    def _drop(self) -> None:
        self._wanted = None
        self._rest.stop()
        self._edit.drop()
        self._window.canvas.drop_edit_preview()


def live_wire_task(
    ctx: TaskContext, image: np.ndarray, anchor: tuple[float, float], reach_px: float
) -> LiveWire | None:
    """The paths from `anchor` along the edges of an image; None for an anchor outside of it."""
    height, width = image.shape[:2]
    inside = 0 <= anchor[0] < width and 0 <= anchor[1] < height
    return LiveWire(image, anchor, reach_px) if inside else None


def preview_task(
    ctx: TaskContext, change: Callable[[], np.ndarray], before: np.ndarray, what: object
) -> tuple[object, np.ndarray, Box | None]:
    """(what, labels after the change, box of the difference)."""
    labels = change()
    return what, labels, mask_box(labels != before)
