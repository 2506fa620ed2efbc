"""A folder of images (or one image) as footage; sequences of a DAVIS or YouTube-VOS root find their masks."""

from __future__ import annotations

import hashlib
import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from smtc_app.core.errors import UserError
from smtc_app.io.source import VIDEO_SUFFIXES, FrameSource

logger = logging.getLogger(__name__)

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm"}

DEFAULT_FPS = 24.0
"""Images carry no time; DAVIS was filmed at 24 frames per second."""

SIZES_CHECKED_AT_ONCE = 3000
"""In longer folders only so many sizes, evenly spread, are looked at when opening; the rest when read."""

EXIF_ORIENTATION = 0x0112
ORIENTATIONS_ON_THE_SIDE = {5, 6, 7, 8}


class ImageSource(FrameSource):
    """Image files in the given order, one frame each.

    Args:
        path: the folder (or the single file) that was opened.
        files: the images, in order of time.
        annotations: the folder of indexed PNG masks that belongs to them, or None.

    Raises:
        UserError: no images, different sizes, one name twice, an unreadable file.
    """

    def __init__(
        self, path: Path, files: list[Path], *, annotations: Path | None = None, _checked_before: bool = False
    ) -> None:
        self.path = path
        self._files = files
        self.annotations = annotations
        self.kind = "images" if annotations is None else "davis"
        self.fps = DEFAULT_FPS
        if not files:
            raise UserError(
                f"{path} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}) and is not a video."
            )
        self.size = displayed_size(files[0])
        if not _checked_before:
            self._check_names()
            self._check_sizes()

    def _check_names(self) -> None:
        seen: dict[str, Path] = {}
        for file in self._files:
            other = seen.setdefault(file.stem.casefold(), file)
            if other is not file:
                raise UserError(
                    f"{self.path} holds both {other.name} and {file.name}, whose masks would get one name; "
                    "keep only the frames in the folder."
                )

    def _check_sizes(self) -> None:
        step = -(-len(self._files) // SIZES_CHECKED_AT_ONCE)
        for file in self._files[step::step]:
            self._check_size(file, displayed_size(file))

    def _check_size(self, file: Path, size: tuple[int, int]) -> None:
        if size != self.size:
            raise UserError(
                f"The images of {self.path} differ in size: {self._files[0].name} is "
                f"{self.size[0]}x{self.size[1]}, {file.name} is {size[0]}x{size[1]}; "
                "bring them to one size or keep them in separate folders."
            )

    def __len__(self) -> int:
        return len(self._files)

    def _read(self, index: int) -> np.ndarray:
        file = self._files[index]
        frame = read_image(file)
        self._check_size(file, (frame.shape[1], frame.shape[0]))
        return frame

    def name(self, index: int) -> str:
        return self._files[self._checked(index)].stem

    def image_file(self, index: int) -> Path:
        return self._files[self._checked(index)]

    def timestamp(self, index: int) -> float:
        """Seconds at `fps`; images carry no time of their own."""
        return self._checked(index) / self.fps

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for file in self._files:
            digest.update(f"{file.name}:{file.stat().st_size}\n".encode())
        digest.update(self._files[0].read_bytes())
        return digest.hexdigest()

    def reopen(self) -> ImageSource:
        return ImageSource(self.path, self._files, annotations=self.annotations, _checked_before=True)

    def close(self) -> None:
        """Nothing is held open between reads."""


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key under which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", name.casefold())
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def list_images(folder: Path) -> list[Path]:
    """Image files of a folder in natural order; hidden files are left out.

    Raises:
        UserError: the folder cannot be listed.
    """
    try:
        files = [
            file
            for file in folder.iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") and file.is_file()
        ]
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror or error}.") from error
    return sorted(files, key=lambda file: (natural_key(file.stem), file.name))


def open_images(path: Path) -> ImageSource:
    """Open a folder of images, a single image, a DAVIS sequence or a DAVIS root that holds one sequence.

    Raises:
        UserError: as `ImageSource`; a root with several sequences, or a folder of videos, names them.
    """
    if path.is_file():
        return ImageSource(path, [path])
    files = list_images(path)
    if not files and (path / "JPEGImages").is_dir():
        return open_images(_only_sequence(path))
    videos = [] if files else _videos_in(path)
    if videos:
        names = _listed(videos)
        raise UserError(
            f"{path} holds no images but {len(videos)} video{'s' if len(videos) > 1 else ''} ({names}); open "
            f"one, such as {videos[0]}, or let `smtc-app batch` work on all of a folder."
        )
    return ImageSource(path, files, annotations=find_annotations(path))


def find_annotations(folder: Path) -> Path | None:
    """`ROOT/Annotations/<res>/<seq>` of a folder `ROOT/JPEGImages/<res>/<seq>` (<res> may be missing)."""
    folder = folder.absolute()
    for depth in (1, 2):
        if len(folder.parents) > depth and folder.parents[depth - 1].name == "JPEGImages":
            relative = folder.relative_to(folder.parents[depth - 1])
            masks = folder.parents[depth] / "Annotations" / relative
            return masks if masks.is_dir() else None
    return None


def _only_sequence(root: Path) -> Path:
    images = root / "JPEGImages"
    sequences = [
        folder
        for folder in sorted([*images.glob("*/"), *images.glob("*/*/")], key=lambda f: natural_key(str(f)))
        if folder.is_dir() and list_images(folder)
    ]
    if len(sequences) == 1:
        return sequences[0]
    if not sequences:
        raise UserError(f"{images} holds no sequence: expected {images}/<resolution>/<sequence>/*.jpg.")
    names = _listed(sequences)
    raise UserError(
        f"{root} holds {len(sequences)} sequences ({names}); open one, such as {sequences[0]}, or let "
        "`smtc-app batch` work on all of a folder."
    )


def _videos_in(folder: Path) -> list[Path]:
    found = (item for item in folder.iterdir() if item.suffix.lower() in VIDEO_SUFFIXES and item.is_file())
    return sorted(found, key=lambda item: natural_key(item.name))


def _listed(items: Sequence[Path]) -> str:
    return ", ".join(item.name for item in items[:8]) + (", ..." if len(items) > 8 else "")


def is_plain_jpeg(file: Path) -> bool:
    """Whether a file is a JPEG that every reader shows alike: upright, and RGB or grey."""
    with _opened(file) as image:
        orientation = image.getexif().get(EXIF_ORIENTATION, 1) if image.format == "JPEG" else 0
        return orientation == 1 and image.mode in ("RGB", "L")


def displayed_size(file: Path) -> tuple[int, int]:
    """(width, height) of an image turned upright, from its header. Raises UserError."""
    with _opened(file) as image:
        width, height = image.size
        # PNG's own getexif decodes the whole picture in search of metadata behind it.
        on_the_side = Image.Image.getexif(image).get(EXIF_ORIENTATION) in ORIENTATIONS_ON_THE_SIDE
        return (height, width) if on_the_side else (width, height)


def _opened(file: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata of cameras and scanners does not matter here
            return Image.open(file)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise unreadable_image(file, error) from error


def unreadable_image(file: Path, error: Exception) -> UserError:
    """The sentence for an image file that cannot be read."""
    if isinstance(error, FileNotFoundError):
        return UserError(f"{file} is gone; put it back, or open the folder again.")
    if isinstance(error, PermissionError):
        return UserError(f"{file} cannot be read: permission denied; change its permissions.")
    if file.stat().st_size == 0:
        return UserError(f"{file} is empty (0 bytes); copy it again, or take it out of the folder.")
    return UserError(
        f"{file} is not an image that can be read, or it is damaged; replace it, or take it away."
    )


def read_image(file: Path) -> np.ndarray:
    """Read one image as uint8 (H,W,3) RGB, turned upright by its EXIF orientation; transparency is dropped.

    Raises:
        UserError: missing, damaged or not an image.
    """
    with _opened(file) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                image.load()
                upright = ImageOps.exif_transpose(image)
        except (OSError, ValueError, SyntaxError) as error:
            raise unreadable_image(file, error) from error
        if upright.mode.startswith("I") or upright.mode == "F":
            grey = _deep_grey_to_uint8(np.asarray(upright))
            return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
        return np.array(upright.convert("RGB"))


def _deep_grey_to_uint8(grey: np.ndarray) -> np.ndarray:
    """16-bit greys keep their upper byte; floating-point ones count as 0..1, or 0..255 where they exceed 1.

    The scale is no stretch to an image's own range, so that the frames of a sequence stay comparable.
    """
    if grey.dtype.kind == "f":
        return np.clip(grey * (255.0 if grey.max(initial=0) <= 1 else 1.0), 0, 255).astype(np.uint8)
    return (np.clip(grey, 0, 65535) >> 8).astype(np.uint8)
