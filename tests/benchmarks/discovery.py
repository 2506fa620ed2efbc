"""Proposals against annotated first frames: how well the best proposal covers each object.

    python tests/benchmarks/discovery.py ROOT [ROOT ...] [--model NAME|FILE] [--methods ours slic ...]

Every root is laid out like DAVIS. Of each sequence the first annotated frame is taken; the frames after
it are at hand for motion. Printed per root and method: mean best IoU over objects, share of objects with
a best IoU above one half, for the 10 and the 20 best proposals, the number of proposals, and CPU seconds
a frame.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy import ndimage
from skimage.segmentation import slic

from smtc_model.davis_dataset import DavisSequence, open_davis
from smtc_model.discovery import DiscoveryConfig, propose
from smtc_model.metrics import pairwise_jaccard
from smtc_model.object_motion import camera_compensated_flow
from smtc_model.region_slots import encode, frame_slots
from smtc_model.regions import work_image
from smtc_model.smtc import SMTC
from smtc_model.text_table import format_table
from smtc_model.weights import load_model

MOST = 20
Method = Callable[[SMTC, DavisSequence, int], list[np.ndarray]]


def ours(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """`smtc_model.discovery` with neighbouring frames."""
    return _ours(model, sequence, index, DiscoveryConfig(max_objects=MOST))


def ours_no_foreground(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """`ours` without what the foreground network says."""
    without = SMTC(model.backbone, model.head, trained=model.trained)
    return _ours(without, sequence, index, DiscoveryConfig(max_objects=MOST))


def ours_backbone(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """`ours_still` with neither a trained head nor the foreground network, so slots of the features' own."""
    return _ours(SMTC(model.backbone), sequence, index, DiscoveryConfig(max_objects=MOST, motion_offsets=()))


def ours_head(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """`smtc_model.discovery` with neighbouring frames, and the trained head beside motion."""
    return _ours(model, sequence, index, DiscoveryConfig(max_objects=MOST, head_with_motion=True))


def ours_still(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """`smtc_model.discovery` on the frame alone."""
    return _ours(model, sequence, index, DiscoveryConfig(max_objects=MOST, motion_offsets=()))


def _ours(model: SMTC, sequence: DavisSequence, index: int, config: DiscoveryConfig) -> list[np.ndarray]:
    return [p.mask for p in propose(model, sequence, [index], config=config, device="cpu")[index]]


def superpixels(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """SLIC with as many segments as proposals."""
    image = work_image(sequence[index])
    return _largest(slic(image, n_segments=MOST, compactness=10, start_label=1), sequence[index])


def feature_clusters(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """Connected parts of 16 soft k-means clusters of the backbone's features."""
    keys = encode(model, sequence[index], device=torch.device("cpu"))
    slots = frame_slots(SMTC(model.backbone), keys, None, num_slots=16, iterations=5, seed=0)
    return _largest(_parts(slots.shares.argmax(2)), sequence[index])


def flow_clusters(model: SMTC, sequence: DavisSequence, index: int) -> list[np.ndarray]:
    """Connected parts of 8 k-means clusters of the motion against the camera's."""
    image = work_image(sequence[index])
    others = [work_image(sequence[i]) for i in (index + 2, index + 4) if i < len(sequence)]
    motion = camera_compensated_flow(image, others)
    if not motion:
        return []
    flow = np.concatenate(motion, 2)
    cv2.setRNGSeed(1)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, 20, 0.1)
    points = flow.reshape(-1, flow.shape[2]).astype(np.float32)
    _, labels, _ = cv2.kmeans(points, 8, None, stop, 1, cv2.KMEANS_PP_CENTERS)
    return _largest(_parts(labels.reshape(flow.shape[:2])), sequence[index])


def _parts(clusters: np.ndarray) -> np.ndarray:
    """Connected parts of clusters, numbered from 1."""
    labels = np.zeros(clusters.shape, int)
    for cluster in np.unique(clusters):
        parts, _ = ndimage.label(clusters == cluster)
        labels[parts > 0] = parts[parts > 0] + labels.max()
    return labels


def _largest(labels: np.ndarray, frame: np.ndarray) -> list[np.ndarray]:
    """The largest labels as native masks."""
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    size = frame.shape[1::-1]
    chosen = [number for number in np.argsort(-sizes)[:MOST] if sizes[number]]
    masks = ((labels == number).astype(np.uint8) for number in chosen)
    return [cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0 for mask in masks]


METHODS: dict[str, Method] = {
    "ours": ours,
    "ours, still": ours_still,
    "ours without foreground": ours_no_foreground,
    "ours, still, backbone alone": ours_backbone,
    "ours, trained slots beside motion": ours_head,
    "SLIC superpixels": superpixels,
    "feature k-means": feature_clusters,
    "flow k-means": flow_clusters,
}


def evaluate(model: SMTC, sequences: list[DavisSequence], method: Method) -> tuple[str, ...]:
    """One row of the table."""
    best = {10: [], MOST: []}
    counts, seconds = [], 0.0
    for sequence in sequences:
        index = next(i for i in sequence.mask_paths if sequence.reference(i)[0].any())
        labels, void = sequence.reference(index)
        references = np.stack([labels == number for number in np.unique(labels) if number])
        start = time.process_time()
        masks = method(model, sequence, index)
        seconds += time.process_time() - start
        counts.append(len(masks))
        overlap = pairwise_jaccard(references, np.array([*masks, np.zeros_like(references[0])]), void=void)
        for most, scores in best.items():
            scores.extend(overlap[:, : min(most, len(masks))].max(1, initial=0))
    row = []
    for scores in best.values():
        row += [f"{np.mean(scores):.3f}", f"{np.mean(np.array(scores) > 0.5):.2f}"]
    return (*row, f"{np.mean(counts):.1f}", f"{seconds / len(sequences):.1f}")


def main() -> None:
    """Print a table per root."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("roots", nargs="+", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--methods", nargs="+", choices=sorted(METHODS), default=list(METHODS))
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    print(f"model {model.name}, {'trained' if model.trained else 'untrained'}, hash {model.hash[:12]}")
    header = (
        "method",
        "best IoU @10",
        "recall@.5 @10",
        "best IoU @20",
        "recall@.5 @20",
        "proposals",
        "CPU s",
    )
    for root in args.roots:
        sequences = open_davis(root)
        rows = [(name, *evaluate(model, sequences, METHODS[name])) for name in args.methods]
        print(f"\n{root.name}: {len(sequences)} frames\n{format_table(header, rows)}", flush=True)


if __name__ == "__main__":
    main()
