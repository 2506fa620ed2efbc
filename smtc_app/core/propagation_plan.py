"""What a propagation computes: which objects together, from which keyframes, which way, which frames.

A plan is a list of `Part`s, computed one after the other; parts differ where their objects are anchored on
other keyframes, so that a keyframe that does not know an object never erases it.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from smtc_app.core.annotation import FrameStatus
from smtc_app.core.document import Document

Span = tuple[int, int]
"""First frame and one past the last."""
DIRECTIONS = ("forward", "backward", "both")


class Part(NamedTuple):
    """One run of the engine: ids, {keyframe: labels of those ids}, direction, frames to compute."""

    objects: frozenset[int]
    keyframes: Mapping[int, np.ndarray]
    direction: str
    span: Span


def plan_span(direction: str, frame: int, keyframes: tuple[int, ...], frame_count: int) -> Span | None:
    """Frames to compute when a person on `frame` asks for `direction`, or None.

    Forward starts at the keyframe at or before `frame` and runs to the end, backward at the one at or after
    it and runs to the beginning; both covers the video. None: there is no keyframe on that side.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction {direction!r}: must be forward, backward or both")
    if not keyframes:
        return None
    if direction == "both":
        return 0, frame_count
    if direction == "forward":
        position = bisect.bisect_right(keyframes, frame)
        return (keyframes[position - 1], frame_count) if position else None
    position = bisect.bisect_left(keyframes, frame)
    return (0, keyframes[position] + 1) if position < len(keyframes) else None


def plan_propagation(
    document: Document,
    direction: str,
    frame: int,
    *,
    objects: Iterable[int] | None = None,
    bounds: Span | None = None,
) -> list[Part]:
    """From `frame` on, all unlocked objects or some, within bounds; empty where there is nothing to do."""
    planned = []
    for ids, keyframes in document.propagation_groups(objects):
        reach = plan_span(direction, frame, tuple(sorted(keyframes)), document.frame_count)
        if reach is None:
            continue
        first, stop = bounds or reach
        span = max(reach[0], first), min(reach[1], stop)
        # A pass in one direction must not look at keyframes on the other side of its start.
        used = {index: labels for index, labels in keyframes.items() if reach[0] <= index < reach[1]}
        if any(index not in used for index in range(*span)):
            planned.append(Part(ids, used, direction, span))
    return planned


def why_nothing(
    document: Document,
    direction: str,
    frame: int,
    *,
    objects: Iterable[int] | None = None,
    bounds: Span | None = None,
) -> str:
    """What to tell a person whose `plan_propagation` is empty although there are keyframes."""
    reaches = [
        plan_span(direction, frame, tuple(sorted(keyframes)), document.frame_count)
        for _, keyframes in document.propagation_groups(objects)
    ]
    if not any(reaches):
        side, other = ("before", "backward (B)") if direction == "forward" else ("after", "forward (F)")
        return f"No keyframe lies on this frame or {side} it: propagate {other} or both ways (Shift+F)."
    whole = "video" if bounds is None else "range"
    where = {"forward": f"up to the end of the {whole}", "backward": f"from the beginning of the {whole}"}
    return (
        f"There is no frame to propagate to: {where.get(direction, f'in the whole {whole}')} there are only "
        "keyframes."
    )


def plan_update(document: Document, *, bounds: Span | None = None) -> list[Part]:
    """What brings stale frames up to date, and computes no others but those between them.

    Between two keyframes of an object both ways are blended, before its first it comes from backward, after
    its last from forward.
    """
    first, stop = bounds or (0, document.frame_count)
    planned = []
    for ids, keyframes in document.propagation_groups(document.stale_objects()):
        stale = np.zeros(document.frame_count, bool)
        for object_id in ids:
            stale |= document.status_array(object_id) == FrameStatus.STALE
        stale[:first], stale[stop:] = False, False
        anchors = sorted(keyframes)
        for left, right in zip([-1, *anchors], [*anchors, document.frame_count], strict=True):
            frames = np.flatnonzero(stale[left + 1 : right]) + left + 1
            if not frames.size:
                continue
            direction = "backward" if left < 0 else "forward" if right == document.frame_count else "both"
            used = {
                index: labels
                for index, labels in keyframes.items()
                if direction == "both" or (index >= right if direction == "backward" else index <= left)
            }
            planned.append(Part(ids, used, direction, (int(frames[0]), int(frames[-1]) + 1)))
    return planned
