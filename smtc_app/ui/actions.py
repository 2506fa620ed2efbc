"""The actions of :mod:`smtc_app.ui.action_specs` as Qt's: menus, tooltips, and keys that can be rebound.

What differs from the default keys is kept as `{id: [keys]}`, and two actions never hold the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

from smtc_app.ui.action_specs import ACTIONS, MENUS, SHARED_KEYS, SPECS
from smtc_app.ui.theme import Theme

SHIFTED = dict(zip("`1234567890-=[]\\;',./", '~!@#$%^&*()_+{}|:"<>?', strict=True))
"""What Shift makes of a key on most keyboards: Ctrl+Shift+= is typed with the same fingers as Ctrl++."""
_TAKES_SHIFT = frozenset(SHIFTED) | frozenset(SHIFTED.values())


def typed(sequence: str) -> str:
    """One name for all keys that are typed alike; two actions on it would both stay dead."""
    text = QKeySequence(sequence).toString()
    modifiers, shift, key = text.rpartition("Shift+")
    return modifiers + SHIFTED.get(key, key) if shift and key in _TAKES_SHIFT else text


def conflicts(keys: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str, str]]:
    """Pairs of actions whose keys are typed alike: (key, first id, second id), shared keys left out."""
    owners: dict[str, str] = {}
    found = []
    for action_id, sequences in keys.items():
        for sequence in sequences:
            other = owners.setdefault(typed(sequence), action_id)
            if other != action_id and tuple(sorted((other, action_id))) not in SHARED_KEYS:
                found.append((QKeySequence(sequence).toString(), other, action_id))
    return found


class ActionTable(QObject):
    """The `QAction` of every row; owns keys, icons and enabled states.

    Signals:
        asked_for: the id of an action that was triggered, before anything is done about it.
    """

    asked_for = Signal(object)

    def __init__(self, parent: QWidget, keys: Mapping[str, tuple[str, ...]] | None = None) -> None:
        super().__init__(parent)
        self._actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        self._keys: dict[str, tuple[str, ...]] = {spec.id: spec.keys for spec in ACTIONS}
        self._hidden_keys: set[str] = set()
        self._reasons: dict[str, str] = {}
        """Why an action cannot be used now."""
        self._tooltips: dict[str, str] = {}
        for spec in ACTIONS:
            action = QAction(spec.text, self)
            action.setObjectName(spec.id)
            action.setCheckable(spec.checkable)
            action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
            # Menus show the icons of the main toolbar only where they help to find the entry again.
            action.setIconVisibleInMenu(bool(spec.icon) and not spec.checkable)
            if spec.group:
                group = self._groups.setdefault(spec.group, QActionGroup(self))
                group.addAction(action)
            self._actions[spec.id] = action
            # Slots are called in the order of their connections: this one comes before all of `connect`.
            action.triggered.connect(partial(self._on_triggered, spec.id))
            parent.addAction(action)
        self.rebind(keys or {})
        self.update_icons()

    def __getitem__(self, action_id: str) -> QAction:
        return self._actions[action_id]

    def connect(self, action_id: str, slot: Callable[[], object]) -> None:
        """Call `slot()` when the action is triggered."""

        def called(_checked: bool = False) -> None:
            slot()

        self._actions[action_id].triggered.connect(called)

    def connect_checked(self, action_id: str, slot: Callable[[bool], object]) -> None:
        """Call `slot(checked)` when the action is switched."""
        self._actions[action_id].triggered.connect(slot)

    def enable(self, action_id: str, on: bool, reason: str = "") -> None:
        """Make an action usable, or not, and say in its tooltip why not."""
        action, told = self._actions[action_id], "" if on else reason
        if action.isEnabled() != on:
            action.setEnabled(on)
        if self._reasons.get(action_id, "") != told:
            self._reasons[action_id] = told
            self._show_tooltip(action_id)

    def set_tooltip(self, action_id: str, text: str) -> None:
        """Say what an action would do now, instead of what it does in general."""
        if self._tooltips.get(action_id) != text:
            self._tooltips[action_id] = text
            self._show_tooltip(action_id)

    def reason(self, action_id: str) -> str:
        """Why an action cannot be used now, "" when it can."""
        return self._reasons.get(action_id, "")

    @property
    def keys(self) -> Mapping[str, tuple[str, ...]]:
        """The keys of every action as they are now."""
        return dict(self._keys)

    @property
    def rebound(self) -> dict[str, list[str]]:
        """What differs from the defaults, for the settings file."""
        return {i: list(keys) for i, keys in self._keys.items() if keys != SPECS[i].keys}

    def rebind(self, keys: Mapping[str, tuple[str, ...] | list[str]]) -> None:
        """Set keys of some actions; unknown ids (of another version) are passed over.

        Raises:
            ValueError: two actions would hold the same key.
        """
        wanted = dict(self._keys)
        wanted.update({i: tuple(sequences) for i, sequences in keys.items() if i in SPECS})
        clashing = conflicts(wanted)
        if clashing:
            key, first, second = clashing[0]
            raise ValueError(f"{key} would belong to both {SPECS[first].text} and {SPECS[second].text}")
        self._keys = wanted
        for action_id in self._actions:
            self._apply_keys(action_id)

    def set_key_owner(self, owner: str, *others: str) -> None:
        """Give a shared key to `owner` now; `others` keep their menu entry without it."""
        self._hidden_keys.difference_update({owner})
        self._hidden_keys.update(others)
        for action_id in (owner, *others):
            self._apply_keys(action_id)

    def key_text(self, action_id: str) -> str:
        """The first key of an action as people read it, or an empty string."""
        keys = self._keys[action_id]
        return QKeySequence(keys[0]).toString(QKeySequence.SequenceFormat.NativeText) if keys else ""

    def update_icons(self) -> None:
        """Render the icons again, after a change of theme."""
        theme = Theme.current()
        for spec in ACTIONS:
            if spec.icon:
                self._actions[spec.id].setIcon(theme.icon(spec.icon, spec.checkable))

    def add_menus(self, bar: QMenuBar) -> dict[str, QMenu]:
        """Fill the menu bar; returns the menus by name (`Objects/Select` is a submenu)."""
        menus: dict[str, QMenu] = {name: bar.addMenu(f"&{name}") for name in MENUS}
        for spec in ACTIONS:
            if spec.menu not in menus:
                above, name = spec.menu.split("/")
                menus[above].addSeparator()
                menus[spec.menu] = menus[above].addMenu(name)
            if spec.separator:
                menus[spec.menu].addSeparator()
            menus[spec.menu].addAction(self._actions[spec.id])
        for menu in menus.values():
            menu.setToolTipsVisible(True)
        return menus

    def _on_triggered(self, action_id: str, _checked: bool = False) -> None:
        self.asked_for.emit(action_id)

    def _apply_keys(self, action_id: str) -> None:
        action = self._actions[action_id]
        keys = () if action_id in self._hidden_keys else self._keys[action_id]
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.setStatusTip("")
        self._show_tooltip(action_id)

    def _show_tooltip(self, action_id: str) -> None:
        key, reason = self.key_text(action_id), self._reasons.get(action_id, "")
        text = self._tooltips.get(action_id, SPECS[action_id].tooltip)
        text = f"{text}  ({key})" if key else text
        self._actions[action_id].setToolTip(f"{text}\n{reason}" if reason else text)
