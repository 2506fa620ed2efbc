"""Widgets are tested without a screen, and a warning of Qt fails the test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# How long one example takes says more about the machine than about the code.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
# OpenCV brings plugins of its own, which do not fit this Qt.
if "cv2" in os.environ.get("QT_QPA_PLATFORM_PLUGIN_PATH", ""):
    del os.environ["QT_QPA_PLATFORM_PLUGIN_PATH"]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.qt_log_level_fail("WARNING"))
            # Said by the offscreen platform about every window that has a smallest size.
            item.add_marker(pytest.mark.qt_log_ignore("propagateSizeHints"))


@pytest.fixture
def make_application(qtbot, tmp_path, monkeypatch):
    """Builds whole windows on fake footage and model; every one is closed at the end."""
    monkeypatch.setenv("SMTC_CONFIG_DIR", str(tmp_path / "config"))
    from window_fakes import make_services

    from smtc_app.app import Application
    from smtc_app.core.settings import Settings

    built = []

    def make(settings=None, **changes):
        parts = Application(make_services(tmp_path, **changes), settings or Settings(hint_shown=True))
        built.append(parts)
        parts.window.resize(1280, 720)
        parts.window.show()
        qtbot.waitExposed(parts.window)
        return parts

    yield make
    for parts in built:
        parts.close(discard=True)
        parts.window.deleteLater()


@pytest.fixture
def application(make_application, qtbot):
    """A window with a clip of twelve frames open and its first frame shown."""
    parts = make_application()
    parts.project.open("clip.mp4")
    qtbot.waitUntil(lambda: parts.session.pixels is not None, timeout=30_000)
    return parts
