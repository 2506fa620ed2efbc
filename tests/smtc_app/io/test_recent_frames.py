"""A reader that lags behind finds the frames that another one has read."""

from __future__ import annotations

import numpy as np

from smtc_app.io.recent_frames import RecentFrames


class Counted:
    path = "clip.mp4"

    def __init__(self) -> None:
        self.reads: list[int] = []

    def __len__(self) -> int:
        return 50

    def __getitem__(self, index: int) -> np.ndarray:
        self.reads.append(index)
        return np.full((2, 2, 3), index, np.uint8)


def test_frames_read_shortly_before_are_not_read_again():
    source = Counted()
    recent = RecentFrames(source, count=3)
    for index in (0, 1, 2, 0, 1, 2, 3, 1):
        assert recent[index][0, 0, 0] == index
    assert source.reads == [0, 1, 2, 3]
    assert recent[0][0, 0, 0] == 0
    assert source.reads == [0, 1, 2, 3, 0]
    assert (len(recent), recent.path) == (50, "clip.mp4")
