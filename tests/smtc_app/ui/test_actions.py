"""The table of actions: every row complete, no key twice, keys that can be rebound."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QMainWindow

from smtc_app.assets import assets_folder
from smtc_app.ui.action_specs import ACTIONS, MENUS, SPECS
from smtc_app.ui.actions import ActionTable, conflicts

EXPECTED_KEYS = {
    "previous_frame": ("Left", "A"),
    "next_frame": ("Right", "D"),
    "back_10": ("Shift+Left",),
    "next_keyframe": ("Ctrl+Right",),
    "first_frame": ("Home",),
    "play": ("Space",),
    "propose": ("S",),
    "accept_all": ("Return", "Enter"),
    "reject_all": ("Esc",),
    "propagate_forward": ("F",),
    "propagate_backward": ("B",),
    "propagate_both": ("Shift+F",),
    "cancel": ("Esc",),
    "keyframe": ("K",),
    "object_1": ("1",),
    "new_object": ("N",),
    "tool_brush": ("P",),
    "tool_eraser": ("E",),
    "tool_fill": ("G",),
    "tool_polygon": ("L",),
    "tool_pick": ("I",),
    "merge": ("M",),
    "split": ("X",),
    "delete": ("Del",),
    "masks": ("H",),
    "outline": ("Tab",),
    "next_worst": ("W",),
    "correct_next": ("Shift+N",),
    "undo": ("Ctrl+Z",),
    "redo": ("Ctrl+Shift+Z", "Ctrl+Y"),
    "open": ("Ctrl+O",),
    "save": ("Ctrl+S",),
    "export": ("Ctrl+E",),
    "fit": ("0",),
    "shortcuts": ("F1",),
}


@pytest.fixture
def table(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    yield ActionTable(window)
    window.close()


@pytest.mark.parametrize(("action_id", "keys"), EXPECTED_KEYS.items())
def test_the_promised_keys_are_the_defaults(action_id, keys):
    assert SPECS[action_id].keys == keys


def test_no_key_belongs_to_two_actions():
    assert conflicts({spec.id: spec.keys for spec in ACTIONS}) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("Ctrl++", "Ctrl+Shift+="), ("Ctrl++", "Ctrl+Shift++"), ("}", "Shift+]"), ("!", "Shift+1")],
)
def test_keys_that_are_typed_alike_belong_to_one_action(first, second):
    assert [pair[1:] for pair in conflicts({"zoom_in": (first,), "grow": (second,)})] == [("zoom_in", "grow")]


@pytest.mark.parametrize(("first", "second"), [("Ctrl+=", "Ctrl+-"), ("S", "Shift+S"), ("Up", "Shift+Up")])
def test_keys_that_are_typed_apart_may_belong_to_two(first, second):
    assert conflicts({"zoom_in": (first,), "grow": (second,)}) == []


@pytest.mark.parametrize("spec", ACTIONS, ids=lambda spec: spec.id)
def test_every_action_has_a_menu_a_tooltip_an_icon_that_exists_and_valid_keys(spec):
    assert spec.menu.split("/")[0] in MENUS
    assert spec.tooltip
    assert not spec.icon or (assets_folder() / "icons" / f"{spec.icon}.svg").is_file()
    assert all(QKeySequence(key).toString() for key in spec.keys)


def test_every_action_is_connected():
    source = Path(ActionTable.__init__.__code__.co_filename).parent
    files = [*source.glob("*_controller.py"), source / "mask_edits.py"]
    texts = "".join(file.read_text() for file in files)
    texts += (source.parent / "app.py").read_text()
    generated = re.compile(r"(tool|theme|view|object)_\w+")
    missing = [s.id for s in ACTIONS if f'"{s.id}"' not in texts and not generated.fullmatch(s.id)]
    assert missing == []


def test_rebinding_moves_a_key_and_says_what_differs(table):
    table.rebind({"propose": ("F12",)})
    assert table["propose"].shortcut() == QKeySequence("F12")
    assert "(F12)" in table["propose"].toolTip()
    assert table.rebound == {"propose": ["F12"]}


def test_a_taken_key_is_refused_and_nothing_changes(table):
    with pytest.raises(ValueError, match="Brush"):
        table.rebind({"propose": ("P",)})
    assert table["propose"].shortcut() == QKeySequence("S")
    assert table.rebound == {}


def test_keys_of_another_version_are_passed_over(table):
    table.rebind({"teleport": ("T",)})
    assert table.rebound == {}


def test_a_shared_key_has_one_owner_at_a_time(table):
    table.set_key_owner("cancel", "reject_all")
    assert table["cancel"].shortcut() == QKeySequence("Esc")
    assert table["reject_all"].shortcut().isEmpty()
    table.set_key_owner("reject_all", "cancel")
    assert table["reject_all"].shortcut() == QKeySequence("Esc")
    assert table["cancel"].shortcut().isEmpty()


def test_menus_hold_every_action(table, qtbot):
    window = table.parent()
    menus = table.add_menus(window.menuBar())
    held = {action.objectName() for menu in menus.values() for action in menu.actions()}
    assert {spec.id for spec in ACTIONS} <= held
