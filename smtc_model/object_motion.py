"""Motion of things against the camera's: evidence for objects where a video is at hand.

Flow to other frames (see `motion`) minus the motion of a plane, the homography that most of the frame
follows. Other frames that show something else (a cut) are left out.

Letters: h x w pixels of the work grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .motion import FlowEstimator

_SAMPLE_STEP_PX = 8
_INLIER_PX = 1.5
_MOST_DIFFERENT = 30.0
"""Mean absolute grey difference after warping above which two frames show different scenes."""


class CameraFlow(NamedTuple):
    """How an image moves towards another one, other than by the camera's motion."""

    residual: np.ndarray
    """(h,w,2) float32, y and x in pixels"""
    camera: np.ndarray
    """(h,w,2) float32, y and x, where the camera's motion alone takes each place"""
    inside: np.ndarray
    """(h,w) bool, where the camera's motion stays in the picture"""
    followed: float
    """share of the frame that follows the camera's motion, 0 to 1"""


def camera_compensated_flow(image: np.ndarray, others: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Motion (h,w,2), y and x in pixels, from an image to each of the others that shows the same scene.

    image, others: uint8 (h,w,3) RGB.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    flows = (camera_flow(grey, cv2.cvtColor(other, cv2.COLOR_RGB2GRAY)) for other in others)
    return [flow.residual for flow in flows if flow is not None]


def camera_flow(grey: np.ndarray, other: np.ndarray, *, inlier_px: float = _INLIER_PX) -> CameraFlow | None:
    """Motion between two images uint8 (h,w); None if they show different scenes.

    inlier_px: how far off the camera's motion a place may be that still follows it.
    """
    flow = FlowEstimator()(grey, other).numpy()
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
    target_x, target_y = x + flow[1], y + flow[0]
    warped = cv2.remap(other, target_x, target_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if np.abs(warped.astype(float) - grey).mean() > _MOST_DIFFERENT:
        return None
    camera_x, camera_y, followed = _camera_motion(x, y, target_x, target_y, inlier_px)
    inside = (camera_x >= 0) & (camera_x < grey.shape[1]) & (camera_y >= 0) & (camera_y < grey.shape[0])
    camera = np.stack([camera_y, camera_x], 2).astype(np.float32)
    return CameraFlow(np.stack([target_y, target_x], 2) - camera, camera, inside, followed)


def _camera_motion(
    x: np.ndarray, y: np.ndarray, target_x: np.ndarray, target_y: np.ndarray, inlier_px: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Where the homography that most positions follow takes each position, x and y (h,w), and their share."""
    step = np.s_[_SAMPLE_STEP_PX // 2 :: _SAMPLE_STEP_PX, _SAMPLE_STEP_PX // 2 :: _SAMPLE_STEP_PX]
    source = np.stack([x[step].ravel(), y[step].ravel()], 1)
    target = np.stack([target_x[step].ravel(), target_y[step].ravel()], 1)
    if len(source) < 8:
        return x, y, 0.0
    cv2.setRNGSeed(1)
    homography, followers = cv2.findHomography(source, target, cv2.RANSAC, inlier_px)
    if homography is None:
        return x, y, 0.0
    points = np.stack([x.ravel(), y.ravel()], 1)[None]
    moved = cv2.perspectiveTransform(points, homography)[0]
    return moved[:, 0].reshape(x.shape), moved[:, 1].reshape(x.shape), float(followers.mean())
