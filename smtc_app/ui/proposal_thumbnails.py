"""Small pictures of proposals: cut out of their frames in a thread, kept for as long as they are shown.

The thread reads frames that are not on the screen through footage of its own, so that neither the window nor
its decoder waits for a picture.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from smtc_app.core.annotation import Colour, ProposalMask

logger = logging.getLogger(__name__)

THUMBNAIL_PX = (84, 52)
CONTEXT = 1.5
"""How much wider than the proposal its picture is."""
LEAST_WIDTH_PX = 16
DIMMED = 0.35


@dataclass(frozen=True)
class Request:
    """A picture that is wanted: of `proposal`, its outline in `colour`, `ratio` dots to the point.

    pixels: the proposal's frame (H,W,3), or None: the thread reads it.
    """

    proposal: ProposalMask
    colour: Colour
    ratio: float = 1.0
    pixels: np.ndarray | None = None

    @property
    def key(self) -> tuple[ProposalMask, Colour, float]:
        """What makes two requests want the same picture."""
        return self.proposal, self.colour, self.ratio


def make_thumbnail(
    frame: np.ndarray, proposal: ProposalMask, colour: Colour, *, ratio: float = 1.0
) -> QImage:
    """A crop of `frame` (H,W,3) around a proposal, dimmed outside it, `THUMBNAIL_PX` points large."""
    width, height = (round(side * ratio) for side in THUMBNAIL_PX)
    if not proposal.area:
        image = QImage(width, height, QImage.Format.Format_RGB888)
        image.fill(0)
        image.setDevicePixelRatio(ratio)
        return image
    x0, y0, x1, y1 = proposal.box
    # The box, larger for context and widened to the picture's shape; sampled where the picture has a dot.
    box_width = max(CONTEXT * (x1 - x0), CONTEXT * (y1 - y0) * width / height, LEAST_WIDTH_PX)
    scale = box_width / width
    x = np.floor((x0 + x1) / 2 + (np.arange(width) - width / 2 + 0.5) * scale).astype(int)
    y = np.floor((y0 + y1) / 2 + (np.arange(height) - height / 2 + 0.5) * scale).astype(int)
    valid = ((y >= 0) & (y < frame.shape[0]))[:, None] & ((x >= 0) & (x < frame.shape[1]))[None]
    picture = frame[np.ix_(y.clip(0, frame.shape[0] - 1), x.clip(0, frame.shape[1] - 1))].astype(np.float32)
    within = ((y >= y0) & (y < y1))[:, None] & ((x >= x0) & (x < x1))[None]
    chosen = proposal.crop[np.ix_((y - y0).clip(0, y1 - y0 - 1), (x - x0).clip(0, x1 - x0 - 1))] & within
    picture[~chosen] *= DIMMED
    edge = chosen & ~(
        np.roll(chosen, 1, 0) & np.roll(chosen, -1, 0) & np.roll(chosen, 1, 1) & np.roll(chosen, -1, 1)
    )
    picture[edge] = colour
    picture[~valid] = 0
    pixels = np.ascontiguousarray(picture.astype(np.uint8))
    image = QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    image.setDevicePixelRatio(ratio)
    return image


class ProposalThumbnails(QObject):
    """Makes the pictures that are wanted, and keeps them until others are.

    Signals:
        ready: None, after a picture has been made; many may follow one another.
    """

    ready = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._condition = threading.Condition()
        self._images: dict[tuple[Any, ...], QImage] = {}
        self._wanted: list[Request] = []
        self._open_source: Callable[[], Any] | None = None
        self._thread: threading.Thread | None = None
        self._closing = False

    def open(self, open_source: Callable[[], Any]) -> None:
        """Work on other footage; `open_source()` is called in the thread once a frame has to be read."""
        self.close()
        self._open_source = open_source
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="proposal-thumbnails", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and forget the pictures."""
        with self._condition:
            self._closing = True
            self._wanted, self._images = [], {}
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def get(self, request: Request) -> QImage | None:
        """The picture, if it has been made."""
        return self._images.get(request.key)

    def want(self, requests: Sequence[Request]) -> None:
        """What is shown now, the first first; pictures of everything else are let go."""
        with self._condition:
            keys = {request.key for request in requests}
            self._images = {key: image for key, image in self._images.items() if key in keys}
            self._wanted = [request for request in requests if request.key not in self._images]
            self._condition.notify()

    def _run(self) -> None:
        source, frame, pixels = None, -1, None
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._closing or self._wanted)
                if self._closing:
                    break
                request = self._wanted.pop(0)
            try:
                wanted = request.proposal.frame
                if request.pixels is None and frame != wanted:
                    source = source or self._open_source()
                    frame, pixels = wanted, source[wanted]
                own = request.pixels if request.pixels is not None else pixels
                image = make_thumbnail(own, request.proposal, request.colour, ratio=request.ratio)
            except Exception:
                # The card does without a picture; asking again would fail again.
                logger.exception("no thumbnail of %r", request.proposal)
                continue
            with self._condition:
                if self._closing:
                    break
                self._images[request.key] = image
            self.ready.emit(None)
        if source is not None:
            source.close()
