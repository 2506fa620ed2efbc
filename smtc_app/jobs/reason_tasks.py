"""What a propagated label followed besides votes: the last step of its propagation, done again.

Repeating it costs seconds and gives the whole frame, so the newest frame that was asked about is kept, and
further pixels of it cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from smtc_app.core.views import LabelReasons, Opinion, voting_frames
from smtc_app.jobs.context import Cancelled, TaskContext

if TYPE_CHECKING:
    from smtc_app.core.document import DocumentState
    from smtc_model.propagation_config import PropagationConfig
    from smtc_model.reasons import RepeatedStep
    from smtc_model.smtc import SMTC


@dataclass(frozen=True)
class _Side:
    """One way in which labels came: its keyframes and the frames on the way, the furthest first."""

    keyframes: tuple[int, ...]
    recent: tuple[int, ...]


@dataclass(frozen=True)
class _Kept:
    key: Hashable
    masks: tuple[object, ...]
    """Labels that it was made from; held, so that none of them can be mistaken for a later one."""
    steps: tuple[tuple[float, RepeatedStep], ...]


class LabelReasoner:
    """Belongs to one clip and one worker thread. `frame_of(index)` gives uint8 (H,W,3)."""

    def __init__(self, frame_of: Callable[[int], np.ndarray]) -> None:
        self._frame_of = frame_of
        self._kept: _Kept | None = None

    def clear(self) -> None:
        """Let go of what is kept."""
        self._kept = None

    def reasons(
        self,
        ctx: TaskContext,
        model: SMTC,
        device: str,
        frame: int,
        point: tuple[float, float],
        state: DocumentState,
        sources: Sequence[int],
        config: PropagationConfig,
    ) -> LabelReasons:
        """What spoke for the label at `point` (x, y) in pixels.

        state: the labels as they are. sources: keyframes that the label came from, on one side or both.
        """
        sides = _sides(frame, sources, recent=config.recent_frames)
        masks = tuple(state.masks.get(i) for side in sides for i in (*side.keyframes, *side.recent))
        key = frame, tuple(sides), model.hash, config, device
        kept = self._kept
        same = kept is not None and kept.key == key and all(map(_is, kept.masks, masks))
        if not same:
            steps = [
                (weight, self._step(ctx, model, device, frame, side, state, config))
                for weight, side in zip(_closeness(frame, sides), sides, strict=True)
            ]
            kept = self._kept = _Kept(key, masks, tuple(steps))
        width, height = state.size
        return _joined(kept.steps, frame, point, (point[0] / width, point[1] / height))

    def _step(
        self,
        ctx: TaskContext,
        model: SMTC,
        device: str,
        frame: int,
        side: _Side,
        state: DocumentState,
        config: PropagationConfig,
    ) -> RepeatedStep:
        from smtc_model.reasons import Labelled, repeat_step

        def labelled(index: int) -> Labelled:
            ctx.progress(0, 0, f"looking at frame {index}")
            # Torch takes no arrays that cannot be written to.
            return Labelled(index, np.array(self._frame_of(index)), state.labels(index))

        def between() -> None:
            if ctx.cancelled():
                raise Cancelled

        return repeat_step(
            model,
            frame,
            np.array(self._frame_of(frame)),
            keyframes=[labelled(index) for index in side.keyframes],
            recent=[labelled(index) for index in side.recent],
            config=config,
            device=device,
            between=between,
        )


def _is(one: object, other: object) -> bool:
    return one is other


def _sides(frame: int, sources: Sequence[int], *, recent: int) -> list[_Side]:
    """The ways from the keyframes `sources` to `frame`, from before it and from after it."""
    found = []
    for sign in (-1, 1):
        keys = [key for key in sources if (key - frame) * sign > 0]
        if keys:
            nearest = min(keys, key=lambda key: abs(key - frame))
            ways = voting_frames(frame, (nearest,), recent=recent)
            between = sorted((i for i in ways if i != nearest), key=lambda i: -abs(i - frame))
            found.append(_Side(tuple(sorted(keys, key=lambda key: -abs(key - frame))), tuple(between)))
    return found


def _closeness(frame: int, sides: Sequence[_Side]) -> list[float]:
    """Weights of the sides, which sum to 1: the nearer keyframe has the larger one."""
    distances = [abs(frame - side.keyframes[-1]) for side in sides]
    return [1.0] if len(sides) == 1 else [1 - distance / sum(distances) for distance in distances]


def _joined(
    steps: Sequence[tuple[float, RepeatedStep]],
    frame: int,
    point: tuple[float, float],
    position: tuple[float, float],
) -> LabelReasons:
    exponents: dict[str, float] = {}
    sums: dict[str, dict[int, float]] = {}
    together: dict[int, float] = {}
    for weight, step in steps:
        for name, (exponent, shares) in step.opinions_at(position).items():
            exponents[name] = exponents.get(name, 0.0) + weight * exponent
            _add(sums.setdefault(name, {}), shares, weight)
        _add(together, step.together_at(position), weight)
    total = sum(exponents.values()) or 1.0
    opinions = [Opinion(name, exponents[name] / total, _ranked(sums[name])) for name in exponents]
    opinions.sort(key=lambda opinion: -opinion.weight)
    return LabelReasons(frame, point, tuple(opinions), _ranked(together))


def _add(sums: dict[int, float], shares: dict[int, float], weight: float) -> None:
    for label, share in shares.items():
        sums[label] = sums.get(label, 0.0) + weight * share


def _ranked(shares: dict[int, float]) -> dict[int, float]:
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
