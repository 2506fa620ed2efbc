r"""Learn the weights of `smtc_model.objectness` without labels: from what moves in unlabelled clips.

    python tests/benchmarks/train_objectness.py CLIPS --cache CACHE --split DIR
    smtc-model train DIR/even --objective foreground --backbone MODEL --output EVEN --stop-at 450
    smtc-model train DIR/odd --objective foreground --backbone MODEL --output ODD --stop-at 450
    python tests/benchmarks/train_objectness.py CLIPS --cache CACHE \
        --even EVEN/model.safetensors --odd ODD/model.safetensors

Of each clip up to four frames are taken whose motion tells something (`foreground_training`). The
candidates of such a frame are made as of a still one; how well each overlaps the thing that moves under it
is what its objectness is fitted to, by logistic regression, a candidate counting by the root of its area as
in the choice of proposals. The foreground network has learned from the same motion, so every clip is looked
at with one that was trained on the other half (MODEL: the backbone alone). Motion itself is left out: here it
is the label. What is learned is mixed with weights set by hand (`PRIOR`), which keeps the granularity's
effect gentle.

Printed: the weights, and for each mixture the mean best IoU of what moves with ten proposals, at three
granularities, learned on one half of the clips and measured on the other.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch

from smtc_model.data import ClipCache, open_cache
from smtc_model.discovery import DiscoveryConfig, SlotCache
from smtc_model.foreground_training import MOVING_PX, STILL_PX, speed_against_camera
from smtc_model.objectness import Cues, ObjectnessWeights, logit_terms
from smtc_model.region_tree import best_antichain
from smtc_model.weights import load_model

PRIOR = ObjectnessWeights(
    colour_contrast=3.0,
    feature_contrast=2.0,
    outline=1.0,
    colour_saliency=2.0,
    feature_saliency=2.0,
    motion_contrast=2.5,
    foreground=3.0,
    foreground_contrast=3.0,
    border=-2.0,
    connectivity=-0.7,
    sides=-1.0,
    size=-1.0,
    centre=-0.5,
    bias=-5.5,
)
LEARNED_SHARE = 0.75
POSITIONS, MOST_FRAMES = 6, 4
LEAST_PART = 0.002
"""Share of the frame that something that moves has at least."""
LEAST_TOLD = 0.7
"""Share of a candidate about which motion tells something."""
TERMS = (*(field.name for field in fields(Cues) if field.name != "area"), "size", "bias")
"""In the order of `logit_terms`."""
GRANULARITIES = (0.35, 0.5, 0.65)
STILL = DiscoveryConfig(motion_offsets=())


@dataclass(frozen=True)
class Nodes:
    """Candidates of one frame, N nodes, K things that move."""

    clip: int
    terms: np.ndarray
    """float32 (N,14), see `logit_terms`"""
    overlap: np.ndarray
    """float32 (N,K), IoU where motion tells something"""
    told: np.ndarray
    area: np.ndarray
    border: np.ndarray
    parent: np.ndarray
    fits: np.ndarray


class OneFrame:
    """A frame as a video."""

    def __init__(self, frame: np.ndarray) -> None:
        self._frame = frame

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self._frame


def told_frames(cache: ClipCache, clip: int) -> Iterator[tuple[int, np.ndarray]]:
    """(index, speed) of up to `MOST_FRAMES` frames whose motion tells something."""
    found, last = 0, cache.clips[clip].frames - 1
    for position in range(POSITIONS):
        index = round(last * (position + 0.5) / POSITIONS)
        speed = speed_against_camera(cache, clip, index) if found < MOST_FRAMES else None
        if speed is not None:
            found += 1
            yield index, speed


def nodes_of(model, clip: int, frame: np.ndarray, speed: np.ndarray) -> Nodes | None:
    """The candidates of a frame and what moves under them; None where nothing does."""
    found = SlotCache(model, OneFrame(frame), config=STILL, device="cpu", capacity=1).candidates(0)
    labels, cues = found.regions.labels, found.cues
    speed = cv2.resize(speed.astype(np.float32), labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    moving = speed > MOVING_PX
    told = moving | (speed < STILL_PX)
    opened = cv2.morphologyEx(moving.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(opened)
    chosen = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] > LEAST_PART * labels.size)
    chosen = chosen[chosen > 0]
    if not len(chosen):
        return None
    count = len(found.regions)

    def by_region(where: np.ndarray) -> np.ndarray:
        return np.bincount(labels.ravel(), where.ravel(), count)

    members = found.tree.members.astype(np.float32)
    common = members @ np.stack([by_region(parts == part) for part in chosen], 1)
    told_area = members @ by_region(told)
    union = told_area[:, None] + stats[chosen, cv2.CC_STAT_AREA] - common
    terms = np.broadcast_arrays(*logit_terms(cues).values())
    return Nodes(
        clip,
        np.stack(terms, 1).astype(np.float32),
        (common / np.maximum(union, 1e-6)).astype(np.float32),
        told_area / np.maximum(members @ by_region(np.ones_like(told)), 1e-6),
        cues.area,
        cues.border,
        found.tree.parent,
        found.score > 0,
    )


def collect(job: tuple[Path, Path, tuple[Path, Path], int, int]) -> list[Nodes]:
    """Of every so many-th clip; models: trained on the clips of even and of odd number."""
    clips, folder, models, first, step = job
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cache = open_cache(clips, folder)
    trained_on = [load_model(path, device="cpu") for path in models]
    found = []
    for clip in range(first, len(cache), step):
        other = trained_on[1 - clip % 2]
        for index, speed in told_frames(cache, clip):
            nodes = nodes_of(other, clip, cache.frame(clip, index), speed)
            if nodes is not None:
                found.append(nodes)
        print(f"clip {clip + 1} of {len(cache)}: {len(found)} frames", flush=True)
    return found


def prior_weights() -> np.ndarray:
    """In the order of `TERMS`."""
    return np.array([getattr(PRIOR, name) for name in TERMS])


def fitted(frames: Sequence[Nodes], used: np.ndarray) -> np.ndarray:
    """Weights of the used terms by logistic regression of the overlap."""
    terms, overlaps, weights = [], [], []
    for nodes in frames:
        counted = nodes.fits & (nodes.told >= LEAST_TOLD) & (nodes.border <= STILL.max_border)
        weight = np.sqrt(nodes.area[counted])
        terms.append(nodes.terms[counted][:, used])
        overlaps.append(nodes.overlap[counted].max(1))
        weights.append(weight / max(weight.sum(), 1e-9))
    x, y, w = (torch.from_numpy(np.concatenate(a).astype(np.float32)) for a in (terms, overlaps, weights))
    w /= w.sum()
    spread = x.std(0).clamp_min(1e-3)
    found = torch.from_numpy(prior_weights()[used].astype(np.float32))
    found.requires_grad_(True)
    optimiser = torch.optim.LBFGS([found], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.binary_cross_entropy_with_logits(x @ found, y, reduction="none")
        total = (each * w).sum() + 1e-4 * ((found * spread) ** 2).sum()
        total.backward()
        return total

    optimiser.step(loss)
    return found.detach().numpy().astype(np.float64)


def mean_best(frames: Sequence[Nodes], weights: np.ndarray, granularity: float) -> float:
    """Mean over things that move of the IoU with the best of ten proposals."""
    best = []
    for nodes in frames:
        score = np.where(nodes.fits, 1 / (1 + np.exp(-(nodes.terms @ weights))), 0)
        value = np.where(nodes.border <= STILL.max_border, score * nodes.area ** (1 - granularity), 0)
        chosen = best_antichain(nodes.parent, value)
        chosen = chosen[np.argsort(-score[chosen], kind="stable")][: STILL.max_objects]
        best.append(nodes.overlap[chosen].max(0, initial=0))
    return float(np.concatenate(best).mean())


def split(clips: Path, folder: Path, cache_folder: Path) -> None:
    """Links to every second clip in `folder`/even and `folder`/odd, by their number in the clip cache."""
    cache = open_cache(clips, cache_folder)
    for number, clip in enumerate(cache.clips):
        link = folder / ("even", "odd")[number % 2] / f"{number:04d}-{Path(clip.name).name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((clips / clip.name).resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument(
        "--split", type=Path, metavar="DIR", help="link every second clip into DIR/even, DIR/odd"
    )
    parser.add_argument("--even", type=Path, help="model whose foreground network learned from DIR/even")
    parser.add_argument("--odd", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="as of `smtc-model train`")
    parser.add_argument("--processes", type=int, default=2)
    args = parser.parse_args()
    if args.split is not None:
        split(args.clips, args.split, args.cache)
        return
    if args.even is None or args.odd is None:
        parser.error("--even and --odd must both be given")
    step = args.processes
    jobs = [(args.clips, args.cache, (args.even, args.odd), first, step) for first in range(step)]
    with multiprocessing.get_context("spawn").Pool(step) as pool:
        frames = sorted((n for part in pool.map(collect, jobs) for n in part), key=lambda nodes: nodes.clip)
    prior = prior_weights()
    used = np.array([name != "motion_contrast" for name in TERMS])
    still = np.where(used, prior, 0)

    def mixed(part: Sequence[Nodes], share: float) -> np.ndarray:
        learned = np.zeros(len(prior))
        learned[used] = fitted(part, used)
        return share * learned + (1 - share) * still

    halves = [[nodes for nodes in frames if nodes.clip // 2 % 2 == half] for half in (0, 1)]
    print(f"{len(frames)} frames of {len({nodes.clip for nodes in frames})} clips")
    for share in (0.0, 0.5, LEARNED_SHARE, 1.0):
        means = [
            np.mean([mean_best(halves[1 - half], mixed(halves[half], share), g) for half in (0, 1)])
            for g in GRANULARITIES
        ]
        told = ", ".join(f"{mean:.3f}" for mean in means)
        print(f"learned share {share}: {told}, mean {np.mean(means):.4f}")
    for share in (1.0, LEARNED_SHARE):
        weights = mixed(frames, share)
        weights[~used] = (1 - share) * prior[~used]
        print(f"weights, learned share {share}:")
        for name, weight in zip(TERMS, weights, strict=True):
            print(f"    {name}: float = {weight:.2f}")


if __name__ == "__main__":
    main()
