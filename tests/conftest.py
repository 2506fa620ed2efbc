"""Fixtures shared by all tests."""

from __future__ import annotations

import importlib.abc
import os
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


class _QtIsNotInstalled(importlib.abc.MetaPathFinder):
    """Makes Qt unimportable: the tests of the model and the core must pass where it is not installed."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname.partition(".")[0] in {"PySide6", "shiboken6", "pyqtgraph"}:
            raise ModuleNotFoundError(f"No module named {fullname!r} (Qt is blocked)", name=fullname)


if os.environ.get("SMTC_TESTS_WITHOUT_QT"):
    sys.meta_path.insert(0, _QtIsNotInstalled())


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage and golden values; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("SMTC_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(f"no real footage or golden values at {folder} (set SMTC_SHARED to their folder)")
    return folder


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch) -> None:
    """No test reads or writes the settings and the cache of the person who runs it."""
    monkeypatch.setenv("SMTC_CONFIG_DIR", str(tmp_path / "own" / "config"))
    monkeypatch.setenv("SMTC_CACHE_DIR", str(tmp_path / "own" / "cache"))
