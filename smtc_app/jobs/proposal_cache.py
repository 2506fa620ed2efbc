"""Keeps what proposals are chosen from, so that the same frames give others at once: finer, coarser, fewer.

One cache serves the window's worker thread. It follows the footage and the model: candidates of others are
let go the moment these change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from smtc_app.io.source import FrameSource
    from smtc_model.discovery import DiscoveryConfig, SlotCache
    from smtc_model.smtc import SMTC

LIMIT_BYTES = 512 << 20
FRAME_BYTES = 16 << 20
"""Candidates of one frame without its pixels, about."""
LEAST_FRAMES = 4


class _Footage:
    """Frames of whichever source the running job has opened; jobs close theirs when they end."""

    def __init__(self, source: FrameSource) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.source[index]


class ProposalCache:
    """`limit_bytes` bounds what is kept, roughly: a frame counts its pixels and `FRAME_BYTES`."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._kept: tuple[tuple[Any, ...], _Footage, SlotCache] | None = None

    def use(self, source: FrameSource, model: SMTC, config: DiscoveryConfig, device: str) -> SlotCache:
        """The cache for this footage, model and device, reading through `source` from now on."""
        from smtc_model.discovery import SlotCache

        key = (str(source.path), len(source), tuple(source.size), model.hash, device)
        if self._kept is not None and self._kept[0] == key:
            _, footage, slots = self._kept
            footage.source = source
            return slots
        self._kept = None
        width, height = source.size
        capacity = max(LEAST_FRAMES, self._limit_bytes // (FRAME_BYTES + 5 * width * height))
        footage = _Footage(source)
        slots = SlotCache(model, footage, config=config, device=device, capacity=capacity)
        self._kept = key, footage, slots
        return slots

    def clear(self) -> None:
        """Let go of everything; a job that is running keeps what it has until it ends."""
        self._kept = None
