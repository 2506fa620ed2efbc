"""Draws masks at the resolution of the screen: pure numpy and OpenCV functions, no Qt.

The label map (always at native resolution) is sampled where the screen has a dot, and fill, outline, dashes
and halo are made there. The cost is bounded by the dots that changed, whatever the size of the video and the
number of objects; outlines are equally thick at every zoom; ids are not limited to 255. Drawing the same
1080p label map scaled by Qt (an indexed image with a colour table, as pyqtgraph's ImageItem does) measured
5 ms against 2 ms here on a 960 x 540 canvas, and could not draw outlines.

Layers are uint32 (h, w) of premultiplied 0xAARRGGBB, what `QImage.Format_ARGB32_Premultiplied` holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from smtc_app.core.annotation import Box
from smtc_app.ui.view_transform import Region, ViewTransform, intersection

LABELS = 65536
LARGEST_BYTE = 255
UNKNOWN_COLOUR = (255, 255, 255, 255)
"""RGBA of a label that the lookup table does not reach: never overlooked."""
WHITE = np.uint32(0xFFFFFFFF)
HALO = np.uint32(0x6E000000)
HALO_PX = 1
DASH_LINES = 5
"""A dash, and a gap, is this many times as long as the line is thick."""
RING_EXTRA_PX = 1
"""The ring around what is selected is this much thicker than outlines are."""
BAND_PX = 1 << 19
"""View pixels of a band, about."""
PROPOSAL_TINT, CHOSEN_TINT = 0.2, 0.45
SELECTED_EXTRA = 0.15
"""A selected object's fill is this much more opaque."""
BRIGHTEST_CHANNEL, BRIGHTEST_GREY = 235, 175
DARKEST_LINE = 96
"""The least luma of a line: blue and deep red are dark to the eye however strong their one channel is."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class OverlayStyle:
    """How masks are drawn.

    opacity  of the fill, 0..1
    outline  outlines only, no fill
    visible  masks are drawn at all
    line_px  thickness of outlines in view pixels
    """

    opacity: float = 0.5
    outline: bool = False
    visible: bool = True
    line_px: int = 1


class Tables(NamedTuple):
    """Colours by label; labels past the end take the last entry. `shown` is False for hidden objects."""

    shown: np.ndarray
    fill: np.ndarray
    line: np.ndarray
    solid: np.ndarray
    """bool: the outline is a full line, else it is dashed."""
    chosen: tuple[int, ...]
    """Selected labels, with a ring around them."""


@dataclass(frozen=True)
class Proposal:
    """A proposed object as it is drawn: `mask` bool (H, W), or its part inside `box`; `colour` RGB."""

    id: int
    mask: np.ndarray
    colour: tuple[int, int, int]
    solid: bool = False
    box: Box | None = None


def label_tables(lut: np.ndarray, style: OverlayStyle, selected: Collection[int] = ()) -> Tables:
    """Tables for accepted objects from their RGBA `lut` uint8 (n, 4); alpha 0 hides an object."""
    if lut.ndim != 2 or lut.shape[1] != 4 or not 1 <= len(lut) <= LABELS:
        raise ValueError(f"lut must be uint8 (1..{LABELS}, 4), got shape {lut.shape}")
    rgba = np.concatenate([lut, np.array([UNKNOWN_COLOUR], np.uint8)])
    rgba[0] = 0
    opacity = np.full(len(rgba), 0.0 if style.outline else style.opacity, np.float32)
    chosen = tuple(label for label in selected if 0 < label < len(lut))
    if not style.outline:
        opacity[list(chosen)] += SELECTED_EXTRA
    shown = (rgba[:, 3] > 0) & style.visible
    fill = _packed(rgba[:, :3], np.clip(opacity, 0, 1) * (rgba[:, 3] / np.float32(255)))
    line = _packed(brightened(rgba[:, :3]), np.ones(len(rgba), np.float32))
    return Tables(shown, fill, line, np.ones(len(rgba), bool), chosen)


def proposal_tables(proposals: Sequence[Proposal], chosen: Collection[int] = ()) -> Tables:
    """Tables for a `proposal_map`: light tints and dashed lines, full ones where `solid`."""
    rgb = np.array([(0, 0, 0), *(proposal.colour for proposal in proposals)], np.uint8)
    tint = [CHOSEN_TINT if proposal.id in chosen else PROPOSAL_TINT for proposal in proposals]
    shown = np.ones(len(rgb), bool)
    shown[0] = False
    solid = np.array([False, *(proposal.solid for proposal in proposals)])
    numbers = tuple(number for number, proposal in enumerate(proposals, 1) if proposal.id in chosen)
    line = _packed(brightened(rgb), shown.astype(np.float32))
    return Tables(shown, _packed(rgb, np.array([0, *tint], np.float32)), line, solid, numbers)


def proposal_map(proposals: Sequence[Proposal], shape: tuple[int, int]) -> np.ndarray:
    """uint16 (H, W): number 1.. of the proposal at each pixel; where masks overlap, the smaller one's."""
    numbers = np.zeros(shape, np.uint16)
    order = sorted(range(len(proposals)), key=lambda i: np.count_nonzero(proposals[i].mask), reverse=True)
    for i in order:
        x0, y0, x1, y1 = proposals[i].box or (0, 0, shape[1], shape[0])
        there = numbers[y0:y1, x0:x1]
        if proposals[i].mask.shape != there.shape:
            raise ValueError(
                f"mask of proposal {proposals[i].id} must be {there.shape}, got {proposals[i].mask.shape}"
            )
        there[proposals[i].mask] = i + 1
    return numbers


def brightened(rgb: np.ndarray) -> np.ndarray:
    """The same hues, uint8 (n, 3), as bright as a line over footage has to be.

    Hues that are dark at their brightest are paled; greys stay off white, because white means selected; black
    becomes grey.
    """
    brightest = rgb.max(axis=1, keepdims=True).astype(np.float32)
    grey = brightest - rgb.min(axis=1, keepdims=True) < 40
    target = np.where(grey, BRIGHTEST_GREY, np.maximum(brightest, BRIGHTEST_CHANNEL))
    lines = rgb * (target / np.maximum(brightest, 1))
    lines[brightest[:, 0] == 0] = BRIGHTEST_GREY
    luma = (lines @ LUMA)[:, None]
    pale = np.maximum(DARKEST_LINE - luma, 0) / (255 - luma)
    return np.rint(lines + (255 - lines) * pale).astype(np.uint8)


def sample_labels(labels: np.ndarray, view: ViewTransform, region: Region) -> np.ndarray:
    """(h, w): the label under each view pixel of `region`, 0 outside of the frame.

    uint8 where all labels in sight fit, which everything after it takes half the time for, else uint16.
    """
    height, width = labels.shape
    x0, y0, x1, y1 = view.frame_region((width, height))
    shape = region[3] - region[1], region[2] - region[0]
    left, top = max(region[0], x0), max(region[1], y0)
    right, bottom = min(region[2], x1), min(region[3], y1)
    if left < right and top < bottom:
        rows, columns = view.rows(top, bottom, height), view.columns(left, right, width)
        first_row, first = int(rows[0]), int(columns[0])
        block = labels[first_row : int(rows[-1]) + 1, first : int(columns[-1]) + 1]
        if block.max() <= LARGEST_BYTE:
            block = block.astype(np.uint8)
        # One axis at a time, a quarter of the time of indexing with both at once; columns, which are the
        # slower ones, while there are fewer rows.
        if len(block) < len(rows):
            block = np.take(block, columns - first, axis=1, mode="clip")
            block = np.take(block, rows - first_row, axis=0, mode="clip")
        else:
            block = np.take(block, rows - first_row, axis=0, mode="clip")
            block = np.take(block, columns - first, axis=1, mode="clip")
        if (left, top, right, bottom) == region:
            return block
        sampled = np.zeros(shape, block.dtype)
        sampled[top - region[1] : bottom - region[1], left - region[0] : right - region[0]] = block
        return sampled
    return np.zeros(shape, np.uint8)


def look_up(table: np.ndarray, labels: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
    """`table[labels]`, labels past the end taking the last entry; table bool or uint32."""
    if labels.dtype != np.uint8:
        return np.take(table, labels, out=into, mode="clip")
    entries = np.take(table, np.arange(LARGEST_BYTE + 1), mode="clip")
    # A tenth of the time: numpy makes an 8-byte index of every label first.
    kind = np.int32 if table.dtype == np.uint32 else np.uint8
    found = cv2.LUT(labels, entries.view(kind), None if into is None else into.view(kind))
    return found.view(table.dtype)


def margin_of(line_px: int) -> int:
    """View pixels around a region that its outlines depend on."""
    return line_px + RING_EXTRA_PX + HALO_PX


def render(
    labels: np.ndarray,
    view: ViewTransform,
    region: Region,
    tables: Tables,
    line_px: int,
    *,
    box: Box | None = None,
    into: np.ndarray | None = None,
) -> np.ndarray:
    """The layer of `labels` uint16 (H, W) in a region of the view: uint32 (h, w), drawn in `into` if given.

    `box` (frame pixels) says that there are no labels outside of it, which saves looking there.

    Large regions are drawn in bands: the temporary arrays of a band stay in the processor's cache, those of a
    whole screen are memory that the system hands out, clears and takes back every time, which took longer
    than the work itself.
    """
    x0, y0, x1, y1 = region
    layer = np.empty((y1 - y0, x1 - x0), np.uint32) if into is None else into
    part = region if box is None else intersection(region, view.region_of(box, margin_of(line_px)))
    if part != region:
        layer[:] = 0
    if part is not None:
        left, top, right, bottom = part
        rows = max(1, BAND_PX // (right - left))
        for start in range(top, bottom, rows):
            stop = min(start + rows, bottom)
            band = layer[start - y0 : stop - y0, left - x0 : right - x0]
            _render_band(band, labels, view, (left, start, right, stop), tables, line_px)
    return layer


def _render_band(
    layer: np.ndarray, labels: np.ndarray, view: ViewTransform, region: Region, tables: Tables, line_px: int
) -> None:
    margin = margin_of(line_px)
    x0, y0, x1, y1 = region
    sampled = sample_labels(labels, view, (x0 - margin, y0 - margin, x1 + margin, y1 + margin))
    if not sampled.any():
        layer[:] = 0
        return
    if not tables.shown[1:].all():
        sampled[~look_up(tables.shown, sampled)] = 0
    here = sampled[margin:-margin, margin:-margin]
    look_up(tables.fill, here, into=layer)
    rows, columns = np.divmod(np.flatnonzero(_edges(sampled, line_px, margin)), here.shape[1])
    numbers = here[rows, columns]
    dashed = ~np.take(tables.solid, numbers, mode="clip") & (numbers > 0)
    if dashed.any():
        phase = (columns + rows + (x0 - view.x) + (y0 - view.y)) // (DASH_LINES * line_px)
        drawn = ~dashed | (phase & 1 == 0)
        rows, columns, numbers = rows[drawn], columns[drawn], numbers[drawn]
    # The background side of an edge gets a dark line, to be seen on footage of any colour.
    layer[rows, columns] = np.where(numbers > 0, np.take(tables.line, numbers, mode="clip"), HALO)
    if tables.chosen:
        mask = np.zeros(sampled.shape, bool)
        for label in tables.chosen:
            mask |= sampled == label
        _draw_rings(layer, mask.view(np.uint8), line_px + RING_EXTRA_PX, margin)


def _draw_rings(layer: np.ndarray, mask: np.ndarray, ring_px: int, margin: int) -> None:
    """A white ring with a dark rim around what is selected: outside of it, so that thin parts stay visible.

    `mask` uint8 is larger than `layer` by `margin` on each side.
    """
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return
    reach, (full_height, full_width) = ring_px + HALO_PX, mask.shape
    x0, y0 = max(margin, left - reach), max(margin, top - reach)
    x1 = min(full_width - margin, left + width + reach)
    y1 = min(full_height - margin, top + height + reach)
    if x0 >= x1 or y0 >= y1:
        return
    around = mask[y0 - margin : y1 + margin, x0 - margin : x1 + margin]
    ring = cv2.dilate(around, np.ones((2 * ring_px + 1, 2 * ring_px + 1), np.uint8))
    rim = cv2.dilate(ring, np.ones((2 * HALO_PX + 1, 2 * HALO_PX + 1), np.uint8))
    inner = np.s_[margin:-margin, margin:-margin]
    target = layer[y0 - margin : y1 - margin, x0 - margin : x1 - margin]
    target[(rim != ring)[inner]] = HALO
    target[(ring != around)[inner]] = WHITE


HOTTEST = 0.82
"""How far up the colour map heat goes: its last part is too pale to be seen on bright footage."""


def heat_colours(values: np.ndarray, *, strongest: float = 0.6) -> np.ndarray:
    """Layer of a heat map in its own resolution: float (h, w) in [0, 1], NaN transparent.

    Low values are transparent, high ones hot; opacity grows with the value up to `strongest`.
    """
    if values.ndim != 2:
        raise ValueError(f"heat map must be (h, w), got shape {values.shape}")
    level = np.nan_to_num(np.clip(values.astype(np.float32), 0, 1), nan=0.0)
    table = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_INFERNO)[:, 0, ::-1]
    rgb = table[(level * (255 * HOTTEST)).astype(np.uint8).ravel()]
    return _packed(rgb, strongest * np.sqrt(level).ravel()).reshape(level.shape)


def union(boxes: Iterable[Region | None]) -> Region | None:
    """The smallest region around all of them; those without area do not count."""
    real = [box for box in boxes if box is not None and box[0] < box[2] and box[1] < box[3]]
    if not real:
        return None
    x0, y0, x1, y1 = zip(*real, strict=True)
    return min(x0), min(y0), max(x1), max(y1)


def _edges(sampled: np.ndarray, reach_px: int, margin: int) -> np.ndarray:
    """bool, without the margin: pixels with another label within `reach_px` (square neighbourhood)."""
    kernel = np.ones((2 * reach_px + 1, 2 * reach_px + 1), np.uint8)
    inner = np.s_[margin:-margin, margin:-margin]
    return cv2.dilate(sampled, kernel)[inner] != cv2.erode(sampled, kernel)[inner]


def _packed(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Premultiplied 0xAARRGGBB uint32 (n,) of uint8 (n, 3) and alpha 0..1 (n,)."""
    channels = np.rint(rgb * alpha[:, None].astype(np.float32)).astype(np.uint32)
    opaque = np.rint(alpha * 255).astype(np.uint32)
    return (opaque << 24) | (channels[:, 0] << 16) | (channels[:, 1] << 8) | channels[:, 2]
