"""The dialogs by themselves: what they refuse, and what they give."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QMainWindow, QPushButton

from smtc_app.core.export import FORMATS
from smtc_app.core.settings import Settings
from smtc_app.ui.action_specs import ACTIONS
from smtc_app.ui.actions import ActionTable
from smtc_app.ui.dialogs_export import ExportDialog
from smtc_app.ui.dialogs_help import AboutDialog, ShortcutsDialog
from smtc_app.ui.dialogs_settings import SettingsDialog
from smtc_app.ui.object_list import ObjectRow

ROWS = (ObjectRow(2, "dog"), ObjectRow(7, "ball"))


@pytest.fixture
def make_export(qtbot, tmp_path):
    def make(rows=ROWS, **settings):
        dialog = ExportDialog(tmp_path / "clip", 20, range(4, 9), rows, 5, **settings)
        qtbot.addWidget(dialog)
        dialog.show()
        return dialog

    return make


def test_the_export_starts_with_everything(make_export, tmp_path):
    dialog = make_export()
    request = dialog.request
    assert request.folder == tmp_path / "clip-davis"
    assert (request.first, request.stop, request.objects, request.overwrite) == (0, 20, (2, 7), False)


def test_the_summary_says_what_will_be_written(make_export):
    dialog = make_export()
    text = dialog._summary.text()
    assert "20 frames with 2 objects" in text
    assert "renumbered 1 to 2" in text
    assert "15 frames have no labels" in text


def test_frames_out_of_date_are_told_before_they_are_written(make_export):
    dialog = make_export(stale={2: [(5, 9)], 7: [(8, 12)]})
    assert "7 frames are out of date: Update computes them again." in dialog._summary.text()
    dialog._frames.step.setValue(11)  # frames 0 and 11
    assert "1 frame is out of date" in dialog._summary.text()
    dialog._frames.step.setValue(6)  # frames 0, 6, 12, 18
    dialog._objects.list.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert "out of date" not in dialog._summary.text()


def test_ranges(make_export):
    dialog = make_export(chosen=(3, 6))
    assert (dialog.request.first, dialog.request.stop) == (3, 6)
    choice = dialog._frames.choice
    choice.setCurrentIndex(choice.findData("labelled"))
    assert (dialog.request.first, dialog.request.stop) == (4, 9)
    choice.setCurrentIndex(choice.findData("current"))
    assert (dialog.request.first, dialog.request.stop) == (5, 6)
    choice.setCurrentIndex(choice.findData("custom"))
    dialog._frames.first.setValue(10)
    dialog._frames.last.setValue(12)
    assert (dialog.request.first, dialog.request.stop) == (10, 13)
    dialog._frames.first.setValue(15)
    assert not dialog._export.isEnabled()


def test_an_occupied_folder_has_to_be_confirmed(make_export, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "old.png").touch()
    dialog = make_export()
    assert not dialog._overwrite.isVisible()
    dialog._folder.setText(str(tmp_path / "mine"))
    assert not dialog._export.isEnabled()
    dialog._overwrite.setChecked(True)
    assert dialog._export.isEnabled()
    assert dialog.request.overwrite


@pytest.mark.parametrize(("folder", "sentence"), [("", "Choose a folder"), ("file", "is a file")])
def test_a_wrong_folder_is_refused(make_export, tmp_path, folder, sentence):
    (tmp_path / "file").touch()
    dialog = make_export()
    dialog._folder.setText(str(tmp_path / folder) if folder else "")
    assert not dialog._export.isEnabled()
    assert sentence in dialog._summary.text()


def test_no_object_and_too_many_are_refused(make_export):
    dialog = make_export()
    for row in range(2):
        dialog._objects.list.item(row).setCheckState(Qt.CheckState.Unchecked)
    assert not dialog._export.isEnabled()
    many = make_export(rows=[ObjectRow(i, f"object {i}") for i in range(1, 256)])
    assert not many._export.isEnabled()
    assert "254" in many._summary.text()


def test_the_suggested_folder_follows_the_format_until_it_is_edited(make_export, tmp_path):
    (tmp_path / "clip-coco").mkdir()
    (tmp_path / "clip-coco" / "annotations.json").touch()
    dialog = make_export()
    dialog.choose_format("binary")
    assert dialog.request.folder == tmp_path / "clip-binary"
    dialog.choose_format("coco")
    assert dialog.request.folder == tmp_path / "clip-coco-2"
    dialog._folder.setText("")
    dialog._folder.textEdited.emit("")
    dialog._folder.setText(str(tmp_path / "mine"))
    dialog.choose_format("csv")
    assert dialog.request.folder == tmp_path / "mine"


@pytest.mark.parametrize("key", FORMATS)
def test_every_format_is_explained_and_asks_for_its_own(make_export, key):
    dialog = make_export(format_key=key, fps=30)
    chosen, options = FORMATS[key], dialog._options
    assert dialog._explanation.text() == chosen.explanation
    assert dialog.request.format == key
    assert options.images.isVisible() == chosen.images == dialog.request.images
    assert options.opacity.isVisible() == options.fps.isVisible() == chosen.overlay
    assert options.bits.isVisible() == chosen.soft


def test_step_speed_and_opacity(make_export):
    dialog = make_export(format_key="overlay", fps=29.97)
    dialog._frames.step.setValue(3)
    assert dialog.request.fps is None
    assert dialog.request.step == 3
    assert "7 frames" in dialog._summary.text()
    dialog._options.own_fps.setChecked(True)
    assert dialog.request.fps == pytest.approx(29.97)
    dialog._options.opacity.setValue(80)
    assert dialog.request.opacity == 0.8


def test_formats_without_ids_take_any_number_of_objects(make_export):
    dialog = make_export(rows=[ObjectRow(i, f"object {i}") for i in range(1, 301)], format_key="coco")
    assert dialog._export.isEnabled()
    dialog.choose_format("youtube-vos")
    assert not dialog._export.isEnabled()
    assert "in parts" in dialog._summary.text()


def test_all_and_none(make_export, qtbot):
    dialog = make_export(rows=[ObjectRow(i, f"object {i}") for i in range(1, 6)])
    none = next(b for b in dialog.findChildren(QPushButton) if b.text() == "None")
    qtbot.mouseClick(none, Qt.MouseButton.LeftButton)
    assert dialog.request.objects == ()
    assert not dialog._export.isEnabled()
    every = next(b for b in dialog.findChildren(QPushButton) if b.text() == "All")
    qtbot.mouseClick(every, Qt.MouseButton.LeftButton)
    assert dialog.request.objects == (1, 2, 3, 4, 5)


@pytest.fixture
def sheet(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    dialog = ShortcutsDialog(ActionTable(window), parent=window)
    dialog.show()
    yield dialog
    window.close()


def test_the_sheet_lists_every_action(sheet):
    texts = {label.text() for label in sheet.findChildren(QLabel)}
    assert {spec.text.rstrip("…") for spec in ACTIONS} <= texts


def test_the_sheet_finds_by_name_and_key(sheet):
    sheet._filter.setText("ctrl+e")
    assert sheet._buttons["export"].isVisible()
    assert not sheet._buttons["propose"].isVisible()


def headings(sheet):
    labels = sheet.findChildren(QLabel, "panelTitle")
    return [label.text() for label in labels if label.isVisible()]


def test_the_sheet_hides_what_holds_nothing_and_says_when_nothing_is_found(sheet):
    everything = headings(sheet)
    assert "Mouse" in everything
    sheet._filter.setText("propagate")
    assert headings(sheet) == ["Annotate"]
    sheet._filter.setText("middle drag")
    assert headings(sheet) == ["Mouse"]
    sheet._filter.setText("zebra")
    assert headings(sheet) == []
    assert "'zebra'" in sheet._message.text()
    sheet._filter.clear()
    assert headings(sheet) == everything


def test_the_rows_of_the_export_stay_together_when_a_format_asks_for_less(make_export):
    dialog = make_export()
    plain = dialog._objects.height()
    dialog.choose_format("overlay")
    dialog.layout().activate()
    dialog.resize(dialog.sizeHint())
    dialog.choose_format("csv")
    dialog.layout().activate()
    assert dialog.height() > dialog.sizeHint().height()
    assert dialog._objects.height() == plain


def test_a_key_is_changed_by_pressing_another(sheet, qtbot):
    button = sheet._buttons["propose"]
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.keyClick(button, Qt.Key.Key_F12)
    assert sheet.actions_table.keys["propose"] == ("F12",)
    assert button.text() == "F12"
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.keyClick(button, Qt.Key.Key_Tab)
    assert "Outlines" in sheet._message.text()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.keyClick(button, Qt.Key.Key_P)
    assert sheet.actions_table.keys["propose"] == ("F12",)
    assert "Brush" in sheet._message.text()


def test_settings_give_only_what_was_changed(qtbot):
    dialog = SettingsDialog(Settings(device="cuda:1"), ("default", "crw"))
    qtbot.addWidget(dialog)
    assert dialog.changes == {}
    dialog._theme.setCurrentIndex(dialog._theme.findData("light"))
    dialog._model.setText(" best.safetensors ")
    dialog._undo.setValue(64)
    assert dialog.changes == {"theme": "light", "model": "best.safetensors", "undo_limit_bytes": 64 << 20}
    assert Settings().with_(**dialog.changes).theme == "light"


def test_cache_size_and_place_are_settings(qtbot, tmp_path):
    dialog = SettingsDialog(Settings(), ("default",))
    qtbot.addWidget(dialog)
    dialog._features.setValue(0)
    dialog._folder.setText(f" {tmp_path} ")
    assert dialog.changes == {"feature_cache_bytes": 0, "cache_folder": str(tmp_path)}
    assert Settings().with_(**dialog.changes).feature_cache is None
    assert dialog._features.text() == "off"


def test_clearing_the_cache_is_asked_for_once_and_its_answer_shown(qtbot):
    settings = Settings()
    dialog = SettingsDialog(settings, ("default",))
    qtbot.addWidget(dialog)
    asked = []
    dialog.clear_requested.connect(asked.append)
    dialog._clear.click()
    dialog._clear.click()
    assert asked == [settings.feature_cache]
    dialog.show_cleared(5 << 20)
    assert "5 MiB freed" in dialog._cleared.text()


def test_about_names_version_model_and_device(qtbot):
    dialog = AboutDialog("1.2.3", "colour-texture", "CPU")
    qtbot.addWidget(dialog)
    text = " ".join(label.text() for label in dialog.findChildren(QLabel))
    assert all(part in text for part in ("1.2.3", "colour-texture", "CPU", "MIT"))


def test_the_folder_may_start_with_a_tilde(make_export):
    dialog = make_export()
    dialog._folder.setText("~/masks-that-are-not-there")
    assert dialog.request.folder == Path.home() / "masks-that-are-not-there"
