"""The picture with its masks, and the tools that draw on it.

The canvas shows what it is given and says what the person did; it never changes a document. While a stroke
is drawn it paints a preview of its own, rasterised by the same function as the edit that follows, and goes
back to the document's labels when nobody took the stroke. Decisions are in `tools` and `view_transform`,
drawing in `overlay` and `frame_sampler`: pure functions that this widget only calls.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import cv2
import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, Qt, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QEnterEvent,
    QFocusEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from smtc_app.core import mask_ops
from smtc_app.core.palette import lookup_table, object_colour
from smtc_app.ui import canvas_marks, overlay, view_transform
from smtc_app.ui.canvas_layers import Layer, image_of
from smtc_app.ui.frame_sampler import FrameSampler
from smtc_app.ui.overlay import OverlayStyle, Proposal
from smtc_app.ui.theme import Theme
from smtc_app.ui.tools import (
    CLOSE_DISTANCE_PX,
    DRAG_DISTANCE_PX,
    PAINTING,
    TOOLS,
    Button,
    HoverEvent,
    Intent,
    Outline,
    Stroke,
    StrokeEvent,
    clipped_radius,
    intent_of,
    stepped_radius,
)
from smtc_app.ui.view_transform import Region, Size, ViewTransform

FIT_MARGIN_PX = 12
LINE_PX, OUTLINE_PX = 1, 2
TRACE_SPACING_PX = 3
"""Corners of a freehand line are this far apart, in points of the screen."""
_BUTTONS = {
    Qt.MouseButton.LeftButton: Button.LEFT,
    Qt.MouseButton.MiddleButton: Button.MIDDLE,
    Qt.MouseButton.RightButton: Button.RIGHT,
}


class Canvas(QWidget):
    """Zoomable picture with overlay and tools.

    Signals:
        stroke_finished: a `tools.StrokeEvent`; change the document and call `set_labels` in the slot.
        clicked: ((x, y), modifiers) of a pick inside the frame, whole pixels and Qt.KeyboardModifiers.
        hovered: a `tools.HoverEvent` (x, y, label), or None when the cursor leaves the frame.
        brush_radius_changed: the new radius in frame pixels.
        zoom_changed: view pixels (dots of the screen) per frame pixel.
        play_requested: None; Space was tapped, not held to pan.
    """

    stroke_finished = Signal(object)
    clicked = Signal(object)
    hovered = Signal(object)
    brush_radius_changed = Signal(object)
    zoom_changed = Signal(object)
    play_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setMinimumSize(160, 120)
        self._view = ViewTransform()
        self._view_size: Size = (0, 0)
        self._fitting = True
        self._sampler: FrameSampler | None = None
        self._labels: np.ndarray | None = None
        self._preview: np.ndarray | None = None
        self._preview_box: tuple[int, int, int, int] | None = None
        self._lut = lookup_table(())
        self._style = OverlayStyle()
        self._selected: tuple[int, ...] = ()
        self._proposals: list[Proposal] = []
        self._proposal_numbers: np.ndarray | None = None
        self._chosen_proposals: tuple[int, ...] = ()
        self._active, self._active_colour = 1, object_colour(1)
        self._locked: frozenset[int] = frozenset()
        self._tool = "pick"
        self._radius_px = 12.0
        self._picture, self._ghost = Layer(opaque=True), Layer()
        self._masks, self._proposed = Layer(), Layer()
        self._ghost_opacity = 0.5
        self._heat: QImage | None = None
        self._alternative: FrameSampler | None = None
        self._tables = overlay.label_tables(self._lut, self._style)
        self._proposal_tables = overlay.proposal_tables(())
        self._cursor: QPointF | None = None
        self._hover: HoverEvent | None = None
        self._intent = Intent.NOTHING
        self._press = QPointF()
        self._pan_from = QPointF()
        self._stroke: Stroke | None = None
        self._outline: Outline | None = None
        self._space = self._space_used = False
        Theme.current().changed.connect(self._on_theme_changed)
        self._update_cursor()

    # What is shown

    @property
    def frame_size(self) -> Size | None:
        """(width, height) of the frame in pixels, None without one."""
        return self._sampler.size if self._sampler is not None else None

    def set_frame(self, rgb: np.ndarray | None) -> None:
        """Show a frame, uint8 (H, W, 3); zoom and place stay unless the size is another. None empties it.

        A gesture in progress is given up: it was meant for the frame before. Labels, proposals and view
        modes of a frame of another size are dropped.
        """
        old = self.frame_size
        self._drop_gesture(keep_outline=False)
        self._sampler = None if rgb is None else FrameSampler(rgb)
        if self.frame_size != old:
            self._labels = self._proposal_numbers = self._heat = self._alternative = None
            self._proposals = []
            self._ghost.source = None
            self.fit()
        self._use_sources()
        self._mark_all(self._picture)

    def set_labels(
        self, labels: np.ndarray | None, dirty_box: tuple[int, int, int, int] | None = None
    ) -> None:
        """Show a label map, uint16 (H, W); `dirty_box` (frame pixels) limits what is drawn again.

        Raises:
            ValueError: not the size of the frame.
        """
        if labels is not None and self.frame_size is not None and labels.shape[::-1] != self.frame_size:
            raise ValueError(f"labels must be {self.frame_size[::-1]}, got {labels.shape}")
        self._labels, self._preview = labels, None
        self._use_sources()
        if dirty_box is None:
            self._mark_all(self._masks)
        else:
            box = overlay.union((dirty_box, self._preview_box))
            self._mark_box(self._masks, box)
        self._preview_box = None

    def set_lut(self, lut: np.ndarray) -> None:
        """Colours by label: uint8 (n, 4) RGBA; alpha 0 hides an object, `set_opacity` scales the rest."""
        self._lut = np.asarray(lut, np.uint8)
        self._restyle()

    def set_selected(self, ids: Sequence[int]) -> None:
        """Highlight these objects."""
        if tuple(ids) != self._selected:
            self._selected = tuple(ids)
            self._restyle()

    def set_active(
        self, object_id: int, colour: tuple[int, int, int] | None = None, *, locked_ids: Collection[int] = ()
    ) -> None:
        """The object that the tools paint (a coming one may not exist yet); never over `locked_ids`."""
        self._active = object_id
        self._active_colour = tuple(colour) if colour is not None else object_colour(object_id)
        self._locked = frozenset(locked_ids)
        self._restyle()

    def set_proposals(self, proposals: Sequence[tuple[int, np.ndarray, tuple[int, int, int], bool]]) -> None:
        """Draw proposals: (id, mask bool (H, W), colour RGB, accepted) each."""
        self._proposals = [
            Proposal(i, mask, tuple(colour), accepted) for i, mask, colour, accepted in proposals
        ]
        shape = None if self.frame_size is None else self.frame_size[::-1]
        self._proposal_numbers = (
            overlay.proposal_map(self._proposals, shape) if self._proposals and shape is not None else None
        )
        self._restyle_proposals()

    def set_selected_proposals(self, ids: Sequence[int]) -> None:
        """Highlight these proposals."""
        if tuple(ids) != self._chosen_proposals:
            self._chosen_proposals = tuple(ids)
            self._restyle_proposals()

    def set_opacity(self, opacity: float) -> None:
        """Opacity of the masks, 0..1."""
        self._set_style(opacity=min(max(float(opacity), 0.0), 1.0))

    def set_outline(self, on: bool) -> None:
        """Draw outlines only, or filled masks."""
        self._set_style(outline=bool(on))

    def set_masks_visible(self, on: bool) -> None:
        """Draw masks at all; proposals go with them."""
        self._set_style(visible=bool(on))
        self._restyle_proposals()

    def set_heat_map(self, values: np.ndarray | None) -> None:
        """Lay a heat map over the frame: float (h, w) in [0, 1] of any resolution, NaN transparent."""
        self._heat = None if values is None else image_of(overlay.heat_colours(values))
        self.update()

    def set_alternative_image(self, rgb: np.ndarray | None) -> None:
        """Show another picture in place of the frame (a view mode): uint8 (h, w, 3) of any resolution."""
        if rgb is not None and self.frame_size is not None and rgb.shape[1::-1] != self.frame_size:
            rgb = cv2.resize(rgb, self.frame_size, interpolation=cv2.INTER_NEAREST)
        self._alternative = None if rgb is None else FrameSampler(rgb)
        self._use_sources()
        self._mark_all(self._picture)

    def set_onion_skin(self, rgb: np.ndarray | None, opacity: float = 0.5) -> None:
        """Lay another frame of the same size over this one, uint8 (H, W, 3); None takes it away."""
        self._ghost_opacity = min(max(float(opacity), 0.0), 1.0)
        self._ghost.source = None if rgb is None else FrameSampler(rgb).render
        self._mark_all(self._ghost)

    # Zoom

    @property
    def scale(self) -> float:
        """View pixels (dots of the screen) per frame pixel."""
        return self._view.scale

    @Slot()
    def fit(self) -> None:
        """Show the whole frame, also after the widget's next change of size."""
        self._fitting = True
        if self.frame_size is not None and min(self._view_size) > 0:
            margin = round(FIT_MARGIN_PX * self.devicePixelRatioF())
            self._set_view(view_transform.fitted(self.frame_size, self._view_size, margin))

    @Slot()
    def actual_size(self) -> None:
        """One dot of the screen per pixel of the frame, around the middle of what is shown."""
        self.zoom_by(1 / self._view.scale)

    def zoom_by(self, factor: float, anchor: tuple[float, float] | None = None) -> None:
        """Zoom around a point of the view (view pixels; default: its middle)."""
        if self.frame_size is None:
            return
        smallest, largest = view_transform.scale_limits(self.frame_size, self._view_size)
        anchor = anchor or (self._view_size[0] / 2, self._view_size[1] / 2)
        self._fitting = False
        self._set_view(self._view.zoomed_at(factor, anchor, smallest=smallest, largest=largest))

    def frame_position(self, position: QPointF) -> tuple[float, float]:
        """Frame coordinates of a point of the widget."""
        ratio = self.devicePixelRatioF()
        return self._view.to_frame((position.x() * ratio, position.y() * ratio))

    def widget_position(self, x: float, y: float) -> QPointF:
        """The point of the widget where the frame coordinates (x, y) are drawn."""
        ratio = self.devicePixelRatioF()
        view_x, view_y = self._view.to_view((x, y))
        return QPointF(view_x / ratio, view_y / ratio)

    # Tools

    @property
    def tool(self) -> str:
        """The tool in the hand, one of `tools.TOOLS`."""
        return self._tool

    def set_tool(self, name: str) -> None:
        """Take a tool: pick, brush, eraser, fill, polygon or lasso."""
        if name not in TOOLS:
            raise ValueError(f"tool {name!r}: must be one of {', '.join(TOOLS)}")
        if name != self._tool:
            self._drop_gesture(keep_outline=False)
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

    @property
    def gesture_in_progress(self) -> bool:
        """Whether a stroke or an outline has been begun and not finished."""
        return self._stroke is not None or self._outline is not None

    def cancel_gesture(self) -> bool:
        """Give up the stroke or outline in progress; whether there was one."""
        had_one = self.gesture_in_progress
        self._drop_gesture(keep_outline=False)
        return had_one

    def finish_outline(self) -> bool:
        """Close the polygon in progress; whether it could be closed."""
        outline = self._outline
        if outline is None or not outline.complete:
            return False
        self._drop_gesture(keep_outline=False)
        tool = "lasso" if self._tool == "lasso" else "polygon"
        self.stroke_finished.emit(StrokeEvent(tool, tuple(outline.points), self._radius_px))
        return True

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Begin what the tool does."""
        button = _BUTTONS.get(event.button())
        if button is None or self.frame_size is None or self._intent is not Intent.NOTHING:
            event.ignore()
            return
        self._move_cursor(event.position())
        alt = bool(event.modifiers() & Qt.KeyboardModifier.AltModifier)
        intent = intent_of(self._tool, button, space=self._space, alt=alt)
        point = self.frame_position(event.position())
        self._press, self._intent = event.position(), intent
        if intent is Intent.PAN:
            self._pan_from, self._space_used = event.position(), True
            self._update_cursor()
        elif intent in (Intent.STROKE, Intent.ERASE):
            self._begin_stroke(point)
        elif intent is Intent.CORNER:
            self._set_corner(point)
        elif intent is Intent.LASSO:
            self._outline = Outline([point])
        elif intent is Intent.UNDO_CORNER and self._outline is not None:
            self._outline.undo()
            if not self._outline.points:
                self._outline = None
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on with what was begun, or hover."""
        position = event.position()
        if self._intent is Intent.PAN:
            ratio = self.devicePixelRatioF()
            moved = (position - self._pan_from) * ratio
            self._pan_from = position
            self._fitting = False
            self._set_view(self._view.panned(moved.x(), moved.y()))
        self._move_cursor(position)
        point = self.frame_position(position)
        if self._stroke is not None:
            self._extend_stroke(point)
        elif self._outline is not None:
            self._outline.cursor = point
            dragged = (position - self._press).manhattanLength() > DRAG_DISTANCE_PX
            if self._intent in (Intent.LASSO, Intent.CORNER) and dragged:
                self._outline.trace(point, self._screen_px(TRACE_SPACING_PX))
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Finish what was begun."""
        intent, self._intent = self._intent, Intent.NOTHING
        point = self.frame_position(event.position())
        dragged = (event.position() - self._press).manhattanLength() > DRAG_DISTANCE_PX
        if intent is Intent.PAN:
            self._update_cursor()
        elif intent in (Intent.STROKE, Intent.ERASE):
            self._finish_stroke("eraser" if intent is Intent.ERASE else "brush")
        elif intent is Intent.LASSO and not self.finish_outline():
            self._drop_gesture(keep_outline=False)
        elif intent is Intent.CORNER and dragged and self._outline is not None:
            # A freehand stretch that ends where the outline began closes it.
            if self._outline.closes_at(point, self._screen_px(CLOSE_DISTANCE_PX)):
                self.finish_outline()
        elif intent is Intent.PICK and not dragged and self._inside(point):
            self.clicked.emit(((int(point[0]), int(point[1])), event.modifiers()))
        elif intent is Intent.FILL and not dragged and self._inside(point):
            self.stroke_finished.emit(StrokeEvent("fill", (point,), self._radius_px))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Close a polygon; everything else takes it for a second press."""
        if (
            self._tool == "polygon"
            and event.button() == Qt.MouseButton.LeftButton
            and self._outline is not None
        ):
            self.finish_outline()
        else:
            self.mousePressEvent(event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom at the cursor; with Ctrl change the size of the brush."""
        notches = event.angleDelta().y() / 120
        if not notches or self.frame_size is None:
            event.ignore()
            return
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier and self._tool in PAINTING:
            self.step_brush_radius(notches)
        else:
            ratio = self.devicePixelRatioF()
            anchor = event.position().x() * ratio, event.position().y() * ratio
            self.zoom_by(view_transform.WHEEL_STEP**notches, anchor)
        self._move_cursor(event.position())
        event.accept()

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
        key, plain = (
            event.key(),
            event.modifiers() in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.KeypadModifier),
        )
        if not plain:
            return False
        if key == Qt.Key.Key_Space:
            return True
        if key == Qt.Key.Key_Escape:
            return self.gesture_in_progress
        editing = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Backspace)
        return self._outline is not None and key in editing

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Space holds the picture to pan it; Enter, Backspace and Esc finish, shorten and drop an outline."""
        key = event.key()
        if key == Qt.Key.Key_Space:
            if not event.isAutoRepeat():
                self._space, self._space_used = True, False
                self._update_cursor()
        elif key == Qt.Key.Key_Escape and self.gesture_in_progress:
            self.cancel_gesture()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._outline is not None:
            self.finish_outline()
        elif key == Qt.Key.Key_Backspace and self._outline is not None:
            self._outline.undo()
            self.update()
        else:
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        """Space let go without having panned: play or pause."""
        if event.key() != Qt.Key.Key_Space:
            super().keyReleaseEvent(event)
        elif not event.isAutoRepeat() and self._space:
            self._space = False
            self._update_cursor()
            if not self._space_used:
                self.play_requested.emit(None)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """A release of Space that goes elsewhere must not leave the hand behind."""
        self._space = False
        self._update_cursor()
        super().focusOutEvent(event)

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bring dirty layers up to date and copy what was exposed."""
        painter = QPainter(self)
        exposed = event.rect()
        painter.fillRect(exposed, QColor(Theme.current().colours.canvas))
        if self.frame_size is None:
            return
        ratio = self.devicePixelRatioF()
        painter.save()
        painter.scale(1 / ratio, 1 / ratio)
        region = view_transform.intersection(
            self._view_region(exposed), self._view.frame_region(self.frame_size)
        )
        if region is not None:
            layers = (self._picture, self._ghost, self._masks, self._proposed)
            for layer in layers:
                layer.bring_up_to_date(self._view)
            self._picture.draw(painter, region)
            if self._ghost.source is not None:
                painter.setOpacity(self._ghost_opacity)
                self._ghost.draw(painter, region)
                painter.setOpacity(1)
            if self._heat is not None:
                self._draw_heat(painter, region)
            self._masks.draw(painter, region)
            self._proposed.draw(painter, region)
        painter.restore()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._outline is not None:
            canvas_marks.draw_outline(
                painter,
                [self.widget_position(*point) for point in self._outline.points],
                None if self._outline.cursor is None else self.widget_position(*self._outline.cursor),
                QColor(*self._active_colour),
                closing=self._outline_closes(),
            )
        if self._brush_shown():
            canvas_marks.draw_brush(
                painter,
                self._cursor,
                self._brush_radius_points(),
                self._brush_colour(),
                erasing=self._erasing(),
            )

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the middle in the middle, or the whole frame in sight."""
        ratio = self.devicePixelRatioF()
        old = self._view_size
        self._view_size = max(1, round(self.width() * ratio)), max(1, round(self.height() * ratio))
        for layer in (self._picture, self._ghost, self._masks, self._proposed):
            layer.resize(self._view_size)
        if self._fitting:
            self.fit()
        elif min(old) > 0:
            self._set_view(view_transform.resized(self._view, old, self._view_size))

    @Slot(object)
    def _on_theme_changed(self, _colours: object) -> None:
        self.update()

    def _draw_heat(self, painter: QPainter, region: Region) -> None:
        x0, y0, x1, y1 = self._view.frame_region(self.frame_size)
        painter.save()
        painter.setClipRect(QRect(region[0], region[1], region[2] - region[0], region[3] - region[1]))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(x0, y0, x1 - x0, y1 - y0), self._heat)
        painter.restore()

    # Strokes

    def _begin_stroke(self, point: tuple[float, float]) -> None:
        width, height = self.frame_size
        base = self._labels if self._labels is not None else np.zeros((height, width), np.uint16)
        self._preview, self._preview_box = base.copy(), None
        self._use_sources()
        self._stroke = Stroke(self._radius_px)
        self._extend_stroke(point)

    def _extend_stroke(self, point: tuple[float, float]) -> None:
        piece = self._stroke.add(point)
        if piece is None:
            return
        value = 0 if self._intent is Intent.ERASE else self._active
        xs, ys = zip(*piece, strict=True)
        reach = self._stroke.radius_px + 2
        width, height = self.frame_size
        box = view_transform.intersection(
            (int(min(xs) - reach), int(min(ys) - reach), int(max(xs) + reach) + 1, int(max(ys) + reach) + 1),
            (0, 0, width, height),
        )
        if box is None:
            return
        x0, y0, x1, y1 = box
        part = self._preview[y0:y1, x0:x1]
        shifted = [(x - x0, y - y0) for x, y in piece]
        edited = mask_ops.brush_stroke(part, shifted, self._stroke.radius_px, value, locked_ids=self._locked)
        if edited.box is not None:
            part[:] = edited.labels
            left, top, right, bottom = edited.box
            changed = (x0 + left, y0 + top, x0 + right, y0 + bottom)
            self._preview_box = overlay.union((self._preview_box, changed))
            self._mark_box(self._masks, changed)

    def _finish_stroke(self, tool: str) -> None:
        stroke, self._stroke = self._stroke, None
        if stroke is None:
            return
        preview = self._preview
        self.stroke_finished.emit(StrokeEvent(tool, tuple(stroke.points), stroke.radius_px))
        if self._preview is preview:
            # Nobody took the stroke (a locked object, say): show what the document holds.
            self._drop_preview()

    def _drop_preview(self) -> None:
        if self._preview is not None:
            self._preview = None
            self._use_sources()
            if self._preview_box is not None:
                self._mark_box(self._masks, self._preview_box)
            self._preview_box = None

    def _drop_gesture(self, *, keep_outline: bool) -> None:
        if self._stroke is not None:
            self._stroke, self._intent = None, Intent.NOTHING
            self._drop_preview()
        if self._outline is not None and not keep_outline:
            self._outline = None
            self.update()

    def _set_corner(self, point: tuple[float, float]) -> None:
        if self._outline is None:
            self._outline = Outline([point])
        elif self._outline.closes_at(point, self._screen_px(CLOSE_DISTANCE_PX)):
            self.finish_outline()
        else:
            self._outline.add(point)
        if self._outline is not None:
            self._outline.cursor = point
        self.update()

    def _outline_closes(self) -> bool:
        outline = self._outline
        return outline.cursor is not None and outline.closes_at(
            outline.cursor, self._screen_px(CLOSE_DISTANCE_PX)
        )

    def _screen_px(self, points: float) -> float:
        """A length on the screen in frame pixels."""
        return points * self.devicePixelRatioF() / self._view.scale

    # Cursor

    def _inside(self, point: tuple[float, float]) -> bool:
        width, height = self.frame_size
        return 0 <= point[0] < width and 0 <= point[1] < height

    def _move_cursor(self, position: QPointF | None) -> None:
        self._update_marks()
        self._cursor = position
        self._update_marks()
        hover = None
        if position is not None and self.frame_size is not None:
            point = self.frame_position(position)
            if self._inside(point):
                labels = self._preview if self._preview is not None else self._labels
                label = 0 if labels is None else mask_ops.pick(labels, point)
                hover = HoverEvent(int(point[0]), int(point[1]), label)
        if hover != self._hover:
            self._hover = hover
            self.hovered.emit(hover)

    def _erasing(self) -> bool:
        return self._tool == "eraser" or (self._stroke is not None and self._intent is Intent.ERASE)

    def _brush_shown(self) -> bool:
        return (
            self._tool in PAINTING
            and self._cursor is not None
            and self.frame_size is not None
            and not self._space
            and self._intent is not Intent.PAN
        )

    def _brush_radius_points(self) -> float:
        return self._radius_px * self._view.scale / self.devicePixelRatioF()

    def _brush_colour(self) -> QColor:
        return QColor(*overlay.brightened(np.array([self._active_colour], np.uint8))[0].tolist())

    def _update_marks(self) -> None:
        """Have the place of the brush circle painted again."""
        if self._cursor is not None and self._tool in PAINTING:
            reach = self._brush_radius_points() + canvas_marks.BRUSH_MARGIN_PX
            self.update(
                QRectF(
                    self._cursor.x() - reach, self._cursor.y() - reach, 2 * reach, 2 * reach
                ).toAlignedRect()
            )

    def _update_cursor(self) -> None:
        shape = Qt.CursorShape.CrossCursor
        if self._intent is Intent.PAN:
            shape = Qt.CursorShape.ClosedHandCursor
        elif self._space:
            shape = Qt.CursorShape.OpenHandCursor
        elif self._tool == "pick":
            shape = Qt.CursorShape.ArrowCursor
        self.setCursor(shape)
        self._update_marks()

    # Layers

    def _use_sources(self) -> None:
        picture = self._alternative or self._sampler
        self._picture.source = None if picture is None else picture.render
        shown = self._preview is not None or self._labels is not None
        self._masks.source = self._render_masks if shown and self._sampler is not None else None
        visible = self._proposal_numbers is not None and self._style.visible
        self._proposed.source = self._render_proposals if visible else None

    def _render_masks(self, view: ViewTransform, region: Region) -> np.ndarray:
        labels = self._preview if self._preview is not None else self._labels
        return overlay.render(labels, view, region, self._tables, self._line_px())

    def _render_proposals(self, view: ViewTransform, region: Region) -> np.ndarray:
        line_px = max(1, round(OUTLINE_PX * self.devicePixelRatioF()))
        return overlay.render(self._proposal_numbers, view, region, self._proposal_tables, line_px)

    def _line_px(self) -> int:
        return max(1, round((OUTLINE_PX if self._style.outline else LINE_PX) * self.devicePixelRatioF()))

    def _set_style(self, **changes: object) -> None:
        style = replace(self._style, **changes)
        if style != self._style:
            self._style = style
            self._restyle()

    def _restyle(self) -> None:
        lut = self._lut
        if self._active >= len(lut) and self._active < overlay.LABELS:
            lut = np.concatenate([lut, np.zeros((self._active + 1 - len(lut), 4), np.uint8)])
        if self._active < overlay.LABELS and tuple(lut[self._active, :3]) != self._active_colour:
            # The stroke of an object that does not exist yet is previewed in the colour that it will get.
            lut = lut.copy()
            lut[self._active] = (*self._active_colour, 255)
        self._tables = overlay.label_tables(lut, self._style, self._selected)
        self._mark_all(self._masks)

    def _restyle_proposals(self) -> None:
        self._proposal_tables = overlay.proposal_tables(self._proposals, self._chosen_proposals)
        self._use_sources()
        self._mark_all(self._proposed)

    def _set_view(self, view: ViewTransform) -> None:
        if self.frame_size is not None:
            view = view.kept_visible(self.frame_size, self._view_size)
        if view == self._view:
            return
        zoomed = view.scale != self._view.scale
        self._view = view
        for layer in (self._picture, self._ghost, self._masks, self._proposed):
            layer.mark((0, 0, *self._view_size))
        self.update()
        if zoomed:
            self.zoom_changed.emit(view.scale)

    def _mark_all(self, layer: Layer) -> None:
        layer.mark((0, 0, *self._view_size))
        self.update()

    def _mark_box(self, layer: Layer, box: tuple[int, int, int, int]) -> None:
        region = self._view.region_of(box, overlay.margin_of(self._line_px()))
        layer.mark(region)
        ratio = self.devicePixelRatioF()
        x0, y0, x1, y1 = (side / ratio for side in region)
        self.update(QRectF(x0, y0, x1 - x0, y1 - y0).toAlignedRect())

    def _view_region(self, rect: QRect) -> Region:
        """The view pixels that an exposed rectangle of the widget touches."""
        ratio = self.devicePixelRatioF()
        width, height = self._view_size
        return (
            max(0, int(rect.left() * ratio)),
            max(0, int(rect.top() * ratio)),
            min(width, int(np.ceil((rect.right() + 1) * ratio))),
            min(height, int(np.ceil((rect.bottom() + 1) * ratio))),
        )
