"""Colours, spacing and the style sheet: one place, two palettes, following the system's light or dark scheme.

Widgets that paint themselves read `Theme.current().colours` in their paint event; everything else gets its
look from the palette and the style sheet set here. `Theme.changed` tells who keeps rendered icons or pixmaps.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QStyleFactory

from smtc_app.ui import icons
from smtc_app.ui.style_sheet import style_sheet

SPACING_PX = 8
MARGIN_PX = 12
ROW_HEIGHT_PX = 34
ICON_PX = 36
"""Of the sign in a dialog that asks or tells."""
SPIN_TEXT_MARGINS_PX = (7, 0, 2, 0)
"""Of the field in a spin box: Qt 6.11 leaves out the padding of the style sheet on its left."""


@dataclass(frozen=True)
class Colours:
    """One palette: CSS colours, and the name of the tick that stands out on `accent`."""

    window: str
    panel: str
    raised: str
    field: str
    canvas: str
    border: str
    text: str
    text_soft: str
    text_off: str
    accent: str
    accent_hover: str
    accent_text: str
    selection: str
    hover: str
    good: str
    warning: str
    warning_fill: str
    error: str
    error_fill: str
    info_fill: str
    check_icon: str


DARK = Colours(
    window="#16181d",
    panel="#1c1f26",
    raised="#262a33",
    field="#12141a",
    canvas="#0d0f13",
    border="#2f343f",
    text="#e6e9ef",
    text_soft="#a3acbb",
    text_off="#646d7d",
    accent="#4c8dff",
    accent_hover="#6aa1ff",
    accent_text="#0b1526",
    selection="#24406f",
    hover="#2a2f3a",
    good="#4cc38a",
    warning="#f5b544",
    warning_fill="#3a2f17",
    error="#ff7a70",
    error_fill="#41201f",
    info_fill="#1b2d4a",
    check_icon="check-dark",
)
LIGHT = Colours(
    window="#eceef2",
    panel="#f7f8fa",
    raised="#ffffff",
    field="#ffffff",
    canvas="#d5d9e0",
    border="#cdd2db",
    text="#1b2029",
    text_soft="#545d6c",
    text_off="#98a0ad",
    accent="#1f66e0",
    accent_hover="#1857c4",
    accent_text="#ffffff",
    selection="#cfe0ff",
    hover="#e3e7ee",
    good="#177a4c",
    warning="#8f5b00",
    warning_fill="#fff1d1",
    error="#b3261e",
    error_fill="#fde3e1",
    info_fill="#e0ebff",
    check_icon="check-light",
)


class Theme(QObject):
    """The application's look; `install` once, then `current()` anywhere in the GUI thread.

    Signals:
        changed: the new `Colours`, after palette and style sheet have been set.
    """

    changed = Signal(object)
    _instance: Theme | None = None

    def __init__(self, choice: str = "system") -> None:
        super().__init__()
        self._choice = choice
        self._applied = False
        self.colours = DARK
        self._icons: dict[tuple[str, bool], QIcon] = {}

    @classmethod
    def current(cls) -> Theme:
        """The installed theme (a dark one, without touching the application, before `install`)."""
        if cls._instance is None:
            cls._instance = Theme()
        return cls._instance

    @classmethod
    def install(cls, choice: str = "system") -> Theme:
        """Set style, palette and style sheet of the running application and follow the system from now on."""
        theme = cls.current()
        application = QApplication.instance()
        if not theme._applied:
            application.setStyle(QStyleFactory.create("Fusion"))
            QGuiApplication.styleHints().colorSchemeChanged.connect(theme._on_system_scheme_changed)
            theme._applied = True
        theme.set_choice(choice)
        return theme

    @property
    def choice(self) -> str:
        """`system`, `dark` or `light`."""
        return self._choice

    @property
    def dark(self) -> bool:
        """Whether the dark palette is in use."""
        return self.colours is DARK

    def set_choice(self, choice: str) -> None:
        """Use the `dark` or `light` palette, or the `system`'s."""
        if choice not in ("system", "dark", "light"):
            raise ValueError(f"theme choice {choice!r}: must be system, dark or light")
        self._choice = choice
        self._apply()

    def icon(self, name: str, checkable: bool = False) -> QIcon:
        """The icon `name` in this theme's colours (cached)."""
        key = (name, checkable)
        if key not in self._icons:
            c = self.colours
            on = QColor(c.accent) if checkable else None
            self._icons[key] = icons.make_icon(name, QColor(c.text_soft), QColor(c.text_off), on)
        return self._icons[key]

    def pixmap(self, name: str, size_px: int, colour: str | None = None, ratio: float = 1.0) -> QPixmap:
        """The icon `name` as a pixmap of `size_px` points, in `colour` or the soft text colour."""
        return icons.pixmap(name, QColor(colour or self.colours.text_soft), size_px, ratio)

    @Slot(object)
    def _on_system_scheme_changed(self, _scheme: object) -> None:
        if self._choice == "system":
            self._apply()

    def _apply(self) -> None:
        if self._choice == "system":
            scheme = QGuiApplication.styleHints().colorScheme()
            # A desktop that does not say gets the dark one: footage is judged better on a dark surround.
            self.colours = LIGHT if scheme == Qt.ColorScheme.Light else DARK
        else:
            self.colours = LIGHT if self._choice == "light" else DARK
        self._icons.clear()
        application = QApplication.instance()
        application.setPalette(make_palette(self.colours))
        application.setStyleSheet(style_sheet(self.colours))
        self.changed.emit(self.colours)


def make_palette(c: Colours) -> QPalette:
    """The Qt palette of `c`, for what the style sheet does not name."""
    palette = QPalette()
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    for key, value in (
        (role.Window, c.window),
        (role.WindowText, c.text),
        (role.Base, c.field),
        (role.AlternateBase, c.panel),
        (role.Text, c.text),
        (role.Button, c.raised),
        (role.ButtonText, c.text),
        (role.BrightText, c.error),
        (role.ToolTipBase, c.raised),
        (role.ToolTipText, c.text),
        (role.PlaceholderText, c.text_off),
        (role.Highlight, c.selection),
        (role.HighlightedText, c.text),
        (role.Link, c.accent),
        (role.Light, c.raised),
        (role.Midlight, c.hover),
        (role.Mid, c.border),
        (role.Dark, c.border),
        (role.Shadow, c.canvas),
    ):
        palette.setColor(key, QColor(value))
    for key in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(group.Disabled, key, QColor(c.text_off))
    return palette
