"""What comes out of opening a path, as plain data that the window and the tasks share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smtc_app.core.dataset import Dataset
from smtc_app.core.document import Document
from smtc_app.core.new_objects import NewObject
from smtc_app.core.replay import PropagationRun


@dataclass(frozen=True)
class Opened:
    """Footage and document, and what the person should know about them.

    project      folder of the project, None for bare footage
    info         what the project says about itself
    release      gives up the right to write into its folder
    recovery     unsaved work that a crash had left and that is in the document now
    saved_state  what the project holds without it
    runs         propagation runs behind the project's labels
    categories   the project's list of categories
    new_objects  what its alarm had marked and nobody has answered
    first_mask   frame and file of the first mask that lies beside the footage (DAVIS layout)
    """

    source: Any
    document: Document
    project: Path | None = None
    notes: tuple[str, ...] = ()
    demo: bool = False
    info: Any = None
    release: Callable[[], None] | None = None
    recovery: Any = None
    saved_state: Any = None
    first_mask: tuple[int, Path] | None = None
    runs: tuple[PropagationRun, ...] = ()
    categories: tuple[str, ...] = ()
    new_objects: tuple[NewObject, ...] = ()

    def close(self) -> None:
        """Let go of it, when it is not wanted any more."""
        if self.release is not None:
            self.release()
        self.source.close()
        self.document.close()


@dataclass(frozen=True)
class SourceMissing:
    """A project whose footage was not found; `sentence` says so, the person can show where it is."""

    sentence: str


@dataclass(frozen=True)
class MasksDamaged:
    """A project some of whose masks cannot be read; `sentence` says which, the rest of it can be opened."""

    sentence: str


@dataclass(frozen=True)
class FoundDataset:
    """A path that is a whole dataset: its videos, the folder of its projects, and what is remembered of it.

    folder   has `project_of`, `to_open` (see `io.dataset_state`)
    state    `io.dataset_state.DatasetState`
    """

    dataset: Dataset
    folder: Any
    state: Any
