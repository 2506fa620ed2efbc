"""What a person chose once and expects to find again; one small JSON file.

Reading never fails: what is unknown is kept for the version that knows it, what is broken falls back to the
default, and a file that is no JSON at all is put aside. Either is told in a sentence. To add a setting: a
field below, with a check.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

from smtc_app.core.errors import UserError
from smtc_app.core.files import why, write_atomically

logger = logging.getLogger(__name__)

CONFIG_FOLDER_VARIABLE = "SMTC_CONFIG_DIR"
CACHE_FOLDER_VARIABLE = "SMTC_CACHE_DIR"
RECENT_LIMIT = 12
_MEBIBYTE = 1 << 20


def _choice(*values: str) -> Callable[[Any], Any]:
    def check(value: Any) -> str:
        if value not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return value

    return check


def _number(low: float, high: float, kind: type = float) -> Callable[[Any], Any]:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return kind(value)

    return check


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("must be text")
    return value


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a list of texts")
    return tuple(_text(item) for item in value)


def _keys(value: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise ValueError("must map actions to lists of keys")
    return {_text(action): _texts(sequences) for action, sequences in value.items()}


def _lengths(value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise ValueError("must map names to lengths")
    return {_text(name): _number(0, 1 << 15, int)(length) for name, length in value.items()}


def _setting(default: Any, check: Callable[[Any], Any]) -> Any:
    if isinstance(default, dict):
        return field(default_factory=dict, metadata={"check": check})
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True)
class CacheChoice:
    """Where features are kept on disk, and how many bytes at most."""

    folder: Path
    limit_bytes: int


@dataclass(frozen=True)
class Settings:
    """All settings, always valid. Change one with `with_(theme="dark")`; ValueError when it is none.

    keys             {action: sequences} that differ from the defaults of the action table
    model            name or file; None: the best that is installed
    cache_folder     where features are kept; None: the user's cache folder
    feature_cache_bytes  of the features on disk at most; 0: none are kept
    recent           last opened videos and projects, newest first
    masks_declined   folders (a dataset's, or a video's masks) whose masks shall not be offered any more
    last_folder      where the last dialog for a file began
    window_geometry  what `QWidget.saveGeometry` gave, in base64
    panel_sizes      {panel: width or height in px}
    """

    theme: str = _setting("system", _choice("system", "light", "dark"))
    device: str = _setting("auto", _text)
    model: str | None = _setting(None, _optional_text)
    preset: str = _setting("default", _text)
    keys: Mapping[str, tuple[str, ...]] = _setting({}, _keys)
    overlay_opacity: float = _setting(0.5, _number(0, 1))
    show_outline: bool = _setting(False, _flag)
    brush_radius_px: float = _setting(12.0, _number(0.5, 2000))
    fill_tolerance: int = _setting(12, _number(0, 255, int))
    max_objects: int = _setting(10, _number(1, 100, int))
    granularity: float = _setting(0.5, _number(0, 1))
    new_object_alarm: bool = _setting(True, _flag)
    frame_cache_bytes: int = _setting(512 * _MEBIBYTE, _number(16 * _MEBIBYTE, 1 << 40, int))
    undo_limit_bytes: int = _setting(256 * _MEBIBYTE, _number(_MEBIBYTE, 1 << 40, int))
    cache_folder: str | None = _setting(None, _optional_text)
    feature_cache_bytes: int = _setting(4096 * _MEBIBYTE, _number(0, 1 << 44, int))
    autosave: bool = _setting(True, _flag)
    hint_shown: bool = _setting(False, _flag)
    recent: tuple[str, ...] = _setting((), _texts)
    masks_declined: tuple[str, ...] = _setting((), _texts)
    last_folder: str | None = _setting(None, _optional_text)
    window_geometry: str = _setting("", _text)
    panel_sizes: Mapping[str, int] = _setting({}, _lengths)
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def with_(self, **changes: Any) -> Settings:
        """A copy with some settings changed and checked."""
        known = _checks()
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"there is no setting {name!r}")
            try:
                changes[name] = known[name](value)
            except ValueError as error:
                raise ValueError(f"{name} {error}, got {value!r}") from error
        return replace(self, **changes)

    @property
    def feature_cache(self) -> CacheChoice | None:
        """Where features are kept and how many; None: nowhere."""
        if not self.feature_cache_bytes:
            return None
        folder = Path(self.cache_folder).expanduser() if self.cache_folder else default_cache_folder()
        return CacheChoice(folder, self.feature_cache_bytes)

    def with_recent(self, path: str | Path) -> Settings:
        """A copy with `path` as the newest of the recent ones."""
        text = str(path)
        others = [other for other in self.recent if other != text]
        return self.with_(recent=(text, *others)[:RECENT_LIMIT])


def default_cache_folder() -> Path:
    """The folder SMTC_CACHE_DIR, or the user's cache folder; what is in it may be deleted at any time."""
    folder = os.environ.get(CACHE_FOLDER_VARIABLE)
    return Path(folder) if folder else Path(platformdirs.user_cache_dir("smtc-app", appauthor=False))


def settings_path() -> Path:
    """The settings file: in the folder SMTC_CONFIG_DIR, or the user's configuration folder."""
    folder = os.environ.get(CONFIG_FOLDER_VARIABLE)
    if folder:
        return Path(folder) / "settings.json"
    return Path(platformdirs.user_config_dir("smtc-app", appauthor=False)) / "settings.json"


def load_settings(path: Path | None = None) -> tuple[Settings, tuple[str, ...]]:
    """The settings of a file, and what a person should know about it (usually nothing). Never raises."""
    path = path or settings_path()
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Settings(), ()
    except OSError as error:
        return Settings(), (f"The settings {path} cannot be read: {why(error)}. Defaults are used.",)
    try:
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError("not a list of settings")
    except ValueError as error:
        logger.warning("settings %s: %s", path, error)
        return Settings(), (_put_aside(path),)
    settings, notes, checks = Settings(), [], _checks()
    unknown: dict[str, Any] = {}
    for name, value in values.items():
        if name not in checks:
            unknown[name] = value
            continue
        try:
            settings = replace(settings, **{name: checks[name](value)})
        except ValueError as error:
            notes.append(f"The setting {name} in {path} {error}; its default is used.")
    return replace(settings, unknown=unknown), tuple(notes)


def save_settings(settings: Settings, path: Path | None = None) -> None:
    """Write the settings that differ from the defaults, atomically. Raises UserError."""
    path = path or settings_path()
    defaults = Settings()
    values = {
        name: getattr(settings, name)
        for name in _checks()
        if getattr(settings, name) != getattr(defaults, name)
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({**settings.unknown, **values}, indent=2, ensure_ascii=False)
        write_atomically(path, text.encode() + b"\n")
    except OSError as error:
        raise UserError(f"The settings cannot be written to {path}: {why(error)}.") from error


def _checks() -> dict[str, Callable[[Any], Any]]:
    return {item.name: item.metadata["check"] for item in fields(Settings) if "check" in item.metadata}


def _put_aside(path: Path) -> str:
    aside = path.with_name(f"{path.stem}.broken-{datetime.now(UTC):%Y%m%d-%H%M%S}{path.suffix}")
    try:
        os.replace(path, aside)
    except OSError as error:
        return f"The settings {path} are damaged and cannot be moved away: {why(error)}. Defaults are used."
    return f"The settings {path} were damaged: they are kept as {aside.name}, and defaults are used."
