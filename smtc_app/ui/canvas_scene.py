"""What the canvas shows, and its buffers: picture, onion skin, heat map, masks, proposals.

The scene knows nothing of the mouse. Whatever is set here marks the dirty regions of its layers and tells the
widget, through `on_dirty`, which region of the view has to be painted again (None: all of it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from smtc_app.core.annotation import Box, Colour, mask_box
from smtc_app.core.palette import lookup_table, object_colour
from smtc_app.ui import canvas_layers, overlay, view_transform
from smtc_app.ui.canvas_layers import Layer, image_of
from smtc_app.ui.frame_sampler import FrameSampler
from smtc_app.ui.overlay import OverlayStyle, Proposal
from smtc_app.ui.view_transform import Region, Size, ViewTransform

LINE_PX, OUTLINE_PX, PROPOSAL_LINE_PX = 1, 2, 2
"""Thickness of outlines in points of the screen: of filled masks, of masks as outlines, of proposals."""


NO_BOX: Box = (0, 0, 0, 0)


class CanvasScene:
    """Everything that is drawn, in the place that `view` gives it."""

    def __init__(self, on_dirty: Callable[[Region | None], None]) -> None:
        self._on_dirty = on_dirty
        self.view = ViewTransform()
        self.view_size: Size = (0, 0)
        self._ratio = 1.0
        self._picture, self._ghost = Layer(opaque=True), Layer()
        self._masks, self._proposed = Layer(), Layer()
        self._layers = (self._picture, self._ghost, self._masks, self._proposed)
        self._frame: FrameSampler | None = None
        self._alternative: FrameSampler | None = None
        self._ghost_opacity = 0.5
        self._heat: QImage | None = None
        self._labels: np.ndarray | None = None
        self._box: Box | None = None
        self._proposal_box: Box | None = None
        self._lut = lookup_table(())
        self._style = OverlayStyle()
        self._selected: tuple[int, ...] = ()
        self._active: tuple[int, Colour] = (1, object_colour(1))
        self._tables = overlay.label_tables(self._lut, self._style)
        self._proposals: list[Proposal] = []
        self._numbers: np.ndarray | None = None
        self._chosen: tuple[int, ...] = ()
        self._proposal_tables = overlay.proposal_tables(())

    # The view

    @property
    def frame_size(self) -> Size | None:
        """(width, height) of the frame in pixels, None without one."""
        return self._frame.size if self._frame is not None else None

    @property
    def masks_visible(self) -> bool:
        """Whether masks are drawn at all."""
        return self._style.visible

    def resize(self, size: Size, ratio: float) -> None:
        """Another size of the view in view pixels, `ratio` of them per point."""
        self.view_size, self._ratio = size, ratio
        for layer in self._layers:
            layer.resize(size)

    def set_view(self, view: ViewTransform) -> None:
        """Another place of the frame."""
        if view != self.view:
            self.view = view
            for layer in self._layers:
                layer.mark((0, 0, *self.view_size))
            self._on_dirty(None)

    # The picture

    def set_frame(self, rgb: np.ndarray | None) -> bool:
        """Another frame, uint8 (H, W, 3); True when its size is another, and what belonged to it is gone."""
        old = self.frame_size
        self._frame = None if rgb is None else FrameSampler(rgb, before=self._frame)
        other = self.frame_size != old
        if other:
            covered = self._covered
            self._labels = self._numbers = self._heat = self._alternative = None
            self._proposals = []
            self._ghost.source = self._masks.source = self._proposed.source = None
            if covered:
                self._restyle()
        self._use_picture()
        return other

    def set_alternative_image(self, rgb: np.ndarray | None) -> None:
        """A picture in place of the frame."""
        if rgb is not None and self.frame_size is not None and rgb.shape[1::-1] != self.frame_size:
            rgb = cv2.resize(rgb, self.frame_size, interpolation=cv2.INTER_NEAREST)
        covered = self._covered
        self._alternative = None if rgb is None else FrameSampler(rgb)
        self._use_picture()
        if covered != self._covered:
            self._restyle()

    def set_onion_skin(self, rgb: np.ndarray | None, opacity: float) -> None:
        """A second frame over the first."""
        if rgb is not None and self.frame_size is not None and rgb.shape[1::-1] != self.frame_size:
            raise ValueError(f"onion skin must be {self.frame_size[::-1]}, got {rgb.shape[:2]}")
        self._ghost_opacity = min(max(float(opacity), 0.0), 1.0)
        self._ghost.source = None if rgb is None else FrameSampler(rgb).render
        self._mark_all(self._ghost)

    def set_heat_map(self, values: np.ndarray | None) -> None:
        """A heat map over the frame, float (h, w) in [0, 1]."""
        covered = self._covered
        self._heat = None if values is None else image_of(overlay.heat_colours(values))
        self._on_dirty(None)
        if covered != self._covered:
            self._restyle()

    # Masks

    def label_at(self, x: int, y: int) -> int:
        """The label that is shown at a pixel, 0 without labels."""
        return 0 if self._labels is None else int(self._labels[y, x])

    def set_labels(self, labels: np.ndarray | None, box: Box | None = None) -> None:
        """A label map, uint16 (H, W); with `box` only what lies in it differs from the one before."""
        self._labels = labels
        self._box = None if labels is None else mask_box(labels) or NO_BOX
        self._masks.source = self._render_masks if labels is not None and self._frame is not None else None
        if box is None:
            self._mark_all(self._masks)
        else:
            self.mark_labels(box)

    def mark_labels(self, box: Box) -> None:
        """Labels in this box of frame pixels have changed in place."""
        self._box = overlay.union((self._box, box)) or NO_BOX
        region = self.view.region_of(box, overlay.margin_of(self._line_px()))
        self._masks.mark(region)
        self._on_dirty(region)

    def set_lut(self, lut: np.ndarray) -> None:
        """RGBA by label, uint8 (n, 4)."""
        self._lut = np.asarray(lut, np.uint8)
        self._restyle()

    def set_selected(self, ids: Sequence[int]) -> None:
        """Objects to highlight."""
        if tuple(ids) != self._selected:
            self._selected = tuple(ids)
            self._restyle()

    def set_active(self, object_id: int, colour: Colour) -> None:
        """The object that is painted; its colour counts where the lookup table does not know it yet."""
        if (object_id, colour) != self._active:
            self._active = (object_id, colour)
            self._restyle()

    def set_style(self, **changes: object) -> None:
        """Change fields of the `OverlayStyle`."""
        style = replace(self._style, **changes)
        if style != self._style:
            self._style = style
            self._restyle()
            self._restyle_proposals()

    # Proposals

    def set_proposals(self, proposals: Sequence[Proposal]) -> None:
        """Proposals to draw."""
        self._proposals = list(proposals)
        shape = None if self.frame_size is None else self.frame_size[::-1]
        drawable = self._proposals and shape is not None
        self._numbers = overlay.proposal_map(self._proposals, shape) if drawable else None
        self._proposal_box = mask_box(self._numbers) or NO_BOX if drawable else None
        self._restyle_proposals()

    def set_selected_proposals(self, ids: Sequence[int]) -> None:
        """Proposals to highlight."""
        if tuple(ids) != self._chosen:
            changed = set(ids) ^ set(self._chosen)
            self._chosen = tuple(ids)
            self._proposal_tables = overlay.proposal_tables(self._proposals, self._chosen)
            shape = None if self._numbers is None else self._numbers.shape
            # The cursor goes from proposal to proposal: only what it leaves and enters looks different.
            for proposal in self._proposals:
                if proposal.id in changed and shape is not None:
                    box = proposal.box or (0, 0, shape[1], shape[0])
                    region = self.view.region_of(box, overlay.margin_of(self._proposal_line_px()))
                    self._proposed.mark(region)
                    self._on_dirty(region)

    # Painting

    def draw(self, painter: QPainter, region: Region) -> None:
        """Draw a region; the painter's unit is the view pixel."""
        if self.frame_size is None:
            return
        shown = self.view.frame_region(self.frame_size)
        part = view_transform.intersection(region, shown)
        if part is None:
            return
        canvas_layers.bring_up_to_date(self._layers, self.view, shown)
        self._picture.draw(painter, part)
        if self._ghost.source is not None:
            painter.setOpacity(self._ghost_opacity)
            self._ghost.draw(painter, part)
            painter.setOpacity(1)
        if self._heat is not None:
            self._draw_heat(painter, part)
        self._draw_inside(painter, self._masks, part, self._box, self._line_px())
        self._draw_inside(painter, self._proposed, part, self._proposal_box, self._proposal_line_px())

    def _draw_inside(
        self, painter: QPainter, layer: Layer, part: Region, box: Box | None, line_px: int
    ) -> None:
        """Draw a layer where its box of frame pixels lets something be."""
        if box is not None:
            part = view_transform.intersection(part, self.view.region_of(box, overlay.margin_of(line_px)))
        if part is not None:
            layer.draw(painter, part)

    def _draw_heat(self, painter: QPainter, part: Region) -> None:
        x0, y0, x1, y1 = self.view.frame_region(self.frame_size)
        painter.save()
        painter.setClipRect(QRectF(part[0], part[1], part[2] - part[0], part[3] - part[1]))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(x0, y0, x1 - x0, y1 - y0), self._heat)
        painter.restore()

    def _render_masks(self, view: ViewTransform, region: Region, into: np.ndarray) -> None:
        overlay.render(self._labels, view, region, self._tables, self._line_px(), box=self._box, into=into)

    def _render_proposals(self, view: ViewTransform, region: Region, into: np.ndarray) -> None:
        numbers, tables, line_px = self._numbers, self._proposal_tables, self._proposal_line_px()
        overlay.render(numbers, view, region, tables, line_px, box=self._proposal_box, into=into)

    def _proposal_line_px(self) -> int:
        return max(1, round(PROPOSAL_LINE_PX * self._ratio))

    def _line_px(self) -> int:
        return max(1, round((OUTLINE_PX if self._mask_style.outline else LINE_PX) * self._ratio))

    @property
    def _covered(self) -> bool:
        """Whether a view is shown that filled masks would hide, in place of the frame or over it."""
        return self._heat is not None or self._alternative is not None

    @property
    def _mask_style(self) -> OverlayStyle:
        return replace(self._style, outline=True) if self._covered else self._style

    def _use_picture(self) -> None:
        picture = (
            self._alternative if self._alternative is not None and self._frame is not None else self._frame
        )
        self._picture.source = None if picture is None else picture.render
        self._mark_all(self._picture)

    def _restyle(self) -> None:
        object_id, colour = self._active
        lut = self._lut
        if 0 < object_id < overlay.LABELS and (object_id >= len(lut) or tuple(lut[object_id, :3]) != colour):
            # The stroke of an object that does not exist yet is previewed in the colour that it will get.
            lut = np.zeros((max(len(lut), object_id + 1), 4), np.uint8)
            lut[: len(self._lut)] = self._lut
            lut[object_id] = (*colour, 255)
        self._tables = overlay.label_tables(lut, self._mask_style, self._selected)
        self._mark_all(self._masks)

    def _restyle_proposals(self) -> None:
        self._proposal_tables = overlay.proposal_tables(self._proposals, self._chosen)
        visible = self._numbers is not None and self._style.visible
        self._proposed.source = self._render_proposals if visible else None
        self._mark_all(self._proposed)

    def _mark_all(self, layer: Layer) -> None:
        layer.mark((0, 0, *self.view_size))
        self._on_dirty(None)
