"""A person's answers to proposals; they enter the labels only when accepted. Proposals themselves come by
`Document.suggest`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smtc_app.core.annotation import FrameStatus, ObjectInfo, ProposalMask
from smtc_app.core.command import Command, counted
from smtc_app.core.document import Document
from smtc_app.core.edit import Edit
from smtc_app.core.errors import UserError
from smtc_app.core.label_change import LabelChange, compare_labels
from smtc_app.core.mask_store import MaskStore, PackedMask
from smtc_app.core.palette import object_colour, object_name


@dataclass(frozen=True)
class FramePart:
    """The pixels of accepting proposals on one frame; `compute` may run in any thread.

    before   the frame's labels, None where there are none
    objects  (proposal, id of the object it becomes), in the order in which they are painted
    locked   objects that keep their pixels
    """

    store: MaskStore
    frame: int
    before: PackedMask | None
    objects: tuple[tuple[ProposalMask, int], ...]
    locked: frozenset[int]
    overwrite: bool

    def compute(self) -> LabelChange | None:
        """The change of the frame's labels; None where the proposals get no pixel."""
        before = self.store.empty if self.before is None else self.before.labels()
        labels, locked = np.array(before), list(self.locked)
        for proposal, object_id in self.objects:
            there = before[proposal.window]
            free = ~np.isin(there, locked) if self.overwrite else there == 0
            labels[proposal.window][proposal.crop & free] = object_id
        return compare_labels(self.store, before, labels, edited=self.object_ids)

    @property
    def object_ids(self) -> frozenset[int]:
        return frozenset(object_id for _, object_id in self.objects)


class AcceptProposals(Command):
    """Make objects of proposals on a frame; `object_ids` {proposal id on `frame`: object id} is known after
    `do`.

    ids        proposals on `frame`; None accepts all of them
    into       {proposal id: existing object id} for those that show an object that there already is
    linked     also accept the proposals with the same track on other frames, into the same objects
    overwrite  let them take pixels of other (unlocked) objects; else they only get the background

    Where accepted proposals overlap, the higher score gets the pixel. Locked frames other than `frame` are
    passed over. Accepted proposals leave the list; the frames become keyframes, and are `frames` after `do`.

    Over many frames the pixels can be worked out ahead: `take(part, part.compute())` for each of `parts`.
    Whatever has changed by the time of `do` is worked out again.
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
        self._computed: dict[FramePart, LabelChange | None] = {}
        self.object_ids: dict[int, int] = {}
        self.frames: tuple[int, ...] = ()

    def parts(self, document: Document) -> tuple[FramePart, ...]:
        """What there is to work out, one part a frame. Raises UserError for what `do` would refuse."""
        chosen = _chosen(document.proposals(self._frame), self._ids, self._frame)
        return self._parts(document, chosen, self._objects(document, chosen))

    def take(self, part: FramePart, change: LabelChange | None) -> None:
        """Use what `part.compute()` gave, should the part still be the same when the command is done."""
        self._computed[part] = change

    def run(self, edit: Edit) -> None:
        document = edit.document
        edit.require_frame(self._frame)
        edit.require_unlocked_frames((self._frame,))
        chosen = _chosen(document.proposals(self._frame), self._ids, self._frame)
        self.text = f"Accept {counted(len(chosen), 'proposal')}"
        objects = self._objects(document, chosen)
        for object_id in [self._into[p.id] for p in chosen if p.id in self._into]:
            edit.require_object(object_id)
            edit.require_unlocked_objects((object_id,))
        _add_objects(edit, [i for i in objects.values() if i not in document.objects])
        parts = self._parts(document, chosen, objects)
        for part in parts:
            self._accept(edit, part)
        self.object_ids, self.frames = objects, tuple(sorted(part.frame for part in parts))
        self._computed.clear()

    def _objects(self, document: Document, chosen: Sequence[ProposalMask]) -> dict[int, int]:
        """{proposal id: id of the object it becomes}"""
        new = [proposal.id for proposal in chosen if proposal.id not in self._into]
        fresh = dict(zip(new, document.free_object_ids(len(new)), strict=True))
        return {proposal.id: {**fresh, **self._into}[proposal.id] for proposal in chosen}

    def _parts(
        self, document: Document, chosen: Sequence[ProposalMask], objects: Mapping[int, int]
    ) -> tuple[FramePart, ...]:
        found = {self._frame: [(proposal, objects[proposal.id]) for proposal in chosen]}
        if self._linked:
            tracks: dict[int, int] = {}
            for proposal in chosen:
                if proposal.track is not None:
                    tracks.setdefault(proposal.track, objects[proposal.id])
            for frame in document.proposal_frames:
                if frame != self._frame and not document.is_locked(frame):
                    there = [proposal for proposal in document.proposals(frame) if proposal.track in tracks]
                    found[frame] = [(proposal, tracks[proposal.track]) for proposal in there]
        return tuple(
            FramePart(
                document.store,
                frame,
                document.packed(frame),
                tuple(sorted(pairs, key=lambda pair: pair[0].score)),
                document.locked_objects,
                self._overwrite,
            )
            for frame, pairs in found.items()
            if pairs
        )

    def _accept(self, edit: Edit, part: FramePart) -> None:
        change = self._computed[part] if part in self._computed else part.compute()
        if change is not None:
            edit.take_change(part.frame, change, edited=part.object_ids, status=FrameStatus.PROPOSED)
        accepted = {proposal for proposal, _ in part.objects}
        left = [other for other in edit.document.proposals(part.frame) if other not in accepted]
        edit.set_proposals(part.frame, left)


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


def _add_objects(edit: Edit, ids: Sequence[int]) -> None:
    infos = list(edit.document.objects.values())
    taken = {info.name for info in infos}
    for object_id in ids:
        info = ObjectInfo(object_id, object_name(object_id, taken), colour=object_colour(object_id))
        infos.append(info)
        taken.add(info.name)
    edit.set_objects(infos)
