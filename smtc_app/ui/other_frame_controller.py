"""The other frame: which one it is, beside the current one, or over it as an onion skin.

Its pixels come from what the window has decoded already, else from the views' worker; what is on the screen
stays until they are there.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, QSignalBlocker, Signal, Slot

from smtc_app.core.document import Change
from smtc_app.core.palette import lookup_table
from smtc_app.core.views import OtherFrame, other_frame
from smtc_app.jobs.runner import JobRunner
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.latest_job import LatestJob
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.object_tags import tags
from smtc_app.ui.session import Session

ONION_STEP = 10


class OtherFrameController(QObject):
    """Signals:
    changed: index of the other frame, or None; also when it stays the same while the current one moves.
    failed: a sentence about a frame that could not be read.
    """

    changed = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        frames: FrameController,
        runner: JobRunner,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._frames = window, session, frames
        self._clip: Any = None
        self._choice = OtherFrame.PREVIOUS_KEYFRAME
        self._fixed = 0
        self._needed_beside = self._needed = False
        self._instead: int | None = None
        self._shown: int | None = None
        self._pixels = LatestJob(runner, "Reading a frame", self)
        self._pixels.answered.connect(self._on_pixels_read)
        self._pixels.failed.connect(self.failed)
        actions, bar = window.actions_table, window.view_bar
        actions.connect_checked("side_by_side", self._on_layout_changed)
        actions.connect_checked("onion_skin", self._on_layout_changed)
        actions.connect("onion_more", partial(self._step_onion, ONION_STEP))
        actions.connect("onion_less", partial(self._step_onion, -ONION_STEP))
        actions.connect("next_other", self._choose_next)
        actions.connect("fix_other", self._fix_here)
        bar.other_chosen.connect(self.choose)
        bar.fixed_frame_changed.connect(self._on_fixed_frame_changed)
        bar.fixed_box.editingFinished.connect(window.canvas.setFocus)
        bar.onion_opacity_changed.connect(self._on_onion_opacity_changed)
        window.canvas.viewpoint_changed.connect(window.companion.view.set_viewpoint)
        window.companion.view.viewpoint_changed.connect(window.canvas.set_viewpoint)
        window.opacity_slider.valueChanged.connect(self._on_style_changed)
        for action_id in ("masks", "outline", "solo", "tags"):
            actions[action_id].toggled.connect(self._on_style_changed)
        frames.shown.connect(self._on_frame_shown)
        session.document_changed.connect(self._on_document_changed)
        session.selection_changed.connect(self._on_selection_changed)
        self._arrange()

    # What others ask for

    @property
    def index(self) -> int | None:
        """The other frame; None without a video, or where there is no other."""
        session = self._session
        if not session.is_open:
            return None
        if self._instead is not None:
            return self._instead
        return other_frame(
            self._choice,
            session.frame,
            keyframes=session.document.keyframes,
            fixed=self._fixed,
            count=session.document.frame_count,
        )

    @property
    def busy(self) -> bool:
        """Whether its pixels are still being read."""
        return self._pixels.busy

    @property
    def choice(self) -> OtherFrame:
        """How the other frame is chosen."""
        return self._choice

    def set_clip(self, clip: Any) -> None:
        """The views of the open video (`services.make_views`), None when it is closed."""
        self._clip, self._shown, self._instead, self._fixed = clip, None, None, 0
        self._pixels.drop()
        if clip is not None:
            self._window.view_bar.set_fixed_frame(0, self._session.document.frame_count)
        self._arrange()

    def need(self, *, compared: bool, beside: bool) -> None:
        """Whether the view that is on compares two frames, and shows its answer on the second one."""
        if (compared, beside) != (self._needed, self._needed_beside):
            self._needed, self._needed_beside = compared, beside
            self._update()

    def show_instead(self, index: int | None) -> None:
        """Show this frame beside whatever was chosen; None: the chosen one again."""
        if index != self._instead:
            self._instead = index
            self._update()

    def choose(self, choice: OtherFrame) -> None:
        """Choose how the other frame follows from the current one."""
        self._choice = choice
        self._update()

    # Where it is seen

    @property
    def _beside(self) -> bool:
        on = self._window.actions_table["side_by_side"].isChecked()
        return self._clip is not None and (on or self._needed_beside or self._instead is not None)

    @property
    def _over(self) -> bool:
        return self._clip is not None and self._window.actions_table["onion_skin"].isChecked()

    def _arrange(self) -> None:
        window = self._window
        over, beside = self._over, self._beside
        window.view_bar.show_other(self._choice, compared=over or beside or self._needed, onion=over)
        window.view_bar.set_fixed_frame(
            self._fixed, self._session.document.frame_count if self._session.is_open else 1
        )
        if beside and not window.companion.isVisibleTo(window):
            window.companion.show()
            half = window.view_splitter.width() // 2
            window.view_splitter.setSizes([half, half])
        elif not beside:
            window.companion.hide()
        if not over:
            window.canvas.set_onion_skin(None)
        for action_id in ("onion_more", "onion_less"):
            window.actions_table.enable(action_id, over, "Switch the onion skin on first.")

    def _update(self) -> None:
        self._arrange()
        index = self.index
        if index is not None and (self._beside or self._over):
            pixels = self._frames.cached(index)
            if pixels is not None:
                self._show(index, pixels)
            else:
                self._pixels.ask(index, self._clip.frame_task, index)
        self.changed.emit(index)

    def _show(self, index: int, pixels: np.ndarray) -> None:
        window, view = self._window, self._window.companion.view
        document = self._session.document
        if self._beside:
            if index != self._shown:
                view.set_heat_map(None)
                view.set_marks(())
            view.set_frame(pixels)
            view.set_labels(document.labels(index))
            view.set_viewpoint(window.canvas.viewpoint)
            kind = " · keyframe" if index in document.keyframes else ""
            window.companion.caption.show_text(f"Frame {index}{kind}")
            self._shown = index
            self._on_style_changed()
        if self._over:
            window.canvas.set_onion_skin(pixels, window.view_bar.onion_opacity)

    # What happens

    @Slot(object)
    def _on_frame_shown(self, _message: object) -> None:
        self._instead = None
        self._update()

    @Slot(object)
    def _on_pixels_read(self, message: tuple[int, np.ndarray]) -> None:
        index, pixels = message
        if index == self.index and self._clip is not None and (self._beside or self._over):
            self._show(index, pixels)
            # Whoever shows something on it was told before it was there.
            self.changed.emit(index)

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        if change.kind == "keyframes" and self._session.pixels is not None:
            self._update()
        elif self._shown is not None and self._beside:
            if change.kind == "labels" and self._shown in change.frames:
                self._window.companion.view.set_labels(self._session.document.labels(self._shown))
                self._show_tags()
            elif change.kind == "objects":
                self._on_style_changed()

    @Slot(object)
    def _on_selection_changed(self, _ids: object) -> None:
        self._on_style_changed()

    @Slot()
    def _on_style_changed(self, _value: object = None) -> None:
        session, view = self._session, self._window.companion.view
        if not session.is_open or not self._beside:
            return
        actions = self._window.actions_table
        view.set_lut(lookup_table(session.document.objects.values(), hidden=session.hidden_ids()))
        view.set_selected(session.selection)
        view.set_opacity(self._window.opacity_slider.value() / 100)
        view.set_masks_visible(actions["masks"].isChecked())
        # Filled masks would hide the answer of a view that is shown over them.
        view.set_outline(actions["outline"].isChecked() or self._needed_beside)
        self._show_tags()

    def _show_tags(self) -> None:
        """Number the objects that look alike, as on the canvas."""
        session = self._session
        on = self._window.actions_table["tags"].isChecked() and self._shown is not None
        labels = session.document.labels(self._shown) if on else None
        self._window.companion.view.set_tags(tags(labels, session.shown_colours()) if on else ())

    def _on_layout_changed(self, _on: bool) -> None:
        self._update()

    def _step_onion(self, by: int) -> None:
        slider = self._window.view_bar.onion_slider
        slider.setValue(slider.value() + by)

    @Slot(object)
    def _on_onion_opacity_changed(self, _opacity: float) -> None:
        if self._over:
            self._update()

    def _choose_next(self) -> None:
        choices = list(OtherFrame)
        self.choose(choices[(choices.index(self._choice) + 1) % len(choices)])

    def _fix_here(self) -> None:
        self._fixed = self._session.frame
        self.choose(OtherFrame.FIXED)

    @Slot(object)
    def _on_fixed_frame_changed(self, index: int) -> None:
        self._fixed = index
        with QSignalBlocker(self._window.view_bar):
            self.choose(OtherFrame.FIXED)
