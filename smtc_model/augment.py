"""Random views of a clip for training: geometry by one resampling of the source, mild colour changes.

Letters: T frames, S the side of a square view in pixels. Colour is the strongest cue between near frames,
so the two views of a clip differ in colour by a few per cent only; changes that all views of a clip share
(`clip_colour`) may be strong, for they take nothing away from matching.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Similarity:
    """Maps normalised view coordinates ([-1,1], x then y) to source pixels: p = centre + matrix @ q."""

    matrix: np.ndarray  # (2,2) float64
    centre: np.ndarray  # (2,) float64, pixel centres at integers

    def relative_to(self, other: Similarity) -> np.ndarray:
        """(2,3) affine that takes this view's normalised coordinates to those of `other`."""
        inverse = np.linalg.inv(other.matrix)
        return np.column_stack([inverse @ self.matrix, inverse @ (self.centre - other.centre)])


def base_view(
    height: int, width: int, rng: np.random.Generator, *, side: tuple[float, float], flip: float = 0.5
) -> Similarity:
    """An upright square inside the frame, its side drawn log-uniformly from `side` pixels; mirrored with
    probability `flip`."""
    longest = min(height, width)
    low, high = (min(value, longest) for value in side)
    length = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    centre = np.array(
        [rng.uniform(length / 2, width - length / 2), rng.uniform(length / 2, height - length / 2)]
    )
    mirror = -1.0 if rng.random() < flip else 1.0
    return Similarity(np.diag([mirror, 1.0]) * length / 2, centre - 0.5)


def second_view(
    view: Similarity,
    rng: np.random.Generator,
    *,
    zoom: tuple[float, float] = (0.6, 1.2),
    rotation_deg: float = 15.0,
    flip: float = 0.5,
) -> Similarity:
    """`view` zoomed (log-uniform; below 1 looks closer), rotated, mirrored and shifted so that it still shows
    mostly what `view` shows."""
    scale = float(np.exp(rng.uniform(np.log(zoom[0]), np.log(zoom[1]))))
    angle = np.deg2rad(rng.uniform(-rotation_deg, rotation_deg))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.diag([-1.0 if rng.random() < flip else 1.0, 1.0])
    room = max(1.0 - scale, 0.1)
    shift = rng.uniform(-room, room, size=2)
    return Similarity(view.matrix @ rotation @ mirror * scale, view.centre + view.matrix @ shift)


def render(frame: np.ndarray, view: Similarity, side: int) -> np.ndarray:
    """The view (S,S,3) uint8 of `frame` (H,W,3); what lies outside the frame is mirrored at its border."""
    step = np.sqrt(abs(np.linalg.det(view.matrix))) * 2 / side
    if step > 1.5:  # bilinear sampling alone would alias
        frame = cv2.GaussianBlur(frame, (0, 0), 0.35 * step)
    # Pixel j of the view has the normalised coordinate (2 j + 1) / side - 1.
    linear = view.matrix * (2 / side)
    offset = view.centre + view.matrix @ np.full(2, 1 / side - 1)
    return cv2.warpAffine(
        frame,
        np.column_stack([linear, offset]),
        (side, side),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def colour_transform(
    rng: np.random.Generator, *, strength: float, hue: float = 0.0, grey: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """A random linear change of RGB in [0,1]: (3,3) matrix and (3,) offset.

    Brightness, contrast and saturation change by up to `strength`, hue turns by up to `hue` (share of a full
    turn), and with probability `grey` all colour goes. A linear map is cheap: one product per frame.
    """
    luma = np.array([0.299, 0.587, 0.114])
    to_grey = np.tile(luma, (3, 1))
    saturation = 0.0 if rng.random() < grey else rng.uniform(1 - strength, 1 + strength)
    matrix = saturation * np.eye(3) + (1 - saturation) * to_grey
    angle = 2 * np.pi * rng.uniform(-hue, hue)
    axis = np.full(3, 1 / np.sqrt(3))  # hue turns about the grey axis
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    contrast = rng.uniform(1 - strength, 1 + strength)
    brightness = rng.uniform(-strength, strength) / 2
    return contrast * (turn @ matrix), np.full(3, brightness + 0.5 * (1 - contrast))


def apply_colour(frame: np.ndarray, transform: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(H,W,3) uint8 -> the same, `transform` applied and clipped."""
    matrix, offset = transform
    return cv2.transform(frame, np.column_stack([matrix, 255 * offset]).astype(np.float32))


def compose_colour(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """`second` after `first`."""
    return second[0] @ first[0], second[0] @ first[1] + second[1]
