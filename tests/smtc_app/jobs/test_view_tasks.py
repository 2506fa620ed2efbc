"""The view modes' tasks on a small made-up video with a square that moves to the right."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from smtc_app.core.errors import UserError
from smtc_app.core.views import ViewMode
from smtc_app.jobs import view_tasks
from smtc_app.jobs.context import Cancelled
from smtc_app.jobs.model_use import loaded_model
from smtc_app.jobs.view_tasks import SAMPLE_FRAMES, ClipViews, sample_frames, slot_colours
from smtc_model.config import ModelConfig
from smtc_model.smtc import SMTC

HEIGHT, WIDTH, FRAMES = 96, 160, 10
SETTINGS = {"model": "colour-texture", "device": "cpu"}


class Context:
    """Cancels after so many reports."""

    def __init__(self, reports: int = 10_000) -> None:
        self._left = reports

    def progress(self, done, total, message=""):
        self._left -= 1
        if self._left < 0:
            raise Cancelled

    def partial(self, result):
        raise AssertionError("views have no partial results")

    def cancelled(self):
        return self._left < 0


class Source:
    """Noise with a red square at 24 + 4 i; counts what is read."""

    size = (WIDTH, HEIGHT)

    def __init__(self) -> None:
        self.read: list[int] = []
        self.closed = False

    def __len__(self) -> int:
        return FRAMES

    def __getitem__(self, index: int) -> np.ndarray:
        self.read.append(index)
        frame = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        frame[labels(index) == 3] = (220, 40, 30)
        return frame

    def reopen(self):
        return self

    def close(self) -> None:
        self.closed = True


def labels(index: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint16)
    mask[32:64, 24 + 4 * index : 56 + 4 * index] = 3
    return mask


MASKS = {index: object() for index in range(FRAMES)}
STATE = SimpleNamespace(labels=labels, size=(WIDTH, HEIGHT), masks=MASKS)


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def views(source):
    return ClipViews(source)


@pytest.mark.parametrize("mode", [ViewMode.PCA, ViewMode.SLOTS])
def test_pictures_are_made_once_and_are_the_same_again(views, source, mode):
    first = views.picture_task(Context(), mode, 2, **SETTINGS)
    assert first.image.shape == (HEIGHT, WIDTH, 3)
    assert first.image.dtype == np.uint8
    assert first.heat is None
    read = len(source.read)
    again = views.picture_task(Context(), mode, 2, **SETTINGS)
    assert len(source.read) == read
    assert np.array_equal(first.image, again.image)


@pytest.mark.parametrize("mode", [ViewMode.PCA, ViewMode.SLOTS])
def test_a_thing_keeps_its_colour_over_the_clip(views, mode):
    colours = []
    for frame in (0, 5, 9):
        image = views.picture_task(Context(), mode, frame, **SETTINGS).image.astype(int)
        colours.append(image[40:56, 32 + 4 * frame : 48 + 4 * frame].reshape(-1, 3).mean(0))
    assert np.abs(np.diff(colours, axis=0)).max() < 12
    assert np.abs(colours[0] - image[4:20, 4:20].reshape(-1, 3).mean(0)).max() > 40


def test_slots_of_a_head_are_shown_too(views, monkeypatch):
    plain = loaded_model("colour-texture", "cpu")
    headed = SMTC.with_new_head(plain.backbone, ModelConfig(num_semantics=3, num_instances=2)).eval()
    monkeypatch.setattr(view_tasks, "loaded_model", lambda model, device: headed)
    picture = views.picture_task(Context(), ViewMode.SLOTS, 1, **SETTINGS)
    assert picture.image.shape == (HEIGHT, WIDTH, 3)
    assert "Untrained" in picture.caption


def test_consistency_is_cold_for_the_same_look_and_hot_for_what_is_new(views):
    picture = views.picture_task(Context(), ViewMode.CONSISTENCY, 6, other=5, **SETTINGS)
    assert picture.image is None
    assert picture.heat.min() >= 0
    assert picture.heat.max() <= 1
    assert "frame 5" in picture.caption
    alone = views.picture_task(Context(), ViewMode.CONSISTENCY, 6, other=None, **SETTINGS)
    assert alone.heat is None


def test_a_corner_of_the_square_is_found_where_it_moved_to(views):
    found = views.match_task(Context(), 0, (25.0, 33.0), 4, **SETTINGS)
    x, y, similarity = found.matches[0]
    assert (x, y) == pytest.approx((41, 33), abs=10)
    assert similarity > 0.8
    assert (found.frame, found.other) == (0, 4)


def test_the_votes_for_a_pixel_of_the_square_come_from_the_square(views):
    found = views.explain_task(Context(), 6, (60.0, 48.0), STATE, (0,), **SETTINGS)
    assert found.label == 3
    assert found.shares[3] > 0.9
    assert {vote.frame for vote in found.votes} <= {0, 2, 3, 4, 5}
    assert sum(vote.weight for vote in found.votes) == pytest.approx(1)
    for vote in found.votes:
        assert labels(vote.frame)[int(vote.y), int(vote.x)] == vote.label


def test_nobody_votes_on_a_keyframe(views):
    with pytest.raises(UserError, match="given, not propagated"):
        views.explain_task(Context(), 6, (60.0, 48.0), STATE, (6,), **SETTINGS)


def test_reasons_agree_with_the_label_and_further_pixels_cost_nothing(views):
    found = views.reasons_task(Context(), 6, (60.0, 48.0), STATE, (0,), **SETTINGS)
    assert {opinion.kind for opinion in found.opinions} == {"match", "motion", "appearance"}
    assert sum(opinion.weight for opinion in found.opinions) == pytest.approx(1)
    assert next(iter(found.together)) == 3
    background = views.reasons_task(Context(reports=0), 6, (150.0, 10.0), STATE, (0,), **SETTINGS)
    assert next(iter(background.together)) == 0
    changed = SimpleNamespace(labels=labels, size=(WIDTH, HEIGHT), masks={**MASKS, 5: object()})
    with pytest.raises(Cancelled):
        views.reasons_task(Context(reports=0), 6, (60.0, 48.0), changed, (0,), **SETTINGS)


def test_between_two_keyframes_both_ways_have_a_say(views):
    point = (48.0, 48.0)
    both, one = (views.reasons_task(Context(), 6, point, STATE, keys, **SETTINGS) for keys in ((0, 9), (0,)))
    assert next(iter(both.together)) == 3
    assert both.together != one.together
    assert sum(both.together.values()) == pytest.approx(1)


def test_fitting_can_be_cancelled_and_goes_on_where_it_was(views, source):
    with pytest.raises(Cancelled):
        views.picture_task(Context(reports=6), ViewMode.PCA, 0, **SETTINGS)
    read = set(source.read)
    assert 0 < len(read) < SAMPLE_FRAMES
    views.picture_task(Context(), ViewMode.PCA, 0, **SETTINGS)
    assert len(source.read) == len(set(source.read))


def test_a_missing_model_is_told_in_one_sentence(views):
    with pytest.raises(UserError, match="nothing-like-it"):
        views.match_task(Context(), 0, (1, 1), 1, model="nothing-like-it", device="cpu")


def test_closing_lets_go_of_the_footage(views, source):
    assert views.frame_task(Context(), 3)[1].shape == (HEIGHT, WIDTH, 3)
    views.close_task(Context())
    assert source.closed


def test_samples_are_spread_over_the_clip():
    assert sample_frames(100, 4) == [12, 37, 62, 87]
    assert sample_frames(3, 8) == [0, 1, 2]


def test_every_slot_has_a_colour_of_its_own():
    assert len({tuple(colour) for colour in slot_colours(16, 4)}) == 64
