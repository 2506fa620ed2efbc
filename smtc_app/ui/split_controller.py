"""Splitting an object: into its connected parts or by slot, on the frame in sight and on all that show it.

The frame in sight is split first; the parts are then carried over the video by the worker, as part of the
same step. Cancelling keeps what came: frames that were not reached are out of date.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from smtc_app.core import commands
from smtc_app.core.annotation import FrameStatus
from smtc_app.core.command import counted
from smtc_app.core.document import Document
from smtc_app.core.mask_regions import connected_parts
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.services import Services
from smtc_app.ui.session import Session

logger = logging.getLogger(__name__)

SPECK_AREA_PX = 64
PARTS = 2


class SplitController(QObject):
    """Connects the actions that split.

    Signals:
        told, failed: a sentence for the person.
    """

    told = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        prompts: JobRunner,
        runner: JobRunner,
        services: Services,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._prompts, self._runner, self._services = session, prompts, runner, services
        self.model_settings: Callable[[], dict[str, Any]] = dict
        self.propagation_settings: Callable[[], dict[str, Any]] = dict
        window.actions_table.connect("split", partial(self.split, everywhere=True))
        window.actions_table.connect("split_here", partial(self.split, everywhere=False))

    def split(self, *, everywhere: bool) -> None:
        """Split the active object into connected parts; by slot when it is one part."""
        session, document = self._session, self._session.document
        if document is None:
            return
        if session.active is None:
            self.told.emit("Select the object to split.")
            return
        if len(session.selection) > 1:
            self._split_several(document, session.selection)
            return
        object_id, frame = session.active, session.frame
        info, mask = document.objects[object_id], document.labels(frame) == object_id
        if not mask.any():
            self.told.emit(f"'{info.name}' is not on this frame, so there is nothing to split.")
            return
        parts = connected_parts(mask, min_area_px=SPECK_AREA_PX)
        if len(parts) >= 2:
            self._apply(document, frame, object_id, parts, everywhere)
            return
        before = document.packed(frame)

        def on_done(parts: list[np.ndarray]) -> None:
            if document is not session.document:
                return
            if document.packed(frame) is not before:
                self.told.emit("The masks of that frame have changed since: split again.")
            elif len(parts) < 2:
                self.told.emit("Slot attention finds one part only: cut it with the polygon or the eraser.")
            else:
                self._apply(document, frame, object_id, parts, everywhere)

        self._prompts.submit(
            f"Splitting '{info.name}' by slot",
            self._services.split_task,
            session.source,
            frame,
            mask,
            parts=PARTS,
            on_done=on_done,
            on_error=self.failed.emit,
            **self.model_settings(),
        )

    def _split_several(self, document: Document, chosen: Sequence[int]) -> None:
        """Cut every object that has more than one connected part here, in one step, on this frame only."""
        frame, steps = self._session.frame, []
        for object_id in chosen:
            parts = connected_parts(document.labels(frame) == object_id, min_area_px=SPECK_AREA_PX)
            if len(parts) >= 2:
                ordered = sorted(parts, key=np.count_nonzero, reverse=True)
                steps.append(commands.SplitObject(frame, object_id, ordered))
        if not steps:
            self.told.emit(
                "Each of the selected objects is one part on this frame: select a single one to split it by "
                "slot."
            )
        elif self._session.push(commands.Compound(steps, f"Split {counted(len(steps), 'object')}")):
            self._session.select([i for step in steps for i in step.object_ids])

    def _apply(
        self,
        document: Document,
        frame: int,
        object_id: int,
        parts: Sequence[np.ndarray],
        everywhere: bool,
    ) -> None:
        ordered = sorted(parts, key=np.count_nonzero, reverse=True)
        command = commands.SplitObject(frame, object_id, ordered)
        if not self._session.push(command):
            return
        self._session.select(command.object_ids)
        shown = np.flatnonzero(command.status_before != FrameStatus.ABSENT)
        others = [int(f) for f in shown if f != frame and not document.is_locked(int(f))]
        masks = {f: document.packed(f) for f in others if document.has_labels(f)}
        if not masks:
            return
        if everywhere:
            self._extend(document, command, frame, masks)
        else:
            self.told.emit(
                f"Split on this frame only; on {counted(len(masks), 'other frame')} the parts are still one."
            )

    def _extend(
        self, document: Document, command: commands.SplitObject, frame: int, masks: dict[int, Any]
    ) -> None:
        session, labels = self._session, np.array(document.labels(frame))
        labels[~np.isin(labels, command.object_ids)] = 0
        done: set[int] = set()

        def on_partial(message: tuple[int, np.ndarray]) -> None:
            index, parts = message
            if document is not session.document:
                return
            if not set(command.object_ids) <= set(document.objects):
                job.cancel()  # undone, merged or deleted meanwhile
            elif document.packed(index) is masks[index]:
                session.push(commands.ExtendSplit(command, index, parts))
                done.add(index)

        def on_ended(*_result: Any) -> None:
            if document is not session.document:
                return
            session.undo.close_step()
            missing = len(masks) - len(done)
            note = f"; {counted(missing, 'frame')} could not be reached" if missing else ""
            self.told.emit(f"Split on {counted(len(done) + 1, 'frame')}{note}.")

        def on_error(sentence: str) -> None:
            on_ended()
            self.failed.emit(sentence)

        job = self._runner.submit(
            f"Splitting on {counted(len(masks), 'more frame')}",
            self._services.extend_split_task,
            session.source,
            frame,
            labels,
            masks,
            command.object_id,
            on_partial=on_partial,
            on_done=on_ended,
            on_cancelled=on_ended,
            on_error=on_error,
            **self.propagation_settings(),
        )
