"""Frame-exact random access to any video FFmpeg decodes, through PyAV.

Reading frame i by any route gives the pixels that reading the video from its beginning gives: frames are
identified by their presentation timestamp, decoding enters at a keyframe shown no later than the frame, and a
frame that comes out incomplete (or not at all) from there is decoded again from further back.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import shlex
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from smtc_app.core.errors import UserError
from smtc_app.io import video_index
from smtc_app.io.container_check import index_is_lost, is_cut_off
from smtc_app.io.source import FrameSource
from smtc_app.io.video_index import Truncated, VideoIndex

logger = logging.getLogger(__name__)

RECENT_LIMIT_BYTES = 96 << 20
"""Decoded pictures (in the video's own pixel format) kept for stepping backwards."""

STEPS_WITHOUT_SEEK = 8
"""So many frames ahead are decoded rather than looked for, so that playing goes on across keyframes."""

START = -1
"""Where decoding enters when no keyframe leads to a frame: the first byte of the file."""

FRAMES_CHECKED = 4
"""The decoder's first frames are compared with the index when a video is opened."""

NOT_FOOTAGE = {"tty", "hls", "dash", "concat", "webm_dash_manifest", "lavfi", "sdp", "rtsp", "imf"}
"""FFmpeg formats that are text or point to other files."""

SAMPLE_BYTES = 1 << 16


class VideoSource(FrameSource):
    """A video file; `size` is the displayed size, the rotation flag applied.

    Args:
        path: an existing file.
        recent_limit_bytes: bound on pictures kept for stepping backwards.
        progress: called with the number of packets seen while the index is built.

    Raises:
        UserError: not a video, cut off, no frames, no decoder.
    """

    kind = "video"

    def __init__(
        self,
        path: str | Path,
        *,
        recent_limit_bytes: int = RECENT_LIMIT_BYTES,
        progress: Callable[[int], None] | None = None,
        _like: VideoSource | None = None,
    ) -> None:
        self.path = Path(path)
        self._lock = threading.RLock()
        self._recent: OrderedDict[int, av.VideoFrame] = OrderedDict()
        self._recent_bytes = 0
        self._recent_limit_bytes = recent_limit_bytes
        self._reformatter = VideoReformatter()
        self._closed = False
        if _like is None and is_cut_off(self.path):
            raise self._truncated(None)
        self._container, self._stream = open_stream(self.path)
        self._frames: Iterator[tuple[av.VideoFrame, list[tuple[int, int]]]] | None = None
        self._last = -1  # index of the frame that the decoder put out last
        self._entered_at_start = False
        self._waits_for_keyframe = False
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.fps = float(rate) if rate and 0 < rate < 1000 else 25.0
        if _like is not None:
            self.size, self._coded_size, self._steps = _like.size, _like._coded_size, _like._steps
            self._index = _like._index
            return
        try:
            self._index = self._build_index(progress)
            if len(self._index) == 0:
                raise UserError(f"{self.path.name} has no frames; it may be an unfinished recording.")
            self._learn_from_first_frames()
            if not self._begins_as_indexed():
                self._index = self._index_by_decoding(progress)
        except BaseException:
            self.close()
            raise

    # Opening

    def _reopen_decoder(self) -> None:
        self._frames = None
        self._container.close()
        self._container, self._stream = open_stream(self.path)

    def _build_index(self, progress: Callable[[int], None] | None) -> VideoIndex:
        try:
            index = video_index.index_from_table(self.path, self._stream, _GroupResolver(self.path))
            if index is None:
                index = video_index.index_from_packets(self._container, self._stream, progress)
        except Truncated as error:
            raise self._truncated(error.frames) from error
        self._reopen_decoder()
        return self._index_by_decoding(progress) if index is None else index

    def _truncated(self, frames: int | None) -> UserError:
        if index_is_lost(self.path):
            return UserError(
                f"{self.path.name} is cut off before the index at its end, so no frame of it can be read: "
                "copy it again."
            )
        readable = "" if frames is None else f" after {frames} frames"
        return UserError(
            f"{self.path.name} is cut off{readable}; copy it again, or keep what is readable with "
            f"`ffmpeg -i {shlex.quote(self.path.name)} -c copy repaired.mkv`."
        )

    def _undecodable(self) -> UserError:
        return UserError(f"No frame of {self.path.name} can be decoded; it is damaged or not a video.")

    def _index_by_decoding(self, progress: Callable[[int], None] | None) -> VideoIndex:
        logger.info("%s: its packets do not tell the frames, so it is decoded once", self.path.name)
        self._reopen_decoder()
        index = video_index.index_by_decoding(self._container, self._stream, progress)
        self._reopen_decoder()
        if len(index) == 0:
            raise self._undecodable()
        return index

    def _learn_from_first_frames(self) -> None:
        """Size, orientation and first timestamps from the decoder; the container may say otherwise."""
        self._first_pts = []
        for frame, _ in self._decoded(self._container.demux(self._stream)):
            if not self._first_pts:
                self._steps = orientation(frame)
                self._coded_size = (frame.width, frame.height)
                self.size = self._coded_size[::-1] if self._steps[0] else self._coded_size
            self._first_pts.append(frame.pts)
            if len(self._first_pts) == FRAMES_CHECKED:
                break
        if not self._first_pts:
            raise self._undecodable()
        self._reopen_decoder()

    def _begins_as_indexed(self) -> bool:
        """Whether the decoder puts out what the packets promised, as far as it was looked at."""
        if not self._index.addressable:
            return True
        count = len(self._first_pts)
        promised = [self._index.timestamp(i) for i in range(min(count, len(self._index)))]
        return promised == self._first_pts and (count == FRAMES_CHECKED or count == len(self._index))

    # Reading

    def __len__(self) -> int:
        return len(self._index)

    def name(self, index: int) -> str:
        return f"{self._checked(index):05d}"

    def timestamp(self, index: int) -> float:
        """Presentation time in seconds as the container gives it (it need not begin at 0)."""
        with self._lock:
            return float(self._index.timestamp(self._checked(index)) * self._index.time_base)

    def _read(self, index: int) -> np.ndarray:
        with self._lock:
            if self._closed:
                raise ValueError(f"{self.path.name} is closed")
            frame = self._recent.get(index)
            if frame is None:
                frame = self._decode_until(index)
            return self._to_rgb(frame)

    def _decode_until(self, index: int) -> av.VideoFrame:
        group = self._index.entry_group(index)
        if self._is_ahead(index, group):
            frame = self._advance(index)
            if frame is not None:
                return frame
        back = 1
        while True:
            self._enter(group)
            frame = self._advance(index)
            if frame is not None:
                return frame
            if group == START:
                return self._stand_in(index)
            group = max(group - back, 0) if group > 0 else START
            back *= 2

    def _is_ahead(self, index: int, group: int) -> bool:
        """Whether going on decoding reaches the frame sooner than entering at its group."""
        if self._frames is None or self._last >= index:
            return False
        if index - self._last <= STEPS_WITHOUT_SEEK:
            return True
        return self._index.entry_group(max(self._last, 0)) >= group

    def _enter(self, group: int) -> None:
        """Place the decoder at the keyframe of a group, or at the START of the file."""
        self._entered_at_start = group == START
        if group == START:
            self._reopen_decoder()
            self._last = -1
            packets = self._container.demux(self._stream)
        else:
            packets = self._seek(group)
            self._last = self._index.bounds(group)[0] - 1
        self._waits_for_keyframe = not self._entered_at_start
        self._frames = None if packets is None else self._decoded(packets)

    def _seek(self, group: int) -> Iterator[av.Packet] | None:
        """Packets from the group's keyframe on, or None where the container does not find it.

        Some containers look for presentation, others for decoding times, so where one lands is checked.
        """
        key_pts, key_dts = int(self._index.key_pts[group]), int(self._index.key_dts[group])
        for target in dict.fromkeys((key_pts, key_dts)):
            try:
                self._container.seek(target, stream=self._stream)
                packets = self._container.demux(self._stream)
                first = next(packets, None)
            except av.error.FFmpegError as error:
                logger.debug("%s: seeking to %d failed: %s", self.path.name, target, error)
                continue
            if first is None or not first.is_keyframe or first.pts is None:
                continue
            at_or_before = first.pts <= key_pts if self._index.addressable else first.pts == key_pts
            if at_or_before:
                return itertools.chain([first], packets)
        return None

    def _decoded(self, packets: Iterator[av.Packet]) -> Iterator[tuple[av.VideoFrame, list[tuple[int, int]]]]:
        return video_index.decode(self._container, packets)

    def _advance(self, index: int) -> av.VideoFrame | None:
        """Decode up to a frame; None when it does not come out whole from where decoding was entered."""
        for frame, _ in self._frames or ():
            at = self._index_of(frame)
            if at is None:
                continue
            self._last = at
            incomplete = frame.is_corrupt and not self._entered_at_start
            if not incomplete:
                self._keep(at, frame)
            if at >= index:
                return None if at > index or incomplete else frame
        self._frames = None
        return None

    def _index_of(self, frame: av.VideoFrame) -> int | None:
        if self._index.addressable:
            return self._index.find(frame.pts, self._last + 1)
        if self._waits_for_keyframe and not frame.key_frame:
            return None
        self._waits_for_keyframe = False
        return self._last + 1

    def _keep(self, index: int, frame: av.VideoFrame) -> None:
        if index in self._recent:
            self._recent_bytes -= _bytes_of(self._recent.pop(index))
        self._recent[index] = frame
        self._recent_bytes += _bytes_of(frame)
        while self._recent_bytes > self._recent_limit_bytes and len(self._recent) > 1:
            _, old = self._recent.popitem(last=False)
            self._recent_bytes -= _bytes_of(old)

    def _stand_in(self, index: int) -> av.VideoFrame:
        """The frame before one that the decoder never puts out: what a player leaves on screen."""
        before = max((i for i in self._recent if i < index), default=None)
        if before is None:
            raise UserError(
                f"Frame {index} of {self.path.name} cannot be decoded; the file is damaged there."
            )
        logger.warning("frame %d of %s cannot be decoded, frame %d stands in", index, self.path.name, before)
        self._keep(index, self._recent[before])
        return self._recent[index]

    def _to_rgb(self, frame: av.VideoFrame) -> np.ndarray:
        width, height = self._coded_size
        # One converter for all: each has threads and memory, which a frame that is kept would keep as well.
        # A size is given for streams whose resolution changes.
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24").to_ndarray()
        return np.ascontiguousarray(upright(rgb, self._steps))

    # Housekeeping

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        length = self.path.stat().st_size
        digest.update(str(length).encode())
        with self.path.open("rb") as file:
            for start in sorted({0, max(0, length // 2), max(0, length - SAMPLE_BYTES)}):
                file.seek(start)
                digest.update(file.read(SAMPLE_BYTES))
        return digest.hexdigest()

    def reopen(self) -> VideoSource:
        return VideoSource(self.path, recent_limit_bytes=self._recent_limit_bytes, _like=self)

    def close(self) -> None:
        with self._lock:
            self._frames = None
            self._recent.clear()
            self._recent_bytes = 0
            self._container.close()
            self._closed = True


def open_stream(path: Path) -> tuple[av.container.InputContainer, av.VideoStream]:
    """The container and the video stream of a file. Raises UserError when it is no video."""
    name = path.name
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except PermissionError as error:
        raise UserError(f"{path} cannot be read: permission denied.") from error
    except (av.error.FFmpegError, OSError) as error:
        raise UserError(
            f"{name} is not a video that can be read ({_reason(error)}): "
            "see whether a player shows it, copy it again, or convert it to MP4."
        ) from error
    if set(container.format.name.split(",")) & NOT_FOOTAGE:
        container.close()
        raise UserError(f"{name} is not a video; name a video file or a folder of images.")
    stream = video_index.choose_stream(container)
    if stream is None:
        container.close()
        raise UserError(f"{name} holds no video (only sound, subtitles or a cover picture).")
    if stream.codec_context is None:
        container.close()
        raise UserError(f"{name} uses a video codec that this build of FFmpeg cannot decode.")
    stream.thread_type = "AUTO"
    return container, stream


class _GroupResolver:
    """Reads timestamps of a long file's groups with a container of its own, for all who share the index."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._opened: tuple[av.container.InputContainer, av.VideoStream] | None = None

    def __call__(self, index: VideoIndex, group: int) -> None:
        with self._lock:
            if self._opened is None:
                self._opened = open_stream(self._path)
            video_index.resolve_group(*self._opened, index, group)


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text)[:1].lower() + str(text)[1:]


def _bytes_of(frame: av.VideoFrame) -> int:
    return sum(plane.buffer_size for plane in frame.planes)


def orientation(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """(transpose, flip rows, flip columns) that show the frame upright, from its display matrix.

    The matrix maps (x, y) to (a x + c y, b x + d y) (FFmpeg, libavutil/display.h). Angles that are no
    multiple of 90 degrees are left alone: masks on resampled pixels would belong to no frame of the file.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return (False, False, False)
    a, b, _, c, d, *_ = (Fraction(int(v), 1 << 16) for v in np.frombuffer(bytes(data), np.int32))
    if b == 0 and c == 0 and a and d:
        return (False, d < 0, a < 0)
    if a == 0 and d == 0 and b and c:
        return (True, b < 0, c < 0)
    return (False, False, False)


def upright(picture: np.ndarray, steps: tuple[bool, bool, bool]) -> np.ndarray:
    """Apply `orientation` to (H,W,...)."""
    transpose, flip_rows, flip_columns = steps
    if transpose:
        picture = picture.swapaxes(0, 1)
    return picture[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
