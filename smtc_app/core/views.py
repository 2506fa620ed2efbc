"""What the canvas can show besides the image: names of the view modes, choice of the frame to compare with,
and the results that the worker hands over.

To add a view mode: a member of `ViewMode`, a row in the window's table of actions, a branch in
`jobs.view_tasks` and in the controller of the views.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np


class ViewMode(Enum):
    """What the canvas shows; the value is the end of the action's id."""

    IMAGE = "image"
    SLOTS = "slots"
    PCA = "pca"
    QUERY = "query"
    WHY = "why"
    CONSISTENCY = "consistency"

    @property
    def asks_a_pixel(self) -> bool:
        """Whether it answers about one pixel, and the picture itself stays the frame."""
        return self in (ViewMode.QUERY, ViewMode.WHY)

    @property
    def compares(self) -> bool:
        """Whether it needs another frame."""
        return self in (ViewMode.QUERY, ViewMode.CONSISTENCY)


class OtherFrame(Enum):
    """Which frame is laid beside or over the current one; the value is what people read."""

    PREVIOUS_KEYFRAME = "Previous keyframe"
    NEXT_KEYFRAME = "Next keyframe"
    PREVIOUS_FRAME = "Previous frame"
    FIXED = "Fixed frame"


def other_frame(
    choice: OtherFrame, frame: int, *, keyframes: Sequence[int], fixed: int, count: int
) -> int | None:
    """The frame to compare `frame` with, None where there is none but itself.

    Where there is no keyframe on the wanted side the nearest on the other side takes its place, and without
    any keyframe the frame next to this one: a comparison is always offered.
    """
    if choice is OtherFrame.FIXED:
        return min(max(fixed, 0), count - 1)
    if choice is not OtherFrame.PREVIOUS_FRAME:
        before = [key for key in keyframes if key < frame]
        after = [key for key in keyframes if key > frame]
        first, second = (before[-1:], after[:1])
        if choice is OtherFrame.NEXT_KEYFRAME:
            first, second = second, first
        if first or second:
            return (first or second)[0]
    if count < 2:
        return None
    return frame - 1 if frame > 0 else 1


def voting_frames(frame: int, sources: Collection[int], *, recent: int) -> tuple[int, ...]:
    """The frames that voted on the labels of `frame`: its keyframes, and up to `recent` frames in between.

    sources: the keyframes that the labels came from; labels travel from each of them towards `frame`.
    """
    voters: set[int] = set()
    for key in sources:
        if key == frame:
            continue
        step = 1 if key > frame else -1
        voters.add(key)
        voters.update(range(frame + step, key, step)[:recent])
    return tuple(sorted(voters))


@dataclass(frozen=True)
class ViewPicture:
    """A view of a whole frame: a picture in its place, or a heat map over it.

    other: the frame that it was compared with. image: uint8 (h,w,3). heat: float32 (h,w) in [0,1]. Of any
    resolution; at most one of the two is not None. caption: one line about what is seen.
    """

    mode: ViewMode
    frame: int
    other: int | None
    image: np.ndarray | None
    heat: np.ndarray | None
    caption: str

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.image, self.heat) if part is not None)


@dataclass(frozen=True)
class PixelMatches:
    """Where a pixel of `frame` is found again on `other`.

    point: (x, y) in pixels. heat: float32 (h,w) in [0,1] over `other`.
    matches: (x, y, cosine) in pixels of `other`, best first.
    """

    frame: int
    point: tuple[float, float]
    other: int
    heat: np.ndarray
    matches: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class LabelVote:
    """A pixel (x, y) of a frame that spoke for `label` with `weight` (all sum to 1)."""

    frame: int
    x: float
    y: float
    label: int
    weight: float
    similarity: float


@dataclass(frozen=True)
class LabelVotes:
    """All votes on the label at `point` (x, y) of `frame`, heaviest first; `label` is what it has."""

    frame: int
    point: tuple[float, float]
    label: int
    votes: tuple[LabelVote, ...]

    @property
    def shares(self) -> dict[int, float]:
        """Label -> its part of the votes, largest first."""
        sums: dict[int, float] = {}
        for vote in self.votes:
            sums[vote.label] = sums.get(vote.label, 0.0) + vote.weight
        return dict(sorted(sums.items(), key=lambda item: -item[1]))


@dataclass(frozen=True)
class Opinion:
    """One of the things that labels of a frame follow.

    kind    "match": votes of remembered frames, "motion": where flow moved the labels before, "appearance":
            what the objects look like in this video
    weight  of all opinions, 0..1; they sum to 1
    shares  label -> probability, the likeliest first
    """

    kind: str
    weight: float
    shares: Mapping[int, float]


@dataclass(frozen=True)
class LabelReasons:
    """What the label at `point` (x, y) of `frame` followed, the weightiest first, and what came of it.

    opinions  empty where the settings have votes only
    """

    frame: int
    point: tuple[float, float]
    opinions: tuple[Opinion, ...]
    together: Mapping[int, float]


OPINION_NAMES = {"match": "votes", "motion": "motion", "appearance": "appearance"}
LEAST_WEIGHT = 0.02
"""An opinion with less weight decides nothing."""


def reason_sentence(
    votes: LabelVotes, reasons: LabelReasons, name: Callable[[int], str], *, edited: bool = False
) -> str:
    """Why the pixel has its label, also where votes alone would have given it another.

    name: of a label, as people know it. edited: whether somebody painted on the frame.
    """
    label, together = votes.label, _first(reasons.together)
    if together != label:
        share = f"{reasons.together.get(together, 0.0):.0%}"
        also = "painting on this frame" if edited else "labels that have changed since"
        return (
            f"Together they would say {name(together)} ({share}) here; the exact edge in the picture, "
            f"or {also}, made it {name(label)}"
        )
    says = {
        OPINION_NAMES[opinion.kind]: _first(votes.shares if opinion.kind == "match" else opinion.shares)
        for opinion in reasons.opinions
        if opinion.weight >= LEAST_WEIGHT
    } or {"votes": _first(votes.shares)}
    agreeing = [who for who, said in says.items() if said == label]
    rivals = _listed([f"{who} ({name(said)})" for who, said in says.items() if said != label])
    if not agreeing:
        return f"None of it alone says {name(label)}, but the product of {rivals} does"
    verb = "say" if len(agreeing) > 1 or agreeing == ["votes"] else "says"
    who = _listed(agreeing).capitalize()
    if not rivals:
        return f"{who} {'all ' if len(agreeing) > 2 else ''}{verb} {name(label)}"
    return f"{who} {verb} {name(label)} and {'outweigh' if verb == 'say' else 'outweighs'} {rivals}"


def step_sentence(votes: LabelVotes, keyframes: Collection[int]) -> str:
    """How much of the way from the keyframes the votes tell, and how to see the rest of it."""
    between = {vote.frame for vote in votes.votes}.difference(keyframes)
    if not between:
        return "All votes come from keyframes: this is the whole way."
    return "This is the last step only: double-click a vote to ask the same there, back to a keyframe."


def _listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; "" for none."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def _first(shares: Mapping[int, float]) -> int:
    """The label with the largest share; background where there is none."""
    return max(shares, key=lambda label: shares[label]) if shares else 0
