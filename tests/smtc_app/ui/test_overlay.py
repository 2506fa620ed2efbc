"""What is drawn of masks and frames, dot by dot, without a widget."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtc_app.core.palette import davis_palette
from smtc_app.ui import overlay
from smtc_app.ui.frame_sampler import FrameSampler
from smtc_app.ui.overlay import OverlayStyle, Proposal
from smtc_app.ui.view_transform import ViewTransform

RED, GREEN = (200, 0, 0, 255), (0, 200, 0, 255)


def lut(*rows):
    return np.array([(0, 0, 0, 0), *rows], np.uint8)


def square(size=20, low=5, high=15, value=1):
    labels = np.zeros((size, size), np.uint16)
    labels[low:high, low:high] = value
    return labels


def draw(labels, tables, *, view=None, line_px=1, region=None):
    view = view or ViewTransform()
    height, width = labels.shape
    region = region or (0, 0, round(width * view.scale), round(height * view.scale))
    return overlay.render(labels, view, region, tables, line_px)


def test_a_mask_is_filled_outlined_and_has_a_dark_rim_and_the_background_is_clear():
    layer = draw(square(), overlay.label_tables(lut(RED), OverlayStyle(opacity=0.5)))
    assert layer[10, 10] == 0x80640000  # half of (200, 0, 0), premultiplied
    assert layer[5, 10] == 0xFFEE2424  # a bright line of the same hue
    assert layer[4, 10] == overlay.HALO
    assert layer[3, 10] == 0
    assert layer[0, 0] == 0


def test_outlines_only_leave_the_inside_clear():
    layer = draw(square(), overlay.label_tables(lut(RED), OverlayStyle(outline=True)), line_px=2)
    assert layer[10, 10] == 0
    assert layer[5, 10] == layer[6, 10] == 0xFFEE2424
    assert layer[7, 10] == 0


def test_outlines_are_equally_thick_at_every_zoom():
    tables = overlay.label_tables(lut(RED), OverlayStyle())
    for scale in (0.5, 1.0, 4.0):
        layer = draw(square(80, 20, 60), tables, view=ViewTransform(scale), line_px=2)
        row = layer[round(40 * scale)]
        assert (row == 0xFFEE2424).sum() == 4  # two on each side


@pytest.mark.parametrize("style", [OverlayStyle(visible=False), OverlayStyle()])
def test_hidden_objects_are_not_drawn_nor_outlined_by_their_neighbours(style):
    labels = square()
    labels[5:15, 10:15] = 2
    rows = lut(RED, (*GREEN[:3], 0))
    layer = draw(labels, overlay.label_tables(rows, style))
    assert not layer[5:15, 12:].any()
    assert layer.any() == style.visible


def test_a_label_beyond_the_table_is_never_overlooked():
    layer = draw(square(value=40000), overlay.label_tables(lut(RED), OverlayStyle(opacity=1.0)))
    assert layer[10, 10] == 0xFFFFFFFF


def test_more_than_255_objects_keep_their_own_colours():
    labels = np.repeat(np.arange(1, 601, dtype=np.uint16), 4)[None].repeat(4, axis=0)
    rows = np.zeros((601, 4), np.uint8)
    rows[1:, 0], rows[1:, 1], rows[:, 3] = np.arange(600) % 256, np.arange(600) // 256 * 100, 255
    tables = overlay.label_tables(rows, OverlayStyle(opacity=1.0))
    sampled = overlay.sample_labels(labels, ViewTransform(), (0, 0, 2400, 4))
    np.testing.assert_array_equal(sampled, labels)
    expected = 0xFF000000 | rows[labels, 0].astype(np.uint32) << 16 | rows[labels, 1].astype(np.uint32) << 8
    np.testing.assert_array_equal(tables.fill[labels], expected)


def test_selected_objects_have_a_white_ring_around_them_and_keep_their_inside():
    plain = draw(square(), overlay.label_tables(lut(RED), OverlayStyle(opacity=0.5)))
    ringed = draw(square(), overlay.label_tables(lut(RED), OverlayStyle(opacity=0.5), (1,)))
    assert ringed[4, 10] == ringed[3, 10] == overlay.WHITE
    assert ringed[2, 10] == overlay.HALO
    assert ringed[5, 10] == plain[5, 10]
    assert ringed[10, 10] >> 24 > plain[10, 10] >> 24


@given(
    st.integers(0, 2**31),
    st.floats(0.3, 6),
    st.tuples(st.integers(-10, 30), st.integers(-10, 30)),
    st.integers(1, 3),
)
def test_a_part_drawn_alone_is_the_same_part_of_the_whole(seed, scale, origin, line_px):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (6, 8), dtype=np.uint16).repeat(3, axis=0).repeat(3, axis=1)
    tables = overlay.label_tables(lut(RED, GREEN, (0, 0, 200, 255)), OverlayStyle(), (2,))
    view = ViewTransform(scale, *origin)
    whole = overlay.render(labels, view, (0, 0, 60, 50), tables, line_px)
    part = overlay.render(labels, view, (13, 7, 41, 33), tables, line_px)
    np.testing.assert_array_equal(part, whole[7:33, 13:41])


@given(st.floats(0.3, 6), st.integers(-10, 30))
def test_knowing_where_the_labels_are_changes_nothing(scale, x):
    labels = square(30, 9, 14)
    tables = overlay.label_tables(lut(RED), OverlayStyle(), (1,))
    view = ViewTransform(scale, x, 3)
    region = (0, 0, 70, 60)
    boxed = overlay.render(labels, view, region, tables, 2, box=(9, 9, 14, 14))
    np.testing.assert_array_equal(boxed, overlay.render(labels, view, region, tables, 2))
    assert not overlay.render(labels * 0, view, region, tables, 2, box=(0, 0, 0, 0)).any()


@pytest.mark.parametrize("band_px", [1, 700, 10**6])
def test_bands_have_no_seams_and_fill_what_they_are_given(band_px, monkeypatch):
    labels, view = square(30, 9, 24), ViewTransform(2.3, -4, 3)
    tables = overlay.label_tables(lut(RED), OverlayStyle(), (1,))
    expected = overlay.render(labels, view, (0, 0, 70, 60), tables, 2)
    monkeypatch.setattr(overlay, "BAND_PX", band_px)
    buffer = np.full((64, 80), 7, np.uint32)
    overlay.render(labels, view, (0, 0, 70, 60), tables, 2, box=(9, 9, 24, 24), into=buffer[:60, :70])
    np.testing.assert_array_equal(buffer[:60, :70], expected)
    assert (buffer[60:] == 7).all()
    assert (buffer[:, 70:] == 7).all()


def test_proposals_are_tinted_lightly_and_dashed_solid_ones_have_full_lines():
    mask = square().astype(bool)
    for accepted in (False, True):
        proposals = [Proposal(7, mask, (250, 250, 0), accepted)]
        tables = overlay.proposal_tables(proposals)
        layer = draw(overlay.proposal_map(proposals, (20, 20)), tables, line_px=1)
        edge = layer[5, 5:15]
        assert (layer[10, 10] >> 24) == round(overlay.PROPOSAL_TINT * 255)
        assert (edge == 0xFFFAFA00).any()
        assert (edge == layer[10, 10]).any() != accepted
    chosen = draw(overlay.proposal_map(proposals, (20, 20)), overlay.proposal_tables(proposals, (7,)))
    assert chosen[4, 10] == overlay.WHITE


def test_of_overlapping_proposals_the_smaller_is_on_top():
    large, small = square().astype(bool), square(20, 8, 12).astype(bool)
    for order in ((1, 2), (2, 1)):
        masks = {1: large, 2: small}
        numbers = overlay.proposal_map([Proposal(i, masks[i], (1, 2, 3)) for i in order], (20, 20))
        assert order[numbers[10, 10] - 1] == 2
        assert order[numbers[6, 6] - 1] == 1


def test_a_proposal_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"proposal 7 must be \(10, 10\), got \(20, 20\)"):
        overlay.proposal_map([Proposal(7, square().astype(bool), (0, 0, 0))], (10, 10))


def test_lines_keep_their_hue_and_greys_stay_off_white():
    lines = overlay.brightened(np.array([(0, 128, 0), (0, 0, 0), (192, 192, 192), (255, 128, 0)], np.uint8))
    assert lines.tolist() == [[0, 235, 0], [175, 175, 175], [175, 175, 175], [255, 128, 0]]


def test_the_line_of_every_object_stands_out_on_dark_footage_and_none_is_white():
    rgb = davis_palette()[1:]
    lines = overlay.brightened(rgb).astype(int)
    assert (lines @ [0.299, 0.587, 0.114]).min() >= 95
    coloured = np.ptp(rgb.astype(int), axis=1) >= 40
    assert np.ptp(lines[coloured], axis=1).min() >= 40
    assert (lines[3].argmax(), lines[7].argmax()) == (2, 0)


def test_heat_grows_with_the_value_and_nan_is_clear():
    heat = overlay.heat_colours(np.array([[0.0, 0.5, 1.0, np.nan]]))
    alpha = (heat[0] >> 24).tolist()
    assert alpha[0] == alpha[3] == 0
    assert 0 < alpha[1] < alpha[2]
    with pytest.raises(ValueError, match="heat map"):
        overlay.heat_colours(np.zeros((2, 2, 3)))


def test_union_leaves_out_what_has_no_area():
    assert overlay.union([None, (3, 4, 5, 6), (0, 0, 0, 0), (1, 9, 2, 10)]) == (1, 4, 5, 10)
    assert overlay.union([None, (0, 0, 0, 0)]) is None


class TestFrameSampler:
    def frame(self, height=8, width=10):
        rng = np.random.default_rng(1)
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)

    def rgb(self, layer):
        return np.stack([layer >> 16 & 255, layer >> 8 & 255, layer & 255], axis=-1).astype(np.uint8)

    def test_at_1_to_1_the_pixels_are_the_pixels(self):
        frame = self.frame()
        layer = FrameSampler(frame).render(ViewTransform(1.0, 2, 3), (0, 0, 14, 12))
        np.testing.assert_array_equal(self.rgb(layer[3:11, 2:12]), frame)
        assert not layer[:3].any()
        assert not layer[:, 12:].any()

    def test_far_in_every_pixel_is_a_square(self):
        frame = self.frame()
        layer = FrameSampler(frame).render(ViewTransform(5.0), (0, 0, 50, 40))
        np.testing.assert_array_equal(self.rgb(layer), frame.repeat(5, axis=0).repeat(5, axis=1))

    def test_made_smaller_it_is_averaged(self):
        frame = np.zeros((8, 8, 3), np.uint8)
        frame[:, ::2] = 200
        layer = FrameSampler(frame).render(ViewTransform(0.5), (0, 0, 4, 4))
        assert (self.rgb(layer) == 100).all()

    @pytest.mark.parametrize("scale", [0.37, 1.0, 1.6, 2.9, 7.3])
    def test_a_part_drawn_alone_is_the_same_part_of_the_whole(self, scale, monkeypatch):
        sampler, view = FrameSampler(self.frame(40, 50)), ViewTransform(scale, -5, 4)
        for kept in (0, 10**7):
            monkeypatch.setattr("smtc_app.ui.frame_sampler.KEPT_PX", kept)
            whole = sampler.render(view, (0, 0, 90, 80))
            part = sampler.render(view, (11, 9, 55, 60))
            np.testing.assert_array_equal(part, whole[9:60, 11:55])

    @pytest.mark.parametrize("scale", [0.37, 1.0, 1.6, 7.3])
    def test_it_may_use_the_memory_of_the_one_before_and_draw_in_an_array(self, scale):
        view, region = ViewTransform(scale, -5, 4), (0, 0, 90, 80)
        first, second = self.frame(40, 50), 255 - self.frame(40, 50)
        before = FrameSampler(first)
        before.render(view, region)
        sampler, buffer = FrameSampler(second, before=before), np.full((90, 100), 7, np.uint32)
        sampler.render(view, region, buffer[:80, :90])
        np.testing.assert_array_equal(buffer[:80, :90], FrameSampler(second).render(view, region))
        np.testing.assert_array_equal(before.render(view, region), FrameSampler(first).render(view, region))
        assert (buffer[80:] == 7).all()

    def test_something_else_than_a_frame_is_refused(self):
        with pytest.raises(ValueError, match="frame must be uint8"):
            FrameSampler(np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("length", [3, 256, 400])
def test_looking_up_is_indexing_with_the_last_entry_for_the_rest(kind, length):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, np.iinfo(kind).max, (7, 9), endpoint=True).astype(kind)
    expected = np.minimum(labels.astype(int), length - 1)
    colours = rng.integers(0, 1 << 32, length, dtype=np.uint32)
    shown = rng.random(length) < 0.5
    for table in (colours, shown):
        found = overlay.look_up(table, labels[1:, 2:])
        assert found.dtype == table.dtype
        assert np.array_equal(found, table[expected[1:, 2:]])


def test_small_and_large_labels_are_drawn_alike():
    labels = np.zeros((20, 30), np.uint16)
    labels[4:12, 5:20] = 7
    view, region = ViewTransform(1.3, 2, 3), (0, 0, 45, 30)
    layers = []
    for large in (False, True):
        lut = np.zeros((301, 4), np.uint8)
        lut[[7, 300]] = (200, 40, 60, 255)
        labels[labels > 0] = 300 if large else 7
        sampled = overlay.sample_labels(labels, view, region)
        assert sampled.dtype == (np.uint16 if large else np.uint8)
        layers.append(overlay.render(labels, view, region, overlay.label_tables(lut, OverlayStyle()), 1))
    assert np.array_equal(*layers)
    assert layers[0].any()
