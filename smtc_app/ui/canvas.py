"""The picture with its masks, and the tools that draw on it.

The canvas shows what it is given and says what the person did; it never changes a document. While a stroke
is drawn it shows a preview of its own (`stroke_preview`), and goes back to the document's labels when nobody
took the stroke. What a press means is decided in `tools` and `gestures`; this widget passes events on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from smtc_app.core.annotation import Box, Colour
from smtc_app.core.live_wire import LiveWire
from smtc_app.core.palette import object_colour
from smtc_app.ui import canvas_marks, overlay
from smtc_app.ui.canvas_scene import NO_BOX
from smtc_app.ui.gestures import Gestures, Pick
from smtc_app.ui.magnet import Magnet, reach_of
from smtc_app.ui.picture_view import PictureView
from smtc_app.ui.space_hold import SpaceHold
from smtc_app.ui.stroke_preview import StrokePreview
from smtc_app.ui.tools import (
    CLOSE_DISTANCE_PX,
    DRAG_DISTANCE_PX,
    PAINTING,
    TOOLS,
    TRACE_SPACING_PX,
    Button,
    HoverEvent,
    Intent,
    Outline,
    StrokeEvent,
    clipped_radius,
    intent_of,
    stepped_radius,
)

_BUTTONS = {
    Qt.MouseButton.LeftButton: Button.LEFT,
    Qt.MouseButton.MiddleButton: Button.MIDDLE,
    Qt.MouseButton.RightButton: Button.RIGHT,
}
_FINISH_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class Canvas(PictureView):
    """Zoomable picture with overlay and tools.

    Signals:
        stroke_finished: a `tools.StrokeEvent`; change the document and call `set_labels` in the slot.
        clicked: ((x, y), modifiers) of a pick inside the frame, whole pixels and Qt.KeyboardModifiers.
        hovered: a `tools.HoverEvent` (x, y, label), or None when the cursor leaves the frame.
        brush_radius_changed: the new radius in frame pixels.
        play_requested: None; Space was tapped, not held to pan.
        anchor_set: ((x, y), reach) of the corner that an outline goes on from along edges, `reach` frame
            pixels around; answer with `set_live_wire`.
        outline_refused: the tool, polygon or lasso, whose outline was ended before it enclosed anything.
    """

    stroke_finished = Signal(object)
    clicked = Signal(object)
    hovered = Signal(object)
    brush_radius_changed = Signal(object)
    play_requested = Signal(object)
    anchor_set = Signal(object)
    outline_refused = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._gestures = Gestures()
        self._preview: StrokePreview | None = None
        self._edit_box: Box | None = None
        self._magnet = Magnet()
        self._labels: np.ndarray | None = None
        self._active, self._active_colour = 1, object_colour(1)
        self._locked: frozenset[int] = frozenset()
        self._tool = "pick"
        self._radius_px = 12.0
        self._cursor: QPointF | None = None
        self._hover: HoverEvent | None = None
        self._press = QPointF()
        self._button: Qt.MouseButton | None = None
        self._space = SpaceHold(self)
        self._space.changed.connect(self._on_space_changed)
        self._space.tapped.connect(self.play_requested)
        self._update_cursor()

    def set_frame(self, rgb: np.ndarray | None) -> None:
        """Show a frame, see `PictureView.set_frame`. A gesture in progress was meant for the frame before."""
        self.cancel_gesture()
        self._magnet.image = rgb
        old = self.frame_size
        super().set_frame(rgb)
        if self.frame_size != old:
            self._labels = None

    def set_labels(self, labels: np.ndarray | None, dirty_box: Box | None = None) -> None:
        """Show a label map, see `PictureView.set_labels`; takes the place of a stroke's preview.

        A stroke in progress goes on over the new labels (propagation may reach the frame meanwhile).
        """
        if dirty_box is not None and self._preview is not None:
            dirty_box = overlay.union((dirty_box, self._preview.box))
        if dirty_box is not None and self._edit_box is not None:
            dirty_box = overlay.union((dirty_box, self._edit_box))
        super().set_labels(labels, dirty_box)
        self._labels, self._preview, self._edit_box = labels, None, None
        if self._gestures.stroke is not None:
            self._begin_preview()
            self._paint_piece(self._gestures.stroke.points or None)

    # Tools

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

    def set_tool(self, name: str) -> None:
        """Take a tool: pick, brush, eraser, fill, polygon or lasso."""
        if name not in TOOLS:
            raise ValueError(f"tool {name!r}: must be one of {', '.join(TOOLS)}")
        if name != self._tool:
            self.cancel_gesture()
            self.drop_edit_preview()
            self._tool = name
            self._update_cursor()
            self.update()

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

    def set_magnetic(self, on: bool) -> None:
        """Whether outlines follow the edges of the picture."""
        self._magnet.on = bool(on)
        if self._gestures.outline is not None:
            self._gestures.outline.wire = ()
            self._tell_anchor()
            self.update()

    def set_live_wire(self, wire: LiveWire | None) -> None:
        """The paths that the outline in progress may take from its last corner."""
        self._magnet.wire = wire
        self._follow_edges()

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

    def finish_outline(self) -> bool:
        """Close the polygon in progress; whether it could be closed."""
        via = self._magnet.way_home(self._gestures.outline)
        event = self._gestures.close_outline(self._radius_px, via=via)
        self.update()
        if event is not None:
            self.stroke_finished.emit(event)
        elif self._gestures.outline is not None:
            self.outline_refused.emit(self._tool)
        return event is not None

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin what the tool does."""
        button = _BUTTONS.get(event.button())
        if button is None or self.frame_size is None or self._button is not None:
            event.ignore()
            return
        self._move_cursor(event.position())
        alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        intent = intent_of(self._tool, button, space=self._space.held, alt=alt)
        point = self.frame_position(event.position())
        self._press, self._button = event.position(), event.button()
        self.drop_edit_preview()
        via: Sequence[tuple[float, float]] = ()
        if intent in (Intent.CORNER, Intent.LASSO):
            point, via = self._magnet.corner(self._gestures.outline, point, self._in_frame_px(1))
        closed = self._gestures.press(
            intent, point, radius_px=self._radius_px, reach_px=self._in_frame_px(CLOSE_DISTANCE_PX), via=via
        )
        if intent is Intent.PAN:
            self._pan_from, self._space.used = event.position(), True
            self._update_cursor()
        elif self._gestures.stroke is not None:
            self._begin_preview()
            self._paint_piece(self._gestures.move(point, dragged=False, spacing_px=0))
        elif closed is not None:
            self.stroke_finished.emit(closed)
        if intent in (Intent.CORNER, Intent.UNDO_CORNER):
            self._tell_anchor()
        self._update_outline()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with what was begun, or hover."""
        position = event.position()
        self._pan_to(position)
        self._move_cursor(position)
        piece = self._gestures.move(
            self.frame_position(position),
            dragged=self._dragged(position),
            spacing_px=self._in_frame_px(TRACE_SPACING_PX),
        )
        self._paint_piece(piece)
        self._follow_edges()
        self._update_outline()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Finish what was begun with this button."""
        if event.button() != self._button:
            event.ignore()
            return
        self._button = None
        panned = self._gestures.intent is Intent.PAN
        lasso = self._gestures.intent is Intent.LASSO and self._gestures.outline is not None
        point = self.frame_position(event.position())
        self._follow_edges(last=True)
        finished = self._gestures.release(
            point,
            dragged=self._dragged(event.position()),
            inside=self._inside(point),
            radius_px=self._radius_px,
            reach_px=self._in_frame_px(CLOSE_DISTANCE_PX),
        )
        if panned:
            self._pan_from = None
            self._update_cursor()
        preview = self._preview
        if isinstance(finished, StrokeEvent):
            self.stroke_finished.emit(finished)
        elif isinstance(finished, Pick):
            self.clicked.emit(((int(finished.point[0]), int(finished.point[1])), event.modifiers()))
        elif lasso and finished is None:
            self.outline_refused.emit(self._tool)
        if preview is not None and self._preview is preview:
            # Nobody took the stroke (a locked object, say): show what the document holds.
            self._drop_preview()
        self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Close a polygon; everything else takes it for a second press."""
        on_outline = self._gestures.outline is not None and event.button() == Qt.MouseButton.LeftButton
        if self._tool == "polygon" and on_outline:
            self.finish_outline()
        else:
            self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor; with Ctrl change the size of the brush."""
        notches = event.angleDelta().y() / 120
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and self._tool in PAINTING:
            self.step_brush_radius(notches)
            event.accept()
        else:
            super().wheelEvent(event)
        self._move_cursor(event.position())

    def enterEvent(self, event: QEnterEvent) -> None:
        """The cursor is over the canvas."""
        self._move_cursor(event.position())

    def leaveEvent(self, event: QEvent) -> None:
        """The cursor has left."""
        self._move_cursor(None)

    # Keys

    def event(self, event: QEvent) -> bool:
        """Claim keys that mean something here before they are taken for shortcuts."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and self._claims(event)
        ):
            event.accept()
            return True
        return super().event(event)

    def _claims(self, event: QKeyEvent) -> bool:
        key = event.key()
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            return False
        if key == Qt.Key.Key_Escape:
            return self.gesture_in_progress
        editing = (*_FINISH_KEYS, Qt.Key.Key_Backspace)
        return key == Qt.Key.Key_Space or (self._gestures.outline is not None and key in editing)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space holds the picture to pan it; Enter, Backspace and Esc finish, shorten and drop an outline."""
        key = event.key()
        if key == Qt.Key.Key_Space:
            self._space.press(repeated=event.isAutoRepeat())
        elif key == Qt.Key.Key_Escape and self.gesture_in_progress:
            self.cancel_gesture()
        elif key in _FINISH_KEYS and self._gestures.outline is not None:
            self.finish_outline()
        elif key == Qt.Key.Key_Backspace and self._gestures.outline is not None:
            self._gestures.undo_corner()
            self._tell_anchor()
            self.update()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Space may have been let go: known when no press follows at once."""
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)
        else:
            self._space.release(repeated=event.isAutoRepeat())

    @Slot(object)
    def _on_space_changed(self, _held: bool) -> None:
        self._update_cursor()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """A release of Space that goes elsewhere must not leave the hand behind."""
        self._space.forget()
        super().focusOutEvent(event)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Copy what was exposed; draw outline and brush over it."""
        painter = QPainter(self)
        self.paint_scene(painter, event.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
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

    # Edges

    def _follow_edges(self, *, last: bool = False) -> None:
        """Draw the line in progress to the edges."""
        outline, lasso = self._gestures.outline, self._gestures.intent is Intent.LASSO
        if outline is not None and self._magnet.lead(outline, self._in_frame_px(1), lasso=lasso, last=last):
            self.update()

    def _tell_anchor(self) -> None:
        """Have the paths from the last corner worked out."""
        outline = self._gestures.outline
        if self._magnet.on and outline is not None and outline.points:
            reach_px = reach_of(max(self._scene.view_size) / self.scale)
            self.anchor_set.emit((outline.points[-1], reach_px))

    # Strokes

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

    # Cursor

    def _inside(self, point: tuple[float, float]) -> bool:
        if self.frame_size is None:
            return False
        width, height = self.frame_size
        return 0 <= point[0] < width and 0 <= point[1] < height

    def _dragged(self, position: QPointF) -> bool:
        return (position - self._press).manhattanLength() > DRAG_DISTANCE_PX

    def _in_frame_px(self, points: float) -> float:
        """A length on the screen in frame pixels."""
        return points * self.devicePixelRatioF() / self.scale

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

    def _brush_shown(self) -> bool:
        panning = self._space.held or self._gestures.intent is Intent.PAN
        return (
            self._tool in PAINTING
            and self._cursor is not None
            and self.frame_size is not None
            and not panning
        )

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

    def _update_cursor(self) -> None:
        shape = Qt.CursorShape.CrossCursor
        if self._gestures.intent is Intent.PAN:
            shape = Qt.CursorShape.ClosedHandCursor
        elif self._space.held:
            shape = Qt.CursorShape.OpenHandCursor
        elif self._tool == "pick":
            shape = Qt.CursorShape.ArrowCursor
        self.setCursor(shape)
        self._update_marks()
