"""Which objects are out of sight, and where they are seen again.

Windows find an object again near where a remembered frame shows it. After a cut, or behind something wide, it
comes back anywhere: then what keyframes and the last frame that showed it well know of it is compared with
every position of the frame, and the positions most like it vote over whole frames, background against it.
And a cut takes what lies where an object was for the object.

What tells one from the other is whether the likeness is mutual: of the positions that are taken for an
object, how many look most like a place of it that in turn looks most like them (or a neighbour of theirs).
Measured: .41 to .99 on footage of all speeds and for what came back, .04 to .28 behind a cut, .01 to .02 in
noise; .20 to .41 between two persons. The places of a plain surface are all alike, so that none is answered:
there it is enough to be as like them as they are like each other.

Letters: h x w tokens of c x c cells, C feature channels, L label channels (the background's first), Q = h*w
positions, m samples of objects.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from .matching import Matches, grouped_topk, vote

LOST, BACK = 0.15, 0.5
"""Shares of its usual area: an object with less is lost, from so much on it is back."""
_RETURN = 8
"""Frames that what is missing of it is looked for after it is back."""

WELL_SHOWN = 0.7
"""Share of its usual area that every object in sight needs for a frame to be remembered for a search."""
_FORGETTING = 0.98
"""What is left of the usual area after each frame that shows less."""
_MOST_WITNESSES = 3
_MOST_REFERENCES = 3

_EVERY_FRAME, _RARELY = 10, 3
"""So many frames long an object is looked for in each frame, then in every third."""
_MOST_SAMPLES = 1024
"""Tokens of objects that a frame is compared with."""
_FEWEST_SAMPLES = 8
"""Of each object, however many there are."""
_MOST_CANDIDATES = 1536
"""Positions that look most like them and may vote."""
_LEAST_TOKENS, _LEAST_SHARE = 4, 0.1
"""What is found counts from so many tokens, and from so much of the usual area on."""
_MUTUAL_FOUND, _MUTUAL_HELD = 0.42, 0.35
"""Share of mutual likeness that is needed to be found, and to be kept where that is in doubt."""
_AS_ALIKE = 0.9
"""Share of the likeness among the places of an object that keeps it without; .62 to .74 behind a cut."""
_GAP = 2
"""Tokens between neighbours, and between parts that still hang together."""


class Reference(NamedTuple):
    """A frame in which lost objects are known."""

    features: Tensor
    """(h,w,C)"""
    labels: Tensor
    """(h,w,L*c*c)"""


class Sighting(NamedTuple):
    """What a frame shows of objects other than the windows of its neighbours say."""

    gone: tuple[int, ...]
    """channels of objects that are not where they seem to be"""
    where: Tensor
    """(L,h,w) bool, lost objects found again"""
    labels: Tensor
    """(h,w,L*c*c), of use where any of them is"""


class _Witness(NamedTuple):
    reference: Reference
    shows: frozenset[int]


class LostObjects:
    """Keeps account of which objects are in sight: `note` each frame's labels, and `look` at the next.

    cells: c; top_k, temperature: of the vote.
    """

    def __init__(self, *, cells: int, top_k: int, temperature: float) -> None:
        self._cells, self._top_k, self._temperature = cells, top_k, temperature
        self._usual: dict[int, float] = {}  # channel -> area in tokens
        self._missing: dict[int, int] = {}  # channel -> frames since it was lost
        self._returning: dict[int, int] = {}  # of those, channel -> frames that it has been back
        self._witnesses: list[_Witness] = []  # the last one is replaced as long as all is well

    @property
    def all_in_sight(self) -> bool:
        """Whether nothing is looked for."""
        return not self._missing

    def keyframe(self, labels: Tensor) -> None:
        """The truth (h,w,L*c*c) about a frame: what it shows is in sight, what it lacks may come back."""
        for channel, area in self._areas(labels).items():
            if area > 0:
                self._usual[channel] = area
                self._missing.pop(channel, None)
                self._returning.pop(channel, None)
            elif channel in self._usual:
                self._missing.setdefault(channel, 0)
        self._witnesses = [w for w in self._witnesses if w.shows & self._missing.keys()]

    def note(self, features: Tensor, labels: Tensor) -> None:
        """What a frame (h,w,C) got: labels (h,w,L*c*c)."""
        areas = self._areas(labels)
        for channel, usual in self._usual.items():
            share = areas.get(channel, 0.0) / usual
            if channel in self._missing:
                self._missing[channel] += 1
                self._returning[channel] = self._returning.get(channel, 0) + 1 if share >= BACK else 0
                if self._returning[channel] > _RETURN:
                    del self._missing[channel], self._returning[channel]
            elif share < LOST:
                self._missing[channel] = 0
            else:
                self._usual[channel] = max(areas[channel], usual * _FORGETTING)
        shown = frozenset(self._usual.keys() - self._missing.keys())
        self._witnesses = [
            w
            for i, w in enumerate(self._witnesses)
            if w.shows & self._missing.keys() or i == len(self._witnesses) - 1
        ]
        if shown and all(areas[channel] >= WELL_SHOWN * self._usual[channel] for channel in shown):
            # In one order in memory, as it comes back from a saved state: sums round differently in another.
            witness = _Witness(Reference(features.contiguous(), labels.contiguous()), shown)
            if self._witnesses and not self._witnesses[-1].shows & self._missing.keys():
                self._witnesses.pop()
            self._witnesses = [*self._witnesses, witness][-_MOST_WITNESSES:]

    def look(
        self,
        features: Tensor,
        labels: Tensor,
        *,
        keyframes: Sequence[Reference],
        newest: Reference,
        doubtful: bool,
    ) -> Sighting | None:
        """See a frame (h,w,C) as a whole; None where there is nothing to say.

        labels: (L,h,w) of it so far. keyframes: the nearest first; newest: the last frame. doubtful: whether
        what labels hold may be something else.
        """
        lost = [channel for channel in self._missing if not self._returning.get(channel)]
        kept = [channel for channel in range(1, len(labels)) if channel not in lost] if doubtful else []
        due = self._due()
        known = self._references(keyframes, lost)
        gone = self._gone(features, labels, lost, known, least=0)
        gone += self._gone(features, labels, kept, [*keyframes[:1], newest], least=_LEAST_TOKENS)
        if gone:
            labels = labels.clone()
            labels[0] += labels[gone].sum(0)
            labels[gone] = 0
        due = sorted({*due, *(set(gone) - set(lost))})
        found = self._search(features, labels, due, self._references(keyframes, due)) if due else None
        if found is None and not gone:
            return None
        channels = len(labels) * self._cells**2
        where, result = found or (
            torch.zeros_like(labels, dtype=torch.bool),
            labels.new_zeros((*features.shape[:2], channels)),
        )
        return Sighting(tuple(gone), where, result)

    def _references(self, keyframes: Sequence[Reference], channels: Sequence[int]) -> list[Reference]:
        """Where some objects are known from, of use while they are lost."""
        witnesses = [w.reference for w in reversed(self._witnesses) if w.shows & set(channels)]
        return [*keyframes[: _MOST_REFERENCES - 1], *witnesses][:_MOST_REFERENCES]

    def _due(self) -> list[int]:
        """Lost objects that are looked for in this frame."""
        return [
            channel
            for channel, frames in self._missing.items()
            if frames < _EVERY_FRAME or frames % _RARELY == 0 or self._returning.get(channel)
        ]

    def _gone(
        self,
        features: Tensor,
        labels: Tensor,
        channels: Sequence[int],
        references: Sequence[Reference],
        *,
        least: int,
    ) -> list[int]:
        """Those of the channels whose positions, by the labels (L,h,w), do not look like the object.

        least: fewer positions are not judged.
        """
        if not channels:
            return []
        known = self._known(references, len(labels))
        most = max(_FEWEST_SAMPLES, _MOST_SAMPLES // len(channels))
        judged = {c: _Samples(known[c], most=most) for c in channels if known[c].any()}
        if not judged:
            return []
        positions = torch.from_numpy(np.concatenate([samples.positions for samples in judged.values()]))
        memory = torch.cat([r.features.flatten(0, 1) for r in references])
        sampled = memory[positions.to(memory.device)]
        sizes = [len(samples.positions) for samples in judged.values()]
        parts = (features.flatten(0, 1) @ sampled.T).split(sizes, 1)
        gone = []
        for (channel, samples), part, own in zip(judged.items(), parts, sampled.split(sizes), strict=True):
            held = (labels[channel] > 0.5).flatten()
            count = held.sum()
            mutual = (_mutual(part, features.shape[1], gap=samples.gap) & held).sum() / count.clamp_min(1)
            likeness = (part.amax(1) * held).sum() / count.clamp_min(1)
            usual = (own @ own.T).fill_diagonal_(-1).amax(1).mean()
            gone.append((count >= least) & (mutual < _MUTUAL_HELD) & (likeness < _AS_ALIKE * usual))
        answers = torch.stack(gone).tolist()  # all at once: a GPU is waited for but once
        return [channel for channel, is_gone in zip(judged, answers, strict=True) if is_gone]

    def _search(
        self, features: Tensor, labels: Tensor, due: list[int], references: Sequence[Reference]
    ) -> tuple[Tensor, Tensor] | None:
        """`where` and `labels` of a `Sighting`; None if nothing was found."""
        h, w = features.shape[:2]
        samples = _Samples(self._known(references, len(labels))[due].any(0), most=_MOST_SAMPLES)
        if not len(samples.positions):
            return None
        queries = features.flatten(0, 1)
        memory = torch.cat([r.features.flatten(0, 1) for r in references])
        affinity = queries @ memory[torch.from_numpy(samples.positions).to(memory.device)].T
        free = labels[0] > 0.5
        best = affinity.amax(1).masked_fill_(~free.flatten(), -torch.inf)
        candidates = best.topk(min(_MOST_CANDIDATES, len(best))).indices
        values, indices = grouped_topk(queries[candidates] @ memory.T, self._top_k)
        matches = Matches(values, indices, torch.zeros_like(candidates, dtype=torch.bool))
        channels = len(labels) * self._cells**2
        remembered = torch.cat([_widened(r.labels, channels).flatten(0, 1) for r in references])
        result = remembered.new_zeros((h * w, channels))
        result[candidates] = vote(
            matches, remembered, temperature=self._temperature, background=self._cells**2
        )
        result = result.view(h, w, -1)
        mutual = _mutual(affinity, w, gap=samples.gap).view(h, w)
        voted = (self._tokens(result, len(labels))[due] > 0.5) & free
        seen = torch.cat([mutual[None], voted, labels[due] > 0.5]).cpu().numpy()
        mutual, voted, held = seen[0], seen[1 : 1 + len(due)], seen[1 + len(due) :]
        where = np.zeros(labels.shape, bool)
        for channel, one, other in zip(due, voted, held, strict=True):
            found = _hanging_together(one, other)
            if np.count_nonzero(found) < max(_LEAST_TOKENS, _LEAST_SHARE * self._usual[channel]):
                continue
            if mutual[found].mean() >= (_MUTUAL_HELD if self._returning.get(channel) else _MUTUAL_FOUND):
                where[channel] = found
        return (torch.from_numpy(where).to(labels.device), result) if where.any() else None

    def _known(self, references: Sequence[Reference], count: int) -> np.ndarray:
        """(count,M) bool: which of the M tokens of some frames show each label."""
        tokens = [self._tokens(reference.labels, count).flatten(1) > 0.5 for reference in references]
        return torch.cat(tokens, 1).cpu().numpy()

    def _tokens(self, labels: Tensor, count: int) -> Tensor:
        """(h,w,L*c*c) -> (count,h,w): each token's mean, 0 for channels that came later."""
        cells = self._cells**2
        return _widened(labels, count * cells).unflatten(-1, (-1, cells)).mean(-1).permute(2, 0, 1)

    def _areas(self, labels: Tensor) -> dict[int, float]:
        """Tokens that each object holds."""
        best = labels.unflatten(-1, (-1, self._cells**2)).argmax(-2)
        counts = torch.bincount(best.flatten(), minlength=labels.shape[-1] // self._cells**2).tolist()
        return {channel: count / self._cells**2 for channel, count in enumerate(counts) if channel}


class _Samples:
    """At most so many of the tokens that show an object, evenly; known: (M,) bool."""

    def __init__(self, known: np.ndarray, *, most: int) -> None:
        every = np.flatnonzero(known)
        self.positions = every
        if len(every) > most:
            self.positions = every[np.linspace(0, len(every) - 1, most).astype(np.int64)]
        thinned = len(every) / max(1, len(self.positions))
        self.gap = math.ceil(_GAP * math.sqrt(thinned))
        """Tokens between neighbours: what is thinned lies further apart."""


def _mutual(affinity: Tensor, width: int, *, gap: int) -> Tensor:
    """(Q,) bool: the sample that a position is most like is most like the position, or a neighbour.

    affinity: (Q,m) of the positions of a frame so wide to samples.
    """
    back = affinity.argmax(0)[affinity.argmax(1)]
    here = torch.arange(len(back), device=back.device)
    away = torch.maximum((back // width - here // width).abs(), (back % width - here % width).abs())
    return away <= gap


def _widened(labels: Tensor, channels: int) -> Tensor:
    missing = channels - labels.shape[-1]
    return torch.nn.functional.pad(labels, (0, missing)) if missing else labels


def _hanging_together(found: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Of what was found (h,w), the largest part together with what is held of it already."""
    every = (found | held).astype(np.uint8)
    reach = np.ones((2 * _GAP + 1,) * 2, np.uint8)
    count, parts = cv2.connectedComponents(cv2.dilate(every, reach))
    if count < 2:
        return found
    sizes = np.bincount(parts[every > 0], minlength=count)
    return found & (parts == sizes.argmax())
