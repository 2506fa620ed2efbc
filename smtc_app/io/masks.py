"""Masks people bring along: indexed, grey or RGB images to label maps, with a word on what was interpreted.

Indexed images are taken as they are. Grey and RGB ones say less, so every assumption made is returned as a
note for the person: which colour became which id, that edges were smoothed, that 255 was read as void.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from smtc_app.core.annotation import MAX_OBJECT_ID
from smtc_app.core.errors import UserError
from smtc_app.core.palette import davis_palette
from smtc_app.io.images import unreadable_image
from smtc_app.io.mask_repair import MAX_COLOURS, Regions, find_regions

VOID = 255
BLACK = (0, 0, 0)
SMEARED = 16
"""Colours of two masks this close (largest difference of a channel) are the same object's."""

DISTINCT_ENTRIES, SMEARED_ENTRY = 64, 8
"""So many entries of the DAVIS palette lie 64 apart; a colour this close to one is meant to be it."""

Colour = tuple[int, int, int]


def read_mask(
    path: str | Path,
    size: tuple[int, int],
    *,
    colours: dict[Colour, int] | None = None,
    max_id: int = MAX_OBJECT_ID,
) -> tuple[np.ndarray, list[str]]:
    """Read a mask image as a label map.

    Args:
        path: indexed, grey (8 or 16 bit), black-and-white or RGB image; what is transparent is background.
        size: (width, height) in px the mask must have.
        colours: which id an RGB colour stands for; filled in here. Give the same dictionary for all masks of
            a clip, so that a colour is the same object on every frame.
        max_id: largest id that is accepted.

    Returns the labels, uint16 (H,W), and sentences about what was assumed.

    Raises:
        UserError: no such image, another size, another colour type, more ids than allowed, a picture, not a
            mask.
    """
    where = Path(path)
    image, alpha_notes = _without_alpha(_load(where))
    if image.size != tuple(size):
        raise UserError(
            f"The mask {where.name} is {image.size[0]}x{image.size[1]} but the frames are "
            f"{size[0]}x{size[1]}; export it at the size of the frames."
        )
    if image.mode == "P":
        labels, notes = _from_indices(np.asarray(image))
    elif image.mode == "1":
        labels, notes = np.asarray(image).astype(np.uint16), []
    elif image.mode.startswith("I"):
        labels, notes = _from_deep_grey(np.asarray(image), where)
    elif image.mode == "L":
        labels, notes = _from_grey(np.asarray(image), where)
    elif image.mode == "RGB":
        labels, notes = _from_rgb(np.asarray(image), {} if colours is None else colours, where)
    else:
        raise UserError(
            f"The mask {where.name} is of the colour type {image.mode}; save it as an indexed, grey or RGB "
            "PNG."
        )
    largest = int(labels.max(initial=0))
    if largest > max_id:
        raise UserError(
            f"The mask {where.name} holds the id {largest}; ids up to {max_id} can be used, "
            "so renumber or merge its objects."
        )
    return labels, [f"{where.name}: {note}" for note in alpha_notes + notes]


def object_ids(labels: np.ndarray) -> list[int]:
    """Ids present in a label map, ascending, without the background."""
    return [int(i) for i in np.unique(labels) if i]


def _load(path: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(path)
            image.load()
    except FileNotFoundError as error:
        raise UserError(f"There is no mask {path}; check the path.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; name one mask image.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise unreadable_image(path, error) from error
    return image


def _without_alpha(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """What an image with an alpha channel shows over black: paint programs write one even if nothing is seen
    through, and where something is, that is the background.
    """
    plain = {"RGBA": "RGB", "LA": "L"}.get(image.mode)
    if plain is None:
        return image, []
    if image.getextrema()[-1][0] == 255:
        return image.convert(plain), []
    black = Image.new(image.mode, image.size, (0,) * (len(plain)) + (255,))
    shown = Image.alpha_composite(black.convert("RGBA"), image.convert("RGBA")).convert(plain)
    return shown, ["what is transparent became background."]


def _without_void(values: np.ndarray, void: int = VOID) -> tuple[np.ndarray, list[str]]:
    labels = values.astype(np.uint16)
    if not np.any(values == void):
        return labels, []
    labels[values == void] = 0
    return labels, [f"{void} was read as void and became background."]


def _from_indices(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    if set(np.unique(values).tolist()) == {0, VOID}:
        return (values > 0).astype(np.uint16), ["0 and 255 were read as background and one object, id 1."]
    return _without_void(values)


def _from_deep_grey(values: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
    if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
        raise UserError(f"The mask {path.name} holds values outside 0..65535; save its ids as 8 or 16 bit.")
    present = set(np.unique(values).tolist())
    if present in ({0, 65535}, {0, VOID}):
        top = max(present)
        return (values > 0).astype(np.uint16), [f"0 and {top} were read as background and one object, id 1."]
    return _without_void(values, 65535)


def _from_grey(values: np.ndarray, path: Path) -> tuple[np.ndarray, list[str]]:
    """Greys are ids, unless white is among them in a way that only brightness explains."""
    regions = _regions(np.repeat(values[..., None], 3, axis=2), path)
    levels = regions.colours[:, 0]
    notes = _repair_note(regions)
    flat = levels[regions.labels]
    objects = sorted(set(levels.tolist()) - {0})
    if objects == [VOID]:
        return (flat > 0).astype(np.uint16), [
            *notes,
            "0 and 255 were read as background and one object, id 1.",
        ]
    white_is_brightness = VOID in objects and objects[0] >= 32
    if white_is_brightness or regions.repaired:
        table = np.zeros(256, np.uint16)
        table[objects] = np.arange(1, len(objects) + 1)
        pairs = ", ".join(f"{level} = id {number}" for number, level in enumerate(objects, start=1))
        return table[flat], [*notes, f"grey levels were read as objects: {pairs}."]
    labels, void_notes = _without_void(flat)
    return labels, notes + void_notes


def _from_rgb(values: np.ndarray, colours: dict[Colour, int], path: Path) -> tuple[np.ndarray, list[str]]:
    if np.array_equal(values[..., 0], values[..., 1]) and np.array_equal(values[..., 0], values[..., 2]):
        return _from_grey(values[..., 0], path)
    regions = _regions(values, path)
    present = [tuple(int(v) for v in colour) for colour in regions.colours]
    notes = _repair_note(regions)
    table = _davis_ids(present, smeared=bool(regions.repaired))
    if table is None:
        table, more = _ids_by_colour(regions, present, colours, path)
        notes += more
    labels, void_notes = _without_void(np.array(table, np.uint16)[regions.labels])
    return labels, notes + void_notes


def _davis_ids(present: list[Colour], *, smeared: bool) -> list[int] | None:
    """The palette indices when every colour is one of DAVIS's, so that a converted mask keeps its ids.

    Smeared colours are compared with the first entries only, which lie far apart.
    """
    palette = {tuple(int(v) for v in row): index for index, row in enumerate(davis_palette())}
    if smeared:
        palette = dict(list(palette.items())[:DISTINCT_ENTRIES])
        found = [_nearest(colour, palette, SMEARED_ENTRY) for colour in present]
    else:
        found = [colour if colour in palette else None for colour in present]
    ids = [palette[colour] for colour in found if colour is not None]
    return ids if len(ids) == len(present) and 0 in ids and len(set(ids)) == len(ids) else None


def _ids_by_colour(
    regions: Regions, present: list[Colour], colours: dict[Colour, int], path: Path
) -> tuple[list[int], list[str]]:
    notes = []
    background = _background(regions, present)
    if present[background] != BLACK:
        notes.append(
            f"nothing is black, so the colour {present[background]} along the border became background."
        )
    table = []
    for number, colour in enumerate(present):
        if number == background:
            table.append(0)
            continue
        known = _nearest(colour, colours)
        if known is None:
            known = colour
            colours[colour] = max(colours.values(), default=0) + 1
        table.append(colours[known])
    if max(table) > MAX_COLOURS:
        raise UserError(
            f"The mask {path.name} brings the number of colours above {MAX_COLOURS}; is it a mask?"
        )
    pairs = ", ".join(f"{colour} = id {i}" for colour, i in zip(present, table, strict=True) if i)
    return table, [*notes, f"colours were read as objects: {pairs}."]


def _nearest(colour: Colour, known: Iterable[Colour], limit: int = SMEARED) -> Colour | None:
    """The known colour within what JPEG smears, or None."""
    gaps = {other: max(abs(a - b) for a, b in zip(colour, other, strict=True)) for other in known}
    best = min(gaps, key=gaps.__getitem__, default=None)
    return best if best is not None and gaps[best] <= limit else None


def _background(regions: Regions, present: list[Colour]) -> int:
    """Black (or what a smeared black is nearest to); without one, the colour most of the border has."""
    darkest = min(range(len(present)), key=lambda number: max(present[number]))
    if max(present[darkest]) <= SMEARED:
        return darkest
    labels = regions.labels
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return int(np.bincount(border).argmax())


def _regions(picture: np.ndarray, path: Path) -> Regions:
    regions = find_regions(picture)
    if regions is None:
        raise UserError(
            f"{path.name} is a picture rather than a mask (it has no flat regions of at most {MAX_COLOURS} "
            "colours); save the mask as an indexed PNG."
        )
    return regions


def _repair_note(regions: Regions) -> list[str]:
    if not regions.repaired:
        return []
    return [f"smoothed edges or smeared colours were repaired in {regions.repaired} pixels."]
