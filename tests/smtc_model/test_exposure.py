"""Light that changes is measured and undone, and nothing else is."""

from __future__ import annotations

import dataclasses
import itertools

import cv2
import numpy as np
import pytest

from smtc_model.exposure import Exposure
from smtc_model.metrics import jaccard
from smtc_model.motion import FlowEstimator, lost
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PropagationConfig
from smtc_model.weights import load_model

HEIGHT, WIDTH, SIDE = 96, 160, 40


def texture(seed: int, low: int = 60, high: int = 200, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(low, high, (size[0] // 6 + 1, size[1] // 6 + 1, 3), dtype=np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def watched(frames: list[np.ndarray]) -> Exposure:
    exposure, flow_of = Exposure(), FlowEstimator()
    for before, after in itertools.pairwise(frames):
        grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after)]
        flow, back = flow_of(grey[1], grey[0]), flow_of(grey[0], grey[1])
        exposure.see(before, after, flow.numpy(), ~lost(flow, back, tolerance=1.5).numpy())
    return exposure


def lit(frame: np.ndarray, light: float | np.ndarray) -> np.ndarray:
    return np.clip(frame * light, 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("end", [0.4, np.array([0.5, 0.6, 0.9])], ids=["darker", "another colour"])
def test_light_that_fades_while_everything_moves_is_undone(end):
    wide = texture(1, size=(HEIGHT, WIDTH + 40))
    steady = [wide[:, 2 * i : 2 * i + WIDTH] for i in range(20)]
    exposure = watched([lit(frame, end ** (i / 19)) for i, frame in enumerate(steady)])
    found = exposure.undone(lit(steady[-1], end))
    # A tenth of a logarithm is left as it is.
    assert np.abs(found / np.maximum(steady[-1], 1.0) - 1).mean() < 0.13


@pytest.mark.parametrize(
    "frames",
    [
        [texture(2), texture(3), texture(4)],
        [texture(2), lit(texture(2), 0.93), texture(2)],
        [np.full((HEIGHT, WIDTH, 3), value, np.uint8) for value in (0, 4, 9)],
        [np.full((8, 8, 3), 100, np.uint8)] * 3,
    ],
    ids=["other scenes", "hardly darker", "black", "tiny"],
)
def test_frames_that_tell_no_change_are_left_as_they_are(frames):
    assert watched(frames).undone(frames[-1]) is frames[-1]


def test_a_flash_is_over_when_it_is_over():
    frames = [texture(2), lit(texture(2), 1.2), lit(texture(2), 0.5), texture(2)]
    assert watched(frames).undone(frames[-1]) is frames[-1]
    exposure = watched(frames[:3])
    assert np.abs(exposure.undone(frames[2]).astype(int) - frames[0]).mean() < 0.13 * frames[0].mean()


class DimmedClip:
    """A square that differs in brightness alone from the ground it moves over, while the light goes out."""

    def __init__(self, end: float) -> None:
        self._ground = texture(5, 90, 120)
        self._square = texture(6, 190, 220, (SIDE, SIDE))
        self._end = end

    def __len__(self) -> int:
        return 16

    def _corner(self, index: int) -> tuple[int, int]:
        return 20 + index, 10 + 4 * index

    def __getitem__(self, index: int) -> np.ndarray:
        y, x = self._corner(index)
        frame = self._ground.copy()
        frame[y : y + SIDE, x : x + SIDE] = self._square
        return lit(frame, self._end ** (index / (len(self) - 1)))

    def labels(self, index: int) -> np.ndarray:
        y, x = self._corner(index)
        labels = np.zeros((HEIGHT, WIDTH), np.uint16)
        labels[y : y + SIDE, x : x + SIDE] = 1
        return labels


def test_objects_are_known_in_light_that_goes_out():
    clip = DimmedClip(0.25)
    config = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=96)
    model = load_model(None, device="cpu")
    found = {
        f.index: f.labels for f in propagate(model, clip, {0: clip.labels(0)}, config=config, device="cpu")
    }
    assert min(jaccard(clip.labels(index), labels) for index, labels in found.items() if index) > 0.7
