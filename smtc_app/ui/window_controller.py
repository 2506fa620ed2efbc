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
from PySide6.QtWidgets import QInputDialog

from smtc_app.jobs.runner import Job, JobRunner
from smtc_app.ui.action_specs import SPECS
from smtc_app.ui.annotation_controller import AnnotationController
from smtc_app.ui.correct_next_controller import CorrectNextController
from smtc_app.ui.dataset_controller import DatasetController
from smtc_app.ui.dialogs_help import AboutDialog, ShortcutsDialog
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.object_controller import ObjectController
from smtc_app.ui.presenter import Presenter, object_rows
from smtc_app.ui.project_controller import ProjectController
from smtc_app.ui.propagation_controller import PropagationController
from smtc_app.ui.proposal_controller import ProposalController
from smtc_app.ui.session import Session
from smtc_app.ui.theme import Theme

logger = logging.getLogger(__name__)

BESIDE_A_STROKE = frozenset({"View", "Tools", "Help"})
"""Menus whose actions change how things look, or what is in the hand, and never what has been drawn."""


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
        window, frames = self._window, self._frames
        slots: dict[str, Callable[..., Any]] = {
            "open": self._project.ask_open,
            "open_folder": self._project.ask_open_folder,
            "open_demo": self._project.open_demo,
            "save": self._project.save,
            "save_as": self._project.save_as,
            "import_mask": self._project.ask_import_mask,
            "import_masks": self._project.importer.ask_folder,
            "export": self._export,
            "close": self._project.close,
            "quit": window.close,
            "undo": partial(self._session.step_history, False),
            "redo": partial(self._session.step_history, True),
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
            "propagate_forward": partial(self._propagation.propagate, "forward"),
            "propagate_backward": partial(self._propagation.propagate, "backward"),
            "propagate_both": partial(self._propagation.propagate, "both"),
            "propagate_selected_forward": partial(self._propagation.propagate, "forward", selected=True),
            "propagate_selected_backward": partial(self._propagation.propagate, "backward", selected=True),
            "propagate_selected_both": partial(self._propagation.propagate, "both", selected=True),
            "update_stale": self._propagation.update_stale,
            "cancel": self._cancel,
            "shortcuts": self._show_shortcuts,
            "first_steps": self.show_first_steps,
            "about": self._show_about,
        }
        for action_id, slot in slots.items():
            window.actions_table.connect(action_id, slot)
        checkable: dict[str, Callable[[bool], Any]] = {
            "keyframe": self._set_keyframe,
            "lock_frame": self._lock_frame,
            "full_screen": self._full_screen,
        }
        for action_id, slot in checkable.items():
            window.actions_table.connect_checked(action_id, slot)
        for choice in ("system", "dark", "light"):
            window.actions_table.connect(f"theme_{choice}", partial(self.set_theme, choice))

    def _connect_widgets(self) -> None:
        window, timeline = self._window, self._window.timeline
        window.canvas.play_requested.connect(self._on_play_requested)
        window.canvas.drawing_begun.connect(self._on_drawing_begun)
        window.actions_table.asked_for.connect(self._on_action_asked_for)
        window.canvas.drawing_lost.connect(self._on_drawing_lost)
        self._frames.requested.connect(self._on_frame_requested)
        timeline.frame_requested.connect(self._frames.go_to)
        timeline.lane_clicked.connect(self._on_lane_clicked)
        timeline.range_changed.connect(self._on_range_changed)
        window.transport.frame_requested.connect(self._frames.go_to)
        window.transport.speed_changed.connect(self._frames.set_speed)
        window.transport.range_requested.connect(self.set_range)
        window.job_bar.cancel_requested.connect(self._on_cancel_requested)
        window.empty_state.open_requested.connect(self._on_open_requested)
        window.empty_state.open_folder_requested.connect(self._on_open_folder_requested)
        window.empty_state.demo_requested.connect(self._on_demo_requested)
        window.empty_state.recent_requested.connect(self.open)
        window.dropped.connect(self.open)

    def _connect_controllers(self) -> None:
        for teller in (self._annotation, self._proposals, self._propagation):
            teller.told.connect(self.tell)
        for source in (self._session, self._frames, self._proposals, self._propagation, self._project):
            source.failed.connect(self._on_failed)
        self._project.told.connect(self._on_told_with_button)
        self._project.failed_with_button.connect(self._on_failed_with_button)
        self._project.mask_read.connect(self._on_mask_read)
        self._project.warned.connect(self._on_warned)
        self._propagation.model_used.connect(self._on_model_used)
        self._proposals.model_used.connect(self._on_model_used)
        self._proposals.frame_wanted.connect(self._frames.go_to)
        self._frames.playing_changed.connect(self._on_playing_changed)
        self._session.opened.connect(self._on_opened)
        for runner in self._runners:
            runner.job_changed.connect(self._on_job_changed)

    def listen_to(self, controller: ObjectController | DatasetController | CorrectNextController) -> None:
        """Show what another controller tells."""
        controller.told.connect(self.tell)
        controller.failed.connect(self._on_failed)

    # Actions

    def open(self, path: str) -> None:
        """Open a video, a folder or a project."""
        self._project.open(path)

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
        self._project.exporter.ask(object_rows(self._session), self._window.timeline.range)

    def _go_to_keyframe(self, direction: int) -> None:
        here, document = self._frames.wanted, self._session.document
        others = [k for k in document.keyframes if (k - here) * direction > 0]
        if others:
            self._frames.go_to(min(others, key=lambda k: abs(k - here)))
        else:
            where = "after" if direction > 0 else "before"
            self.tell(f"There is no keyframe {where} this frame.")

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
            self.tell("No frame has propagated labels to check yet.")
            return
        frame, object_id, confidence = found
        name = self._session.document.objects[object_id].name
        self._frames.go_to(frame)
        self._session.select((object_id,))
        self.tell(f"Frame {frame}: '{name}' is the least sure here, confidence {confidence:.0%}.")

    def _cancel(self) -> None:
        for runner in self._runners:
            runner.cancel_all()
        self._on_job_changed(None)

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
        dialog = ShortcutsDialog(self._window.actions_table, parent=self._window)
        dialog.exec()
        dialog.deleteLater()
        self._presenter.update_actions()

    def _show_about(self) -> None:
        from smtc_app import __version__

        device = self._window.device_label.text
        dialog = AboutDialog(__version__, self.model_text, device, parent=self._window)
        dialog.exec()
        dialog.deleteLater()

    # Widgets

    @Slot(object)
    def _on_play_requested(self, _nothing: object) -> None:
        self._frames.toggle_play()

    @Slot(object)
    def _on_drawing_begun(self, _nothing: object) -> None:
        self._frames.hold()

    @Slot(object)
    def _on_action_asked_for(self, action_id: str) -> None:
        """A stroke in progress is what was done first: it belongs to the object that it began with, undo
        takes it back, and a file or a propagation has it."""
        if SPECS[action_id].menu not in BESIDE_A_STROKE:
            self._window.canvas.finish_stroke()

    @Slot(object)
    def _on_frame_requested(self, _index: int) -> None:
        """Another frame is wanted: a stroke that is being drawn belongs to the one in sight."""
        self._window.canvas.finish_stroke()

    @Slot(object)
    def _on_drawing_lost(self, _nothing: object) -> None:
        self.tell("The outline was given up, because another frame came: close it (Enter) before you go on.")

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
    def _on_cancel_requested(self, job: Job) -> None:
        job.cancel()
        self._on_job_changed(job)

    @Slot(object)
    def _on_open_requested(self, _nothing: object) -> None:
        self._project.ask_open()

    @Slot(object)
    def _on_open_folder_requested(self, _nothing: object) -> None:
        self._project.ask_open_folder()

    @Slot(object)
    def _on_demo_requested(self, _nothing: object) -> None:
        self._project.open_demo()

    # What the controllers say

    @Slot(object)
    def tell(self, sentence: str) -> None:
        """Say something to the person."""
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
        licence = f" · {model.licence}" if model.licence else ""
        self.model_text = f"{name}{kind}{licence}<br>{model.hash[:12]}"
        self._window.device_label.set_text(
            f"{device} · {name}{kind}", f"Model {model.name}{kind} on {model.device}\n{model.hash[:12]}"
        )

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
    def _on_job_changed(self, _job: Job | None) -> None:
        jobs = [job for runner in self._runners for job in runner.jobs]
        self._window.job_bar.set_jobs(jobs)
        busy = any(not job.background for job in jobs)
        if busy != self._presenter.busy:
            self._presenter.busy = busy
            self._presenter.update_actions()
