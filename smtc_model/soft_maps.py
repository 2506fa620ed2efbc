"""Label probabilities at native size: what `Propagator.labels` decides from, before it decides.

Letters: H x W pixels, hf x wf cells of the grid of the soft labels.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .refine import refined_channels
from .soft_store import SoftLabels


def native_probabilities(
    soft: SoftLabels, frame: np.ndarray, *, refine: bool, between: Callable[[], None] = lambda: None
) -> dict[int, np.ndarray]:
    """Object id -> probability float32 (H,W) in [0,1].

    frame: uint8 (H,W,3) RGB. refine: follow the image's edges within the uncertain band, as labels do;
    otherwise bilinear. between: called after each object, may raise.
    """
    height, width = frame.shape[:2]
    maps = soft.soft.float().cpu().numpy()
    if refine:
        result = {int(i): np.zeros((height, width), np.float32) for i in soft.ids[1:]}
        for label, region, full in refined_channels(maps, soft.ids, frame):
            result[int(label)][region] = np.clip(full, 0, 1)
            between()
        return result
    result = {}
    for channel, label in zip(maps[1:], soft.ids[1:], strict=True):
        full = cv2.resize(np.ascontiguousarray(channel), (width, height), interpolation=cv2.INTER_LINEAR)
        result[int(label)] = np.clip(full, 0, 1)
        between()
    return result
