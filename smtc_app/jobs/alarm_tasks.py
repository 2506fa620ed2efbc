"""Looks for objects that no label explains, on some frames of what has just been propagated.

What stood unlabelled on a keyframe is left out: a person has seen it there and let it be. So is what scores
no better than it did there, because proposals of plain background change their shape from frame to frame.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from smtc_app.core.new_objects import NewObject
from smtc_app.jobs import tasks
from smtc_app.jobs.context import TaskContext

if TYPE_CHECKING:
    from smtc_app.core.annotation import ProposalMask
    from smtc_app.core.mask_store import PackedMask
    from smtc_app.io.source import FrameSource

LEAST_SCORE = 0.19
LEAST_AREA = 0.003
"""Share of the frame."""
SEEN_SCORE, SEEN_AREA = 0.6, 3.0
"""The same track on a keyframe counts as the same thing when its score there was at least this share of the
score here, and its area differs by no more than this factor."""
MOST_PROPOSALS = 30
MOST_FOUND = 12


def find_new_objects_task(
    ctx: TaskContext,
    source: FrameSource,
    frames: Mapping[int, PackedMask | None],
    keyframes: Collection[int],
    *,
    model: str | Path | None = None,
    device: str = "auto",
) -> list[NewObject]:
    """New objects on `frames` {index: labels}, by time; `keyframes` are what a person has seen.

    Raises UserError for a model that cannot be loaded or a frame that cannot be read.
    """
    found: dict[int, list[ProposalMask]] = {}
    seen: dict[int, list[ProposalMask]] = {}
    order = sorted({*frames, *keyframes})

    def hand_over(message: tuple[int, list[ProposalMask]]) -> None:
        index, proposals = message
        if index in keyframes:
            for proposal in proposals:
                seen.setdefault(proposal.track, []).append(proposal)
            return
        mask = frames[index]
        left = proposals if mask is None else tasks.unexplained(proposals, mask.labels())
        for proposal in left:
            height, width = proposal.shape
            if proposal.score >= LEAST_SCORE and proposal.area >= LEAST_AREA * height * width:
                found.setdefault(proposal.track, []).append(proposal)

    # Linked, not carried: a frame shall speak for itself, and the least score was measured so.
    tasks.propose_task(
        _Listening(ctx, hand_over),
        source,
        order,
        model=model,
        device=device,
        max_objects=MOST_PROPOSALS,
        carry=False,
    )
    new = []
    for track, proposals in found.items():
        fresh = [p for p in proposals if not _was_seen(p, seen.get(track, ()))]
        if fresh:
            best = max(fresh, key=lambda p: p.score)
            new.append(NewObject(best, tuple(p.frame for p in fresh)))
    new.sort(key=lambda o: -o.proposal.score)
    return sorted(new[:MOST_FOUND], key=lambda o: o.proposal.frame)


class _Listening:
    """The context of this task for the one that proposes: what that hands over is listened to."""

    def __init__(self, ctx: TaskContext, hand_over: Callable[[tuple[int, list[ProposalMask]]], None]) -> None:
        self.progress, self.cancelled, self.partial = ctx.progress, ctx.cancelled, hand_over


def _was_seen(proposal: ProposalMask, earlier: Collection[ProposalMask]) -> bool:
    return any(
        other.score >= SEEN_SCORE * proposal.score
        and max(other.area, proposal.area) <= SEEN_AREA * min(other.area, proposal.area)
        for other in earlier
    )
