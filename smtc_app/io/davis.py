"""Label maps as DAVIS stores them: indexed PNGs with its palette, named after the frames, and `frames.csv`.

`frames.csv` ties every mask to its frame (index, name, timestamp in seconds, SHA-256 of the RGB pixels), so
that training code can tell at any time that masks and frames belong together.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from smtc_app.core.errors import UserError
from smtc_app.core.files import why
from smtc_app.core.palette import davis_palette
from smtc_app.io.source import FrameSource

logger = logging.getLogger(__name__)

MAX_EXPORT_ID = 254
"""DAVIS masks have 8 bits; 0 is background and 255 void."""

FRAMES_CSV = "frames.csv"
CSV_HEADER = ["index", "name", "timestamp", "hash"]

_PALETTE = davis_palette().tobytes()


def encode_mask(labels: np.ndarray) -> bytes:
    """PNG bytes of a label map (H,W): 8-bit indexed with the DAVIS palette; the same labels, the same bytes.

    Raises:
        UserError: ids above 254.
    """
    largest = int(labels.max(initial=0))
    if largest > MAX_EXPORT_ID:
        raise too_many_ids(largest)
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.uint8))
    image.putpalette(_PALETTE)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def too_many_ids(largest: int) -> UserError:
    """The sentence for ids that a DAVIS mask cannot hold, with the way out."""
    return UserError(
        f"The id {largest} does not fit a DAVIS mask, which holds ids up to {MAX_EXPORT_ID}; merge or delete "
        "objects, or export in parts that have fewer."
    )


def write_mask(path: str | Path, labels: np.ndarray, *, durable: bool = True) -> None:
    """Write a label map (H,W) as an indexed PNG, whole or not at all.

    Raises:
        UserError: ids above 254, or the file cannot be written.
    """
    write_atomically(Path(path), encode_mask(labels), durable=durable)


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace a file in one step: temporary file beside it, fsync (where `durable`), rename.

    Raises:
        UserError: no permission, no space, no such folder.
    """
    handle, temporary = None, None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise UserError(f"{path} cannot be written: {why(error)}.") from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def prepare_output(out: str | Path, *, overwrite: bool = False, source: FrameSource | None = None) -> Path:
    """Make `out` a folder that may be written to, and clear what an earlier export left there.

    Only files that an earlier export lists in its `frames.csv` are removed, and only with `overwrite`.

    Raises:
        UserError: it is a file, holds something, is the source itself or in a project, or cannot be written.
    """
    folder = check_output(out, overwrite=overwrite, source=source)
    try:
        remove_listed_masks(folder)
    except OSError as error:
        raise UserError(f"The earlier export in {folder} cannot be replaced: {error}.") from error
    return folder


def check_output(out: str | Path, *, overwrite: bool = False, source: FrameSource | None = None) -> Path:
    """Make `out` a folder that may be written to, and leave in it what is there.

    Raises:
        UserError: as `prepare_output`.
    """
    folder = Path(out).expanduser()
    if source is not None and _inside_source(folder, source):
        raise UserError(f"{folder} holds the source itself; choose another output folder.")
    try:
        project = _project_around(folder)
        if project is not None:
            raise UserError(f"{folder} is in the project {project.name}; choose another output folder.")
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{folder} is a file; choose a folder for the output.")
        folder.mkdir(parents=True, exist_ok=True)
        holds = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {why(error)}.") from error
    if holds and not overwrite:
        raise UserError(
            f"{folder} already holds {holds[0]}{f' and {len(holds) - 1} more' if len(holds) > 1 else ''}; "
            "choose an empty folder, or allow overwriting (--overwrite)."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{folder} cannot be written: permission denied; choose another place or change the permissions."
        )
    return folder


def _inside_source(folder: Path, source: FrameSource) -> bool:
    given = source.path if source.path.is_dir() else None
    folders = [f.resolve() for f in (given, source.annotations) if f is not None]
    return folder.resolve() in folders


def _project_around(folder: Path) -> Path | None:
    """The project that a folder is or lies in: masks written there would be taken for its own."""
    from smtc_app.io.project import holds_project

    whole = folder.resolve()
    return next((place for place in (whole, *whole.parents) if holds_project(place)), None)


def read_listing(file: Path) -> list[dict[str, str]]:
    """The rows of a `frames.csv`; none when it is missing or not one of ours. Raises OSError."""
    if not file.is_file():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            rows = list(csv.DictReader(opened))
    except (UnicodeDecodeError, csv.Error):
        return []
    return rows if rows and set(rows[0]) == set(CSV_HEADER) else []


def remove_listed_masks(folder: Path) -> None:
    """Remove the masks that a folder's `frames.csv` lists, and the list. Raises OSError."""
    rows = read_listing(folder / FRAMES_CSV)
    for row in rows:
        name = row["name"]
        if name and Path(name).name == name:
            (folder / f"{name}.png").unlink(missing_ok=True)
    if rows:
        (folder / FRAMES_CSV).unlink(missing_ok=True)


class DavisWriter:
    """Writes masks one by one and, at the end, `frames.csv`; every mask is read back and compared.

    Args:
        out: a folder from `prepare_output`.
        source: names, timestamps and hashes of the frames.
    """

    def __init__(self, out: Path, source: FrameSource) -> None:
        self.out = out
        self._source = source
        self._hashes: dict[int, str] = {}

    @property
    def written(self) -> tuple[int, ...]:
        """Indices of the frames written so far, ascending."""
        return tuple(sorted(self._hashes))

    def has(self, index: int) -> bool:
        """Whether a frame has been written."""
        return index in self._hashes

    @property
    def count(self) -> int:
        """How many frames have been written."""
        return len(self._hashes)

    def path(self, index: int) -> Path:
        """Where the mask of a frame goes."""
        return self.out / f"{self._source.name(index)}.png"

    def write(self, index: int, labels: np.ndarray) -> None:
        """Write one frame's labels (H,W) and check that the file reads back equal.

        Raises:
            UserError: another size than the source, ids above 254, not writable, or not readable back.
        """
        height, width = labels.shape
        if (width, height) != tuple(self._source.size):
            raise UserError(
                f"The labels of frame {index} are {width}x{height} but the frames are "
                f"{self._source.size[0]}x{self._source.size[1]}."
            )
        path = self.path(index)
        write_mask(path, labels, durable=False)  # an export can be repeated
        with Image.open(path) as image:
            equal = image.mode == "P" and np.array_equal(np.asarray(image), labels)
        if not equal:
            raise UserError(f"{path} does not read back as it was written; the disk may be failing.")
        self._hashes[index] = hashlib.sha256(self._source[index]).hexdigest()

    def take_over(self, index: int) -> None:
        """Count a mask that an earlier run left here. Raises UserError for one that is damaged or unfit."""
        path = self.path(index)
        try:
            with Image.open(path) as image:
                image.load()
                fits = image.mode == "P" and image.size == tuple(self._source.size)
        except (OSError, SyntaxError) as error:
            raise UserError(f"The mask {path} of the earlier run is damaged: {error}.") from error
        if not fits:
            raise UserError(f"{path} is no mask of the earlier run: it has another size or kind.")
        self._hashes[index] = hashlib.sha256(self._source[index]).hexdigest()

    def finish(self) -> Path:
        """Write `frames.csv` for the frames written so far; returns its path."""
        path = self.out / FRAMES_CSV
        write_atomically(path, frames_csv(self._source, self._hashes))
        return path


def frames_csv(source: FrameSource, hashes: Mapping[int, str]) -> bytes:
    """The content of `frames.csv`: a row for every frame in `hashes`, in ascending order."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(CSV_HEADER)
    for index in sorted(hashes):
        rows.writerow([index, source.name(index), f"{source.timestamp(index):.6f}", hashes[index]])
    return text.getvalue().encode()
