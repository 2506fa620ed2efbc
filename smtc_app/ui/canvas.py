"""The canvas: what the mouse, the wheel and the keys do to the picture and the drawing on it.

What a press means is decided in `tools` and `gestures`, what is shown meanwhile in `drawing_view`; this
widget takes the events to them and says what the person did. It never changes a document.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, Qt, Signal, Slot
from PySide6.QtGui import QEnterEvent, QFocusEvent, QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from smtc_app.core.live_wire import LiveWire
from smtc_app.ui.drawing_view import DrawingView
from smtc_app.ui.gestures import Pick
from smtc_app.ui.magnet import reach_of
from smtc_app.ui.space_hold import SpaceHold
from smtc_app.ui.stroke_preview import StrokePreview
from smtc_app.ui.tools import (
    CLOSE_DISTANCE_PX,
    DRAG_DISTANCE_PX,
    PAINTING,
    TOOLS,
    TRACE_SPACING_PX,
    Button,
    Intent,
    StrokeEvent,
    intent_of,
)

_BUTTONS = {
    Qt.MouseButton.LeftButton: Button.LEFT,
    Qt.MouseButton.MiddleButton: Button.MIDDLE,
    Qt.MouseButton.RightButton: Button.RIGHT,
}
_DRAWING = (
    Intent.STROKE,
    Intent.ERASE,
    Intent.REGION,
    Intent.REGION_OFF,
    Intent.CORNER,
    Intent.LASSO,
)
_FINISH_KEYS = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class Canvas(DrawingView):
    """Zoomable picture with overlay and tools.

    Signals, besides those of `DrawingView`:
        stroke_finished: a `tools.StrokeEvent`; change the document and call `set_labels` in the slot.
        clicked: ((x, y), modifiers) of a pick inside the frame, whole pixels and Qt.KeyboardModifiers.
        drawing_begun: None; a stroke or an outline is about to begin.
        play_requested: None; Space was tapped, not held to pan.
        anchor_set: ((x, y), reach) of the corner that an outline goes on from along edges, `reach` frame
            pixels around; answer with `set_live_wire`.
        region_stepped: notches of the wheel, more or (below 0) less of what belongs together is wanted.
        outline_refused: the tool, polygon or lasso, whose outline was ended before it enclosed anything.
    """

    stroke_finished = Signal(object)
    clicked = Signal(object)
    drawing_begun = Signal(object)
    play_requested = Signal(object)
    anchor_set = Signal(object)
    region_stepped = Signal(object)
    outline_refused = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self._press = QPointF()
        self._button: Qt.MouseButton | None = None
        self._waiting = False
        self._space = SpaceHold(self)
        self._space.changed.connect(self._on_space_changed)
        self._space.tapped.connect(self.play_requested)
        self._update_cursor()

    # Tools

    def set_tool(self, name: str) -> None:
        """Take a tool, one of `tools.TOOLS`."""
        if name not in TOOLS:
            raise ValueError(f"tool {name!r}: must be one of {', '.join(TOOLS)}")
        if name != self._tool:
            self.finish_stroke()
            self.cancel_gesture()
            self.drop_edit_preview()
            self._tool = name
            self._update_cursor()
            self.update()

    def set_waiting(self, waiting: bool) -> None:
        """Whether what the region tool takes is being worked out: the cursor shows it."""
        self._waiting = bool(waiting)
        self._update_cursor()

    @property
    def sweep(self) -> tuple[tuple[tuple[float, float], ...], bool] | None:
        """The places (x, y) that the region tool has gone over with the button down, and whether that takes
        away; None while it is up."""
        return self._gestures.sweep

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
        if intent in _DRAWING:
            self.drawing_begun.emit(None)
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
        elif self._gestures.painting:
            self._begin_preview()
            self._paint_piece(self._gestures.move(point, dragged=False, spacing_px=0))
        elif self._gestures.stroke is not None:
            self._gestures.move(point, dragged=False, spacing_px=0)
        elif closed is not None:
            self.stroke_finished.emit(closed)
        if intent in (Intent.CORNER, Intent.UNDO_CORNER):
            self._tell_anchor()
        self._update_outline()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with what was begun, or hover."""
        position = event.position()
        if self._button is not None and not event.buttons() & self._button:
            # The release went elsewhere (a dialog came up, say): what it would have ended must not go on.
            self._let_go(position, event.modifiers())
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
        else:
            self._let_go(event.position(), event.modifiers())

    def _let_go(self, position: QPointF, modifiers: Qt.KeyboardModifier) -> None:
        self._button = None
        panned = self._gestures.intent is Intent.PAN
        lasso = self._gestures.intent is Intent.LASSO and self._gestures.outline is not None
        point = self.frame_position(position)
        self._follow_edges(last=True)
        preview = self._preview
        finished = self._gestures.release(
            point,
            dragged=self._dragged(position),
            inside=self._inside(point),
            radius_px=self._radius_px,
            reach_px=self._in_frame_px(CLOSE_DISTANCE_PX),
        )
        if panned:
            self._pan_from = None
            self._update_cursor()
        if isinstance(finished, StrokeEvent):
            self._emit_stroke(finished, preview)
        elif isinstance(finished, Pick):
            self.clicked.emit(((int(finished.point[0]), int(finished.point[1])), modifiers))
        elif lasso and finished is None:
            self.outline_refused.emit(self._tool)
        self._drop_untaken(preview)
        self.update()

    def finish_stroke(self) -> bool:
        """End the stroke in progress as if the button had come up; whether there was one."""
        preview, event = self._preview, self._gestures.finish_stroke()
        if event is not None:
            self._emit_stroke(event, preview)
            self._drop_untaken(preview)
            self.update()
        return event is not None

    def _emit_stroke(self, event: StrokeEvent, preview: StrokePreview | None) -> None:
        self.stroke_finished.emit(event if preview is None else event._replace(drawn=preview.finish()))

    def _drop_untaken(self, preview: StrokePreview | None) -> None:
        """Show what the document holds when nobody took the stroke (a locked object, say)."""
        if preview is not None and self._preview is preview:
            self._drop_preview()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Close a polygon; everything else takes it for a second press."""
        on_outline = self._gestures.outline is not None and event.button() == Qt.MouseButton.LeftButton
        if self._tool == "polygon" and on_outline:
            self.finish_outline()
        else:
            self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor; with Ctrl change the size of the brush, or of the region under the cursor."""
        notches = event.angleDelta().y() / 120
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if control and self._tool in PAINTING:
            self.step_brush_radius(notches)
            event.accept()
        elif control and self._tool == "region":
            self.region_stepped.emit(notches)
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

    def _dragged(self, position: QPointF) -> bool:
        return (position - self._press).manhattanLength() > DRAG_DISTANCE_PX

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

    # Cursor

    @property
    def _panning(self) -> bool:
        return super()._panning or self._space.held

    def _update_cursor(self) -> None:
        shape = Qt.CursorShape.CrossCursor
        if self._gestures.intent is Intent.PAN:
            shape = Qt.CursorShape.ClosedHandCursor
        elif self._space.held:
            shape = Qt.CursorShape.OpenHandCursor
        elif self._waiting and self._tool == "region":
            shape = Qt.CursorShape.BusyCursor
        elif self._tool == "pick":
            shape = Qt.CursorShape.ArrowCursor
        self.setCursor(shape)
        self._update_marks()
