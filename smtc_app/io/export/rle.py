"""Masks as COCO writes them down: run lengths, compressed by pycocotools into a short text."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask


def encode(mask: np.ndarray) -> dict[str, Any]:
    """bool (H,W) -> {"size": [H, W], "counts": text}, ready for JSON."""
    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode(rle: dict[str, Any]) -> np.ndarray:
    """The mask bool (H,W) of an encoded one."""
    return coco_mask.decode(_as_bytes(rle)).astype(bool)


def area(rle: dict[str, Any]) -> int:
    """Number of pixels."""
    return int(coco_mask.area(_as_bytes(rle)))


def box(rle: dict[str, Any]) -> list[float]:
    """[x, y, width, height] of the tight box in px."""
    return [float(value) for value in coco_mask.toBbox(_as_bytes(rle))]


def _as_bytes(rle: dict[str, Any]) -> dict[str, Any]:
    return {**rle, "counts": rle["counts"].encode("ascii")}
