"""Why a tool has changed nothing, or nothing that can be seen, in a sentence that says what to do. No Qt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from smtc_app.core.annotation import ObjectInfo


def why_not_painted(under: Collection[int], target: str, locked: Sequence[str], *, filling: bool) -> str:
    """Why painting the object named `target` over pixels of the labels `under` changed none of them.

    locked: names of the objects among them that are locked.
    """
    if not under:
        return "That is outside of the frame: nothing was painted."
    if locked:
        return why_locked(locked)
    if filling:
        return (
            f"This place is '{target}' already: click on what '{target}' should take in, "
            "or fill its holes (Ctrl+H)."
        )
    return f"All of that is '{target}' already."


def why_not_erased(under: Collection[int], locked: Sequence[str]) -> str:
    """Why erasing pixels of the labels `under` changed none of them."""
    if not under:
        return "That is outside of the frame: nothing was erased."
    return why_locked(locked) if locked else "There is no mask to erase there."


def why_locked(names: Sequence[str]) -> str:
    """That objects are locked."""
    if len(names) == 1:
        return f"'{names[0]}' is locked: unlock it to change it (Shift+L)."
    return f"{_joined(names)} are locked: unlock them to change them (Shift+L)."


def what_is_hidden(painted: str | None, lost: Sequence[str]) -> str:
    """That an edit changed objects which are not shown: the one that was painted, those that lost pixels."""
    if painted is not None:
        return f"'{painted}' is hidden: show it to see what you paint (V, or Shift+V when another is solo)."
    verb = "is" if len(lost) == 1 else "are"
    return f"This took pixels from {_joined(lost)}, which {verb} hidden: undo it (Ctrl+Z) if it should not."


def names_of(ids: Collection[int], objects: Mapping[int, ObjectInfo]) -> list[str]:
    """Names of those of `ids` that are objects, in the order of the list."""
    return [info.name for info in objects.values() if info.id in ids]


def _joined(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"
