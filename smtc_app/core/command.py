"""The base of all commands. To add an edit: subclass `Command`, change the document in `run` through `Edit`
only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.errors import UserError
from smtc_app.core.operations import Patch

_OVERHEAD_BYTES = 400


class Command:
    """One undoable step. `text` names it in menus ("Paint 'dog'") and is final once `do` has run."""

    text = "Edit"

    def __init__(self) -> None:
        self._patch: Patch | None = None
        self._nbytes = 0
        self.merges = 0  # how many commands became part of this one

    def run(self, edit: Edit) -> None:
        """Change the document through `edit`. Raising takes back everything done so far."""
        raise TypeError(f"{type(self).__name__} does not say what it does")

    def do(self, document: Document) -> bool:
        """Run the first time, repeat exactly afterwards. False when the command changed nothing.

        An exception leaves the document as it was and tells nobody.
        """
        if self._patch is None:
            edit = Edit(document)
            try:
                self.run(edit)
            except BaseException:
                edit.rollback()
                raise
            patch = edit.finish()
            if not patch:
                return False
            self._patch = patch
        else:
            self._patch.redo(document)
        self._nbytes = self._patch.nbytes
        self._patch.announce(document)
        return True

    def undo(self, document: Document) -> None:
        assert self._patch is not None, "undo of a command that was not done"
        self._patch.undo(document)
        self._nbytes = self._patch.nbytes
        self._patch.announce(document)

    def can_merge(self, other: Command) -> bool:
        """Whether `other`, just done after this one, belongs to the same step."""
        return False

    def merge(self, other: Command) -> None:
        """Take over the changes of `other`; called after `can_merge`."""
        assert self._patch is not None
        assert other._patch is not None
        self._patch.operations.extend(other._patch.operations)
        self._nbytes += other._nbytes
        self.merges += 1

    @property
    def nbytes(self) -> int:
        """Bytes this step keeps alive; counts masks that the document shares too."""
        return _OVERHEAD_BYTES + self._nbytes


class Compound(Command):
    """Several commands as one step: all of them or, when one fails, none."""

    def __init__(self, commands: Sequence[Command], text: str) -> None:
        super().__init__()
        self.commands = tuple(commands)
        self.text = text

    def run(self, edit: Edit) -> None:
        for command in self.commands:
            command.run(edit)


def as_ids(ids: int | Iterable[int]) -> tuple[int, ...]:
    """One id or several -> ids without repetition, in order. Raises UserError for none at all."""
    found = (int(ids),) if isinstance(ids, int) else tuple(dict.fromkeys(int(i) for i in ids))
    if not found:
        raise UserError("Nothing is selected: choose at least one object.")
    return found


def counted(number: int, noun: str) -> str:
    """ "1 frame", "4,000 frames"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def quoted(edit: Edit, ids: Sequence[int]) -> str:
    """ "'dog'" for one object, "3 objects" for more. Raises UserError when one of them does not exist."""
    infos = [edit.require_object(object_id) for object_id in ids]
    return f"'{infos[0].name}'" if len(infos) == 1 else counted(len(infos), "object")
