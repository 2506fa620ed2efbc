"""Small documents for the tests of io: their size, something to paint into them, and all that they hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from smtc_app.core.document import Document

W, H, FRAMES = 40, 30, 25


def blob(seed: int, value: int = 1) -> np.ndarray:
    """(H,W) uint16: a square of `value` somewhere."""
    labels = np.zeros((H, W), np.uint16)
    rng = np.random.default_rng(seed)
    y, x = rng.integers(0, H - 8), rng.integers(0, W - 8)
    labels[y : y + 8, x : x + 8] = value
    return labels


def contents(document: Document) -> tuple[Any, ...]:
    """Everything that a saved or recovered document must bring back, comparable with ==."""
    state = document.snapshot()
    return (
        state.objects,
        state.keyframes,
        state.locked_frames,
        [document.labels(frame).tobytes() for frame in range(document.frame_count)],
        {
            object_id: (
                track.status.tobytes(),
                track.confidence.tobytes(),
                [state.source_table[index] for index in track.sources],
            )
            for object_id, track in state.tracks.items()
        },
    )
