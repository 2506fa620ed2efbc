"""Makes one proposal of several that show parts of one thing, before anything is accepted."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.command import Command, counted
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.errors import UserError
from smtc_app.core.proposal_tracks import highest_track, object_key


@dataclass(frozen=True)
class MergedPart:
    """The proposals of one frame that become one; `compute` may run in any thread.

    members  at least one; the first gives the id
    track    of the merged proposal
    """

    members: tuple[ProposalMask, ...]
    track: int | None

    def compute(self) -> ProposalMask:
        """Their union; its score is their mean, weighted by area."""
        return merged_proposal(self.members, track=self.track)


class MergeProposals(Command):
    """Make one proposal of several, on every frame that proposes one of them.

    chosen   (frame, id) of a proposal of each object, two at least; what is linked with it takes part. Parts
             that are proposed on different frames only are linked with each other.

    The merged proposal has place and id of the first of `chosen` where that is proposed, and of the first one
    in the list of the frame elsewhere. Over many frames it can be worked out ahead (`parts`, `take`).
    """

    def __init__(self, chosen: Iterable[tuple[int, int]]) -> None:
        super().__init__()
        self._chosen = tuple(dict.fromkeys((int(frame), int(proposal)) for frame, proposal in chosen))
        self._computed: dict[MergedPart, ProposalMask] = {}

    def parts(self, document: Document) -> tuple[MergedPart, ...]:
        """What there is to work out, one part a frame. Raises UserError for what `do` would refuse."""
        chosen = [_find(document, frame, proposal) for frame, proposal in self._chosen]
        keys = list(dict.fromkeys(object_key(proposal) for proposal in chosen))
        if len(keys) < 2:
            raise UserError(f"Choose at least two proposals to merge; {len(keys)} is chosen.")
        track = self._track(document, chosen)
        found = []
        for frame in document.proposal_frames:
            members = [p for p in document.proposals(frame) if object_key(p) in keys]
            # The first one that was chosen leads where it is, so that id and place stay as they were.
            members.sort(key=lambda p: object_key(p) != keys[0])
            if members:
                found.append(MergedPart(tuple(members), track))
        return tuple(found)

    def take(self, part: MergedPart, merged: ProposalMask) -> None:
        """Use what `part.compute()` gave, should the part still be the same when the command is done."""
        self._computed[part] = merged

    def run(self, edit: Edit) -> None:
        document = edit.document
        parts = self.parts(document)
        keys = {object_key(member) for part in parts for member in part.members}
        self.text = f"Merge {counted(len(keys), 'proposal')}"
        for part in parts:
            lead, gone = part.members[0], set(part.members[1:])
            merged = self._computed[part] if part in self._computed else part.compute()
            there = [p for p in document.proposals(lead.frame) if p not in gone]
            edit.set_proposals(lead.frame, [merged if p is lead else p for p in there])
        self._computed.clear()

    @staticmethod
    def _track(document: Document, chosen: Sequence[ProposalMask]) -> int | None:
        """The first track among them; a new one where only the merge links several frames."""
        tracks = [proposal.track for proposal in chosen if proposal.track is not None]
        if tracks:
            return tracks[0]
        if len({proposal.frame for proposal in chosen}) == 1:
            return None
        return 1 + highest_track({frame: document.proposals(frame) for frame in document.proposal_frames})


def merged_proposal(members: Sequence[ProposalMask], *, track: int | None) -> ProposalMask:
    """The union of proposals of one frame, under the id of the first."""
    lead = members[0]
    filled = [member for member in members if member.area]
    if not filled:
        filled = [lead]
    x0, y0 = (min(member.box[side] for member in filled) for side in (0, 1))
    x1, y1 = (max(member.box[side] for member in filled) for side in (2, 3))
    crop = np.zeros((y1 - y0, x1 - x0), bool)
    for member in filled:
        left, top, right, bottom = member.box
        crop[top - y0 : bottom - y0, left - x0 : right - x0] |= member.crop
    weight = sum(member.area for member in filled)
    score = sum(m.score * m.area for m in filled) / weight if weight else lead.score
    return ProposalMask.from_packed(
        lead.frame,
        lead.id,
        shape=lead.shape,
        box=(x0, y0, x1, y1),
        packed=zlib.compress(np.packbits(crop).tobytes(), 1),
        score=score,
        slot=lead.slot if len(members) == 1 else None,
        track=track,
    )


def _find(document: Document, frame: int, proposal_id: int) -> ProposalMask:
    for proposal in document.proposals(frame):
        if proposal.id == proposal_id:
            return proposal
    raise UserError(
        f"Frame {frame} has no proposal {proposal_id}: it was accepted, rejected or replaced. "
        "Choose the proposals again."
    )
