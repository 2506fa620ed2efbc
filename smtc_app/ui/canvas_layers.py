"""Buffers of the size of the screen that the canvas is painted from, each brought up to date where dirty.

A layer knows how to render a region of the view (a function); the canvas says which region is out of date.
What is not dirty is never computed again, so that a moving brush circle costs a copy of some thousand pixels.

Another frame on a large screen is some ten milliseconds of scaling and some of masks. Two such layers are
rendered side by side: OpenCV, which does most of it, lets other threads run meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from smtc_app.ui.overlay import union
from smtc_app.ui.view_transform import Region, Size, ViewTransform, intersection

Render = Callable[[ViewTransform, Region, np.ndarray], object]
"""Draws a region of the view into an array of its size, every pixel of it. Without Qt."""
APART_PX = 1 << 19
"""Layers with so many view pixels to render are worth a thread."""

_beside = ThreadPoolExecutor(1, "smtc-canvas")


class Layer:
    """One buffer, uint32 (h, w) premultiplied 0xAARRGGBB; `source` None: there is nothing to draw."""

    def __init__(self, *, opaque: bool = False) -> None:
        self._format = QImage.Format.Format_RGB32 if opaque else QImage.Format.Format_ARGB32_Premultiplied
        self._buffer = np.zeros((0, 0), np.uint32)
        self._image = QImage()
        self._dirty: Region | None = None
        self.source: Render | None = None

    def resize(self, size: Size) -> None:
        """Take another size of the view; everything has to be drawn again."""
        width, height = size
        self._buffer = np.zeros((height, width), np.uint32)
        self._image = QImage(self._buffer.data, width, height, 4 * width, self._format)
        self._dirty = (0, 0, width, height)

    def mark(self, region: Region) -> None:
        """This region of the view is out of date."""
        self._dirty = union((self._dirty, region))

    def take_dirty(self, bounds: Region) -> Region | None:
        """The region to render, inside `bounds`; nothing outside of them is going to be drawn."""
        height, width = self._buffer.shape
        region = None if self._dirty is None else intersection(self._dirty, (0, 0, width, height))
        self._dirty = None
        return None if region is None or self.source is None else intersection(region, bounds)

    def render(self, view: ViewTransform, region: Region) -> None:
        """Render a region again; in any thread, as long as nobody draws or changes the layer."""
        x0, y0, x1, y1 = region
        self.source(view, region, self._buffer[y0:y1, x0:x1])

    def draw(self, painter: QPainter, region: Region) -> None:
        """Copy a region to the painter, which draws in view pixels."""
        if self.source is not None:
            x0, y0, x1, y1 = region
            area = QRectF(x0, y0, x1 - x0, y1 - y0)
            painter.drawImage(area, self._image, area)


def bring_up_to_date(layers: Sequence[Layer], view: ViewTransform, bounds: Region) -> None:
    """Render what is dirty inside `bounds` on all layers."""
    due = [(layer, region) for layer in layers if (region := layer.take_dirty(bounds)) is not None]
    if sum(_area(region) >= APART_PX for _, region in due) < 2:
        for layer, region in due:
            layer.render(view, region)
        return
    first, region_of_first = due[0]
    beside = _beside.submit(first.render, view, region_of_first)
    for layer, region in due[1:]:
        layer.render(view, region)
    if beside.cancel():  # the processor had no room for it so far
        first.render(view, region_of_first)
    else:
        beside.result()


def _area(region: Region) -> int:
    x0, y0, x1, y1 = region
    return (x1 - x0) * (y1 - y0)


def image_of(layer: np.ndarray) -> QImage:
    """A `QImage` with its own copy of a uint32 (h, w) premultiplied array."""
    height, width = layer.shape
    pixels = np.ascontiguousarray(layer)
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()
