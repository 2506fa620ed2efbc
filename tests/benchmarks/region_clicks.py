"""How good a mask becomes with how many clicks of the region tool, and what a click costs.

    python tests/benchmarks/region_clicks.py ROOT [ROOT ...]

Every root is laid out like DAVIS. Of each sequence the first annotated frame is taken. A made-up person
clicks where the mask is wrong: in the middle of the largest part that is missing or too much, and turns the
wheel until the mask is best, at most --steps notches from the usual size. Printed per root: mean IoU of all
objects, and share of objects above .8, after so many clicks; beside it the best of the ten best proposals.
Below it, seconds: regions of a frame, and one preview.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from smtc_app.core.frame_regions import FrameRegions
from smtc_model.davis_dataset import open_davis
from smtc_model.discovery import DiscoveryConfig, SlotCache
from smtc_model.metrics import jaccard
from smtc_model.text_table import format_table
from smtc_model.weights import load_model

CLICKS = (1, 2, 3, 5, 10)


def middle_of_largest(wrong: np.ndarray) -> tuple[int, int]:
    """(x, y) of the pixel of the largest connected part of a mask that lies deepest in it."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=4)
    largest = parts == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
    depth = cv2.distanceTransform(np.pad(largest.astype(np.uint8), 1), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x), int(y)


def clicked(regions: FrameRegions, truth: np.ndarray, steps: int, previews: list[float]) -> list[float]:
    """IoU after each click."""
    mask, scores = np.zeros_like(truth), []
    while len(scores) < CLICKS[-1]:
        if scores and (mask == truth).all():
            scores.append(1.0)
            continue
        x, y = middle_of_largest(mask != truth)
        adding = truth[y, x]
        tried = [mask]  # what makes it worse is not clicked
        for step in regions.steps(x, y):
            if abs(step) <= steps:
                start = time.perf_counter()
                part = regions.part([(x, y)], step)
                previews.append(time.perf_counter() - start)
                tried.append(mask | part if adding else mask & ~part)
        mask = max(tried, key=lambda each: jaccard(truth, each))
        scores.append(jaccard(truth, mask))
    return scores


def main() -> None:
    """Print a table per root."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("roots", nargs="+", type=Path)
    parser.add_argument(
        "--steps", type=int, nargs="+", default=[0, 2, 8], help="notches of the wheel, at most"
    )
    arguments = parser.parse_args()
    model, config = load_model(None, device="cpu"), DiscoveryConfig()
    for root in arguments.roots:
        proposed, searching, previews = [], [], []
        scores: dict[int, list[list[float]]] = {steps: [] for steps in arguments.steps}
        for sequence in open_davis(root):
            index = next(i for i in sequence.mask_paths if sequence.reference(i)[0].any())
            labels, _ = sequence.reference(index)
            cache = SlotCache(model, sequence, config=config, device="cpu", capacity=1)
            start = time.perf_counter()
            found = cache.candidates(index)
            regions = FrameRegions(found.native_regions(), found.tree.parent, found.score)
            searching.append(time.perf_counter() - start)
            masks = [proposal.mask for proposal in cache.propose(index, config)]
            for number in np.unique(labels[labels > 0]):
                truth = labels == number
                proposed.append(max((jaccard(truth, mask) for mask in masks), default=0.0))
                for steps, rows in scores.items():
                    rows.append(clicked(regions, truth, steps, previews))
        header = (
            "notches, at most",
            "proposal",
            *(f"{n} clicks" for n in CLICKS),
            *(f"{n}: > .8" for n in CLICKS),
        )
        rows = []
        for steps, found in scores.items():
            after = np.array(found)[:, np.array(CLICKS) - 1]
            means = [f"{v:.3f}" for v in (np.mean(proposed), *after.mean(0))]
            rows.append((str(steps), *means, *(f"{v:.2f}" for v in (after > 0.8).mean(0))))
        print(f"\n{root.name}: {len(proposed)} objects\n{format_table(header, rows)}")
        print(
            f"regions of a frame {np.mean(searching):.2f} s, a preview {1000 * np.mean(previews):.1f} ms",
            flush=True,
        )


if __name__ == "__main__":
    main()
