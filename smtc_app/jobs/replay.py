"""Making a document's propagated labels again from its keyframes: for proof, for soft masks, for export."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.commands import ApplyPropagation
from smtc_app.core.document import Document, DocumentState
from smtc_app.core.errors import UserError
from smtc_app.core.replay import PropagationRun, ReplayStep, plan_replay
from smtc_app.jobs import window_tasks
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.model_use import RunSummary

if TYPE_CHECKING:
    from smtc_app.io.source import FrameSource

logger = logging.getLogger(__name__)

TakeSoft = Callable[[int, Mapping[int, np.ndarray]], None]


@dataclass(frozen=True)
class Replayed:
    """What a replay found.

    summary     of the last run; None when there was nothing to compute
    equal       frames whose labels came out as they were
    different   frames whose labels came out otherwise
    renewed     frames that were out of date, and are not any more
    """

    summary: RunSummary | None
    equal: int
    different: int
    renewed: int


def replay(
    ctx: TaskContext,
    source: FrameSource,
    document: Document,
    runs: Sequence[PropagationRun],
    *,
    settings: Mapping[str, Any] | None = None,
    take_soft: TakeSoft | None = None,
) -> Replayed:
    """Propagate anew what the document holds of propagated labels, and put it into the document.

    Labels that a person stands behind, locked frames and locked objects stay. The same document, model and
    machine give the same labels.

    Args:
        document: changed without undo; give it a document of its own.
        settings: preset, device, model: those given (not None) go before what the runs were made with; and
            `cache`, where features are kept.
        take_soft: called with (frame, {id: probability float32 (H,W)}) for what stands of every step.

    Raises:
        UserError: there is nothing to propagate from.
    """
    before = document.snapshot()
    steps = plan_replay(before, runs)
    if not steps and not any(track.sources.any() for track in before.tracks.values()):
        raise UserError("The project has no object on a keyframe: there is nothing to propagate from.")
    _clear(document, steps)
    total = sum(step.run.stop - step.run.first for step in steps)
    done, summary = 0, None
    for step in steps:
        part = _StepContext(ctx, document, step, done, total)
        summary = window_tasks.propagate_groups_task(
            part,
            source,
            [_group(document, step.run)],
            take_soft=part.soft_taker(take_soft),
            **_settings(step.run, settings or {}),
        )
        done += step.run.stop - step.run.first
    return _compared(before, document, steps, summary)


def soft_maps(
    ctx: TaskContext,
    source: FrameSource,
    state: DocumentState,
    runs: Sequence[PropagationRun],
    settings: Mapping[str, Any],
) -> Callable[[TakeSoft], None]:
    """What `io.export` asks for soft masks: a function that gives probabilities, computed by a replay."""

    def compute(take: TakeSoft) -> None:
        if not any(track.sources.any() for track in state.tracks.values()):
            return
        document = Document(state.frame_count, state.size)
        try:
            # Packed anew: the masks belong to a document that may be closed meanwhile.
            masks = {frame: document.store.pack(handle.labels()) for frame, handle in state.masks.items()}
            document.restore(replace(state, masks=masks))
            replay(ctx, source, document, runs, settings=settings, take_soft=take)
        finally:
            document.close()

    return compute


def _settings(run: PropagationRun, given: Mapping[str, Any]) -> dict[str, Any]:
    recorded = {key: run.settings.get(key) for key in ("model", "preset", "device")}
    chosen = {**recorded, **{key: value for key, value in given.items() if value is not None}}
    return {
        "model": chosen["model"],
        "preset": chosen["preset"] or "default",
        "device": chosen["device"] or "auto",
        "cache": given.get("cache"),
    }


def _group(document: Document, run: PropagationRun) -> window_tasks.PropagationGroup:
    table = np.zeros(1 << 16, np.uint16)
    table[list(run.objects)] = run.objects
    keyframes = {frame: table[document.labels(frame)] for frame in run.keyframes}
    return frozenset(run.objects), keyframes, run.direction, (run.first, run.stop)


class _StepContext:
    """Takes the frames of one step into the document, as far as they stand, and counts on."""

    def __init__(self, ctx: TaskContext, document: Document, step: ReplayStep, done: int, total: int) -> None:
        self._ctx, self._document, self._step = ctx, document, step
        self._done, self._total = done, total

    def progress(self, done: int, total: int, message: str = "") -> None:
        self._ctx.progress(self._done + done, self._total, message or "propagating anew")

    def cancelled(self) -> bool:
        return self._ctx.cancelled()

    def partial(self, result: Any) -> None:
        _, frame = result
        ids = self._step.accepted(frame.index)
        if ids:
            step = (frame.index, frame.labels, frame.confidence, tuple(frame.sources))
            ApplyPropagation([step], objects=ids).do(self._document)

    def soft_taker(self, take: TakeSoft | None) -> TakeSoft | None:
        """Hands on what stands of this step: no frames or objects that a person decided."""
        if take is None:
            return None
        document, locked_objects = self._document, self._document.locked_objects

        def filtered(frame: int, maps: Mapping[int, np.ndarray]) -> None:
            if document.is_locked(frame):
                return
            machine = (FrameStatus.PROPAGATED, FrameStatus.STALE, FrameStatus.ABSENT)
            ids = self._step.accepted(frame) - locked_objects
            ids = {i for i in ids if document.status(frame, i) in machine}
            if ids:
                take(frame, {i: probability for i, probability in maps.items() if i in ids})

        return filtered


def _clear(document: Document, steps: Sequence[ReplayStep]) -> None:
    """Take away what the runs will write, so that they meet what they met when they were made."""
    height, width = document.shape
    nothing = np.zeros((height, width), np.uint16)
    owned: dict[int, set[int]] = {}
    for step in steps:
        for object_id, frames in step.owns.items():
            for frame in np.flatnonzero(frames):
                owned.setdefault(int(frame), set()).add(object_id)
    for frame, ids in owned.items():
        ApplyPropagation([(frame, nothing, {}, ())], objects=ids).do(document)


def _compared(
    before: DocumentState, document: Document, steps: Sequence[ReplayStep], summary: RunSummary | None
) -> Replayed:
    computed = np.zeros(before.frame_count, bool)
    stale = np.zeros(before.frame_count, bool)
    for step in steps:
        for object_id, frames in step.owns.items():
            computed |= frames
            stale |= frames & (before.tracks[object_id].status == FrameStatus.STALE)
    equal = different = 0
    for frame in np.flatnonzero(computed & ~stale):
        if np.array_equal(before.labels(int(frame)), document.labels(int(frame))):
            equal += 1
        else:
            different += 1
    return Replayed(summary, equal, different, int(np.count_nonzero(stale)))
