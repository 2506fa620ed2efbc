"""What is done to two objects: merging them, and giving each the other's masks.

Where only one is selected the person is asked for the other one, by number or name.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QObject, Signal

from smtc_app.core import commands
from smtc_app.core.command import counted
from smtc_app.ui.main_window import MainWindow
from smtc_app.ui.propagation_controller import PropagationController
from smtc_app.ui.session import Session


class PairController(QObject):
    """Connects the actions that merge and swap.

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
        for action_id, slot in (
            ("merge", partial(self.merge, here=False)),
            ("merge_here", partial(self.merge, here=True)),
            ("swap_here", partial(self.swap, onward=False)),
            ("swap_onward", partial(self.swap, onward=True)),
        ):
            window.actions_table.connect(action_id, slot)

    def merge(self, *, here: bool) -> None:
        """Merge the selection into the object of it that stands first in the list; `here`: on this frame."""
        self._with_partner("Merge", "with", partial(self._merge, here))

    def swap(self, *, onward: bool) -> None:
        """Swap the masks of the two selected objects here, or (`onward`) from here to the range's end."""
        count = len(self._session.selection)
        if count > 2:
            self.told.emit(
                f"Swapping takes two objects, and {count} are selected: select the two that have changed "
                "places."
            )
        else:
            self._with_partner("Swap", "and", partial(self._swap, onward))

    def _with_partner(self, verb: str, word: str, act: Callable[[tuple[int, ...]], None]) -> None:
        """Call `act(ids)` with the selection; to one object another one is asked for."""
        session, document = self._session, self._session.document
        if document is None:
            return
        chosen = session.selection
        if not chosen:
            self.told.emit("Select an object first.")
        elif len(chosen) > 1:
            act(chosen)
        elif len(document.objects) == 1:
            self.told.emit(f"'{document.objects[chosen[0]].name}' is the only object: there is no other one.")
        else:

            def found(other: int) -> None:
                known = self._session.document
                if known is document and {chosen[0], other} <= set(document.objects):
                    act((chosen[0], other))

            self._window.object_panel.ask_for_another(
                chosen[0], f"{verb} '{document.objects[chosen[0]].name}' {word} …", found
            )

    def _merge(self, here: bool, chosen: tuple[int, ...]) -> None:
        session, document = self._session, self._session.document
        target = next(i for i in document.objects if i in chosen)
        others = [i for i in document.objects if i in chosen and i != target]
        if here and not any(document.area(session.frame, i) for i in others):
            names = " and ".join(f"'{document.objects[i].name}'" for i in others[:3])
            self.told.emit(
                f"{names if len(others) < 4 else 'What is merged'} has nothing on this frame to give to "
                f"'{document.objects[target].name}'."
            )
            return
        frames = (session.frame,) if here else None
        if session.push(commands.MergeObjects(chosen, target, frames=frames)):
            session.select((target,))

    def _swap(self, onward: bool, chosen: tuple[int, ...]) -> None:
        session, document = self._session, self._session.document
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
