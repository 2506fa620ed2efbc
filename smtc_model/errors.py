"""The one exception of this package whose text is shown to people as it stands."""

from __future__ import annotations


class ModelError(Exception):
    """One clear sentence: what went wrong, with which file or value, and what can be done about it."""
