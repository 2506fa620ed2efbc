"""What an edit of one frame comes to, from its pixels alone: in any thread, before a document changes.

The pixels of an edit take milliseconds a frame, what follows from them (`edit.Edit`) nearly none. An edit of
many frames is therefore worked out part by part elsewhere, and done at once. To let a command be worked out
ahead: give it `parts(document)` and `take(part, change)`, as `AcceptProposals` has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import cv2
import numpy as np

from smtc_app.core.annotation import Box
from smtc_app.core.mask_store import MaskStore, PackedMask

_FEW = 8
"""Up to so many objects are looked for one by one."""
_LARGEST_BYTE = 255
_BAND_ROWS = 64


class LabelChange(NamedTuple):
    """New labels of a frame and how they differ from those before.

    mask     the new labels; None where nothing is labelled any more
    gained   objects with pixels that they had not before
    lost     objects that had pixels which others, or nobody, have now
    gone     those of `lost`, and of the edited ones, that have no pixel
    """

    mask: PackedMask | None
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    gone: frozenset[int]


def compare_labels(
    store: MaskStore,
    before: np.ndarray,
    labels: np.ndarray,
    *,
    edited: Collection[int] = (),
    box: Box | None = None,
) -> LabelChange | None:
    """The change from one label map, uint16 (H, W), to another; None where there is none.

    edited: further objects that the edit is about.
    box: where they differ, (x0, y0, x1, y1) half-open, which saves looking elsewhere; None: anywhere.
    """
    x0, y0, x1, y1 = box or (0, 0, labels.shape[1], labels.shape[0])
    was, now = before[y0:y1, x0:x1], labels[y0:y1, x0:x1]
    gained, lost, same = _exchanged(was, now)
    if same:
        return None
    open_questions = sorted({*lost, *edited}.difference(gained))
    if len(open_questions) <= _FEW:
        gone = {object_id for object_id in open_questions if not _shows(labels, object_id)}
    else:
        gone = set(open_questions).difference(_ids(labels))
    return LabelChange(store.pack(labels), gained, lost, frozenset(gone))


def _shows(labels: np.ndarray, object_id: int) -> bool:
    """Whether an object has a pixel."""
    bands = range(0, len(labels), _BAND_ROWS)
    return any(bool((labels[start : start + _BAND_ROWS] == object_id).any()) for start in bands)


def _exchanged(was: np.ndarray, now: np.ndarray) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """(labels of the pixels that changed as they are now, as they were, whether none changed)."""
    bins = 1 + max(int(was.max(initial=0)), int(now.max(initial=0)))
    gained, lost = np.zeros(bins), np.zeros(bins)
    for rows in _bands(len(now)):
        changed = now[rows] != was[rows]
        if changed.any():
            gained += _counts(now[rows], changed, bins)
            lost += _counts(was[rows], changed, bins)
    return _present(gained), _present(lost), not gained.any()


def _ids(labels: np.ndarray) -> tuple[int, ...]:
    """The labels of all pixels, sorted, without the background."""
    bins = 1 + int(labels.max(initial=0))
    return _present(sum(_counts(labels[rows], None, bins) for rows in _bands(len(labels))))


def _bands(height: int) -> Iterator[slice]:
    """Rows that stay in the processor's cache: on large frames, getting memory takes longer than the work."""
    for start in range(0, height, _BAND_ROWS):
        yield slice(start, start + _BAND_ROWS)


def _counts(band: np.ndarray, where: np.ndarray | None, bins: int) -> np.ndarray:
    """Pixels of each label below `bins`, of all or of those `where` bool (h, w) says."""
    if bins <= _LARGEST_BYTE + 1:
        # A quarter of the time of bincount, which makes an index of 8 bytes of every pixel first.
        mask = None if where is None else where.view(np.uint8)
        return cv2.calcHist([band.astype(np.uint8)], [0], mask, [bins], [0, bins]).ravel()
    return np.bincount(band.ravel() if where is None else band[where], minlength=bins)


def _present(counts: np.ndarray) -> tuple[int, ...]:
    return tuple((np.flatnonzero(counts[1:]) + 1).tolist())
