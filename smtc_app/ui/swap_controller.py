"""Giving two selected objects each other's masks: on the frame in sight, or from there to the end of the
range."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QObject, Signal

from smtc_app.core import commands
from smtc_app.core.command import counted
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.propagation_controller import PropagationController
from smtc_app.ui.session import Session


class SwapController(QObject):
    """Connects the actions that swap.

    Signals:
        told, failed: a sentence for the person.
    """

    told = Signal(object)
    failed = Signal(object)

    def __init__(
        self,
        window: MainWindow,
        session: Session,
        propagation: PropagationController,
        *,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window, self._session, self._propagation = window, session, propagation
        window.actions_table.connect("swap_here", partial(self.swap, onward=False))
        window.actions_table.connect("swap_onward", partial(self.swap, onward=True))

    def swap(self, *, onward: bool) -> None:
        """Swap the masks of the two selected objects here, or (`onward`) from here to the range's end."""
        session, document = self._session, self._session.document
        if document is None:
            return
        chosen = session.selection
        if len(chosen) != 2:
            self.told.emit("Select the two objects that have changed places, to swap their masks.")
            return
        if not onward:
            session.push(commands.SwapObjects(*chosen, session.frame))
            return
        if self._propagation.busy:
            self.told.emit("A propagation is running: wait for it, or cancel it first (Esc).")
            return
        first, stop = self._window.timeline.range or (0, document.frame_count)
        if not first <= session.frame < stop:
            self.told.emit(
                f"This frame is outside of the range {first} to {stop - 1}: go into it, or clear it."
            )
            return
        command = commands.SwapObjects(*chosen, session.frame, stop=stop)
        if session.push(command):
            self._report(command, session.frame)

    def _report(self, command: commands.SwapObjects, frame: int) -> None:
        names = " and ".join(f"'{self._session.document.objects[i].name}'" for i in command.ids)
        where = f"frame {frame}" if command.last == frame else f"frames {frame} to {command.last}"
        notes = []
        if command.locked:
            notes.append(f"{counted(command.locked, 'locked frame')} left alone")
        if command.drawn is not None:
            notes.append(f"frame {command.drawn} was drawn or confirmed by hand and ends it")
        self.told.emit(f"Swapped {names} on {where}{''.join(f'; {note}' for note in notes)}.")
