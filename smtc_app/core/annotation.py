"""The words of a document: objects, what is known of an object on a frame, proposals, and changes.

They are small immutable values; what they mean together is `document.Document`'s business.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

Colour = tuple[int, int, int]  # RGB, 0..255
Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels, half open

MAX_OBJECT_ID = 65534  # uint16; 65535 stays free for void in formats that need one


class FrameStatus(IntEnum):
    """What is known of one object on one frame; the value is what `Document.status_array` holds.

    ABSENT      no pixels (and, when the frame has sources, a propagation found none)
    MANUAL      drawn by a person
    PROPOSED    an accepted proposal, unedited
    PROPAGATED  from keyframes, by propagation
    CORRECTED   made by the machine, then edited or confirmed by a person
    STALE       propagated, but a keyframe it depends on has changed since
    """

    ABSENT = 0
    MANUAL = 1
    PROPOSED = 2
    PROPAGATED = 3
    CORRECTED = 4
    STALE = 5


ANCHORED = (FrameStatus.MANUAL, FrameStatus.PROPOSED, FrameStatus.CORRECTED)
"""Statuses a person stands behind: on a keyframe, propagation starts from these."""


@dataclass(frozen=True)
class ObjectInfo:
    """One annotated object. `id` is its label in every mask (1..65534) and never changes."""

    id: int
    name: str
    category: str = ""
    colour: Colour = (128, 0, 0)
    visible: bool = True
    locked: bool = False

    def with_(self, **changes: object) -> ObjectInfo:
        """A copy with some fields replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Change:
    """What a command, an undo or a redo changed in a document.

    `kind` is one of
    "labels"     masks of `frames` (of `objects`, empty where unknown) are other arrays now
    "status"     status, confidence or sources of `objects` on `frames`
    "objects"    the list, or names, colours, flags of `objects`
    "keyframes", "locked", "proposals"   on `frames`
    "modified"   `Document.modified` flipped
    """

    kind: str
    frames: Collection[int] = ()
    objects: Collection[int] = ()


class ProposalMask:
    """One proposed object on one frame, not part of the labels until a person accepts it.

    The mask is kept packed (bits of its box, deflated), because hundreds of frames may hold ten each.

    frame     index of the frame
    id        1.., unique on the frame
    mask      bool (H, W), read-only; decoded on every access
    score     0..1
    area      pixels
    box       tight, (0, 0, 0, 0) when empty
    slot      index of the slot that it came from, or None
    track     the same number on several frames is the same thing; None when not linked
    """

    __slots__ = ("_bits", "_shape", "area", "box", "frame", "id", "score", "slot", "track")

    def __init__(
        self,
        frame: int,
        id: int,
        *,
        mask: np.ndarray,
        score: float = 1.0,
        slot: int | None = None,
        track: int | None = None,
    ) -> None:
        mask = np.asarray(mask)
        if mask.ndim != 2:
            raise ValueError(f"mask must be (H, W), got shape {mask.shape}")
        mask = mask.astype(bool, copy=False)
        self.frame, self.id, self.slot, self.track = int(frame), int(id), slot, track
        self.score = float(score)
        self.area = int(np.count_nonzero(mask))
        self.box = mask_box(mask) or (0, 0, 0, 0)
        x0, y0, x1, y1 = self.box
        self._shape = mask.shape
        self._bits = zlib.compress(np.packbits(mask[y0:y1, x0:x1]).tobytes(), 1)

    @property
    def mask(self) -> np.ndarray:
        x0, y0, x1, y1 = self.box
        mask = np.zeros(self._shape, bool)
        if self.area:
            bits = np.frombuffer(zlib.decompress(self._bits), np.uint8)
            height, width = y1 - y0, x1 - x0
            mask[y0:y1, x0:x1] = np.unpackbits(bits, count=height * width).reshape(height, width)
        mask.setflags(write=False)
        return mask

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the mask."""
        return self._shape

    @property
    def nbytes(self) -> int:
        return len(self._bits)

    def __repr__(self) -> str:
        return (
            f"ProposalMask(frame={self.frame}, id={self.id}, score={self.score:.3f}, area={self.area}, "
            f"box={self.box}, slot={self.slot}, track={self.track})"
        )


def mask_box(mask: np.ndarray) -> Box | None:
    """Tight box of the true pixels of `mask` (H, W), or None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    return int(columns[0]), y0, int(columns[-1]) + 1, y1
