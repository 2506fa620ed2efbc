"""Connects every action, panel and tool of the window with the controller that does it.

To add an action: a row in `actions.ACTIONS`, an entry in `_connect_actions`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QColorDialog, QInputDialog

from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.annotation_controller import AnnotationController
from smtc_app.ui.dialogs_help import AboutDialog, ShortcutsDialog
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.presenter import Presenter, object_rows
from smtc_app.ui.project_controller import ProjectController
from smtc_app.ui.propagation_controller import PropagationController
from smtc_app.ui.proposal_controller import ProposalController
from smtc_app.ui.session import Session
from smtc_app.ui.theme import Theme

logger = logging.getLogger(__name__)

OPACITY_STEP = 10
ZOOM_STEP = 1.25
TOOLS = ("pick", "brush", "eraser", "fill", "polygon", "lasso")


class WindowController(QObject):
    """Owns nothing but the connections between the parts it is given."""

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        frames: FrameController,
        presenter: Presenter,
        annotation: AnnotationController,
        proposals: ProposalController,
        propagation: PropagationController,
        project: ProjectController,
        runners: tuple[JobRunner, ...],
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._frames, self._presenter = window, session, frames, presenter
        self._annotation, self._proposals, self._propagation = annotation, proposals, propagation
        self._project, self._runners = project, runners
        self.model_text = "not loaded yet"
        self._connect_actions()
        self._connect_widgets()
        self._connect_controllers()

    # Connections

    def _connect_actions(self) -> None:
        window, frames, annotation = self._window, self._frames, self._annotation
        slots: dict[str, Callable[..., Any]] = {
            "open": self._project.ask_open,
            "open_folder": self._project.ask_open_folder,
            "open_demo": self._project.open_demo,
            "save": self._project.save,
            "save_as": self._project.save_as,
            "import_mask": self._project.ask_import_mask,
            "export": self._export,
            "close": self._project.close,
            "quit": window.close,
            "undo": partial(self._session.step_history, False),
            "redo": partial(self._session.step_history, True),
            "select_all": self._select_all,
            "deselect": partial(self._session.select, ()),
            "zoom_in": partial(window.canvas.zoom_by, ZOOM_STEP),
            "zoom_out": partial(window.canvas.zoom_by, 1 / ZOOM_STEP),
            "fit": window.canvas.fit,
            "actual_size": window.canvas.actual_size,
            "opacity_up": partial(self._change_opacity, OPACITY_STEP),
            "opacity_down": partial(self._change_opacity, -OPACITY_STEP),
            "play": frames.toggle_play,
            "next_frame": partial(frames.step, 1),
            "previous_frame": partial(frames.step, -1),
            "forward_10": partial(frames.step, 10),
            "back_10": partial(frames.step, -10),
            "next_keyframe": partial(self._go_to_keyframe, 1),
            "previous_keyframe": partial(self._go_to_keyframe, -1),
            "first_frame": partial(frames.go_to, 0),
            "last_frame": self._go_to_last,
            "go_to_frame": self._ask_frame,
            "next_worst": self._go_to_worst,
            "range_in": partial(self.set_range, "in"),
            "range_out": partial(self.set_range, "out"),
            "range_clear": partial(self.set_range, "clear"),
            "brush_larger": partial(window.canvas.step_brush_radius, 1),
            "brush_smaller": partial(window.canvas.step_brush_radius, -1),
            "propose": self._propose,
            "accept_all": self._proposals.accept_all,
            "reject_all": self._proposals.reject_all,
            "propagate_forward": partial(self._propagation.propagate, "forward"),
            "propagate_backward": partial(self._propagation.propagate, "backward"),
            "propagate_both": partial(self._propagation.propagate, "both"),
            "cancel": self._cancel,
            "new_object": self._new_object,
            "merge": annotation.merge,
            "split": annotation.split,
            "delete": annotation.delete,
            "clear_here": annotation.clear_here,
            "rename": self._rename,
            "recolour": self._recolour_selection,
            "visible": self._toggle_visible,
            "lock": self._toggle_locked,
            "move_up": partial(annotation.move, -1),
            "move_down": partial(annotation.move, 1),
            "shortcuts": self._show_shortcuts,
            "first_steps": self.show_first_steps,
            "about": self._show_about,
        }
        for operation in ("fill_holes", "remove_specks", "grow", "shrink"):
            slots[operation] = partial(annotation.refine, operation)
        for number in range(1, 10):
            slots[f"object_{number}"] = partial(annotation.select_number, number)
        for action_id, slot in slots.items():
            window.actions_table.connect(action_id, _without_arguments(slot))
        checkable: dict[str, Callable[[bool], Any]] = {
            "masks": window.canvas.set_masks_visible,
            "outline": window.canvas.set_outline,
            "keyframe": self._set_keyframe,
            "lock_frame": self._lock_frame,
            "solo": self._presenter.set_solo,
            "full_screen": self._full_screen,
        }
        for action_id, slot in checkable.items():
            window.actions_table.connect(action_id, slot)
        for tool in TOOLS:
            window.actions_table.connect(f"tool_{tool}", _without_arguments(partial(self.set_tool, tool)))
        for choice in ("system", "dark", "light"):
            action = f"theme_{choice}"
            window.actions_table.connect(action, _without_arguments(partial(self.set_theme, choice)))

    def _connect_widgets(self) -> None:
        window, annotation = self._window, self._annotation
        canvas, timeline = window.canvas, window.timeline
        canvas.stroke_finished.connect(self._on_stroke_finished)
        canvas.clicked.connect(self._on_canvas_clicked)
        canvas.hovered.connect(self._on_hovered)
        canvas.brush_radius_changed.connect(self._on_brush_radius_changed)
        canvas.play_requested.connect(self._on_play_requested)
        timeline.frame_requested.connect(self._frames.go_to)
        timeline.lane_clicked.connect(self._on_lane_clicked)
        timeline.range_changed.connect(self._on_range_changed)
        window.transport.frame_requested.connect(self._frames.go_to)
        window.transport.speed_changed.connect(self._frames.set_speed)
        window.transport.range_requested.connect(self.set_range)
        window.brush_slider.valueChanged.connect(canvas.set_brush_radius_px)
        window.opacity_slider.valueChanged.connect(self._on_opacity_moved)
        panel = window.object_panel
        panel.selection_changed.connect(self._session.select)
        panel.rename_requested.connect(self._on_rename_requested)
        panel.colour_requested.connect(self._on_colour_requested)
        panel.visible_toggled.connect(self._on_visible_toggled)
        panel.lock_toggled.connect(self._on_lock_toggled)
        panel.category_requested.connect(self._on_category_requested)
        window.proposal_panel.accepted.connect(self._proposals.accept)
        window.proposal_panel.rejected.connect(self._proposals.reject)
        window.proposal_panel.hovered.connect(self._on_proposal_hovered)
        window.proposal_panel.settings_changed.connect(self._on_proposal_settings_changed)
        window.job_bar.cancel_requested.connect(self._on_cancel_requested)
        window.empty_state.open_requested.connect(self._on_open_requested)
        window.empty_state.open_folder_requested.connect(self._on_open_folder_requested)
        window.empty_state.demo_requested.connect(self._on_demo_requested)
        window.empty_state.recent_requested.connect(self.open)
        window.dropped.connect(self.open)
        annotation.split_by_slot_requested.connect(self._on_split_by_slot)

    def _connect_controllers(self) -> None:
        for teller in (self._annotation, self._proposals, self._propagation):
            teller.told.connect(self._on_told)
        for source in (self._session, self._frames, self._proposals, self._propagation, self._project):
            source.failed.connect(self._on_failed)
        self._project.told.connect(self._on_told_with_button)
        self._project.failed_with_button.connect(self._on_failed_with_button)
        self._project.mask_read.connect(self._on_mask_read)
        self._project.warned.connect(self._on_warned)
        self._propagation.model_used.connect(self._on_model_used)
        self._proposals.model_used.connect(self._on_model_used)
        self._proposals.busy_changed.connect(self._on_proposing_changed)
        self._frames.playing_changed.connect(self._on_playing_changed)
        self._session.opened.connect(self._on_opened)
        for runner in self._runners:
            runner.job_changed.connect(self._on_job_changed)

    # Actions

    def open(self, path: str) -> None:
        """Open a video, a folder or a project."""
        self._project.open(path)

    def set_tool(self, tool: str) -> None:
        """Use a tool of `TOOLS`."""
        self._window.canvas.set_tool(tool)
        self._window.actions_table[f"tool_{tool}"].setChecked(True)

    def set_theme(self, choice: str) -> None:
        """Use the theme of the system, dark or light."""
        Theme.current().set_choice(choice)
        self._window.actions_table[f"theme_{choice}"].setChecked(True)

    def set_range(self, request: str) -> None:
        """Begin ("in") or end ("out") the range of frames to work on here, or have none ("clear")."""
        timeline = self._window.timeline
        if request == "in":
            timeline.set_in(self._frames.wanted)
        elif request == "out":
            timeline.set_out(self._frames.wanted)
        else:
            timeline.set_range(None)

    def show_first_steps(self) -> None:
        """Show the three lines over the canvas."""
        key = self._window.actions_table.key_text
        self._window.hint.show_steps(
            (
                (
                    key("propose"),
                    f"propose objects; {key('accept_all').replace('Return', 'Enter')} accepts them",
                ),
                (
                    key("tool_brush"),
                    f"paint what is wrong, {key('tool_eraser')} erases; [ and ] change the size",
                ),
                (
                    key("propagate_both"),
                    f"propagate through the video, then {key('export')} exports the masks",
                ),
            )
        )

    def _export(self) -> None:
        self._project.ask_export(object_rows(self._session), self._window.timeline.range)

    def _select_all(self) -> None:
        if self._session.document is not None:
            self._session.select(list(self._session.document.objects))

    def _change_opacity(self, by: int) -> None:
        slider = self._window.opacity_slider
        slider.setValue(slider.value() + by)

    def _go_to_keyframe(self, direction: int) -> None:
        here, document = self._frames.wanted, self._session.document
        others = [k for k in document.keyframes if (k - here) * direction > 0]
        if others:
            self._frames.go_to(min(others, key=lambda k: abs(k - here)))
        else:
            where = "after" if direction > 0 else "before"
            self._on_told(f"There is no keyframe {where} this frame.")

    def _go_to_last(self) -> None:
        self._frames.go_to(self._frames.count - 1)

    def _ask_frame(self) -> None:
        last = self._frames.count - 1
        number, accepted = QInputDialog.getInt(
            self._window, "Go to Frame", f"Frame (0 to {last}):", self._frames.wanted, 0, last
        )
        if accepted:
            self._frames.go_to(number)

    def _go_to_worst(self) -> None:
        found = self._presenter.next_worst(self._frames.wanted)
        if found is None:
            self._on_told("No frame has propagated labels to check yet.")
            return
        frame, object_id, confidence = found
        name = self._session.document.objects[object_id].name
        self._frames.go_to(frame)
        self._session.select((object_id,))
        self._on_told(f"Frame {frame}: '{name}' is the least sure here, confidence {confidence:.0%}.")

    def _propose(self) -> None:
        self._proposals.propose(*self._window.proposal_panel.settings)

    def _cancel(self) -> None:
        for runner in self._runners:
            runner.cancel_all()

    def _new_object(self) -> None:
        self._annotation.new_object()
        if self._window.canvas.tool in ("pick", "eraser"):
            self.set_tool("brush")

    def _rename(self) -> None:
        if self._session.active is not None:
            self._window.object_panel.edit_name(self._session.active)

    def _recolour_selection(self) -> None:
        if self._session.selection:
            self._ask_colour(self._session.selection)

    def _ask_colour(self, ids: tuple[int, ...]) -> None:
        old = QColor(*self._session.document.objects[ids[0]].colour)
        chosen = QColorDialog.getColor(old, self._window, "Colour of the Object")
        if chosen.isValid():
            self._annotation.recolour(ids, (chosen.red(), chosen.green(), chosen.blue()))

    def _toggle_visible(self) -> None:
        self._annotation.toggle_visible(self._session.selection)

    def _toggle_locked(self) -> None:
        self._annotation.toggle_locked(self._session.selection)

    def _set_keyframe(self, on: bool) -> None:
        self._annotation.set_keyframe(on)
        self._presenter.update_actions()

    def _lock_frame(self, on: bool) -> None:
        self._annotation.lock_frame(on)
        self._presenter.update_actions()

    def _full_screen(self, on: bool) -> None:
        if on:
            self._window.showFullScreen()
        else:
            self._window.showNormal()

    def _show_shortcuts(self) -> None:
        ShortcutsDialog(self._window.actions_table, parent=self._window).exec()
        self._presenter.update_actions()
        self._presenter.show_proposal_rows()

    def _show_about(self) -> None:
        from smtc_app import __version__

        AboutDialog(__version__, self.model_text, self._window.device_label.text, parent=self._window).exec()

    # Widgets

    @Slot(object)
    def _on_stroke_finished(self, event: Any) -> None:
        if event.tool == "brush":
            self._annotation.paint(event.points, event.radius_px)
        elif event.tool == "eraser":
            self._annotation.erase(event.points, event.radius_px)
        elif event.tool == "fill":
            x, y = event.points[0]
            self._annotation.flood_fill(int(x), int(y))
        else:
            self._annotation.fill_polygon(event.points)

    @Slot(object)
    def _on_canvas_clicked(self, message: Any) -> None:
        (x, y), modifiers = message
        x, y = int(x), int(y)
        shift = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        proposal = None if shift else self._presenter.proposal_at(x, y)
        if proposal is None:
            self._annotation.pick(x, y, extend=shift or bool(modifiers & Qt.KeyboardModifier.ControlModifier))
        elif modifiers & Qt.KeyboardModifier.AltModifier:
            self._proposals.reject(proposal)
        else:
            self._proposals.accept(proposal)

    @Slot(object)
    def _on_hovered(self, event: Any) -> None:
        labels = self._window.status_labels
        if event is None or not self._session.is_open:
            labels.set_cursor(None)
        else:
            labels.set_cursor((event.x, event.y), self._presenter.describe(event.label))

    @Slot(object)
    def _on_play_requested(self, _nothing: object) -> None:
        self._frames.toggle_play()

    @Slot(object)
    def _on_lane_clicked(self, message: tuple[int, Any]) -> None:
        object_id, modifiers = message
        several = modifiers & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier)
        self._session.select((*self._session.selection, object_id) if several else (object_id,))

    @Slot(object)
    def _on_range_changed(self, span: tuple[int, int] | None) -> None:
        self._window.transport.set_range(span)
        self._propagation.range = span

    @Slot(object)
    def _on_proposal_hovered(self, proposal_id: int | None) -> None:
        self._window.canvas.set_selected_proposals(() if proposal_id is None else (proposal_id,))

    @Slot(object)
    def _on_brush_radius_changed(self, radius_px: float) -> None:
        slider = self._window.brush_slider
        slider.blockSignals(True)
        slider.setValue(round(radius_px))
        slider.blockSignals(False)

    @Slot(int)
    def _on_opacity_moved(self, percent: int) -> None:
        self._window.canvas.set_opacity(percent / 100)

    @Slot(object)
    def _on_rename_requested(self, message: tuple[int, str]) -> None:
        self._annotation.rename(*message)

    @Slot(object)
    def _on_colour_requested(self, object_id: int) -> None:
        self._ask_colour(self._with_selection(object_id))

    @Slot(object)
    def _on_visible_toggled(self, object_id: int) -> None:
        self._annotation.toggle_visible(self._with_selection(object_id))

    @Slot(object)
    def _on_lock_toggled(self, object_id: int) -> None:
        self._annotation.toggle_locked(self._with_selection(object_id))

    def _with_selection(self, object_id: int) -> tuple[int, ...]:
        """What was clicked in the row of a selected object goes for all selected ones."""
        return self._session.selection if object_id in self._session.selection else (object_id,)

    @Slot(object)
    def _on_category_requested(self, object_id: int) -> None:
        objects = self._session.document.objects
        known = sorted({info.category for info in objects.values() if info.category})
        current = objects[object_id].category
        choices = [current, *(c for c in known if c != current)]
        text, accepted = QInputDialog.getItem(
            self._window, "Category", "Category of the object:", choices, 0, True
        )
        if accepted:
            self._annotation.categorise(self._with_selection(object_id), text)

    @Slot(object)
    def _on_proposal_settings_changed(self, settings: tuple[int, float]) -> None:
        if self._proposals.pending or self._proposals.busy:
            self._proposals.propose(*settings)

    @Slot(object)
    def _on_cancel_requested(self, job: Job) -> None:
        job.cancel()

    @Slot(object)
    def _on_open_requested(self, _nothing: object) -> None:
        self._project.ask_open()

    @Slot(object)
    def _on_open_folder_requested(self, _nothing: object) -> None:
        self._project.ask_open_folder()

    @Slot(object)
    def _on_demo_requested(self, _nothing: object) -> None:
        self._project.open_demo()

    @Slot(object)
    def _on_split_by_slot(self, message: tuple[int, int, Any]) -> None:
        frame, object_id, mask = message
        session, document = self._session, self._session.document
        before = document.packed(frame)

        def on_done(parts: list[Any]) -> None:
            if document is not session.document:
                return
            if document.packed(frame) is not before:
                self._on_told("The masks of that frame have changed since: split again.")
            elif len(parts) < 2:
                self._on_told("Slot attention finds one part only: cut it with the polygon or the eraser.")
            else:
                self._annotation.apply_split(frame, object_id, parts)

        self._runners[0].submit(
            f"Splitting '{document.objects[object_id].name}' by slot",
            self._project.services.split_task,
            session.source,
            frame,
            mask,
            parts=2,
            on_done=on_done,
            on_error=self._on_failed,
            **self._proposals.model_settings(),
        )

    # What the controllers say

    @Slot(object)
    def _on_told(self, sentence: str) -> None:
        self._window.banner.show_message(sentence)

    @Slot(object)
    def _on_told_with_button(self, message: tuple[str, str, Callable[[], object] | None]) -> None:
        sentence, button, slot = message
        self._window.banner.show_message(sentence, button=button, slot=slot)

    @Slot(object)
    def _on_warned(self, sentence: str) -> None:
        self._window.banner.show_message(sentence, kind="warning")

    @Slot(object)
    def _on_failed(self, sentence: str) -> None:
        self._window.banner.show_message(sentence, kind="error")

    @Slot(object)
    def _on_failed_with_button(self, message: tuple[str, str, Callable[[], object]]) -> None:
        sentence, button, slot = message
        self._window.banner.show_message(sentence, kind="error", button=button, slot=slot)

    @Slot(object)
    def _on_mask_read(self, message: tuple[Any, str, int]) -> None:
        labels, name, frame = message
        self._annotation.import_labels(labels, name, frame)
        self._frames.go_to(frame)

    @Slot(object)
    def _on_model_used(self, summary: Any) -> None:
        self.show_model(summary.model)
        if summary.message:
            self._on_warned(summary.message)

    def show_model(self, model: Any) -> None:
        """Say in the status bar which model computes where."""
        device = (
            "CPU" if model.device == "cpu" else "GPU" if model.device.startswith("cuda") else model.device
        )
        name = Path(model.name).stem if "/" in model.name else model.name
        kind = "" if model.trained else " (untrained)"
        self.model_text = f"{name}{kind}, {model.hash[:12]}"
        self._window.device_label.set_text(
            f"{device} · {name}{kind}", f"Model {model.name}{kind} on {model.device}\n{model.hash[:12]}"
        )

    @Slot(object)
    def _on_proposing_changed(self, busy: bool) -> None:
        self._presenter.proposing = busy
        self._presenter.show_proposal_rows()

    @Slot(object)
    def _on_playing_changed(self, playing: bool) -> None:
        self._window.transport.set_playing(playing)

    @Slot(object)
    def _on_opened(self, session: Session) -> None:
        self._window.banner.hide()
        self._propagation.range = None
        self._frames.open(session.source)
        self._window.canvas.fit()

    @Slot(object)
    def _on_job_changed(self, _job: Job) -> None:
        jobs = [job for runner in self._runners for job in runner.jobs]
        self._window.job_bar.set_jobs(jobs)
        busy = any(not job.background for job in jobs)
        if busy != self._presenter.busy:
            self._presenter.busy = busy
            self._presenter.update_actions()


def _without_arguments(slot: Callable[[], Any]) -> Callable[..., None]:
    """A slot for `triggered(bool)` of an action that cannot be checked."""

    def called(_checked: bool = False) -> None:
        slot()

    return called
