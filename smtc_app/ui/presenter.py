"""Keeps what the widgets show true to the session: picture, masks, lists, timeline, enabled actions.

Changes come in bursts (a propagation delivers many frames a second), so everything but the picture is brought
up to date at most every `REFRESH_MS`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal, Slot

from smtc_app.core.document import Change, FrameStatus
from smtc_app.core.palette import lookup_table
from smtc_app.ui.action_specs import ACTIONS
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.object_list import ObjectRow
from smtc_app.ui.object_tags import tags
from smtc_app.ui.session import Session
from smtc_app.ui.thumbnails import ThumbnailLoader
from smtc_app.ui.timeline_model import LaneModel

logger = logging.getLogger(__name__)

REFRESH_MS = 60
WORST_QUEUE = 20
"""How many of the least sure frames are gone through before it starts again."""
ALWAYS_ENABLED = frozenset(
    {
        "open",
        "open_folder",
        "open_dataset",
        "open_demo",
        "quit",
        "theme_system",
        "theme_dark",
        "theme_light",
        "full_screen",
        "shortcuts",
        "about",
    }
)
ENABLED_ELSEWHERE = frozenset(
    {"undo", "redo", "close_dataset", "dataset_panel", "next_video", "previous_video", "video_done"}
    | {"onion_more", "onion_less", "propose_all", "merge_proposals"}
)
"""Actions that depend on more than whether a video is open."""
NO_PROPOSALS = "This frame has no proposals."
NEED_PROPOSALS = frozenset(
    {"accept_all", "accept_here", "reject_all", "choose_proposal", "next_proposal", "previous_proposal"}
)
NEED_SELECTED: dict[str, int] = {
    **dict.fromkeys(("merge", "merge_here", "swap_here", "swap_onward"), 1),
    **{f"propagate_selected_{way}": 1 for way in ("forward", "backward", "both")},
    **dict.fromkeys(("split", "split_here", "delete", "clear_here", "rename", "recolour", "category"), 1),
    **dict.fromkeys(("visible", "lock", "solo", "deselect", "move_up", "move_down"), 1),
    **dict.fromkeys(("fill_holes", "remove_specks", "grow", "shrink", "smooth"), 1),
}
"""How many objects have to be selected for an action on them."""


def object_rows(session: Session) -> list[ObjectRow]:
    """The list of objects for the panel, with their areas on this frame."""
    document = session.document
    if document is None:
        return []
    return [
        ObjectRow(
            info.id,
            info.name,
            info.category,
            tuple(info.colour),
            info.visible,
            info.locked,
            document.area(session.frame, info.id),
        )
        for info in document.objects.values()
    ]


class Presenter(QObject):
    """Listens to the session and the frame controller; writes to the window only.

    Signals:
        refreshed: None, after what may wait has been shown: a new frame, a changed label or status.
    """

    refreshed = Signal(object)

    def __init__(
        self, session: Session, frames: FrameController, window: MainWindow, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._frames, self._window = session, frames, window
        self._stale: set[str] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._refresh)
        self.busy = False
        self._tagging = True
        self.has_choice: Callable[[], bool] = lambda: False
        """Whether some proposals are chosen, on whichever frame."""
        self._thumbnails: ThumbnailLoader | None = None
        self._lanes: set[int] = set()
        """Objects whose lanes are out of date."""
        session.opened.connect(self._on_opened)
        session.closed.connect(self._on_closed)
        session.document_changed.connect(self._on_document_changed)
        session.history_changed.connect(self._on_history_changed)
        session.selection_changed.connect(self._on_selection_changed)
        frames.requested.connect(self._on_frame_requested)
        frames.shown.connect(self._on_frame_shown)
        self.update_actions()

    # What is shown at once

    @Slot(object)
    def _on_opened(self, session: Session) -> None:
        source = session.source
        window = self._window
        count = len(source)
        window.status_labels.set_source(count, source.timestamp(count - 1), source.size)
        window.timeline.set_frame_count(count, source.fps, source.timestamp)
        window.transport.set_frame_count(count, source.fps, source.timestamp)
        self._lanes.clear()
        window.set_open(True)
        self._thumbnails = ThumbnailLoader(source.reopen)
        window.timeline.set_thumbnail_provider(self._thumbnails)
        self._lanes.update(session.document.objects)
        self.invalidate("objects", "lanes", "keyframes")
        self._refresh()
        self._on_history_changed()

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self._timer.stop()
        self._stale.clear()
        if self._thumbnails is not None:
            self._window.timeline.set_thumbnail_provider(None)
            self._thumbnails.close()
            self._thumbnails = None
        window = self._window
        window.canvas.cancel_gesture()
        window.set_open(False)
        window.status_labels.clear()
        window.object_panel.set_rows(())
        window.set_title("", False)
        self.update_actions()

    @Slot(object)
    def _on_frame_requested(self, index: int) -> None:
        self._window.timeline.set_current(index)
        self._window.transport.set_current(index)
        source = self._session.source
        self._window.status_labels.set_frame(index, len(source), source.timestamp(index))

    @Slot(object)
    def _on_frame_shown(self, message: tuple[int, np.ndarray]) -> None:
        session, canvas = self._session, self._window.canvas
        session.frame, session.pixels = message
        canvas.set_frame(session.pixels)
        canvas.set_labels(session.document.labels(session.frame))
        self._show_tags()
        self._enable_answers()
        self.invalidate("objects", "keyframes")

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        session = self._session
        here = session.frame in change.frames
        if change.kind == "labels":
            if here:
                self._window.canvas.set_labels(session.document.labels(session.frame))
                self._show_tags()
            self.invalidate("objects")
        elif change.kind == "status":
            self._lanes.update(change.objects)
            self.invalidate("lanes")
        elif change.kind == "objects":
            self._show_colours()
            self.show_active()
            self._lanes.update(change.objects)
            self.invalidate("objects", "lanes")
        elif change.kind == "proposals":
            if here:
                # At once: a person who waited for them may press Enter faster than the list is filled.
                self.update_actions()
                self.invalidate("proposals")
        elif change.kind in ("keyframes", "locked"):
            self.invalidate("keyframes")

    @Slot(object)
    def _on_selection_changed(self, ids: tuple[int, ...]) -> None:
        self._window.object_panel.select(ids)
        if self._session.solo:
            self._show_colours()
        self.show_active()
        self.update_actions()

    def show_active(self) -> None:
        """Tell the canvas and the timeline which object is being painted."""
        session, canvas = self._session, self._window.canvas
        document = session.document
        if document is None:
            return
        active = session.active if session.active is not None else document.free_object_id()
        colour = document.objects[active].colour if active in document.objects else None
        canvas.set_active(active, colour, locked_ids=document.locked_objects)
        canvas.set_selected(session.selection)
        self._window.timeline.set_selected(session.selection)

    def set_solo(self, on: bool) -> None:
        """Draw the selected objects only, or all."""
        self._session.solo = on
        self._show_colours()

    def set_tagging(self, on: bool) -> None:
        """Number objects that look alike, or none."""
        self._tagging = on
        self._show_tags()

    def _show_colours(self) -> None:
        session = self._session
        hidden = session.hidden_ids()
        self._window.canvas.set_lut(lookup_table(session.document.objects.values(), hidden=hidden))
        self._show_tags()

    def _show_tags(self) -> None:
        """Number the objects that look alike, of those that are shown on this frame."""
        session = self._session
        if session.pixels is None:
            return
        colours = session.shown_colours() if self._tagging else {}
        self._window.canvas.set_tags(tags(session.document.labels(session.frame), colours))

    @Slot(object)
    def _on_history_changed(self, _nothing: object = None) -> None:
        session, actions = self._session, self._window.actions_table
        undo = session.undo
        for action_id, verb, able, text in (
            ("undo", "Undo", undo is not None and undo.can_undo, undo.undo_text if undo else ""),
            ("redo", "Redo", undo is not None and undo.can_redo, undo.redo_text if undo else ""),
        ):
            action = actions[action_id]
            action.setText(f"{verb} {text}" if able else verb)
            actions.set_tooltip(action_id, f"{verb}: {text}" if able else verb)
            actions.enable(action_id, able, f"There is nothing to {verb.lower()}.")
        if session.is_open:
            self._window.set_title(session.title, session.document.modified)

    # What may wait for a moment

    def invalidate(self, *what: str) -> None:
        """Bring `objects`, `lanes`, `keyframes` up to date soon; what else is named, its readers will."""
        self._stale.update(what)
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _refresh(self) -> None:
        if not self._session.is_open:
            return
        stale, self._stale = self._stale, set()
        if "objects" in stale:
            self._window.object_panel.set_rows(object_rows(self._session))
            self._window.object_panel.select(self._session.selection)
        if "lanes" in stale:
            self._show_lanes()
        if "keyframes" in stale:
            self._show_keyframes()
        self.update_actions()
        self.refreshed.emit(None)

    def _show_lanes(self) -> None:
        document, timeline = self._session.document, self._window.timeline
        timeline.set_lanes(
            [
                LaneModel(info.id, info.name, tuple(info.colour), info.visible, info.locked)
                for info in document.objects.values()
            ]
        )
        changed = self._lanes & set(document.objects)
        self._lanes.clear()
        for object_id in changed:
            timeline.set_lane_states(object_id, document.status_array(object_id))
            timeline.set_confidence(object_id, document.confidence_array(object_id))
        timeline.set_selected(self._session.selection)
        self._window.show_out_of_date(bool(document.stale_objects()))

    def _show_keyframes(self) -> None:
        document, timeline = self._session.document, self._window.timeline
        timeline.set_keyframes(document.keyframes)
        timeline.set_locked(tuple(sorted(document.locked_frames)))

    def update_actions(self) -> None:
        """Enable what can be done now, and give shared keys to whom they belong now."""
        session, actions = self._session, self._window.actions_table
        is_open = session.is_open
        document = session.document
        pending = document is not None and bool(document.proposals(session.frame))
        for spec in ACTIONS:
            if spec.id in ALWAYS_ENABLED | ENABLED_ELSEWHERE:
                continue
            if spec.id == "cancel":
                actions.enable(spec.id, self.busy, "Nothing is running.")
            elif not is_open:
                actions.enable(spec.id, False, "Open a video first.")
            elif spec.id in NEED_PROPOSALS:
                clears = spec.id == "reject_all" and self.has_choice()
                actions.enable(spec.id, pending or clears, NO_PROPOSALS)
            elif len(session.selection) < NEED_SELECTED.get(spec.id, 0):
                least = "an object" if NEED_SELECTED[spec.id] == 1 else "two objects"
                actions.enable(spec.id, False, f"Select {least} first.")
            else:
                actions.enable(spec.id, True)
        if self.busy:
            actions.set_key_owner("cancel", "reject_all")
        else:
            actions.set_key_owner("reject_all", "cancel")
        actions["keyframe"].setChecked(document is not None and session.frame in document.keyframes)
        actions["lock_frame"].setChecked(document is not None and document.is_locked(session.frame))
        actions["solo"].setChecked(session.solo)

    def _enable_answers(self) -> None:
        document = self._session.document
        pending = document is not None and bool(document.proposals(self._session.frame))
        for action_id in sorted(NEED_PROPOSALS):
            clears = action_id == "reject_all" and self.has_choice()
            self._window.actions_table.enable(action_id, pending or clears, NO_PROPOSALS)

    def next_worst(self, frame: int) -> tuple[int, int, float] | None:
        """(frame, object, confidence) of the least sure propagated label, or of the next one after `frame`.

        From anywhere the worst frame comes first; asked again on it, the one that is worse than all but that.
        """
        document = self._session.document
        worst: list[tuple[float, int, int]] = []
        for object_id in document.objects:
            confidence = document.confidence_array(object_id)
            unsure = document.status_array(object_id) == FrameStatus.PROPAGATED
            for index in np.flatnonzero(unsure & ~np.isnan(confidence)):
                worst.append((float(confidence[index]), int(index), object_id))
        if not worst:
            return None
        best_of_frame: dict[int, tuple[float, int, int]] = {}
        for entry in worst:
            best_of_frame[entry[1]] = min(best_of_frame.get(entry[1], entry), entry)
        queue = sorted(best_of_frame.values())
        frames = [entry[1] for entry in queue]
        position = (frames.index(frame) + 1) % len(queue) if frame in frames[:WORST_QUEUE] else 0
        confidence, index, object_id = queue[position % min(WORST_QUEUE, len(queue))]
        return index, object_id, confidence

    def describe(self, object_id: int) -> str:
        """An object's number, name and how its label on this frame came about."""
        document, frame = self._session.document, self._session.frame
        info = document.objects.get(object_id)
        if info is None:
            return ""
        status = document.status(frame, object_id)
        return f"{object_id} {info.name}" + provenance(
            status, document.confidence(frame, object_id), document.sources(frame, object_id)
        )


def provenance(status: FrameStatus, confidence: float | None, sources: Sequence[int]) -> str:
    """How a label came about, in words that follow the object's name; "" where there is none."""
    if status == FrameStatus.ABSENT:
        return ""
    words = {
        FrameStatus.MANUAL: "drawn by hand",
        FrameStatus.PROPOSED: "accepted proposal",
        FrameStatus.CORRECTED: "corrected by hand",
        FrameStatus.STALE: "out of date, propagated",
    }
    text = f" · {words.get(status, 'propagated')}"
    if sources:
        shown = " and ".join(str(frame) for frame in sources)
        text += f" from frame{'s' if len(sources) > 1 else ''} {shown}"
    return text + (f" · {confidence:.0%} sure" if confidence is not None else "")
