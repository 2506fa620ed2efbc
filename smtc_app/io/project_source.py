"""Finding the footage of a project again after either was moved."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smtc_app.core.errors import UserError
from smtc_app.io.project import ProjectInfo
from smtc_app.io.source import FrameSource, open_source

logger = logging.getLogger(__name__)

_MOST_CANDIDATES = 200


@dataclass(frozen=True)
class FoundSource:
    """The open footage of a project; `note` is what a person should know about it, "" when all is as it
    was."""

    source: FrameSource
    note: str = ""


def find_source(
    project: ProjectInfo, *, open_path: Callable[[Path], FrameSource] = open_source
) -> FoundSource:
    """Open a project's footage: by its relative path, its absolute path, or by fingerprint beside the
    project.

    Raises UserError when it is nowhere, or is there but does not fit the masks (give the right one to
    `use_source`).
    """
    changed: FoundSource | None = None
    refusal = ""
    for place in dict.fromkeys(_known_places(project)):
        if not place.exists():
            continue
        try:
            source = open_path(place)
        except UserError as error:
            refusal = str(error)
            continue
        if source.fingerprint() == project.source.fingerprint:
            if changed is not None:
                changed.source.close()
            return FoundSource(source)
        if changed is None and _misfit(project, source) is None:
            changed = FoundSource(
                source,
                f"{place.name} has changed since the project was saved: check that the masks still fit.",
            )
            continue
        refusal = refusal or _misfit(project, source) or ""
        source.close()
    moved = _search(project, open_path)
    if moved is not None:
        if changed is not None:
            changed.source.close()
        return FoundSource(moved, f"{project.source.path.name} was found at {moved.path}.")
    if changed is not None:
        return changed
    raise UserError(
        refusal
        or f"The video {project.source.path} of the project {project.path.name} is not there, and no copy "
        "lies beside the project: put it there, or choose in the window where it is now."
    )


def use_source(
    project: ProjectInfo, path: Path, *, open_path: Callable[[Path], FrameSource] = open_source
) -> FoundSource:
    """Open the footage that a person chose for a project. Raises UserError when it does not fit the masks."""
    source = open_path(Path(path))
    misfit = _misfit(project, source)
    if misfit is not None:
        source.close()
        raise UserError(misfit)
    same = source.fingerprint() == project.source.fingerprint
    note = (
        "" if same else f"{source.path.name} is not the very file the project was made with: check the masks."
    )
    return FoundSource(source, note)


def _known_places(project: ProjectInfo) -> Iterator[Path]:
    yield (project.path / project.relative_source).resolve()
    yield project.source.path


def _misfit(project: ProjectInfo, source: FrameSource) -> str | None:
    """Why footage cannot belong to a project, None when it can."""
    wanted = project.source
    if len(source) == wanted.frame_count and tuple(source.size) == wanted.size:
        return None
    here, there = "x".join(map(str, source.size)), "x".join(map(str, wanted.size))
    return (
        f"{source.path} has {len(source)} frames of {here} px, but the project {project.path.name} is for "
        f"{wanted.frame_count} frames of {there} px: choose the video it was made with."
    )


def _search(project: ProjectInfo, open_path: Callable[[Path], FrameSource]) -> FrameSource | None:
    for candidate in _candidates(project):
        try:
            source = open_path(candidate)
        except UserError:
            logger.debug("%s is no footage", candidate)
            continue
        if source.fingerprint() == project.source.fingerprint:
            return source
        source.close()
    return None


def _candidates(project: ProjectInfo) -> list[Path]:
    """What lies beside the project and beside where the footage was, the likeliest first."""
    wanted = project.source
    known = set(_known_places(project))
    found: dict[Path, tuple[bool, bool, str]] = {}
    for folder in dict.fromkeys((project.path.parent, wanted.path.parent)):
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            logger.debug("%s cannot be searched", folder)
            continue
        for entry in entries:
            if entry in known or entry == project.path or entry.suffix == project.path.suffix:
                continue
            is_video = wanted.kind == "video"
            if entry.is_dir() == is_video or (
                is_video and entry.suffix.lower() != wanted.path.suffix.lower()
            ):
                continue
            found[entry] = (entry.name != wanted.path.name, entry.stem != wanted.path.stem, entry.name)
    return sorted(found, key=found.__getitem__)[:_MOST_CANDIDATES]
