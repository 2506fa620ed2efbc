"""A dataset as its browser shows it: videos, what is known of each, and in which order they are gone through.

Values and pure functions; `io.dataset` finds the videos, `io.dataset_probe` looks into them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any


class VideoState(IntEnum):
    """How far the annotation of a video is.

    UNTOUCHED   it has no project, or one without labels
    PROPOSED    its project holds proposals, open or accepted, and nothing else
    IN_WORK     something is painted, corrected or propagated
    DONE        the person said so
    """

    UNTOUCHED = 0
    PROPOSED = 1
    IN_WORK = 2
    DONE = 3


STATE_TEXT: dict[VideoState, str] = {
    VideoState.UNTOUCHED: "Untouched",
    VideoState.PROPOSED: "Proposed",
    VideoState.IN_WORK: "In work",
    VideoState.DONE: "Done",
}


@dataclass(frozen=True)
class VideoEntry:
    """One video of a dataset.

    name   unique in the dataset: its path below the root, with slashes; without suffix and JPEGImages
    path   what is opened: a video file or a folder of images
    """

    name: str
    path: Path


@dataclass(frozen=True)
class Dataset:
    """The videos found below `root`, in natural order; `layout` is "DAVIS", "YouTube-VOS" or "videos"."""

    root: Path
    layout: str
    entries: tuple[VideoEntry, ...]


@dataclass(frozen=True)
class MediaInfo:
    """What the header of a video or the listing of a folder says; `exact`: whether frames were counted."""

    frames: int | None
    exact: bool
    size: tuple[int, int] | None


@dataclass(frozen=True)
class ProjectSummary:
    """What a saved project says, without its masks.

    mean_confidence, worst_confidence   of the propagated labels, in [0, 1]; None where nothing is propagated
    """

    state: VideoState
    objects: int
    labelled_frames: int
    mean_confidence: float | None = None
    worst_confidence: float | None = None


@dataclass(frozen=True)
class VideoRow:
    """One video in the list; None is what is not known yet, `problem` why it cannot be opened."""

    entry: VideoEntry
    media: MediaInfo | None = None
    summary: ProjectSummary | None = None
    done: bool = False
    problem: str = ""

    @property
    def name(self) -> str:
        """The video's name in the dataset."""
        return self.entry.name

    @property
    def state(self) -> VideoState:
        """How far it is."""
        if self.done:
            return VideoState.DONE
        return VideoState.UNTOUCHED if self.summary is None else self.summary.state

    @property
    def frames(self) -> int | None:
        """Number of frames, where it is known."""
        return None if self.media is None else self.media.frames

    @property
    def pixels(self) -> int | None:
        """Pixels of a frame, where the size is known."""
        if self.media is None or self.media.size is None:
            return None
        return self.media.size[0] * self.media.size[1]

    def with_(self, **changes: Any) -> VideoRow:
        """A copy with some fields replaced."""
        return replace(self, **changes)


def _confidence(name: str) -> Callable[[VideoRow], Any]:
    return lambda row: None if row.summary is None or row.done else getattr(row.summary, name)


SORTS: dict[str, tuple[str, Callable[[VideoRow], Any] | None]] = {
    "name": ("Name", None),
    "worst": ("Least sure", _confidence("worst_confidence")),
    "mean": ("Least sure, mean", _confidence("mean_confidence")),
    "state": ("State", lambda row: row.state),
    "length": ("Length", lambda row: row.frames),
    "size": ("Frame size", lambda row: row.pixels),
}
"""{key: (caption, what to sort by, None for the order of names)}; what is not known comes last. What is done
needs no look any more, so it stands behind the uncertain ones."""


def arranged(
    rows: Sequence[VideoRow],
    *,
    sort: str = "name",
    text: str = "",
    states: Collection[VideoState] | None = None,
) -> list[VideoRow]:
    """The rows to show, of rows in the order of names.

    Args:
        sort: a key of `SORTS`.
        text: every word of it must occur in the name, whatever the case.
        states: which states to show; None: all.
    """
    words = text.casefold().split()
    shown = [
        row
        for row in rows
        if (states is None or row.state in states) and all(word in row.name.casefold() for word in words)
    ]
    value = SORTS[sort][1]
    if value is None:
        return shown
    known = [row for row in shown if value(row) is not None]
    return [*sorted(known, key=value), *(row for row in shown if value(row) is None)]


def neighbour(names: Sequence[str], current: str | None, step: int) -> str | None:
    """The name `step` places behind the current one in the list as shown; None at its end.

    When the current one is not shown, the first (or, going backwards, the last) one is next.
    """
    if not names:
        return None
    if current not in names:
        return names[0] if step > 0 else names[-1]
    index = names.index(current) + step
    return names[index] if 0 <= index < len(names) else None


def counted_states(rows: Sequence[VideoRow]) -> dict[VideoState, int]:
    """How many videos are how far."""
    counts = dict.fromkeys(VideoState, 0)
    for row in rows:
        counts[row.state] += 1
    return counts


def upright_size(media: MediaInfo | None, width: int, height: int) -> MediaInfo | None:
    """A video's size turned to the shape of its picture: headers tell it as filmed, not as displayed."""
    if media is None or media.size is None or width == height:
        return media
    wide = media.size[0] > media.size[1]
    turned = media.size[0] != media.size[1] and wide != (width > height)
    return replace(media, size=(media.size[1], media.size[0])) if turned else media
