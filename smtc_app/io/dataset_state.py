"""What is remembered of a dataset: which videos are done, which was open last; and where its projects lie.

The projects and `dataset.json` are in `ROOT/smtc-projects`, or, where the dataset cannot be written to, in
the user's data folder. Nothing is created before there is something to keep. Two windows on one dataset do
not undo each other's marks: every change is applied to the file as it is then.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from smtc_app.core.dataset import ProjectSummary, VideoEntry, VideoState
from smtc_app.core.document import FrameStatus
from smtc_app.core.errors import UserError
from smtc_app.core.files import why, write_atomically
from smtc_app.core.track import decode_confidences
from smtc_app.io.dataset import PROJECTS_FOLDER
from smtc_app.io.project import SUFFIX, holds_project, read_project_data

logger = logging.getLogger(__name__)

FORMAT, VERSION = "smtc-dataset", 1
STATE_FILE = "dataset.json"
DATA_FOLDER_VARIABLE = "SMTC_DATA_DIR"


@dataclass(frozen=True)
class DatasetState:
    """Marks of a person.

    done   names of videos that are finished
    last   name of the video that was open last
    sort   the order of the list
    """

    done: frozenset[str] = frozenset()
    last: str | None = None
    sort: str = "name"
    unknown: dict[str, Any] = field(default_factory=dict, repr=False)


class DatasetFolder:
    """The folder that holds the projects and the state of the dataset at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        beside = root / PROJECTS_FOLDER
        self.path = beside if beside.is_dir() or os.access(root, os.W_OK | os.X_OK) else _elsewhere(root)

    def project_of(self, entry: VideoEntry) -> Path:
        """Where the project of a video is, or is to be saved: here, unless one lies beside the video."""
        here = self.path.joinpath(*f"{entry.name}{SUFFIX}".split("/"))
        beside = entry.path.with_name(entry.path.stem + SUFFIX)
        return beside if not holds_project(here) and holds_project(beside) else here

    def to_open(self, entry: VideoEntry) -> Path:
        """What opening a video means: its project, or the bare footage where there is none yet."""
        project = self.project_of(entry)
        return project if holds_project(project) else entry.path

    def load(self) -> DatasetState:
        """The state, an empty one where there is none yet or it cannot be read."""
        try:
            values = json.loads((self.path / STATE_FILE).read_bytes())
            if values.get("format") != FORMAT or not isinstance(values.get("version"), int):
                raise ValueError("not the state of a dataset")
            last = values.get("last")
            return DatasetState(
                frozenset(str(name) for name in values.get("done", ())),
                str(last) if last is not None else None,
                str(values.get("sort", "name")),
                {k: v for k, v in values.items() if k not in ("format", "version", "done", "last", "sort")},
            )
        except FileNotFoundError:
            return DatasetState()
        except (OSError, ValueError, AttributeError, TypeError) as error:
            logger.warning("the state in %s is not used: %s", self.path / STATE_FILE, error)
            return DatasetState()

    def change(self, change: Callable[[DatasetState], DatasetState]) -> DatasetState:
        """Apply a change to the newest state and write it.

        Raises:
            UserError: the folder cannot be written.
        """
        state = change(self.load())
        values = {
            **state.unknown,
            "format": FORMAT,
            "version": VERSION,
            "done": sorted(state.done),
            "last": state.last,
            "sort": state.sort,
        }
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            text = json.dumps(values, indent=1, ensure_ascii=False)
            write_atomically(self.path / STATE_FILE, text.encode() + b"\n")
        except OSError as error:
            raise UserError(
                f"The state of the dataset cannot be kept in {self.path}: {why(error)}."
            ) from error
        return state

    def set_done(self, name: str, done: bool) -> DatasetState:
        """Mark a video as done, or as not done. Raises UserError."""
        return self.change(
            lambda state: replace(state, done=state.done | {name} if done else state.done - {name})
        )


def summarise(project: Path) -> ProjectSummary | None:
    """What a saved project says about a video; None where there is no project.

    Raises:
        UserError: the project is damaged or newer than this application.
    """
    if not holds_project(project):
        return None
    data = read_project_data(project)
    statuses: set[int] = set()
    confidences = [np.zeros(0, np.float32)]
    for track in data.state.tracks.values():
        statuses.update(np.unique(track.status).tolist())
        values = decode_confidences(track.confidence[track.status == FrameStatus.PROPAGATED])
        confidences.append(values[~np.isnan(values)])
    statuses.discard(int(FrameStatus.ABSENT))
    if statuses - {int(FrameStatus.PROPOSED)}:
        state = VideoState.IN_WORK
    else:
        state = VideoState.PROPOSED if statuses or data.proposed_frames else VideoState.UNTOUCHED
    confidence = np.concatenate(confidences)
    return ProjectSummary(
        state,
        len(data.state.objects),
        len(data.masked_frames),
        float(confidence.mean()) if confidence.size else None,
        float(confidence.min()) if confidence.size else None,
    )


def _elsewhere(root: Path) -> Path:
    """A folder of the user's for a dataset that cannot be written to."""
    base = os.environ.get(DATA_FOLDER_VARIABLE) or platformdirs.user_data_dir("smtc-app", appauthor=False)
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    return Path(base) / "datasets" / f"{root.name}-{digest}"
