"""Every entry of the menus does something that can be seen, or says why it cannot be used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QBuffer, QIODevice
from PySide6.QtWidgets import (
    QApplication,
    QColorDialog,
    QDialog,
    QFileDialog,
    QInputDialog,
    QMessageBox,
)
from pytestqt.exceptions import TimeoutError
from window_fakes import square

from smtc_app.core.commands import SetKeyframe, SetLabels
from smtc_app.core.object_commands import AddObject
from smtc_app.ui.action_specs import ACTIONS
from smtc_app.ui.dialogs_help import ShortcutsDialog, key_texts
from smtc_app.ui.theme import Theme

FRAME = 5
LAST_OF_ALL = ("close_dataset", "close", "quit")
"""They end what the others work on."""


@pytest.fixture
def asked(monkeypatch):
    """Dialogs that were opened; each is cancelled."""
    opened = []

    def exec_dialog(dialog):
        opened.append(type(dialog).__name__)
        return QDialog.DialogCode.Rejected

    monkeypatch.setattr(QDialog, "exec", exec_dialog)
    monkeypatch.setattr(QMessageBox, "exec", lambda box: QMessageBox.StandardButton.Discard)
    for owner, name, answer in (
        (QColorDialog, "getColor", None),
        (QInputDialog, "getInt", (0, False)),
        (QInputDialog, "getItem", ("", False)),
        (QInputDialog, "getText", ("", False)),
        (QFileDialog, "getOpenFileName", ("", "")),
        (QFileDialog, "getExistingDirectory", ""),
    ):

        def ask(*_args, name=name, answer=answer, **_kwargs):
            from PySide6.QtGui import QColor

            opened.append(name)
            return QColor() if answer is None else answer

        monkeypatch.setattr(owner, name, staticmethod(ask))
    return opened


def picture(widget) -> str:
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    widget.grab().save(buffer, "PPM")
    return hashlib.md5(bytes(buffer.data())).hexdigest()


class Watch:
    """Everything of a window that a person could see change, apart from the checked state of the action."""

    def __init__(self, parts, asked) -> None:
        self._parts, self._asked, self._jobs = parts, asked, set()
        for name in ("models", "files"):
            changed = getattr(parts, name).job_changed
            changed.connect(lambda job, name=name: self._jobs.add((name, job.id, job.state.final)))

    def look(self):
        parts, window = self._parts, self._parts.window
        document = parts.session.document
        return (
            None if document is None else (document.revision, document.labels(FRAME).tobytes()),
            parts.session.selection,
            parts.frames.wanted,
            parts.frames.playing,
            window.canvas.tool,
            (window.canvas.brush_radius_px, window.canvas._magnet.on, window.view_bar.onion_slider.value()),
            window.timeline.range,
            window.banner.text,
            window.windowState(),
            window.isVisible(),
            Theme.current().choice,
            len(self._jobs),
            tuple(self._asked),
            sorted(type(w).__name__ for w in QApplication.topLevelWidgets() if w.isVisible()),
            window.object_panel.view.state(),
            window.object_panel.finder.isVisible(),
            parts.dataset.current,
            parts.dataset._target,
            tuple(row.state for row in window.dataset_panel.model.rows),
            [w.isVisible() for w in (window.dataset_panel, window.hint, window.canvas, window.empty_state)],
            picture(window.canvas),
        )

    def settled(self, qtbot):
        """A look after what comes late, such as thumbnails, has come."""
        looks = [self.look()]

        def still() -> bool:
            looks.append(self.look())
            return len(looks) > 2 and all(look == looks[-1] for look in looks[-3:])

        qtbot.waitUntil(still)
        return looks[-1]


def idle(parts):
    return not any(runner.jobs for runner in parts.runners)


def prepare(qtbot, parts):
    """A dataset's second video of twelve frames at frame 5: three objects, two of them selected, proposals,
    keyframes on both sides, something to undo and to redo, a range, the mouse tool, nothing running."""
    window, session, actions = parts.window, parts.session, parts.window.actions_table
    qtbot.waitUntil(lambda: idle(parts))
    if parts.dataset.current != "second":
        if parts.dataset.is_root("/set"):
            parts.dataset.open_video("second")
        else:
            parts.dataset.open("/set")
        qtbot.waitUntil(lambda: parts.dataset.current == "second")
    qtbot.waitUntil(lambda: idle(parts))
    before = session.document
    parts.project.switch_to(Path("/set/second.mp4"))
    qtbot.waitUntil(lambda: session.document is not before and session.pixels is not None)
    parts.frames.pause()
    parts.frames.go_to(FRAME)
    qtbot.waitUntil(lambda: session.frame == FRAME)
    labels = np.zeros((48, 64), np.uint16)
    for object_id in (1, 2, 3):
        session.push(AddObject(f"thing {object_id}"))
        labels[square(4 + 20 * (object_id - 1), 8)] = object_id
    labels[12, 8] = 0
    labels[40, 60] = 2
    for frame in (1, FRAME, 9):
        session.push(SetLabels(frame, labels))
    session.push(SetKeyframe(FRAME, False))
    parts.propagation.propagate("both")
    qtbot.waitUntil(lambda: idle(parts))
    session.select((2, 1))
    session.push(AddObject("undone"))
    session.step_history(False)
    parts.proposals.propose()
    qtbot.waitUntil(lambda: idle(parts) and bool(session.document.proposals(FRAME)))
    session.select((2, 1))
    window.timeline.set_range((2, 8))
    window.banner.hide()
    window.hint.hide()
    window.canvas.fit()
    window.opacity_slider.setValue(50)
    for action_id, on in (("masks", True), ("outline", False)):
        if actions[action_id].isChecked() != on:
            actions[action_id].trigger()
    parts.canvas_controller.set_tool("pick")
    window.canvas.setFocus()
    qtbot.waitUntil(lambda: actions["accept_all"].isEnabled() and idle(parts))


def situate(qtbot, parts, action_id):
    """What an action needs besides, to have something to do."""
    window, actions = parts.window, parts.window.actions_table
    if action_id == "cancel":
        started = []

        def endless(ctx):
            started.append(True)
            while True:
                ctx.progress(0, 1)

        parts.models.submit("Computing", endless)
        qtbot.waitUntil(lambda: bool(started) and actions["cancel"].isEnabled())
    elif action_id == "redo":
        assert parts.session.undo.can_redo
    elif action_id == "tool_pick":
        parts.canvas_controller.set_tool("brush")
    elif action_id == "view_image":
        actions["view_pca"].trigger()
    elif action_id.startswith("onion_") and action_id != "onion_skin":
        if not actions["onion_skin"].isChecked():
            actions["onion_skin"].trigger()
    elif action_id == "move_up":
        parts.session.select((3,))
    elif action_id == "fit":
        actions["zoom_in"].trigger()
    elif action_id == "theme_system":
        parts.controller.set_theme("dark")
    elif action_id.startswith("theme_"):
        parts.controller.set_theme("system")
    elif action_id in ("object_1", "object_2", "object_3"):
        parts.session.select(())
    elif action_id == "dataset_panel":
        window.dataset_panel.setVisible(actions[action_id].isChecked())


def test_every_action_has_an_effect_or_says_why_not(make_application, qtbot, asked):
    parts = make_application()
    watch = Watch(parts, asked)
    without_effect, without_reason = [], []
    order = [spec.id for spec in ACTIONS if spec.id not in LAST_OF_ALL] + list(LAST_OF_ALL)
    for action_id in order:
        if action_id != "quit":
            prepare(qtbot, parts)
        action = parts.window.actions_table[action_id]
        situate(qtbot, parts, action_id)
        if not action.isEnabled():
            if not parts.window.actions_table.reason(action_id):
                without_reason.append(action_id)
            continue
        before = watch.settled(qtbot)
        action.trigger()
        try:
            qtbot.waitUntil(lambda before=before: watch.look() != before, timeout=1000)
        except TimeoutError:
            without_effect.append(action_id)
        parts.window.showNormal()
    assert without_effect == []
    assert without_reason == []


def test_without_a_video_every_disabled_action_says_what_to_do_first(make_application):
    parts = make_application()
    actions = parts.window.actions_table
    silent = [s.id for s in ACTIONS if not actions[s.id].isEnabled() and not actions.reason(s.id)]
    assert silent == []
    assert actions.reason("propose") in actions["propose"].toolTip()


def test_nothing_selected_disables_what_works_on_objects(application):
    actions = application.window.actions_table
    assert application.session.selection == ()
    for action_id in ("merge", "delete", "rename"):
        assert not actions[action_id].isEnabled()
        assert "Select" in actions[action_id].toolTip()


def test_the_key_sheet_lists_every_action_with_its_keys(application, qtbot):
    sheet = ShortcutsDialog(application.window.actions_table, parent=application.window)
    qtbot.addWidget(sheet)
    listed = {action_id: button.text() for action_id, button in sheet._buttons.items()}
    assert set(listed) == {spec.id for spec in ACTIONS}
    table = application.window.actions_table
    assert all(listed[spec.id] == ("  /  ".join(key_texts(spec.id, table)) or "none") for spec in ACTIONS)


def test_every_menu_fits_a_small_screen_in_one_column(application):
    for name, menu in application.window.menus.items():
        menu.ensurePolished()
        assert menu.sizeHint().height() <= 720, f"{name} would go on in a second column on 1280x720"
