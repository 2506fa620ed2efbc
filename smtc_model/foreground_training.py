"""Training the foreground network without labels: motion says what is a thing, a single frame has to tell it.

Every sample is a frame of a clip, and its label is how fast each place moves against the camera: flow to
frames before and after, minus the homography that most of the frame follows (`object_motion`). Where that
homography explains the picture as well as the flow does, motion tells nothing; and each small region of the
frame moves as one, so that labels end at edges. Faster than `MOVING_PX`: foreground; slower than `STILL_PX`:
background; in between: left out. Frames that tell nothing (nothing or nearly everything moves, the frame's
rim moves, too little follows one camera motion) are left out, too.

What stands still now but moves elsewhere is labelled background wrongly. So once the network knows something,
a still place counts less the more its moving average takes it for a thing (as in the bootstrapping of Reed et
al., 2015).

Letters: B frames, H x W pixels.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from skimage.segmentation import felzenszwalb
from torch import Tensor

from . import augment
from .compact import CompactNet
from .data import ClipCache
from .foreground import ForegroundNet
from .object_motion import CameraFlow, camera_flow
from .smtc import SMTC
from .train_config import ForegroundConfig
from .train_pictures import mask_colours
from .training import ParameterGroup, average_into, draw_clips, split_by_decay

MOTION_SIDE_PX = 144
"""Shorter side of the frames between which motion is measured; speeds are in their pixels over
`_FULL_GAP` frames."""
MOVING_PX = 1.5
STILL_PX = 0.9
UNTOLD_PX = 0.5 * (MOVING_PX + STILL_PX)

_FULL_GAP = 5
_INLIER_PX = 1.0
_LEAST_FOLLOWED = 0.5
_CLEARLY_WORSE, _COMPARED_PX = 4.0, 5
"""Grey levels, in squares of so many pixels."""
_REGION_SCALE, _SMALLEST_REGION_PX = 30, 40
_MOVING_SHARE = (0.005, 0.4)
_MOST_MOVING_RIM = 0.3
_POSITIONS = 14
"""Frames of a clip that are used, evenly spaced, so that their motion is soon known."""
_TRIES = 8
_REMEMBERED = 8192
"""Frames whose motion is remembered, some 75 KB each at most."""
_ENCODER_RATE = 0.4
_LEAST_CERTAIN = 0.3
_MOVING_WEIGHT = 1.5
_DICE_WEIGHT = 0.5


class ForegroundBatch(NamedTuple):
    frames: Tensor
    """(B,3,H,W) uint8 RGB"""
    speed: Tensor
    """(B,H/4,W/4) float32, see `MOTION_SIDE_PX`"""


class ForegroundObjective:
    """Trains the foreground network of `model`; its backbone and slot head stay as they are.

    A new network starts from the weights of the backbone's stages, if that is a `CompactNet` as usual.
    """

    name = "foreground"

    def __init__(self, model: SMTC, config: ForegroundConfig) -> None:
        self.config = config
        model.requires_grad_(False)
        if model.foreground is None:
            model.foreground = ForegroundNet()
            net = model.backbone.net if hasattr(model.backbone, "net") else None
            if isinstance(net, CompactNet) and net.options == CompactNet().options:
                model.foreground.start_from(net)
        model.foreground.requires_grad_(True)
        self.student = model
        self._average = copy.deepcopy(model.foreground).requires_grad_(False).eval()
        self._step = 0
        self._motion = _MotionMemory()

    def to(self, device: torch.device) -> None:
        self.student.to(device).eval()
        self.student.foreground.train()
        self._average.to(device)

    def parameter_groups(self, weight_decay: float) -> list[ParameterGroup]:
        groups: dict[str, list[tuple[str, torch.nn.Parameter]]] = {"encoder": [], "rest": []}
        for name, parameter in self.student.foreground.named_parameters():
            groups["encoder" if name.startswith(("stem.", "stages.")) else "rest"].append((name, parameter))
        parted = (split_by_decay(named, weight_decay, name=name) for name, named in groups.items())
        return [group for part in parted for group in part]

    def rate_scale(self, group: str, step: int) -> float:
        del step
        return _ENCODER_RATE if group == "encoder" else 1.0

    def make_batch(self, cache: ClipCache, clips: int, rng: np.random.Generator) -> ForegroundBatch:
        return make_batch(cache, clips, self.config, rng, self._motion)

    def losses(self, batch: ForegroundBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars; "total" is what is minimised."""
        del generator
        frames = batch.frames.float() / 255
        moving = (batch.speed > MOVING_PX).float()
        certain = (batch.speed / MOVING_PX - 1).clamp(_LEAST_CERTAIN, 1)
        weight = moving * certain * _MOVING_WEIGHT + (batch.speed < STILL_PX)
        if self._step >= self.config.doubt_after:
            with torch.no_grad():
                doubt = self.config.doubt * self._average(frames).float().sigmoid()
            weight = weight * torch.where(moving > 0, 1.0, 1 - doubt)
        logits = self.student.foreground(frames).float()
        entropy = F.binary_cross_entropy_with_logits(logits, moving, weight=weight, reduction="sum")
        entropy = entropy / weight.sum().clamp(min=1)
        share = logits.sigmoid() * weight
        common = (share * moving).sum((1, 2))
        dice = 1 - (2 * common + 1) / (share.sum((1, 2)) + (moving * weight).sum((1, 2)) + 1)
        dice = dice.mean()
        return {"total": entropy + _DICE_WEIGHT * dice, "entropy": entropy, "dice": dice}

    @torch.no_grad()
    def update_teacher(self, momentum: float, step: int) -> None:
        self._step = step + 1
        average_into(self._average, self.student.foreground, momentum)
        for old, new in zip(self._average.buffers(), self.student.foreground.buffers(), strict=True):
            old.copy_(new)

    def state_dict(self) -> dict[str, object]:
        average = self._average.state_dict()
        return {"student": self.student.state_dict(), "average": average, "step": self._step}

    def load_state_dict(self, state: dict) -> None:
        self.student.load_state_dict(state["student"])
        self._average.load_state_dict(state["average"])
        self._step = int(state["step"])

    def result(self) -> SMTC:
        """The model with the moving average of the network's weights."""
        model = copy.deepcopy(self.student)
        model.foreground.load_state_dict(self._average.state_dict())
        return model.eval()

    def pictures(self, batch: ForegroundBatch) -> dict[str, Tensor]:
        """What TensorBoard shows: frames above where the network sees foreground."""
        frames = batch.frames[:4].float() / 255
        with torch.no_grad():
            share = self._average(frames).sigmoid()
        return {"foreground": mask_colours(frames, torch.stack([1 - share, share], 1))}


class _MotionMemory:
    """Speeds of frames, computed once; the frames not asked for the longest are forgotten first.

    Any thread may ask.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], np.ndarray | None] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, cache: ClipCache, number: int, index: int) -> np.ndarray | None:
        key = number, index
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        found = speed_against_camera(cache, number, index)
        speed = None if found is None else found.astype(np.float16)
        with self._lock:
            self._known[key] = speed
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return speed


def make_batch(
    cache: ClipCache, clips: int, config: ForegroundConfig, rng: np.random.Generator, motion: _MotionMemory
) -> ForegroundBatch:
    """One frame of each of `clips` random clips, of those whose motion tells something if there are any.

    motion: gives the speed (h,w) of a frame of a clip, or None where it tells nothing.
    """
    samples = []
    for first in draw_clips(cache, clips, rng):
        for number in (first, *rng.integers(len(cache), size=_TRIES - 1).tolist()):
            last = cache.clips[number].frames - 1
            index = round(last * (int(rng.integers(_POSITIONS)) + 0.5) / _POSITIONS)
            speed = motion(cache, number, index)
            if speed is not None:
                break
        else:
            speed = np.full((3, 4), UNTOLD_PX, np.float32)
        samples.append(_view(cache.frame(number, index), speed.astype(np.float32), config, rng))
    frames = np.array([np.ascontiguousarray(frame) for frame, _ in samples])
    speeds = np.array([np.ascontiguousarray(speed) for _, speed in samples])
    return ForegroundBatch(torch.from_numpy(frames).permute(0, 3, 1, 2), torch.from_numpy(speeds))


def _view(
    frame: np.ndarray, speed: np.ndarray, config: ForegroundConfig, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A random part in random colours: frame uint8 (H,W,3), speed float32 (H/4,W/4)."""
    rows, columns = frame.shape[:2]
    speed = cv2.resize(speed, (columns, rows), interpolation=cv2.INTER_LINEAR)
    height, width = config.size, config.size * 4 // 3
    side = rng.uniform(config.min_crop, 1) * min(rows, columns * 3 / 4)
    cropped_rows, cropped_columns = int(side), int(side * 4 / 3)
    top = int(rng.integers(rows - cropped_rows + 1))
    left = int(rng.integers(columns - cropped_columns + 1))
    part = np.s_[top : top + cropped_rows, left : left + cropped_columns]
    way = cv2.INTER_AREA if cropped_rows >= height else cv2.INTER_LINEAR
    frame = cv2.resize(frame[part], (width, height), interpolation=way)
    speed = cv2.resize(speed[part], (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        frame, speed = frame[:, ::-1], speed[:, ::-1]
    transform = augment.colour_transform(rng, strength=config.colour, hue=config.hue, grey=config.grey)
    frame = augment.apply_colour(np.ascontiguousarray(frame), transform)
    if rng.random() < config.blur:
        frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(0.4, 1.2))
    return frame, speed


def speed_against_camera(cache: ClipCache, number: int, index: int) -> np.ndarray | None:
    """Speed (h,w) float32 of a frame of a clip, see `MOTION_SIDE_PX`; None where it tells nothing."""
    frames = cache.clips[number].frames
    image = _grey(cache.frame(number, index))
    speeds = []
    for gap in (2, _FULL_GAP):
        others = [_grey(cache.frame(number, i)) for i in (index - gap, index + gap) if 0 <= i < frames]
        found = [(other, camera_flow(image, other, inlier_px=_INLIER_PX)) for other in others]
        seen = [_seen_to_move(image, other, flow) for other, flow in found if flow is not None]
        flows = [flow for _, flow in found if flow is not None]
        if not flows:
            continue
        if min(flow.followed for flow in flows) < _LEAST_FOLLOWED:
            return None
        # Uncovered background moves in one of the two directions only; things move in both.
        lengths = [
            np.where(f.inside, np.hypot(f.residual[..., 0], f.residual[..., 1]), np.inf) for f in flows
        ]
        slowest = np.min(lengths, 0) * (_FULL_GAP / gap)
        slowest = np.where(np.any(seen, 0) | (slowest < STILL_PX), slowest, UNTOLD_PX)
        speeds.append(np.where(np.isfinite(slowest), slowest, 0))
    if not speeds:
        return None
    speed = np.max(speeds, 0).astype(np.float32)
    speed = _on_edges(speed, cache.frame(number, index))
    moving = speed > MOVING_PX
    rim = np.concatenate([moving[0], moving[-1], moving[:, 0], moving[:, -1]]).mean()
    told = _MOVING_SHARE[0] < moving.mean() < _MOVING_SHARE[1] and rim < _MOST_MOVING_RIM
    return speed if told else None


def _seen_to_move(image: np.ndarray, other: np.ndarray, flow: CameraFlow) -> np.ndarray:
    """Where the camera's motion explains another image clearly worse than the flow does, bool (h,w).

    image, other: grey uint8 (h,w). Flow spreads over plain ground beside what moves; there both explain it.
    """
    errors = []
    for target in (flow.camera, flow.camera + flow.residual):
        moved = cv2.remap(
            other, target[..., 1], target[..., 0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        errors.append(cv2.blur(cv2.absdiff(moved, image).astype(np.float32), (_COMPARED_PX, _COMPARED_PX)))
    return errors[0] - errors[1] > _CLEARLY_WORSE


def _on_edges(speed: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Speed (h,w) with one value, its median, for each small region of the frame: float32 (H/2,W/2)."""
    regions = felzenszwalb(frame, scale=_REGION_SCALE, sigma=0.5, min_size=_SMALLEST_REGION_PX)
    full = cv2.resize(speed, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR).ravel()
    sizes = np.bincount(regions.ravel())
    order = np.lexsort((full, regions.ravel()))
    medians = full[order][sizes.cumsum() - sizes + sizes // 2]
    half = max(1, frame.shape[1] // 2), max(1, frame.shape[0] // 2)
    return cv2.resize(medians[regions], half, interpolation=cv2.INTER_AREA)


def _grey(frame: np.ndarray) -> np.ndarray:
    """uint8 (h,w), its shorter side `MOTION_SIDE_PX`."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    scale = MOTION_SIDE_PX / min(grey.shape)
    size = tuple(max(1, round(side * scale)) for side in grey.shape[::-1])
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
