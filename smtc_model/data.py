"""Unlabelled clips for training: found in a folder, decoded once, sampled at random.

A training root holds videos (anything PyAV decodes) and folders of images (one folder = one clip), nested
as deep as one likes. Decoding dominates the cost of training on small machines, so every clip is read once,
sequentially, reduced to a short side, and stored as planar YUV 4:2:0 (what nearly every codec holds anyway:
half the bytes of RGB, nothing lost) in one flat file that is memory-mapped afterwards. The cache is keyed by
the files' names, sizes and times: a changed root is decoded anew.

To read another kind of source, extend `_read_frames`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from .errors import ModelError

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".ogv"})
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
_CACHE_VERSION = 1


@dataclass(frozen=True)
class ClipInfo:
    """One clip of the cache: `height` and `width` are even, `offset` counts bytes in the flat file."""

    name: str
    frames: int
    height: int
    width: int
    offset: int

    @property
    def frame_bytes(self) -> int:
        return self.height * self.width * 3 // 2


def find_clips(root: Path) -> list[Path]:
    """Videos and folders that hold at least two images below `root`, sorted by path.

    Links are followed, but a folder that is reached in several ways counts once.

    Raises ModelError if `root` is no folder or holds nothing to train on.
    """
    if root.is_file():
        raise ModelError(f"{root} is a file; name the folder that the videos lie in.")
    if not root.is_dir():
        raise ModelError(
            f"The training folder {root} does not exist; name a folder of videos or frame folders."
        )
    videos, image_folders = [], []
    known: set[tuple[int, int]] = set()
    for folder, below, names in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in known:
            below.clear()
            continue
        known.add((status.st_dev, status.st_ino))
        below.sort()  # which of the ways to a folder is taken must not change
        images = 0
        for name in names:
            suffix = Path(name).suffix.lower()
            if suffix in VIDEO_SUFFIXES:
                videos.append(Path(folder) / name)
            images += suffix in IMAGE_SUFFIXES
        if images >= 2:
            image_folders.append(Path(folder))
    clips = sorted(videos + image_folders)
    if not clips:
        raise ModelError(f"{root} holds neither videos nor folders with two or more images to train on.")
    return clips


def _even_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    scale = min(1.0, short_side / min(height, width))
    return tuple(max(2, round(side * scale / 2) * 2) for side in (height, width))


def _read_video(path: Path) -> Iterator[np.ndarray]:
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ModelError(f"{path} has no video stream.")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, OSError) as error:
        raise ModelError(f"{path} cannot be decoded as a video: {error}") from error


def _read_folder(folder: Path) -> Iterator[np.ndarray]:
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    for path in paths:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ModelError(f"{path} cannot be read as an image.")
        yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _read_frames(path: Path, short_side: int) -> Iterator[np.ndarray]:
    """Frames (H,W,3) uint8 RGB with even sides, all of one size, short side at most `short_side`."""
    size = None
    for frame in _read_folder(path) if path.is_dir() else _read_video(path):
        if size is None:
            size = _even_size(*frame.shape[:2], short_side)
        if frame.shape[:2] != size:
            frame = cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)
        yield frame


def _fingerprint(root: Path, clips: list[Path], short_side: int) -> str:
    digest = hashlib.sha256(f"{_CACHE_VERSION} {short_side}".encode())
    for clip in clips:
        files = sorted(clip.iterdir()) if clip.is_dir() else [clip]
        for file in files:
            stat = file.stat()
            digest.update(f"{file.relative_to(root)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


class ClipCache:
    """Decoded clips in one memory-mapped file; reading a frame costs a colour conversion only."""

    def __init__(self, folder: Path, clips: list[ClipInfo]):
        self.clips = clips
        self._data = np.memmap(folder / "frames.yuv", dtype=np.uint8, mode="r")

    def __len__(self) -> int:
        return len(self.clips)

    def frame(self, clip: int, index: int) -> np.ndarray:
        """Frame (H,W,3) uint8 RGB of clip number `clip`."""
        info = self.clips[clip]
        if not 0 <= index < info.frames:
            raise ValueError(f"index {index} is outside clip {info.name!r} of {info.frames} frames")
        start = info.offset + index * info.frame_bytes
        planes = self._data[start : start + info.frame_bytes].reshape(info.height * 3 // 2, info.width)
        return cv2.cvtColor(np.asarray(planes), cv2.COLOR_YUV2RGB_I420)


def open_cache(
    root: Path,
    folder: Path,
    *,
    short_side: int = 288,
    min_frames: int = 2,
    progress: Callable[[int, int, str], None] | None = None,
) -> ClipCache:
    """The cache of `root` in `folder`, decoded first if it is missing or no longer matches `root`.

    Clips that cannot be decoded or have fewer than `min_frames` frames are left out with a warning.
    Raises ModelError if nothing usable remains.
    """
    paths = find_clips(root)
    fingerprint = _fingerprint(root, paths, short_side)
    index = folder / "clips.json"
    stored = _stored(folder, index, fingerprint)
    if stored is not None:
        return _usable(folder, stored, min_frames, root)
    folder.mkdir(parents=True, exist_ok=True)
    clips: list[ClipInfo] = []
    partial = folder / f"frames.{os.getpid()}.part"
    with partial.open("wb") as out:
        for number, path in enumerate(paths):
            if progress is not None:
                progress(number, len(paths), path.name)
            offset, count, shape = out.tell(), 0, (0, 0)
            try:
                for frame in _read_frames(path, short_side):
                    out.write(cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
                    count, shape = count + 1, frame.shape[:2]
            except ModelError as error:
                logger.warning("left out: %s", error)
                out.seek(offset)
                out.truncate()
                continue
            if count:
                clips.append(ClipInfo(str(path.relative_to(root)), count, *shape, offset))
    os.replace(partial, folder / "frames.yuv")
    text = json.dumps({"fingerprint": fingerprint, "clips": [asdict(clip) for clip in clips]}, indent=0)
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, index)
    return _usable(folder, clips, min_frames, root)


def _stored(folder: Path, index: Path, fingerprint: str) -> list[ClipInfo] | None:
    """The clips of a cache that is whole and of that fingerprint."""
    try:
        stored = json.loads(index.read_text(encoding="utf-8"))
        if stored["fingerprint"] != fingerprint:
            return None
        clips = [ClipInfo(**clip) for clip in stored["clips"]]
        found = (folder / "frames.yuv").stat().st_size
    except FileNotFoundError:
        return None
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("%s is damaged (%s), so the clips are decoded again", index, error)
        return None
    if found < max((clip.offset + clip.frames * clip.frame_bytes for clip in clips), default=0):
        logger.warning("%s is not whole, so the clips are decoded again", folder / "frames.yuv")
        return None
    return clips


def _usable(folder: Path, clips: list[ClipInfo], min_frames: int, root: Path) -> ClipCache:
    kept = [clip for clip in clips if clip.frames >= min_frames and min(clip.height, clip.width) >= 16]
    if not kept:
        raise ModelError(f"No clip of {root} can be decoded and has at least {min_frames} frames.")
    if len(kept) < len(clips):
        logger.warning(
            "%d of %d clips are too short or too small and left out", len(clips) - len(kept), len(clips)
        )
    return ClipCache(folder, kept)


def sample_indices(frames: int, count: int, gap: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """`count` increasing frame indices, one gap drawn uniformly from `gap` (both ends included).

    Short clips shrink the gap; a clip of fewer than `count` frames repeats its last frame.
    """
    low, high = gap
    if not 1 <= low <= high:
        raise ValueError(f"gap {gap} must satisfy 1 <= low <= high")
    longest = max(1, (frames - 1) // max(1, count - 1))
    step = int(rng.integers(min(low, longest), min(high, longest) + 1))
    start = int(rng.integers(0, max(1, frames - step * (count - 1))))
    return np.minimum(start + step * np.arange(count), frames - 1)
