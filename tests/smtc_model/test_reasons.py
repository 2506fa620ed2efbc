"""A step of propagation done again says what spoke for a label, and comes to the same labels."""

from __future__ import annotations

import numpy as np
import pytest

from smtc_model.propagation import propagate
from smtc_model.propagation_config import PRESETS, PropagationConfig
from smtc_model.reasons import Labelled, repeat_step
from smtc_model.weights import load_model

HEIGHT, WIDTH, FRAMES = 96, 160, 8
CONFIG = PropagationConfig(short_side_px=None)


def labels_of(index):
    """A square that moves by 4 px a frame."""
    found = np.zeros((HEIGHT, WIDTH), np.uint16)
    found[32:64, 24 + 4 * index : 56 + 4 * index] = 3
    return found


def frame_of(index):
    frame = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    frame[labels_of(index) == 3] = (220, 40, 30)
    return frame


@pytest.fixture(scope="module")
def model():
    return load_model("colour-texture")


@pytest.fixture(scope="module")
def carried(model):
    """{frame: labels} from the first frame on."""
    frames = [frame_of(i) for i in range(FRAMES)]
    found = {f.index: f.labels for f in propagate(model, frames, {0: labels_of(0)}, config=CONFIG)}
    return {0: labels_of(0), **found}


def labelled(carried, indices):
    return [Labelled(i, frame_of(i), carried[i]) for i in indices]


@pytest.mark.parametrize("index", [1, 3, 7])
def test_it_comes_to_the_labels_of_the_run(model, carried, index):
    recent = labelled(carried, range(max(1, index - 4), index))
    step = repeat_step(
        model, index, frame_of(index), keyframes=labelled(carried, [0]), recent=recent, config=CONFIG
    )
    places = [
        ((x + 0.5) / WIDTH, (y + 0.5) / HEIGHT) for y in range(4, HEIGHT, 8) for x in range(4, WIDTH, 8)
    ]
    again = [next(iter(step.together_at(place))) for place in places]
    there = [int(carried[index][int(y * HEIGHT), int(x * WIDTH)]) for x, y in places]
    assert 3 in there
    assert np.mean(np.equal(again, there)) > 0.97


def test_all_opinions_are_told_with_their_weights(model, carried):
    step = repeat_step(
        model,
        3,
        frame_of(3),
        keyframes=labelled(carried, [0]),
        recent=labelled(carried, [1, 2]),
        config=CONFIG,
    )
    inside, outside = step.opinions_at((52 / WIDTH, 0.5)), step.opinions_at((0.95, 0.1))
    assert set(inside) == {"match", "motion", "appearance"}
    assert inside["match"][0] == CONFIG.match_weight
    for weight, shares in (*inside.values(), *outside.values()):
        assert weight >= 0
        assert sum(shares.values()) == pytest.approx(1)
    assert all(next(iter(shares)) == 3 for _, shares in inside.values())
    assert all(next(iter(shares)) == 0 for _, shares in outside.values())


def test_settings_without_fusion_have_votes_only(model, carried):
    step = repeat_step(
        model,
        2,
        frame_of(2),
        keyframes=labelled(carried, [0]),
        recent=labelled(carried, [1]),
        config=PRESETS["dino"],
    )
    assert step.opinions_at((0.5, 0.5)) == {}
    assert next(iter(step.together_at((48 / WIDTH, 0.5)))) == 3


def test_it_can_be_ended_between_parts(model, carried):
    def end():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        repeat_step(
            model,
            3,
            frame_of(3),
            keyframes=labelled(carried, [0]),
            recent=labelled(carried, [2]),
            config=CONFIG,
            between=end,
        )


def test_nothing_is_propagated_without_a_keyframe(model):
    with pytest.raises(ValueError, match="no keyframe"):
        repeat_step(model, 1, frame_of(1), keyframes=[], recent=[], config=CONFIG)
