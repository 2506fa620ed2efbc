"""With the theme of the system, the whole window follows when the system goes from dark to light and back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication

from smtc_app.core.settings import Settings
from smtc_app.ui import theme as theme_module
from smtc_app.ui.theme import DARK, LIGHT, Theme

SCHEMES = Qt.ColorScheme


@pytest.fixture
def system(monkeypatch):
    """Call it with a scheme: the system has it from now on, and says so."""
    hints = QGuiApplication.styleHints()
    now = [SCHEMES.Dark]
    fake = SimpleNamespace(colorSchemeChanged=hints.colorSchemeChanged, colorScheme=lambda: now[0])
    application = SimpleNamespace(styleHints=lambda: fake)
    monkeypatch.setattr(theme_module, "QGuiApplication", application)

    def change(scheme):
        now[0] = scheme
        hints.colorSchemeChanged.emit(scheme)

    yield change
    now[0] = SCHEMES.Dark
    Theme.current().set_choice("system")


@pytest.fixture
def window(make_application, qtbot, system):
    parts = make_application(Settings(hint_shown=True, theme="system"))
    parts.dataset.open("/set")
    qtbot.waitUntil(lambda: parts.session.pixels is not None)
    return parts.window


def background(widget):
    """The colour of its lower left corner, which nothing else is drawn in."""
    return widget.grab().toImage().pixelColor(1, widget.height() - 2).name()


def test_the_window_follows_the_system(window, system):
    assert Theme.current().colours is DARK
    panels = (window.object_panel, window.proposal_panel)
    seen = {}
    for scheme, colours in ((SCHEMES.Light, LIGHT), (SCHEMES.Dark, DARK), (SCHEMES.Light, LIGHT)):
        system(scheme)
        assert Theme.current().colours is colours
        assert [background(panel) for panel in panels] == [colours.panel] * 2
        seen.setdefault(scheme, []).append(
            [
                window.actions_table["propose"].icon().pixmap(20, 20).toImage(),
                window.timeline.grab().toImage(),
                window.dataset_panel.grab().toImage(),
            ]
        )
    (light, light_again), (dark,) = seen[SCHEMES.Light], seen[SCHEMES.Dark]
    assert light == light_again
    assert all(one != other for one, other in zip(light, dark, strict=True))


def test_a_theme_that_was_chosen_stays(window, system):
    window.actions_table["theme_dark"].trigger()
    system(SCHEMES.Light)
    assert Theme.current().colours is DARK
    window.actions_table["theme_system"].trigger()
    assert Theme.current().colours is LIGHT
