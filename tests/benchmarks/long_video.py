"""Propagation over a very long video under an enforced memory limit: speed and memory from start to end.

    python tests/benchmarks/long_video.py ROOT/JPEGImages/480p/hockey ROOT/Annotations/480p/hockey \
        --frames 100000 --size 96 64 --limit-mib 1500

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
from smtc_model.propagation_config import PRESETS
from smtc_model.weights import load_model


class Endless:
    """A clip to and fro, uint8 (H,W,3), as long as wanted."""

    def __init__(self, folder: Path, count: int, size: tuple[int, int]) -> None:
        paths = sorted(folder.iterdir())
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


def main() -> int:
    """Print speed and memory ten times, and how long a cancel takes at the end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames_folder", type=Path)
    parser.add_argument("masks_folder", type=Path)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 64), metavar=("W", "H"))
    parser.add_argument("--short-side", type=int, help="of the features' input; default: of the frames")
    parser.add_argument("--objects", type=int, default=0, help="a grid of so many instead of the mask")
    parser.add_argument("--limit-mib", type=int, default=0, help="RLIMIT_DATA; 0: none")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", help="name or file; the bundled one by default")
    arguments = parser.parse_args()
    if arguments.limit_mib:
        limit = arguments.limit_mib << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    size = tuple(arguments.size)
    clip = Endless(arguments.frames_folder, arguments.frames, size)
    labels = first_labels(arguments.masks_folder, size, arguments.objects)
    config = dataclasses.replace(PRESETS["default"], short_side_px=arguments.short_side or min(size))
    model = load_model(arguments.model, device="cpu")
    cancelled = threading.Event()
    frames = propagate(model, clip, {0: labels}, config=config, device="cpu", cancelled=cancelled.is_set)
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
        if count >= arguments.frames - max(2, part // 10):
            break
    started = time.perf_counter(), time.process_time()
    cancelled.set()
    left = sum(1 for _ in frames)
    wall, processor = time.perf_counter() - started[0], time.process_time() - started[1]
    alive = [t.name for t in threading.enumerate() if t.name.startswith("propagation")]
    print(f"\ncancelled: {wall:.3f} s, {processor:.3f} s of processor time, {left} frames after it")
    print(f"threads left: {alive or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
