"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage and golden values; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("SMTC_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "golden").is_dir():
        pytest.skip(f"no real footage or golden values at {folder} (set SMTC_SHARED to their folder)")
    return folder
