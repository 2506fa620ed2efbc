"""Where the files are that travel with the application: icons and the demo clip."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def assets_folder() -> Path:
    """`smtc_app/assets` in an installed wheel, `assets` beside the packages in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "assets"
    return installed if (installed / "demo").is_dir() else package.parent / "assets"
