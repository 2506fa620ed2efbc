"""The application's icons: line drawings that take the colour of the text they stand beside.

Each icon is an SVG in `assets/icons` drawn in `currentColor` on a 24 x 24 grid. `icon(name)` renders it in
the current theme's colours (normal, disabled, switched on) at one and two device pixels per point, so that it
stays crisp on any screen. To add one, put `<name>.svg` into the folder.
"""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from smtc_app.assets import assets_folder

SIZES_PX = (16, 20)
DEVICE_PIXEL_RATIOS = (1, 2)


@cache
def _source(name: str) -> str:
    return (assets_folder() / "icons" / f"{name}.svg").read_text(encoding="utf-8")


def pixmap(name: str, colour: QColor, size_px: int, ratio: float = 1.0) -> QPixmap:
    """The icon `name` in one colour, `size_px` points large, at `ratio` device pixels per point."""
    text = _source(name).replace("currentColor", colour.name())
    renderer = QSvgRenderer(QByteArray(text.encode()))
    image = QPixmap(round(size_px * ratio), round(size_px * ratio))
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setOpacity(colour.alphaF())
    renderer.render(painter, QRectF(image.rect()))
    painter.end()
    image.setDevicePixelRatio(ratio)
    return image


def make_icon(name: str, normal: QColor, disabled: QColor, on: QColor | None = None) -> QIcon:
    """A `QIcon` with all sizes of `name` in its colours; `on` is for actions that can be switched on."""
    result = QIcon()
    states = [(normal, QIcon.Mode.Normal, QIcon.State.Off), (disabled, QIcon.Mode.Disabled, QIcon.State.Off)]
    if on is not None:
        states.append((on, QIcon.Mode.Normal, QIcon.State.On))
    for colour, mode, state in states:
        for size_px in SIZES_PX:
            for ratio in DEVICE_PIXEL_RATIOS:
                result.addPixmap(pixmap(name, colour, size_px, ratio), mode, state)
    return result
