"""The categories a project knows: those of its objects, and those that were entered and may be used again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def categories_from_json(value: Any) -> tuple[str, ...]:
    """The list of a project file; whatever is no list of names is an empty one."""
    if not isinstance(value, list):
        return ()
    return known_categories((item for item in value if isinstance(item, str)), ())


def known_categories(entered: Iterable[str], used: Iterable[str]) -> tuple[str, ...]:
    """All of them once, in alphabetical order whatever the case."""
    names = {name for text in (*entered, *used) if (name := clean_category(text))}
    return tuple(sorted(names, key=lambda name: (name.casefold(), name)))


def clean_category(text: str) -> str:
    """A category as it is kept: without spaces around it, and single ones in it."""
    return " ".join(text.split())
