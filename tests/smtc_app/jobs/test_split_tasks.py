"""A split carried over a small made-up video."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.commands import AddObject, SetLabels
from smtc_app.core.document import Document
from smtc_app.core.undo import UndoStack
from smtc_app.jobs.split_tasks import divided, extend_split_task

H, W, FRAMES = 96, 128, 4


class Context:
    def __init__(self):
        self.partials = {}

    def progress(self, done, total, message=""):
        pass

    def partial(self, message):
        self.partials[message[0]] = message[1]

    def cancelled(self):
        return False


def halves(frame):
    """Two blocks side by side, moving right: ids 1 and 2."""
    labels = np.zeros((H, W), np.uint16)
    x = 20 + 6 * frame
    labels[30:66, x : x + 24], labels[30:66, x + 24 : x + 48] = 1, 2
    return labels


def test_every_pixel_goes_to_the_nearest_part():
    mask, parts = np.zeros((20, 40), bool), np.zeros((20, 40), np.uint16)
    mask[5:15, 5:35] = True
    parts[8, 7], parts[8, 30], parts[0, 0] = 3, 9, 7
    found = divided(mask, parts)
    assert (found[mask] != 0).all()
    assert not found[~mask].any()
    assert (found[5:15, 5:18] == 3).all()
    assert (found[5:15, 20:35] == 9).all()


@pytest.mark.parametrize("mask", [np.zeros((6, 8), bool), np.ones((6, 8), bool)])
def test_without_a_part_there_is_nothing_to_divide(mask):
    assert not divided(mask, np.zeros((6, 8), np.uint16)).any()


def test_parts_follow_the_object_and_together_are_the_object():
    noise = np.random.default_rng(0).integers(0, 30, (H, W, 3), dtype=np.uint8)
    video = []
    document = Document(FRAMES, (W, H))
    stack = UndoStack(document)
    stack.push(AddObject(object_id=1))
    for index in range(FRAMES):
        frame, labels = noise + np.uint8([30, 90, 40]), halves(index)
        frame[labels == 1], frame[labels == 2] = (220, 40, 30), (40, 60, 220)
        video.append(frame)
        stack.push(SetLabels(index, (labels > 0).astype(np.uint16)))
    ctx = Context()
    masks = {index: document.packed(index) for index in (0, 2, 3)}
    count = extend_split_task(ctx, video, 1, halves(1), masks, 1, model="colour-texture", device="cpu")
    assert count == 3
    assert sorted(ctx.partials) == [0, 2, 3]
    for index, found in ctx.partials.items():
        truth = halves(index)
        assert np.array_equal(found > 0, truth > 0)
        assert (found == truth)[truth > 0].mean() > 0.9
