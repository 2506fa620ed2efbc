"""The window's parts and their places. It holds no state: `presenter` fills it, controllers act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDragLeaveEvent, QDropEvent, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMainWindow,
    QMenu,
    QPlainTextEdit,
    QSizePolicy,
    QSlider,
    QSplitter,
    QStackedWidget,
    QToolBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from smtc_app.ui.actions import ActionTable
from smtc_app.ui.banner import Banner
from smtc_app.ui.canvas import Canvas
from smtc_app.ui.companion import Companion
from smtc_app.ui.dataset_panel import DatasetPanel
from smtc_app.ui.empty_state import EmptyState
from smtc_app.ui.hint import Hint
from smtc_app.ui.job_bar import JobBar
from smtc_app.ui.layout_memory import LayoutMemory
from smtc_app.ui.object_panel import ObjectPanel
from smtc_app.ui.proposal_panel import ProposalPanel
from smtc_app.ui.proposal_room import side_splitter
from smtc_app.ui.status_labels import DeviceLabel, StatusLabels
from smtc_app.ui.theme import SPACING_PX, Theme
from smtc_app.ui.timeline import Timeline
from smtc_app.ui.transport import TransportBar
from smtc_app.ui.view_bar import ViewBar
from smtc_app.ui.view_caption import ViewCaption

PANEL_WIDTH_PX = 312
DATASET_WIDTH_PX = 264
LARGEST_START_PX = (1600, 1000)
FRAME_PX = 32
"""Room for the title bar, which the available size of the screen does not leave out."""
TIMELINE_HEIGHT_PX = 208
TIMELINE_SHARE = 0.27
"""A tall window has room for more lanes."""
LARGEST_BRUSH_PX = 200
MOST_REGION_STEPS = 8
"""A place has hardly ever more sizes to each side of the usual one."""
LARGEST_TOLERANCE = 96
"""Of 255: beyond it a fill takes nearly everything."""

_TEXT_FIELDS = (QLineEdit, QAbstractSpinBox, QComboBox, QPlainTextEdit)


class KeyGuard(QObject):
    """Leaves the keys that are shortcuts elsewhere (letters, arrows, Enter, Esc, Tab) to text fields.

    It looks at the events of the focused text field only: a filter over the whole application would cost
    every event of every widget a call.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        application = QApplication.instance()
        application.focusChanged.connect(self._on_focus_changed)
        self._on_focus_changed(None, application.focusWidget())

    @Slot(QWidget, QWidget)
    def _on_focus_changed(self, old: QWidget | None, new: QWidget | None) -> None:
        if isinstance(old, _TEXT_FIELDS):
            old.removeEventFilter(self)
        if isinstance(new, _TEXT_FIELDS):
            new.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Claim a key for the focused text field before the shortcuts see it."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
            plain = modifiers in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier)
            if plain:
                event.accept()
                return True
        return super().eventFilter(watched, event)


class MainWindow(QMainWindow):
    """Menus, tool bars, canvas, timeline, panels, status bar.

    Signals:
        dropped: path (str) of what was dropped on the window.
    """

    dropped = Signal(object)

    def __init__(self, actions: ActionTable | None = None) -> None:
        super().__init__()
        self.setWindowTitle("smtc-app")
        self.setAcceptDrops(True)
        self.setUnifiedTitleAndToolBarOnMac(True)
        self.may_close: Callable[[], bool] = lambda: True
        self.actions_table = actions or ActionTable(self)
        self.canvas = Canvas()
        self.timeline = Timeline()
        self.transport = TransportBar(self.actions_table)
        self.empty_state = EmptyState()
        self.object_panel = ObjectPanel(self.actions_table)
        self.proposal_panel = ProposalPanel(self.actions_table)
        self.dataset_panel = DatasetPanel(self.actions_table)
        self.job_bar = JobBar()
        self.status_labels = StatusLabels()
        self.device_label = DeviceLabel()
        self.hint = Hint(self.canvas)
        self.view_bar = ViewBar(self.actions_table)
        self.view_caption = ViewCaption(self.canvas)
        self.view_caption.height_changed.connect(self._leave_room_above_banner)
        self.companion = Companion()
        self.menus = self.actions_table.add_menus(self.menuBar())
        self.recent_menu = QMenu("Open Recent", self)
        self.menus["File"].insertMenu(self.actions_table["open_demo"], self.recent_menu)
        self._build_tool_bars()
        self._build_body()
        bar = self.statusBar()
        bar.setSizeGripEnabled(False)
        bar.addWidget(self.status_labels, 1)
        bar.addPermanentWidget(self.job_bar)
        bar.addPermanentWidget(self.device_label)
        bar.setFixedHeight(30)
        self._key_guard = KeyGuard(self)
        Theme.current().changed.connect(self._on_theme_changed)
        self._update_overflow()
        self.set_open(False)
        room = self.screen().availableSize()
        self.resize(
            min(LARGEST_START_PX[0], room.width()), min(LARGEST_START_PX[1], room.height() - FRAME_PX)
        )

    def set_open(self, is_open: bool) -> None:
        """Show the workplace, or the empty state with nothing around it that could not be used anyway."""
        self._stack.setCurrentWidget(self._workplace if is_open else self.empty_state)
        for widget in (self._side, self._bottom, self.main_bar, self.tool_strip):
            widget.setVisible(is_open)
        self.layout_memory.lay_out()
        self._leave_room_above_banner(0)
        if is_open:
            self.canvas.setFocus()
        else:
            self.hint.hide()

    @Slot(object)
    def _leave_room_above_banner(self, caption_px: int) -> None:
        is_open = self._stack.currentWidget() is self._workplace
        self.banner.leave_room(self.view_bar.height() + caption_px if is_open else 0)

    def show_tool_size(self, tool: str) -> None:
        """Show the slider that belongs to a tool, if any; its room stays, so that nothing beside it moves."""
        self._tool_options.setCurrentWidget(self._option_parts.get(tool, self._no_options))

    def show_out_of_date(self, some: bool) -> None:
        """Name the button that brings frames up to date while there are `some` that need it."""
        style = Qt.ToolButtonStyle
        self.update_button.setToolButtonStyle(
            style.ToolButtonTextBesideIcon if some else style.ToolButtonIconOnly
        )

    def set_recent(self, paths: Sequence[str], open_path: Callable[[str], object]) -> None:
        """Fill the menu of recent videos and projects."""
        self.recent_menu.clear()
        self.recent_menu.setEnabled(bool(paths))
        for path in paths:
            self.recent_menu.addAction(path).triggered.connect(partial(_call_with, open_path, path))

    def set_title(self, name: str, modified: bool) -> None:
        """`clip.smtc* – smtc-app`."""
        self.setWindowTitle(f"{name}[*] – smtc-app" if name else "smtc-app[*]")
        self.setWindowModified(modified)

    def _button(self, action_id: str, text: str = "") -> QToolButton:
        button = QToolButton()
        button.setDefaultAction(self.actions_table[action_id])
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setIconSize(QSize(20, 20))
        if text:
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            # The action's own text is a menu entry; a button says it shorter.
            button.setText(text)
            self.actions_table[action_id].setIconText(text)
        return button

    def _build_tool_bars(self) -> None:
        bar = self.main_bar = QToolBar("Main tool bar")
        bar.setObjectName("mainToolBar")
        bar.setMovable(False)
        bar.toggleViewAction().setEnabled(False)
        bar.setIconSize(QSize(20, 20))
        for group in (
            (("open", ""), ("save", "")),
            (("undo", ""), ("redo", "")),
            (("propose", "Propose"),),
            (
                ("keyframe", "Keyframe"),
                ("propagate_backward", ""),
                ("propagate_both", "Propagate"),
                ("propagate_forward", ""),
                ("update_stale", ""),
                ("next_worst", ""),
            ),
        ):
            for action_id, text in group:
                button = self._button(action_id, text)
                bar.addWidget(button)
                if action_id == "update_stale":
                    self.update_button = button
            bar.addSeparator()
        spacer = QWidget()
        spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        bar.addWidget(spacer)
        self.brush_slider, brush = _slider(
            "Brush", 1, LARGEST_BRUSH_PX, "Radius of brush and eraser in pixels  ([ ])"
        )
        self.opacity_slider, opacity = _slider("Masks", 0, 100, "Opacity of the masks  (Shift+[ ])")
        self.tolerance_slider, tolerance = _slider(
            "Tolerance",
            0,
            LARGEST_TOLERANCE,
            "How much colours may differ from the one under the click and still be filled  ([ ])",
        )
        self.region_slider, region = _slider(
            "Region",
            -MOST_REGION_STEPS,
            MOST_REGION_STEPS,
            "How much of what belongs together a click takes, from less to more  ([ ] or Ctrl+wheel)",
        )
        self._tool_options, self._no_options = QStackedWidget(), QWidget()
        self._option_parts = {"brush": brush, "eraser": brush, "fill": tolerance, "region": region}
        for part in (self._no_options, brush, tolerance, region):
            self._tool_options.addWidget(part)
        self._tool_options.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        bar.addWidget(self._tool_options)
        bar.addWidget(opacity)
        for action_id in ("masks", "outline", "fit"):
            bar.addWidget(self._button(action_id))
        bar.addSeparator()
        bar.addWidget(self._button("export", "Export"))
        self.update_button.setObjectName("updateButton")
        self.actions_table["update_stale"].setIconText("Update")
        self.addToolBar(Qt.ToolBarArea.TopToolBarArea, bar)
        strip = self.tool_strip = QToolBar("Tools")
        strip.setObjectName("toolStrip")
        strip.setOrientation(Qt.Orientation.Vertical)
        strip.setMovable(False)
        strip.toggleViewAction().setEnabled(False)
        for action_id in (
            "tool_pick",
            "tool_brush",
            "tool_eraser",
            "tool_fill",
            "tool_region",
            "tool_polygon",
            "tool_lasso",
            "magnet",
        ):
            strip.addWidget(self._button(action_id))
        self.addToolBar(Qt.ToolBarArea.LeftToolBarArea, strip)

    def _build_body(self) -> None:
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty_state)
        self.view_splitter = QSplitter(Qt.Orientation.Horizontal)
        self.view_splitter.addWidget(self.canvas)
        self.view_splitter.addWidget(self.companion)
        self.companion.hide()
        self._workplace = QWidget()
        workplace_layout = QVBoxLayout(self._workplace)
        workplace_layout.setContentsMargins(0, 0, 0, 0)
        workplace_layout.setSpacing(0)
        workplace_layout.addWidget(self.view_bar)
        workplace_layout.addWidget(self.view_splitter, 1)
        self._stack.addWidget(self._workplace)
        self.banner = Banner(self._stack)
        self._bottom = QWidget()
        self._bottom.setObjectName("panel")
        self._bottom.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        bottom_layout = QVBoxLayout(self._bottom)
        bottom_layout.setContentsMargins(0, 0, 0, 0)
        bottom_layout.setSpacing(0)
        bottom_layout.addWidget(self.transport)
        bottom_layout.addWidget(self.timeline, 1)
        self.left_splitter = QSplitter(Qt.Orientation.Vertical)
        self.left_splitter.addWidget(self._stack)
        self.left_splitter.addWidget(self._bottom)
        self.left_splitter.setStretchFactor(0, 1)
        self.left_splitter.setStretchFactor(1, 0)
        self.left_splitter.setSizes([600, TIMELINE_HEIGHT_PX])
        self._side, self.proposal_room = side_splitter(self.object_panel, self.proposal_panel)
        self._side.setMinimumWidth(270)
        self.body_splitter = QSplitter(Qt.Orientation.Horizontal)
        self.dataset_panel.hide()
        self.body_splitter.addWidget(self.dataset_panel)
        self.body_splitter.addWidget(self.left_splitter)
        self.body_splitter.addWidget(self._side)
        for index, stretch in enumerate((0, 1, 0)):
            self.body_splitter.setStretchFactor(index, stretch)
        middle = 1280 - PANEL_WIDTH_PX - DATASET_WIDTH_PX
        self.body_splitter.setSizes([DATASET_WIDTH_PX, middle, PANEL_WIDTH_PX])
        for splitter in (self.left_splitter, self._side, self.body_splitter, self.view_splitter):
            splitter.setHandleWidth(1)
            splitter.setChildrenCollapsible(False)
        self.setCentralWidget(self.body_splitter)
        self.layout_memory = LayoutMemory(
            self,
            {
                "dataset": (self.body_splitter, self.dataset_panel),
                "side": (self.body_splitter, self._side),
                "timeline": (self.left_splitter, self._bottom),
            },
            {"proposals": (lambda: self.proposal_room.height_px, self.proposal_room.set_height)},
            shares={"timeline": TIMELINE_SHARE},
        )

    def createPopupMenu(self) -> QMenu | None:
        """No menu to hide tool bars with: there would be no way back."""
        return None

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take one local file or folder."""
        urls = event.mimeData().urls()
        if len(urls) == 1 and urls[0].isLocalFile():
            event.acceptProposedAction()
            self.empty_state.set_hot(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        self.empty_state.set_hot(False)

    def dropEvent(self, event: QDropEvent) -> None:
        self.empty_state.set_hot(False)
        event.acceptProposedAction()
        self.dropped.emit(str(Path(event.mimeData().urls()[0].toLocalFile())))

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about unsaved work first; whoever owns the threads ends them in `may_close`."""
        if self.may_close():
            QApplication.instance().removeEventFilter(self._key_guard)
            event.accept()
        else:
            event.ignore()

    @Slot(object)
    def _on_theme_changed(self, _colours: object) -> None:
        self.actions_table.update_icons()
        self._update_overflow()

    def _update_overflow(self) -> None:
        """Qt's own arrow for what a narrow window has no room for is black, whatever the theme."""
        for bar in (self.main_bar, self.tool_strip):
            for button in bar.findChildren(QToolButton, "qt_toolbar_ext_button"):
                button.setIcon(Theme.current().icon("next"))
                button.setToolTip("What this window is too small to show")


def _call_with(open_path: Callable[[str], object], path: str, _checked: bool = False) -> None:
    open_path(path)


def _slider(text: str, low: int, high: int, tooltip: str) -> tuple[QSlider, QWidget]:
    box = QWidget()
    box.setToolTip(tooltip)
    box.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
    layout = QHBoxLayout(box)
    layout.setContentsMargins(SPACING_PX, 0, SPACING_PX, 0)
    label = QLabel(text)
    label.setObjectName("soft")
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(low, high)
    slider.setFixedWidth(84)
    slider.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    layout.addStretch()
    layout.addWidget(label)
    layout.addWidget(slider)
    return slider, box
