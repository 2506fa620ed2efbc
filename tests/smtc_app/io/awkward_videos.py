"""Small videos of every awkward kind, encoded on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

SIZE = (96, 64)


def picture(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """uint8 (H,W,3): a gradient with a travelling bar; no two numbers below 256 look alike."""
    width, height = size
    y, x = np.mgrid[:height, :width]
    red, green = (x * 3 + number * 5) % 256, (y * 3 + number * 9) % 256
    image = np.stack([red, green, np.full((height, width), (number * 37) % 256)], axis=-1).astype(np.uint8)
    at = (number * 3) % width
    image[height // 4 : height // 2, at : at + 9] ^= 255
    return image


def encode(
    path: Path,
    codec: str = "libx264",
    *,
    count: int = 40,
    size: tuple[int, int] = SIZE,
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 30),
    container_format: str | None = None,
    rotation: tuple[float, bool, bool] | None = None,
    second_stream: bool = False,
) -> Path:
    """Encode `picture(0..count-1)` with a keyframe every 10 frames; returns `path`."""
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    with av.open(str(path), "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.options = options or {}
        stream.codec_context.gop_size = 10
        stream.time_base = stream.codec_context.time_base = time_base
        if rotation is not None:
            stream.set_display_rotation(*rotation)
        streams = [(stream, size)]
        if second_stream:
            other = container.add_stream("mpeg4", rate=30)
            other.width, other.height, other.pix_fmt = 32, 32, "yuv420p"
            streams.append((other, (32, 32)))
        for number in range(count):
            for target, shape in streams:
                frame = av.VideoFrame.from_ndarray(picture(number, shape), format="rgb24")
                frame = frame.reformat(format=target.pix_fmt)
                frame.pts, frame.time_base = (number if pts is None else pts[number]), time_base
                container.mux(target.encode(frame))
        for target, _ in streams:
            container.mux(target.encode(None))
    return path


def read_in_order(path: Path) -> list[np.ndarray]:
    """Every frame as FFmpeg puts it out when playing from the beginning, unrotated."""
    with av.open(str(path)) as container:
        frames = container.decode(container.streams.best("video"))
        return [frame.to_ndarray(format="rgb24") for frame in frames]


def cut_by_edit_list(source: Path, path: Path, frames: int) -> Path:
    """Copy packets so that an edit list hides the first `frames` frames, which stay as references."""
    with (
        av.open(str(source)) as reader,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as writer,
    ):
        stream = reader.streams.video[0]
        copy = writer.add_stream_from_template(stream)
        shift = round(Fraction(frames, 30) / stream.time_base)
        for packet in reader.demux(stream):
            if packet.size:
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = copy
                writer.mux(packet)
    return path
