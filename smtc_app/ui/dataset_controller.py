"""Goes through the videos of a dataset: opens its list, the next video, and keeps the list true.

Leaving a video saves it first, into the dataset's folder of projects; what is being computed for it is ended,
and what has come of it is saved, too. A video that cannot be saved stays open.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtWidgets import QFileDialog

from smtc_app.core.dataset import MediaInfo, VideoRow, neighbour, upright_size
from smtc_app.jobs.opened import FoundDataset
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.project_controller import ProjectController
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)


class DatasetController(QObject):
    """Connects the browser and its actions.

    Signals:
        told, failed: a sentence for the person.
        changed: another dataset or video is open, or none; None.
    """

    told = Signal(object)
    failed = Signal(object)
    changed = Signal(object)
    _probed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        project: ProjectController,
        models: JobRunner,
        files: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._panel, self._session = window, window.dataset_panel, session
        self._project, self._models, self._files, self._services = project, models, files, services
        self._found: FoundDataset | None = None
        self._probe: Any = None
        self._names: dict[str, str] = {}
        """Name of the video at a path."""
        self._current: str | None = None
        self._target: str | None = None
        """The video that was asked for last, until it is open or cannot be opened."""
        self._expected = ""
        """What is opened for it."""
        self._unreadable: set[str] = set()
        """Videos that could not be opened: going on leads past them, choosing one tries it again."""
        self._waiting = False
        """Whether the target waits for what is being computed for the open video to end."""
        self._any_will_do = False
        """Whether nobody has chosen the target, so that another video is opened if it cannot be."""
        self._passed_over = ""
        """Why the video that was to be opened first is not the one that is."""
        actions = window.actions_table
        for action_id, slot in (
            ("open_dataset", self.ask_open),
            ("close_dataset", self.close_dataset),
            ("next_video", partial(self.step, 1)),
            ("previous_video", partial(self.step, -1)),
        ):
            actions.connect(action_id, slot)
        actions.connect_checked("video_done", self._on_done_switched)
        actions.connect_checked("dataset_panel", self._show_panel)
        self._panel.opened.connect(self.open_video)
        self._panel.done_toggled.connect(self._on_done_toggled)
        self._panel.wanted.connect(self._on_wanted)
        self._panel.sort_changed.connect(self._on_sort_changed)
        # The probe tells from its own thread: emitting is all that may happen there.
        self._probed.connect(self._on_probed, Qt.ConnectionType.QueuedConnection)
        project.dataset_found.connect(self._on_found)
        project.opened.connect(self._on_opened_or_saved)
        project.opening.connect(self._on_opening)
        project.not_opened.connect(self._on_not_opened)
        project.failed.connect(self._on_failed)
        project.failed_with_button.connect(self._on_failed)
        project.usual_project = self._usual_project
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        models.job_changed.connect(self._on_job_changed)
        self._update_actions()

    @property
    def current(self) -> str | None:
        """Name of the open video in the dataset."""
        return self._current

    @property
    def root(self) -> Path | None:
        """The folder of the open dataset, None without one."""
        return None if self._found is None else self._found.dataset.root

    @property
    def folder(self) -> Any:
        """The folder of the dataset's projects, None without a dataset."""
        return None if self._found is None else self._found.folder

    def is_open(self, name: str) -> bool:
        """Whether a video is open or about to be; from any thread."""
        return name in (self._current, self._target)

    def look_again(self, name: str) -> None:
        """The project of a video was written."""
        if self._probe is not None and self._panel.row(name) is not None:
            self._probe.refresh(name)

    def is_root(self, path: str) -> bool:
        """Whether a path is the folder of the open dataset."""
        return self._found is not None and Path(path) == self._found.dataset.root

    # The dataset

    def ask_open(self) -> None:
        """Let the person choose the folder of a dataset."""
        dialog = QFileDialog(self._window, "Open Dataset", str(self._start_folder()))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        chosen = dialog.selectedFiles() if dialog.exec() else []
        dialog.deleteLater()
        if chosen:
            self.open(chosen[0])

    def open(self, path: str) -> None:
        """List the videos of a folder, and open the one that was open last, or the first that can be."""
        self._files.submit(
            f"Looking for videos in {Path(path).name}",
            self._services.find_dataset_task,
            Path(path),
            on_done=self._on_found,
            on_error=self.failed.emit,
        )

    def close_dataset(self) -> None:
        """Put the list away; the open video stays."""
        self._end_probe()
        self._found, self._current, self._target, self._waiting = None, None, None, False
        self._any_will_do, self._passed_over = False, ""
        self._names = {}
        self._unreadable.clear()
        self._panel.set_dataset("", "", ())
        self._show_panel(False)
        self._update_actions()

    def close(self) -> None:
        """End the thread, when the application ends."""
        self._end_probe()

    @Slot(object)
    def _on_found(self, found: FoundDataset) -> None:
        self._end_probe()
        self._unreadable.clear()
        self._found = found
        dataset, state = found.dataset, found.state
        self._names = {os.path.abspath(entry.path): entry.name for entry in dataset.entries}
        rows = [VideoRow(entry, done=entry.name in state.done) for entry in dataset.entries]
        layout = "" if dataset.layout == "videos" else f"{dataset.layout} layout\n"
        tooltip = f"{dataset.root}\n{layout}{len(rows)} videos; projects are kept in {found.folder.path}"
        self._panel.set_dataset(dataset.root.name or str(dataset.root), tooltip, rows, state.sort)
        self._probe = self._services.make_dataset_probe(
            dataset.entries, found.folder.project_of, self._probed.emit
        )
        self._show_panel(True)
        self._project.opened.emit(str(dataset.root))
        self._on_opened(self._session)
        if self._current is None:
            known = {entry.name for entry in dataset.entries}
            self._any_will_do, self._passed_over = True, ""
            self._go_to(state.last if state.last in known else self._panel.names[0])

    def _end_probe(self) -> None:
        if self._probe is not None:
            self._probe.close()
            self._probe = None

    def _show_panel(self, on: bool) -> None:
        self._panel.setVisible(on)
        self._window.layout_memory.lay_out()
        self._window.actions_table["dataset_panel"].setChecked(on)

    # From video to video

    def step(self, direction: int) -> None:
        """Open the next or the previous video of the list as it is shown."""
        name = neighbour(self._panel.names, self._target or self._current, direction)
        while name in self._unreadable:
            name = neighbour(self._panel.names, name, direction)
        if name is None:
            end = "last" if direction > 0 else "first"
            self.told.emit(f"This is the {end} video of the list.")
        else:
            self.open_video(name)

    @Slot(object)
    def open_video(self, name: str) -> None:
        """Open a video of the dataset after the open one has been saved."""
        if self._found is None or name == (self._target or self._current):
            return
        self._any_will_do, self._passed_over = False, ""
        self._go_to(name)

    def _go_to(self, name: str) -> None:
        self._target = name
        self._unreadable.discard(name)
        if self._models.busy:
            self._waiting = True
            self._models.cancel_all()
        else:
            self._leave()

    def _leave(self) -> None:
        self._waiting = False
        entry = self._panel.row(self._target).entry
        path = self._found.folder.to_open(entry)
        self._expected = str(path)
        self._project.switch_to(path, self._stay)

    @Slot(object)
    def _on_job_changed(self, _job: object) -> None:
        if self._waiting and not self._models.busy:
            self._leave()

    @Slot(object)
    def _on_opening(self, path: str | None) -> None:
        if path is not None and path != self._expected:
            # Something else was asked for meanwhile.
            self._stay()

    @Slot(object)
    def _on_failed(self, message: str | tuple[Any, ...]) -> None:
        # The open video cannot be saved, or the next one not be opened.
        name, any_will_do = self._target, self._any_will_do
        self._stay()
        if name in self._unreadable and isinstance(message, str):
            self._panel.update_row(self._panel.row(name).with_(problem=message))
            other = next((other for other in self._panel.names if other not in self._unreadable), None)
            if any_will_do and other is not None:
                self._any_will_do, self._passed_over = True, self._passed_over or message
                self._go_to(other)

    @Slot(object)
    def _on_not_opened(self, path: str) -> None:
        if self._target is not None and path == self._expected:
            self._unreadable.add(self._target)

    def _stay(self) -> None:
        """Forget which video was asked for."""
        self._target, self._waiting, self._any_will_do = None, False, False

    @Slot(object)
    def _on_opened(self, session: Session) -> None:
        self._current = self._name_of(session)
        self._target, self._any_will_do = None, False
        self._unreadable.discard(self._current)
        self._panel.set_current(self._current)
        self._update_actions()
        if self._current is not None:
            row, source = self._panel.row(self._current), session.source
            media = MediaInfo(len(source), True, tuple(source.size))
            self._panel.update_row(row.with_(media=media, problem=""))
            self._remember()

    def _name_of(self, session: Session) -> str | None:
        """The open video's name in the dataset."""
        if not session.is_open or session.demo:
            return None
        path = session.source.path
        row = self._panel.row(self._target) if self._target is not None else None
        if row is not None and os.path.realpath(row.entry.path) == os.path.realpath(path):
            # A project leads to its footage past symbolic links, so the paths themselves may differ.
            return self._target
        return self._names.get(os.path.abspath(path))

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self._current = None
        self._panel.set_current(None)
        self._update_actions()

    @Slot(object)
    def _on_opened_or_saved(self, _path: str) -> None:
        if self._passed_over and self._current is not None:
            why, self._passed_over = self._passed_over, ""
            self.failed.emit(
                f"{why} It is marked in the list, and {self._session.title} opened in its place."
            )
        if self._probe is not None and self._current is not None and self._session.project is not None:
            self._probe.refresh(self._current)

    def _usual_project(self) -> Path | None:
        if self._found is None or self._current is None:
            return None
        return self._found.folder.project_of(self._panel.row(self._current).entry)

    # What is known of the videos

    def _on_done_switched(self, on: bool) -> None:
        self._mark(self._current, on)

    @Slot(object)
    def _on_done_toggled(self, name: str) -> None:
        self._mark(name, not self._panel.row(name).done)

    def _mark(self, name: str | None, done: bool) -> None:
        row = self._panel.row(name) if name is not None else None
        if row is None:
            return
        self._panel.update_row(row.with_(done=done))
        self._update_actions()

        def on_error(sentence: str) -> None:
            self._panel.update_row(self._panel.row(name).with_(done=not done))
            self._update_actions()
            self.failed.emit(sentence)

        self._files.submit(
            f"Marking {name}",
            self._services.mark_done_task,
            self._found.folder,
            name,
            done,
            background=True,
            on_error=on_error,
        )

    def _remember(self) -> None:
        self._files.submit(
            "Remembering the video",
            self._services.remember_video_task,
            self._found.folder,
            self._current,
            self._panel.sort.currentData(),
            background=True,
            on_error=self.failed.emit,
        )

    @Slot(object)
    def _on_sort_changed(self, _sort: str) -> None:
        if self._found is not None:
            self._remember()

    @Slot(object)
    def _on_wanted(self, names: list[str]) -> None:
        if self._probe is not None:
            self._probe.want(names)

    @Slot(object)
    def _on_probed(self, probed: Any) -> None:
        row = self._panel.row(probed.name)
        if row is None or self._found is None:
            return
        if probed.looked_inside:
            # What was counted when the video was open is better than what a header says.
            counted = row.media is not None and row.media.exact
            media = row.media if counted else probed.media or row.media
            # A header may be fine where opening has found out more.
            known = row.problem if probed.name in self._unreadable else ""
            row = row.with_(media=media, summary=probed.summary, problem=probed.problem or known)
            self._panel.update_row(row)
        elif probed.problem and not row.problem:
            self._panel.update_row(row.with_(problem=probed.problem))
        if probed.pictured:
            self._panel.set_picture(probed.name, probed.picture)
        if probed.picture is not None:
            height, width = probed.picture.shape[:2]
            turned = upright_size(row.media, width, height)
            if turned != row.media:
                self._panel.update_row(row.with_(media=turned))

    def _update_actions(self) -> None:
        actions, is_open = self._window.actions_table, self._found is not None
        for action_id in ("close_dataset", "dataset_panel", "next_video", "previous_video"):
            actions.enable(action_id, is_open, "Open a dataset first.")
        here = self._current is not None
        actions.enable("video_done", here, "The open video belongs to no open dataset.")
        actions["video_done"].setChecked(here and self._panel.row(self._current).done)
        self.changed.emit(None)

    def _start_folder(self) -> Path:
        if self._found is not None:
            return self._found.dataset.root
        if self._session.is_open and not self._session.demo:
            return Path(self._session.source.path).parent
        return self._project.last_folder
