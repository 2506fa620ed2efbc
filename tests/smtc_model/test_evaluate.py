"""Reading DAVIS layouts, and scoring predictions as the benchmarks do."""

from __future__ import annotations

import gc
import json
import weakref

import numpy as np
import pytest
from davis_root import draw_frame, write_sequence
from PIL import Image

from smtc_model import evaluate
from smtc_model.davis_dataset import davis_palette, open_davis, read_mask, write_mask
from smtc_model.discovery import DiscoveryConfig, Proposal
from smtc_model.errors import ModelError
from smtc_model.evaluate import evaluate_discovery, evaluate_propagation
from smtc_model.evaluation_result import format_result
from smtc_model.propagation import PropagatedFrame
from smtc_model.weights import load_model


@pytest.fixture(scope="module")
def model():
    return load_model("colour-texture", device="cpu")


@pytest.fixture
def root(tmp_path):
    write_sequence(tmp_path, "two")
    write_sequence(tmp_path, "one", size=(64, 80), objects=1, masks=(0, 2))
    return tmp_path


def _truth(index, *, shift=0):
    labels = draw_frame(index)[1]
    return np.roll(labels, shift, axis=1)


def _propagated(shift):
    """Stands for `propagate`: the truth, shifted."""

    def fake(model, frames, keyframes, *, span, **_):
        for index in range(span[0] + 1, span[1]):
            yield PropagatedFrame(index, _truth(index, shift=shift), {}, (0,))

    return fake


class _NoCandidates:
    def candidates(self, config, *, most):
        return []


def _discovered(tracks_of):
    """Stands for `propose_each`: exact masks of the objects under the tracks of `tracks_of(frame)`."""

    def fake(model, frames, indices, **_):
        for index in indices:
            labels = _truth(index)
            proposals = [
                Proposal(index, number, labels == number, 0.5, 1, (0, 0, 1, 1), 0, track)
                for number, track in tracks_of(index).items()
            ]
            yield index, _NoCandidates(), proposals

    return fake


def test_opens_frames_and_masks_of_each_size(root):
    one, two = open_davis(root)
    assert (one.name, len(one), list(one.mask_paths)) == ("one", 4, [0, 2])
    assert two[1].shape == (96, 128, 3)
    labels, void = two.reference(1)
    np.testing.assert_array_equal(labels, draw_frame(1)[1])
    assert not void.any()


def test_image_sets_are_optional_and_obeyed(root):
    (root / "ImageSets" / "2017").mkdir(parents=True)
    (root / "ImageSets" / "2017" / "val.txt").write_text("two\n")
    assert [s.name for s in open_davis(root, split="val")] == ["two"]
    assert [s.name for s in open_davis(root, sequences=["one"])] == ["one"]
    with pytest.raises(ModelError, match=r"no split 'test'.*2017/val"):
        open_davis(root, split="test")


def test_480p_is_preferred_and_any_other_can_be_chosen(root):
    write_sequence(root, "large", size=(120, 160), resolution="1080p")
    assert [s.name for s in open_davis(root)] == ["one", "two"]
    assert [s.name for s in open_davis(root, resolution="1080p")] == ["large"]
    with pytest.raises(ModelError, match="no resolution '2160p'"):
        open_davis(root, resolution="2160p")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: (root / "JPEGImages").rename(root / "images"), "no folder JPEGImages"),
        (lambda root: write_mask(_mask(root), np.ones((5, 7), np.uint16)), "7 x 5 pixels but its frame"),
        (lambda root: Image.new("RGB", (128, 96)).save(_mask(root)), "colour mode RGB"),
        (lambda root: _mask(root).write_bytes(b"not a png"), "cannot be read"),
        (lambda root: _mask(root).rename(_mask(root).with_name("00099.png")), "no frame of that name"),
    ],
)  # fmt: skip
def test_bad_roots_are_told_in_one_sentence(root, model, monkeypatch, break_it, message):
    monkeypatch.setattr(evaluate, "propagate", _propagated(0))
    break_it(root)
    with pytest.raises(ModelError, match=message) as caught:
        evaluate_propagation(model, open_davis(root, sequences=["two"]))
    assert "\n" not in str(caught.value)


def _mask(root):
    return root / "Annotations" / "480p" / "two" / "00001.png"


def test_void_is_label_zero_and_marked(tmp_path):
    labels = np.zeros((6, 8), np.uint8)
    labels[:2], labels[2:4] = 1, 255
    image = Image.fromarray(labels)
    image.putpalette(davis_palette().ravel().tolist())
    image.save(tmp_path / "indexed.png")
    read, void = read_mask(tmp_path / "indexed.png")
    assert read.max() == 1
    np.testing.assert_array_equal(void, labels == 255)


def test_grey_mask_of_davis_2016_is_one_object(tmp_path):
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).save(tmp_path / "grey.png")
    labels, void = read_mask(tmp_path / "grey.png")
    assert labels.tolist() == [[0, 1], [1, 0]]
    assert not void.any()


def test_exact_propagation_scores_one_without_first_and_last_frame(root, model, monkeypatch):
    monkeypatch.setattr(evaluate, "propagate", _propagated(0))
    result = evaluate_propagation(model, open_davis(root, sequences=["two"]))
    (sequence,) = result.sequences
    assert sequence.frames == (1, 2)
    assert [score.id for score in sequence.objects] == [1, 2]
    assert result.to_dict()["global"]["j_and_f"] == 1


def test_shifted_propagation_scores_less(root, model, monkeypatch):
    monkeypatch.setattr(evaluate, "propagate", _propagated(4))
    result = evaluate_propagation(model, open_davis(root, sequences=["two"]))
    truth = draw_frame(1)[1] == 1
    shifted = np.roll(truth, 4, axis=1)
    expected = (truth & shifted).sum() / (truth | shifted).sum()
    assert result.sequences[0].objects[0].j.mean == pytest.approx(expected)


def test_ids_that_appear_later_are_not_scored(root, model, monkeypatch):
    monkeypatch.setattr(evaluate, "propagate", _propagated(0))
    mask = root / "Annotations" / "480p" / "two" / "00000.png"
    write_mask(mask, np.where(_truth(0) == 2, 0, _truth(0)))
    result = evaluate_propagation(model, open_davis(root, sequences=["two"]))
    assert [score.id for score in result.sequences[0].objects] == [1]


def test_sequence_without_scorable_mask_is_left_out_or_refused(root, model, monkeypatch):
    monkeypatch.setattr(evaluate, "propagate", _propagated(0))
    for index in (1, 2):
        (root / "Annotations" / "480p" / "two" / f"0000{index}.png").unlink()
    with pytest.raises(ModelError, match="'two' has no mask between the first and the last frame"):
        evaluate_propagation(model, open_davis(root, sequences=["two"]))


def test_propagation_writes_all_frames(root, model, monkeypatch, tmp_path):
    monkeypatch.setattr(evaluate, "propagate", _propagated(0))
    out = tmp_path / "predicted"
    evaluate_propagation(model, open_davis(root, sequences=["two"]), output=out)
    names = sorted(path.name for path in (out / "two").iterdir())
    assert names == [f"{i:05d}.png" for i in range(4)]
    for index in range(4):
        np.testing.assert_array_equal(read_mask(out / "two" / names[index])[0], _truth(index))


def test_real_propagation_follows_the_discs(root, model):
    result = evaluate_propagation(model, open_davis(root), device="cpu")
    assert {s.name: s.frames for s in result.sequences} == {"one": (2,), "two": (1, 2)}
    assert result.to_dict()["global"]["j_mean"] > 0.8


def test_discovery_needs_the_same_track_over_the_sequence(root, model, monkeypatch):
    sequences = open_davis(root, sequences=["two"])
    monkeypatch.setattr(evaluate, "propose_each", _discovered(lambda _: {1: 7, 2: 9}))
    kept = evaluate_discovery(model, sequences)
    assert kept.to_dict()["global"]["j_and_f"] == 1
    assert [score.proposal for score in kept.sequences[0].objects] == [7, 9]
    swapping = _discovered(lambda index: {1: 7, 2: 9} if index % 2 else {1: 9, 2: 7})
    monkeypatch.setattr(evaluate, "propose_each", swapping)
    swapped = evaluate_discovery(model, sequences)
    assert swapped.to_dict()["global"]["j_mean"] == pytest.approx(0.5)


def test_discovery_misses_count_as_zero(root, model, monkeypatch):
    monkeypatch.setattr(evaluate, "propose_each", _discovered(lambda _: {1: 7}))
    result = evaluate_discovery(model, open_davis(root, sequences=["two"]))
    assert [score.j.mean for score in result.sequences[0].objects] == [1, 0]
    assert result.sequences[0].objects[1].proposal not in (7,)


def test_at_most_twenty_tracks_take_part():
    masks = np.zeros((2, 2), bool)
    proposals = [Proposal(0, i, masks, i / 100, 1, (0, 0, 1, 1), 0, i) for i in range(1, 31)]
    kept = [evaluate._Kept.of(proposal) for proposal in proposals]
    assert evaluate._best_tracks({0: kept}) == list(range(30, 10, -1))


def test_no_masks_of_earlier_frames_are_held(root, model, monkeypatch):
    found, alive = _discovered(lambda _: {1: 7, 2: 9}), []

    def watched(*args, **kwargs):
        for index, candidates, proposals in found(*args, **kwargs):
            alive.append(sum(mask() is not None for mask in earlier))
            earlier.extend(weakref.ref(proposal.mask) for proposal in proposals)
            yield index, candidates, proposals
            del proposals
            gc.collect()

    earlier: list[weakref.ref] = []
    monkeypatch.setattr(evaluate, "propose_each", watched)
    result = evaluate_discovery(model, open_davis(root, sequences=["two"]))
    assert result.to_dict()["global"]["j_and_f"] == 1
    assert max(alive) <= 2  # the last frame's


def test_a_kept_proposal_has_its_mask():
    mask = np.random.default_rng(0).random((7, 13)) > 0.5
    kept = evaluate._Kept.of(Proposal(0, 1, mask, 0.5, 1, (0, 0, 1, 1), 0, 1))
    np.testing.assert_array_equal(kept.mask, mask)


def test_real_discovery_reports_both_protocols(root, model):
    config = DiscoveryConfig(max_objects=20, motion_offsets=())
    result = evaluate_discovery(model, open_davis(root, sequences=["two"]), config=config, device="cpu")
    values = json.loads(json.dumps(result.to_dict()))
    assert values["global"]["j_mean"] > 0.5
    assert values["global_per_frame"]["j"] > 0.5
    text = format_result(result)
    assert "untrained" in text
    assert "not the official measure" in text
