"""Propagation over a very long video under an enforced memory limit: speed and memory from start to end.

    python tests/benchmarks/long_video.py ROOT/JPEGImages/480p/hockey ROOT/Annotations/480p/hockey \
        --frames 100000 --size 96 64 --limit-mib 1500
    python tests/benchmarks/long_video.py ... --frames 20 --size 3840 2160 --clip-frames 6 --short-side 480 \
        --objects 50 --limit-mib 2500

A clip is gone through to and fro until there are so many frames; nothing but one clip of that size is in
memory. The limit holds for the process's own memory (RLIMIT_DATA), so that exceeding it ends the run.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from smtc_model.propagation import propagate
from smtc_model.propagation_config import PRESETS, PropagationConfig
from smtc_model.weights import load_model


class Endless:
    """A clip to and fro, uint8 (H,W,3), as long as wanted."""

    def __init__(self, folder: Path, count: int, size: tuple[int, int], *, clip_frames: int | None) -> None:
        paths = sorted(folder.iterdir())[:clip_frames]
        self._frames = [
            cv2.resize(np.array(Image.open(p).convert("RGB")), size, interpolation=cv2.INTER_AREA)
            for p in paths
        ]
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> np.ndarray:
        if not 0 <= index < self._count:
            raise IndexError(index)
        period = 2 * len(self._frames) - 2
        step = index % period
        return self._frames[min(step, period - step)]


def first_labels(folder: Path, size: tuple[int, int], objects: int) -> np.ndarray:
    """The first mask at that size; with --objects, a grid of so many instead. uint16 (H,W)."""
    if objects:
        rows = int(np.ceil(np.sqrt(objects)))
        y, x = np.mgrid[: size[1], : size[0]]
        cells = (y * rows // size[1]) * rows + x * rows // size[0] + 1
        return np.where(cells <= objects, cells, 0).astype(np.uint16)
    mask = np.array(Image.open(sorted(folder.iterdir())[0]))
    mask = np.where(mask == 255, 0, mask)
    return cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST).astype(np.uint16)


def resident_mib() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def cancelled_after(
    delay_s: float, model: torch.nn.Module, clip: Endless, labels: np.ndarray, config: PropagationConfig
) -> float:
    """Seconds that a run takes to end when it is cancelled so long after its second frame, while it works."""
    cancelled, moment = threading.Event(), []

    def cancel() -> None:
        moment.append(time.perf_counter())
        cancelled.set()

    frames = propagate(model, clip, {0: labels}, config=config, device="cpu", cancelled=cancelled.is_set)
    for _ in range(2):
        next(frames)
    timer = threading.Timer(delay_s, cancel)
    timer.start()
    for _frame in frames:
        pass
    ended = time.perf_counter()
    timer.join()
    return ended - moment[0]


def main() -> int:
    """Print speed and memory ten times, and how long a cancel takes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames_folder", type=Path)
    parser.add_argument("masks_folder", type=Path)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 64), metavar=("W", "H"))
    parser.add_argument("--clip-frames", type=int, help="only the first so many of the clip; default: all")
    parser.add_argument("--short-side", type=int, help="of the features' input; default: of the frames")
    parser.add_argument("--objects", type=int, default=0, help="a grid of so many instead of the mask")
    parser.add_argument("--limit-mib", type=int, default=0, help="RLIMIT_DATA; 0: none")
    parser.add_argument("--cancels", type=int, default=8, help="runs that are cancelled at some moment")
    parser.add_argument("--frame-s", type=float, default=1.0, help="those moments lie in so many seconds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", help="name or file; the bundled one by default")
    arguments = parser.parse_args()
    if arguments.limit_mib:
        limit = arguments.limit_mib << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    size = tuple(arguments.size)
    clip = Endless(arguments.frames_folder, arguments.frames, size, clip_frames=arguments.clip_frames)
    labels = first_labels(arguments.masks_folder, size, arguments.objects)
    config = dataclasses.replace(PRESETS["default"], short_side_px=arguments.short_side or min(size))
    model = load_model(arguments.model, device="cpu")
    frames = propagate(model, clip, {0: labels}, config=config, device="cpu")
    part = max(1, arguments.frames // 10)
    print("| frames | frames/s | processor s/frame | resident MiB | peak MiB |\n|---|---|---|---|---|")
    clocks = time.perf_counter(), time.process_time()
    for count, _frame in enumerate(frames, start=1):
        if count % part == 0:
            wall, processor = time.perf_counter() - clocks[0], time.process_time() - clocks[1]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            cells = f"{part / wall:.2f} | {processor / part:.4f} | {resident_mib():.0f} | {peak:.0f}"
            print(f"| {count} | {cells} |", flush=True)
            clocks = time.perf_counter(), time.process_time()
    frames.close()
    waits = [
        cancelled_after(arguments.frame_s * (i + 0.5) / arguments.cancels, model, clip, labels, config)
        for i in range(arguments.cancels)
    ]
    if waits:
        middle, longest = np.median(waits), max(waits)
        print(f"\ncancelled {len(waits)} times: {middle:.3f} s in the middle, {longest:.3f} s at most")
    alive = [t.name for t in threading.enumerate() if t.name.startswith("propagation")]
    print(f"threads left: {alive or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
