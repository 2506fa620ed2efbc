"""What the window needs from outside the user interface, handed in by `app`: files, footage, the model.

The user interface imports neither io nor tasks; tests hand in small fakes instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smtc_app.core.document import Document


@dataclass(frozen=True)
class Opened:
    """What opening a path gave: footage and document, and what the person should know about it.

    `project` is None for bare footage. `recovered` says that the document holds work that was never saved.
    `parameters` are what was saved with the project. `release` gives up the right to write into its folder.
    """

    source: Any
    document: Document
    project: Path | None = None
    notes: tuple[str, ...] = ()
    recovered: bool = False
    demo: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    release: Callable[[], None] | None = None


@dataclass(frozen=True)
class SourceMissing:
    """A project whose footage was not found; `sentence` says so, the person can show where it is."""

    sentence: str


@dataclass(frozen=True)
class Services:
    """Functions only. Tasks are `task(ctx, ...)` and run in a worker thread; the rest must return at once."""

    open_task: Callable[..., Opened | SourceMissing]
    """(ctx, path, demo, footage) -> Opened; `footage`: where the person says that a project's video is"""
    save_task: Callable[..., tuple[Path, Callable[[], None] | None]]
    """(ctx, path, state, source, parameters) -> the folder, and what releases it if it was not held before"""
    export_task: Callable[..., int]
    """(ctx, source, state, folder, frames, objects, overwrite) -> number of masks written and read back"""
    import_mask_task: Callable[..., tuple[Any, Sequence[str]]]
    """(ctx, path, (width, height)) -> labels, notes"""
    propose_task: Callable[..., Any]
    propagate_task: Callable[..., Any]
    split_task: Callable[..., Any]
    preload_task: Callable[..., Any]
    make_frame_cache: Callable[..., Any]
    """(source, on_frame, on_error) -> frame cache with its own thread"""
    demo_clip: Callable[[], Path]
