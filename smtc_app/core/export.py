"""What can be asked of an export, as plain data that the window, the command line and io share.

To add a format: an entry in FORMATS here, and a writer of the same key in `io.export`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_INDEXED_OBJECTS = 254
"""An 8-bit indexed mask has 256 values; 0 is the background and 255 void."""

OPACITY = 0.5


@dataclass(frozen=True)
class ExportFormat:
    """One way to write masks down.

    key          as on the command line
    title        as in the window
    explanation  one line: what is written
    indexed      ids are values of an 8-bit image, so that there can be at most 254
    images       training code that reads it wants the frames as image files beside it
    overlay      it is a video, which has a frame rate and an opacity
    soft         it holds the model's probabilities, which are computed anew for it
    """

    key: str
    title: str
    explanation: str
    indexed: bool = False
    images: bool = False
    overlay: bool = False
    soft: bool = False


FORMATS: dict[str, ExportFormat] = {
    entry.key: entry
    for entry in (
        ExportFormat("davis", "DAVIS", "One indexed PNG a frame with the DAVIS palette.", indexed=True),
        ExportFormat(
            "youtube-vos",
            "YouTube-VOS",
            "A dataset root: Annotations, JPEGImages, and meta.json with the categories.",
            indexed=True,
            images=True,
        ),
        ExportFormat(
            "youtube-vis",
            "YouTube-VIS JSON",
            "One JSON file: a track per object, with its mask on every frame as RLE.",
            images=True,
        ),
        ExportFormat(
            "coco",
            "COCO JSON",
            "One JSON file: images, categories, and an annotation per object and frame.",
            images=True,
        ),
        ExportFormat("binary", "Binary masks", "Black-and-white PNGs (0 and 255), a folder per object."),
        ExportFormat(
            "soft",
            "Soft masks",
            "Grey PNGs of the model's probabilities, a folder per object.",
            soft=True,
        ),
        ExportFormat(
            "overlay", "Overlay video", "The masks drawn over the footage, as an H.264 MP4.", overlay=True
        ),
        ExportFormat(
            "csv", "CSV table", "A row per object and frame: area, box, centroid, status, confidence."
        ),
    )
}


@dataclass(frozen=True)
class ExportRequest:
    """What to write.

    folder         where; made if it is not there
    format         a key of FORMATS
    first, stop    frames first, first + step, ... below stop
    objects        ids to export; they are numbered from 1 in ascending order
    overwrite      replace an earlier export in the folder
    images         write the frames, too, as JPEG
    fps            of an overlay video; None keeps the times of the footage
    opacity        of an overlay, 0..1
    bits           8 or 16, of soft masks

    Raises ValueError for values that make no sense.
    """

    folder: Path
    first: int
    stop: int
    objects: tuple[int, ...]
    overwrite: bool = False
    format: str = "davis"
    step: int = 1
    images: bool = False
    fps: float | None = None
    opacity: float = OPACITY
    bits: int = 8

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {self.format!r}")
        if self.step < 1:
            raise ValueError(f"step must be at least 1, got {self.step}")
        if self.bits not in (8, 16):
            raise ValueError(f"bits must be 8 or 16, got {self.bits}")
        if not 0 <= self.opacity <= 1:
            raise ValueError(f"opacity must be from 0 to 1, got {self.opacity}")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise ValueError(f"fps must be above 0 and at most 1000, got {self.fps}")

    @property
    def frames(self) -> range:
        """The frames that are asked for."""
        return range(self.first, self.stop, self.step)


def out_of_date(request: ExportRequest, stale: Mapping[int, Sequence[tuple[int, int]]]) -> int:
    """On how many of the frames asked for an object asked for is stale; stale: object id -> [first, stop)."""
    spans = {span for object_id in request.objects for span in stale.get(object_id, ())}
    return len(set().union(*(set(range(*span)).intersection(request.frames) for span in spans)))


@dataclass(frozen=True)
class ExportedObject:
    """An object in an export: its id there, its id in the document, and what people call it."""

    id: int
    document_id: int
    name: str
    category: str
    colour: tuple[int, int, int]


@dataclass(frozen=True)
class ExportResult:
    """What an export has written.

    objects   in the order of their new ids
    left_out  names of objects that were asked for and are on none of the frames
    checked   one sentence: what was read back, and that it is right
    """

    folder: Path
    format: str
    frames: int
    objects: tuple[ExportedObject, ...]
    left_out: tuple[str, ...]
    checked: str
