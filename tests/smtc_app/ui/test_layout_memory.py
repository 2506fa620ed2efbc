"""The window comes back where it was, with its panels as large as they were."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QByteArray

from smtc_app.core.settings import Settings, load_settings
from smtc_app.ui.main_window import TIMELINE_HEIGHT_PX, TIMELINE_SHARE


@pytest.fixture
def opened(make_application, qtbot):
    """Builds windows with a clip open, with the settings of the window before."""

    def open_clip(parts):
        parts.project.open("clip.mp4")
        qtbot.waitUntil(lambda: parts.session.pixels is not None)
        return parts

    return make_application, open_clip


def test_sizes_of_panels_and_the_last_folder_survive_a_restart(opened, qtbot, tmp_path):
    make, open_clip = opened
    first = open_clip(make())
    window = first.window
    window.resize(1400, 800)
    body = window.body_splitter
    total = sum(body.sizes())
    body.setSizes([0, total - 380, 380])
    heights = sum(window.left_splitter.sizes())
    window.left_splitter.setSizes([heights - 260, 260])
    qtbot.waitUntil(lambda: window.object_panel.width() == 380)
    first.close(discard=True)
    stored, notes = load_settings()
    assert notes == ()
    assert stored.panel_sizes["side"] == 380
    assert stored.panel_sizes["timeline"] == 260
    second = make()
    second.settings = stored
    second._apply_settings()
    # The screen of the tests is smaller than the window was: it is brought back onto it.
    room = second.window.screen().availableSize()
    assert second.window.height() <= room.height()
    second.window.resize(1400, 800)
    open_clip(second)
    qtbot.waitUntil(lambda: second.window.object_panel.width() == 380)
    assert second.window.layout_memory.sizes["timeline"] == 260


@pytest.mark.parametrize(("height", "chosen"), [(720, None), (1440, None), (1440, 230)])
def test_a_tall_window_begins_with_a_tall_timeline_unless_one_was_chosen(opened, qtbot, height, chosen):
    make, open_clip = opened
    parts = make()
    splitter = parts.window.left_splitter
    parts.window.resize(1280, height)
    parts.window.layout_memory.restore("", {"timeline": chosen} if chosen else {})
    open_clip(parts)
    timeline, total = splitter.sizes()[1], sum(splitter.sizes())
    if chosen:
        assert timeline == chosen
    else:
        assert timeline == pytest.approx(max(TIMELINE_HEIGHT_PX, TIMELINE_SHARE * total), abs=2)


def test_a_panel_wider_than_a_small_window_has_room_for_is_cut(opened, qtbot):
    make, open_clip = opened
    parts = make()
    parts.window.layout_memory.restore("", {"side": 2000, "unknown": 5})
    open_clip(parts)
    assert parts.window.canvas.width() > 300
    assert "unknown" not in parts.window.layout_memory.sizes


def test_a_damaged_geometry_leaves_the_window_as_it_is(make_application):
    window = make_application().window
    before = window.geometry()
    window.layout_memory.restore("no geometry", {})
    assert window.geometry() == before
    assert QByteArray.fromBase64(window.layout_memory.geometry.encode())


def test_panel_sizes_are_checked():
    with pytest.raises(ValueError, match="panel_sizes"):
        Settings().with_(panel_sizes={"side": "wide"})


def test_what_was_set_survives_a_window_that_was_killed(application, qtbot, monkeypatch):
    application.window.actions_table["theme_dark"].trigger()
    application.window.brush_slider.setValue(31)
    application._remember_timer.setInterval(20)
    qtbot.waitUntil(lambda: load_settings()[0].brush_radius_px == 31)
    assert load_settings()[0].theme == "dark"
    application._settings_writer.close()
    written = []
    monkeypatch.setattr(application._settings_writer, "write", written.append)
    with qtbot.waitSignals([application._remember_timer.timeout] * 3):
        pass
    assert not written
