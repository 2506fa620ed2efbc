"""A card over the canvas that says what went wrong or what happened, without stopping anybody.

It lies over its parent and not beside it: the picture must not move because a message comes or goes.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QElapsedTimer, QEvent, QObject, QSize, Qt, QTimer, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QToolButton, QWidget

from smtc_app.ui.theme import MARGIN_PX, SPACING_PX, Theme

INFO_SHOWN_MS = 8000
LEAST_SHOWN_MS = 2500
OFFSET_PX = 12
NARROWEST_PX, WIDEST_PX = 320, 820
CLOSE_TIP = "Close this message"
_ICONS = {"info": "info", "warning": "warning", "error": "error"}


class Banner(QFrame):
    """Shows one message at a time; a `warning` or `error` stays until closed.

    An `info` goes by itself, or, where it has a button, when the person has gone on (`let_go`).
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        parent.installEventFilter(self)
        self._top_px = OFFSET_PX
        self._kind = "info"
        self._slot: Callable[[], object] | None = None
        self._closed_slot: Callable[[], object] | None = None
        self._icon = QLabel()
        self._text = QLabel()
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._text.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self._button = QPushButton()
        # With the banner its focus would go on to some text field, which then took the keys of the window.
        self._button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._button.clicked.connect(self._on_button_clicked)
        self._close = QToolButton()
        self._close.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._close.setIconSize(QSize(16, 16))
        self._close.clicked.connect(self._on_close_clicked)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(MARGIN_PX, 6, SPACING_PX, 6)
        layout.setSpacing(SPACING_PX)
        layout.addWidget(self._icon)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._button)
        layout.addWidget(self._close)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.hide)
        self._shown = QElapsedTimer()
        Theme.current().changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.hide()

    @property
    def text(self) -> str:
        """The message, empty when none is shown."""
        return self._text.text() if self.isVisibleTo(self.parentWidget()) else ""

    @property
    def kind(self) -> str:
        """`info`, `warning` or `error`."""
        return self._kind

    def show_message(
        self,
        text: str,
        *,
        kind: str = "info",
        button: str = "",
        slot: Callable[[], object] | None = None,
        close_tip: str = CLOSE_TIP,
        closed: Callable[[], object] | None = None,
    ) -> None:
        """Show `text`; `button` is the caption of a button that calls `slot` and closes the banner.

        `closed` is called when the person closes it, which is an answer, too; `close_tip` says what it means.
        """
        self._kind, self._slot, self._closed_slot = kind, slot, closed
        self._close.setToolTip(close_tip)
        self._text.setText(text)
        self._button.setText(button)
        self._button.setVisible(bool(button))
        self.setProperty("kind", kind)
        self.style().unpolish(self)
        self.style().polish(self)
        self._on_theme_changed()
        self._timer.stop()
        if kind == "info" and not button:
            self._timer.start(INFO_SHOWN_MS)
        self._shown.start()
        self.show()
        self._place()

    def let_go(self) -> None:
        """The person has gone on with something else: an `info` that could be read by now goes."""
        if self.isVisible() and self._kind == "info" and self._shown.hasExpired(LEAST_SHOWN_MS):
            self.hide()

    def leave_room(self, height_px: int) -> None:
        """Stay below a bar of this height at the parent's upper edge."""
        self._top_px = height_px + OFFSET_PX
        if self.isVisible():
            self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the middle of the upper edge when the parent changes its size."""
        if event.type() in (QEvent.Type.Resize, QEvent.Type.Show) and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def _place(self) -> None:
        room = self.parentWidget().width() - 2 * OFFSET_PX
        wanted = self._text.fontMetrics().horizontalAdvance(self._text.text()) + self._extra_width()
        width = max(min(wanted, room, WIDEST_PX), min(room, NARROWEST_PX))
        self.layout().activate()
        layout = self.layout()
        # The total ones count the border that the style sheet draws, too.
        height = max(layout.totalHeightForWidth(width), layout.totalMinimumSize().height())
        self.setGeometry((self.parentWidget().width() - width) // 2, self._top_px, width, height)
        self.raise_()

    def _extra_width(self) -> int:
        button = self._button.sizeHint().width() + SPACING_PX if not self._button.isHidden() else 0
        return button + self._close.sizeHint().width() + 20 + 2 * MARGIN_PX + 4 * SPACING_PX

    @Slot()
    def _on_button_clicked(self) -> None:
        self.hide()
        if self._slot is not None:
            self._slot()

    @Slot()
    def _on_close_clicked(self) -> None:
        self.hide()
        if self._closed_slot is not None:
            self._closed_slot()

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        theme = Theme.current()
        c = theme.colours
        colour = {"info": c.accent, "warning": c.warning, "error": c.error}[self._kind]
        self._icon.setPixmap(theme.pixmap(_ICONS[self._kind], 20, colour, self.devicePixelRatioF()))
        self._close.setIcon(theme.icon("cancel"))
