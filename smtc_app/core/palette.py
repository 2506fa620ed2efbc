"""Colours of objects: the palette of DAVIS and PASCAL VOC, and what follows after its last entry.

The 256 entries come from the VOC bit algorithm (VOC2012 devkit, `VOClabelcolormap.m`): the bits of the index
are dealt to red, green and blue in turn, from the highest bit down.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from smtc_app.core.annotation import Colour, ObjectInfo

PALETTE_SIZE = 256


def davis_palette() -> np.ndarray:
    """uint8 (256, 3): RGB of every index of a DAVIS mask; row 0 is black."""
    index = np.arange(PALETTE_SIZE)
    palette = np.zeros((PALETTE_SIZE, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette


_DAVIS = davis_palette()
_DAVIS.setflags(write=False)


def object_colour(object_id: int) -> Colour:
    """The default colour of an object.

    1..255 are DAVIS's. Higher ids repeat them, each round with the hue turned by the golden angle, so that
    ids 256 apart differ.
    """
    if object_id < 1:
        raise ValueError(f"object_id must be at least 1, got {object_id}")
    turn, index = divmod(object_id - 1, PALETTE_SIZE - 1)
    red, green, blue = (int(value) for value in _DAVIS[index + 1])
    if turn == 0:
        return red, green, blue
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    # A grey has no hue to turn: give it some saturation, and let no colour come out black.
    rgb = colorsys.hsv_to_rgb((hue + turn * 0.381966) % 1, max(saturation, 0.5), max(value, 0.35))
    return tuple(round(255 * channel) for channel in rgb)  # type: ignore[return-value]


def lookup_table(
    objects: Iterable[ObjectInfo], *, alpha: int = 255, hidden: Collection[int] = ()
) -> np.ndarray:
    """uint8 (largest id + 1, 4) RGBA for drawing labels; at least 256 rows.

    Row 0, invisible objects and those in `hidden` are transparent; ids without an object show their default
    colour so that no label is ever overlooked.
    """
    known: Mapping[int, ObjectInfo] = {info.id: info for info in objects}
    rows = max([PALETTE_SIZE, *(object_id + 1 for object_id in known)])
    table = np.empty((rows, 4), np.uint8)
    table[:PALETTE_SIZE, :3] = _DAVIS
    for object_id in range(PALETTE_SIZE, rows):
        table[object_id, :3] = object_colour(object_id)
    table[:, 3] = alpha
    for object_id, info in known.items():
        table[object_id, :3] = info.colour
        if not info.visible or object_id in hidden:
            table[object_id, 3] = 0
    table[0] = 0
    return table


def object_name(object_id: int, taken: Collection[str] = ()) -> str:
    """A name for a new object, "object 3", unlike those in `taken`."""
    return unused_name(f"object {object_id}", taken)


def unused_name(name: str, taken: Collection[str]) -> str:
    """`name`, or with the first number from 2 up that makes it new: "dog" -> "dog 2" -> "dog 3"."""
    if name not in taken:
        return name
    stem = re.sub(r" \d+$", "", name)
    number = 2
    while f"{stem} {number}" in taken:
        number += 1
    return f"{stem} {number}"
