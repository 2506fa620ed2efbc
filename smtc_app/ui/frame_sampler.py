"""The picture at the resolution of the screen: averaged when it is made smaller, smooth when a little larger,
whole pixels when they are large enough to be told apart.

Shrinking by area average shows what the footage shows (no flicker of thin lines while zooming out). A whole
picture of moderate size is scaled once a frame and zoom, so that panning and repainting are copies.
"""

from __future__ import annotations

import cv2
import numpy as np

from smtc_app.ui.view_transform import Region, ViewTransform, intersection

SMOOTH_BELOW = 3.0
"""From this many view pixels a frame pixel on, pixels are drawn as squares: masks are made of them."""
KEPT_PX = 6_000_000
"""Enlarged pictures up to this many view pixels are kept whole."""


class FrameSampler:
    """One frame, uint8 (H, W, 3) RGB, rendered as uint32 0xFFRRGGBB."""

    def __init__(self, frame: np.ndarray) -> None:
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"frame must be uint8 (H, W, 3), got {frame.dtype} {frame.shape}")
        self._pixels = cv2.cvtColor(frame, cv2.COLOR_RGB2BGRA).view(np.uint32)[..., 0]
        self._resized: np.ndarray | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in frame pixels."""
        return self._pixels.shape[1], self._pixels.shape[0]

    def render(self, view: ViewTransform, region: Region) -> np.ndarray:
        """uint32 (h, w) of a region of the view, 0 outside of the frame; to be read only."""
        covered = view.frame_region(self.size)
        part = intersection(region, covered)
        width, height = covered[2] - covered[0], covered[3] - covered[1]
        smooth = view.scale != 1 and view.scale < SMOOTH_BELOW
        kept = smooth and (view.scale < 1 or width * height <= KEPT_PX)
        if part == region and kept:
            # As it is, without a copy: the common case of the whole frame in sight.
            return self._kept(covered, part)
        result = np.zeros((region[3] - region[1], region[2] - region[0]), np.uint32)
        if part is None:
            return result
        x0, y0, x1, y1 = part
        target = result[y0 - region[1] : y1 - region[1], x0 - region[0] : x1 - region[0]]
        if kept:
            target[:] = self._kept(covered, part)
        elif smooth:
            target[:] = self._interpolated(view, part)
        else:
            width, height = self.size
            rows, columns = view.rows(y0, y1, height), view.columns(x0, x1, width)
            first = int(columns[0])
            block = self._pixels[int(rows[0]) : int(rows[-1]) + 1, first : int(columns[-1]) + 1]
            # Columns first: there are fewer rows to do before they are repeated.
            wide = np.take(block, columns - first, axis=1, mode="clip")
            np.take(wide, rows - int(rows[0]), axis=0, out=target, mode="clip")
        return result

    def _kept(self, covered: Region, part: Region) -> np.ndarray:
        """A part of the scaled picture that covers `covered`."""
        resized = self._resized_to(covered[2] - covered[0], covered[3] - covered[1])
        return resized[
            part[1] - covered[1] : part[3] - covered[1], part[0] - covered[0] : part[2] - covered[0]
        ]

    def _interpolated(self, view: ViewTransform, part: Region) -> np.ndarray:
        x0, y0, x1, y1 = part
        step = 1 / view.scale
        # OpenCV's coordinates are those of pixel centres, hence the halves.
        to_source = np.array(
            [
                [step, 0, (x0 + 0.5 - view.x) * step - 0.5],
                [0, step, (y0 + 0.5 - view.y) * step - 0.5],
            ]
        )
        channels = self._pixels.view(np.uint8).reshape(*self._pixels.shape, 4)
        smooth = cv2.warpAffine(
            channels,
            to_source,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return smooth.view(np.uint32)[..., 0]

    def _resized_to(self, width: int, height: int) -> np.ndarray:
        if self._resized is None or self._resized.shape != (height, width):
            channels = self._pixels.view(np.uint8).reshape(*self._pixels.shape, 4)
            # Halving by averages, then a bilinear rest: a tenth of the time of averaging over fractions.
            while width * 2 <= channels.shape[1] and height * 2 <= channels.shape[0]:
                half = max(width, channels.shape[1] // 2), max(height, channels.shape[0] // 2)
                channels = cv2.resize(channels, half, interpolation=cv2.INTER_AREA)
            scaled = cv2.resize(channels, (width, height), interpolation=cv2.INTER_LINEAR)
            self._resized = np.ascontiguousarray(scaled).view(np.uint32)[..., 0]
        return self._resized
