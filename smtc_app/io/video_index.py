"""Which frames a video has: presentation timestamps in display order, found without decoding.

A frame's number is its rank by presentation timestamp among the frames that the decoder puts out. Packets
give that order at reading speed. Three ways of building the index, the first that can be trusted wins:

* `index_from_table`: long MP4/MOV files carry a table of all samples; the timestamps are then resolved group
  by group when a frame is asked for, so that hours of footage open at once;
* `index_from_packets`: one pass over the packets;
* `index_by_decoding`: where packets do not tell (missing or repeated timestamps, damage, frames the decoder
  swallows) the whole video is decoded once and only the timestamps are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

logger = logging.getLogger(__name__)

UNKNOWN = np.iinfo(np.int64).min
"""Stands for a timestamp that is not resolved yet."""

TABLE_MIN_BYTES = 32 << 20
"""Smaller files are indexed from their packets at once: it takes no time and resolves every timestamp."""

PACKETS_PER_TICK = 256

PLACE_HOLDER_BYTES = 8
"""An MPEG-4 picture that small codes nothing."""


class Truncated(Exception):  # noqa: N818 - carries a finding, the caller words it
    """The file ends before the frames that it announces; `frames` were still found."""

    def __init__(self, frames: int) -> None:
        super().__init__(frames)
        self.frames = frames


@dataclass
class VideoIndex:
    """Frames in display order, cut into groups that each begin at a keyframe.

    Attributes:
        pts: int64 (N,) presentation timestamps in `time_base` units, ascending; UNKNOWN where not resolved.
        starts: int64 (G,) display index of the first frame of each group; ascending, starts[0] = 0.
        key_pts: int64 (G,) presentation timestamp of the group's keyframe.
        key_dts: int64 (G,) its decoding timestamp, or the presentation one again where there is none.
        time_base: seconds per unit.
        addressable: whether a decoded frame's timestamp tells its index; otherwise frames are counted from
            the group's keyframe on.
        resolve: fills in `pts` of one group (table index only).
    """

    pts: np.ndarray
    starts: np.ndarray
    key_pts: np.ndarray
    key_dts: np.ndarray
    time_base: Fraction
    addressable: bool = True
    resolve: Callable[[VideoIndex, int], None] | None = None

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def groups(self) -> int:
        """Number of groups of frames that can be decoded by themselves."""
        return len(self.starts)

    def group_of(self, index: int) -> int:
        """The group a frame is listed in."""
        return int(np.searchsorted(self.starts, index, side="right")) - 1

    def bounds(self, group: int) -> tuple[int, int]:
        """First and one past the last display index of a group."""
        stop = int(self.starts[group + 1]) if group + 1 < self.groups else len(self)
        return int(self.starts[group]), stop

    def _resolved(self, group: int) -> np.ndarray:
        first, stop = self.bounds(group)
        if self.resolve is not None and first < stop and self.pts[first] == UNKNOWN:
            self.resolve(self, group)
        return self.pts[first:stop]

    def timestamp(self, index: int) -> int:
        """Presentation timestamp of a frame in `time_base` units."""
        group = self.group_of(index)
        return int(self._resolved(group)[index - int(self.starts[group])])

    def entry_group(self, index: int) -> int:
        """The last group whose keyframe is shown no later than the frame: decoding from there reaches it.

        Frames that an open group shows before its keyframe need the group before it.
        """
        group = self.group_of(index)
        if self.resolve is not None and group > 0 and self.timestamp(index) < self.key_pts[group]:
            return group - 1
        return group

    def find(self, pts: int | None, near: int) -> int | None:
        """Index of the frame with that timestamp, looked for in the groups around index `near`."""
        if pts is None:
            return None
        if self.resolve is None:
            at = int(np.searchsorted(self.pts, pts))
            return at if at < len(self) and self.pts[at] == pts else None
        middle = self.group_of(min(max(near, 0), len(self) - 1))
        for group in (middle, middle + 1, middle - 1):
            if 0 <= group < self.groups:
                part = self._resolved(group)
                at = int(np.searchsorted(part, pts))
                if at < len(part) and part[at] == pts:
                    return int(self.starts[group]) + at
        return None


def choose_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The video stream that FFmpeg would choose, cover pictures left out; the other streams are not read."""
    streams = [s for s in container.streams.video if not _is_cover(s)]
    if not streams:
        return None
    best = container.streams.best("video")
    chosen = next((s for s in streams if best is not None and s.index == best.index), streams[0])
    if hasattr(chosen, "discard"):
        from av.stream import Discard

        for stream in container.streams:
            if stream.index != chosen.index:
                stream.discard = Discard.all
    return chosen


def _is_cover(stream: av.VideoStream) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.attached_pic)


def index_from_table(
    path: Path, stream: av.VideoStream, resolve: Callable[[VideoIndex, int], None]
) -> VideoIndex | None:
    """Index of a long MP4/MOV from its sample table, or None where the table cannot be relied on.

    Raises:
        Truncated: the table points behind the end of the file.
    """
    size = path.stat().st_size
    entries = getattr(stream, "index_entries", None)
    if "mp4" not in stream.container.format.name or size < TABLE_MIN_BYTES or not entries:
        return None
    keys, dts, count = [], [], 0
    for entry in entries:
        if entry.is_discard:
            return None  # an edit list cuts frames away: the packets tell exactly which
        if entry.pos + entry.size > size:
            raise Truncated(count)
        if entry.is_keyframe:
            keys.append(count)
            dts.append(entry.timestamp)
        count += 1
    if count != stream.frames or not keys or keys[0] != 0:
        return None
    return VideoIndex(
        pts=np.full(count, UNKNOWN, np.int64),
        starts=np.asarray(keys, np.int64),
        # Until a group is resolved its keyframe's decoding time stands in: no later than the presentation.
        key_pts=np.asarray(dts, np.int64),
        key_dts=np.asarray(dts, np.int64),
        time_base=stream.time_base,
        resolve=resolve,
    )


def resolve_group(
    container: av.container.InputContainer, stream: av.VideoStream, index: VideoIndex, group: int
) -> None:
    """Fill in the timestamps of one group by reading its packets."""
    first, stop = index.bounds(group)
    container.seek(int(index.key_dts[group]), stream=stream)
    found: list[int] = []
    key_pts: int | None = None
    for packet in container.demux(stream):
        if packet.size == 0 or packet.pts is None:
            continue
        if key_pts is None:
            if packet.dts is not None and packet.dts < index.key_dts[group]:
                continue  # the seek came out at an earlier keyframe
            key_pts = packet.pts
        found.append(packet.pts)
        if len(found) == stop - first:
            break
    if len(found) < stop - first:
        # Unreadable packets: the frames keep their places, a constant step stands in for their times.
        logger.warning("%d packets of a group of %d could be read", len(found), stop - first)
        last = found[-1] if found else int(index.key_dts[group])
        found += [last + 1 + k for k in range(stop - first - len(found))]
    index.pts[first:stop] = np.sort(np.asarray(found, np.int64))
    if key_pts is not None:
        index.key_pts[group] = key_pts


def index_from_packets(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    progress: Callable[[int], None] | None = None,
) -> VideoIndex | None:
    """Index from one pass over the packets, or None where only decoding tells.

    Raises:
        Truncated: a packet is cut off at the end of the file.
    """
    pts: list[int] = []
    keys: list[tuple[int, int]] = []
    trusted = True
    codec = stream.codec_context.name
    hides_frames = codec == "vp8"
    # Packed B-frames (DivX in AVI) leave place-holders behind and timestamps that do not follow the frames.
    smallest = PLACE_HOLDER_BYTES if codec == "mpeg4" else 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            starts_late = not pts and not keys and not packet.is_keyframe
            if packet.pts is None or packet.is_corrupt or starts_late or packet.size <= smallest:
                trusted = False
            if packet.is_keyframe and packet.pts is not None:
                keys.append(_key_times(packet))
            if packet.is_discard or (hides_frames and not bytes(packet)[0] & 0x10):
                continue  # decoded for reference only, never shown
            pts.append(0 if packet.pts is None else packet.pts)
            if progress is not None and len(pts) % PACKETS_PER_TICK == 0:
                progress(len(pts))
    except av.error.FFmpegError as error:
        raise Truncated(len(pts)) from error
    given = np.asarray(pts, np.int64)
    order = np.unique(given)
    if container.format.name == "avi" and stream.codec_context.has_b_frames and np.all(np.diff(given) > 0):
        trusted = False  # AVI stores no presentation times: these were counted, not read
    if not trusted or len(order) != len(pts) or not keys:
        return None if pts else _empty(stream)
    return _grouped(order, keys, stream.time_base)


def _key_times(packet: av.Packet) -> tuple[int, int]:
    return packet.pts, packet.pts if packet.dts is None else packet.dts


def _empty(stream: av.VideoStream) -> VideoIndex:
    nothing = np.zeros(0, np.int64)
    return VideoIndex(nothing, nothing, nothing, nothing, stream.time_base or Fraction(1))


def _grouped(pts: np.ndarray, keyframes: list[tuple[int, int]], time_base: Fraction) -> VideoIndex:
    """Cut at the keyframes; what an open group shows before its keyframe counts to the group before."""
    keys = np.unique(np.asarray(keyframes, np.int64), axis=0)
    starts = np.searchsorted(pts, keys[:, 0])
    starts[0] = 0
    # Of keyframes that start at the same shown frame (the others were discarded) the last one is enough.
    keep = np.append(starts[1:] != starts[:-1], True) & (starts < len(pts))
    return VideoIndex(pts, starts[keep], keys[keep, 0], keys[keep, 1], time_base)


def index_by_decoding(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    progress: Callable[[int], None] | None = None,
) -> VideoIndex:
    """Index of the frames that really come out of the decoder; takes as long as playing at full speed."""
    pts: list[int | None] = []
    shown_keys: list[int] = []
    packet_keys: list[tuple[int, int]] = []
    for frame, keys in decode(container, container.demux(stream)):
        if frame.key_frame:
            shown_keys.append(len(pts))
        pts.append(frame.pts)
        packet_keys += keys
        if progress is not None and len(pts) % PACKETS_PER_TICK == 0:
            progress(len(pts))
    times = np.asarray([UNKNOWN if p is None else p for p in pts], np.int64)
    if len(times) and packet_keys and times[0] != UNKNOWN and np.all(np.diff(times) > 0):
        return _grouped(times, packet_keys, stream.time_base)
    if len(shown_keys) == len(packet_keys) and shown_keys[:1] == [0]:
        starts, keyframes = shown_keys, packet_keys
    else:
        starts, keyframes = [0], [(0, 0)]
    keys = np.asarray(keyframes if pts else [], np.int64).reshape(-1, 2)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    return VideoIndex(
        pts=np.arange(len(pts), dtype=np.int64),
        starts=np.asarray(starts if pts else [], np.int64),
        key_pts=keys[:, 0],
        key_dts=keys[:, 1],
        time_base=1 / Fraction(rate),
        addressable=False,
    )


def decode(
    container: av.container.InputContainer, packets: Iterator[av.Packet]
) -> Iterator[tuple[av.VideoFrame, list[tuple[int, int]]]]:
    """Yield each frame with the (pts, dts) of the keyframe packets read for it; skips damaged packets."""
    keys: list[tuple[int, int]] = []
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.error.FFmpegError as error:
            logger.warning("reading %s stopped: %s", container.name, error)
            return
        if packet.is_keyframe and packet.pts is not None and packet.size:
            keys.append(_key_times(packet))
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            logger.debug("a packet of %s cannot be decoded: %s", container.name, error)
            continue
        for frame in frames:
            yield frame, keys
            keys = []
