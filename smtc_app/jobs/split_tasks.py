"""A split carried over the video: what the parts become on other frames that show the same object.

The parts are propagated like objects of their own, and every pixel of the object goes to the part that it is
nearest to, so that together the parts are what the object was, to the pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from smtc_app.jobs import tasks
from smtc_app.jobs.context import TaskContext

if TYPE_CHECKING:
    from smtc_app.core.mask_store import PackedMask
    from smtc_app.io.source import FrameSource


def divided(mask: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """The pixels of `mask` bool (H,W) among the ids of `parts` uint16 (H,W): each to the nearest, 0 outside.

    All zero where no part reaches the mask.
    """
    result = np.zeros_like(parts)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return result
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = np.where(mask[window], parts[window], 0)
    if not inside.any():
        return result
    _, nearest = cv2.distanceTransformWithLabels(
        (inside == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros(int(nearest.max()) + 1, parts.dtype)
    known = inside != 0
    table[nearest[known]] = inside[known]
    result[window] = np.where(mask[window], table[nearest], 0)
    return result


def extend_split_task(
    ctx: TaskContext,
    source: FrameSource,
    frame: int,
    parts: np.ndarray,
    masks: Mapping[int, PackedMask],
    object_id: int,
    **settings: Any,
) -> int:
    """Hand over (frame, parts uint16 (H,W)) for every frame of `masks` that a part reaches; returns how many.

    Args:
        parts: ids of the parts on `frame`, 0 elsewhere.
        masks: labels of the other frames, in which the object still has its id.
        settings: what `tasks.propagate_task` takes (model, preset, device, cache).

    Raises UserError and Cancelled as propagating does; what was handed over before stays.
    """
    count = 0

    def hand_over(propagated: Any) -> None:
        nonlocal count
        packed = masks.get(propagated.index)
        if packed is None:
            return
        found = divided(packed.labels() == object_id, propagated.labels)
        if found.any():
            found.setflags(write=False)
            count += 1
            ctx.partial((propagated.index, found))

    span = min(frame, *masks), max(frame, *masks) + 1
    tasks.propagate_task(
        _Dividing(ctx, hand_over), source, {frame: parts}, direction="both", span=span, **settings
    )
    return count


class _Dividing:
    """The context of this task for the one that propagates: what that hands over is divided first."""

    def __init__(self, ctx: TaskContext, hand_over: Callable[[Any], None]) -> None:
        self.progress, self.cancelled, self.partial = ctx.progress, ctx.cancelled, hand_over
