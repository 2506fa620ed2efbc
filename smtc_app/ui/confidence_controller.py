"""Opens the window with the confidence curves and keeps it true to the session while it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Slot

from smtc_app.core.document import Change
from smtc_app.ui.frame_controller import FrameController
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.session import Session

if TYPE_CHECKING:
    from smtc_app.ui.confidence_plot import ConfidencePlot

REFRESH_MS = 200
"""A propagation changes every curve with every frame; they are drawn anew at most this often."""


class ConfidenceController(QObject):
    """The plot is made when it is first asked for: pyqtgraph takes a while to import."""

    def __init__(
        self, session: Session, frames: FrameController, window: MainWindow, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._frames, self._window = session, frames, window
        self.plot: ConfidencePlot | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_MS)
        self._timer.timeout.connect(self._refresh)
        session.document_changed.connect(self._on_document_changed)
        session.selection_changed.connect(self._on_selection_changed)
        session.closed.connect(self._on_closed)
        frames.requested.connect(self._on_frame_requested)
        window.actions_table.connect("confidence_plot", self.show)

    def show(self) -> None:
        """Open the window, or bring it to the front."""
        from smtc_app.ui.confidence_plot import ConfidencePlot

        if self.plot is None:
            self.plot = ConfidencePlot(self._window)
            self.plot.frame_requested.connect(self._frames.go_to)
        self._refresh()
        self.plot.set_current(self._session.frame)
        self.plot.show()
        self.plot.activateWindow()

    @Slot(object)
    def _on_document_changed(self, change: Change) -> None:
        if change.kind in ("objects", "status"):
            self._refresh_soon()

    @Slot(object)
    def _on_selection_changed(self, _selection: object) -> None:
        self._refresh_soon()

    @Slot(object)
    def _on_closed(self, _nothing: object) -> None:
        self._timer.stop()
        if self.plot is not None:
            self.plot.close()

    @Slot(object)
    def _on_frame_requested(self, frame: int) -> None:
        if self.plot is not None:
            self.plot.set_current(frame)

    def _refresh_soon(self) -> None:
        if self.plot is not None and self.plot.isVisible() and not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _refresh(self) -> None:
        from smtc_app.ui.confidence_plot import ConfidenceCurve

        document = self._session.document
        if document is None or self.plot is None:
            return
        self.plot.set_curves(
            document.frame_count,
            [
                ConfidenceCurve(
                    info.id,
                    info.name,
                    tuple(info.colour),
                    document.confidence_array(info.id),
                    selected=info.id in self._session.selection,
                )
                for info in document.objects.values()
            ],
        )
