"""What the tools of the canvas and the menu do to the labels of a frame, ready to be done here or in any
thread. Pure functions, no Qt; the pixels are the business of `core.mask_ops`.

To add an operation of the menu: a row in `REFINEMENTS`, and an action of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from smtc_app.core import mask_ops, mask_smoothing
from smtc_app.core.annotation import MAX_OBJECT_ID
from smtc_app.core.frame_regions import FrameRegions
from smtc_app.ui.tools import Drawn

Change = Callable[[np.ndarray, int, Collection[int]], mask_ops.Edited]
"""(labels, value, ids that are locked) -> the labels with what a tool has drawn."""

SPECK_AREA_PX = 64
GROW_PX = 1
_NOBODY = MAX_OBJECT_ID + 1
"""A label that no object has."""


def stroke(
    points: Sequence[mask_ops.Point],
    radius_px: float,
    drawn: Drawn | None,
    labels: np.ndarray,
    value: int,
    locked: Collection[int],
) -> mask_ops.Edited:
    """Brush (or, with value 0, eraser) through `points` (x, y); `drawn` if that is just what was shown."""
    if (
        drawn is not None
        and drawn.value == value
        and (drawn.before is labels or np.array_equal(drawn.before, labels))
    ):
        return mask_ops.Edited(drawn.labels, drawn.box)
    return mask_ops.brush_stroke(labels, points, radius_px, value, locked_ids=locked)


def polygon(
    points: Sequence[mask_ops.Point], labels: np.ndarray, value: int, locked: Collection[int]
) -> mask_ops.Edited:
    """The inside of a polygon or lasso with corners `points` (x, y)."""
    return mask_ops.fill_polygon(labels, points, value, locked_ids=locked)


def flood(
    seed: tuple[int, int],
    image: np.ndarray | None,
    tolerance: int,
    labels: np.ndarray,
    value: int,
    locked: Collection[int],
) -> mask_ops.Edited:
    """What is connected to the pixel `seed` (x, y), of its label and about its colour."""
    return mask_ops.flood_fill(labels, seed, value, image=image, tolerance=tolerance, locked_ids=locked)


def region(
    regions: FrameRegions,
    points: Sequence[tuple[int, int]],
    step: int,
    labels: np.ndarray,
    value: int,
    locked: Collection[int],
) -> mask_ops.Edited:
    """What belongs together at some pixels (x, y), as far as it has no label or that of the first of them:
    other objects keep theirs. With value 0 it is taken away from the object at the first."""
    x, y = points[0]
    theirs = labels == labels[y, x]
    if value:
        theirs |= labels == 0
    theirs &= regions.part(points, step)
    return mask_ops.set_mask(labels, theirs, value, locked_ids=locked)


def shaped(change: Change, value: int, labels: np.ndarray, locked: Collection[int]) -> np.ndarray:
    """The labels with what a tool has drawn in `value`."""
    return change(labels, value, locked).labels


def labels_under(labels: np.ndarray, change: Change) -> set[int]:
    """The labels, 0 for the background, of the pixels that a tool covers."""
    covered = change(labels, _NOBODY, ())
    if covered.box is None:
        return set()
    return set(np.unique(labels[covered.labels == _NOBODY]).tolist())


def _smooth(labels: np.ndarray, object_id: int, *, locked_ids: Collection[int]) -> mask_ops.Edited:
    radius_px = mask_smoothing.smoothing_radius(labels.shape)
    return mask_smoothing.smooth(labels, object_id, radius_px, locked_ids=locked_ids)


REFINEMENTS: dict[str, tuple[str, Callable[..., mask_ops.Edited], tuple[int, ...]]] = {
    "fill_holes": ("Fill holes of", mask_ops.fill_holes, ()),
    "remove_specks": ("Remove specks of", mask_ops.remove_specks, (SPECK_AREA_PX,)),
    "grow": ("Grow", mask_ops.grow, (GROW_PX,)),
    "shrink": ("Shrink", mask_ops.shrink, (GROW_PX,)),
    "smooth": ("Smooth", _smooth, ()),
}
"""Action -> what it says, what it does, and with what."""


def refined(what: str, ids: Sequence[int], labels: np.ndarray, locked: Collection[int]) -> np.ndarray:
    """The labels after one of `REFINEMENTS` of some objects."""
    _, operation, arguments = REFINEMENTS[what]
    for object_id in ids:
        labels = operation(labels, object_id, *arguments, locked_ids=locked).labels
    return labels
