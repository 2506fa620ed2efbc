"""The picture with its masks, and what is being drawn on it: strokes, outlines, previews, the brush.

This widget shows a drawing in the making and never changes a document. While a stroke is drawn it shows a
preview of its own (`stroke_preview`), and goes back to the document's labels when nobody took the stroke.
Which event draws what is `Canvas`'s part.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from smtc_app.core.annotation import Box, Colour
from smtc_app.core.palette import object_colour
from smtc_app.ui import canvas_marks, overlay
from smtc_app.ui.canvas_scene import NO_BOX
from smtc_app.ui.gestures import Gestures
from smtc_app.ui.magnet import Magnet
from smtc_app.ui.picture_view import PictureView
from smtc_app.ui.stroke_preview import StrokePreview
from smtc_app.ui.tools import (
    CLOSE_DISTANCE_PX,
    PAINTING,
    HoverEvent,
    Intent,
    Outline,
    clipped_radius,
    stepped_radius,
)


class DrawingView(PictureView):
    """Zoomable picture with overlay and a drawing in the making.

    Signals:
        hovered: a `tools.HoverEvent` (x, y, label), or None when the cursor leaves the frame.
        brush_radius_changed: the new radius in frame pixels.
        drawing_lost: None; another frame came while something was being drawn for the one before.
    """

    hovered = Signal(object)
    drawing_lost = Signal(object)
    brush_radius_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._gestures = Gestures()
        self._preview: StrokePreview | None = None
        self._edit_box: Box | None = None
        self._magnet = Magnet()
        self._held: tuple[tuple[float, float], ...] = ()
        self._labels: np.ndarray | None = None
        self._active, self._active_colour = 1, object_colour(1)
        self._locked: frozenset[int] = frozenset()
        self._tool = "pick"
        self._radius_px = 12.0
        self._cursor: QPointF | None = None
        self._hover: HoverEvent | None = None

    def set_frame(self, rgb: np.ndarray | None) -> None:
        """Show a frame, see `PictureView.set_frame`. A gesture in progress was meant for the frame before."""
        lost = self.cancel_gesture()
        self.drop_outline()
        self._magnet.image = rgb
        old = self.frame_size
        super().set_frame(rgb)
        if self.frame_size != old:
            self._labels = None
        if lost:
            self.drawing_lost.emit(None)

    def set_labels(self, labels: np.ndarray | None, dirty_box: Box | None = None) -> None:
        """Show a label map, see `PictureView.set_labels`; takes the place of a stroke's preview.

        A stroke in progress goes on over the new labels (propagation may reach the frame meanwhile).
        """
        if dirty_box is not None and self._preview is not None:
            dirty_box = overlay.union((dirty_box, self._preview.box))
        if dirty_box is not None and self._edit_box is not None:
            dirty_box = overlay.union((dirty_box, self._edit_box))
        super().set_labels(labels, dirty_box)
        self.drop_outline()
        self._labels, self._preview, self._edit_box = labels, None, None
        if self._gestures.painting:
            self._begin_preview()
            self._paint_piece(self._gestures.stroke.points or None)

    # What is drawn with

    def set_active(
        self, object_id: int, colour: Colour | None = None, *, locked_ids: Collection[int] = ()
    ) -> None:
        """The object that the tools paint (it may not exist yet), and the ids that they never change."""
        self._active = object_id
        self._active_colour = tuple(colour) if colour is not None else object_colour(object_id)
        self._locked = frozenset(locked_ids)
        self._scene.set_active(object_id, self._active_colour)
        self._update_marks()

    @property
    def tool(self) -> str:
        """The tool in the hand, one of `tools.TOOLS`."""
        return self._tool

    @property
    def brush_radius_px(self) -> float:
        """Radius of brush and eraser in frame pixels."""
        return self._radius_px

    def set_brush_radius_px(self, radius_px: float) -> None:
        """Set the radius of brush and eraser, frame pixels, clipped to what brushes can be."""
        radius_px = clipped_radius(radius_px)
        if radius_px != self._radius_px:
            self._update_marks()
            self._radius_px = radius_px
            self._update_marks()
            self.brush_radius_changed.emit(radius_px)

    def step_brush_radius(self, steps: float) -> None:
        """Make the brush some notches larger or smaller."""
        self.set_brush_radius_px(stepped_radius(self._radius_px, steps))

    # What an edit would give

    def show_edit_preview(self, labels: np.ndarray, box: Box) -> None:
        """Show what an edit would give: labels of the frame's size that differ from the shown ones in a box.

        It goes with the next `set_labels`, stroke or `drop_edit_preview`.
        """
        if self._preview is None and labels.shape[::-1] == self.frame_size:
            self._scene.set_labels(labels, overlay.union((box, self._edit_box)) or NO_BOX)
            self._edit_box = box

    def drop_edit_preview(self) -> None:
        """Show the labels as they are again."""
        if self._edit_box is not None:
            box, self._edit_box = self._edit_box, None
            self._scene.set_labels(self._labels, box)

    # What is being drawn

    def hold_outline(self, points: Sequence[tuple[float, float]]) -> None:
        """Go on showing what an outline through `points` (x, y) encloses: the labels take a moment to come.

        It goes with the next `set_labels`, frame or `drop_outline`.
        """
        self._held = tuple(points)
        self.update()

    def drop_outline(self) -> None:
        """Show no outline that was held."""
        if self._held:
            self._held = ()
            self.update()

    @property
    def gesture_in_progress(self) -> bool:
        """Whether a stroke or an outline has been begun and not finished."""
        return self._gestures.in_progress

    @property
    def corner_count(self) -> int:
        """Corners of the outline in progress."""
        return len(self._gestures.outline.corners) if self._gestures.outline is not None else 0

    def cancel_gesture(self) -> bool:
        """Give up the stroke or outline in progress; whether there was one."""
        had_one = self._gestures.drop()
        self._drop_preview()
        if had_one:
            self.update()
        return had_one

    def _begin_preview(self) -> None:
        width, height = self.frame_size
        base = self._labels if self._labels is not None else np.zeros((height, width), np.uint16)
        value = 0 if self._gestures.erasing else self._active
        radius_px = self._gestures.stroke.radius_px
        self._preview = StrokePreview(base, value, radius_px, locked_ids=self._locked)
        # The copy equals what is shown, so nothing has to be drawn again yet.
        self._scene.set_labels(self._preview.labels, (0, 0, 0, 0))

    def _paint_piece(self, piece: Sequence[tuple[float, float]] | None) -> None:
        if piece is not None and self._preview is not None:
            changed = self._preview.paint(piece)
            if changed is not None:
                self._scene.mark_labels(changed)

    def _drop_preview(self) -> None:
        if self._preview is not None:
            box, self._preview = self._preview.box, None
            self._scene.set_labels(self._labels, box or (0, 0, 0, 0))

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Copy what was exposed; draw outline and brush over it."""
        painter = QPainter(self)
        self.paint_scene(painter, event.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._held:
            held = [self.widget_position(*point) for point in self._held]
            canvas_marks.draw_outline(painter, held, (), (), self._line_colour(), closing=True)
        if self._gestures.outline is not None:
            self._draw_outline(painter, self._gestures.outline)
        if self._brush_shown():
            erasing = self._tool == "eraser" or self._gestures.erasing
            canvas_marks.draw_brush(painter, self._cursor, self._radius_in_points(), erasing=erasing)

    def _draw_outline(self, painter: QPainter, outline: Outline) -> None:
        closing = outline.cursor is not None and outline.closes_at(
            outline.cursor, self._in_frame_px(CLOSE_DISTANCE_PX)
        )
        ahead = [] if closing or outline.cursor is None else [*outline.wire, outline.cursor]
        canvas_marks.draw_outline(
            painter,
            [self.widget_position(*point) for point in outline.points],
            [self.widget_position(*point) for point in ahead],
            [self.widget_position(*point) for point in outline.corners],
            self._line_colour(),
            closing=closing,
        )

    def _brush_shown(self) -> bool:
        at_hand = self._tool in PAINTING and not self._panning
        return at_hand and self._cursor is not None and self.frame_size is not None

    @property
    def _panning(self) -> bool:
        """Whether the hand moves the picture, and draws nothing."""
        return self._gestures.intent is Intent.PAN

    def _radius_in_points(self) -> float:
        return self._radius_px * self.scale / self.devicePixelRatioF()

    def _line_colour(self) -> QColor:
        return QColor(*overlay.brightened(np.array([self._active_colour], np.uint8))[0].tolist())

    def _update_marks(self) -> None:
        """Have the place of the brush circle painted again."""
        if self._cursor is not None and self._tool in PAINTING:
            reach = self._radius_in_points() + canvas_marks.BRUSH_MARGIN_PX
            corner = self._cursor - QPointF(reach, reach)
            self.update(QRectF(corner.x(), corner.y(), 2 * reach, 2 * reach).toAlignedRect())

    def _update_outline(self) -> None:
        if self._gestures.outline is not None:
            self.update()

    # Cursor

    def _move_cursor(self, position: QPointF | None) -> None:
        self._update_marks()
        self._cursor = position
        self._update_marks()
        hover = None
        if position is not None:
            point = self.frame_position(position)
            if self._inside(point):
                x, y = int(point[0]), int(point[1])
                hover = HoverEvent(x, y, self._label_at(x, y))
        if hover != self._hover:
            self._hover = hover
            self.hovered.emit(hover)

    def _label_at(self, x: int, y: int) -> int:
        if self._edit_box is None:
            return self._scene.label_at(x, y)
        return 0 if self._labels is None else int(self._labels[y, x])

    def _inside(self, point: tuple[float, float]) -> bool:
        if self.frame_size is None:
            return False
        width, height = self.frame_size
        return 0 <= point[0] < width and 0 <= point[1] < height

    def _in_frame_px(self, points: float) -> float:
        """A length on the screen in frame pixels."""
        return points * self.devicePixelRatioF() / self.scale
