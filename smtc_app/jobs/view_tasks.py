"""The view modes' work: pictures of features, matches of a pixel, votes for a label, frames to compare with.

One `ClipViews` belongs to one open video. Its methods are tasks (see `context.TaskContext`) of a single
worker thread: it reads through a source of its own, and keeps features and frames within a bound of bytes, so
that a pixel under the moving cursor costs one product of matrices. What is fitted on the whole clip (the axes
of the feature PCA, the colours of slots) is fitted once per model, from frames spread evenly over it.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from smtc_app.core.byte_cache import ByteCache
from smtc_app.core.errors import UserError
from smtc_app.core.views import (
    LabelReasons,
    LabelVote,
    LabelVotes,
    PixelMatches,
    ViewMode,
    ViewPicture,
    voting_frames,
)
from smtc_app.jobs.context import TaskContext
from smtc_app.jobs.model_use import errors_for_people, loaded_model, with_cpu_to_fall_back_on
from smtc_app.jobs.reason_tasks import LabelReasoner

if TYPE_CHECKING:
    from smtc_app.core.document import DocumentState
    from smtc_app.io.source import FrameSource
    from smtc_model.matching import Window
    from smtc_model.smtc import SMTC
    from smtc_model.views import Remembered

FEATURE_SIDE_PX = 480
FEATURES_LIMIT_BYTES = 256 << 20
FRAMES_LIMIT_BYTES = 96 << 20
SAMPLE_FRAMES = 8
"""Frames of the clip that colours are fitted on."""
PICTURE_SIDE_PX = 540
"""Longest rows of a picture: token maps are enlarged to this, smoothly, and no further."""
SLOTS_WITHOUT_HEAD = 16
SLOT_TINT = 0.6
"""How much of a slot picture is the slot's colour; the rest is the frame in grey, to see what is where."""
NEAR_FRAMES = 4
"""Over so short a time optical flow tells where a pixel was, as it does in propagation."""
REACH_TOKENS, REACH_PER_FRAME, FARTHEST_TOKENS = 12, 1, 36
"""How far matches are looked for when frames are compared: what moves gets further the longer it takes."""
HEAT_SCALE = 4
"""Heat maps are enlarged by this before their colours are looked up, which blurs less than afterwards."""
ERROR_FLOOR, ERROR_FULL = 1.0, 8.0
"""Forward-backward error, in tokens, that is cold, and that is as hot as it gets."""


class ClipViews:
    """Views of one clip; every method but the constructor runs in one worker thread."""

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        self._own: FrameSource | None = None
        self._features: ByteCache[np.ndarray] = ByteCache(FEATURES_LIMIT_BYTES)
        self._frames: ByteCache[np.ndarray] = ByteCache(FRAMES_LIMIT_BYTES)
        self._fitted: dict[ViewMode, Any] = {}
        self._model: SMTC | None = None
        self._reasoner = LabelReasoner(self._frame)

    def close_task(self, ctx: TaskContext) -> None:
        """Let go of the footage and of everything kept."""
        self._features.clear()
        self._frames.clear()
        self._fitted.clear()
        self._reasoner.clear()
        self._model = None
        if self._own is not None:
            self._own.close()
            self._own = None

    def frame_task(self, ctx: TaskContext, index: int) -> tuple[int, np.ndarray]:
        """A frame's index and its pixels, uint8 (H,W,3)."""
        return index, self._frame(index)

    def picture_task(
        self,
        ctx: TaskContext,
        mode: ViewMode,
        frame: int,
        *,
        other: int | None = None,
        model: str | None = None,
        device: str = "auto",
    ) -> ViewPicture:
        """A frame as slots, as feature PCA, or its forward-backward error against frame `other`.

        Raises:
            UserError: a model that cannot be loaded or a frame that cannot be read.
            Cancelled: between two frames.
        """
        make = {
            ViewMode.SLOTS: self._slots,
            ViewMode.PCA: self._pca,
            ViewMode.CONSISTENCY: self._consistency,
        }[mode]
        return self._on_model(model, device, lambda loaded, chosen: make(ctx, loaded, chosen, frame, other))

    def match_task(
        self,
        ctx: TaskContext,
        frame: int,
        point: tuple[float, float],
        other: int,
        *,
        model: str | None = None,
        device: str = "auto",
    ) -> PixelMatches:
        """Where the pixel `point` (x, y) of `frame` is found on `other`."""
        from smtc_model.views import correspond, unit

        def run(loaded: SMTC, chosen: str) -> PixelMatches:
            here = unit(self._keys(ctx, loaded, chosen, frame))
            there = unit(self._keys(ctx, loaded, chosen, other))
            width, height = self._source.size
            found = correspond(here, (point[0] / width, point[1] / height), there)
            matches = tuple((m.x * width, m.y * height, m.similarity) for m in found.matches)
            return PixelMatches(frame, point, other, found.heat, matches)

        return self._on_model(model, device, run)

    def explain_task(
        self,
        ctx: TaskContext,
        frame: int,
        point: tuple[float, float],
        state: DocumentState,
        sources: Sequence[int],
        *,
        model: str | None = None,
        preset: str = "default",
        device: str = "auto",
    ) -> LabelVotes:
        """Which pixels of which frames voted for the label at `point` (x, y) of `frame`.

        Args:
            state: the labels as they are.
            sources: keyframes that the label came from; the frames between vote, too.
        """
        from smtc_model.propagation_config import PRESETS
        from smtc_model.views import explain_label, unit

        config = PRESETS[preset]
        width, height = self._source.size
        position = point[0] / width, point[1] / height
        voters = voting_frames(frame, sources, recent=config.recent_frames)
        if not voters:
            raise UserError(f"No other frame votes on frame {frame}: its labels were given, not propagated.")

        def run(loaded: SMTC, chosen: str) -> LabelVotes:
            remembered = []
            here = None
            for done, index in enumerate((frame, *voters)):
                ctx.progress(done, len(voters) + 1, f"frame {index}")
                keys = self._keys(
                    ctx, loaded, chosen, index, side_px=config.short_side_px, kind=config.features
                )
                if here is None:
                    here = unit(keys)
                else:
                    window = config.keyframe_window if index in sources else config.window
                    remembered.append(self._remembered(index, frame, position, unit(keys), state, window))
            found = explain_label(
                here, position, remembered, top_k=config.top_k, temperature=config.temperature
            )
            votes = tuple(
                LabelVote(v.frame, v.x * width, v.y * height, v.label, v.weight, v.similarity) for v in found
            )
            label = int(state.labels(frame)[int(point[1]), int(point[0])])
            return LabelVotes(frame, point, label, votes)

        return self._on_model(model, device, run)

    def reasons_task(
        self,
        ctx: TaskContext,
        frame: int,
        point: tuple[float, float],
        state: DocumentState,
        sources: Sequence[int],
        *,
        model: str | None = None,
        preset: str = "default",
        device: str = "auto",
    ) -> LabelReasons:
        """What else spoke for the label at `point` (x, y) of `frame`: motion and appearance.

        The last step of the propagation is repeated; arguments as of `explain_task`.
        """
        from smtc_model.propagation_config import PRESETS

        config = PRESETS[preset]
        if not any(source != frame for source in sources):
            raise UserError(f"No other frame votes on frame {frame}: its labels were given, not propagated.")

        def run(loaded: SMTC, chosen: str) -> LabelReasons:
            return self._reasoner.reasons(ctx, loaded, chosen, frame, point, state, sources, config)

        return self._on_model(model, device, run)

    # Views of a whole frame

    def _pca(self, ctx: TaskContext, model: SMTC, device: str, frame: int, _other: int | None) -> ViewPicture:
        from smtc_model.views import feature_pca, pca_image, unit

        pca = self._fit(ctx, model, device, ViewMode.PCA, feature_pca)
        image = pca_image(unit(self._keys(ctx, model, device, frame)), pca)
        image = cv2.resize(image, self._picture_size(), interpolation=cv2.INTER_CUBIC)
        caption = f"The three main directions of {model.name}'s features as colours"
        return ViewPicture(ViewMode.PCA, frame, None, image, None, caption)

    def _slots(
        self, ctx: TaskContext, model: SMTC, device: str, frame: int, _other: int | None
    ) -> ViewPicture:
        import torch

        from smtc_model.discovery import DiscoveryConfig
        from smtc_model.region_slots import frame_slots
        from smtc_model.views import slot_maps, slot_numbers, slot_reference

        def tensor(index: int) -> torch.Tensor:
            keys = self._keys(ctx, model, device, index).astype(np.float32)
            return torch.from_numpy(keys).permute(2, 0, 1)[None].to(device)

        config = DiscoveryConfig()
        found = frame_slots(
            model,
            tensor(frame),
            tensor(frame - 1) if model.has_slots and frame > 0 else None,
            num_slots=SLOTS_WITHOUT_HEAD,
            iterations=config.iterations,
            seed=config.seed,
        )
        count = found.shares.shape[-1]
        if model.has_slots:
            # The slots of a head start from the same means on every frame: their numbers mean something.
            numbers = np.arange(count)
            colours = slot_colours(model.config.num_semantics, count // model.config.num_semantics)
        else:

            def fit(samples: list[np.ndarray]) -> np.ndarray:
                return slot_reference(samples, SLOTS_WITHOUT_HEAD)

            reference = self._fit(ctx, model, device, ViewMode.SLOTS, fit)
            numbers, colours = slot_numbers(found, reference), slot_colours(len(reference), 1)
        width, height = self._picture_size()
        image = slot_maps(found, numbers, colours, (height, width))
        grey = cv2.cvtColor(cv2.resize(self._frame(frame), (width, height)), cv2.COLOR_RGB2GRAY)
        image = cv2.addWeighted(image, SLOT_TINT, cv2.merge([grey] * 3), 1 - SLOT_TINT, 0)
        kind = "Slots" if found.trained else "Untrained slots, which group what looks alike"
        caption = f"{kind}: a colour each, stronger where one clearly wins"
        return ViewPicture(ViewMode.SLOTS, frame, None, image, None, caption)

    def _consistency(
        self, ctx: TaskContext, model: SMTC, device: str, frame: int, other: int | None
    ) -> ViewPicture:
        from smtc_model.consistency import forward_backward
        from smtc_model.views import unit

        if other is None or other == frame:
            caption = "There is no other frame to compare this one with"
            return ViewPicture(ViewMode.CONSISTENCY, frame, other, None, None, caption)
        here = unit(self._keys(ctx, model, device, frame))
        there = unit(self._keys(ctx, model, device, other))
        ctx.progress(1, 2, "matching")
        radius = min(REACH_TOKENS + REACH_PER_FRAME * abs(frame - other), FARTHEST_TOKENS)
        error = cv2.medianBlur(forward_backward(here, there, radius=radius).error, 3)
        heat = np.clip((error - ERROR_FLOOR) / (ERROR_FULL - ERROR_FLOOR), 0, 1).astype(np.float32)
        heat = cv2.resize(heat, None, fx=HEAT_SCALE, fy=HEAT_SCALE, interpolation=cv2.INTER_LINEAR)
        lost = float((error >= ERROR_FULL).mean())
        share = f"{lost:.0%} of the frame"
        caption = f"Hot: what does not come back when followed to frame {other} and home ({share})"
        return ViewPicture(ViewMode.CONSISTENCY, frame, other, None, heat, caption)

    # Parts

    def _on_model(self, model: str | None, device: str, run: Callable[[SMTC, str], Any]) -> Any:
        with errors_for_people():
            return with_cpu_to_fall_back_on(lambda chosen: self._with(run, model, chosen), device)[0]

    def _with(self, run: Callable[[SMTC, str], Any], model: str | None, device: str) -> Any:
        loaded = loaded_model(model, device)
        if loaded is not self._model:  # what was kept belongs to another one
            self._features.clear()
            self._fitted.clear()
            self._model = loaded
        return run(loaded, device)

    def _remembered(
        self,
        index: int,
        frame: int,
        position: tuple[float, float],
        features: np.ndarray,
        state: DocumentState,
        window: Window,
    ) -> Remembered:
        """A frame that votes on `frame`, with its labels by token."""
        from smtc_model.matching import Window
        from smtc_model.views import Remembered

        h, w = features.shape[:2]
        labels = cv2.resize(state.labels(index), (w, h), interpolation=cv2.INTER_NEAREST)
        near = abs(index - frame) <= NEAR_FRAMES
        # Flow over a longer time than this leads astray; then the whole keyframe is looked at.
        if not near:
            return Remembered(index, features, labels, Window(None))
        return Remembered(index, features, labels, window, self._followed(frame, index, position))

    def _followed(self, frame: int, other: int, position: tuple[float, float]) -> tuple[float, float]:
        """Where the pixel at `position` of `frame` lies on `other`, by optical flow."""
        from smtc_model.motion import FlowEstimator

        grey = [
            cv2.cvtColor(cv2.resize(self._frame(i), (self._picture_size())), cv2.COLOR_RGB2GRAY)
            for i in (frame, other)
        ]
        flow = FlowEstimator()(*grey)
        height, width = grey[0].shape
        row, column = min(int(position[1] * height), height - 1), min(int(position[0] * width), width - 1)
        dy, dx = float(flow[0, row, column]), float(flow[1, row, column])
        return min(max((column + 0.5 + dx) / width, 0), 1), min(max((row + 0.5 + dy) / height, 0), 1)

    def _fit(
        self,
        ctx: TaskContext,
        model: SMTC,
        device: str,
        mode: ViewMode,
        fit: Callable[[list[np.ndarray]], Any],
    ) -> Any:
        """What belongs to the whole clip and the model, fitted at the first call."""
        from smtc_model.views import unit

        if mode not in self._fitted:
            indices = sample_frames(len(self._source), SAMPLE_FRAMES)
            samples = []
            for done, index in enumerate(indices):
                ctx.progress(done, len(indices), "looking at the clip")
                samples.append(unit(self._keys(ctx, model, device, index).astype(np.float32)))
            self._fitted[mode] = fit(samples)
        return self._fitted[mode]

    def _keys(
        self,
        ctx: TaskContext,
        model: SMTC,
        device: str,
        index: int,
        *,
        side_px: int | None = FEATURE_SIDE_PX,
        kind: str = "keys",
    ) -> np.ndarray:
        """Features (h,w,C) of a frame, float32, kept in half precision."""
        from smtc_model.views import frame_features

        key = (index, side_px, kind)
        kept = self._features.get(key)
        if kept is None:
            ctx.progress(0, 0, f"looking at frame {index}")
            features = frame_features(model, self._frame(index), side_px=side_px, kind=kind, device=device)
            kept = features.astype(np.float16)
            self._features.put(key, kept, kept.nbytes)
        return kept.astype(np.float32)

    def _frame(self, index: int) -> np.ndarray:
        kept = self._frames.get(index)
        if kept is None:
            if self._own is None:
                self._own = self._source.reopen()
            kept = self._own[index]
            kept.setflags(write=False)
            self._frames.put(index, kept, kept.nbytes)
        return kept

    def _picture_size(self) -> tuple[int, int]:
        """(width, height) of pictures: never larger than the frame."""
        width, height = self._source.size
        scale = min(1.0, PICTURE_SIDE_PX / min(width, height))
        return max(1, round(width * scale)), max(1, round(height * scale))


def sample_frames(count: int, most: int) -> list[int]:
    """Up to `most` frames of `count`, evenly spread, each the middle of its part of the clip."""
    number = min(count, most)
    return [int((i + 0.5) * count / number) for i in range(number)]


def slot_colours(semantics: int, instances: int) -> np.ndarray:
    """uint8 (semantics * instances, 3): a hue for each semantic, a shade of it for each instance."""
    colours = []
    for semantic in range(semantics):
        # Steps of the golden ratio: neighbours in number are far apart in hue, however many there are.
        hue = (0.58 + semantic * 0.61803398875) % 1.0
        for instance in range(instances):
            saturation, value = 0.85 - 0.15 * (instance % 2), 1.0 - 0.14 * instance
            colours.append(colorsys.hsv_to_rgb(hue, saturation * (1 - 0.25 * (semantic % 2)), value))
    return np.rint(np.array(colours) * 255).astype(np.uint8)
