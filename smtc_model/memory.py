"""What the propagation remembers: a bounded number of frames with their features and labels.

Keyframes stay, recent frames go around in a ring; everything lies in two preallocated buffers, so that a step
neither allocates nor copies what is remembered, whatever the length of the video.

Letters: h x w tokens, c x c cells of a token, C feature channels, L label channels (the background's first).
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class MemoryView(NamedTuple):
    """The buffers, and which of their slots are filled."""

    features: Tensor
    """(N,h,w,C)"""
    labels: Tensor
    """(N,h,w,L)"""
    slots: tuple[int, ...]
    """The n filled ones, keyframes first."""
    is_keyframe: tuple[bool, ...]
    """Of each of the n."""


class LabelMemory:
    """Keyframes in the first `max_keyframes` slots, recent frames in a ring behind them."""

    def __init__(self, *, max_keyframes: int, recent_frames: int) -> None:
        self._max_keyframes = max_keyframes
        self._recent = recent_frames
        self._features: Tensor | None = None
        self._labels: Tensor | None = None
        self._frame_of_slot: dict[int, int] = {}
        self._next_recent = 0

    @property
    def capacity(self) -> int:
        """Most frames that are remembered at once."""
        return self._max_keyframes + self._recent

    @property
    def frames(self) -> dict[int, int]:
        """Slot -> frame index."""
        return dict(self._frame_of_slot)

    def add_keyframe(self, index: int, features: Tensor, labels: Tensor, *, now: int) -> int:
        """Keep for good; where there is no room, the keyframe furthest in time from `now` gives way.

        features (h,w,C), labels (h,w,L). Returns the slot.
        """
        taken = {s: i for s, i in self._frame_of_slot.items() if s < self._max_keyframes}
        same = [s for s, i in taken.items() if i == index]
        free = [s for s in range(self._max_keyframes) if s not in taken]
        slot = (same or free or [max(taken, key=lambda s: abs(taken[s] - now))])[0]
        self._put(slot, index, features, labels)
        return slot

    def add_recent(self, index: int, features: Tensor, labels: Tensor) -> int:
        """Keep until `recent_frames` newer ones came. Returns the slot."""
        slot = self._max_keyframes + self._next_recent
        self._next_recent = (self._next_recent + 1) % self._recent
        self._put(slot, index, features, labels)
        return slot

    def forget_recent(self) -> None:
        """Empty the ring; keyframes stay."""
        self._frame_of_slot = {s: i for s, i in self._frame_of_slot.items() if s < self._max_keyframes}
        self._next_recent = 0

    def view(self) -> MemoryView:
        """Everything remembered, without a copy."""
        slots = tuple(sorted(self._frame_of_slot))
        assert slots, "nothing was remembered yet"
        assert self._features is not None
        assert self._labels is not None
        keyframe = tuple(s < self._max_keyframes for s in slots)
        return MemoryView(self._features, self._labels, slots, keyframe)

    def _put(self, slot: int, index: int, features: Tensor, labels: Tensor) -> None:
        if self._features is None:
            self._features = features.new_zeros((self.capacity, *features.shape))
            self._labels = labels.new_zeros((self.capacity, *labels.shape))
        assert self._labels is not None
        if labels.shape[-1] > self._labels.shape[-1]:  # objects that enter later; nobody had them before
            grown = labels.new_zeros((*self._labels.shape[:-1], labels.shape[-1]))
            grown[..., : self._labels.shape[-1]] = self._labels
            self._labels = grown
        self._features[slot] = features
        self._labels[slot] = labels
        self._frame_of_slot[slot] = index


def packed(maps: Tensor, cells: int) -> Tensor:
    """(L,h*c,w*c) -> (h,w,L*c*c): the labels in each token's cells as its channels, label by label."""
    return F.pixel_unshuffle(maps, cells).permute(1, 2, 0)


def unpacked(labels: Tensor, cells: int) -> Tensor:
    """(h,w,L*c*c) -> (L,h*c,w*c), see `packed`."""
    return F.pixel_shuffle(labels.permute(2, 0, 1), cells)
