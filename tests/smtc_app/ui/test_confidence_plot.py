"""The confidence curves: what is drawn, and the way from a click to a frame."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPointF, Qt

from smtc_app.core.commands import SetLabels
from smtc_app.ui.confidence_plot import ConfidenceCurve, ConfidencePlot
from smtc_app.ui.theme import Theme

FRAMES = 50


@pytest.fixture
def plot(qtbot):
    Theme.install("dark")
    plot = ConfidencePlot()
    qtbot.addWidget(plot)
    plot.resize(720, 280)
    plot.show()
    qtbot.waitExposed(plot)
    return plot


def _curves():
    falling = np.linspace(1, 0.2, FRAMES).astype(np.float32)
    falling[10:20] = np.nan
    nothing = np.full(FRAMES, np.nan, np.float32)
    return [
        ConfidenceCurve(1, "dog", (200, 60, 60), falling, selected=True),
        ConfidenceCurve(2, "pole", (60, 200, 60), nothing),
    ]


def test_objects_with_values_are_drawn_and_others_left_out(plot):
    plot.set_curves(FRAMES, _curves())
    assert list(plot.curves) == [1]
    np.testing.assert_array_equal(plot.curves[1], _curves()[0].values)


def test_new_curves_replace_the_old_ones(plot):
    plot.set_curves(FRAMES, _curves())
    plot.set_curves(FRAMES, [])
    assert plot.curves == {}
    assert plot._empty.isVisible()


def test_a_click_asks_for_the_frame_under_it(plot, qtbot):
    plot.set_curves(FRAMES, _curves())
    view = plot._plot.getPlotItem().getViewBox()
    viewport = plot._plot.viewport()
    for frame in (7, 30):
        position = plot._plot.mapFromScene(view.mapViewToScene(QPointF(frame, 0.5)))
        with qtbot.waitSignal(plot.frame_requested) as asked:
            qtbot.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=position)
        assert asked.args == [frame]


def test_the_curve_follows_the_theme(plot):
    plot.set_curves(FRAMES, _curves())
    Theme.install("light")
    plot._apply_theme()
    assert plot._plot.backgroundBrush().color().name() == Theme.current().colours.panel
    Theme.install("dark")


def test_the_window_shows_the_curves_of_a_propagation_as_it_comes(application, qtbot):
    parts = application
    parts.annotation.new_object()
    parts.session.push(SetLabels(0, np.ones(parts.session.document.shape, np.uint16)))
    parts.confidence.show()
    assert parts.confidence.plot.curves == {}
    parts.propagation.propagate("forward")
    qtbot.waitUntil(lambda: 1 in parts.confidence.plot.curves)
    last = parts.session.document.frame_count - 1
    qtbot.waitUntil(lambda: not np.isnan(parts.confidence.plot.curves[1][last]))
    parts.confidence.plot.frame_requested.emit(last)
    qtbot.waitUntil(lambda: parts.session.frame == last)
