"""Proposals as bytes: `proposals.json` of a project, and what the journal keeps of them.

    [{frame, id, score, slot, track, box, mask}, ...]      mask: base64 of `ProposalMask.packed`

They can be made again, so that a file that is missing or damaged costs a note and never the project.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

from smtc_app.core.annotation import ProposalMask


def encode_proposals(proposals: Iterable[ProposalMask]) -> bytes:
    """Proposals of any frames as JSON."""
    entries = [
        {
            "frame": proposal.frame,
            "id": proposal.id,
            "score": round(proposal.score, 6),
            "slot": proposal.slot,
            "track": proposal.track,
            "box": list(proposal.box),
            "mask": base64.b64encode(proposal.packed).decode(),
        }
        for proposal in proposals
    ]
    return json.dumps(entries, separators=(",", ":")).encode()


def decode_proposals(
    data: bytes, frame_count: int, size: tuple[int, int]
) -> dict[int, tuple[ProposalMask, ...]]:
    """{frame: proposals} in their order; `size` is (width, height).

    Raises ValueError for bytes that are no proposals of such a video.
    """
    width, height = size
    found: dict[int, list[ProposalMask]] = {}
    try:
        for entry in json.loads(data):
            proposal = ProposalMask.from_packed(
                entry["frame"],
                entry["id"],
                shape=(height, width),
                box=tuple(entry["box"]),
                packed=base64.b64decode(entry["mask"], validate=True),
                score=entry["score"],
                slot=entry["slot"],
                track=entry["track"],
            )
            others = found.setdefault(proposal.frame, [])
            if not 0 <= proposal.frame < frame_count or any(p.id == proposal.id for p in others):
                raise ValueError(f"proposal {proposal.id} of frame {proposal.frame} cannot be")
            others.append(proposal)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no list of proposals: {error}") from error
    return {frame: tuple(proposals) for frame, proposals in found.items()}
