"""Objects out of sight are not seen where they are not, and are found again wherever they come back."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch

from smtc_model.davis_dataset import read_mask
from smtc_model.lost_objects import LostObjects, Reference, _hanging_together
from smtc_model.metrics import jaccard
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PropagationConfig
from smtc_model.run_record import RunRecord
from smtc_model.weights import load_model

HEIGHT, WIDTH, SIDE = 96, 288, 40
CUT = range(4, 8)
CONFIG = dataclasses.replace(PropagationConfig(), short_side_px=None, target_features=96)


class CutClip:
    """A textured square on textured ground; frames of another scene; the square again, at the other end."""

    def __init__(self, *, back: bool = True) -> None:
        rng = np.random.default_rng(5)

        def texture(low, high, size, grain):
            coarse = rng.integers(low, high, (size[0] // grain, size[1] // grain, 3), dtype=np.uint8)
            return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)

        self._grounds = texture(70, 130, (HEIGHT, WIDTH), 6), texture(120, 220, (HEIGHT, WIDTH), 12)
        self._patch = texture(0, 255, (SIDE, SIDE), 5)
        self._patch[..., 0] |= 128
        self._back = back

    def __len__(self) -> int:
        return 12

    def _corner(self, index: int) -> tuple[int, int] | None:
        if index < CUT.start:
            return 20, 8 + 2 * index
        if index < CUT.stop or not self._back:
            return None
        return 40, WIDTH - SIDE - 30 + 2 * (index - CUT.stop)

    def __getitem__(self, index: int) -> np.ndarray:
        corner = self._corner(index)
        frame = self._grounds[CUT.start <= index and (index < CUT.stop or not self._back)].copy()
        if corner is not None:
            frame[corner[0] : corner[0] + SIDE, corner[1] : corner[1] + SIDE] = self._patch
        return frame

    def labels(self, index: int) -> np.ndarray:
        labels = np.zeros((HEIGHT, WIDTH), np.uint16)
        corner = self._corner(index)
        if corner is not None:
            labels[corner[0] : corner[0] + SIDE, corner[1] : corner[1] + SIDE] = 1
        return labels


@pytest.fixture(scope="module")
def model():
    return load_model(None, device="cpu")


def labels_of(model, clip, config=CONFIG, **options) -> dict[int, np.ndarray]:
    frames = propagate(model, clip, {0: clip.labels(0)}, config=config, device="cpu", **options)
    return {frame.index: frame.labels for frame in frames}


def test_another_scene_shows_none_of_it_and_it_is_found_at_the_other_end(model):
    clip = CutClip()
    found = labels_of(model, clip)
    assert not any(found[index].any() for index in CUT)
    assert min(jaccard(clip.labels(index), found[index]) for index in range(CUT.stop, len(clip))) > 0.8


def test_without_the_search_another_scene_is_taken_for_it(model):
    found = labels_of(model, CutClip(), dataclasses.replace(CONFIG, search_lost=False))
    assert all(found[index].any() for index in CUT)


def test_what_never_comes_back_is_not_found(model):
    clip = CutClip(back=False)
    found = labels_of(model, clip)
    assert not any(found[index].any() for index in range(CUT.start, len(clip)))


@pytest.mark.parametrize("ended_after", [2, 5, 8])
def test_a_run_ended_while_it_is_lost_goes_on_with_the_same_bytes(model, tmp_path, ended_after):
    clip = CutClip()

    def record():
        return RunRecord(tmp_path / "state.safetensors", identity={"run": 1}, every_s=0)

    whole = labels_of(model, clip)
    frames = propagate(model, clip, {0: clip.labels(0)}, config=CONFIG, device="cpu", record=record())
    first = {frame.index: frame.labels for frame, _ in zip(frames, range(ended_after), strict=False)}
    frames.close()
    rest = labels_of(model, clip, record=record())
    assert sorted(whole) == sorted({**first, **rest})
    assert all(np.array_equal(labels, whole[index]) for index, labels in {**first, **rest}.items())


def test_of_what_is_found_the_largest_part_counts_with_what_is_held():
    found, held = np.zeros((2, 20, 30), bool)
    found[2:5, 2:5] = found[2:5, 20:22] = True
    assert np.array_equal(_hanging_together(found, held), found & (np.arange(30) < 10))
    held[2:8, 23:27] = True
    assert np.array_equal(_hanging_together(found, held), found & (np.arange(30) > 10))
    assert not _hanging_together(np.zeros_like(found), held).any()


def test_a_keyframe_without_an_object_may_be_followed_by_its_return():
    rng = np.random.default_rng(0)
    features = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(10, 12, 8))).float(), dim=-1)
    shown, empty = torch.zeros((2, 10, 12, 2))
    shown[..., 0] = empty[..., 0] = 1
    shown[2:6, 3:8] = torch.tensor([0.0, 1.0])
    lost = LostObjects(cells=1, top_k=3, temperature=0.1)
    lost.keyframe(shown)
    elsewhere = torch.roll(features, (3, 4), (0, 1))
    references = {"keyframes": [Reference(features, shown)], "newest": Reference(features, shown)}
    plain = empty.permute(2, 0, 1)
    assert lost.look(elsewhere, plain, **references, doubtful=False) is None
    lost.keyframe(empty)
    sighting = lost.look(elsewhere, plain, **references, doubtful=False)
    assert sighting is not None
    assert torch.equal(sighting.where[1], torch.roll(shown[..., 1] > 0, (3, 4), (0, 1)))


def test_a_person_is_found_again_behind_a_cut_and_not_in_it(shared):
    root = shared / "data" / "davis"

    def frames(name, indices):
        folder = root / "JPEGImages" / "480p" / name
        images = (cv2.imread(str(folder / f"{i:05d}.jpg"))[..., ::-1] for i in indices)
        return [cv2.resize(image, (428, 240), interpolation=cv2.INTER_AREA) for image in images]

    clip = [*frames("hockey", range(3)), *frames("surf", range(3)), *frames("hockey", range(6, 9))]
    masks = [
        cv2.resize(
            read_mask(root / "Annotations" / "480p" / "hockey" / f"{i:05d}.png")[0],
            (428, 240),
            interpolation=cv2.INTER_NEAREST,
        )
        for i in range(9)
    ]
    found = propagate(load_model(None, device="cpu"), clip, {0: masks[0]}, device="cpu")
    found = {frame.index: frame.labels for frame in found}
    assert not any(found[index].any() for index in (3, 4, 5))
    assert min(jaccard(masks[index] > 0, found[index] > 0) for index in (6, 7)) > 0.75


@pytest.mark.parametrize("plain", [True, False])
def test_a_plain_surface_is_kept_where_flow_is_lost_and_what_is_unlike_it_is_not(plain):
    rng = np.random.default_rng(1)

    ground = torch.nn.functional.normalize(torch.from_numpy(rng.normal(size=(30, 40, 32))).float(), dim=-1)
    surface = ground[0, 0]
    shown = torch.zeros((30, 40, 2))
    shown[..., 0] = 1
    shown[4:24, 6:30] = torch.tensor([0.0, 1.0])

    known = ground.clone()
    known[4:24, 6:30] = surface
    lost = LostObjects(cells=1, top_k=3, temperature=0.1)
    lost.keyframe(shown)
    reference = Reference(known, shown)
    now = known if plain else ground
    held = shown.permute(2, 0, 1)
    sighting = lost.look(now, held, keyframes=[reference], newest=reference, doubtful=True)
    assert (sighting is None) if plain else (sighting.gone == (1,))
