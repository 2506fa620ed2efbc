"""Refined labels follow the image's edges, keep thin structures and never invent anything."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from smtc_model.metrics import boundary_f, jaccard
from smtc_model.refine import GuidedFilter, lab_guide, refine_labels, upsample_labels

HEIGHT, WIDTH = 120, 160


def scene(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A red disk and a blue bar over noisy green, with the exact labels 1 and 2."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    cv2.circle(labels, (50, 60), 28, 1, -1)
    cv2.rectangle(labels, (100, 20), (140, 100), 2, -1)
    frame = np.array([(40, 120, 40), (190, 40, 40), (40, 60, 190)])[labels]
    return np.clip(frame + rng.normal(0, 6, frame.shape), 0, 255).astype(np.uint8), labels


def coarse(labels: np.ndarray, cell: int, count: int) -> np.ndarray:
    """(L, H/cell, W/cell) shares of each label."""
    size = (labels.shape[1] // cell, labels.shape[0] // cell)
    maps = [
        cv2.resize((labels == i).astype(np.float32), size, interpolation=cv2.INTER_AREA) for i in range(count)
    ]
    return np.stack(maps)


@pytest.mark.parametrize("cell", [2, 4])
def test_edges_pull_misplaced_labels_back(cell):
    frame, labels = scene()
    soft = coarse(np.roll(labels, (2, 3), (0, 1)), cell, 3)
    soft = np.stack([cv2.GaussianBlur(channel, (0, 0), 5 / cell) for channel in soft])
    plain = upsample_labels(soft, (0, 1, 2), labels.shape)
    refined = refine_labels(soft, (0, 1, 2), frame)
    for label in (1, 2):
        exact = labels == label
        assert jaccard(exact, refined == label) > jaccard(exact, plain == label)
        # Within one pixel: at the benchmark's tolerance both would be perfect.
        before = boundary_f(exact, plain == label, tolerance=1)
        assert boundary_f(exact, refined == label, tolerance=1) > before


def test_good_labels_are_not_spoilt():
    frame, labels = scene()
    refined = refine_labels(coarse(labels, 4, 3), (0, 1, 2), frame)
    for label in (1, 2):
        assert jaccard(labels == label, refined == label) > 0.97


def test_thin_structures_stay():
    frame = np.full((HEIGHT, WIDTH, 3), (40, 120, 40), np.uint8)
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    cv2.line(labels, (10, 20), (150, 90), 1, 3)
    frame[labels == 1] = (220, 220, 40)
    refined = refine_labels(coarse(labels, 2, 2), (0, 1), frame)
    assert jaccard(labels == 1, refined == 1) > 0.9


def test_labels_outside_the_band_are_untouched():
    frame, labels = scene()
    refined = refine_labels(coarse(labels, 4, 3), (0, 7, 9), frame)
    assert set(np.unique(refined)) == {0, 7, 9}
    inside = cv2.erode((labels == 1).astype(np.uint8), np.ones((17, 17))).astype(bool)
    assert (refined[inside] == 7).all()
    assert refined.dtype == np.uint16


def test_no_object_gives_background():
    frame, _ = scene()
    soft = np.zeros((2, 15, 20), np.float32)
    soft[0] = 1
    assert not refine_labels(soft, (0, 5), frame).any()


def test_sizes_that_do_not_divide():
    frame, labels = scene()
    soft = cv2.resize((labels == 1).astype(np.float32), (23, 17), interpolation=cv2.INTER_AREA)
    refined = refine_labels(np.stack([1 - soft, soft]), (0, 1), frame)
    assert refined.shape == labels.shape
    assert jaccard(labels == 1, refined == 1) > 0.8


def test_guided_filter_is_linear_in_its_target():
    """So the filtered background is one minus the filtered objects, and need not be filtered itself."""
    frame, labels = scene()
    filtered = GuidedFilter(lab_guide(frame), radius=3, epsilon=1e-4)
    mask = (labels == 1).astype(np.float32)
    np.testing.assert_allclose(filtered(mask) + filtered(1 - mask), 1, atol=2e-3)


def test_guided_filter_of_a_flat_guide_is_a_box_filter_twice():
    target = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    filtered = GuidedFilter(np.full((20, 30, 3), 0.5, np.float32), radius=2, epsilon=1e-3)(target)
    box = cv2.blur(
        cv2.blur(target, (5, 5), borderType=cv2.BORDER_REFLECT), (5, 5), borderType=cv2.BORDER_REFLECT
    )
    np.testing.assert_allclose(filtered, box, atol=1e-4)
