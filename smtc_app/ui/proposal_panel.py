"""The proposals of the frame: thumbnail, score, accept, reject; and how many and how fine they should be.

The panel knows rows, not the document. Nothing becomes an object before the person accepts it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
    Slot,
)
from PySide6.QtGui import QColor, QHelpEvent, QImage, QPainter, QPainterPath, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListView,
    QPushButton,
    QSlider,
    QSpinBox,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolTip,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.theme import MARGIN_PX, SPACING_PX, SPIN_TEXT_MARGINS_PX, Theme

ROW_ROLE = Qt.ItemDataRole.UserRole
THUMBNAIL_PX = (84, 52)
CARD_HEIGHT_PX = 66
GRANULARITY_STEPS = 20


@dataclass(frozen=True)
class ProposalRow:
    """One proposal as the list shows it: `score` in [0,1], `coverage` = part of the frame, `colour` (r, g,
    b)."""

    id: int
    title: str
    score: float
    coverage: float
    colour: tuple[int, int, int]
    thumbnail: QPixmap | None = None


def make_thumbnail(
    frame: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int], *, ratio: float = 1.0
) -> QPixmap:
    """A crop of `frame` (H,W,3) around `mask` (H,W) bool, dimmed outside it, `THUMBNAIL_PX` points large."""
    width, height = (round(side * ratio) for side in THUMBNAIL_PX)
    ys, xs = np.nonzero(mask)
    if len(xs) == 0:
        result = QPixmap(width, height)
        result.fill(Qt.GlobalColor.black)
        result.setDevicePixelRatio(ratio)
        return result
    # The mask's box, half as large again for context, widened to the thumbnail's shape.
    centre_x, centre_y = (xs.min() + xs.max() + 1) / 2, (ys.min() + ys.max() + 1) / 2
    box_w = max(1.5 * (xs.max() + 1 - xs.min()), 1.5 * (ys.max() + 1 - ys.min()) * width / height, 16)
    scale = box_w / width
    grid_x = np.floor(centre_x + (np.arange(width) - width / 2 + 0.5) * scale).astype(int)
    grid_y = np.floor(centre_y + (np.arange(height) - height / 2 + 0.5) * scale).astype(int)
    inside_x = (grid_x >= 0) & (grid_x < mask.shape[1])
    inside_y = (grid_y >= 0) & (grid_y < mask.shape[0])
    valid = inside_y[:, None] & inside_x[None, :]
    index = np.ix_(grid_y.clip(0, mask.shape[0] - 1), grid_x.clip(0, mask.shape[1] - 1))
    crop = frame[index].astype(np.float32)
    chosen = mask[index] & valid
    crop[~chosen] *= 0.35
    edge = chosen & ~(
        np.roll(chosen, 1, 0) & np.roll(chosen, -1, 0) & np.roll(chosen, 1, 1) & np.roll(chosen, -1, 1)
    )
    crop[edge] = colour
    crop[~valid] = 0
    pixels = np.ascontiguousarray(crop.astype(np.uint8))
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    image.setDevicePixelRatio(ratio)
    return QPixmap.fromImage(image)


class _Model(QAbstractListModel):
    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: list[ProposalRow] = []

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        row = self.rows[index.row()]
        if role == ROW_ROLE:
            return row
        return row.title if role == Qt.ItemDataRole.DisplayRole else None

    def set_rows(self, rows: Sequence[ProposalRow]) -> None:
        self.beginResetModel()
        self.rows = list(rows)
        self.endResetModel()


class _Delegate(QStyledItemDelegate):
    def __init__(self, parent: QListView, clicked: Callable[[str, int], None]) -> None:
        super().__init__(parent)
        self._clicked = clicked

    @staticmethod
    def parts(rect: QRect) -> dict[str, QRect]:
        """The places of a card: thumbnail, title, score, accept, reject."""
        inner = rect.adjusted(MARGIN_PX, 7, -SPACING_PX, -7)
        thumbnail = QRect(inner.x(), inner.y(), *THUMBNAIL_PX)
        reject = QRect(inner.right() - 28, inner.center().y() - 14, 28, 28)
        accept = reject.translated(-32, 0)
        left = thumbnail.right() + 10
        room = accept.left() - left - 6
        return {
            "thumbnail": thumbnail,
            "title": QRect(left, inner.y() + 4, room, 20),
            "score": QRect(left, inner.y() + 26, room, 20),
            "accept": accept,
            "reject": reject,
        }

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        return QSize(200, CARD_HEIGHT_PX)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        row: ProposalRow = index.data(ROW_ROLE)
        theme = Theme.current()
        c = theme.colours
        places = self.parts(option.rect)
        hovered = bool(option.state & QStyle.StateFlag.State_MouseOver)
        painter.save()
        painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform)
        if hovered:
            painter.fillRect(option.rect, QColor(c.hover))
        clip = QPainterPath()
        clip.addRoundedRect(places["thumbnail"], 4, 4)
        painter.setClipPath(clip)
        if row.thumbnail is not None:
            painter.drawPixmap(places["thumbnail"], row.thumbnail)
        else:
            painter.fillRect(places["thumbnail"], QColor(c.field))
        painter.setClipping(False)
        left = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        swatch = QRect(places["title"].x(), places["title"].center().y() - 4, 9, 9)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(*row.colour))
        painter.drawRoundedRect(swatch, 2, 2)
        painter.setPen(QColor(c.text))
        painter.drawText(places["title"].adjusted(15, 0, 0, 0), left, row.title)
        score = places["score"]
        track = QRect(score.x(), score.center().y() - 2, min(52, score.width()), 4)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(c.border))
        painter.drawRoundedRect(track, 2, 2)
        filled = QRect(track)
        filled.setWidth(max(4, round(track.width() * min(1.0, max(0.0, row.score)))))
        painter.setBrush(QColor(c.accent))
        painter.drawRoundedRect(filled, 2, 2)
        painter.setPen(QColor(c.text_soft))
        painter.drawText(score.adjusted(track.width() + 8, 0, 0, 0), left, f"{row.score:.2f}")
        ratio = painter.device().devicePixelRatioF()
        cursor = option.widget.mapFromGlobal(option.widget.cursor().pos()) if hovered else QPoint(-1, -1)
        for key, tint in (("accept", c.good), ("reject", c.error)):
            hot = hovered and places[key].contains(cursor)
            if hot:
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(QColor(c.raised))
                painter.drawRoundedRect(places[key], 6, 6)
            icon = theme.pixmap(key, 18, tint if hovered else c.text_soft, ratio)
            painter.drawPixmap(places[key].topLeft() + QPoint(5, 5), icon)
        painter.restore()

    def editorEvent(
        self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        if event.type() == QEvent.Type.MouseButtonRelease and event.button() == Qt.MouseButton.LeftButton:
            position = event.position().toPoint()
            rejected = self.parts(option.rect)["reject"].contains(position)
            self._clicked("reject" if rejected else "accept", index.data(ROW_ROLE).id)
            return True
        if event.type() == QEvent.Type.MouseMove:
            option.widget.viewport().update()
        return super().editorEvent(event, model, option, index)

    def helpEvent(
        self, event: QHelpEvent, view: QAbstractItemView, option: QStyleOptionViewItem, index: QModelIndex
    ) -> bool:
        row: ProposalRow | None = index.data(ROW_ROLE)
        if row is None:
            return super().helpEvent(event, view, option, index)
        if self.parts(option.rect)["reject"].contains(event.pos()):
            text = "Reject this proposal"
        else:
            text = f"Click to make it an object · score {row.score:.2f} · {row.coverage:.1%} of the frame"
        QToolTip.showText(event.globalPos(), text, view)
        return True


class ProposalPanel(QWidget):
    """Settings of the proposals, the cards, accept all, reject all.

    Signals:
        accepted, rejected: id of one proposal.
        settings_changed: (most objects, granularity 0..1), when the person has stopped changing them.
        hovered: id under the cursor or None.
    """

    accepted = Signal(object)
    rejected = Signal(object)
    settings_changed = Signal(object)
    hovered = Signal(object)

    def __init__(self, actions: ActionTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("panel")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._actions = actions
        self._empty_text = ""
        title = QLabel("Proposals")
        title.setObjectName("panelTitle")
        self._count = QLabel()
        self._count.setObjectName("soft")
        self.propose_button = QPushButton("Propose")
        self.propose_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.propose_button.clicked.connect(actions["propose"].trigger)
        header = QHBoxLayout()
        header.setContentsMargins(MARGIN_PX, SPACING_PX, SPACING_PX + 2, 4)
        header.addWidget(title)
        header.addSpacing(4)
        header.addWidget(self._count)
        header.addStretch()
        header.addWidget(self.propose_button)
        self.most = QSpinBox()
        self.most.setRange(1, 64)
        self.most.setValue(10)
        self.most.setToolTip("Most proposals on a frame")
        self.most.setFixedWidth(62)
        self.most.lineEdit().setTextMargins(*SPIN_TEXT_MARGINS_PX)
        self.granularity = QSlider(Qt.Orientation.Horizontal)
        self.granularity.setRange(0, GRANULARITY_STEPS)
        self.granularity.setValue(GRANULARITY_STEPS // 2)
        self.granularity.setToolTip("Granularity: few and large to many and small")
        self.granularity.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        settings = QHBoxLayout()
        settings.setContentsMargins(MARGIN_PX, 0, SPACING_PX + 2, SPACING_PX)
        settings.setSpacing(SPACING_PX)
        fewer, more, most = QLabel("Coarse"), QLabel("Fine"), QLabel("Max")
        for label in (fewer, more, most):
            label.setObjectName("soft")
        settings.addWidget(fewer)
        settings.addWidget(self.granularity, 1)
        settings.addWidget(more)
        settings.addSpacing(SPACING_PX)
        settings.addWidget(most)
        settings.addWidget(self.most)
        self.granularity.valueChanged.connect(self._on_settings_changed)
        self.most.valueChanged.connect(self._on_settings_changed)
        self.view = QListView()
        self._model = _Model(self.view)
        self.view.setModel(self._model)
        self._delegate = _Delegate(self.view, self._on_card_clicked)
        self.view.setItemDelegate(self._delegate)
        self.view.setMouseTracking(True)
        self.view.setUniformItemSizes(True)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.entered.connect(self._on_entered)
        self.view.viewport().installEventFilter(self)
        self._note = QLabel()
        self._note.setObjectName("soft")
        self._note.setWordWrap(True)
        self._note.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._note.setContentsMargins(MARGIN_PX, 4, MARGIN_PX, SPACING_PX)
        self.accept_button = QPushButton()
        self.accept_button.setProperty("primary", True)
        self.reject_button = QPushButton()
        for button, action_id in ((self.accept_button, "accept_all"), (self.reject_button, "reject_all")):
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.clicked.connect(actions[action_id].trigger)
        self._footer = QWidget()
        footer = QHBoxLayout(self._footer)
        footer.setContentsMargins(MARGIN_PX, SPACING_PX, SPACING_PX + 2, SPACING_PX + 2)
        footer.setSpacing(SPACING_PX)
        footer.addWidget(self.accept_button, 1)
        footer.addWidget(self.reject_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addLayout(header)
        layout.addLayout(settings)
        layout.addWidget(self._note, 1)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._footer)
        Theme.current().changed.connect(self._on_theme_changed)
        self._on_theme_changed()
        self.set_rows(())

    @property
    def rows(self) -> tuple[ProposalRow, ...]:
        """The rows as shown."""
        return tuple(self._model.rows)

    @property
    def settings(self) -> tuple[int, float]:
        """Most proposals on a frame and granularity in [0,1]."""
        return self.most.value(), self.granularity.value() / GRANULARITY_STEPS

    def set_granularity(self, granularity: float) -> None:
        """Move the slider to a granularity in [0,1]."""
        self.granularity.setValue(round(granularity * GRANULARITY_STEPS))

    def set_rows(self, rows: Sequence[ProposalRow], *, busy: bool = False) -> None:
        """Show these proposals, or say how to get some, or that they are being computed."""
        self._model.set_rows(rows)
        self._count.setText(str(len(rows)) if rows else "")
        key = self._actions.key_text("propose")
        howto = f"{key} proposes objects on this frame. Nothing becomes an object before you accept it."
        self._note.setText("Looking for objects on this frame…" if busy else howto)
        self._note.setVisible(not rows)
        self.view.setVisible(bool(rows))
        self._footer.setVisible(bool(rows))
        accept = self._actions.key_text("accept_all").replace("Return", "Enter")
        count = "1 object" if len(rows) == 1 else f"all {len(rows)}"
        self.accept_button.setText(f"Accept {count}  ({accept})")
        self.reject_button.setText(f"Reject  ({self._actions.key_text('reject_all') or 'Esc'})")

    def card_centre(self, proposal_id: int, part: str = "accept") -> QPoint:
        """Where a part of a card is in the view's viewport."""
        position = [row.id for row in self._model.rows].index(proposal_id)
        return self._delegate.parts(self.view.visualRect(self._model.index(position)))[part].center()

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        """Tell when the cursor leaves the cards."""
        if event.type() == QEvent.Type.Leave:
            self.hovered.emit(None)
        return super().eventFilter(watched, event)

    def _on_card_clicked(self, part: str, proposal_id: int) -> None:
        (self.rejected if part == "reject" else self.accepted).emit(proposal_id)

    @Slot(object)
    def _on_entered(self, index: QModelIndex) -> None:
        self.hovered.emit(index.data(ROW_ROLE).id)

    @Slot(int)
    def _on_settings_changed(self, _value: int) -> None:
        if not self.granularity.isSliderDown():
            self.settings_changed.emit(self.settings)

    @Slot(object)
    def _on_theme_changed(self, _colours: object = None) -> None:
        self.propose_button.setIcon(Theme.current().icon("propose"))
        self.view.viewport().update()
