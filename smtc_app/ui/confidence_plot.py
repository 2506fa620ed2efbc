"""How sure the propagated labels are, object by object over the whole video: click to go there.

A window beside the main one. The timeline shows where to look; the curves show how a doubt builds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtWidgets import QLabel, QStackedLayout, QVBoxLayout, QWidget

from smtc_app.ui.theme import MARGIN_PX, Theme

CURVE_WIDTH_PX = 2
SELECTED_WIDTH_PX = 4


@dataclass(frozen=True)
class ConfidenceCurve:
    """One object: `values` float (frames,), 0..1, NaN where nothing was propagated."""

    object_id: int
    name: str
    colour: tuple[int, int, int]
    values: np.ndarray
    selected: bool = False


class ConfidencePlot(QWidget):
    """Curves over frames with the playhead; `frame_requested` carries the frame (int) that was clicked."""

    frame_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Window)
        self.setWindowTitle("Confidence")
        self._frame_count = 1
        self._curves: dict[int, pg.PlotDataItem] = {}
        self._plot = pg.PlotWidget()
        item = self._plot.getPlotItem()
        item.setLabel("bottom", "frame")
        item.setLabel("left", "confidence")
        item.setYRange(0, 1, padding=0.02)
        item.setMouseEnabled(x=True, y=False)
        item.setMenuEnabled(False)
        item.hideButtons()
        item.setClipToView(True)
        item.setDownsampling(auto=True, mode="peak")
        self._legend = item.addLegend(offset=(-8, 8))
        self._playhead = pg.InfiniteLine(0, angle=90)
        item.addItem(self._playhead)
        self._plot.scene().sigMouseClicked.connect(self._on_clicked)
        self._empty = QLabel("Nothing has been propagated yet.\nPress Shift+F, then look here for doubts.")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._stack = QStackedLayout()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._plot)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN_PX, MARGIN_PX, MARGIN_PX, MARGIN_PX)
        layout.addLayout(self._stack)
        self._apply_theme()

    def sizeHint(self) -> QSize:
        """Wide and low: a strip of time."""
        return QSize(720, 280)

    @property
    def curves(self) -> dict[int, np.ndarray]:
        """What is drawn: object id -> values."""
        return {object_id: curve.getOriginalDataset()[1] for object_id, curve in self._curves.items()}

    def set_curves(self, frame_count: int, curves: Sequence[ConfidenceCurve]) -> None:
        """Draw these instead of what was there; objects without a single value are left out."""
        item = self._plot.getPlotItem()
        for curve in self._curves.values():
            item.removeItem(curve)
        self._curves.clear()
        if frame_count != self._frame_count:
            self._frame_count = frame_count
            item.setXRange(0, max(frame_count - 1, 1), padding=0.01)
            item.setLimits(xMin=-1, xMax=max(frame_count, 2))
        for curve in curves:
            if np.isnan(curve.values).all():
                continue
            width = SELECTED_WIDTH_PX if curve.selected else CURVE_WIDTH_PX
            self._curves[curve.object_id] = item.plot(
                np.arange(len(curve.values)),
                curve.values,
                pen=pg.mkPen(curve.colour, width=width),
                name=curve.name,
                connect="finite",
            )
        self._stack.setCurrentWidget(self._plot if self._curves else self._empty)

    def set_current(self, frame: int) -> None:
        """Move the playhead."""
        self._playhead.setValue(frame)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._apply_theme()

    def _apply_theme(self) -> None:
        colours = Theme.current().colours
        self._plot.setBackground(colours.panel)
        self._playhead.setPen(pg.mkPen(colours.accent, width=2))
        self._legend.setLabelTextColor(colours.text)
        for side in ("bottom", "left"):
            axis = self._plot.getPlotItem().getAxis(side)
            axis.setPen(pg.mkPen(colours.border))
            axis.setTextPen(pg.mkPen(colours.text_soft))

    def _on_clicked(self, event: object) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        position = self._plot.getPlotItem().getViewBox().mapSceneToView(event.scenePos())
        frame = round(position.x())
        if 0 <= frame < self._frame_count:
            self.frame_requested.emit(frame)
