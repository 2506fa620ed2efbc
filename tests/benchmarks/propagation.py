"""Accuracy, speed and memory of label propagation, side by side, on sequences in the DAVIS layout.

    python tests/benchmarks/propagation.py ROOT --methods reference dino crw default copy flow
    python tests/benchmarks/propagation.py ROOT --methods default --set target_weight=0

Each method starts from the first mask. J and F are the benchmark's (first and last frame left out); s/frame
is wall time from frame to mask, features included, cpu s processor time, peak memory that of a process of its
own. ROOT is in the DAVIS layout (../shared/data/davis).
`reference` is the plain published way (CRW at stride 8: full affinity against 20 + 1 frames, mask, top-k).
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import multiprocessing
import queue
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from smtc_model.metrics import boundary_f, jaccard
from smtc_model.motion import FlowEstimator, warp
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PRESETS, PropagationConfig
from smtc_model.refine import upsample_labels
from smtc_model.weights import load_model

VOID = 255
BASELINES = ("reference", "copy", "flow")


@dataclasses.dataclass(frozen=True)
class Sequence:
    """Frames and the masks that exist."""

    name: str
    frames: list[np.ndarray]
    masks: dict[int, np.ndarray]

    @classmethod
    def load(
        cls, root: Path, name: str, limit: int | None, *, every: int = 1, backwards: bool = False
    ) -> Sequence:
        """`limit` of every `every`-th frame at 480p from the first one with an object on.

        backwards: from the last one with an object to the first frame.
        """
        step = -every if backwards else every
        folder = root / "Annotations" / "480p" / name
        paths = sorted((root / "JPEGImages" / "480p" / name).iterdir())[::step]
        stored = ((i, folder / f"{path.stem}.png") for i, path in enumerate(paths))
        masks = {i: np.array(Image.open(path)) for i, path in stored if path.is_file()}
        first = min(i for i, mask in masks.items() if ((mask > 0) & (mask != VOID)).any())
        paths = paths[first:][:limit]
        masks = {i - first: mask for i, mask in masks.items() if 0 <= i - first < len(paths)}
        return cls(name, [np.array(Image.open(path).convert("RGB")) for path in paths], masks)

    def with_cut(self, other: Sequence) -> Sequence:
        """The second third replaced by another scene, where nothing is what was labelled."""
        height, width = self.frames[0].shape[:2]
        frames, masks = list(self.frames), dict(self.masks)
        for i in range(len(frames) // 3, 2 * len(frames) // 3):
            shown = other.frames[i % len(other.frames)]
            frames[i] = cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA)
            masks[i] = np.zeros_like(self.masks[0])
        return dataclasses.replace(self, frames=frames, masks=masks)

    def dimmed(self, share: float) -> Sequence:
        """Evenly darker (or brighter), until the last frame has this share of its light."""
        steps = np.linspace(0, 1, len(self.frames))
        frames = [
            np.clip(frame * share**step, 0, 255).round().astype(np.uint8)
            for frame, step in zip(self.frames, steps, strict=True)
        ]
        return dataclasses.replace(self, frames=frames)

    def behind_bar(self, width: float) -> Sequence:
        """A bar, of this share of the picture's width, passes before everything from left to right."""
        height, columns = self.frames[0].shape[:2]
        side = round(width * columns)
        coarse = np.random.default_rng(0).integers(40, 160, (height // 8, max(1, side // 8), 1), np.uint8)
        bar = cv2.resize(coarse.repeat(3, 2), (side, height), interpolation=cv2.INTER_CUBIC)
        frames, masks = list(self.frames), dict(self.masks)
        for i, left in enumerate(np.linspace(-side, columns, len(frames)).round().astype(int)):
            shown = np.s_[:, max(0, left) : max(0, left + side)]
            frames[i] = frames[i].copy()
            part = frames[i][shown].shape[1]
            frames[i][shown] = bar[:, max(0, -left) :][:, :part]
            if i in masks:
                masks[i] = masks[i].copy()
                masks[i][shown] = 0
        return dataclasses.replace(self, frames=frames, masks=masks)


def reference_labels(
    model: torch.nn.Module, sequence: Sequence, first: np.ndarray, config: PropagationConfig
) -> Iterator[tuple[int, np.ndarray]]:
    """The published way, written plainly: every position against every position of 20 + 1 frames."""
    ids = [int(i) for i in np.unique(first)]
    features, labels = [], []
    for index, frame in enumerate(sequence.frames):
        image = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
        maps = model.backbone(image).tokens
        if model.backbone.stride > config.feature_stride:
            maps = F.interpolate(
                maps, scale_factor=model.backbone.stride // config.feature_stride, mode="bilinear"
            )
        current = F.normalize(maps[0], dim=0)
        _, h, w = current.shape
        if index == 0:
            y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            y, x = y.reshape(-1).float(), x.reshape(-1).float()
            outside = (y[:, None] - y[None]) ** 2 + (x[:, None] - x[None]) ** 2 >= config.window.radius**2
            one_hot = torch.from_numpy(np.stack([first == i for i in ids]).astype(np.float32))
            features.append(current.flatten(1))
            labels.append(F.interpolate(one_hot[None], (h, w), mode="bilinear")[0].flatten(1))
            continue
        memory = [0] + [max(0, i) for i in range(index - config.recent_frames, index)]
        blocks = [features[i].T @ current.flatten(1) for i in memory]
        for block in blocks[1:]:
            block[outside] = -1e10
        values, where = torch.cat(blocks).topk(config.top_k, dim=0)
        weights = torch.softmax(values / config.temperature, 0)
        voted = (torch.cat([labels[i] for i in memory], 1)[:, where] * weights).sum(1)
        features.append(current.flatten(1))
        labels.append(voted)
        yield index, upsample_labels(voted.view(-1, h, w).numpy(), ids, first.shape)


def flow_labels(sequence: Sequence, first: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """The first mask carried by optical flow from frame to frame."""
    ids = [int(i) for i in np.unique(first)]
    soft = torch.from_numpy(np.stack([first == i for i in ids]).astype(np.float32))[None]
    flow_of = FlowEstimator()
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in sequence.frames]
    for index in range(1, len(grey)):
        soft = warp(soft, flow_of(grey[index], grey[index - 1])[None])
        yield index, np.array(ids, np.uint16)[soft[0].argmax(0).numpy()]


def predictions(
    method: str, model: torch.nn.Module, sequence: Sequence, config: PropagationConfig, *, overlap: bool
) -> Iterator[tuple[int, np.ndarray]]:
    """(frame, labels) of every frame but the first."""
    first = np.where(sequence.masks[0] == VOID, 0, sequence.masks[0])
    if method == "copy":
        yield from ((i, first) for i in range(1, len(sequence.frames)))
    elif method == "flow":
        yield from flow_labels(sequence, first)
    elif method == "reference":
        with torch.inference_mode():
            yield from reference_labels(model, sequence, first, config)
    else:
        for frame in propagate(
            model, sequence.frames, {0: first}, config=config, device="cpu", overlap=overlap
        ):
            yield frame.index, frame.labels


def score(
    method: str,
    model: torch.nn.Module,
    sequence: Sequence,
    config: PropagationConfig,
    *,
    overlap: bool = True,
) -> dict[str, float]:
    """J, F, wall and processor seconds per frame."""
    first = sequence.masks[0]
    ids = [int(i) for i in np.unique(first) if i not in (0, VOID)]
    found: list[tuple[float, float]] = []
    spent = np.zeros(2)
    started = _clocks()
    for index, labels in predictions(method, model, sequence, config, overlap=overlap):
        spent += _clocks() - started
        truth = sequence.masks.get(index)
        if truth is not None and index < len(sequence.frames) - 1:
            void = truth == VOID
            for i in ids:
                pair = truth == i, labels == i
                found.append((jaccard(*pair, void=void), boundary_f(*pair, void=void)))
        started = _clocks()
    # Nothing to score: no annotated frame between the first and the last.
    j, f = np.mean(found, axis=0) if found else (np.nan, np.nan)
    wall, processor = spent / (len(sequence.frames) - 1)
    return {"J": float(j), "F": float(f), "wall": wall, "processor": processor}


def _clocks() -> np.ndarray:
    """Wall and processor seconds: the second hardly suffers when other programs are busy."""
    return np.array([time.perf_counter(), time.process_time()])


def run_method(method: str, arguments: argparse.Namespace, results: multiprocessing.Queue) -> None:
    """In a process of its own, so that the peak memory is the method's."""
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    model = load_model(arguments.model, device="cpu")
    config = PRESETS["crw-stride8" if method == "reference" else "default" if method in BASELINES else method]
    config = dataclasses.replace(config, **dict(arguments.set))
    for name in arguments.sequences:
        sequence = Sequence.load(
            arguments.root, name, arguments.frames, every=arguments.every, backwards=arguments.backwards
        )
        if arguments.cut is not None:
            other = next(each for each in arguments.cut if each != name)
            sequence = sequence.with_cut(Sequence.load(arguments.root, other, len(sequence.frames)))
        if arguments.dim is not None:
            sequence = sequence.dimmed(arguments.dim)
        if arguments.bar is not None:
            sequence = sequence.behind_bar(arguments.bar)
        row = score(method, model, sequence, config, overlap=not arguments.serial)
        row["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        results.put((name, row))


def _next(results: multiprocessing.Queue, worker: multiprocessing.Process) -> tuple[str, dict[str, float]]:
    """The worker's next result; ends the program where the worker has failed, which says why itself."""
    while True:
        try:
            return results.get(timeout=1)
        except queue.Empty:
            if not worker.is_alive():
                raise SystemExit(f"a method ended with exit status {worker.exitcode}") from None


def setting(text: str) -> tuple[str, object]:
    """ "name=value" with a Python literal as the value."""
    name, _, value = text.partition("=")
    return name, ast.literal_eval(value)


def main() -> int:
    """Print one table per method and the means of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="DAVIS root (JPEGImages/480p, Annotations/480p)")
    parser.add_argument("--methods", nargs="+", default=["default"], choices=[*PRESETS, *BASELINES])
    parser.add_argument("--sequences", nargs="+", help="all by default")
    parser.add_argument("--frames", type=int, help="only the first so many frames of each")
    parser.add_argument("--every", type=int, default=1, help="only one frame in so many: faster motion")
    parser.add_argument("--backwards", action="store_true", help="from the last frame to the first")
    parser.add_argument(
        "--cut",
        nargs=2,
        metavar=("SEQUENCE", "OTHER"),
        help="the second third of each is of this sequence, or of the other, without any of the objects",
    )
    parser.add_argument("--dim", type=float, metavar="SHARE", help="the light fades to this share of it")
    parser.add_argument("--bar", type=float, metavar="SHARE", help="a bar so wide passes before everything")
    parser.add_argument("--model", help="name or file; the bundled one by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--serial", action="store_true", help="no threads of the run's own")
    parser.add_argument("--set", type=setting, nargs="+", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    if not arguments.sequences:
        arguments.sequences = sorted(p.name for p in (arguments.root / "JPEGImages" / "480p").iterdir())
    context = multiprocessing.get_context("spawn")
    summary = []
    for method in arguments.methods:
        results = context.Queue()
        worker = context.Process(target=run_method, args=(method, arguments, results))
        worker.start()
        print(f"\n{method}\n{'sequence':26s}     J      F    J&F  s/frame  cpu s  peak GiB")
        rows = []
        for _ in arguments.sequences:
            name, row = _next(results, worker)
            rows.append(
                [row["J"], row["F"], (row["J"] + row["F"]) / 2, row["wall"], row["processor"], row["peak"]]
            )
            print(f"{name:26s} " + " ".join(f"{v:6.3f}" for v in rows[-1]), flush=True)
        worker.join()
        mean = [*np.nanmean(rows, axis=0)[:5], rows[-1][5]]
        summary.append((method, mean))
    print(f"\n{'mean':26s}     J      F    J&F  s/frame  cpu s  peak GiB")
    for method, mean in summary:
        print(f"{method:26s} " + " ".join(f"{v:6.3f}" for v in mean))
    return 0


if __name__ == "__main__":
    sys.exit(main())
