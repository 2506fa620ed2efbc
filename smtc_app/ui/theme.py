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

SPACING_PX = 8
MARGIN_PX = 12
ROW_HEIGHT_PX = 34
RADIUS_PX = 6


@dataclass(frozen=True)
class Colours:
    """One palette; every value is a CSS colour."""

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


def style_sheet(c: Colours) -> str:
    """The application's style sheet in the colours `c`."""
    return f"""
* {{ outline: none; }}
QMainWindow, QDialog {{ background: {c.window}; }}
QToolTip {{ background: {c.raised}; color: {c.text}; border: 1px solid {c.border}; padding: 4px 6px; }}

QMenuBar {{ background: {c.window}; border-bottom: 1px solid {c.border}; padding: 1px 4px; }}
QMenuBar::item {{ padding: 4px 9px; border-radius: 4px; background: transparent; }}
QMenuBar::item:selected, QMenuBar::item:pressed {{ background: {c.hover}; }}
QMenu {{ background: {c.raised}; border: 1px solid {c.border}; padding: 5px; }}
QMenu::item {{ padding: 5px 26px 5px 10px; border-radius: 4px; }}
QMenu::icon {{ padding-left: 8px; }}
QMenu::item:selected {{ background: {c.selection}; }}
QMenu::item:disabled {{ color: {c.text_off}; background: transparent; }}
QMenu::separator {{ height: 1px; background: {c.border}; margin: 5px 6px; }}

QToolBar {{ background: {c.window}; border: none; spacing: 2px; padding: 4px 8px; }}
QToolBar#mainToolBar {{ border-bottom: 1px solid {c.border}; }}
QToolBar#toolStrip {{ border-right: 1px solid {c.border}; padding: 8px 4px; spacing: 4px; }}
QToolBar::separator {{ background: {c.border}; width: 1px; height: 1px; margin: 5px 6px; }}
QToolButton {{ border: 1px solid transparent; border-radius: {RADIUS_PX}px; padding: 5px; background:
    transparent;
    color: {c.text}; }}
QToolButton:hover {{ background: {c.hover}; }}
QToolButton:pressed {{ background: {c.selection}; }}
QToolButton:checked {{ background: {c.selection}; border-color: {c.accent}; }}
QToolButton:disabled {{ color: {c.text_off}; }}
QToolButton::menu-indicator {{ image: none; }}

QPushButton {{ background: {c.raised}; border: 1px solid {c.border}; border-radius: {RADIUS_PX}px; padding:
    6px 14px;
    color: {c.text}; }}
QPushButton:hover {{ background: {c.hover}; }}
QPushButton:pressed {{ background: {c.selection}; }}
QPushButton:focus {{ border-color: {c.accent}; }}
QPushButton:disabled {{ color: {c.text_off}; background: {c.panel}; }}
QPushButton[primary="true"] {{ background: {c.accent}; border-color: {c.accent}; color: {c.accent_text};
    font-weight: 600; }}
QPushButton[primary="true"]:hover {{ background: {c.accent_hover}; border-color: {c.accent_hover}; }}
QPushButton[primary="true"]:focus {{ border-color: {c.text}; }}
QPushButton[primary="true"]:disabled {{ background: {c.raised}; border-color: {c.border}; color: {c.text_off};
    }}

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit, QKeySequenceEdit {{ background: {c.field};
    border: 1px solid {c.border}; border-radius: {RADIUS_PX}px; padding: 4px 7px; color: {c.text};
    selection-background-color: {c.selection}; selection-color: {c.text}; }}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{ border-color: {c.accent}; }}
QLineEdit:disabled, QSpinBox:disabled, QComboBox:disabled {{ color: {c.text_off}; background: {c.panel}; }}
QComboBox QAbstractItemView {{ background: {c.raised}; border: 1px solid {c.border}; }}
QAbstractItemView QLineEdit {{ padding: 0 4px; border-radius: 3px; border-color: {c.accent}; }}
QCheckBox, QRadioButton {{ spacing: 8px; }}

QSlider::groove:horizontal {{ height: 4px; background: {c.border}; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {c.accent}; border-radius: 2px; }}
QSlider::sub-page:horizontal:disabled {{ background: {c.text_off}; }}
QSlider::handle:horizontal {{ background: {c.text}; width: 14px; height: 14px; margin: -5px 0; border-radius:
    7px; }}
QSlider::handle:horizontal:disabled {{ background: {c.text_off}; }}

QAbstractScrollArea {{ border: none; background: {c.panel}; }}
QTreeView, QListView, QTableView {{ background: {c.panel}; border: none; selection-background-color:
    {c.selection};
    selection-color: {c.text}; }}
QTreeView::item, QListView::item {{ border: none; }}
QTreeView::item:hover {{ background: {c.hover}; }}
QTreeView::item:selected {{ background: {c.selection}; color: {c.text}; }}
QHeaderView {{ background: {c.panel}; }}
QHeaderView::section {{ background: {c.panel}; color: {c.text_soft}; border: none; padding: 5px 6px;
    border-bottom: 1px solid {c.border}; }}
QScrollBar:vertical {{ background: transparent; width: 11px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 11px; margin: 0; }}
QScrollBar::handle {{ background: {c.border}; border-radius: 4px; min-height: 26px; min-width: 26px; margin:
    2px; }}
QScrollBar::handle:hover {{ background: {c.text_off}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}

QSplitter::handle {{ background: {c.border}; }}
QSplitter::handle:hover {{ background: {c.accent}; }}
QStatusBar {{ background: {c.window}; border-top: 1px solid {c.border}; color: {c.text_soft}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ color: {c.text_soft}; padding: 0 6px; }}
QProgressBar {{ background: {c.field}; border: 1px solid {c.border}; border-radius: 4px; text-align: center;
    color: {c.text}; }}
QProgressBar::chunk {{ background: {c.accent}; border-radius: 3px; }}

#panel {{ background: {c.panel}; }}
#panelTitle {{ font-weight: 600; color: {c.text}; }}
#soft {{ color: {c.text_soft}; }}
#key {{ background: {c.raised}; border: 1px solid {c.border}; border-radius: 4px; padding: 1px 6px; color:
    {c.text}; }}
#banner[kind="info"] {{ background: {c.info_fill}; border-bottom: 1px solid {c.border}; }}
#banner[kind="warning"] {{ background: {c.warning_fill}; border-bottom: 1px solid {c.border}; }}
#banner[kind="error"] {{ background: {c.error_fill}; border-bottom: 1px solid {c.border}; }}
#emptyState {{ background: {c.window}; }}
#dropFrame {{ background: {c.panel}; border: 2px dashed {c.border}; border-radius: 14px; }}
#dropFrame[hot="true"] {{ border-color: {c.accent}; background: {c.info_fill}; }}
#hint {{ background: {c.raised}; border: 1px solid {c.border}; border-radius: 10px; }}
"""
