"""The one exception whose text is shown to people as it stands."""

from __future__ import annotations


class UserError(Exception):
    """One clear sentence: what went wrong, with which file or value, and what can be done about it."""
