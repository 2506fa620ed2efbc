"""What the new-object alarm has found, and how a project keeps it: entries of `parameters`, beside the runs.

[{frame, frames, score, slot, track, box, mask}, ...]      mask: base64 of `ProposalMask.packed`
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from smtc_app.core.annotation import ProposalMask

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewObject:
    """A region that is like an object and that no label explains.

    proposal   where it was seen best
    frames     all frames it was seen on, of those that were looked at
    """

    proposal: ProposalMask
    frames: tuple[int, ...]


def new_objects_to_json(found: Iterable[NewObject]) -> list[dict[str, Any]]:
    """New objects as a JSON value."""
    return [
        {
            "frame": alarm.proposal.frame,
            "frames": list(alarm.frames),
            "score": round(alarm.proposal.score, 6),
            "slot": alarm.proposal.slot,
            "track": alarm.proposal.track,
            "box": list(alarm.proposal.box),
            "mask": base64.b64encode(alarm.proposal.packed).decode(),
        }
        for alarm in found
    ]


def new_objects_from_json(value: Any, frame_count: int, size: tuple[int, int]) -> tuple[NewObject, ...]:
    """New objects of a video of `frame_count` frames of `size` (width, height).

    What cannot be read is left out: it can be looked for again.
    """
    width, height = size
    found = []
    for entry in value if isinstance(value, list) else ():
        try:
            proposal = ProposalMask.from_packed(
                int(entry["frame"]),
                1,
                shape=(height, width),
                box=tuple(entry["box"]),
                packed=base64.b64decode(entry["mask"], validate=True),
                score=float(entry["score"]),
                slot=entry["slot"],
                track=entry["track"],
            )
            frames = tuple(int(frame) for frame in entry["frames"])
            if not all(0 <= frame < frame_count for frame in (proposal.frame, *frames)):
                raise ValueError(f"there is no frame {max(proposal.frame, *frames)}")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            logger.warning("left out a new object that cannot be read: %s", error)
            continue
        found.append(NewObject(proposal, frames))
    return tuple(found)
