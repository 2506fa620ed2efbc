"""How the light changes over a video: what a camera's exposure, a dimmer or a cloud does to all colours.

What an object looks like is remembered in colours, and colours that fade are another thing's. So each frame's
light is measured against the frame before, on places that flow believes, and summed up since the first one.

Letters: H x W pixels of the grid on which it is measured.
"""

from __future__ import annotations

import cv2
import numpy as np

_DARKEST, _BRIGHTEST = 16, 240
"""Values in between tell how much light there is; others may be cut off."""
_LEAST_SHARE = 0.3
"""Of the frame that has to tell something."""
_MOST_STEP = 1.5
"""Logarithm between two frames; more is no longer told from clipping."""
_UNNOTICED = 0.03
"""Logarithm up to which nothing is changed."""
_FORGETTING = 0.995
"""What is left of a change after each frame: the target model learns the new colours in the meantime, and
what is measured wrongly, up to .0004 a frame on real footage, does not add up."""


class Exposure:
    """Light of the frame seen last against the first one."""

    def __init__(self) -> None:
        self._change = np.zeros(3)  # logarithm, red, green, blue

    def see(self, previous: np.ndarray, current: np.ndarray, flow: np.ndarray, believed: np.ndarray) -> None:
        """Two frames uint8 (H,W,3) RGB; flow (2,H,W) from the current one to the previous, dy and dx in
        pixels, and where it can be believed, bool (H,W)."""
        self._change *= _FORGETTING
        y, x = np.mgrid[: current.shape[0], : current.shape[1]].astype(np.float32)
        before = cv2.remap(previous, x + flow[1], y + flow[0], cv2.INTER_LINEAR)
        told = believed & (np.minimum(before, current).min(2) >= _DARKEST)
        told &= np.maximum(before, current).max(2) <= _BRIGHTEST
        if np.count_nonzero(told) < _LEAST_SHARE * told.size:
            return
        step = np.median(np.log(current[told] / before[told].astype(np.float32)), 0)
        if np.abs(step).max() <= _MOST_STEP:
            self._change += step

    def undone(self, frame: np.ndarray) -> np.ndarray:
        """The frame uint8 (H,W,3) in the light of the first one."""
        change = np.sign(self._change) * np.maximum(np.abs(self._change) - _UNNOTICED, 0)
        if not change.any():
            return frame
        table = np.clip(np.arange(256)[:, None] * np.exp(-change), 0, 255).round().astype(np.uint8)
        return cv2.LUT(frame, table[:, None])
