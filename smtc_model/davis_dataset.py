"""Folders in the layout of DAVIS, read for evaluation and written as predictions.

Layout: ``JPEGImages/<resolution>/<sequence>/*.jpg`` and ``Annotations/<resolution>/<sequence>/*.png``,
masks on any of the frames; the resolution level may be missing (YouTube-VOS).
``ImageSets/**/<split>.txt`` names the sequences of a split, one per line, and is optional.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .errors import ModelError

logger = logging.getLogger(__name__)

FRAME_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"}
VOID = 255
_PREFERRED_RESOLUTION = "480p"


@dataclass(frozen=True)
class DavisSequence:
    """The frames of a sequence and those of their masks that exist.

    ``sequence[i]`` is frame i as uint8 (H,W,3) RGB.
    """

    name: str
    frame_paths: tuple[Path, ...]
    mask_paths: dict[int, Path]
    """Frame index -> mask, in ascending order."""

    def __len__(self) -> int:
        return len(self.frame_paths)

    def __getitem__(self, index: int) -> np.ndarray:
        path = self.frame_paths[index]
        try:
            with Image.open(path) as image:
                return np.array(image.convert("RGB"))
        except OSError as error:
            raise ModelError(f"frame {path} cannot be read: {error}") from error

    def reference(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(labels uint16 (H,W), void bool (H,W)) of an annotated frame; void pixels have label 0.

        Raises ModelError for a mask that is broken, not indexed or grey, or of another size than its frame.
        """
        labels, void = read_mask(self.mask_paths[index])
        with Image.open(self.frame_paths[index]) as image:
            width, height = image.size
        if labels.shape != (height, width):
            raise ModelError(
                f"mask {self.mask_paths[index]} is {labels.shape[1]} x {labels.shape[0]} pixels "
                f"but its frame is {width} x {height}"
            )
        return labels, void


def read_mask(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a mask -> (labels uint16 (H,W), void bool (H,W)).

    255 is void in an indexed PNG; a grey one of nothing but 0 and 255, as in DAVIS-2016, has one object.
    Raises ModelError for any other kind of image.
    """
    try:
        with Image.open(path) as image:
            mode, values = image.mode, np.array(image)
    except OSError as error:
        raise ModelError(f"mask {path} cannot be read: {error}") from error
    if mode == "1":
        return values.astype(np.uint16), np.zeros(values.shape, bool)
    if mode not in {"P", "L"}:
        raise ModelError(f"mask {path} has colour mode {mode}; DAVIS masks are indexed or grey PNGs")
    if mode == "L" and set(np.unique(values)) <= {0, VOID}:
        return (values > 0).astype(np.uint16), np.zeros(values.shape, bool)
    void = values == VOID
    return np.where(void, 0, values).astype(np.uint16), void


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Write labels (H,W) of at most 254 ids as indexed PNG with the DAVIS palette."""
    if labels.size and labels.max() >= VOID:
        raise ValueError(f"ids must be below {VOID}, got {labels.max()}")
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(davis_palette().ravel().tolist())
    image.save(path)


@functools.cache
def davis_palette() -> np.ndarray:
    """The palette of the DAVIS masks, uint8 (256,3): the bits of an id spread over the colours' high bits."""
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= ((ids >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return palette


def open_davis(
    root: Path | str,
    *,
    resolution: str | None = None,
    sequences: Sequence[str] | None = None,
    split: str | None = None,
) -> list[DavisSequence]:
    """The annotated sequences of a root, sorted by name.

    resolution: folder below JPEGImages; None: the only one there is, else 480p.
    sequences: names to keep, in any order. split: file below ImageSets, such as "val" or "2017/val".
    Raises ModelError, naming what is missing.
    """
    root = Path(root)
    frames, masks = _frame_and_mask_folders(root, resolution)
    names = sorted(path.name for path in frames.iterdir() if path.is_dir())
    if split is not None:
        names = _choose(names, _read_split(root, split), f"listed in split {split!r}", frames)
    if sequences is not None:
        names = _choose(names, sequences, "asked for", frames)
    found = [_open_sequence(frames / name, masks / name) for name in names]
    annotated = [sequence for sequence in found if sequence.mask_paths]
    left_out = [sequence.name for sequence in found if not sequence.mask_paths]
    if left_out and sequences is not None:
        raise ModelError(f"there is no mask of sequence {left_out[0]!r} in {masks / left_out[0]}")
    if left_out:
        logger.warning("left out for want of masks: %s", ", ".join(left_out))
    if not annotated:
        raise ModelError(f"there is no sequence with masks in {masks}")
    return annotated


def _frame_and_mask_folders(root: Path, resolution: str | None) -> tuple[Path, Path]:
    if not root.is_dir():
        raise ModelError(f"there is no folder {root}")
    for name in ("JPEGImages", "Annotations"):
        if not (root / name).is_dir():
            raise ModelError(f"{root} is not laid out like DAVIS: it has no folder {name}")
    frames, masks = root / "JPEGImages", root / "Annotations"
    folders = sorted(path.name for path in frames.iterdir() if path.is_dir())
    if resolution is None:
        if any(_frames_in(frames / name) for name in folders):
            return frames, masks
        if _PREFERRED_RESOLUTION in folders:
            resolution = _PREFERRED_RESOLUTION
        elif len(folders) == 1:
            resolution = folders[0]
        else:
            raise ModelError(
                f"{frames} holds {', '.join(folders) or 'nothing'}: choose one folder with --resolution"
            )
    for folder in (frames, masks):
        if not (folder / resolution).is_dir():
            raise ModelError(f"there is no resolution {resolution!r} in {folder}")
    return frames / resolution, masks / resolution


def _open_sequence(frames: Path, masks: Path) -> DavisSequence:
    paths = _frames_in(frames)
    if not paths:
        raise ModelError(f"sequence {frames} holds no frames")
    index_of = {path.stem: index for index, path in enumerate(paths)}
    found: dict[int, Path] = {}
    for path in sorted(masks.glob("*.png")) if masks.is_dir() else ():
        if path.stem not in index_of:
            raise ModelError(f"mask {path} has no frame of that name in {frames}")
        found[index_of[path.stem]] = path
    return DavisSequence(frames.name, tuple(paths), dict(sorted(found.items())))


def _frames_in(folder: Path) -> list[Path]:
    paths = (path for path in folder.iterdir() if path.suffix.lower() in FRAME_SUFFIXES)
    return sorted(paths, key=lambda path: _natural_key(path.name))


def _natural_key(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _read_split(root: Path, split: str) -> list[str]:
    files = sorted((root / "ImageSets").rglob("*.txt"))
    wanted = Path(split).with_suffix(".txt")
    matching = [path for path in files if path.parts[-len(wanted.parts) :] == wanted.parts]
    if not matching:
        known = ", ".join(path.relative_to(root / "ImageSets").with_suffix("").as_posix() for path in files)
        raise ModelError(f"there is no split {split!r} in {root / 'ImageSets'}; it has {known or 'none'}")
    if len(matching) > 1:
        # DAVIS ships one list per year; the latest is the one with several objects a sequence.
        logger.info("split %s: using %s", split, matching[-1])
    # DAVIS-2016 lists pairs of paths, the later years plain names.
    lines = matching[-1].read_text().splitlines()
    names = []
    for line in filter(None, (line.strip() for line in lines)):
        first = Path(line.split()[0])
        names.append(first.parent.name if first.suffix else first.name)
    return list(dict.fromkeys(names))


def _choose(names: list[str], wanted: Sequence[str], reason: str, folder: Path) -> list[str]:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise ModelError(f"sequence {missing[0]!r}, {reason}, is not in {folder}")
    return sorted(set(wanted))
