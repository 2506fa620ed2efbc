"""The timeline's row of thumbnails: asks the provider for what is in sight, keeps and paints what comes."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, QRectF, Qt, Signal, Slot
from PySide6.QtGui import QColor, QImage, QPainter

from smtc_app.ui.theme import Theme
from smtc_app.ui.thumbnails import Provider, ThumbnailQueue, places, shrunk
from smtc_app.ui.timeline_model import TimeAxis

THUMBNAIL_PX = 40
WIDEST = 2
"""A frame that takes more than so many widths of its thumbnail shows all of it, not a blurred strip."""


class ThumbnailRow(QObject):
    """Signals:
    changed: None; a thumbnail has come, and the row is to be painted again.
    """

    changed = Signal(object)
    _came = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._provider: Provider | None = None
        self._generation = 0
        self._queue = ThumbnailQueue()
        self._aspect = 16 / 9
        self._came.connect(self._on_came, Qt.ConnectionType.QueuedConnection)

    @property
    def height_px(self) -> int:
        """Height in points, 0 without a provider."""
        return 0 if self._provider is None else THUMBNAIL_PX

    def set_provider(self, provider: Provider | None) -> None:
        """Who gives thumbnails from now on; those of the one before are forgotten."""
        self._generation += 1
        self._provider = provider
        self._queue.clear()

    def paint(self, painter: QPainter, axis: TimeAxis, left: float, top: float) -> None:
        """Paint the thumbnails in sight, and ask for those that are missing, from the middle outwards."""
        if self._provider is None:
            return
        shown = places(axis, THUMBNAIL_PX * self._aspect)
        middle = axis.width / 2
        nearest_first = sorted(shown, key=lambda place: abs(place.x + place.width / 2 - middle))
        self._queue.want(place.frame for place in nearest_first)
        colours = Theme.current().colours
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        for place in shown:
            rect = QRectF(left + place.x, top, place.width, THUMBNAIL_PX)
            image = self._queue.get(place.frame)
            if image is None:
                image = self._queue.nearest(place.frame, max(1, round(place.width / axis.px_per_frame)))
            if image is None or image.isNull():
                painter.fillRect(rect.adjusted(0, 0, -1, 0), QColor(colours.raised))
            else:
                target = _room(image, rect)
                if target != rect:
                    painter.fillRect(rect, QColor(colours.raised))
                painter.drawImage(target, image, _cropped(image, target))
            painter.fillRect(QRectF(rect.left() - 0.5, rect.top(), 1, rect.height()), QColor(colours.canvas))
        self._request(round(THUMBNAIL_PX * painter.device().devicePixelRatioF()))

    def _request(self, height: int) -> None:
        generation = self._generation

        # Runs in the provider's thread: shrinking and emitting are all that it may do.
        def deliver(frame: int, picture: np.ndarray | None) -> None:
            small = None if picture is None else shrunk(picture, height)
            self._came.emit((generation, frame, small))

        for frame in self._queue.next_requests():
            self._provider(frame, deliver)

    @Slot(object)
    def _on_came(self, message: tuple[int, int, np.ndarray | None]) -> None:
        generation, frame, picture = message
        if generation != self._generation:
            return
        image = QImage()
        if picture is not None:
            height, width = picture.shape[:2]
            self._aspect = width / height
            pixels = np.ascontiguousarray(picture)
            wrapped = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888)
            image = wrapped.convertToFormat(QImage.Format.Format_RGB32)
        self._queue.put(frame, image)
        self.changed.emit(None)


def _room(image: QImage, rect: QRectF) -> QRectF:
    """Where an image is painted: all of `rect`, or its middle where little of the image would be left."""
    width = rect.height() * image.width() / image.height()
    if rect.width() <= WIDEST * width:
        return rect
    return QRectF(rect.center().x() - width / 2, rect.top(), width, rect.height())


def _cropped(image: QImage, rect: QRectF) -> QRectF:
    """The middle of an image in the shape of `rect`."""
    width, height = image.width(), image.height()
    shape = rect.width() / rect.height()
    if shape > width / height:
        wanted = width / shape
        return QRectF(0, (height - wanted) / 2, width, wanted)
    wanted = height * shape
    return QRectF((width - wanted) / 2, 0, wanted, height)
