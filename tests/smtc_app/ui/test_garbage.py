"""Garbage with Qt objects in it ends in the GUI thread, whichever thread allocates."""

from __future__ import annotations

import gc
import sys
import threading
from types import ModuleType

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QTimer
from PySide6.QtWidgets import QApplication, QDialog

from smtc_app.ui.garbage import AN_IMPORT, MOST, GarbageCollector


class Knot:
    """Refers to itself, and notes the thread in which it ends."""

    ended_in: list[int] = []  # noqa: RUF012

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Knot.ended_in.append(threading.get_ident())


@pytest.fixture
def collector(qapp):
    Knot.ended_in.clear()
    built = GarbageCollector()
    yield built
    built.stop()


def allocate_elsewhere():
    """What a worker does that imports much: many objects that live on."""
    kept = []
    worker = threading.Thread(target=lambda: kept.extend([n] for n in range(200_000)))
    worker.start()
    worker.join()
    return kept


def test_knots_end_in_the_gui_thread(collector, qtbot):
    collector.start()
    Knot()
    kept = allocate_elsewhere()
    assert not Knot.ended_in
    qtbot.waitUntil(lambda: bool(Knot.ended_in))
    assert set(Knot.ended_in) == {threading.get_ident()}
    assert kept


def test_an_import_is_looked_at_once_and_what_comes_after_it_on(collector, qtbot, monkeypatch):
    collector.start()
    kept = allocate_elsewhere()
    for number in range(AN_IMPORT + 1):
        monkeypatch.setitem(sys.modules, f"imported_{number}", ModuleType(f"imported_{number}"))
    qtbot.waitUntil(lambda: gc.get_freeze_count() > len(kept))
    Knot()
    more = [[n] for n in range(2 * MOST[0])]
    qtbot.waitUntil(lambda: bool(Knot.ended_in))
    assert more
    collector.stop()
    assert (gc.get_freeze_count(), gc.isenabled()) == (0, True)


def test_garbage_that_an_import_finds_is_not_kept(collector, qtbot, monkeypatch):
    knot = Knot()
    gc.collect()  # it is old
    collector.start()
    del knot
    for number in range(AN_IMPORT + 1):
        monkeypatch.setitem(sys.modules, f"imported_{number}", ModuleType(f"imported_{number}"))
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 0)
    assert Knot.ended_in


def test_many_objects_that_no_module_brought_are_looked_at_again(collector, qtbot):
    collector.start()
    kept = allocate_elsewhere()
    qtbot.waitUntil(lambda: gc.get_count()[0] < len(kept))
    assert gc.get_freeze_count() == 0


def test_the_window_collects_as_long_as_it_is_open(make_application):
    parts = make_application()
    assert not gc.isenabled()
    parts.close(discard=True)
    assert gc.isenabled()


@pytest.mark.parametrize("action", ["shortcuts", "about", "export", "open", "open_folder", "open_dataset"])
def test_a_dialog_that_was_answered_is_gone(application, qtbot, action):
    if action == "export":
        qtbot.keyClick(application.window.canvas, "s")
        qtbot.waitUntil(lambda: bool(application.session.document.proposals(0)))
        qtbot.keyClick(application.window.canvas, "\r")
        qtbot.waitUntil(lambda: bool(application.session.document.labelled_frames))
    QTimer.singleShot(0, lambda: QApplication.activeModalWidget().reject())
    application.window.actions_table[action].trigger()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert not application.window.findChildren(QDialog)
