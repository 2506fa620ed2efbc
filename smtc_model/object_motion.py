"""Motion of things against the camera's: evidence for objects where a video is at hand.

Flow to other frames (see `motion`) minus the motion of a plane, the homography that most of the frame
follows. Other frames that show something else (a cut) are left out.

Letters: h x w pixels of the work grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from .motion import FlowEstimator

_SAMPLE_STEP_PX = 8
_INLIER_PX = 1.5
_MOST_DIFFERENT = 30.0
"""Mean absolute grey difference after warping above which two frames show different scenes."""


def camera_compensated_flow(image: np.ndarray, others: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Motion (h,w,2), y and x in pixels, from an image to each of the others that shows the same scene.

    image, others: uint8 (h,w,3) RGB.
    """
    estimate = FlowEstimator()
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]].astype(np.float32)
    found = []
    for other in others:
        other_grey = cv2.cvtColor(other, cv2.COLOR_RGB2GRAY)
        flow = estimate(grey, other_grey).numpy()
        target_x, target_y = x + flow[1], y + flow[0]
        warped = cv2.remap(other_grey, target_x, target_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        if np.abs(warped.astype(float) - grey).mean() > _MOST_DIFFERENT:
            continue
        camera = _camera_motion(x, y, target_x, target_y)
        found.append(np.stack([target_y - camera[1], target_x - camera[0]], 2))
    return found


def _camera_motion(
    x: np.ndarray, y: np.ndarray, target_x: np.ndarray, target_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where the homography that most positions follow takes each position: x and y, (h,w) each."""
    step = np.s_[_SAMPLE_STEP_PX // 2 :: _SAMPLE_STEP_PX, _SAMPLE_STEP_PX // 2 :: _SAMPLE_STEP_PX]
    source = np.stack([x[step].ravel(), y[step].ravel()], 1)
    target = np.stack([target_x[step].ravel(), target_y[step].ravel()], 1)
    if len(source) < 8:
        return x, y
    cv2.setRNGSeed(1)
    homography, _ = cv2.findHomography(source, target, cv2.RANSAC, _INLIER_PX)
    if homography is None:
        return x, y
    points = np.stack([x.ravel(), y.ravel()], 1)[None]
    moved = cv2.perspectiveTransform(points, homography)[0]
    return moved[:, 0].reshape(x.shape), moved[:, 1].reshape(x.shape)
