"""What an edit of one frame comes to, from its pixels alone: in any thread, before a document changes.

The pixels of an edit take milliseconds a frame, what follows from them (`edit.Edit`) nearly none. An edit of
many frames is therefore worked out part by part elsewhere, and done at once. To let a command be worked out
ahead: give it `parts(document)` and `take(part, change)`, as `AcceptProposals` has.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from smtc_app.core.mask_store import MaskStore, PackedMask

_FEW = 8
"""Up to so many objects are looked for one by one."""


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
    store: MaskStore, before: np.ndarray, labels: np.ndarray, *, edited: Collection[int] = ()
) -> LabelChange | None:
    """The change from one label map, uint16 (H, W), to another; None where there is none.

    edited: further objects that the edit is about.
    """
    changed = labels != before
    if not changed.any():
        return None
    gained, lost = _ids(labels[changed]), _ids(before[changed])
    open_questions = sorted({*lost, *edited}.difference(gained))
    if len(open_questions) <= _FEW:
        gone = {object_id for object_id in open_questions if not (labels == object_id).any()}
    else:
        gone = set(open_questions).difference(_ids(labels.ravel()))
    return LabelChange(store.pack(labels), gained, lost, frozenset(gone))


def _ids(values: np.ndarray) -> tuple[int, ...]:
    """The labels among `values`, without the background."""
    return tuple((np.flatnonzero(np.bincount(values, minlength=1)[1:]) + 1).tolist())
