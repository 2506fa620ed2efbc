"""One call of `propagation.propagate`: which frames are visited in which order, ahead of time and resumable.

Three things go on at once, each in a thread of its own unless that is turned off: frames are read and
described, labels are matched, and the caller's thread refines them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .background import in_background
from .frame_features import FrameFeatures
from .label_check import KeyframeCheck
from .propagation import Frames, PropagatedFrame, Propagator, TakeSoft, blend
from .propagation_config import PropagationConfig
from .run_record import RunRecord, RunState, freeze, thaw
from .soft_maps import native_probabilities
from .soft_store import SoftLabels, SoftStore

T = TypeVar("T")

AHEAD = 2
"""Frames that reading and features, and again matching, may be ahead of what follows them."""


class _CancelledError(Exception):
    """The run was cancelled within a step."""


class _Step(NamedTuple):
    """A frame after matching: what is known of it, and the keyframe it follows."""

    index: int
    source: int
    soft: SoftLabels
    frame: np.ndarray
    features: Tensor
    state: RunState | None
    """Of the run after this frame, when it is due."""


class PropagationRun:
    """One call of `propagate`: its inputs, and the three ways through them."""

    def __init__(
        self,
        model: nn.Module,
        frames: Frames,
        keyframes: dict[int, np.ndarray],
        config: PropagationConfig,
        device: torch.device,
        objects: set[int] | None,
        cancelled: Callable[[], bool],
        *,
        features: FrameFeatures,
        overlap: bool,
        check: bool,
        record: RunRecord | None,
    ) -> None:
        self._record = record
        self._resumed = None if record is None else record.load()
        self._features = features
        self._overlap = overlap
        self.take_soft: TakeSoft | None = None

        # Neither of them knows the run, or what it holds would outlive it until cycles are looked for.
        def end_if_cancelled() -> None:
            if cancelled():
                raise _CancelledError

        def described(index: int) -> tuple[Tensor, np.ndarray]:
            return features(index, frames[index]), keyframes[index]

        self._end_if_cancelled = end_if_cancelled
        self._check = KeyframeCheck(described, between=end_if_cancelled) if check else None
        self._frames = frames
        self._keyframes = keyframes
        self._config = config
        self._objects = objects
        self._cancelled = cancelled
        labels = {0}.union(*(np.unique(truth).tolist() for truth in keyframes.values()))
        fitted = config.for_labels(len(labels))
        self._new = lambda: Propagator(model, config=fitted, device=device)

    def one_way(self, start: int, stop: int, *, backward: bool) -> Iterator[PropagatedFrame]:
        """Frames of [start, stop) behind the first keyframe in that direction."""
        propagator = self._new()
        walk = self._walk(propagator, start, stop, backward=backward, resumable=True)
        with closing(self._ahead(walk, "matching")) as steps:
            for step in steps:
                try:
                    frame = self._frame(propagator, step, (step.source,))
                except _CancelledError:
                    return
                yield frame
                self._save(step)

    def both_ways(self, start: int, stop: int) -> Iterator[PropagatedFrame]:
        """Before the first keyframe backward, between two of them blended, after the last forward."""
        keys = sorted(self._keyframes)
        if start < keys[0] and (self._resumed is None or self._resumed.backward):
            yield from self.one_way(start, min(stop, keys[0]), backward=True)
        forward = self._new()
        walk = self._there_and_back(forward, max(start, keys[0]), stop)
        with closing(self._ahead(walk, "matching")) as steps:
            for step, sources in steps:
                try:
                    frame = self._frame(forward, step, sources)
                except _CancelledError:
                    return
                yield frame
                self._save(step)

    def _there_and_back(
        self, forward: Propagator, start: int, stop: int
    ) -> Iterator[tuple[_Step, tuple[int, ...]]]:
        """Steps of [start, stop) with the keyframes that they come from, blended where there are two."""
        keys = sorted(self._keyframes)
        store, right = None, None
        try:
            for step in self._walk(forward, start, stop, backward=False, resumable=True):
                index, left = step.index, step.source
                following = next((key for key in keys if key > index), None)
                if following is None:
                    yield step, (left,)
                    continue
                if right != following:  # the first frame of a gap: come back through it from its far end
                    right = following
                    if store is not None:
                        store.close()
                    store = self._remember_backward(max(index, start), right)
                    if store is None:
                        return
                other = store.pop(index)
                other = other._replace(soft=other.soft.to(step.soft.soft.device))
                blended = blend(step.soft, other, (index - left) / (right - left), forward.ids)
                yield step._replace(soft=blended), (left, right)
        finally:
            if store is not None:
                store.close()

    def _remember_backward(self, first: int, keyframe: int) -> SoftStore | None:
        """Soft labels of [first, keyframe) coming from the keyframe; None when cancelled."""
        store = SoftStore()
        propagator = self._new()
        for step in self._walk(propagator, first, keyframe, backward=True, last=keyframe):
            store.put(step.index, step.soft)
        if self._cancelled():
            store.close()
            return None
        return store

    def _walk(
        self,
        propagator: Propagator,
        start: int,
        stop: int,
        *,
        backward: bool,
        last: int | None = None,
        resumable: bool = False,
    ) -> Iterator[_Step]:
        """All frames of [start, stop) that can be reached, in order.

        Earlier keyframes are learnt first, without walking from one to the next. last: the keyframe where a
        backward walk begins. resumable: this is what is saved, and gone on with.
        """
        propagator.between = self._end_if_cancelled
        sign = -1 if backward else 1
        keys = sorted(self._keyframes, key=lambda key: sign * key)
        begin = stop - 1 if backward else start
        known = [key for key in keys if sign * key <= sign * begin]
        if last is not None:
            known = [last]
        if not known:  # the first keyframe lies inside the span
            known = keys[:1]
        source = known[-1]
        learnt, after = known[-self._config.max_keyframes :], source
        if resumable and self._resumed is not None and self._resumed.backward == backward:
            thaw(self._resumed.propagator, propagator, device=propagator.device)
            learnt, after, source = [], self._resumed.index, self._resumed.source
        order = [*learnt, *range(after + sign, start - 1 if backward else stop, sign)]
        record = self._record if resumable else None
        with closing(self._ahead(self._described(order), "features")) as described:
            for index, frame, features in described:
                try:
                    if index in self._keyframes:
                        propagator.add_keyframe(index, frame, self._keyframes[index], features=features)
                        source = index
                        continue
                    soft = propagator.step(index, frame, features=features)
                except _CancelledError:
                    return
                if start <= index < stop:
                    state = None
                    if record is not None and record.due():
                        state = RunState(index, source, backward, freeze(propagator))
                    yield _Step(index, source, soft, frame, features, state)

    def _described(self, order: Iterable[int]) -> Iterator[tuple[int, np.ndarray, Tensor]]:
        """(index, frame, features) of these frames; ends when cancelled."""
        for index in order:
            if self._cancelled():
                return
            frame = self._frames[index]
            if self._cancelled():
                return
            features = self._features(index, frame)
            if self._cancelled():
                return
            yield index, frame, features

    def _ahead(self, items: Generator[T], name: str) -> Generator[T]:
        if not self._overlap:
            return items
        return in_background(items, depth=AHEAD, name=f"propagation: {name}", cancelled=self._cancelled)

    def _save(self, step: _Step) -> None:
        if step.state is not None and self._record is not None:
            self._record.save(step.state)

    def _frame(self, propagator: Propagator, step: _Step, sources: tuple[int, ...]) -> PropagatedFrame:
        labels = propagator.labels(step.soft, step.frame)
        if self.take_soft is not None:
            maps = native_probabilities(
                step.soft, step.frame, refine=self._config.refine, between=self._end_if_cancelled
            )
            chosen = self._objects
            self.take_soft(step.index, {i: m for i, m in maps.items() if chosen is None or i in chosen})
        confidence, consistency = step.soft.confidence, {}
        if self._check is not None:
            consistency = self._check(sources, step.features, step.soft.soft, step.soft.ids)
        if self._objects is not None:
            labels[~np.isin(labels, sorted(self._objects))] = 0
            confidence, consistency = (
                {i: c for i, c in values.items() if i in self._objects}
                for values in (confidence, consistency)
            )
        labels.setflags(write=False)
        return PropagatedFrame(step.index, labels, confidence, sources, consistency)
