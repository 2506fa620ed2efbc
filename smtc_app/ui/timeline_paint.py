"""How the timeline looks: colours of statuses, and functions that paint its parts. They keep nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QImage, QPainter, QPen, QPolygonF

from smtc_app.core.annotation import FrameStatus
from smtc_app.ui.theme import DARK, Colours, Theme
from smtc_app.ui.time_text import format_time
from smtc_app.ui.timeline_model import (
    PRIORITY,
    LaneModel,
    Marker,
    TimeAxis,
    decoded,
    marked_columns,
    ticks,
)

HEADER_PX = 148
RULER_PX = 30
STRIP_PX = 11
"""Lower part of the ruler, where keyframes and markers stand."""
LANE_PX, LEAST_LANE_PX = 22, 12
"""Height of a lane, and of one among many."""
LANE_GAP_PX, LEAST_LANE_GAP_PX = 4, 2
DIAMOND_PX = 4.5
LABEL_SPACING_PX = 104
LEAST_STRENGTH = 0.35
SURE, DOUBTFUL = 0.65, 0.3
"""Confidences from which a lane begins to redden, and at which it is red."""


@dataclass(frozen=True)
class StatusColours:
    """Colours of the lanes, CSS."""

    manual: str
    corrected: str
    proposed: str
    propagated: str
    doubtful: str
    stale: str
    trough: str
    keyframe: str
    locked: str


STATUS_DARK = StatusColours(
    manual="#5b9bff",
    corrected="#3fc6d8",
    proposed="#b394ff",
    propagated="#3a9d70",
    doubtful="#d8574d",
    stale="#e8a23a",
    trough="#14171d",
    keyframe="#f2f5fa",
    locked="#8b95a5",
)
STATUS_LIGHT = StatusColours(
    manual="#2a6fe0",
    corrected="#0f8ea3",
    proposed="#7d55d9",
    propagated="#4fae82",
    doubtful="#cf4238",
    stale="#d68a12",
    trough="#e4e8ee",
    keyframe="#1b2029",
    locked="#7b8594",
)


def status_colours(colours: Colours) -> StatusColours:
    """The statuses' colours that go with a palette."""
    return STATUS_DARK if colours is DARK else STATUS_LIGHT


def lane_image(codes: np.ndarray, height: int, palette: StatusColours) -> np.ndarray:
    """uint32 0xFFRRGGBB (height, w) of a lane's codes per device column.

    A propagated column is as high and as strong in colour as it is confident, over a faint ground, and turns
    red where it is doubtful; every other status fills the lane. Stale columns are hatched.
    """
    image = np.ascontiguousarray(_column_pictures(height, palette)[codes].T)
    stale = np.flatnonzero(codes >> 8 == PRIORITY[FrameStatus.STALE])
    if len(stale):
        ground = _packed(_rank_colours(palette)[1])[PRIORITY[FrameStatus.STALE]]
        stripe = (stale + np.arange(height)[:, None]) // 3 % 2 == 1
        image[:, stale] = np.where(stripe, ground, image[:, stale])
    return image


@cache
def _column_pictures(height: int, palette: StatusColours) -> np.ndarray:
    """uint32 (codes, height): what a column of each code looks like from top to bottom."""
    codes = np.arange(len(PRIORITY) << 8, dtype=np.uint16)
    rank, confidence = decoded(codes)
    strong, faint = _rank_colours(palette)
    doubtful = np.array(QColor(palette.doubtful).getRgb()[:3], np.float32)
    level = np.where(np.isnan(confidence), 1.0, confidence).astype(np.float32)
    level[rank != PRIORITY[FrameStatus.PROPAGATED]] = 1
    strength = (LEAST_STRENGTH + (1 - LEAST_STRENGTH) * level)[:, None]
    doubt = np.clip((SURE - level) / (SURE - DOUBTFUL), 0, 1)[:, None]
    low, full = faint[rank], strong[rank]
    full = full + (doubtful - full) * doubt
    colour = low + (full - low) * np.maximum(strength, doubt)
    from_bottom = height - np.arange(height, dtype=np.float32) - 0.5
    filled = from_bottom <= (0.16 + 0.84 * level[:, None]) * height
    return np.where(filled, _packed(colour)[:, None], _packed(low)[:, None])


def paint_lane(
    painter: QPainter, codes: np.ndarray, rect: QRectF, ratio: float, palette: StatusColours
) -> None:
    """A lane's codes (one per device column) into `rect`."""
    pixels = lane_image(codes, max(1, round(rect.height() * ratio)), palette)
    height, width = pixels.shape
    image = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)
    painter.drawImage(QRectF(rect.left(), rect.top(), width / ratio, rect.height()), image)


def paint_ruler(painter: QPainter, axis: TimeAxis, rect: QRectF, colours: Colours) -> None:
    """Ticks; `paint_ruler_labels` writes beside them."""
    painter.fillRect(rect, QColor(colours.panel))
    bottom = rect.bottom() - STRIP_PX
    for tick in ticks(axis, LABEL_SPACING_PX):
        x = np.floor(rect.left() + axis.x_of(tick.frame)) + 0.5
        painter.setPen(QPen(QColor(colours.text_off if tick.label else colours.border), 1))
        painter.drawLine(QPointF(x, rect.top() + (2 if tick.label else 12)), QPointF(x, bottom))
    painter.setPen(QPen(QColor(colours.border), 1))
    painter.drawLine(QPointF(rect.left(), rect.bottom() - 0.5), QPointF(rect.right(), rect.bottom() - 0.5))


def ruler_labels(
    axis: TimeAxis,
    rect: QRectF,
    seconds_of: Callable[[int], float],
    metrics: QFontMetricsF,
    flag: tuple[int, float, float] | None,
) -> list[tuple[float, str, bool]]:
    """(x, text, whether it is a frame number rather than a time) of what is written along the ruler.

    What the end of the ruler would cut is left out, and what the playhead's flag would cover. `flag`: (its
    frame, left edge, right edge), or None where the playhead is out of sight.
    """
    frame, low, high = flag or (-1, 0.0, 0.0)
    labels = []

    def is_free(x: float, text: str) -> bool:
        end = x + metrics.horizontalAdvance(text)
        return end <= rect.right() and (flag is None or end + 2 <= low or x - 2 >= high)

    for tick in ticks(axis, LABEL_SPACING_PX):
        if not tick.label:
            continue
        x = float(np.floor(rect.left() + axis.x_of(tick.frame))) + 5.5
        has_number = is_free(x, tick.label)
        if has_number:
            labels.append((x, tick.label, True))
        after = x + metrics.horizontalAdvance(tick.label) + 7
        time = format_time(seconds_of(tick.frame))
        # The flag says the number of its own frame; the time of any other would look like that of the flag.
        if (has_number or tick.frame == frame) and is_free(after, time):
            labels.append((after, time, False))
    return labels


def paint_ruler_labels(
    painter: QPainter, labels: Sequence[tuple[float, str, bool]], top: float, colours: Colours, font: QFont
) -> None:
    """Frame numbers and times as `ruler_labels` gives them."""
    painter.setFont(font)
    baseline = top + 3 + QFontMetricsF(font).ascent()
    for x, text, is_number in labels:
        painter.setPen(QColor(colours.text if is_number else colours.text_soft))
        painter.drawText(QPointF(x, baseline), text)


def paint_diamonds(
    painter: QPainter,
    frames: np.ndarray,
    axis: TimeAxis,
    left: float,
    y: float,
    colour: QColor,
    outline: QColor,
    *,
    size: float = DIAMOND_PX,
) -> None:
    """A diamond in the middle of each frame; where they would touch, one stands for its neighbours."""
    painter.setPen(QPen(outline, 1))
    painter.setBrush(colour)
    for frame in marked_columns(frames, axis, 2 * size + 1).tolist():
        x = left + axis.x_of(frame + 0.5)
        painter.drawPolygon(
            QPolygonF(
                [QPointF(x, y - size), QPointF(x + size, y), QPointF(x, y + size), QPointF(x - size, y)]
            )
        )


def paint_markers(
    painter: QPainter, markers: Sequence[Marker], axis: TimeAxis, left: float, top: float, colours: Colours
) -> None:
    """A small flag that points down to each marked frame."""
    kinds = {"warning": colours.warning, "error": colours.error}
    painter.setPen(Qt.PenStyle.NoPen)
    frames = np.array(sorted({marker.frame for marker in markers}), np.int64)
    shown = set(marked_columns(frames, axis, 6).tolist())
    for marker in markers:
        if marker.frame in shown:
            x = left + axis.x_of(marker.frame + 0.5)
            painter.setBrush(QColor(kinds.get(marker.kind, colours.accent)))
            painter.drawPolygon(QPolygonF([QPointF(x - 5, top), QPointF(x + 5, top), QPointF(x, top + 9)]))


def lane_height(lanes: int, room_px: float) -> int:
    """Height in px of each of so many lanes: as they are, or lower, so that more of them are in sight."""
    return max(LEAST_LANE_PX, min(LANE_PX, int(room_px // max(1, lanes))))


def lane_gap(lane_px: int) -> int:
    """Px between two lanes of a height."""
    return LANE_GAP_PX if lane_px >= (LANE_PX + LEAST_LANE_PX) / 2 else LEAST_LANE_GAP_PX


def paint_header(
    painter: QPainter, lane: LaneModel, rect: QRectF, selected: bool, hot: bool, colours: Colours, font: QFont
) -> None:
    """Name and colour of a lane."""
    if selected or hot:
        painter.fillRect(rect, QColor(colours.selection if selected else colours.hover))
    side = min(10.0, rect.height() - 4)
    swatch = QRectF(rect.left() + 15 - side / 2, rect.center().y() - side / 2, side, side)
    painter.setPen(QPen(QColor(colours.text_off), 1))
    painter.setBrush(QColor(*lane.colour) if lane.visible else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(swatch, 2.5, 2.5)
    room = rect.adjusted(28, 0, -24 if lane.locked else -8, 0)
    painter.setFont(font)
    painter.setPen(QColor(colours.text if lane.visible and not lane.locked else colours.text_soft))
    text = QFontMetricsF(font).elidedText(lane.name, Qt.TextElideMode.ElideRight, room.width())
    painter.drawText(room, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, text)
    if lane.locked:
        size = min(14, int(rect.height()))
        icon = Theme.current().pixmap("lock", size, colours.text_soft, painter.device().devicePixelRatioF())
        painter.drawPixmap(QPointF(rect.right() - 13 - size / 2, rect.center().y() - size / 2), icon)


def paint_locked_frames(
    painter: QPainter, frames: np.ndarray, axis: TimeAxis, rect: QRectF, colour: QColor
) -> None:
    """Hatches over frames that nothing may change."""
    tint = QColor(colour)
    tint.setAlpha(150)
    width = max(1.0, axis.px_per_frame)
    brush = QBrush(tint, Qt.BrushStyle.BDiagPattern)
    for frame in marked_columns(frames, axis, 1.0).tolist():
        x = rect.left() + axis.x_of(frame)
        column = QRectF(x, rect.top(), width, rect.height()).intersected(rect)
        painter.fillRect(column, brush)
        painter.fillRect(QRectF(column.left(), rect.top(), column.width(), 2), colour)


def paint_range(
    painter: QPainter, span: tuple[int, int], axis: TimeAxis, ruler: QRectF, below: QRectF, colours: Colours
) -> None:
    """The chosen range: a bar in the ruler with ends, and a shade over everything outside of it."""
    x0 = min(max(ruler.left() + axis.x_of(span[0]), ruler.left()), ruler.right())
    x1 = min(max(ruler.left() + axis.x_of(span[1]), ruler.left()), ruler.right())
    shade = QColor(colours.canvas)
    shade.setAlpha(140)
    whole = ruler.united(below)
    painter.fillRect(QRectF(whole.left(), whole.top(), x0 - whole.left(), whole.height()), shade)
    painter.fillRect(QRectF(x1, whole.top(), whole.right() - x1, whole.height()), shade)
    accent = QColor(colours.accent)
    fill = QColor(accent)
    fill.setAlpha(60)
    strip = QRectF(x0, ruler.bottom() - STRIP_PX, x1 - x0, STRIP_PX)
    painter.fillRect(strip, fill)
    for x, frame in ((x0, span[0]), (x1 - 2, span[1])):
        if ruler.left() <= ruler.left() + axis.x_of(frame) <= ruler.right() + 1:
            painter.fillRect(QRectF(x, strip.top(), 2, whole.bottom() - strip.top()), accent)


def playhead_flag(x: float, width: float, rect: QRectF, text: str, font: QFont) -> QRectF:
    """Where the number of the current frame stands: over its column, and inside of `rect`."""
    metrics = QFontMetricsF(font)
    wide = metrics.horizontalAdvance(text) + 12
    left = min(max(x + width / 2 - wide / 2, rect.left()), rect.right() - wide)
    return QRectF(left, rect.top() + 1, wide, metrics.height() + 2)


def paint_playhead(
    painter: QPainter, x: float, width: float, rect: QRectF, text: str, colours: Colours, font: QFont
) -> None:
    """The current frame: its column faintly, a line through everything, and its number in a flag."""
    accent = QColor(colours.accent)
    if width >= 3:
        tint = QColor(accent)
        tint.setAlpha(46)
        painter.fillRect(QRectF(x, rect.top(), width, rect.height()), tint)
    middle = x + width / 2
    painter.fillRect(QRectF(middle - 0.75, rect.top(), 1.5, rect.height()), accent)
    painter.setFont(font)
    flag = playhead_flag(x, width, rect, text, font)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(accent)
    painter.drawRoundedRect(flag, 4, 4)
    painter.setPen(QColor(colours.accent_text))
    painter.drawText(flag, Qt.AlignmentFlag.AlignCenter, text)


@cache
def _rank_colours(palette: StatusColours) -> tuple[np.ndarray, np.ndarray]:
    """float32 (6, 3) strong and faint RGB by rank."""
    names = {
        FrameStatus.ABSENT: palette.trough,
        FrameStatus.MANUAL: palette.manual,
        FrameStatus.PROPOSED: palette.proposed,
        FrameStatus.PROPAGATED: palette.propagated,
        FrameStatus.CORRECTED: palette.corrected,
        FrameStatus.STALE: palette.stale,
    }
    strong = np.zeros((len(PRIORITY), 3), np.float32)
    for status, name in names.items():
        strong[PRIORITY[status]] = QColor(name).getRgb()[:3]
    trough = np.array(QColor(palette.trough).getRgb()[:3], np.float32)
    return strong, trough + (strong - trough) * 0.16


def _packed(rgb: np.ndarray) -> np.ndarray:
    channels = np.rint(rgb).astype(np.uint32)
    return np.uint32(0xFF000000) | (channels[:, 0] << 16) | (channels[:, 1] << 8) | channels[:, 2]
