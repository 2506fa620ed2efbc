"""J, F and their statistics against hand-computed cases and the released DAVIS evaluation."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.morphology import disk

from smtc_model.metrics import (
    boundary_f,
    boundary_map,
    jaccard,
    pairwise_boundary_f,
    pairwise_jaccard,
    statistics,
)

SEQUENCES = ("blackswan", "dogs-jump", "gold-fish", "judo")


def _stack(folder, ids):
    """(T, len(ids), H, W) bool of the indexed PNGs of a folder."""
    frames = [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]
    return np.stack([np.stack([frame == i for i in ids]) for frame in frames])


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_matches_the_released_davis_evaluation(shared, sequence):
    folder = shared / "golden" / "metrics"
    expected = json.loads((folder / "expected.json").read_text())[sequence]
    reference_ids = [i for i in expected["reference_ids"] if i]
    prediction_ids = [i for i in expected["prediction_ids"] if i]
    reference = _stack(folder / "reference" / sequence, reference_ids)
    prediction = _stack(folder / "prediction" / sequence, prediction_ids)
    j = np.stack([pairwise_jaccard(*pair) for pair in zip(reference, prediction, strict=True)])
    f = np.stack([pairwise_boundary_f(*pair) for pair in zip(reference, prediction, strict=True)])
    assert expected["pairs"]
    for pair, values in expected["pairs"].items():
        row, column = (int(number) for number in pair.split(":"))
        row, column = reference_ids.index(row), prediction_ids.index(column)
        for measure, name in ((j, "J"), (f, "F")):
            np.testing.assert_allclose(measure[:, row, column], values[name], atol=1e-6)
            np.testing.assert_allclose(
                statistics(measure[:, row, column]), values[f"{name}_mean_recall_decay"], atol=1e-6
            )


def test_jaccard_by_hand():
    reference = np.zeros((4, 6), bool)
    prediction = reference.copy()
    reference[1:3, 1:4] = True
    prediction[1:3, 2:6] = True
    assert jaccard(reference, prediction) == pytest.approx(4 / 10)
    void = np.zeros_like(reference)
    void[:, 4:] = True
    assert jaccard(reference, prediction, void=void) == pytest.approx(4 / 6)


def test_empty_masks():
    empty, full = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    full[2:5, 2:5] = True
    assert jaccard(empty, empty) == boundary_f(empty, empty) == 1
    assert jaccard(empty, full) == boundary_f(empty, full) == 0
    assert jaccard(full, empty) == boundary_f(full, empty) == 0


def test_boundary_map_by_hand():
    mask = np.array([[0, 0, 0], [0, 1, 1], [0, 1, 1]], bool)
    np.testing.assert_array_equal(boundary_map(mask), [[1, 1, 1], [1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize("radius", [1, 2, 5, 8])
def test_tolerance_is_a_disk(radius):
    """The distance transform selects the very pixels of a dilation with the benchmark's disk."""
    rng = np.random.default_rng(radius)
    reference, prediction = (cv2.blur(rng.random((60, 80)), (9, 9)) > 0.5 for _ in range(2))
    kernel = disk(radius)
    boundaries = [boundary_map(mask).astype(np.uint8) for mask in (reference, prediction)]
    near = [cv2.dilate(boundary, kernel) for boundary in boundaries]
    precision = (boundaries[1] * near[0]).sum() / boundaries[1].sum()
    recall = (boundaries[0] * near[1]).sum() / boundaries[0].sum()
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_f(reference, prediction, tolerance=radius) == pytest.approx(expected, abs=1e-12)


def test_far_boundaries_do_not_match():
    reference, prediction = np.zeros((100, 100), bool), np.zeros((100, 100), bool)
    reference[:10, :10] = True
    prediction[80:, 80:] = True
    assert boundary_f(reference, prediction) == 0


def test_statistics_by_hand():
    result = statistics(np.array([1.0, 0.75, 0.5, 0.25, 0.0]))
    assert result.mean == pytest.approx(0.5)
    assert result.recall == pytest.approx(2 / 5)
    assert result.decay == pytest.approx((1 + 0.75) / 2 - 0.25 / 2)


def test_decay_of_more_than_256_frames():
    assert statistics(np.linspace(1, 0, 1001)).decay == pytest.approx(0.75, abs=1e-3)


def test_statistics_leave_out_nan():
    result = statistics(np.array([np.nan, 1.0, 0.0, np.nan]))
    assert result.mean == pytest.approx(0.5)
    with pytest.raises(ValueError, match="a value"):
        statistics(np.array([np.nan]))


def test_masks_of_different_size_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 4, 4\).*\(1, 4, 5\)"):
        jaccard(np.zeros((4, 4), bool), np.zeros((4, 5), bool))
