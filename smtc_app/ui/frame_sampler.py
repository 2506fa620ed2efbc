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

    def __init__(self, frame: np.ndarray, *, before: FrameSampler | None = None) -> None:
        """`before` is a sampler that is not going to be used any more: its memory is."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
            raise ValueError(f"frame must be uint8 (H, W, 3), got {frame.dtype} {frame.shape}")
        self._frame = np.ascontiguousarray(frame)
        self._resized: np.ndarray | None = None
        self._spare = None if before is None else before._give_up()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in frame pixels."""
        return self._frame.shape[1], self._frame.shape[0]

    def render(self, view: ViewTransform, region: Region, into: np.ndarray | None = None) -> np.ndarray:
        """uint32 (h, w) of a region of the view, 0 outside of the frame; `into` is an array to draw it in."""
        shape = region[3] - region[1], region[2] - region[0]
        result = np.empty(shape, np.uint32) if into is None else into
        covered = view.frame_region(self.size)
        part = intersection(region, covered)
        if part != region:
            result[:] = 0
        if part is None:
            return result
        x0, y0, x1, y1 = part
        target = result[y0 - region[1] : y1 - region[1], x0 - region[0] : x1 - region[0]]
        smooth = view.scale != 1 and view.scale < SMOOTH_BELOW
        if smooth:
            width, height = covered[2] - covered[0], covered[3] - covered[1]
            kept = view.scale < 1 or width * height <= KEPT_PX
            _pack(self._kept(covered, part) if kept else self._interpolated(view, part), target)
        else:
            width, height = self.size
            rows, columns = view.rows(y0, y1, height), view.columns(x0, x1, width)
            top, left = int(rows[0]), int(columns[0])
            seen = self._frame[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
            block = np.empty(seen.shape[:2], np.uint32)
            _pack(seen, block)
            # Columns first: there are fewer rows to do before they are repeated.
            wide = np.take(block, columns - left, axis=1, mode="clip")
            np.take(wide, rows - top, axis=0, out=target, mode="clip")
        return result

    def _kept(self, covered: Region, part: Region) -> np.ndarray:
        """A part, RGB, of the scaled picture that covers `covered`."""
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
        return cv2.warpAffine(
            self._frame,
            to_source,
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def _give_up(self) -> np.ndarray | None:
        spare, self._resized, self._spare = (
            self._spare if self._resized is None else self._resized,
            None,
            None,
        )
        return spare

    def _resized_to(self, width: int, height: int) -> np.ndarray:
        if self._resized is None or self._resized.shape[:2] != (height, width):
            pixels, spare = self._frame, self._spare
            self._spare = None
            # Halving by averages, then a bilinear rest: a tenth of the time of averaging over fractions.
            while width * 2 <= pixels.shape[1] and height * 2 <= pixels.shape[0]:
                half = max(width, pixels.shape[1] // 2), max(height, pixels.shape[0] // 2)
                pixels = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
            if spare is not None and spare.shape[:2] != (height, width):
                spare = None
            self._resized = cv2.resize(pixels, (width, height), spare, interpolation=cv2.INTER_LINEAR)
        return self._resized


def _pack(rgb: np.ndarray, target: np.ndarray) -> None:
    """Write uint8 (h, w, 3) as uint32 (h, w) 0xFFRRGGBB."""
    channels = target.view(np.uint8).reshape(*target.shape, 4)
    cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA, channels)
