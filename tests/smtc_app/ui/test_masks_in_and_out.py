"""Exports and imports as a person asks for them in the window."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFileDialog
from window_fakes import FRAMES, SIZE, FakeSource
from window_hands import paint_object, wait_for_jobs

from smtc_app.core.errors import UserError
from smtc_app.core.export import ExportedObject, ExportRequest, ExportResult
from smtc_app.core.import_commands import ObjectHint
from smtc_app.ui.dialogs_export import ExportDialog
from smtc_app.ui.export_controller import folder_beside, sentence_about


@pytest.fixture
def asked():
    """Requests that reached the task, with what came beside them."""
    return []


@pytest.fixture
def exporting(make_application, qtbot, asked):
    """A window with an object on frame 0, whose exports are noted."""

    def export_task(ctx, source, state, request, **beside):
        asked.append((request, beside, threading.get_ident()))
        info = ExportedObject(1, 1, "object 1", "", (128, 0, 0))
        return ExportResult(request.folder, request.format, 2, (info,), ("ball",), "2 masks read back equal.")

    parts = make_application(export_task=export_task)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    return parts


def test_the_dialog_names_all_of_the_folder_for_a_source_given_in_the_shell(exporting, monkeypatch):
    assert not Path(exporting.session.source.path).is_absolute()
    seen = []
    monkeypatch.setattr(ExportDialog, "exec", lambda dialog: seen.append(dialog.request.folder))
    exporting.window.actions_table["export"].trigger()
    assert seen == [Path.cwd() / "clip-davis"]


def test_what_the_dialog_says_is_exported_and_told(exporting, qtbot, asked, monkeypatch, tmp_path):
    def choose(dialog: ExportDialog) -> int:
        dialog.choose_format("coco")
        dialog._folder.setText(str(tmp_path / "coco"))
        return ExportDialog.DialogCode.Accepted

    monkeypatch.setattr(ExportDialog, "exec", choose)
    qtbot.keyClick(exporting.window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: "Checked: 2 masks read back equal." in exporting.window.banner.text)
    assert "Not on any of these frames: 'ball'" in exporting.window.banner.text
    ((request, beside, _),) = asked
    assert (request.format, request.folder, request.stop) == ("coco", tmp_path / "coco", FRAMES)
    assert request.images
    assert beside["made_with"]["preset"] == "default"
    seen = []
    monkeypatch.setattr(ExportDialog, "exec", lambda dialog: seen.append(dialog.chosen_format.key))
    qtbot.keyClick(exporting.window, Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier)
    assert seen == ["coco"]


def test_soft_masks_wait_for_the_model_and_others_do_not(exporting, qtbot, asked, tmp_path):
    for key in ("csv", "soft"):
        exporting.project.exporter.export(ExportRequest(tmp_path / key, 0, 2, (1,), format=key))
        wait_for_jobs(qtbot, exporting)
    (_, beside, plain_thread), (_, soft_beside, soft_thread) = asked
    assert plain_thread != soft_thread
    assert beside["settings"] == {}
    assert soft_beside["settings"]["device"] == "auto"


def test_propagation_runs_are_handed_to_the_export(exporting, qtbot, asked, tmp_path):
    exporting.propagation.propagate("forward")
    wait_for_jobs(qtbot, exporting)
    exporting.project.exporter.export(ExportRequest(tmp_path / "out", 0, 2, (1,)))
    wait_for_jobs(qtbot, exporting)
    (run,) = asked[0][1]["runs"]
    assert (run.objects, run.keyframes, run.direction, run.first, run.stop) == (
        (1,),
        (0,),
        "forward",
        0,
        FRAMES,
    )
    assert run.written == {1: ((1, FRAMES),)}
    assert run.model == {"name": "fake", "hash": "0123456789abcdef"}


def test_a_failed_export_is_told(make_application, qtbot, tmp_path):
    def export_task(ctx, source, state, request, **beside):
        raise UserError("The disk is full.")

    parts = make_application(export_task=export_task)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    paint_object(qtbot, parts)
    parts.project.exporter.export(ExportRequest(tmp_path / "out", 0, 2, (1,)))
    qtbot.waitUntil(lambda: parts.window.banner.text == "The disk is full.")
    assert parts.window.banner.kind == "error"


def test_the_sentence_counts_and_shortens():
    result = ExportResult(Path("/out"), "davis", 1, (), tuple("abcde"), "1 mask read back equal.")
    text = sentence_about(result)
    assert "0 objects on 1 frame to /out" in text
    assert "'a', 'b', 'c' and 2 more." in text


def test_a_folder_of_masks_becomes_one_step(make_application, qtbot, monkeypatch, tmp_path):
    def import_masks_task(ctx, source, folder):
        assert isinstance(source, FakeSource)
        for frame in (0, 3):
            labels = np.zeros(SIZE[::-1], np.uint16)
            labels[4:9, 4:9] = 2
            ctx.partial((frame, labels, {2: ObjectHint("Rex", "dog")}))
        return ["One was repaired."]

    parts = make_application(import_masks_task=import_masks_task)
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *a: str(tmp_path))
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    qtbot.keyClick(parts.window, Qt.Key.Key_I, modifiers)
    qtbot.waitUntil(lambda: "Imported 2 masks" in parts.window.banner.text)
    assert "One was repaired." in parts.window.banner.text
    document = parts.session.document
    assert document.labelled_frames == (0, 3)
    assert [(i.id, i.name, i.category) for i in document.objects.values()] == [(2, "Rex", "dog")]
    parts.session.step_history(False)
    assert not document.objects
    assert QApplication.activeModalWidget() is None


@pytest.mark.parametrize(
    ("what", "folder"),
    [
        ("videos/dog.mp4", "videos"),
        ("videos/dog.smtc", "videos"),
        ("DAVIS/JPEGImages/480p/dog", "DAVIS"),
        ("vos/train/JPEGImages/0a2f", "vos/train"),
    ],
)
def test_an_export_is_not_suggested_among_the_sequences_of_a_dataset(what, folder):
    assert folder_beside(Path(what)) == Path(folder)


def test_what_a_single_mask_came_to_is_told(application, qtbot):
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint16)
    labels[4:9, 4:9], labels[20:30, 20:30] = 2, 5
    application.project.mask_read.emit((labels, "first.png", 0))
    assert application.window.banner.text == "Imported first.png: 2 objects on frame 0."
    application.project.mask_read.emit((labels, "first.png", 0))
    assert application.window.banner.text == "first.png changes nothing on frame 0: it has the same labels."
    application.project.mask_read.emit((np.zeros_like(labels), "empty.png", 1))
    assert application.window.banner.text == "empty.png changes nothing on frame 1: it is empty."
