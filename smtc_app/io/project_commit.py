"""Changing many files of a project as one: prepared aside, then renamed, and finished later if interrupted.

A save writes all new files into `.staging-<id>/`, flushes them, and renames that folder to `.commit/`: this
one rename is the moment of saving. Before it the project is untouched; after it, moving the files to their
places can be repeated until it succeeds, by whoever opens the project next.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from smtc_app.core.files import sync_folder, write_durably

logger = logging.getLogger(__name__)

STAGING_PREFIX = ".staging-"
COMMIT_NAME = ".commit"
_REMOVALS_NAME = "removals.json"
_SYNC_BATCH = 256


class Staging:
    """New files for `folder`, by their path relative to it."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError when the folder takes no files."""
        self._folder = folder
        self._staging = folder / f"{STAGING_PREFIX}{uuid4().hex}"
        self._staging.mkdir()
        self._unsynced: list[Path] = []
        self.committed = False
        """Whether the moment of saving has passed."""

    def write(self, relative: str, data: bytes) -> None:
        path = self._path(relative)
        path.write_bytes(data)
        self._written(path)

    def copy(self, relative: str, source: Path) -> None:
        path = self._path(relative)
        shutil.copyfile(source, path)
        self._written(path)

    def commit(self, removals: Iterable[str] = ()) -> None:
        """Put all files in their places and remove those named.

        Raises OSError. Unless `committed` is set by then, the project is as before and `discard` cleans up;
        else `finish_commit` completes it.
        """
        for target in self._targets():
            if target.is_dir():
                raise IsADirectoryError(21, "Is a directory", str(target))
        self._sync()
        write_durably(self._path(_REMOVALS_NAME), json.dumps(sorted(removals)).encode())
        for folder in {path.parent for path in self._files()}:
            sync_folder(folder)
        os.replace(self._staging, self._folder / COMMIT_NAME)
        self.committed = True
        sync_folder(self._folder)
        finish_commit(self._folder)

    def discard(self) -> None:
        """Remove what was prepared; nothing after `commit`."""
        shutil.rmtree(self._staging, ignore_errors=True)

    def _path(self, relative: str) -> Path:
        path = self._staging / relative
        path.parent.mkdir(exist_ok=True)
        return path

    def _written(self, path: Path) -> None:
        # Flushing in batches lets the system write neighbours together: much faster than one by one.
        self._unsynced.append(path)
        if len(self._unsynced) >= _SYNC_BATCH:
            self._sync()

    def _sync(self) -> None:
        for path in self._unsynced:
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        self._unsynced.clear()

    def _files(self) -> Iterator[Path]:
        return (path for path in self._staging.rglob("*") if path.is_file())

    def _targets(self) -> Iterator[Path]:
        return (self._folder / path.relative_to(self._staging) for path in self._files())


def finish_commit(folder: Path) -> bool:
    """Complete a save that was interrupted after its moment of saving; False when there was none.

    May run in two processes at once. Raises OSError.
    """
    commit = folder / COMMIT_NAME
    if not commit.is_dir():
        return False
    removals = commit / _REMOVALS_NAME
    touched = {folder}
    for path in sorted(commit.rglob("*"), key=lambda path: path.name == "project.json"):
        if path == removals or not path.is_file():
            continue
        target = folder / path.relative_to(commit)
        target.parent.mkdir(exist_ok=True)
        try:
            os.replace(path, target)
        except FileNotFoundError:
            logger.info("another process has moved %s", target)
        touched.add(target.parent)
    try:
        names = json.loads(removals.read_bytes())
    except FileNotFoundError:
        names = []  # another process is past this point
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for changed in touched:
        sync_folder(changed)
    shutil.rmtree(commit, ignore_errors=True)
    return True


def discard_staging(folder: Path) -> None:
    """Remove what interrupted saves left; only for the holder of the project's lock."""
    for path in folder.glob(f"{STAGING_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)
