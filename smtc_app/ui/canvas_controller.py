"""What the mouse does on the canvas, which tool is in the hand, and how masks are drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot

from smtc_app.ui.annotation_controller import AnnotationController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.presenter import Presenter
from smtc_app.ui.proposal_controller import ProposalController
from smtc_app.ui.proposal_presenter import ProposalPresenter
from smtc_app.ui.session import Session
from smtc_app.ui.tools import OUTLINED, PAINTING, TOOLS, HoverEvent

OPACITY_STEP = 10
ZOOM_STEP = 1.25
TOLERANCE_STEP = 4


REFUSED = {
    "polygon": "A polygon takes three corners or more: click the next one (Backspace takes one back).",
    "lasso": "Hold the button and draw around something with the lasso: letting go closes it.",
}


class CanvasController(QObject):
    """Connects the canvas, its sliders and its actions.

    Signals:
        told, failed: a sentence for the person.
    """

    told = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        presenter: Presenter,
        annotation: AnnotationController,
        proposals: ProposalController,
        proposal_presenter: ProposalPresenter,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._presenter = window, session, presenter
        self._annotation, self._proposals = annotation, proposals
        self._proposal_presenter = proposal_presenter
        self.click_taken: Callable[[int, int], bool] = lambda _x, _y: False
        """Whether somebody else wants a plain click on this pixel (a view that answers about pixels)."""
        self._hover: HoverEvent | None = None
        canvas, actions = window.canvas, window.actions_table
        canvas.stroke_finished.connect(self._on_stroke_finished)
        annotation.drawn.connect(self._on_drawn)
        canvas.outline_refused.connect(self._on_outline_refused)
        canvas.clicked.connect(self._on_clicked)
        canvas.hovered.connect(self._on_hovered)
        presenter.refreshed.connect(self._on_refreshed)
        canvas.brush_radius_changed.connect(self._on_brush_radius_changed)
        window.brush_slider.valueChanged.connect(canvas.set_brush_radius_px)
        window.tolerance_slider.setValue(annotation.fill_tolerance)
        window.tolerance_slider.valueChanged.connect(self._on_tolerance_moved)
        window.opacity_slider.valueChanged.connect(self._on_opacity_moved)
        for action_id, slot in (
            ("zoom_in", partial(canvas.zoom_by, ZOOM_STEP)),
            ("zoom_out", partial(canvas.zoom_by, 1 / ZOOM_STEP)),
            ("fit", canvas.fit),
            ("actual_size", canvas.actual_size),
            ("opacity_up", partial(self._change_opacity, OPACITY_STEP)),
            ("opacity_down", partial(self._change_opacity, -OPACITY_STEP)),
            ("brush_larger", partial(self._step_size, 1)),
            ("brush_smaller", partial(self._step_size, -1)),
            *((f"tool_{tool}", partial(self.set_tool, tool)) for tool in TOOLS),
        ):
            actions.connect(action_id, slot)
        actions.connect_checked("masks", canvas.set_masks_visible)
        actions.connect_checked("outline", canvas.set_outline)
        actions.connect_checked("solo", presenter.set_solo)
        actions["tags"].setChecked(True)
        actions.connect_checked("tags", self._switch_tags)

    def set_tool(self, tool: str) -> None:
        """Use a tool of `TOOLS`."""
        self._window.canvas.set_tool(tool)
        self._window.actions_table[f"tool_{tool}"].setChecked(True)
        self._window.show_tool_size(tool)

    def _step_size(self, by: int) -> None:
        """Larger or smaller: what the fill takes, or the brush."""
        if self._window.canvas.tool == "fill":
            slider = self._window.tolerance_slider
            slider.setValue(slider.value() + TOLERANCE_STEP * by)
        elif self._window.canvas.tool == "region":
            slider = self._window.region_slider
            slider.setValue(slider.value() + by)
        elif self._window.canvas.tool in PAINTING:
            self._window.canvas.step_brush_radius(by)
        else:
            self.told.emit(
                "Only brush, eraser, fill and region have a size: take one of them first (P, E, G, Shift+G)."
            )

    def _change_opacity(self, by: int) -> None:
        slider = self._window.opacity_slider
        slider.setValue(slider.value() + by)

    def _switch_tags(self, on: bool) -> None:
        had_some = self._window.canvas.has_tags
        self._presenter.set_tagging(on)
        if not had_some and not self._window.canvas.has_tags:
            self.told.emit("No two objects on this frame look alike, so none has its number on it.")

    @Slot(object)
    def _on_stroke_finished(self, event: Any) -> None:
        if event.tool == "brush":
            self._annotation.paint(event.points, event.radius_px, event.drawn)
        elif event.tool == "eraser":
            self._annotation.erase(event.points, event.radius_px, event.drawn)
        elif event.tool == "fill":
            x, y = event.points[0]
            self._annotation.flood_fill(int(x), int(y))
        elif event.tool in OUTLINED:
            self._annotation.fill_polygon(event.points)
            if self._annotation.drawing:
                self._window.canvas.hold_outline(event.points)
        if not self._window.actions_table["masks"].isChecked():
            self.told.emit("Masks are switched off: switch them on to see what you paint (H).")

    @Slot(object)
    def _on_drawn(self, _nothing: object) -> None:
        if not self._annotation.drawing:
            self._window.canvas.drop_outline()

    @Slot(object)
    def _on_outline_refused(self, tool: str) -> None:
        self.told.emit(REFUSED[tool])

    @Slot(object)
    def _on_clicked(self, message: Any) -> None:
        (x, y), modifiers = message
        x, y = int(x), int(y)
        if modifiers == Qt.KeyboardModifier.NoModifier and self.click_taken(x, y):
            return
        shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        control = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        proposal = self._proposal_presenter.proposal_at(x, y)
        if shift and self._session.document.labels(self._session.frame)[y, x]:
            proposal = None  # several objects are selected in the same way
        if proposal is not None and shift:
            self._proposals.choice.toggle(proposal)
        elif proposal is None:
            self._annotation.pick(x, y, extend=shift or control)
        elif modifiers & Qt.KeyboardModifier.AltModifier:
            self._proposals.reject(proposal, linked=not control)
        else:
            self._proposals.accept(proposal, linked=not control)

    @Slot(object)
    def _on_hovered(self, event: HoverEvent | None) -> None:
        self._hover = event
        labels = self._window.status_labels
        if event is None or not self._session.is_open:
            labels.set_cursor(None)
            self._proposal_presenter.hover(None)
            return
        picking = self._window.canvas.tool == "pick"
        proposal = self._proposal_presenter.proposal_at(event.x, event.y) if picking else None
        self._proposal_presenter.hover(proposal)
        text = (
            self._presenter.describe(event.label)
            if proposal is None
            else self._proposal_presenter.describe(proposal)
        )
        labels.set_cursor((event.x, event.y), text)

    @Slot(object)
    def _on_refreshed(self, _nothing: object) -> None:
        """The cursor rests, but what is under it may have changed."""
        if self._hover is None or self._session.pixels is None:
            return
        x, y = self._hover.x, self._hover.y
        labels = self._session.document.labels(self._session.frame)
        if y < labels.shape[0] and x < labels.shape[1]:
            self._on_hovered(HoverEvent(x, y, int(labels[y, x])))

    @Slot(object)
    def _on_brush_radius_changed(self, radius_px: float) -> None:
        slider = self._window.brush_slider
        slider.blockSignals(True)
        slider.setValue(round(radius_px))
        slider.blockSignals(False)

    @Slot(int)
    def _on_tolerance_moved(self, tolerance: int) -> None:
        self._annotation.fill_tolerance = tolerance

    @Slot(int)
    def _on_opacity_moved(self, percent: int) -> None:
        self._window.canvas.set_opacity(percent / 100)
