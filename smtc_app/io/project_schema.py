"""`project.json`: what it says, how it is checked, and how older versions become the present one.

    format, version          "smtc-project", VERSION
    save_id                  new with every save; the autosave journal refers to it
    saved_at, saved_with     for people
    source                   {path, absolute, kind, fingerprint, frame_count, size, fps}
    model                    {name, hash} or null: what made the machine's labels
    parameters               whatever the application wants to find again
    objects                  in list order: {id, name, category, colour, visible, locked, status, sources,
                             confidence}
    keyframes, locked_frames, masks    runs of frames [first, last]; `masks` are those that have a file
    proposals                runs of frames with proposals, which are in `proposals.json` (since version 2)

`status` is a list of runs [first, last, name], `sources` of runs [first, last, [keyframes]]; frames in no run
are absent, and have no sources. `confidence` is base64 of deflated uint16 (little endian), 0 for none,
1..65535 for 0..1; null when there is none at all.

To change the schema: raise VERSION and add a function to MIGRATIONS that turns the version before into it.
"""

from __future__ import annotations

import base64
import binascii
import logging
import weakref
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from smtc_app.core.annotation import MAX_OBJECT_ID, FrameStatus, ObjectInfo
from smtc_app.core.document import DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.track import ObjectTrack

logger = logging.getLogger(__name__)

FORMAT = "smtc-project"
VERSION = 2


def _with_proposals(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "version": 2, "proposals": []}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _with_proposals}
"""{version: function(data of that version) -> data of the next}."""


@dataclass(frozen=True)
class SourceInfo:
    """The footage that a project belongs to.

    path         where it was when saved, or where it was found when loaded; absolute
    kind         "video", "images" or "davis"
    fingerprint  `FrameSource.fingerprint()`
    size         (width, height)
    """

    path: Path
    kind: str
    fingerprint: str
    frame_count: int
    size: tuple[int, int]
    fps: float = 25.0

    @classmethod
    def of(cls, source: Any) -> SourceInfo:
        """What to remember of an open FrameSource (or of a SourceInfo: itself).

        The fingerprint is taken the first time, so that work can be saved even when the file is gone by then;
        if it is gone the first time, the fingerprint is "" and the footage cannot be recognised later.
        """
        if isinstance(source, SourceInfo):
            return source
        known = _known_sources.get(source)
        if known is None:
            width, height = source.size
            try:
                fingerprint = source.fingerprint()
            except OSError as error:
                logger.warning("no fingerprint of %s: %s", source.path, error)
                fingerprint = ""
            known = _known_sources[source] = cls(
                Path(source.path).absolute(),
                str(source.kind),
                fingerprint,
                len(source),
                (int(width), int(height)),
                float(source.fps),
            )
        return known


_known_sources: weakref.WeakKeyDictionary[Any, SourceInfo] = weakref.WeakKeyDictionary()


@dataclass(frozen=True)
class ProjectData:
    """A `project.json` that has been checked; masks and proposals are still only frame numbers."""

    source: SourceInfo
    relative_source: str
    save_id: str
    parameters: dict[str, Any]
    model: dict[str, str] | None
    state: DocumentState
    masked_frames: tuple[int, ...]
    proposed_frames: tuple[int, ...] = ()
    saved_with: str = ""
    saved_at: str = ""
    notes: tuple[str, ...] = field(default=())


def encode_project(
    state: DocumentState,
    source: SourceInfo,
    *,
    relative_source: str,
    save_id: str,
    parameters: Mapping[str, Any],
    model: Mapping[str, str] | None,
    saved_at: str,
    saved_with: str,
) -> dict[str, Any]:
    """A state as the JSON value of its file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "save_id": save_id,
        "saved_at": saved_at,
        "saved_with": saved_with,
        "source": {
            "path": relative_source,
            "absolute": str(source.path),
            "kind": source.kind,
            "fingerprint": source.fingerprint,
            "frame_count": source.frame_count,
            "size": list(source.size),
            "fps": source.fps,
        },
        "model": None if model is None else dict(model),
        "parameters": dict(parameters),
        "keyframes": frames_to_runs(state.keyframes),
        "locked_frames": frames_to_runs(state.locked_frames),
        "masks": frames_to_runs(state.masks),
        "proposals": frames_to_runs(state.proposals),
        "objects": [
            {
                "id": info.id,
                "name": info.name,
                "category": info.category,
                "colour": list(info.colour),
                "visible": info.visible,
                "locked": info.locked,
                **_encode_track(state.tracks[info.id], state.source_table),
            }
            for info in state.objects
        ],
    }


def decode_project(data: Any, file: Path) -> ProjectData:
    """Check the JSON value of `file`. Raises UserError naming the file, the field and what is wrong with
    it."""
    reader = _Reader(file)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UserError(f"{file} is not the project.json of an smtc-app project: choose another folder.")
    data = _migrated(reader.integer(data, "version", low=1), data, file)
    source_data = reader.mapping(data, "source")
    frame_count = reader.integer(source_data, "frame_count", low=1)
    size = tuple(reader.integers(source_data, "size", low=1, count=2))
    source = SourceInfo(
        path=Path(reader.text(source_data, "absolute")),
        kind=reader.text(source_data, "kind"),
        fingerprint=reader.text(source_data, "fingerprint"),
        frame_count=frame_count,
        size=size,
        fps=reader.number(source_data, "fps"),
    )
    objects, tracks = [], {}
    table: dict[tuple[int, ...], int] = {(): 0}
    for entry in reader.sequence(data, "objects"):
        info = _decode_object(reader, entry)
        if info.id in tracks:
            raise reader.wrong("objects", f"has two objects with the id {info.id}")
        objects.append(info)
        tracks[info.id] = _decode_track(reader, entry, frame_count, table, f"object {info.id}")
    masked = reader.frames(data, "masks", frame_count)
    return ProjectData(
        source=source,
        relative_source=reader.text(source_data, "path"),
        save_id=reader.text(data, "save_id"),
        parameters=dict(reader.mapping(data, "parameters")),
        model=None if data.get("model") is None else dict(reader.mapping(data, "model")),
        state=DocumentState(
            frame_count=frame_count,
            size=size,
            objects=tuple(objects),
            tracks=tracks,
            source_table=tuple(table),
            keyframes=reader.frames(data, "keyframes", frame_count),
            locked_frames=frozenset(reader.frames(data, "locked_frames", frame_count)),
        ),
        masked_frames=masked,
        proposed_frames=reader.frames(data, "proposals", frame_count),
        saved_with=str(data.get("saved_with", "")),
        saved_at=str(data.get("saved_at", "")),
    )


def frames_to_runs(frames: Iterable[int]) -> list[list[int]]:
    """Frames in any order -> sorted runs [first, last]."""
    ordered = np.array(sorted(frames), np.int64)
    if not ordered.size:
        return []
    breaks = np.flatnonzero(np.diff(ordered) != 1)
    firsts = ordered[np.concatenate(([0], breaks + 1))]
    lasts = ordered[np.concatenate((breaks, [ordered.size - 1]))]
    return [[int(first), int(last)] for first, last in zip(firsts, lasts, strict=True)]


def _encode_track(track: ObjectTrack, source_table: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    confidence = None
    if track.confidence.any():
        packed = zlib.compress(track.confidence.astype("<u2").tobytes(), 6)
        confidence = base64.b64encode(packed).decode()
    return {
        "status": [[a, b, FrameStatus(value).name.lower()] for a, b, value in _runs(track.status)],
        "sources": [[a, b, list(source_table[value])] for a, b, value in _runs(track.sources)],
        "confidence": confidence,
    }


def _runs(values: np.ndarray) -> list[tuple[int, int, int]]:
    """(first, last, value) of the runs of nonzero values."""
    starts = np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1))
    stops = np.append(starts[1:], values.size)
    return [
        (int(start), int(stop) - 1, int(values[start]))
        for start, stop in zip(starts, stops, strict=True)
        if values[start]
    ]


def _decode_object(reader: _Reader, entry: Any) -> ObjectInfo:
    if not isinstance(entry, dict):
        raise reader.wrong("objects", "holds something that is no object")
    object_id = reader.integer(entry, "id", low=1, high=MAX_OBJECT_ID)
    colour = reader.integers(entry, "colour", low=0, high=255, count=3)
    return ObjectInfo(
        id=object_id,
        name=reader.text(entry, "name"),
        category=reader.text(entry, "category"),
        colour=tuple(colour),
        visible=reader.flag(entry, "visible"),
        locked=reader.flag(entry, "locked"),
    )


def _decode_track(
    reader: _Reader, entry: dict[str, Any], frame_count: int, table: dict[tuple[int, ...], int], where: str
) -> ObjectTrack:
    track = ObjectTrack(frame_count)
    names = {status.name.lower(): int(status) for status in FrameStatus}
    for first, last, name in reader.runs(entry, "status", frame_count):
        if name not in names:
            raise reader.wrong(f"status of {where}", f"knows no {name!r}")
        track.status[first : last + 1] = names[name]
    for first, last, sources in reader.runs(entry, "sources", frame_count):
        valid = isinstance(sources, list) and all(
            type(frame) is int and 0 <= frame < frame_count for frame in sources
        )
        if not valid:
            raise reader.wrong(f"sources of {where}", f"names frames that are none: {sources!r}")
        key = tuple(sources)
        track.sources[first : last + 1] = table.setdefault(key, len(table))
    packed = entry.get("confidence")
    if packed is not None:
        try:
            raw = zlib.decompress(base64.b64decode(packed, validate=True))
            track.confidence[:] = np.frombuffer(raw, "<u2")
        except (TypeError, ValueError, binascii.Error, zlib.error) as error:
            raise reader.wrong(f"confidence of {where}", f"cannot be read ({error})") from error
    return track


def _migrated(version: int, data: dict[str, Any], file: Path) -> dict[str, Any]:
    if version > VERSION:
        raise UserError(
            f"{file} has version {version}, this application reads up to {VERSION}: "
            "open it with a newer smtc-app."
        )
    for step in range(version, VERSION):
        if step not in MIGRATIONS:
            raise UserError(f"{file} has version {version}, which this application can no longer read.")
        data = MIGRATIONS[step](data)
    return data


class _Reader:
    """Typed access to a JSON value; every failure names the file and the field."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def wrong(self, name: str, problem: str) -> UserError:
        return UserError(f"{self._file} is damaged: {name} {problem}. Restore the file from a copy.")

    def _get(self, data: Mapping[str, Any], name: str, kinds: tuple[type, ...], what: str) -> Any:
        if name not in data:
            raise self.wrong(name, "is missing")
        value = data[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise self.wrong(name, f"must be {what}")
        return value

    def text(self, data: Mapping[str, Any], name: str) -> str:
        return self._get(data, name, (str,), "text")

    def flag(self, data: Mapping[str, Any], name: str) -> bool:
        return self._get(data, name, (bool,), "true or false")

    def number(self, data: Mapping[str, Any], name: str) -> float:
        return float(self._get(data, name, (int, float), "a number"))

    def mapping(self, data: Mapping[str, Any], name: str) -> dict[str, Any]:
        return self._get(data, name, (dict,), "an object")

    def sequence(self, data: Mapping[str, Any], name: str) -> list[Any]:
        return self._get(data, name, (list,), "a list")

    def integer(self, data: Mapping[str, Any], name: str, *, low: int, high: int | None = None) -> int:
        value = self._get(data, name, (int,), "a whole number")
        if value < low or (high is not None and value > high):
            raise self.wrong(name, f"is {value}, outside of what is possible")
        return value

    def integers(
        self, data: Mapping[str, Any], name: str, *, low: int, count: int, high: int | None = None
    ) -> list[int]:
        values = self.sequence(data, name)
        bad = any(
            type(value) is not int or value < low or (high is not None and value > high) for value in values
        )
        if bad or len(values) != count:
            raise self.wrong(name, f"must be {count} whole numbers from {low}")
        return values

    def frames(self, data: Mapping[str, Any], name: str, frame_count: int) -> tuple[int, ...]:
        """Runs [first, last] -> sorted frames."""
        found: set[int] = set()
        for run in self.sequence(data, name):
            first, last = self._run(run, 2, name, frame_count)[:2]
            found.update(range(first, last + 1))
        return tuple(sorted(found))

    def runs(self, data: Mapping[str, Any], name: str, frame_count: int) -> list[list[Any]]:
        """Runs [first, last, value]."""
        return [self._run(run, 3, name, frame_count) for run in self.sequence(data, name)]

    def _run(self, run: Any, length: int, name: str, frame_count: int) -> list[Any]:
        shaped = isinstance(run, list) and len(run) == length and all(type(end) is int for end in run[:2])
        if not shaped or not 0 <= run[0] <= run[1] < frame_count:
            raise self.wrong(name, f"holds {str(run)[:60]}, which is no run of frames 0 to {frame_count - 1}")
        return run
