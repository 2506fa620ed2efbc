"""A person's answers to proposals; they enter the labels only when accepted. Proposals themselves come by
`Document.suggest`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from smtc_app.core.annotation import FrameStatus, ObjectInfo, ProposalMask
from smtc_app.core.command import Command, counted
from smtc_app.core.edit import Edit
from smtc_app.core.errors import UserError
from smtc_app.core.palette import object_colour, object_name


class AcceptProposals(Command):
    """Make objects of proposals on a frame; `object_ids` {proposal id on `frame`: object id} is known after
    `do`.

    ids        proposals on `frame`; None accepts all of them
    into       {proposal id: existing object id} for those that show an object that there already is
    linked     also accept the proposals with the same track on other frames, into the same objects
    overwrite  let them take pixels of other (unlocked) objects; else they only get the background

    Where accepted proposals overlap, the higher score gets the pixel. Locked frames other than `frame` are
    passed over. Accepted proposals leave the list; the frames become keyframes, and are `frames` after `do`.
    """

    def __init__(
        self,
        frame: int,
        ids: Iterable[int] | None = None,
        *,
        into: Mapping[int, int] | None = None,
        linked: bool = False,
        overwrite: bool = False,
    ) -> None:
        super().__init__()
        self._frame, self._ids = int(frame), None if ids is None else tuple(ids)
        self._into, self._linked, self._overwrite = dict(into or {}), linked, overwrite
        self.object_ids: dict[int, int] = {}
        self.frames: tuple[int, ...] = ()

    def run(self, edit: Edit) -> None:
        document = edit.document
        edit.require_frame(self._frame)
        edit.require_unlocked_frames((self._frame,))
        chosen = _chosen(document.proposals(self._frame), self._ids, self._frame)
        self.text = f"Accept {counted(len(chosen), 'proposal')}"
        objects: dict[int, int] = {}
        tracks: dict[int, int] = {}
        for proposal in chosen:
            object_id = self._into.get(proposal.id)
            if object_id is None:
                object_id = _add_object(edit)
            else:
                edit.require_object(object_id)
                edit.require_unlocked_objects((object_id,))
            objects[proposal.id] = object_id
            if proposal.track is not None:
                tracks.setdefault(proposal.track, object_id)
        self._accept(edit, self._frame, {proposal: objects[proposal.id] for proposal in chosen})
        frames = [self._frame]
        if self._linked:
            for frame in document.proposal_frames:
                if frame != self._frame and not document.is_locked(frame):
                    there = [proposal for proposal in document.proposals(frame) if proposal.track in tracks]
                    self._accept(edit, frame, {proposal: tracks[proposal.track] for proposal in there})
                    frames += [frame] if there else []
        self.object_ids, self.frames = objects, tuple(sorted(frames))

    def _accept(self, edit: Edit, frame: int, objects: Mapping[ProposalMask, int]) -> None:
        if not objects:
            return
        document = edit.document
        before = document.labels(frame)
        labels, locked = np.array(before), list(document.locked_objects)
        for proposal, object_id in sorted(objects.items(), key=lambda item: item[0].score):
            there = before[proposal.window]
            free = ~np.isin(there, locked) if self._overwrite else there == 0
            labels[proposal.window][proposal.crop & free] = object_id
        edit.edit_labels(frame, labels, edited=set(objects.values()), status=FrameStatus.PROPOSED)
        edit.set_proposals(frame, [other for other in document.proposals(frame) if other not in objects])


class RejectProposals(Command):
    """Drop proposals of a frame (None: all); `linked` drops their tracks on other frames too."""

    def __init__(self, frame: int, ids: Iterable[int] | None = None, *, linked: bool = False) -> None:
        super().__init__()
        self._frame, self._ids, self._linked = int(frame), None if ids is None else tuple(ids), linked

    def run(self, edit: Edit) -> None:
        document = edit.document
        edit.require_frame(self._frame)
        chosen = _chosen(document.proposals(self._frame), self._ids, self._frame)
        self.text = f"Reject {counted(len(chosen), 'proposal')}"
        tracks = (
            {proposal.track for proposal in chosen if proposal.track is not None} if self._linked else set()
        )
        for frame in document.proposal_frames:
            gone = set(chosen) if frame == self._frame else set()
            kept = [p for p in document.proposals(frame) if p not in gone and p.track not in tracks]
            edit.set_proposals(frame, kept)


def _chosen(
    proposals: Sequence[ProposalMask], ids: Sequence[int] | None, frame: int
) -> tuple[ProposalMask, ...]:
    if not proposals:
        raise UserError(f"Frame {frame} has no proposals: propose objects there first.")
    if ids is None:
        return tuple(proposals)
    by_id = {proposal.id: proposal for proposal in proposals}
    missing = [proposal_id for proposal_id in ids if proposal_id not in by_id]
    if missing:
        raise UserError(f"Frame {frame} has no proposal {missing[0]}: it was accepted, rejected or replaced.")
    return tuple(by_id[proposal_id] for proposal_id in dict.fromkeys(ids))


def _add_object(edit: Edit) -> int:
    document = edit.document
    object_id = document.free_object_id()
    name = object_name(object_id, {info.name for info in document.objects.values()})
    edit.set_objects(
        [*document.objects.values(), ObjectInfo(object_id, name, colour=object_colour(object_id))]
    )
    return object_id
