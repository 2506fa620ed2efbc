"""What the window needs from outside the user interface, handed in by `app`: files, footage, the model.

The user interface imports neither io nor tasks; tests hand in small fakes instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtc_app.core.document import Document


@dataclass(frozen=True)
class Opened:
    """What opening a path gave: footage and document, and what the person should know about it.

    `project` is None for bare footage. `recovered` says that the document holds work that was never saved.
    """

    source: Any
    document: Document
    project: Path | None = None
    notes: tuple[str, ...] = ()
    recovered: bool = False
    demo: bool = False


@dataclass(frozen=True)
class Services:
    """Functions only. Tasks are `task(ctx, ...)` and run in a worker thread; the rest must return at once."""

    open_task: Callable[..., Opened]
    """(ctx, path, demo) -> Opened"""
    save_task: Callable[..., Path]
    """(ctx, path, document, source, parameters) -> path"""
    export_task: Callable[..., str]
    """(ctx, source, document, request) -> one sentence that says what was written and checked"""
    import_mask_task: Callable[..., tuple[Any, Sequence[str]]]
    """(ctx, path, (width, height)) -> labels, notes"""
    propose_task: Callable[..., Any]
    propagate_task: Callable[..., Any]
    split_task: Callable[..., Any]
    preload_task: Callable[..., Any]
    make_frame_cache: Callable[..., Any]
    """(source, on_frame, on_error) -> frame cache with its own thread"""
    demo_clip: Callable[[], Path]
