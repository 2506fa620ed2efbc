"""Which propagation runs made a document's labels, and how to make them again.

A `PropagationRun` is noted for every group of objects that a run propagated. `plan_replay` finds, for every
object and frame, the last run that its recorded keyframes can come from: its owner. A run is repeated for
what it owns and for what later runs have replaced, because groups of objects give way to each other in the
order in which they came; what an earlier run owns, a later one never wrote (it was cancelled or undone).
Labels that no noted run explains (a project of an older version, work restored after a crash) are planned
from the keyframes that they name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smtc_app.core.annotation import ANCHORED
from smtc_app.core.document import DocumentState

logger = logging.getLogger(__name__)

DIRECTIONS = ("forward", "backward", "both")
ADAPTED = "adapted-"
"""Names of models that were adapted to a video begin like this."""
MOST_RUNS = 10_000
"""Older runs are forgotten: by then, later ones have long replaced what they left."""


@dataclass(frozen=True)
class PropagationRun:
    """One group of objects, propagated together.

    objects         ids; they compete for every pixel
    keyframes       frames that their labels were taken from
    direction       "forward", "backward" or "both"
    first, stop     frames that were computed
    settings        preset, device, model as they were asked for
    model           name and hash of the model that computed, None when the run did not tell
    written         {id: frames that it wrote, as (first, stop), ...}; None: all that were computed
    """

    objects: tuple[int, ...]
    keyframes: tuple[int, ...]
    direction: str
    first: int
    stop: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, str] | None = None
    written: Mapping[int, tuple[tuple[int, int], ...]] | None = None

    def wrote(self, object_id: int, frame_count: int) -> np.ndarray:
        """bool (frame_count,): frames where it wrote an object; its keyframes are not among them."""
        frames = np.zeros(frame_count, bool)
        bounds = ((self.first, self.stop),) if self.written is None else self.written.get(object_id, ())
        for first, stop in bounds:
            frames[first:stop] = True
        frames[[k for k in self.keyframes if k < frame_count]] = False
        return frames

    def to_json(self) -> dict[str, Any]:
        """As it is kept in a project."""
        return {
            "objects": list(self.objects),
            "keyframes": list(self.keyframes),
            "direction": self.direction,
            "first": self.first,
            "stop": self.stop,
            "settings": dict(self.settings),
            "model": None if self.model is None else dict(self.model),
            "written": None
            if self.written is None
            else [[i, *map(list, s)] for i, s in self.written.items()],
        }


def runs_from_json(data: Any) -> tuple[PropagationRun, ...]:
    """Runs as a project holds them; what is no run is left out, because replaying manages without."""
    runs = []
    for entry in data if isinstance(data, list) else ():
        try:
            run = PropagationRun(
                objects=tuple(int(i) for i in entry["objects"]),
                keyframes=tuple(sorted(int(k) for k in entry["keyframes"])),
                direction=entry["direction"],
                first=int(entry["first"]),
                stop=int(entry["stop"]),
                settings=dict(entry["settings"]),
                model=None if entry["model"] is None else dict(entry["model"]),
                written=_written_from_json(entry.get("written")),
            )
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("left out a propagation run that cannot be read: %s", error)
            continue
        if run.direction in DIRECTIONS and run.keyframes and run.objects:
            runs.append(run)
    return tuple(runs[-MOST_RUNS:])


def as_spans(frames: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Frames in any order as sorted (first, stop)."""
    spans: list[tuple[int, int]] = []
    for frame in sorted(set(frames)):
        if spans and spans[-1][1] == frame:
            spans[-1] = (spans[-1][0], frame + 1)
        else:
            spans.append((frame, frame + 1))
    return tuple(spans)


def _written_from_json(data: Any) -> dict[int, tuple[tuple[int, int], ...]] | None:
    if data is None:
        return None
    return {int(i): tuple((max(0, int(a)), int(b)) for a, b in parts) for i, *parts in data}


@dataclass(frozen=True)
class ReplayStep:
    """A run to repeat.

    accepts   id -> bool (frame_count,), where its labels of an object are taken
    owns      the same, where they are the ones that stay
    """

    run: PropagationRun
    accepts: Mapping[int, np.ndarray]
    owns: Mapping[int, np.ndarray]

    def accepted(self, frame: int) -> frozenset[int]:
        """Objects whose labels on a frame are taken from this step."""
        return frozenset(i for i, frames in self.accepts.items() if frames[frame])


def plan_replay(state: DocumentState, runs: Sequence[PropagationRun]) -> list[ReplayStep]:
    """The runs to repeat, in the order in which they were made.

    Where nothing at all has been propagated yet, all objects are planned over the whole video, both ways.
    Empty without an object on a keyframe.
    """
    tracks = state.tracks
    anchors = {i: _anchors(state, i) for i in tracks}
    usable = [run for run in (_restricted(run, state, anchors) for run in runs) if run is not None]
    owner = {i: np.full(state.frame_count, -1, np.int32) for i in tracks}
    sources = _SourceTable(state.source_table)
    for number, run in enumerate(usable):
        for object_id in run.objects:
            frames = np.flatnonzero(run.wrote(object_id, state.frame_count))
            expected = _expected_sources(run, frames)
            match = sources.equal(tracks[object_id].sources[frames], expected)
            owner[object_id][frames[match]] = number
    steps: list[ReplayStep] = []
    for number, run in reversed(list(enumerate(usable))):
        accepts = {i: (owner[i] >= number) & run.wrote(i, state.frame_count) for i in run.objects}
        owns = {i: owner[i] == number for i in run.objects}
        replaced = not any(frames.any() for frames in owns.values())
        if replaced and (
            not any(a.any() for a in accepts.values())
            or (steps and _covers(steps[0], run, state.frame_count))
        ):
            continue
        steps.insert(0, ReplayStep(_trimmed(run, accepts), accepts, owns))
    return steps + _unexplained(state, anchors, owner)


def _covers(step: ReplayStep, run: PropagationRun, frame_count: int) -> bool:
    """Whether a step that follows at once replaces all that the run would have written."""
    later = step.run
    if later.written is not None:
        return all(not (run.wrote(i, frame_count) & ~later.wrote(i, frame_count)).any() for i in run.objects)
    return set(later.objects) >= set(run.objects) and later.first <= run.first and later.stop >= run.stop


def _unexplained(
    state: DocumentState, anchors: Mapping[int, tuple[int, ...]], owner: Mapping[int, np.ndarray]
) -> list[ReplayStep]:
    """Steps for propagated labels that no run explains, per group of objects with the same anchors."""
    nothing_yet = not any(track.sources.any() for track in state.tracks.values())
    locked = {info.id for info in state.objects if info.locked}
    groups: dict[tuple[int, ...], list[int]] = {}
    for info in state.objects:
        missing = (state.tracks[info.id].sources != 0) & (owner[info.id] < 0)
        if anchors[info.id] and info.id not in locked and (nothing_yet or missing.any()):
            groups.setdefault(anchors[info.id], []).append(info.id)
    steps = []
    for keyframes, ids in groups.items():
        if nothing_yet:
            accepts = {i: np.ones(state.frame_count, bool) for i in ids}
        else:
            accepts = {i: (state.tracks[i].sources != 0) & (owner[i] < 0) for i in ids}
        reached = np.flatnonzero(np.any(list(accepts.values()), axis=0))
        first, stop = min(int(reached[0]), keyframes[0]), max(int(reached[-1]), keyframes[-1]) + 1
        run = PropagationRun(tuple(ids), keyframes, "both", first, stop)
        steps.append(ReplayStep(run, accepts, accepts))
    return steps


def _anchors(state: DocumentState, object_id: int) -> tuple[int, ...]:
    status = state.tracks[object_id].status
    return tuple(k for k in state.keyframes if status[k] in ANCHORED)


def _restricted(
    run: PropagationRun, state: DocumentState, anchors: Mapping[int, tuple[int, ...]]
) -> PropagationRun | None:
    """The run with the objects and keyframes that are still there, or None."""
    ids = tuple(i for i in run.objects if i in state.tracks)
    known: set[int] = set().union(*(anchors[i] for i in ids))
    keyframes = tuple(k for k in run.keyframes if k in known)
    first, stop = max(0, run.first), min(run.stop, state.frame_count)
    if not ids or not keyframes or first >= stop:
        return None
    return replace(run, objects=ids, keyframes=keyframes, first=first, stop=stop)


def _trimmed(run: PropagationRun, accepts: Mapping[int, np.ndarray]) -> PropagationRun:
    """Without the far end that nothing is taken from; the near end decides what the memory holds."""
    wanted = np.flatnonzero(np.any(list(accepts.values()), axis=0))
    first, stop = run.first, run.stop
    if run.direction == "forward":
        stop = min(stop, int(wanted[-1]) + 1)
    elif run.direction == "backward":
        first = max(first, int(wanted[0]))
    return replace(run, first=first, stop=stop)


def _expected_sources(run: PropagationRun, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The keyframes that the run's labels of `frames` name: (before, after), -1 for none."""
    keys = np.asarray(run.keyframes)
    position = np.searchsorted(keys, frames)
    before = np.where(position > 0, keys[np.maximum(position - 1, 0)], -1)
    after = np.where(position < len(keys), keys[np.minimum(position, len(keys) - 1)], -1)
    nowhere = np.full_like(before, -1)
    if run.direction == "forward":
        return before, nowhere
    if run.direction == "backward":
        return nowhere, after
    return before, after


class _SourceTable:
    """Keyframe tuples, compared for many frames at once."""

    def __init__(self, table: Iterable[tuple[int, ...]]) -> None:
        entries = list(table)
        self._low = np.array([entry[0] if entry else -1 for entry in entries])
        self._high = np.array([entry[-1] if entry else -1 for entry in entries])
        self._count = np.array([len(entry) for entry in entries])

    def equal(self, indices: np.ndarray, expected: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """bool (n,): whether the entries are just the expected keyframes, of which -1 are none."""
        before, after = expected
        count = (before >= 0).astype(int) + (after >= 0)
        low = np.where(before >= 0, before, after)
        high = np.where(after >= 0, after, before)
        known = (self._count[indices] == count) & (count > 0)
        return known & (self._low[indices] == low) & (self._high[indices] == high)
