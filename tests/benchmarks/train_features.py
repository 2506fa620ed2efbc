"""What features are worth to label propagation: J on sequences in DAVIS layout, alone and in the engine.

    python tests/benchmarks/train_features.py ROOT --models smtc-compact colour-texture --frames 40
    python tests/benchmarks/train_features.py ROOT --engine --every 3 --frames 16 --short-side 288

Alone: the published protocol of contrastive random walks at stride 8 (keyframe 0 and the last 7 frames, disk
of radius 12, the 10 best matches, plain argmax), without motion, fusion and refinement. Temperature 0.1 is
the usual choice, 0.03 suits features trained with a softmax at 0.05. With --engine: the default settings.
--every n takes every n-th frame, which makes motion faster. "compact" is the same network untrained.
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
from smtc_model.propagation_config import PRESETS, PropagationConfig
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


def thinned(sequence: DavisSequence, every: int) -> DavisSequence:
    masks = {index // every: path for index, path in sequence.mask_paths.items() if index % every == 0}
    return dataclasses.replace(sequence, frame_paths=sequence.frame_paths[::every], mask_paths=masks)


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
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--engine", action="store_true", help="the engine's default settings")
    args = parser.parse_args()
    sequences = [thinned(s, args.every) for s in open_davis(args.root, sequences=args.sequences)]
    print(
        "model".ljust(34), "T".rjust(5), *(s.name.rjust(12) for s in sequences), "mean".rjust(7), "s".rjust(6)
    )
    for name in args.models:
        torch.manual_seed(0)
        model = load_model(name, device="cpu")
        for temperature in args.temperatures[:1] if args.engine else args.temperatures:
            started = time.perf_counter()
            config = protocol(temperature, args.short_side)
            if args.engine:
                config = dataclasses.replace(PRESETS["default"], short_side_px=args.short_side)
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
