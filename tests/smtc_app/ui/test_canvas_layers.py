"""Layers that are rendered side by side: the same pixels, with less of the window's time."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from smtc_app.ui import canvas_layers
from smtc_app.ui.canvas_layers import APART_PX, Layer, bring_up_to_date
from smtc_app.ui.view_transform import ViewTransform

SIDE = int(APART_PX**0.5) + 1
WHOLE = (0, 0, SIDE, SIDE)


class Source:
    """Renders one value and remembers where."""

    def __init__(self, value, gate=None):
        self.value, self.gate, self.threads = value, gate, []

    def __call__(self, _view, region, into):
        self.threads.append(threading.current_thread())
        if self.gate is not None:
            assert self.gate.wait(10)
        into[:] = self.value


def layers(*sources, size=SIDE):
    found = [Layer() for _ in sources]
    for layer, source in zip(found, sources, strict=True):
        layer.resize((size, size))
        layer.source = source
    return found


def pixels(layer):
    return layer._buffer


def test_two_large_layers_are_rendered_in_two_threads():
    gate = threading.Event()
    below, above = Source(1, gate), Source(2)
    both = layers(below, above)

    def open_gate(view, region, into):
        above(view, region, into)
        gate.set()

    # The upper one lets the lower one go on: in one thread neither would end.
    both[1].source = open_gate
    bring_up_to_date(both, ViewTransform(), WHOLE)
    assert (pixels(both[0]) == 1).all()
    assert (pixels(both[1]) == 2).all()
    assert below.threads != above.threads == [threading.current_thread()]


@pytest.mark.parametrize("size", [SIDE, SIDE // 4])
def test_one_large_layer_and_small_ones_need_no_other_thread(size):
    below, above = Source(1), Source(2)
    found = layers(below, above, size=size)
    if size == SIDE:
        found[1].take_dirty(WHOLE)
        found[1].mark((0, 0, 10, 10))
    bring_up_to_date(found, ViewTransform(), WHOLE)
    assert {*below.threads, *above.threads} == {threading.current_thread()}


def test_a_thread_that_finds_no_time_is_not_waited_for():
    gate = threading.Event()
    busy = canvas_layers._beside.submit(gate.wait, 10)
    try:
        below, above = Source(1), Source(2)
        both = layers(below, above)
        bring_up_to_date(both, ViewTransform(), WHOLE)
        assert not busy.done()
        assert below.threads == [threading.current_thread()]
        assert (pixels(both[0]) == 1).all()
    finally:
        gate.set()
        busy.result(10)


def test_what_goes_wrong_in_the_other_thread_is_not_lost():
    def broken(_view, _region, _into):
        raise ValueError("no picture")

    both = layers(broken, Source(2))
    with pytest.raises(ValueError, match="no picture"):
        bring_up_to_date(both, ViewTransform(), WHOLE)


def test_what_is_up_to_date_is_not_rendered_again():
    source = Source(1)
    (layer,) = layers(source)
    bring_up_to_date([layer], ViewTransform(), WHOLE)
    bring_up_to_date([layer], ViewTransform(), WHOLE)
    assert len(source.threads) == 1
    pixels(layer)[:] = 0
    layer.mark((2, 3, 5, 7))
    bring_up_to_date([layer], ViewTransform(), (0, 0, 4, SIDE))
    assert np.argwhere(pixels(layer)).tolist() == [[y, x] for y in range(3, 7) for x in range(2, 4)]
