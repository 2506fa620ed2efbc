"""Make the demo clip: photographs moving, turning, growing and hiding each other, with exact masks.

    python assets/demo/make_clip.py [FOLDER]

The textures are photographs in scikit-image's wheel, all in the public domain or CC0 (see the docstrings of
`skimage.data`). Everything is computed from the frame number, so the same versions of the libraries make the
same clip. To change the scene, edit `SCENE`: objects are given from the back to the front.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data

from smtc_app.io.davis import write_mask

WIDTH, HEIGHT = 480, 270
FRAMES = 48
FPS = 24
SUPERSAMPLING = 3


@dataclass(frozen=True)
class Actor:
    """One object: a blob cut out of a photograph, on a path.

    Attributes:
        photograph: name of a function of `skimage.data`.
        centre: (x, y) of the blob in the photograph, px.
        zoom: photograph px per unit of the blob's mean radius.
        radius: mean radius in the clip, px, on the first and last frame.
        path: (x, y) in the clip on the first, middle and last frame, px.
        turn: degrees turned over the clip.
        waves: (amplitude, lobes, phase) of the outline.
    """

    photograph: str
    centre: tuple[float, float]
    zoom: float
    radius: tuple[float, float]
    path: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    turn: float
    waves: tuple[tuple[float, int, float], ...]


SCENE = (
    Actor(
        photograph="coffee",
        centre=(310, 200),
        zoom=150,
        radius=(38, 30),
        path=((400, 70), (300, 110), (150, 60)),
        turn=-50,
        waves=((0.10, 3, 0.4), (0.06, 5, 2.0)),
    ),
    Actor(
        photograph="astronaut",
        centre=(225, 120),
        zoom=115,
        radius=(58, 70),
        path=((150, 150), (190, 160), (225, 150)),
        turn=14,
        waves=((0.12, 2, 0.9), (0.05, 7, 0.2)),
    ),
    Actor(
        photograph="rocket",
        centre=(320, 215),
        zoom=170,
        radius=(34, 44),
        path=((60, 215), (230, 225), (420, 190)),
        turn=80,
        waves=((0.22, 3, 1.2), (0.05, 8, 0.5)),
    ),
    Actor(
        photograph="chelsea",
        centre=(225, 140),
        zoom=130,
        radius=(50, 42),
        path=((385, 205), (300, 175), (95, 120)),
        turn=-35,
        waves=((0.15, 4, 0.7), (0.06, 9, 1.1)),
    ),
)


def _between(points: tuple, t: float) -> np.ndarray:
    """Quadratic curve through the first, middle and last point, t in 0..1."""
    first, middle, last = (np.asarray(p, np.float64) for p in points)
    return first * (1 - t) * (1 - 2 * t) + middle * 4 * t * (1 - t) + last * t * (2 * t - 1)


@cache
def _photograph(name: str) -> np.ndarray:
    return getattr(skimage.data, name)()


def _tinted(name: str, dark: tuple[int, int, int], light: tuple[int, int, int]) -> np.ndarray:
    """A grey photograph as float64 RGB, its darkest and lightest grey in the given colours."""
    grey = _photograph(name)[..., None] / 255.0
    return np.asarray(dark) * (1 - grey) + np.asarray(light) * grey


def _background(t: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A brick wall behind a lawn, which is nearer and so moves faster as the camera pans."""
    pan = _between(((40, 60), (110, 95), (150, 70)), t)
    zoom = 1.05 - 0.1 * t
    wall = _sample(_tinted("brick", (45, 20, 15), (235, 185, 150)), pan[0] + x * zoom, pan[1] + y * zoom)
    lawn = _sample(_tinted("grass", (15, 35, 5), (205, 235, 130)), 1.7 * pan[0] + x * zoom, pan[1] + y * zoom)
    horizon = HEIGHT * 0.58 - 0.4 * (pan[1] - 60) + 6 * np.sin((x + 1.7 * pan[0]) / 37)
    return np.where((y > horizon)[..., None], lawn, wall)


def _sample(photograph: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear RGB at positions in px, mirrored beyond the borders."""
    return cv2.remap(
        photograph,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _coverage(
    actor: Actor, t: float, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether positions lie inside the blob at time t, and their blob coordinates (u, v)."""
    centre = _between(actor.path, t)
    radius = actor.radius[0] * (actor.radius[1] / actor.radius[0]) ** t
    angle = math.radians(actor.turn) * t
    dx, dy = (x - centre[0]) / radius, (y - centre[1]) / radius
    u = math.cos(angle) * dx + math.sin(angle) * dy
    v = -math.sin(angle) * dx + math.cos(angle) * dy
    direction = np.arctan2(v, u)
    breath = 1 + 0.25 * math.sin(2 * math.pi * t)  # outlines change a little, as those of animals do
    outline = 1 + sum(a * breath * np.cos(n * direction + phase) for a, n, phase in actor.waves)
    return np.hypot(u, v) < outline, u, v


def render(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Frame `number`: uint8 (H,W,3) RGB, and its labels uint16 (H,W), ids from 1 in the order of `SCENE`."""
    t = number / (FRAMES - 1)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    picture = _background(t, x, y)
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    fine = (np.arange(SUPERSAMPLING) + 0.5) / SUPERSAMPLING - 0.5
    for number_of, actor in enumerate(SCENE, start=1):
        inside = np.mean([_coverage(actor, t, x + ox, y + oy)[0] for oy in fine for ox in fine], axis=0)
        _, u, v = _coverage(actor, t, x, y)
        colours = _sample(
            _photograph(actor.photograph), actor.centre[0] + u * actor.zoom, actor.centre[1] + v * actor.zoom
        )
        picture += inside[..., None] * (colours - picture)
        labels[inside >= 0.5] = number_of
    return np.round(picture).astype(np.uint8), labels


def make_clip(folder: Path) -> None:
    """Write `clip.mp4` and `masks/00000.png` ... into the folder."""
    masks = folder / "masks"
    masks.mkdir(parents=True, exist_ok=True)
    with av.open(
        str(folder / "clip.mp4"), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}
    ) as clip:
        stream = clip.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "17", "preset": "slow", "threads": "1", "x264-params": "keyint=24"}
        for number in range(FRAMES):
            picture, labels = render(number)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            clip.mux(stream.encode(frame))
            write_mask(masks / f"{number:05d}.png", labels)
        clip.mux(stream.encode(None))


if __name__ == "__main__":
    make_clip(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
