"""Proposals of several frames as the objects they show: one entry per track, for lists and for questions.

Which frames propose an object, how good it is there, and how steady; nothing here decodes a mask.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smtc_app.core.annotation import ProposalMask

ObjectKey = tuple[str, int] | tuple[int, int]
"""("track", number) of linked proposals, (frame, id) of one that is linked with nothing."""


def object_key(proposal: ProposalMask) -> ObjectKey:
    """What tells which object a proposal shows."""
    return ("track", proposal.track) if proposal.track is not None else (proposal.frame, proposal.id)


@dataclass(frozen=True)
class ProposedObject:
    """What one track shows, or a proposal that is linked with nothing.

    members    its proposals by frame, ascending
    shown      the one on the frame that is looked at, else the best one
    here       whether `shown` is on the frame that is looked at
    """

    members: tuple[ProposalMask, ...]
    shown: ProposalMask
    here: bool

    @property
    def track(self) -> int | None:
        return self.shown.track

    @property
    def key(self) -> ObjectKey:
        """What it is called by."""
        return object_key(self.shown)

    @property
    def frames(self) -> tuple[int, ...]:
        """Frames that propose it."""
        return tuple(member.frame for member in self.members)

    @property
    def score(self) -> float:
        """Mean over its frames, 0..1."""
        return sum(member.score for member in self.members) / len(self.members)

    @property
    def stability(self) -> float | None:
        """How little its size changes from one of its frames to the next, 0..1; None on a single frame."""
        areas = [max(1, member.area) for member in self.members]
        if len(areas) < 2:
            return None
        ratios = [min(a, b) / max(a, b) for a, b in itertools.pairwise(areas)]
        return sum(ratios) / len(ratios)


def proposed_objects(
    proposals: Mapping[int, Sequence[ProposalMask]], frame: int
) -> tuple[ProposedObject, ...]:
    """The objects that {frame: proposals} show: those on `frame` first, in its order; then by score."""
    tracks: dict[ObjectKey, list[ProposalMask]] = {}
    for index in sorted(proposals):
        for proposal in proposals[index]:
            tracks.setdefault(object_key(proposal), []).append(proposal)
    found = []
    for members in tracks.values():
        here = [member for member in members if member.frame == frame]
        best = max(members, key=lambda member: member.score)
        found += [ProposedObject(tuple(members), shown, bool(here)) for shown in here or [best]]
    order = {proposal.id: position for position, proposal in enumerate(proposals.get(frame, ()))}
    found.sort(key=lambda o: (not o.here, order[o.shown.id] if o.here else -o.score * len(o.members)))
    return tuple(found)


def highest_track(proposals: Mapping[int, Sequence[ProposalMask]]) -> int:
    """The largest track number in use, 0 when there is none."""
    return max((p.track or 0 for found in proposals.values() for p in found), default=0)


def sampled_frames(span: tuple[int, int], most: int, *, including: int | None = None) -> list[int]:
    """At most `most` frames spread evenly over [first, stop), its ends among them.

    including: a frame that takes the place of the one nearest to it, when it lies within.
    """
    first, stop = span
    count = min(most, stop - first)
    if count < 1:
        raise ValueError(f"no frames to choose from in {span} with most={most}")
    if count == 1:
        chosen = {first}
    else:
        chosen = {first + round(k * (stop - 1 - first) / (count - 1)) for k in range(count)}
    if including is not None and first <= including < stop and including not in chosen:
        chosen.discard(min(chosen, key=lambda frame: abs(frame - including)))
        chosen.add(including)
    return sorted(chosen)
