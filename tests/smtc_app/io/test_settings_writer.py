"""Settings are written by a thread of their own, the newest ones, and all of them by the end."""

from __future__ import annotations

import threading

import pytest

from smtc_app.core.errors import UserError
from smtc_app.core.settings import Settings, load_settings, save_settings
from smtc_app.io.settings_writer import SettingsWriter


@pytest.fixture
def slow():
    """A writer that waits for `go` at its first settings; what it has written, by which thread."""
    go, begun, written = threading.Event(), threading.Event(), []

    def save(settings):
        begun.set()
        assert go.wait(10)
        written.append((settings.fill_tolerance, threading.current_thread()))

    return SettingsWriter(save), go, begun, written


def test_nobody_waits_for_the_disk_and_only_the_newest_are_written(slow):
    writer, go, begun, written = slow
    writer.write(Settings(fill_tolerance=1))
    assert begun.wait(10)
    writer.write(Settings(fill_tolerance=2))
    writer.write(Settings(fill_tolerance=3))
    assert written == []
    go.set()
    writer.close()
    assert [tolerance for tolerance, _ in written] == [1, 3]
    assert threading.main_thread() not in [thread for _, thread in written]


def test_it_writes_again_after_it_had_nothing_to_do(slow):
    writer, go, _begun, written = slow
    go.set()
    for tolerance in (4, 5):
        writer.write(Settings(fill_tolerance=tolerance))
        writer.close()
    assert [tolerance for tolerance, _ in written] == [4, 5]


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "settings.json"
    writer = SettingsWriter(lambda settings: save_settings(settings, path))
    writer.write(Settings(theme="light"))
    writer.close()
    assert load_settings(path) == (Settings(theme="light"), ())


def test_a_disk_that_fails_is_noted_and_tried_again(caplog):
    failures = [UserError("The disk is full.")]

    def save(settings):
        if failures:
            raise failures.pop()

    writer = SettingsWriter(save)
    writer.write(Settings())
    writer.close()
    assert "The disk is full." in caplog.text
    writer.write(Settings())
    writer.close()
    assert failures == []
