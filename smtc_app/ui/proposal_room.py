"""Gives the room of the proposals panel to the objects while there are no proposals.

The empty panel keeps its head (Propose, Clip, granularity), and comes back with the height it had. Under the
cursor it does not go: whoever moves its slider, or answers its last card, still has the hand there.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QSplitter, QWidget

from smtc_app.ui.proposal_panel import ProposalPanel

ANY_HEIGHT_PX = (1 << 24) - 1
"""Qt's QWIDGETSIZE_MAX: no limit."""
LARGEST_SHARE = 0.75
"""Of the splitter, for a height that was chosen on a larger screen."""


class ProposalRoom(QObject):
    """Watches the panel, which is the last widget of a vertical splitter of two."""

    def __init__(self, splitter: QSplitter, panel: ProposalPanel) -> None:
        super().__init__(splitter)
        self._splitter, self._panel = splitter, panel
        self._height_px = 0
        """As last chosen; 0: half of the room."""
        self._is_compact = False
        panel.filled.connect(self._on_filled)
        panel.installEventFilter(self)
        self._follow()

    @property
    def height_px(self) -> int:
        """The height of the panel when it has proposals; 0 as long as it is half of the room."""
        shown = self._panel.height() if self._splitter.isVisible() and not self._is_compact else 0
        return shown or self._height_px

    def set_height(self, height_px: int) -> None:
        """Use a height that was noted before."""
        self._height_px = height_px
        if not self._is_compact:
            self._expand()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """The cursor has left: what was put off may be done. Another width: the note needs another height."""
        if event.type() == QEvent.Type.Leave:
            self._follow(left=True)
        elif event.type() == QEvent.Type.Resize and self._is_compact and _is_wider_or_narrower(event):
            self._fit()
        return super().eventFilter(watched, event)

    @Slot(object)
    def _on_filled(self, _nothing: object) -> None:
        self._follow()
        if self._is_compact:
            self._fit()

    def _follow(self, *, left: bool = False) -> None:
        is_empty = self._panel.is_empty
        if is_empty == self._is_compact:
            return
        if not is_empty:
            self._is_compact = False
            self._panel.setMaximumHeight(ANY_HEIGHT_PX)
            self._expand()
        elif left or not self._panel.underMouse():
            self._height_px = self.height_px
            self._is_compact = True
            self._fit()

    def _fit(self) -> None:
        self._panel.setMaximumHeight(self._panel.compact_height(self._splitter.width()))
        self._give(self._panel.maximumHeight())

    def _expand(self) -> None:
        total = sum(self._splitter.sizes())
        self._give(min(self._height_px or total // 2, round(LARGEST_SHARE * total)))

    def _give(self, height_px: int) -> None:
        total = sum(self._splitter.sizes())
        if total > 0:
            self._splitter.setSizes([total - height_px, height_px])


def _is_wider_or_narrower(event: QResizeEvent) -> bool:
    return event.size().width() != event.oldSize().width()


def side_splitter(objects: QWidget, proposals: ProposalPanel) -> tuple[QSplitter, ProposalRoom]:
    """The two panels, one over the other, and what shares the room out between them."""
    side = QSplitter(Qt.Orientation.Vertical)
    side.addWidget(objects)
    side.addWidget(proposals)
    # A larger window has more room for both: proposals come first, and objects last longer.
    side.setStretchFactor(0, 1)
    side.setStretchFactor(1, 1)
    return side, ProposalRoom(side, proposals)
