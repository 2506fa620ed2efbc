"""An error in a slot: work is saved before the dialog is seen, and the window goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from smtc_app.core.object_commands import AddObject
from smtc_app.io.project import load_project
from smtc_app.ui.crash_guard import CrashGuard


@pytest.fixture
def told(monkeypatch):
    """Texts of the message boxes that were shown."""
    texts = []

    def exec_box(box):
        texts.append(box.text())
        return 0

    monkeypatch.setattr(QMessageBox, "exec", exec_box)
    return texts


def fail(guard):
    try:
        raise RuntimeError("a fault")
    except RuntimeError:
        guard(*sys.exc_info())


def guard_of(parts):
    return CrashGuard(parts.window, parts.session, parts.project, parts.autosave)


def test_without_anything_open_nothing_is_lost(make_application, told):
    fail(guard_of(make_application()))
    assert "nothing is lost" in told[0]


def test_unsaved_work_without_a_project_is_in_the_journal(application, told):
    application.session.push(AddObject("thing"))
    fail(guard_of(application))
    assert "journal" in told[0]
    assert application.session.document.modified


def test_work_of_a_project_is_saved(application, told, qtbot, tmp_path):
    application.session.set_project(tmp_path / "clip.smtc", None)
    application.session.push(AddObject("thing"))
    fail(guard_of(application))
    qtbot.waitUntil(lambda: not application.session.document.modified)
    assert (tmp_path / "saved").read_text() == str(tmp_path / "clip.smtc")
    assert "being saved" in told[0]


def test_where_no_journal_works_the_person_is_asked_to_save(application, told, monkeypatch):
    application.session.push(AddObject("thing"))
    monkeypatch.setattr(application.autosave, "secure", lambda: False)
    fail(guard_of(application))
    assert "save it now" in told[0]


def test_escape_goes_on(application, qtbot):
    seen = []

    def press_escape():
        box = QApplication.activeModalWidget()
        seen.append(box)
        QTest.keyClick(box, Qt.Key.Key_Escape)

    QTimer.singleShot(0, press_escape)
    fail(guard_of(application))
    assert isinstance(seen[0], QMessageBox)
    assert QApplication.activeModalWidget() is None


def test_a_second_error_shows_no_second_dialog(application, monkeypatch):
    guard, shown = guard_of(application), []

    def exec_box(box):
        shown.append(box.text())
        fail(guard)
        return 0

    monkeypatch.setattr(QMessageBox, "exec", exec_box)
    fail(guard)
    assert len(shown) == 1


def test_a_fault_in_a_slot_of_the_real_window_saves_the_project(tmp_path):
    """The whole way: real services, an action that raises, the hook that Qt calls, files on the disk."""
    clip = tmp_path / "clip"
    clip.mkdir()
    for index in range(3):
        Image.new("RGB", (64, 48), (index, 0, 0)).save(clip / f"{index:05d}.png")
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from PySide6.QtWidgets import QApplication, QMessageBox
        from smtc_app.app import Application, make_services
        from smtc_app.core.object_commands import AddObject
        from smtc_app.core.settings import Settings
        from smtc_app.ui.crash_guard import CrashGuard

        application = QApplication([])
        parts = Application(make_services(Settings()), Settings(hint_shown=True))
        sys.excepthook = CrashGuard(parts.window, parts.session, parts.project, parts.autosave)
        told = []
        QMessageBox.exec = lambda box: told.append(box.text()) or 0

        def until(condition):
            end = time.monotonic() + 60
            while not condition():
                application.processEvents()
                assert time.monotonic() < end

        parts.window.show()
        parts.project.open(sys.argv[1])
        until(lambda: parts.session.pixels is not None)
        parts.project._save_to(Path(sys.argv[2]), None, lambda: None)
        until(lambda: parts.session.project is not None)
        parts.session.push(AddObject("after the save"))
        parts.window.actions_table.connect("zoom_in", lambda: 1 / 0)
        parts.window.actions_table["zoom_in"].trigger()
        until(lambda: not parts.session.document.modified)
        parts.session.push(AddObject("after the fault"))
        assert len(told) == 1 and "being saved" in told[0], told
        parts.close(discard=True)
        """
    )
    environment = {
        **os.environ,
        "QT_QPA_PLATFORM": "offscreen",
        "SMTC_CONFIG_DIR": str(tmp_path / "config"),
        "SMTC_RECOVERY_DIR": str(tmp_path / "recovery"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    project = tmp_path / "clip.smtc"
    done = subprocess.run(
        [sys.executable, "-c", script, str(clip), str(project)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ZeroDivisionError" in done.stderr
    _, document = load_project(Path(project))
    assert [info.name for info in document.objects.values()] == ["after the save"]
