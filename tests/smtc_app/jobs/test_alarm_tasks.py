"""Objects that no label explains, found on a small made-up video."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_app.core.annotation import ProposalMask
from smtc_app.core.commands import AddObject, SetLabels
from smtc_app.core.document import Document
from smtc_app.core.undo import UndoStack
from smtc_app.jobs import alarm_tasks
from smtc_app.jobs.alarm_tasks import find_new_objects_task
from smtc_app.jobs.context import Cancelled

H, W, FRAMES = 96, 128, 6


class Quiet:
    def __init__(self, cancel_at=None):
        self.cancel_at = cancel_at

    def progress(self, done, total, message=""):
        if self.cancel_at is not None and done >= self.cancel_at:
            raise Cancelled

    def cancelled(self):
        return False


def square(x, y, side=28):
    mask = np.zeros((H, W), bool)
    mask[y : y + side, x : x + side] = True
    return mask


@pytest.fixture(scope="module")
def video():
    """A red square all the time, a blue one from frame 3 on."""
    noise = np.random.default_rng(0).integers(0, 30, (H, W, 3), dtype=np.uint8)
    frames = []
    for index in range(FRAMES):
        frame = noise + np.uint8([30, 90, 40])
        frame[square(12, 12)] = (220, 40, 30)
        if index >= 3:
            frame[square(80, 50)] = (30, 50, 230)
        frames.append(frame)
    return frames


def packed(*masks):
    document = Document(1, (W, H))
    stack = UndoStack(document)
    labels = np.zeros((H, W), np.uint16)
    for number, mask in enumerate(masks, 1):
        stack.push(AddObject(object_id=number))
        labels[mask] = number
    stack.push(SetLabels(0, labels))
    return document.packed(0)


def find(video, frames, keyframes=(0,), ctx=None):
    return find_new_objects_task(
        ctx or Quiet(), video, frames, keyframes, model="colour-texture", device="cpu"
    )


def share(found, mask):
    return (found.proposal.mask & mask).sum() / mask.sum()


def test_what_appears_without_a_label_is_found(video):
    labels = packed(square(12, 12))
    found = find(video, dict.fromkeys((1, 3, 4, 5), labels))
    assert any(share(new, square(80, 50)) > 0.8 and new.frames == (3, 4, 5) for new in found)
    assert all(share(new, square(12, 12)) < 0.2 for new in found)


def test_what_is_labelled_is_no_news(video):
    found = find(video, dict.fromkeys((3, 4, 5), packed(square(12, 12), square(80, 50))))
    assert all(share(new, square(80, 50)) < 0.2 for new in found)


def test_what_a_keyframe_showed_unlabelled_is_no_news(video):
    found = find(video, dict.fromkeys((4, 5), None), keyframes=(0, 3))
    assert all(share(new, square(80, 50)) < 0.2 and share(new, square(12, 12)) < 0.2 for new in found)


def test_it_can_be_cancelled(video):
    with pytest.raises(Cancelled):
        find(video, dict.fromkeys((1, 2, 3), None), ctx=Quiet(cancel_at=1))


def test_the_same_thing_is_known_by_score_and_size():
    def proposal(score, side):
        return ProposalMask(0, 1, mask=square(0, 0, side), score=score)

    here = proposal(0.5, 20)
    assert alarm_tasks._was_seen(here, [proposal(0.4, 22)])
    assert not alarm_tasks._was_seen(here, [proposal(0.1, 22)])
    assert not alarm_tasks._was_seen(here, [proposal(0.6, 60)])
    assert not alarm_tasks._was_seen(here, [])
