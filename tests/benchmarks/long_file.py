"""`smtc-app propagate` over a long video file: speed and memory from start to end, killed once and resumed.

    python tests/benchmarks/long_file.py VIDEOS OUT --frames 100000 --kill-at 40000 --limit-mib 1500
    python tests/benchmarks/long_file.py VIDEOS OUT --frames 5000 --kill-at 2000 --compare

Clips of a folder of videos are made into one small file: parts of so many frames, each a clip to and fro. The
first mask of each part are the proposals of its first frame, and they are given as keyframes. The
command line runs in a process of its own whose memory is limited (RLIMIT_DATA), with preset `fast` at a
smaller input; it is killed (SIGKILL) at a frame and resumed. `--compare` runs it once more without the kill
and compares the bytes of all masks.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from smtc_app.io.davis import write_mask
from smtc_app.io.overlay_video import OverlayVideo
from smtc_app.io.source import open_source

PRESET = "small"
PAUSE_S = 0.2
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a process has used up to now."""

    processor_s: float
    resident_mib: float
    peak_mib: float


def clip_frames(path: Path, size: tuple[int, int], most: int) -> list[np.ndarray]:
    """The first frames of a clip, to and fro, each uint8 (H,W,3) of that size."""
    with contextlib.closing(open_source(path)) as source:
        frames = [
            cv2.resize(source[i], size, interpolation=cv2.INTER_AREA) for i in range(min(most, len(source)))
        ]
    return frames + frames[-2:0:-1]


def make_video(path: Path, clips: list[Path], *, frames: int, part: int, size: tuple[int, int]) -> None:
    """Parts of `part` frames, each one clip to and fro, all clips in turn."""
    blank = np.zeros(size[::-1], np.uint8)
    loops = [clip_frames(clip, size, 150) for clip in clips]
    with OverlayVideo(path, size, fps=25.0) as video:
        for index in range(frames):
            loop = loops[index // part % len(loops)]
            video.write(loop[index % part % len(loop)], blank)


def first_masks(video: Path, folder: Path, *, starts: list[int], objects: int) -> list[Path]:
    """The best proposals of these frames as masks with ids from 1."""
    from smtc_app.cli_context import CommandContext
    from smtc_app.jobs.tasks import propose_task

    folder.mkdir(exist_ok=True)
    paths = []
    with contextlib.closing(open_source(video)) as source:
        found, _ = propose_task(CommandContext(), source, starts, max_objects=objects, device="cpu")
        for start in starts:
            labels = np.zeros(source.size[::-1], np.uint16)
            for number, proposal in reversed(list(enumerate(found[start], 1))):
                labels[proposal.mask] = number
            if not labels.any():
                raise SystemExit(f"nothing was proposed on frame {start}: take other clips")
            paths.append(folder / f"{start}.png")
            write_mask(paths[-1], labels)
    return paths


def run_verb(arguments: argparse.Namespace, verb: list[str]) -> int:
    """In the process that is measured: the limit, the preset, and then the command line as it is."""
    limit = arguments.limit_mib << 20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    import torch

    from smtc_app import cli
    from smtc_model.propagation_config import PRESETS

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    PRESETS[PRESET] = dataclasses.replace(PRESETS["fast"], short_side_px=arguments.short_side)
    return cli.main(verb)


def usage(pid: int) -> Usage | None:
    """None once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
    except OSError:
        return None
    if "VmRSS" not in status:
        return None
    resident, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return Usage((int(fields[11]) + int(fields[12])) / CLOCK_TICKS, resident, peak)


def watch(process: subprocess.Popen, masks: Path, first: int, *, every: int, stop_at: int | None) -> int:
    """Print a row every so many frames; end the process at `stop_at`. Returns the frames that are there."""
    mark, clock, used = first, time.monotonic(), 0.0
    reached = first
    while process.poll() is None:
        time.sleep(PAUSE_S)
        while (masks / f"{reached + 1:05d}.png").exists():
            reached += 1
        now = usage(process.pid)
        if now is not None and reached - mark >= every:
            count, seconds = reached - mark, time.monotonic() - clock
            cells = f"{count / seconds:.1f} | {(now.processor_s - used) / count:.4f}"
            print(f"| {reached} | {cells} | {now.resident_mib:.0f} | {now.peak_mib:.0f} |", flush=True)
            mark, clock, used = reached, time.monotonic(), now.processor_s
        if stop_at is not None and reached >= stop_at:
            process.send_signal(signal.SIGKILL)
            process.wait()
            print(f"killed at frame {reached}", flush=True)
            return reached
    if process.returncode:
        raise SystemExit(f"the run ended with {process.returncode}")
    return reached


def different(one: Path, other: Path) -> tuple[int, int]:
    """(masks compared, masks whose bytes differ)"""
    names = sorted(p.name for p in one.glob("*.png"))
    if names != sorted(p.name for p in other.glob("*.png")):
        raise SystemExit("the two runs wrote different frames")
    digests = ((hashlib.sha256((folder / n).read_bytes()).digest() for folder in (one, other)) for n in names)
    return len(names), sum(a != b for a, b in digests)


def limited(arguments: argparse.Namespace, verb: list[str]) -> subprocess.Popen:
    """The command line in its own process."""
    own = [sys.executable, __file__, str(arguments.videos), str(arguments.out)]
    own += ["--short-side", str(arguments.short_side), "--limit-mib", str(arguments.limit_mib), "--verb"]
    return subprocess.Popen([*own, *verb])


def main() -> int:
    """Make the video unless it is there, run, kill, resume, and print speed and memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="folder of videos")
    parser.add_argument("out", type=Path, help="folder for the video and the masks")
    parser.add_argument("--clips", nargs="+", help="file names in VIDEOS; default: the first five")
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--part", type=int, default=2000, help="frames of one clip at a time")
    parser.add_argument("--objects", type=int, default=2, help="of each clip, at most")
    parser.add_argument("--size", type=int, nargs=2, default=(160, 90), metavar=("W", "H"))
    parser.add_argument("--short-side", type=int, default=64, help="of the features' input, in px")
    parser.add_argument("--limit-mib", type=int, default=1500, help="RLIMIT_DATA of the measured process")
    parser.add_argument("--kill-at", type=int, help="frame at which the run is killed; default: never")
    parser.add_argument("--compare", action="store_true", help="once more without the kill, same bytes?")
    parser.add_argument("--verb", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.verb:
        return run_verb(arguments, arguments.verb)
    arguments.out.mkdir(parents=True, exist_ok=True)
    video = arguments.out / f"{arguments.frames}.mp4"
    clips = [arguments.videos / name for name in arguments.clips or []]
    clips = clips or sorted(arguments.videos.iterdir())[:5]
    if not video.exists():
        size = tuple(arguments.size)
        make_video(video, clips, frames=arguments.frames, part=arguments.part, size=size)
    starts = list(range(0, arguments.frames, arguments.part))
    own = first_masks(video, arguments.out / "first", starts=starts[: len(clips)], objects=arguments.objects)
    given = [f"--mask={start}={own[number % len(own)]}" for number, start in enumerate(starts)]
    verb = ["propagate", str(video), *given, "--direction", "forward", "--preset", PRESET, "--no-cache"]
    masks = arguments.out / "masks"
    every = max(1, arguments.frames // 10)
    print("| frames | frames/s | processor s/frame | resident MiB | peak MiB |\n|---|---|---|---|---|")
    run = limited(arguments, [*verb, "-o", str(masks), "--overwrite"])
    reached = watch(run, masks, 0, every=every, stop_at=arguments.kill_at)
    if arguments.kill_at is not None:
        run = limited(arguments, [*verb, "-o", str(masks), "--resume"])
        watch(run, masks, reached, every=every, stop_at=None)
    print(f"{len(list(masks.glob('*.png')))} masks")
    if arguments.compare:
        whole = arguments.out / "uninterrupted"
        watch(
            limited(arguments, [*verb, "-o", str(whole), "--overwrite"]), whole, 0, every=every, stop_at=None
        )
        count, wrong = different(masks, whole)
        print(f"{count} masks compared, {wrong} differ")
        return int(wrong > 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
