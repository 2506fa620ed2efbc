"""Settings come back as they were, and no file, however broken, stops the application."""

from __future__ import annotations

import json

import pytest

from smtc_app.core.errors import UserError
from smtc_app.core.settings import CacheChoice, Settings, load_settings, save_settings, settings_path


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("SMTC_CONFIG_DIR", str(tmp_path / "config"))
    return settings_path()


def test_the_feature_cache_is_where_and_as_large_as_the_settings_say(tmp_path, monkeypatch):
    assert Settings(cache_folder=str(tmp_path), feature_cache_bytes=5).feature_cache == CacheChoice(
        tmp_path, 5
    )
    assert Settings(feature_cache_bytes=0).feature_cache is None
    monkeypatch.setenv("SMTC_CACHE_DIR", str(tmp_path / "cache"))
    assert Settings().feature_cache.folder == tmp_path / "cache"


def test_settings_come_back(file, tmp_path):
    assert load_settings() == (Settings(), ())
    settings = Settings().with_(
        theme="dark", keys={"undo": ["Ctrl+U"]}, brush_radius_px=3, recent=["ä"], cache_folder="x"
    )
    save_settings(settings)
    assert file.parent == tmp_path / "config"
    assert load_settings() == (settings, ())
    assert settings.keys == {"undo": ("Ctrl+U",)}
    assert [path.name for path in file.parent.iterdir()] == ["settings.json"]


def test_without_the_variable_the_users_folder_is_used(monkeypatch):
    monkeypatch.delenv("SMTC_CONFIG_DIR", raising=False)
    assert settings_path().name == "settings.json"
    assert "smtc-app" in str(settings_path())


def test_only_what_differs_is_written(file):
    save_settings(Settings().with_(theme="light"))
    assert json.loads(file.read_bytes()) == {"theme": "light"}


def test_broken_values_fall_back_one_by_one_and_are_told(file):
    file.parent.mkdir()
    broken = {
        "theme": "pink",
        "overlay_opacity": 7,
        "brush_radius_px": True,
        "keys": {"undo": "Ctrl+Z"},
        "recent": [1],
        "autosave": "yes",
        "model": 3,
        "device": "cuda:1",
    }
    file.write_text(json.dumps(broken))
    settings, notes = load_settings()
    assert settings == Settings(device="cuda:1")
    assert len(notes) == 7
    assert any("theme" in note and "one of system, light, dark" in note for note in notes)


def test_settings_of_a_later_version_survive(file):
    file.parent.mkdir()
    file.write_text('{"from_the_future": [1, 2], "theme": "dark"}')
    settings, notes = load_settings()
    assert notes == ()
    save_settings(settings.with_(theme="light"))
    assert json.loads(file.read_bytes()) == {"from_the_future": [1, 2], "theme": "light"}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe\x00", b"null"])
def test_a_damaged_file_is_put_aside(file, content):
    file.parent.mkdir()
    file.write_bytes(content)
    settings, (note,) = load_settings()
    assert settings == Settings()
    (aside,) = file.parent.iterdir()
    assert aside.name in note
    assert aside.read_bytes() == content


def test_what_cannot_be_read_or_written_is_told(tmp_path):
    (tmp_path / "file").write_text("in the way")
    inside = tmp_path / "file" / "settings.json"
    with pytest.raises(UserError, match="cannot be written"):
        save_settings(Settings(), inside)
    folder = tmp_path / "settings.json"
    folder.mkdir()
    settings, (note,) = load_settings(folder)
    assert settings == Settings()
    assert "folder of that name" in note


def test_wrong_changes_are_refused():
    for change in ({"theme": "pink"}, {"granularity": 2}, {"nonsense": 1}, {"keys": {"a": "b"}}):
        with pytest.raises(ValueError, match=next(iter(change))):
            Settings().with_(**change)


def test_recent_ones_are_few_and_new_first():
    settings = Settings()
    for number in range(20):
        settings = settings.with_recent(f"/{number}")
    settings = settings.with_recent("/15")
    assert settings.recent[:3] == ("/15", "/19", "/18")
    assert len(settings.recent) == 12
