"""Measure opening and scrubbing: `python tests/benchmarks/video_access.py VIDEO...` prints a Markdown table.

Each video is opened in a process of its own. Times are processor time (all threads), which a busy machine
does not change; memory is what opening added to the resident set. Another video was opened and closed before,
so that codecs are loaded.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

HEADER = (
    "| video | frames | size | open | memory | play | jump | back, per frame |",
    "|---|---:|---|---:|---:|---:|---:|---:|",
)
PLAYED, JUMPS = 200, 20


def measure(path: Path, warm_up: Path) -> dict:
    """Figures of one video: seconds, bytes; times per frame in ms."""
    import psutil

    from smtc_app.io.source import open_source

    open_source(warm_up).close()
    process = psutil.Process()
    before = process.memory_info().rss
    started = time.process_time()
    source = open_source(path)
    opened_s = time.process_time() - started
    memory_bytes = process.memory_info().rss - before

    def per_frame_ms(indices: list[int]) -> float:
        started = time.process_time()
        for index in indices:
            source[index]
        return 1000 * (time.process_time() - started) / len(indices)

    count = min(PLAYED, len(source))
    return {
        "frames": len(source),
        "size": "x".join(map(str, source.size)),
        "open_ms": 1000 * opened_s,
        "memory_mb": memory_bytes / 2**20,
        "play_ms": per_frame_ms(list(range(count))),
        "jump_ms": per_frame_ms(random.Random(0).choices(range(len(source)), k=JUMPS)),
        "back_ms": per_frame_ms(list(range(len(source) - 1, len(source) - 1 - count, -1))),
    }


def main() -> None:
    """Print the table."""
    if sys.argv[1] == "--one":
        print(json.dumps(measure(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    print(*HEADER, sep="\n")
    videos = [Path(name) for name in sys.argv[1:]]
    for video in videos:
        command = [sys.executable, __file__, "--one", str(video), str(videos[0])]
        row = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(
            f"| {video.name} | {row['frames']} | {row['size']} | {row['open_ms']:.0f} ms "
            f"| {row['memory_mb']:.1f} MiB | {row['play_ms']:.1f} ms | {row['jump_ms']:.0f} ms "
            f"| {row['back_ms']:.1f} ms |"
        )


if __name__ == "__main__":
    main()
