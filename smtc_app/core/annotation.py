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
EXPLAINED = 0.5
"""A region of which labels cover this share is no new object."""


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
    mask      bool (H, W), read-only; decoded on every access (`crop` with `window` is cheaper)
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

    @classmethod
    def from_packed(
        cls,
        frame: int,
        id: int,
        *,
        shape: tuple[int, int],
        box: Box,
        packed: bytes,
        score: float,
        slot: int | None = None,
        track: int | None = None,
    ) -> ProposalMask:
        """A proposal from its parts, `packed` as the property of that name gives it.

        Raises ValueError for a box outside of the shape (H, W), bytes that do not fill it, or a slot or track
        that is no whole number.
        """
        x0, y0, x1, y1 = (int(side) for side in box)
        if not (0 <= x0 <= x1 <= shape[1] and 0 <= y0 <= y1 <= shape[0]):
            raise ValueError(f"box {box} does not lie within a mask of {shape}")
        try:
            crop = _unpacked(packed, y1 - y0, x1 - x0)
        except zlib.error as error:
            raise ValueError(f"damaged mask of a proposal: {error}") from error
        for name, number in (("slot", slot), ("track", track)):
            if number is not None and not isinstance(number, (int, np.integer)):
                raise ValueError(f"{name} must be a whole number or None, got {number!r}")
        self = cls.__new__(cls)
        self.frame, self.id, self.slot, self.track = int(frame), int(id), slot, track
        self.score, self.area, self.box = float(score), int(np.count_nonzero(crop)), (x0, y0, x1, y1)
        self._shape, self._bits = (int(shape[0]), int(shape[1])), bytes(packed)
        return self

    @property
    def packed(self) -> bytes:
        """The bits of `crop`, row by row, deflated."""
        return self._bits

    @property
    def crop(self) -> np.ndarray:
        """The part of the mask inside `box`: bool (y1 - y0, x1 - x0), fresh."""
        x0, y0, x1, y1 = self.box
        return _unpacked(self._bits, y1 - y0, x1 - x0)

    @property
    def window(self) -> tuple[slice, slice]:
        """`box` as an index of arrays (H, W): `array[proposal.window][proposal.crop]` are its pixels."""
        x0, y0, x1, y1 = self.box
        return slice(y0, y1), slice(x0, x1)

    def covers(self, x: int, y: int) -> bool:
        """Whether a pixel belongs to it."""
        x0, y0, x1, y1 = self.box
        return x0 <= x < x1 and y0 <= y < y1 and bool(self.crop[y - y0, x - x0])

    def explained_by(self, labels: np.ndarray) -> bool:
        """Whether labels (H, W) of its frame cover it by `EXPLAINED` or more: it is no news then."""
        return np.count_nonzero(labels[self.window][self.crop]) >= EXPLAINED * self.area

    @property
    def mask(self) -> np.ndarray:
        mask = np.zeros(self._shape, bool)
        mask[self.window] = self.crop
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


def _unpacked(packed: bytes, height: int, width: int) -> np.ndarray:
    bits = np.frombuffer(zlib.decompress(packed), np.uint8)
    if bits.size != (height * width + 7) // 8:
        raise ValueError(f"{bits.size} bytes of bits do not fill a mask of {width}x{height}")
    return np.unpackbits(bits, count=height * width).reshape(height, width).astype(bool)


def mask_box(mask: np.ndarray) -> Box | None:
    """Tight box of the true pixels of `mask` (H, W), or None when there are none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    y0, y1 = int(rows[0]), int(rows[-1]) + 1
    columns = np.flatnonzero(mask[y0:y1].any(axis=0))
    return int(columns[0]), y0, int(columns[-1]) + 1, y1
