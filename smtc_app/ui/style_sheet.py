"""The application's style sheet, in the colours of a palette of `theme`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smtc_app.assets import assets_folder

if TYPE_CHECKING:
    from smtc_app.ui.theme import Colours


def style_sheet(c: Colours) -> str:
    """The style sheet in the colours `c`."""
    folder = (assets_folder() / "icons").as_posix()
    return f"""
* {{ outline: none; }}
QMainWindow, QDialog {{ background: {c.window}; }}
QDialog {{ border: 1px solid {c.border}; }}
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
QToolButton#qt_toolbar_ext_button {{ padding: 0; border: 1px solid {c.border}; background: {c.raised}; }}
QToolBar::separator {{ background: {c.border}; width: 1px; height: 1px; margin: 5px 6px; }}
QToolButton {{
    border: 1px solid transparent; border-radius: 6px; padding: 5px; background: transparent;
    color: {c.text};
}}
QToolButton:hover {{ background: {c.hover}; }}
QToolButton:pressed {{ background: {c.selection}; }}
QToolButton:checked {{ background: {c.selection}; border-color: {c.accent}; }}
QToolButton:disabled {{ color: {c.text_off}; }}
#updateButton {{ color: {c.warning}; }}
QToolButton::menu-indicator {{ image: none; }}
QPushButton {{
    background: {c.raised}; border: 1px solid {c.border}; border-radius: 6px; padding: 6px 14px;
    color: {c.text};
}}
QPushButton:hover {{ background: {c.hover}; }}
QPushButton:pressed {{ background: {c.selection}; }}
QPushButton:focus {{ border-color: {c.accent}; }}
QPushButton:disabled {{ color: {c.text_off}; background: {c.panel}; }}
QPushButton[primary="true"] {{
    background: {c.accent}; border-color: {c.accent}; color: {c.accent_text}; font-weight: 600;
}}
QPushButton[primary="true"]:hover {{ background: {c.accent_hover}; border-color: {c.accent_hover}; }}
QPushButton[primary="true"]:focus {{ border-color: {c.text}; }}
QPushButton[primary="true"]:disabled {{
    background: {c.raised}; border-color: {c.border}; color: {c.text_off};
}}
QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit, QKeySequenceEdit {{
    background: {c.field}; border: 1px solid {c.border}; border-radius: 6px; padding: 4px 7px;
    color: {c.text}; selection-background-color: {c.selection}; selection-color: {c.text};
}}
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus {{ border-color: {c.accent}; }}
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {{
    color: {c.text_off}; background: {c.panel};
}}
QComboBox::drop-down {{ border: none; width: 24px; }}
QComboBox::down-arrow, QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {{
    image: url({folder}/chevron-down.svg); width: 10px; height: 10px;
}}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow {{
    image: url({folder}/chevron-up.svg); width: 10px; height: 10px;
}}
QSpinBox[buttonSymbols="0"]::up-button, QSpinBox[buttonSymbols="0"]::down-button,
QDoubleSpinBox[buttonSymbols="0"]::up-button, QDoubleSpinBox[buttonSymbols="0"]::down-button {{
    border: none; background: transparent; width: 18px;
}}
QSpinBox[buttonSymbols="2"]::up-button, QSpinBox[buttonSymbols="2"]::down-button {{
    width: 0; border: none; subcontrol-origin: border;
}}
QSpinBox::up-button:hover, QSpinBox::down-button:hover,
QDoubleSpinBox::up-button:hover, QDoubleSpinBox::down-button:hover {{
    background: {c.hover}; border-radius: 3px;
}}
QComboBox QAbstractItemView {{ background: {c.raised}; border: 1px solid {c.border}; }}
QAbstractItemView QLineEdit {{ padding: 0 4px; border-radius: 3px; border-color: {c.accent}; }}
QCheckBox, QRadioButton {{ spacing: 8px; }}
QCheckBox::indicator, QListView::indicator {{
    width: 16px; height: 16px; border: 1px solid {c.text_off}; border-radius: 4px; background: {c.field};
}}
QCheckBox::indicator:checked, QListView::indicator:checked {{
    background: {c.accent}; border-color: {c.accent}; image: url({folder}/{c.check_icon}.svg);
}}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QSlider::groove:horizontal {{ height: 4px; background: {c.border}; border-radius: 2px; }}
QSlider::sub-page:horizontal {{ background: {c.accent}; border-radius: 2px; }}
QSlider::sub-page:horizontal:disabled {{ background: {c.text_off}; }}
QSlider::handle:horizontal {{
    background: {c.text}; width: 14px; height: 14px; margin: -5px 0; border-radius: 7px;
}}
QSlider::handle:horizontal:disabled {{ background: {c.text_off}; }}
QAbstractScrollArea {{ border: none; background: {c.panel}; }}
QTreeView, QListView, QTableView {{
    background: {c.panel}; border: none; selection-background-color: {c.selection};
    selection-color: {c.text};
}}
QListWidget {{ background: {c.field}; border: 1px solid {c.border}; border-radius: 6px; padding: 4px; }}
QTreeView::item, QListView::item {{ border: none; }}
QTreeView::item:hover {{ background: {c.hover}; }}
QTreeView::item:selected, QListWidget::item:selected {{ background: {c.selection}; color: {c.text}; }}
QHeaderView {{ background: {c.panel}; }}
QHeaderView::section {{
    background: {c.panel}; color: {c.text_soft}; border: none; padding: 5px 6px;
    border-bottom: 1px solid {c.border};
}}
QScrollBar:vertical {{ background: transparent; width: 11px; margin: 0; }}
QScrollBar:horizontal {{ background: transparent; height: 11px; margin: 0; }}
QScrollBar::handle {{
    background: {c.border}; border-radius: 4px; min-height: 26px; min-width: 26px; margin: 2px;
}}
QScrollBar::handle:hover {{ background: {c.text_off}; }}
QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QSplitter::handle {{ background: {c.border}; }}
QSplitter::handle:hover {{ background: {c.accent}; }}
QStatusBar {{ background: {c.window}; border-top: 1px solid {c.border}; color: {c.text_soft}; }}
QStatusBar::item {{ border: none; }}
QStatusBar QLabel {{ color: {c.text_soft}; padding: 0 6px; }}
QProgressBar {{
    background: {c.field}; border: 1px solid {c.border}; border-radius: 4px; text-align: center;
    color: {c.text};
}}
QProgressBar::chunk {{ background: {c.accent}; border-radius: 3px; }}
#panel {{ background: {c.panel}; }}
#panelTitle {{ font-weight: 600; color: {c.text}; }}
#viewBar {{ background: {c.window}; border-bottom: 1px solid {c.border}; }}
#viewBar QToolButton {{ padding: 4px 7px; }}
#viewCaption {{
    background: {c.panel}; color: {c.text}; border: 1px solid {c.border}; border-radius: 6px;
    padding: 4px 9px;
}}
#voteSummary {{
    background: {c.panel}; padding: 8px 10px; color: {c.text}; border-top: 1px solid {c.border};
}}
#soft {{ color: {c.text_soft}; }}
#key {{
    background: {c.raised}; border: 1px solid {c.border}; border-radius: 4px; padding: 1px 6px;
    color: {c.text};
}}
#banner[kind="info"] {{ background: {c.info_fill}; border: 1px solid {c.accent}; border-radius: 8px; }}
#banner[kind="warning"] {{ background: {c.warning_fill}; border: 1px solid {c.warning}; border-radius: 8px; }}
#banner[kind="error"] {{ background: {c.error_fill}; border: 1px solid {c.error}; border-radius: 8px; }}
#emptyState {{ background: {c.window}; }}
#dropFrame {{ background: {c.panel}; border: 2px dashed {c.border}; border-radius: 14px; }}
#dropFrame[hot="true"] {{ border-color: {c.accent}; background: {c.info_fill}; }}
#hint {{ background: {c.raised}; border: 1px solid {c.border}; border-radius: 10px; }}
"""
