"""A made-up data set in DAVIS layout: discs that drift over a smooth background."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from smtc_model.davis_dataset import write_mask

COLOURS = ((220, 60, 40), (40, 90, 220))


def draw_frame(
    index: int, *, size: tuple[int, int] = (96, 128), objects: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """(frame uint8 (H,W,3), labels uint16 (H,W)) of a moment."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    frame = np.stack([90 + y // 4, 140 + x // 8, 90 + 0 * x], 2).astype(np.uint8)
    labels = np.zeros(size, np.uint8)
    for number in range(objects):
        centre = (30 + 2 * index + 60 * number, 40 + number * 15)
        cv2.circle(frame, centre, 14, COLOURS[number], -1)
        cv2.circle(labels, centre, 14, number + 1, -1)
    return frame, labels.astype(np.uint16)


def write_sequence(
    root: Path,
    name: str,
    *,
    frames: int = 4,
    size: tuple[int, int] = (96, 128),
    objects: int = 2,
    masks: tuple[int, ...] | None = None,
    resolution: str = "480p",
) -> None:
    """Write a sequence below a root; masks: frames that get one, None for all."""
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / resolution / name).mkdir(parents=True, exist_ok=True)
    for index in range(frames):
        frame, labels = draw_frame(index, size=size, objects=objects)
        Image.fromarray(frame).save(root / "JPEGImages" / resolution / name / f"{index:05d}.jpg", quality=95)
        if masks is None or index in masks:
            write_mask(root / "Annotations" / resolution / name / f"{index:05d}.png", labels)
