"""A stroke while it is drawn: the label map as it will be, painted piece by piece. Pure numpy, no Qt.

Every piece is rasterised by `mask_ops.brush_stroke` on a crop around it, the function that the edit at the
end of the stroke uses on the whole path, and the labels shown last are what that edit takes (`finish`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from smtc_app.core import mask_ops
from smtc_app.core.annotation import Box
from smtc_app.ui.overlay import union
from smtc_app.ui.tools import Drawn
from smtc_app.ui.view_transform import intersection

REACH_PX = 2


class StrokePreview:
    """A writable copy of `labels`, uint16 (H, W), in which a brush of `value` (0 erases) goes on."""

    def __init__(
        self, labels: np.ndarray, value: int, radius_px: float, *, locked_ids: Collection[int] = ()
    ) -> None:
        self._before, self.labels = labels, labels.copy()
        self.box: Box | None = None
        """Around everything that has changed so far."""
        self._value, self._radius_px, self._locked_ids = value, radius_px, frozenset(locked_ids)

    def paint(self, piece: Sequence[tuple[float, float]]) -> Box | None:
        """Paint one point or one piece of the path, (x, y) in frame pixels; the box of what has changed."""
        xs, ys = zip(*piece, strict=True)
        reach = self._radius_px + REACH_PX
        height, width = self.labels.shape
        around = (
            math.floor(min(xs) - reach),
            math.floor(min(ys) - reach),
            math.ceil(max(xs) + reach),
            math.ceil(max(ys) + reach),
        )
        crop = intersection(around, (0, 0, width, height))
        if crop is None:
            return None
        x0, y0, x1, y1 = crop
        part = self.labels[y0:y1, x0:x1]
        edited = mask_ops.brush_stroke(
            part,
            [(x - x0, y - y0) for x, y in piece],
            self._radius_px,
            self._value,
            locked_ids=self._locked_ids,
        )
        if edited.box is None:
            return None
        part[:] = edited.labels
        left, top, right, bottom = edited.box
        changed = (x0 + left, y0 + top, x0 + right, y0 + bottom)
        self.box = union((self.box, changed))
        return changed

    def finish(self) -> Drawn:
        """What has been drawn; nothing more can be."""
        self.labels.setflags(write=False)
        return Drawn(self._before, self.labels, self._value, self.box)
