"""A picture with masks over it, to look at: zoom at the cursor, pan with the middle button, fit, 1:1.

`Canvas` adds the tools. What is drawn is decided in `canvas_scene` and `overlay`, where it lies in
`view_transform`; this widget passes events on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, Qt, Signal, Slot
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from smtc_app.core.annotation import Box
from smtc_app.ui import canvas_marks, view_transform
from smtc_app.ui.canvas_marks import Mark
from smtc_app.ui.canvas_scene import CanvasScene
from smtc_app.ui.object_tags import Tag
from smtc_app.ui.overlay import Proposal
from smtc_app.ui.theme import Theme
from smtc_app.ui.view_transform import Region, Size, ViewTransform

FIT_MARGIN_PX = 12


class Viewpoint(NamedTuple):
    """`scale` view pixels per frame pixel around the frame coordinates (`x`, `y`); or all of the frame."""

    scale: float
    x: float
    y: float
    fitting: bool


class PictureView(QWidget):
    """Zoomable picture with overlay.

    Signals:
        zoom_changed: view pixels (dots of the screen) per frame pixel.
        viewpoint_changed: the `Viewpoint` after the person has zoomed or panned.
    """

    zoom_changed = Signal(object)
    viewpoint_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 120)
        self._scene = CanvasScene(self._on_dirty)
        self._fitting = True
        self._pan_from: QPointF | None = None
        self._marks: tuple[Mark, ...] = ()
        self._tags: tuple[Tag, ...] = ()
        Theme.current().changed.connect(self._on_theme_changed)

    # What is shown

    @property
    def frame_size(self) -> Size | None:
        """(width, height) of the frame in pixels, None without one."""
        return self._scene.frame_size

    def set_frame(self, rgb: np.ndarray | None) -> None:
        """Show a frame, uint8 (H, W, 3); zoom and place stay unless the size is another. None empties it.

        Labels, proposals and view modes of a frame of another size are dropped.
        """
        if self._scene.set_frame(rgb):
            self._fit()

    def set_labels(self, labels: np.ndarray | None, dirty_box: Box | None = None) -> None:
        """Show a label map, uint16 (H, W); `dirty_box` (frame pixels) limits what is drawn again.

        Raises:
            ValueError: not the size of the frame.
        """
        if labels is not None and self.frame_size is not None and labels.shape[::-1] != self.frame_size:
            raise ValueError(f"labels must be {self.frame_size[::-1]}, got {labels.shape}")
        self._scene.set_labels(labels, dirty_box)

    def set_lut(self, lut: np.ndarray) -> None:
        """Colours by label: uint8 (n, 4) RGBA; alpha 0 hides an object, `set_opacity` scales the rest."""
        self._scene.set_lut(lut)

    def set_selected(self, ids: Sequence[int]) -> None:
        """Highlight these objects."""
        self._scene.set_selected(ids)

    def set_proposals(self, proposals: Sequence[Proposal]) -> None:
        """Draw proposals; accepted ones with a full line."""
        self._scene.set_proposals(proposals)

    def set_selected_proposals(self, ids: Sequence[int]) -> None:
        """Highlight these proposals."""
        self._scene.set_selected_proposals(ids)

    def set_opacity(self, opacity: float) -> None:
        """Opacity of the masks, 0..1."""
        self._scene.set_style(opacity=min(max(float(opacity), 0.0), 1.0))

    def set_outline(self, on: bool) -> None:
        """Draw outlines only, or filled masks."""
        self._scene.set_style(outline=bool(on))

    def set_masks_visible(self, on: bool) -> None:
        """Draw masks at all; proposals go with them."""
        self._scene.set_style(visible=bool(on))

    def set_heat_map(self, values: np.ndarray | None) -> None:
        """Lay a heat map over the frame: float (h, w) in [0, 1] of any resolution, NaN transparent."""
        self._scene.set_heat_map(values)

    def set_alternative_image(self, rgb: np.ndarray | None) -> None:
        """Show another picture in place of the frame (a view mode): uint8 (h, w, 3) of any resolution."""
        self._scene.set_alternative_image(rgb)

    def set_onion_skin(self, rgb: np.ndarray | None, opacity: float = 0.5) -> None:
        """Lay another frame of the same size over this one, uint8 (H, W, 3); None takes it away."""
        self._scene.set_onion_skin(rgb, opacity)

    def set_marks(self, marks: Sequence[Mark]) -> None:
        """Draw marks at places of the frame over everything else."""
        if tuple(marks) != self._marks:
            self._marks = tuple(marks)
            self.update()

    @property
    def has_tags(self) -> bool:
        """Whether there are numbers to write."""
        return bool(self._tags)

    def set_tags(self, tags: Sequence[Tag]) -> None:
        """Write numbers on masks, as long as masks are shown."""
        if tuple(tags) != self._tags:
            self._tags = tuple(tags)
            self.update()

    # Zoom

    @property
    def viewpoint(self) -> Viewpoint:
        """What is looked at, in terms that hold for a view of another size."""
        size = self._scene.view_size
        x, y = self._scene.view.to_frame((size[0] / 2, size[1] / 2))
        return Viewpoint(self.scale, x, y, self._fitting)

    def set_viewpoint(self, viewpoint: Viewpoint) -> None:
        """Look where another view looks; does not tell about it."""
        if self.frame_size is None:
            return
        if viewpoint.fitting:
            self._fit()
            return
        self._fitting = False
        size, scale = self._scene.view_size, viewpoint.scale
        x, y = round(size[0] / 2 - viewpoint.x * scale), round(size[1] / 2 - viewpoint.y * scale)
        self._set_view(ViewTransform(scale, x, y))

    @property
    def scale(self) -> float:
        """View pixels (dots of the screen) per frame pixel."""
        return self._scene.view.scale

    @Slot()
    def fit(self) -> None:
        """Show the whole frame, also after the widget's next change of size."""
        self._fit()
        self.viewpoint_changed.emit(self.viewpoint)

    def _fit(self) -> None:
        self._fitting = True
        if self.frame_size is not None and min(self._scene.view_size) > 0:
            margin = round(FIT_MARGIN_PX * self.devicePixelRatioF())
            self._set_view(view_transform.fitted(self.frame_size, self._scene.view_size, margin))

    @Slot()
    def actual_size(self) -> None:
        """One dot of the screen per pixel of the frame, around the middle of what is shown."""
        self.zoom_by(1 / self.scale)

    def zoom_by(self, factor: float, anchor: tuple[float, float] | None = None) -> None:
        """Zoom around a point of the view (view pixels; default: its middle)."""
        if self.frame_size is None:
            return
        size = self._scene.view_size
        smallest, largest = view_transform.scale_limits(self.frame_size, size)
        self._fitting = False
        anchor = anchor or (size[0] / 2, size[1] / 2)
        self._set_view(self._scene.view.zoomed_at(factor, anchor, smallest=smallest, largest=largest))
        self.viewpoint_changed.emit(self.viewpoint)

    def frame_position(self, position: QPointF) -> tuple[float, float]:
        """Frame coordinates of a point of the widget."""
        ratio = self.devicePixelRatioF()
        return self._scene.view.to_frame((position.x() * ratio, position.y() * ratio))

    def widget_position(self, x: float, y: float) -> QPointF:
        """The point of the widget where the frame coordinates (x, y) are drawn."""
        ratio = self.devicePixelRatioF()
        view_x, view_y = self._scene.view.to_view((x, y))
        return QPointF(view_x / ratio, view_y / ratio)

    # Events

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The middle button takes hold of the picture."""
        if event.button() == Qt.MouseButton.MiddleButton and self.frame_size is not None:
            self._pan_from = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Pan while it is held."""
        self._pan_to(event.position())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._pan_from = None

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor."""
        notches = event.angleDelta().y() / 120
        if notches and self.frame_size is not None:
            anchor = event.position() * self.devicePixelRatioF()
            self.zoom_by(view_transform.WHEEL_STEP**notches, (anchor.x(), anchor.y()))
        event.accept()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Copy what was exposed."""
        self.paint_scene(QPainter(self), event.rect())

    def paint_scene(self, painter: QPainter, exposed: QRect) -> None:
        """Draw the surroundings, the picture and the masks inside a rectangle of the widget."""
        ratio = self.devicePixelRatioF()
        painter.fillRect(exposed, QColor(Theme.current().colours.canvas))
        painter.save()
        painter.scale(1 / ratio, 1 / ratio)
        self._scene.draw(painter, self._view_region(exposed))
        painter.restore()
        if (self._marks or self._tags) and self.frame_size is not None:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            for tag in self._tags if self._scene.masks_visible else ():
                canvas_marks.draw_tag(painter, self.widget_position(tag.x, tag.y), tag.text, self.font())
            for mark in self._marks:
                canvas_marks.draw_mark(painter, self.widget_position(mark.x, mark.y), mark)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the middle in the middle, or the whole frame in sight."""
        ratio, old = self.devicePixelRatioF(), self._scene.view_size
        new = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        self._scene.resize(new, ratio)
        if self._fitting:
            self._fit()
        elif min(old) > 0:
            self._set_view(view_transform.resized(self._scene.view, old, new))

    @Slot(object)
    def _on_theme_changed(self, _colours: object) -> None:
        self.update()

    def _on_dirty(self, region: Region | None) -> None:
        if region is None:
            self.update()
        else:
            ratio = self.devicePixelRatioF()
            x0, y0, x1, y1 = (side / ratio for side in region)
            self.update(QRectF(x0, y0, x1 - x0, y1 - y0).toAlignedRect())

    # View

    def _pan_to(self, position: QPointF) -> None:
        if self._pan_from is not None:
            moved = (position - self._pan_from) * self.devicePixelRatioF()
            self._pan_from = position
            self._fitting = False
            self._set_view(self._scene.view.panned(moved.x(), moved.y()))
            self.viewpoint_changed.emit(self.viewpoint)

    def _set_view(self, view: ViewTransform) -> None:
        if self.frame_size is not None:
            view = view.kept_visible(self.frame_size, self._scene.view_size)
        zoomed = view.scale != self.scale
        self._scene.set_view(view)
        if zoomed:
            self.zoom_changed.emit(view.scale)

    def _view_region(self, rect: QRect) -> Region:
        """The view pixels that an exposed rectangle of the widget touches."""
        ratio, (width, height) = self.devicePixelRatioF(), self._scene.view_size
        return (
            max(0, int(rect.left() * ratio)),
            max(0, int(rect.top() * ratio)),
            min(width, int(np.ceil((rect.right() + 1) * ratio))),
            min(height, int(np.ceil((rect.bottom() + 1) * ratio))),
        )
