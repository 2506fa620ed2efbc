"""The folder an export goes to: filled aside, and put in its place in one go once everything was checked.

An export that fails or is cancelled leaves the folder as it was. With `overwrite` exactly the files that an
earlier export lists are replaced; whatever else lies there stays, and is never written over.
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
from smtc_app.io.davis import FRAMES_CSV, check_output, read_listing
from smtc_app.io.source import FrameSource

STAGING, PARTIAL = ".export-", ".partial"
MANIFEST = "export.json"
FORMAT = "smtc-export"


@contextmanager
def staged_output(out: Path, *, overwrite: bool, source: FrameSource) -> Iterator[Path]:
    """A folder to fill; its content comes to `out` when the block ends well, and vanishes otherwise.

    Raises UserError when `out` is a file, holds something (without `overwrite`), is the source itself, cannot
    be written, or has a file in the way that no earlier export wrote.
    """
    out = Path(os.path.abspath(out.expanduser()))
    existed = out.exists()
    if existed:
        _remove_abandoned(out)
    folder = check_output(out, overwrite=overwrite, source=source)
    try:
        staging = Path(tempfile.mkdtemp(prefix=f"{STAGING}{os.getpid()}-", suffix=PARTIAL, dir=folder))
        os.chmod(staging, 0o755)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {why(error)}.") from error
    try:
        yield staging
        try:
            earlier = _earlier_files(folder)
            _refuse_to_replace(staging, folder, earlier)
            _remove(earlier, folder)
            _move_all(staging, folder)
        except OSError as error:
            raise UserError(f"The export cannot be put into {folder}: {why(error)}.") from error
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
        raise
    shutil.rmtree(staging, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Take away what an export left that was killed; those of processes that live are left alone."""
    for place in folder.glob(f"{STAGING}*{PARTIAL}"):
        number = place.name.removeprefix(STAGING).partition("-")[0]
        if number.isdecimal() and not _is_running(int(number)):
            shutil.rmtree(place, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def write_manifest(folder: Path, files: Iterable[str], masks: Iterable[str]) -> None:
    """List what an export consists of, so that a later one can replace it.

    files: relative paths; masks: relative folders that hold a file per row of `frames.csv`.
    """
    content = {"format": FORMAT, "files": sorted(files), "frame_folders": sorted(masks)}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _earlier_files(folder: Path) -> set[Path]:
    """The files that an earlier export lists, its lists among them; nothing outside the folder."""
    names = [row["name"] for row in read_listing(folder / FRAMES_CSV)]
    names = [name for name in names if name and Path(name).name == name]
    manifest = _read_manifest(folder)
    if manifest is None:  # of a propagation or proposals on the command line
        found = {folder / f"{name}.png" for name in names}
        return found | {folder / FRAMES_CSV} if names else found
    places = [_within(folder, relative) for relative in manifest["frame_folders"]]
    found = {
        place / f"{name}{suffix}"
        for place in places
        if place is not None
        for name in names
        for suffix in (".png", ".jpg")
    }
    files = [_within(folder, relative) for relative in [*manifest["files"], FRAMES_CSV, MANIFEST]]
    return found | {file for file in files if file is not None}


def _refuse_to_replace(staging: Path, folder: Path, earlier: set[Path]) -> None:
    for file in staging.rglob("*"):
        target = folder / file.relative_to(staging)
        if file.is_file() and target.exists() and target not in earlier:
            raise UserError(
                f"{target} is in the way, and is not of an earlier export: choose another folder, or move it."
            )


def _remove(files: set[Path], folder: Path) -> None:
    for file in files:
        if file.is_file():
            file.unlink()
    for place in {file.parent for file in files}:
        if place.is_dir():
            _remove_empty(place, folder)


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
    path = Path(os.path.normpath(folder / relative))
    return path if path.resolve().is_relative_to(folder.resolve()) else None


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
