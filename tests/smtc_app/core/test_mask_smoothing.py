"""Outlines become smooth; area, parts, limbs and neighbours stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core import mask_smoothing
from smtc_app.core.mask_smoothing import smooth, smoothing_radius

H, W = 80, 120


def stairs(step=4, object_id=1):
    """A disk in steps, as coarse labels are enlarged."""
    small = np.zeros((H // step, W // step), np.uint8)
    cv2.circle(small, (W // step // 2, H // step // 2), H // step // 3, object_id, -1)
    return cv2.resize(small, (W, H), interpolation=cv2.INTER_NEAREST).astype(np.uint16)


def outline_px(mask):
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return sum(cv2.arcLength(contour, closed=True) for contour in contours)


def test_steps_become_a_curve_of_the_same_area():
    labels = stairs()
    edited = smooth(labels, 1, 2.0)
    before, after = labels == 1, edited.labels == 1
    assert outline_px(after) < 0.93 * outline_px(before)
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)
    ideal = np.zeros((H, W), np.uint8)
    ys, xs = np.nonzero(before)
    radius = round(float(np.sqrt(before.sum() / np.pi)))
    cv2.circle(ideal, (round(xs.mean()), round(ys.mean())), radius, 1, -1)

    def overlap(mask):
        return (mask & (ideal > 0)).sum() / (mask | (ideal > 0)).sum()

    assert overlap(after) > overlap(before)
    x0, y0, x1, y1 = edited.box
    assert (edited.labels != labels)[y0:y1, x0:x1].sum() == (edited.labels != labels).sum()


@given(st.integers(0, 2**31), st.floats(0.5, 6))
def test_every_part_keeps_its_area_and_others_every_pixel(seed, radius_px):
    rng = np.random.default_rng(seed)
    labels = np.zeros((H, W), np.uint16)
    for object_id in (1, 2, 1, 3, 1):
        centre = int(rng.integers(W)), int(rng.integers(H))
        cv2.circle(labels, centre, int(rng.integers(0, 14)), object_id, -1)
    before = labels.copy()
    after = smooth(labels, 1, radius_px).labels
    np.testing.assert_array_equal(labels, before)
    for other in (2, 3):
        np.testing.assert_array_equal(after == other, before == other)
    area = (before == 1).sum()
    # Parts may grow into one another: what both take counts once.
    assert (after == 1).sum() <= area
    count, parts = cv2.connectedComponents((before == 1).astype(np.uint8), connectivity=8)
    for number in range(1, count):
        assert (after[parts == number] == 1).any(), "no part is lost"


def test_a_part_alone_keeps_its_area_however_small():
    for side in (1, 2, 3, 5, 9, 30):
        labels = np.zeros((H, W), np.uint16)
        labels[20 : 20 + side, 30 : 30 + side] = 7
        after = smooth(labels, 7, 3.0).labels
        assert (after == 7).sum() == side * side


def test_thin_limbs_and_narrow_gaps_stay():
    labels = np.zeros((H, W), np.uint16)
    labels[20:60, 20:70] = 1
    labels[39:41, 70:110] = 1  # a limb of two pixels
    labels[30:32, 20:55] = 0  # and a gap
    after = smooth(labels, 1, 3.0).labels
    assert (after[39:41, 76:110] == 1).all()
    assert (after[30:32, 20:48] == 0).all()


def test_what_touches_stays_together():
    labels = np.zeros((H, W), np.uint16)
    labels[10:70, 10:60] = 1
    labels[30:50, 60:100] = 2
    after = smooth(labels, 1, 3.0).labels
    assert (after[34:46, 59] == 1).all(), "no gap opens between the two"
    labels = np.zeros((H, W), np.uint16)
    labels[:40, :50] = 1
    assert (smooth(labels, 1, 3.0).labels[:30, 0] == 1).all(), "the border of the frame is no outline"


def test_nothing_to_smooth_gives_the_same_array():
    labels = stairs()
    for edited in (smooth(labels, 2, 2.0), smooth(labels, 1, 2.0, locked_ids={1}), smooth(labels, 1, 0)):
        assert edited.labels is labels
        assert edited.box is None


def test_larger_frames_are_smoothed_as_much_to_the_eye():
    assert smoothing_radius((480, 854)) == smoothing_radius((720, 1280)) == 2
    assert smoothing_radius((2160, 3840)) == 6


def test_specks_stay_as_they_are_and_are_not_gone_through_one_by_one(monkeypatch):
    labels = stairs()
    specks = np.zeros((H, W), bool)
    specks[1:8:3, 1:110:3] = specks[2:8:3, 1:110:6] = True
    labels[specks] = 1
    smoothed = []
    inner = mask_smoothing._smoothed
    monkeypatch.setattr(mask_smoothing, "_smoothed", lambda *given: smoothed.append(1) or inner(*given))
    after = smooth(labels, 1, 2.0).labels
    assert len(smoothed) == 1
    assert (after[:9][specks[:9]] == 1).all()
    assert (after[9:] != labels[9:]).any()
