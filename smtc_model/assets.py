"""Where weights are found: bundled with the package, or put by the user into a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

WEIGHTS_VARIABLE = "SMTC_WEIGHTS"
WEIGHT_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


def bundled_weights_folder() -> Path:
    """Folder of the weights that travel with the package: in a checkout ``assets/weights`` beside the
    packages, in an installed wheel ``smtc_model/assets/weights``. It may not exist."""
    package = Path(__file__).resolve().parent
    installed = package / "assets" / "weights"
    return installed if installed.is_dir() else package.parent / "assets" / "weights"


def user_weights_folder() -> Path:
    """Folder for weights that the user fetched: ``$SMTC_WEIGHTS`` if set, else the platform's data folder."""
    configured = os.environ.get(WEIGHTS_VARIABLE)
    return Path(configured) if configured else Path(platformdirs.user_data_path("smtc-app")) / "weights"


def find_weights(name: str) -> Path | None:
    """A local weights file called ``name`` plus one of `WEIGHT_SUFFIXES`; the user's folder comes first."""
    for folder in (user_weights_folder(), bundled_weights_folder()):
        for suffix in WEIGHT_SUFFIXES:
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return path
    return None


def weights_files() -> list[tuple[Path, str]]:
    """Every local weights file as (path, "bundled" or "local"), sorted by name within each folder."""
    found = []
    for folder, origin in ((bundled_weights_folder(), "bundled"), (user_weights_folder(), "local")):
        if folder.is_dir():
            files = sorted(path for path in folder.iterdir() if path.suffix in WEIGHT_SUFFIXES)
            found.extend((path, origin) for path in files if path.is_file())
    return found
