"""What all formats work from: the frames, the objects with their new ids, and the labels in those ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.document import DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.export import (
    FORMATS,
    MAX_INDEXED_OBJECTS,
    ExportedObject,
    ExportFormat,
    ExportRequest,
)
from smtc_app.io.source import FrameSource

Progress = Callable[[int, int, str], None]
SoftMaps = Callable[[Callable[[int, Mapping[int, np.ndarray]], None]], None]
"""Calls its argument with (frame, {document id: probability float32 (H,W)}) for what a model computed."""

HAS_PIXELS = (FrameStatus.MANUAL, FrameStatus.PROPOSED, FrameStatus.PROPAGATED)


@dataclass(frozen=True)
class ExportJob:
    """Inputs of one export, the same for every format.

    out        folder to write into; what is put there appears in the request's folder when all went well
    state      the document as it was when the export was asked for
    objects    what is exported, ids from 1
    left_out   names of objects that were asked for and are on no frame of the range
    settings   what else should be known about how the masks were made: model, parameters, project
    soft_maps  computes probabilities, for the one format that holds them
    """

    request: ExportRequest
    source: FrameSource
    state: DocumentState
    out: Path
    objects: tuple[ExportedObject, ...]
    left_out: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    soft_maps: SoftMaps | None = None

    def __post_init__(self) -> None:
        table = np.zeros(1 << 16, np.uint16)
        for info in self.objects:
            table[info.document_id] = info.id
        object.__setattr__(self, "_table", table)

    @property
    def format(self) -> ExportFormat:
        return FORMATS[self.request.format]

    @property
    def frames(self) -> range:
        return self.request.frames

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self.state.size

    @property
    def video(self) -> str:
        """Name of the footage, as datasets name a sequence."""
        path = Path(self.source.path)
        return path.name if path.is_dir() else path.stem

    def labels(self, index: int) -> np.ndarray:
        """uint16 (H,W) of a frame: exported ids, 0 elsewhere."""
        return self._table[self.state.labels(index)]

    def categories(self) -> dict[str, int]:
        """Category name -> id from 1, in the order in which the objects bring them up."""
        names = dict.fromkeys(category_of(info) for info in self.objects)
        return {name: number for number, name in enumerate(names, start=1)}


class Writer(Protocol):
    """One format. It is made with the job; `write` comes once per frame in ascending order, then `finish`."""

    def write(self, index: int, frame: np.ndarray, labels: np.ndarray) -> None:
        """Take a frame uint8 (H,W,3) with its labels uint16 (H,W) in exported ids."""

    def finish(self) -> None:
        """Write what comes last."""

    def check(self, progress: Callable[[int], None]) -> str:
        """Read everything back from the disk; one sentence that says what was found right.

        progress: called with the number of frames checked so far.

        Raises UserError when something differs from the document.
        """

    def close(self) -> None:
        """Let go of open files, whether or not all went well."""


def category_of(info: ExportedObject) -> str:
    """What datasets call the kind of thing; those without a category are all "object"."""
    return info.category or "object"


def folder_of(info: ExportedObject) -> str:
    """Name of an object's own folder: its id and name, without what file systems refuse."""
    name = re.sub(r"[^\w.-]+", "-", info.name).strip("-.")
    return f"{info.id}_{name}" if name else str(info.id)


def choose_objects(
    request: ExportRequest, state: DocumentState
) -> tuple[tuple[ExportedObject, ...], tuple[str, ...]]:
    """Number the asked-for objects that are on at least one of the frames from 1; names of the others.

    Raises UserError for unknown ids, frames outside the video, or more objects than the format holds.
    """
    if not request.frames or request.first < 0 or request.stop > state.frame_count:
        raise UserError(
            f"There are no frames {request.first} to {request.stop - 1}: "
            f"the video has frames 0 to {state.frame_count - 1}."
        )
    known = {info.id: info for info in state.objects}
    for object_id in request.objects:
        if object_id not in known:
            raise UserError(
                f"There is no object {object_id}; there are {', '.join(map(str, known)) or 'none'}."
            )
    wanted = sorted(set(request.objects))
    shown = [i for i in wanted if _is_shown(state, i, request.frames)]
    if FORMATS[request.format].indexed and len(shown) > MAX_INDEXED_OBJECTS:
        raise UserError(
            f"{len(shown)} objects do not fit an indexed PNG, which holds {MAX_INDEXED_OBJECTS}: export them "
            "in parts (fewer objects at a time), or as COCO, YouTube-VIS, binary masks or CSV, which have no "
            "limit."
        )
    objects = tuple(
        ExportedObject(number, i, known[i].name, known[i].category, tuple(known[i].colour))
        for number, i in enumerate(shown, start=1)
    )
    return objects, tuple(known[i].name for i in wanted if i not in set(shown))


def _is_shown(state: DocumentState, object_id: int, frames: range) -> bool:
    status = state.tracks[object_id].status[frames.start : frames.stop : frames.step]
    if np.isin(status, HAS_PIXELS).any():
        return True
    # Corrected and stale frames may be those where the object was erased or not found.
    return any(
        (state.labels(frames[position]) == object_id).any()
        for position in np.flatnonzero(status != FrameStatus.ABSENT)
    )
