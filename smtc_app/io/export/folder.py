"""The folder an export goes to: filled aside, and put in its place in one go once everything was checked.

An export that fails or is cancelled leaves the folder as it was. With `overwrite` exactly the files that an
earlier export lists are replaced; whatever else lies there stays.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from smtc_app.core.errors import UserError
from smtc_app.core.files import why
from smtc_app.io.davis import FRAMES_CSV, check_output, read_listing, remove_listed_masks
from smtc_app.io.source import FrameSource

MANIFEST = "export.json"
FORMAT = "smtc-export"


@contextmanager
def staged_output(out: Path, *, overwrite: bool, source: FrameSource) -> Iterator[Path]:
    """A folder to fill; its content comes to `out` when the block ends well, and vanishes otherwise.

    Raises UserError when `out` is a file, holds something (without `overwrite`), is the source itself or
    cannot be written.
    """
    existed = out.exists()
    folder = check_output(out, overwrite=overwrite, source=source)
    try:
        staging = Path(tempfile.mkdtemp(prefix=".export-", suffix=".partial", dir=folder))
        os.chmod(staging, 0o755)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {why(error)}.") from error
    try:
        yield staging
        try:
            _remove_earlier(folder)
            _move_all(staging, folder)
        except OSError as error:
            raise UserError(f"The export cannot be put into {folder}: {why(error)}.") from error
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
        raise
    shutil.rmtree(staging, ignore_errors=True)


def write_manifest(folder: Path, files: Iterable[str], masks: Iterable[str]) -> None:
    """List what an export consists of, so that a later one can replace it.

    files: relative paths; masks: relative folders that hold a file per row of `frames.csv`.
    """
    content = {"format": FORMAT, "files": sorted(files), "frame_folders": sorted(masks)}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _remove_earlier(folder: Path) -> None:
    manifest = _read_manifest(folder)
    if manifest is None:
        remove_listed_masks(folder)
        return
    names = [row["name"] for row in read_listing(folder / FRAMES_CSV)]
    for relative in manifest["frame_folders"]:
        place = _within(folder, relative)
        if place is None or not place.is_dir():
            continue
        for name in names:
            if name and Path(name).name == name:
                for suffix in (".png", ".jpg"):
                    (place / f"{name}{suffix}").unlink(missing_ok=True)
        _remove_empty(place, folder)
    for relative in [*manifest["files"], FRAMES_CSV, MANIFEST]:
        file = _within(folder, relative)
        if file is not None and file.is_file():
            file.unlink()
            _remove_empty(file.parent, folder)


def _read_manifest(folder: Path) -> dict[str, list[str]] | None:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    return {
        key: [item for item in content.get(key, ()) if isinstance(item, str)]
        for key in ("files", "frame_folders")
    }


def _within(folder: Path, relative: str) -> Path | None:
    """The path that a manifest names, unless it leads out of its folder."""
    path = (folder / relative).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def _remove_empty(place: Path, top: Path) -> None:
    top = top.resolve()
    place = place.resolve()
    while place != top and place.is_relative_to(top) and not any(place.iterdir()):
        place.rmdir()
        place = place.parent


def _move_all(staging: Path, folder: Path) -> None:
    """Move what is in `staging` into `folder`; folders that are there already are joined."""
    for entry in sorted(staging.iterdir()):
        target = folder / entry.name
        if entry.is_dir() and target.is_dir():
            _move_all(entry, target)
        else:
            os.replace(entry, target)
