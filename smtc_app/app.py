"""The one place that knows all parts and puts them together: settings, window, controllers, workers, files.

Tests build an `Application` with other `Services` and drive it without `run_window`.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QTimer, Slot
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication, QDialog

from smtc_app.assets import assets_folder
from smtc_app.core.document import Change
from smtc_app.core.new_objects import new_objects_to_json
from smtc_app.core.settings import CacheChoice, Settings, load_settings
from smtc_app.io.settings_writer import SettingsWriter
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.adapt_controller import AdaptController
from smtc_app.ui.alarm_controller import AlarmController
from smtc_app.ui.annotation_controller import AnnotationController
from smtc_app.ui.autosave_controller import AutosaveController
from smtc_app.ui.canvas_controller import CanvasController
from smtc_app.ui.confidence_controller import ConfidenceController
from smtc_app.ui.correct_next_controller import CorrectNextController
from smtc_app.ui.crash_guard import CrashGuard
from smtc_app.ui.dataset_controller import DatasetController
from smtc_app.ui.dataset_proposals_controller import DatasetProposalsController
from smtc_app.ui.dialogs_settings import SettingsDialog
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.garbage import GarbageCollector
from smtc_app.ui.long_edit import LongEdits
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.mask_offer import MaskOffer
from smtc_app.ui.object_controller import ObjectController
from smtc_app.ui.pair_controller import PairController
from smtc_app.ui.presenter import Presenter
from smtc_app.ui.preview_controller import PreviewController
from smtc_app.ui.project_controller import ProjectController
from smtc_app.ui.propagation_controller import PropagationController
from smtc_app.ui.proposal_controller import ProposalController
from smtc_app.ui.proposal_merge_controller import ProposalMergeController
from smtc_app.ui.proposal_presenter import ProposalPresenter
from smtc_app.ui.region_controller import RegionController
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session
from smtc_app.ui.split_controller import SplitController
from smtc_app.ui.theme import Theme
from smtc_app.ui.view_controller import ViewController
from smtc_app.ui.window_controller import WindowController
from smtc_app.window_services import make_services

logger = logging.getLogger(__name__)

PRESET_NAMES = ("default", "fast", "best", "dino", "crw", "crw-stride8")
RECENT_DELAY_MS = 100
REMEMBER_INTERVAL_MS = 20_000
"""What was set in the window is written so often, so that a crash does not take it."""
"""What was opened stands before the list of recent ones and the settings file are brought up to date."""
PRELOAD_DELAY_MS = 400
"""The window is drawn and answers before torch is imported behind it."""


class Application(QObject):
    """All objects of a running window; `close` ends its threads, before the process ends."""

    def __init__(self, services: Services, settings: Settings, notes: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.garbage = GarbageCollector(self)
        self.garbage.start()
        self.settings = settings
        self._settings_writer = SettingsWriter()
        self.services = services
        Theme.install(settings.theme)
        self.prompts = JobRunner(self)
        """The model's work that a person waits for: proposals on what is in sight, a split."""
        self.models = JobRunner(self, gives_way_to=self.prompts)
        self.files = JobRunner(self)
        self.survey_jobs = JobRunner(self, gives_way_to=self.prompts)
        """Proposals for a whole dataset have a worker of their own: one video is worked on meanwhile."""
        self.session = Session(settings.undo_limit_bytes, self)
        self.frames = FrameController(services.make_frame_cache, self)
        self.window = MainWindow()
        self.presenter = Presenter(self.session, self.frames, self.window, self)
        self.confidence = ConfidenceController(self.session, self.frames, self.window, self)
        self.edit_jobs = JobRunner(self)
        """Edits have a worker of their own: a person who answers proposals waits for no model."""
        self.edits = LongEdits(self.session, self.edit_jobs, self)
        self.annotation = AnnotationController(self.session, self.edits, self)
        self.proposals = ProposalController(
            self.window, self.session, self.prompts, services, self.edits, parent=self
        )
        self.proposal_presenter = ProposalPresenter(
            self.session, self.frames, self.window, self.proposals.choice, self
        )
        self.proposals.busy_changed.connect(self.proposal_presenter.set_busy)
        self.propagation = PropagationController(self.session, self.models, services, parent=self)
        self.autosave = AutosaveController(self.session, self.files, services, parent=self)
        self.autosave.enabled = settings.autosave
        self.project = ProjectController(
            self.session, self.files, services, self.autosave, self.window, parent=self
        )
        self.controller = WindowController(
            self.window,
            self.session,
            self.frames,
            self.presenter,
            self.annotation,
            self.proposals,
            self.propagation,
            self.project,
            self.runners,
            parent=self,
        )
        self.canvas_controller = CanvasController(
            self.window,
            self.session,
            self.presenter,
            self.annotation,
            self.proposals,
            self.proposal_presenter,
            parent=self,
        )
        self.view_jobs = JobRunner(self)
        """Views have a worker of their own: they are looked at while labels propagate."""
        self.views = ViewController(
            self.window, self.session, self.frames, self.view_jobs, services, parent=self
        )
        self.views.model_settings = self._model_settings
        self.views.preset = self._preset
        self.views.tool_wanted.connect(self.canvas_controller.set_tool)
        self.canvas_controller.click_taken = self.views.take_click
        self.regions = RegionController(
            self.window, self.session, self.frames, self.annotation, self.prompts, services, parent=self
        )
        self.regions.model_settings = self._model_settings
        self.controller.listen_to(self.regions)
        self.previews = PreviewController(
            self.window, self.session, self.annotation, self.regions, self.view_jobs, parent=self
        )
        self.objects = ObjectController(self.window, self.session, self.annotation, parent=self)
        self.splitting = SplitController(
            self.window, self.session, self.prompts, self.models, services, parent=self
        )
        self.splitting.model_settings = self._model_settings
        self.splitting.propagation_settings = self._propagation_settings
        self.pairs = PairController(self.window, self.session, self.propagation, parent=self)
        self.dataset = DatasetController(
            self.window, self.session, self.project, self.models, self.files, services, parent=self
        )
        self.survey = DatasetProposalsController(
            self.window, self.dataset, self.survey_jobs, services, parent=self
        )
        self.survey.model_settings = self._model_settings
        self.survey.parameters = self._noted_settings
        self.controller.listen_to(self.survey)
        self.adapting = AdaptController(self.window, self.session, self.models, services, parent=self)
        self.adapting.settings = self._noted_settings
        self.controller.listen_to(self.adapting)
        self.mask_offer = MaskOffer(self.window, self.project, self.dataset, parent=self)
        self.mask_offer.declined = settings.masks_declined
        self.mask_offer.declined_changed.connect(self._on_masks_declined)
        self.alarm = AlarmController(
            self.window, self.session, self.propagation, self.models, services, parent=self
        )
        self.alarm.enabled = settings.new_object_alarm
        self.alarm.model_settings = self._model_settings
        self.alarm.told.connect(self.controller.tell)
        self.alarm.frame_wanted.connect(self.frames.go_to)
        self.alarm.found.connect(self.project.save_parameters)
        self.correct_next = CorrectNextController(
            self.window, self.session, self.frames, self.propagation, self.view_jobs, parent=self
        )
        self.merging = ProposalMergeController(
            self.window,
            self.session,
            self.edits,
            self.proposals.choice,
            self.proposal_presenter,
            self.presenter,
            parent=self,
        )
        self.controller.listen_to(self.merging)
        self.controller.listen_to(self.edits)
        self.controller.listen_to(self.correct_next)
        self.controller.listen_to(self.splitting)
        self.controller.listen_to(self.pairs)
        self.controller.listen_to(self.canvas_controller)
        self.controller.listen_to(self.dataset)
        self.views.failed.connect(self._on_warned)
        self.objects.brush_wanted.connect(self._on_brush_wanted)
        self.autosave.warned.connect(self._on_warned)
        self.autosave.offered.connect(self._on_offered)
        self.proposals.model_settings = self._model_settings
        self.propagation.model_settings = self._adapted_settings
        self.project.before_close = self._before_close
        self.project.end_jobs = self._end_jobs
        self.project.parameters = self._project_parameters
        self.project.exporter.made_with = self._noted_settings
        self.project.exporter.model_settings = self._propagation_settings
        self.project.exporter.model_runner = self.models
        self.project.opened.connect(self._on_opened_path)
        self.project.opened.connect(self.adapting.take_over)
        self.session.opened.connect(self._on_opened)
        self.session.document_changed.connect(self._on_document_changed)
        self.window.actions_table.connect("settings", self._ask_settings)
        self.window.hint.closed.connect(self._on_hint_closed)
        self.window.may_close = self._may_close
        self._closed = False
        self.workers_ended = True
        """Whether `close` could join the workers; a step inside a library cannot be interrupted."""
        self._preload_waits = False
        self._recent_timer = QTimer(self)
        self._recent_timer.setSingleShot(True)
        self._recent_timer.setInterval(RECENT_DELAY_MS)
        self._recent_timer.timeout.connect(self._on_recent_changed)
        self.project.opening.connect(self._on_opening)
        self._apply_settings()
        self._remember_timer = QTimer(self)
        self._remember_timer.setInterval(REMEMBER_INTERVAL_MS)
        self._remember_timer.timeout.connect(self._on_remember_due)
        self._remember_timer.start()
        for note in notes:
            self.window.banner.show_message(note, kind="warning")

    @property
    def runners(self) -> tuple[JobRunner, ...]:
        """The workers whose jobs a person is told of, those that others give way to first."""
        return self.edit_jobs, self.prompts, self.models, self.files, self.survey_jobs

    def preload(self) -> None:
        """Import torch and load the model behind the open window, after a video that is being opened."""
        if self.project.is_opening:
            self._preload_waits = True
        elif not self._closed:
            self.models.submit(
                "Loading the model",
                self.services.preload_task,
                background=True,
                on_done=self._on_preloaded,
                on_error=self._on_preload_failed,
                **self._model_settings(),
            )

    def close(self, *, discard: bool = False) -> None:
        """Cancel, join, then let go; repeating it does no harm.

        `discard`: the person has been asked about unsaved work, so that the journal of it may go.
        """
        if self._closed:
            return
        self._closed = True
        self._recent_timer.stop()
        self._remember_timer.stop()
        self.window.layout_memory.take()
        self.dataset.close()
        self.frames.close()
        self.proposal_presenter.close()
        self.workers_ended = all([self.views.close(), *(runner.close() for runner in self.runners)])
        self.autosave.stop(discard=discard)
        self.session.close()
        self._remember_settings()
        self.garbage.stop()
        self._settings_writer.close()

    # Settings

    def _apply_settings(self) -> None:
        settings, window = self.settings, self.window
        window.opacity_slider.setValue(round(settings.overlay_opacity * 100))
        window.canvas.set_brush_radius_px(settings.brush_radius_px)
        window.brush_slider.setValue(round(settings.brush_radius_px))
        window.tolerance_slider.setValue(settings.fill_tolerance)
        window.proposal_panel.most.setValue(settings.max_objects)
        window.proposal_panel.set_granularity(settings.granularity)
        window.actions_table["masks"].setChecked(True)
        window.actions_table["outline"].setChecked(settings.show_outline)
        window.canvas.set_outline(settings.show_outline)
        window.actions_table[f"theme_{settings.theme}"].setChecked(True)
        self.canvas_controller.set_tool("pick")
        try:
            window.actions_table.rebind(settings.keys)
        except ValueError as error:
            window.banner.show_message(f"The keys of the settings were not used: {error}.", kind="warning")
        window.layout_memory.restore(settings.window_geometry, settings.panel_sizes)
        if settings.last_folder is not None and Path(settings.last_folder).is_dir():
            self.project.last_folder = Path(settings.last_folder)
        self._show_recent()

    def _set_in_window(self) -> dict[str, Any]:
        window = self.window
        most, granularity = window.proposal_panel.settings
        return {
            "theme": Theme.current().choice,
            "overlay_opacity": window.opacity_slider.value() / 100,
            "brush_radius_px": float(window.canvas.brush_radius_px),
            "fill_tolerance": window.tolerance_slider.value(),
            "max_objects": most,
            "granularity": granularity,
            "show_outline": window.actions_table["outline"].isChecked(),
            "keys": window.actions_table.rebound,
            "window_geometry": window.layout_memory.geometry,
            "panel_sizes": window.layout_memory.sizes,
        }

    def _remember_settings(self) -> None:
        self._change_settings(**self._set_in_window())

    @Slot()
    def _on_remember_due(self) -> None:
        if self.settings.with_(**self._set_in_window()) != self.settings:
            self._remember_settings()

    def _change_settings(self, **changes: Any) -> None:
        self.settings = self.settings.with_(**changes)
        self._settings_writer.write(self.settings)

    def _ask_settings(self) -> None:
        self._remember_settings()
        dialog = SettingsDialog(self.settings, PRESET_NAMES, parent=self.window)
        dialog.clear_requested.connect(self._on_clear_requested)
        self._settings_dialog = dialog
        if dialog.exec() != QDialog.DialogCode.Accepted or not dialog.changes:
            return
        changes = dialog.changes
        if "theme" in changes:
            self.controller.set_theme(changes["theme"])
        self._change_settings(**changes)
        self.alarm.enabled = self.settings.new_object_alarm
        if "model" in changes or "device" in changes:
            self.views.forget()
            self.window.device_label.set_text("Loading the model…")
            self.preload()

    @Slot(object)
    def _on_clear_requested(self, cache: CacheChoice) -> None:
        self.files.submit(
            "Clearing the cache",
            self.services.clear_cache_task,
            cache,
            on_done=self._settings_dialog.show_cleared,
            on_error=self._settings_dialog.show_not_cleared,
        )

    def _model_settings(self) -> dict[str, Any]:
        return {"model": self.settings.model, "device": self.settings.device}

    def _propagation_settings(self) -> dict[str, Any]:
        return {
            **self._model_settings(),
            "preset": self.settings.preset,
            "cache": self.settings.feature_cache,
        }

    def _adapted_settings(self) -> dict[str, Any]:
        return self.adapting.applied_to(self._propagation_settings())

    def _preset(self) -> str:
        return self.settings.preset

    def _project_parameters(self) -> dict[str, Any]:
        """What a project keeps besides the document: settings, and the runs that made its labels."""
        return {
            **self._noted_settings(),
            "runs": [run.to_json() for run in self.session.runs],
            "categories": list(self.session.categories),
            "new_objects": new_objects_to_json(self.session.new_objects),
        }

    def _noted_settings(self) -> dict[str, Any]:
        return {**self._model_settings(), "preset": self.settings.preset}

    def _show_recent(self) -> None:
        present = [path for path in self.settings.recent if Path(path).exists()]
        self.window.empty_state.set_recent(present)
        self.window.set_recent(present, self.controller.open)

    # What happens

    @Slot(object)
    def _on_opening(self, path: str | None) -> None:
        self.window.empty_state.set_opening(Path(path).name if path else "")
        if path is None and self._preload_waits:
            self._preload_waits = False
            QTimer.singleShot(PRELOAD_DELAY_MS, self.preload)

    @Slot(object)
    def _on_opened_path(self, path: str) -> None:
        if self.dataset.current is not None and not self.dataset.is_root(path):
            # The dataset is the recent one; its videos would push out everything else.
            return
        opened = Path(path).resolve()
        self.settings = self.settings.with_recent(opened)
        self.project.last_folder = opened.parent
        self.settings = self.settings.with_(last_folder=str(opened.parent))
        self._recent_timer.start()

    @Slot()
    def _on_recent_changed(self) -> None:
        self._change_settings()
        self._show_recent()

    @Slot(object)
    def _on_opened(self, session: Session) -> None:
        if not session.document.objects and (session.demo or not self.settings.hint_shown):
            self.controller.show_first_steps()

    @Slot(object)
    def _on_warned(self, sentence: str) -> None:
        self.window.banner.show_message(sentence, kind="warning")

    @Slot(object)
    def _on_offered(self, message: tuple[str, str, Callable[[], object]]) -> None:
        sentence, button, slot = message
        self.window.banner.show_message(sentence, kind="warning", button=button, slot=slot)

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        if change.kind in ("objects", "labels", "proposals"):
            self.window.banner.let_go()
        if change.kind in ("objects", "proposals") and self.window.hint.isVisible():
            # Whoever has proposals or an object is under way, and wants to see all of the picture.
            self.window.hint.hide()
            self._change_settings(hint_shown=True)

    @Slot(object)
    def _on_masks_declined(self, folders: tuple[str, ...]) -> None:
        self._change_settings(masks_declined=folders)

    @Slot(object)
    def _on_brush_wanted(self, _nothing: object) -> None:
        self.canvas_controller.set_tool("brush")

    @Slot(object)
    def _on_hint_closed(self, _nothing: object) -> None:
        self._change_settings(hint_shown=True)

    def _on_preloaded(self, model: Any) -> None:
        self.controller.show_model(model)

    def _on_preload_failed(self, sentence: str) -> None:
        self.window.device_label.set_text("No model", sentence, warning=True)
        self.window.banner.show_message(sentence, kind="error")

    def _before_close(self) -> None:
        for runner in self.runners:
            # What is made for the other videos of the dataset goes on.
            if runner is not self.survey_jobs:
                runner.cancel_all()
        self.frames.close()

    def _end_jobs(self) -> None:
        self.prompts.cancel_all()
        self.models.cancel_all()

    def _may_close(self) -> bool:
        if not self.project.may_drop(self.window.close):
            return False
        # The window goes at once; joining the worker may take a moment longer.
        self.window.hide()
        self.close(discard=True)
        return True


def run_window(source: str | None, *, demo: bool = False) -> int:
    """Open the window, with `source` or the demo clip in it, and run until it is closed: the exit code."""
    started_s = time.monotonic()
    application = QApplication.instance() or QApplication(sys.argv[:1])
    application.setApplicationName("smtc-app")
    application.setDesktopFileName("smtc-app")
    application.setWindowIcon(QIcon(str(assets_folder() / "icons" / "smtc-app.svg")))
    settings, notes = load_settings()
    parts = Application(make_services(settings), settings, notes)
    sys.excepthook = CrashGuard(parts.window, parts.session, parts.project, parts.autosave)
    parts.window.show()
    if demo:
        parts.project.open_demo()
    elif source is not None:
        parts.project.open(source)
    else:
        parts.autosave.look_for_lost_work()
    QTimer.singleShot(PRELOAD_DELAY_MS, parts.preload)
    logger.info("window up after %.2f s", time.monotonic() - started_s)
    try:
        code = application.exec()
    finally:
        sys.excepthook = sys.__excepthook__
        parts.close()
    if not parts.workers_ended:
        # Everything is written; libraries whose threads are still at work abort an orderly exit.
        logging.shutdown()
        os._exit(code)
    return code
