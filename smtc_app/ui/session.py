"""What is open: footage, document, undo history, selection. Controllers share it; widgets never see it.

Everything here belongs to the GUI thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from PySide6.QtCore import QObject, Signal

from smtc_app.core.annotation import Colour
from smtc_app.core.document import Change, Document
from smtc_app.core.errors import UserError
from smtc_app.core.undo import UndoStack

if TYPE_CHECKING:
    from smtc_app.core.commands import Command
    from smtc_app.core.new_objects import NewObject
    from smtc_app.core.replay import PropagationRun

logger = logging.getLogger(__name__)


class Session(QObject):
    """The open video with its document, or nothing.

    Signals:
        opened: the session, after footage and document have been set.
        closed: None, after both are gone.
        document_changed: every `Change` of the document.
        history_changed: None; what can be undone and redone, or `modified`, may be different now.
        selection_changed: selected ids, the active one first.
        failed: a sentence for the person about an edit that was refused.
    """

    opened = Signal(object)
    closed = Signal(object)
    document_changed = Signal(object)
    history_changed = Signal(object)
    selection_changed = Signal(object)
    failed = Signal(object)

    def __init__(self, undo_limit_bytes: int, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._undo_limit_bytes = undo_limit_bytes
        self._unsubscribe: Callable[[], None] | None = None
        self.source: Any = None
        self.document: Document | None = None
        self.undo: UndoStack | None = None
        self.project: Path | None = None
        self.demo = False
        self.runs: list[PropagationRun] = []
        """How the propagated labels were made, for replaying and for the provenance."""
        self.categories: tuple[str, ...] = ()
        """The project's list of categories, besides those that its objects have."""
        self.new_objects: tuple[NewObject, ...] = ()
        """What the alarm has marked and nobody has answered."""
        self.release_project: Callable[[], None] | None = None
        """Gives up the right to write into the project's folder."""
        self.frame = 0
        """Index of the frame that the canvas shows."""
        self.pixels: np.ndarray | None = None
        """That frame, uint8 (H,W,3)."""
        self._selection: tuple[int, ...] = ()
        self._selected_before: WeakKeyDictionary[Command, tuple[int, ...]] = WeakKeyDictionary()
        """What was selected when a step was done, as long as the history keeps it."""
        self.solo = False
        self.settle: Callable[..., None] = lambda then, or_else=None: then()
        """(then, or_else): calls `then` after the edits that are still being worked out, `or_else` in its
        place when they are given up; asked where history or file matter."""
        self.unsettled: Callable[[], bool] = lambda: False
        """Whether edits are still being worked out."""

    @property
    def is_open(self) -> bool:
        """Whether there is anything to annotate."""
        return self.document is not None

    @property
    def title(self) -> str:
        """What the window is called after: the project, else the footage."""
        if self.project is not None:
            return self.project.name
        return Path(self.source.path).name if self.source is not None else ""

    @property
    def selection(self) -> tuple[int, ...]:
        """Selected ids that exist, the active one (painted with) first."""
        return self._selection

    @property
    def active(self) -> int | None:
        """The object that brush, fill and polygon paint."""
        return self._selection[0] if self._selection else None

    def open(self, source: Any, document: Document, *, demo: bool = False) -> None:
        """Take over footage and document; the caller has closed what was open before."""
        self.source, self.document, self.demo = source, document, demo
        self.undo = UndoStack(document, limit_bytes=self._undo_limit_bytes)
        self.frame, self.pixels = 0, None
        self.solo = False
        self._selection = tuple(list(document.objects)[:1])
        self._unsubscribe = document.subscribe(self._on_document_changed)
        self.opened.emit(self)
        self.history_changed.emit(None)
        self.selection_changed.emit(self._selection)

    def close(self) -> None:
        """Let go of everything that was open."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        source, document = self.source, self.document
        self.source = self.document = self.undo = self.pixels = None
        self._selection, self.frame, self.solo, self.demo = (), 0, False, False
        self.runs = []
        self.categories = ()
        self.new_objects = ()
        self.set_project(None, None)
        self.closed.emit(None)
        if source is not None:
            source.close()
        if document is not None:
            document.close()

    def set_project(self, project: Path | None, release: Callable[[], None] | None) -> None:
        """The folder this is saved in from now on, and what gives it up; the one before is given up."""
        if self.release_project is not None and release is not self.release_project:
            self.release_project()
        self.project, self.release_project = project, release

    def push(self, command: Command) -> bool:
        """Do a command; a refusal is told and nothing is changed."""
        if self.undo is None:
            return False
        selection = self._selection
        try:
            if self.undo.push(command):
                self._selected_before.setdefault(command, selection)
        except UserError as error:
            self.failed.emit(str(error))
            return False
        self.history_changed.emit(None)
        return True

    def step_history(self, forward: bool) -> None:
        """Undo or redo one step, after the edits that are still being worked out."""
        self.settle(partial(self._step_history, forward))

    def _step_history(self, forward: bool) -> None:
        if self.undo is None or not (self.undo.can_redo if forward else self.undo.can_undo):
            return
        step, known = self.undo.state().top, set(self.document.objects)
        try:
            if forward:
                self.undo.redo()
            else:
                self.undo.undo()
        except UserError as error:
            self.failed.emit(str(error))
        added = [i for i in self.document.objects if i not in known]
        # Painting goes on in the objects that the step is about, not in whichever took their place.
        if forward and added:
            self.select(added)
        elif not forward and known != set(self.document.objects):
            self.select(self._selected_before.get(step, self._selection))
        self.history_changed.emit(None)

    def select(self, ids: Sequence[int]) -> None:
        """Select these objects; the first becomes the active one."""
        known = self.document.objects if self.document is not None else {}
        chosen = tuple(dict.fromkeys(i for i in ids if i in known))
        if chosen != self._selection:
            self._selection = chosen
            self.selection_changed.emit(chosen)

    def hidden_ids(self) -> set[int]:
        """Ids that are not drawn because others are shown alone."""
        if not self.solo or not self._selection or self.document is None:
            return set()
        return set(self.document.objects) - set(self._selection)

    def shown_colours(self) -> dict[int, Colour]:
        """{id: RGB} of the objects that are drawn."""
        hidden = self.hidden_ids()
        objects = self.document.objects.values() if self.document is not None else ()
        return {info.id: tuple(info.colour) for info in objects if info.visible and info.id not in hidden}

    def _on_document_changed(self, change: Change) -> None:
        if change.kind == "objects":
            self.select(self._selection)
        self.document_changed.emit(change)
        if change.kind == "modified":
            self.history_changed.emit(None)
