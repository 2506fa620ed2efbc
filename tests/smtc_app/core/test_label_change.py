"""What an edit comes to, found inside of the box that it changed."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.annotation import mask_box
from smtc_app.core.label_change import compare_labels
from smtc_app.core.mask_store import MaskStore

SHAPE = (150, 90)


def plainly(before, labels, edited):
    """(gained, lost, gone) pixel by pixel."""
    changed = before != labels
    gained = set(labels[changed].tolist()) - {0}
    lost = set(before[changed].tolist()) - {0}
    return gained, lost, {i for i in (lost | set(edited)) - gained if i not in labels}


@pytest.mark.parametrize("highest", [3, 12, 255, 256, 65534])
def test_a_change_is_the_same_with_and_without_its_box(highest):
    rng = np.random.default_rng(highest)
    store = MaskStore(SHAPE)
    for _ in range(20):
        ids = np.unique(rng.integers(0, highest, 12, endpoint=True)).astype(np.uint16)
        before = np.repeat(np.repeat(rng.choice(ids, (15, 9)), 10, 0), 10, 1)
        labels = before.copy()
        x0, x1 = np.sort(rng.integers(0, SHAPE[1], 2))
        y0, y1 = np.sort(rng.integers(0, SHAPE[0], 2))
        labels[y0 : y1 + 1, x0 : x1 + 1] = rng.choice(ids)
        if rng.random() < 0.3:
            labels[labels == rng.choice(ids)] = 0
        edited = (int(ids[-1]), highest)
        box = mask_box(before != labels)
        whole = compare_labels(store, before, labels, edited=edited)
        if box is None:
            assert whole is None
            continue
        inside = compare_labels(store, before, labels, edited=edited, box=box)
        gained, lost, gone = plainly(before, labels, edited)
        for change in (whole, inside):
            assert (set(change.gained), set(change.lost), change.gone) == (gained, lost, gone)
            assert list(change.gained) == sorted(change.gained)
            found = store.empty if change.mask is None else change.mask.labels()
            assert np.array_equal(found, labels)


def test_nothing_but_the_box_is_looked_at():
    store = MaskStore(SHAPE)
    before = np.zeros(SHAPE, np.uint16)
    labels = before.copy()
    labels[10:20, 10:20] = 1
    labels[100, 80] = 2
    assert compare_labels(store, before, labels, box=(10, 10, 20, 20)).gained == (1,)
    assert compare_labels(store, before, labels, box=(30, 30, 40, 40)) is None
