"""A folder of masks that belongs to footage: which mask is of which frame, and what the objects are."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from smtc_app.core.errors import UserError
from smtc_app.core.import_commands import ObjectHint
from smtc_app.io.images import list_images
from smtc_app.io.masks import Colour, read_mask
from smtc_app.io.source import FrameSource

logger = logging.getLogger(__name__)

MOST_NOTES = 3


def match_masks(folder: Path, source: FrameSource) -> tuple[dict[int, Path], list[str]]:
    """Which mask image is of which frame: by the frame's name, else by the number in it, else in order.

    Returns {frame index: file} and sentences about what was assumed.

    Raises:
        UserError: no images in the folder, or none that can belong to the footage.
    """
    files = list_images(folder)
    if not files:
        raise UserError(f"{folder} holds no mask images (PNG, TIFF or BMP).")
    count = len(source)
    index_of = {source.name(index): index for index in range(count)}
    found = {index_of[file.stem]: file for file in files if file.stem in index_of}
    if found:
        left = len(files) - len(found)
        return found, [f"{left} of {len(files)} masks have no frame of their name."] if left else []
    numbers = {int(file.stem): file for file in files if file.stem.isdecimal() and int(file.stem) < count}
    if len(numbers) == len(files):
        return numbers, ["The masks are not called like the frames: their numbers were taken as indices."]
    if len(files) == count:
        return dict(enumerate(files)), ["The masks are not called like the frames: taken in order."]
    raise UserError(
        f"The {len(files)} images in {folder} fit the {count} frames neither by name ({source.name(0)}, "
        "...), nor by number, nor in number: rename them after the frames."
    )


def object_hints(folder: Path) -> dict[int, ObjectHint]:
    """Names and categories from what lies beside masks: our `provenance.json`, YouTube-VOS's `meta.json`."""
    told = _read_json(folder / "provenance.json")
    if isinstance(told, dict) and told.get("format") == "smtc-provenance":
        try:
            return {int(o["id"]): ObjectHint(str(o["name"]), str(o["category"])) for o in told["objects"]}
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("%s is not used: %s", folder / "provenance.json", error)
    meta = _read_json(folder.parent.parent / "meta.json")
    try:
        objects = meta["videos"][folder.name]["objects"]
        return {int(i): ObjectHint(category=str(o["category"])) for i, o in objects.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def read_masks(
    masks: dict[int, Path], size: tuple[int, int], notes: list[str]
) -> Iterator[tuple[int, np.ndarray]]:
    """(frame, labels uint16 (H,W)) in ascending order; a colour is the same object in all of them.

    notes: receives sentences about what was assumed, the first few of them.

    Raises:
        UserError: as `masks.read_mask`.
    """
    colours: dict[Colour, int] = {}
    told = 0
    for frame, path in sorted(masks.items()):
        labels, found = read_mask(path, size, colours=colours)
        told += bool(found)
        if told <= MOST_NOTES:
            notes.extend(found)
        yield frame, labels
    if told > MOST_NOTES:
        notes.append(f"The same or the like goes for {told - MOST_NOTES} more masks.")


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
