"""Fixtures of the tests of io."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from awkward_videos import encode


@pytest.fixture
def make_video(tmp_path: Path) -> Callable[..., Path]:
    """`encode` into the test's folder: `make_video("name.mp4", codec, **options)`."""

    def make(name: str, codec: str = "libx264", **options) -> Path:
        return encode(tmp_path / name, codec, **options)

    return make
