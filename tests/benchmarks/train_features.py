"""What the features alone are worth: J of label propagation without motion, fusion and refinement.

    python tests/benchmarks/train_features.py ROOT --models smtc-compact colour-texture compact --frames 40

The published protocol of contrastive random walks at stride 8: keyframe 0 and the last 7 frames, disk of
radius 12, the 10 best matches, plain argmax. Temperature 0.1 is the usual choice, 0.03 what suits features
trained with a softmax at 0.05. ROOT is in DAVIS layout; "compact" is the same network with random weights.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch

from smtc_model.davis_dataset import DavisSequence, open_davis
from smtc_model.matching import Window
from smtc_model.metrics import jaccard
from smtc_model.propagation import propagate
from smtc_model.propagation_config import PropagationConfig
from smtc_model.smtc import SMTC
from smtc_model.weights import load_model


def protocol(temperature: float, short_side_px: int) -> PropagationConfig:
    return PropagationConfig(
        short_side_px=short_side_px,
        recent_frames=7,
        window=Window(12, "disk"),
        keyframe_window=Window(12, "disk"),
        top_k=10,
        temperature=temperature,
        follow_motion=False,
        refine=False,
    )


def mean_j(model: SMTC, sequence: DavisSequence, frames: int, config: PropagationConfig) -> float:
    """Mean J over the objects of frame 0 and the annotated frames after it, the last one left out."""
    paths = sequence.frame_paths[:frames]
    masks = {index: path for index, path in sequence.mask_paths.items() if index < len(paths)}
    cut = dataclasses.replace(sequence, frame_paths=paths, mask_paths=masks)
    given, _ = cut.reference(0)
    ids = [int(value) for value in np.unique(given) if value]
    scores = []
    for frame in propagate(model, cut, {0: given}, config=config, device="cpu"):
        if frame.index in masks and frame.index < len(paths) - 1:
            truth, void = cut.reference(frame.index)
            scores += [jaccard(truth == i, frame.labels == i, void=void) for i in ids]
    return float(np.mean(scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--models", nargs="+", default=["smtc-compact", "colour-texture", "compact"])
    parser.add_argument("--sequences", nargs="+", default=["dog-agility", "hockey", "rollerblade", "swing"])
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--temperatures", nargs="+", type=float, default=[0.1, 0.03])
    parser.add_argument("--short-side", type=int, default=480)
    args = parser.parse_args()
    sequences = open_davis(args.root, sequences=args.sequences)
    print(
        "model".ljust(34), "T".rjust(5), *(s.name.rjust(12) for s in sequences), "mean".rjust(7), "s".rjust(6)
    )
    for name in args.models:
        torch.manual_seed(0)
        model = load_model(name, device="cpu")
        for temperature in args.temperatures:
            started = time.perf_counter()
            config = protocol(temperature, args.short_side)
            scores = [mean_j(model, sequence, args.frames, config) for sequence in sequences]
            seconds = time.perf_counter() - started
            cells = (f"{score:12.3f}" for score in scores)
            print(
                f"{name:34.34} {temperature:5.2f}",
                *cells,
                f"{np.mean(scores):7.3f} {seconds:6.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
