"""Whether a video file ends before the length that its own container announces.

FFmpeg plays a cut-off AVI or Matroska file to where it ends without a word, which would silently shorten an
annotation; this reads only the few bytes of the container that say how long the file is meant to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

EBML = b"\x1a\x45\xdf\xa3"
BOXES = set(b"ftyp moov mdat wide free skip moof mfra sidx styp meta uuid pdin".split())
SEGMENT = b"\x18\x53\x80\x67"


def is_cut_off(path: Path) -> bool:
    """True where the container announces more bytes than the file has; False where it does not say."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
        if head[:4] == b"RIFF" and len(head) >= 12:
            announced = int.from_bytes(head[4:8], "little") + 8
            return announced > size and announced != 0xFFFFFFFF + 8
        if head[:4] == EBML:
            return _matroska_end(head) > size
        if head[4:8] in BOXES:
            return _last_box_end(file, size) > size
    return False


def index_is_lost(path: Path) -> bool:
    """Whether a cut-off MP4/MOV file ends before its `moov` box does: without it nobody can read a frame."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8)[4:] not in BOXES:
            return False
        return not any(kind == b"moov" and end <= size for kind, end in _boxes(file, size))


def _last_box_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level MP4/MOV box should end."""
    return max((end for _, end in _boxes(file, size)), default=0)


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """The top-level MP4/MOV boxes: type, and where each should end."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at  # "to the end of the file"
        if length < 8 or header[4:8] not in BOXES:
            return  # not boxes any more: trailing data of some other kind
        at += length
        yield header[4:8], at


def _matroska_end(head: bytes) -> int:
    """Where the Segment should end; 0 where its length is unknown, as in live recordings."""
    length, at = _ebml_number(head, 4)
    at += length
    if head[at : at + 4] != SEGMENT:
        return 0
    length, at = _ebml_number(head, at + 4)
    return at + length if length else 0


def _ebml_number(data: bytes, at: int) -> tuple[int, int]:
    """An EBML variable-length size at `at`: (value, 0 if "unknown"; position behind it)."""
    if at >= len(data) or data[at] == 0:
        return 0, at + 1
    count = 9 - data[at].bit_length()
    value = int.from_bytes(data[at : at + count], "big") & ((1 << (7 * count)) - 1)
    unknown = value == (1 << (7 * count)) - 1
    return (0 if unknown else value), at + count
