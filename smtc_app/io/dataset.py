"""Finding the videos of a dataset by listing folders; nothing is decoded, not even a header.

Known layouts: DAVIS (`ROOT/JPEGImages/<res>/<seq>`), YouTube-VOS (`ROOT/JPEGImages/<seq>`, or
`ROOT/<split>/JPEGImages/<seq>`), and any folder with videos and folders of images in it, nested or not. A
further layout is recognised by its folders in `_searched`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from smtc_app.core.dataset import Dataset, VideoEntry
from smtc_app.core.errors import UserError
from smtc_app.core.files import why
from smtc_app.io.images import IMAGE_SUFFIXES, natural_key
from smtc_app.io.project import SUFFIX, is_project
from smtc_app.io.source import VIDEO_SUFFIXES

logger = logging.getLogger(__name__)

IMAGES = "JPEGImages"
PROJECTS_FOLDER = "smtc-projects"
"""In the root of a dataset: a project per video, and the state of the browser."""
DEEPEST = 6
"""Levels of folders that are searched for videos."""
_SKIPPED = frozenset({"annotations", "imagesets", "scribbles", PROJECTS_FOLDER})


def scan_dataset(path: str | Path) -> Dataset:
    """The videos below a folder.

    Raises:
        UserError: no folder, not readable, or no videos in it.
    """
    root = _root(path)
    if not root.is_dir():
        raise UserError(f"{root} is no folder: choose a folder of videos, or a DAVIS or YouTube-VOS root.")
    try:
        os.scandir(root).close()
    except OSError as error:
        raise UserError(f"{root} cannot be read: {why(error)}.") from error
    layout, entries = _found(root)
    if not entries:
        raise UserError(
            f"{root} holds no videos and no folders of images: choose a folder of videos, or a DAVIS or "
            "YouTube-VOS root."
        )
    return Dataset(root, layout, entries)


def find_dataset(path: str | Path) -> Dataset | None:
    """The dataset that a folder is; None where the folder is itself a video (images), a project, a root that
    holds one sequence only, or nothing of all that."""
    given = Path(os.path.abspath(Path(path).expanduser()))
    if not given.is_dir() or is_project(given) or _listing(given)[2]:
        return None
    root = _root(given)
    layout, entries = _found(root)
    if not entries or (len(entries) == 1 and entries[0].path.is_dir()):
        return None
    return Dataset(root, layout, entries)


def _root(path: str | Path) -> Path:
    """The folder that a person means: that of a known layout is the one above its JPEGImages."""
    given = Path(os.path.abspath(Path(path).expanduser()))
    return next((folder.parent for folder in (given, given.parent) if folder.name == IMAGES), given)


def _found(root: Path) -> tuple[str, tuple[VideoEntry, ...]]:
    layouts: set[str] = set()
    found = list(_searched(root, root, 0, layouts))
    found.sort(key=lambda pair: (natural_key(pair[0]), str(pair[1])))
    layout = layouts.pop() if len(layouts) == 1 else "videos"
    return layout, tuple(VideoEntry(name, path) for name, path in _unique(found))


def _sequences(images: Path, prefix: str, layouts: set[str]) -> Iterator[tuple[str, Path]]:
    layout, sequences = _sequences_of(images)
    layouts.add(layout)
    for name, path in sequences:
        yield f"{prefix}{name}", path


def _sequences_of(images: Path) -> tuple[str, list[tuple[str, Path]]]:
    """Sequences below a folder JPEGImages: its folders, or those of its resolutions."""
    direct, below = [], {}
    for folder in _folders(images):
        # One look decides for all of a resolution; every sequence would be looked into otherwise.
        if _listing(folder)[2]:
            direct.append((folder.name, folder))
        elif folders := list(_folders(folder)):
            below[folder.name] = folders
    if below:
        several = len(below) > 1 or bool(direct)
        nested = [
            (f"{resolution}/{folder.name}" if several else folder.name, folder)
            for resolution, folders in below.items()
            for folder in folders
        ]
        return "DAVIS", direct + nested
    return "YouTube-VOS", direct


def _searched(root: Path, folder: Path, depth: int, layouts: set[str]) -> Iterator[tuple[str, Path]]:
    """(name, path) of videos, sequences and folders of images below a folder; notes their layouts."""
    videos, folders, has_images = _listing(folder)
    here = "" if folder == root else folder.relative_to(root).as_posix() + "/"
    if (has_images and here) or videos:
        layouts.add("videos")
    if has_images and here:
        yield here[:-1], folder
    for video in videos:
        yield f"{here}{video.stem}", video
    for below in folders:
        if below.name == IMAGES:
            yield from _sequences(below, here, layouts)
        elif depth < DEEPEST:
            yield from _searched(root, below, depth + 1, layouts)


def _unique(found: list[tuple[str, Path]]) -> Iterator[tuple[str, Path]]:
    """Names that are all different: `clip.mp4` and `clip.mov` keep their suffixes."""
    counts: dict[str, int] = {}
    for name, _ in found:
        counts[name.casefold()] = counts.get(name.casefold(), 0) + 1
    for name, path in found:
        clash = counts[name.casefold()] > 1 and path.is_file()
        yield (str(PurePosixPath(name).with_name(path.name)) if clash else name), path


def _listing(folder: Path) -> tuple[list[Path], list[Path], bool]:
    """Videos, folders to search, and whether there are images; nothing where the folder cannot be read."""
    videos, folders, has_images = [], [], False
    try:
        with os.scandir(folder) as listing:
            for item in listing:
                if item.name.startswith("."):
                    continue
                suffix = os.path.splitext(item.name)[1].lower()
                if suffix in IMAGE_SUFFIXES:
                    has_images = has_images or item.is_file()
                elif suffix in VIDEO_SUFFIXES and item.is_file():
                    videos.append(folder / item.name)
                elif suffix != SUFFIX and item.name.lower() not in _SKIPPED and item.is_dir():
                    folders.append(folder / item.name)
    except OSError as error:
        logger.warning("%s is left out: %s", folder, why(error))
    return videos, folders, has_images


def _folders(folder: Path) -> list[Path]:
    return sorted(_listing(folder)[1], key=lambda path: natural_key(path.name))
