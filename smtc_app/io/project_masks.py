"""The masks of a project: one PNG a frame, readable by any program.

Indexed with the DAVIS palette while ids stay within 254, 16-bit grey above. Unlike masks that people import,
these are read strictly: a file of another size or kind is damage, and is said to be.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image

from smtc_app.core.errors import UserError
from smtc_app.core.palette import davis_palette

MAX_INDEXED_ID = 254  # 255 means void to every reader of DAVIS masks
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_GREY, _INDEXED = 0, 3
_PALETTE = davis_palette().tobytes()


def mask_name(frame: int) -> str:
    """File name of a frame's mask: five digits, more where needed."""
    return f"{frame:05d}.png"


def encode_mask(labels: np.ndarray) -> bytes:
    """uint16 (H, W) -> the bytes of its PNG."""
    if int(labels.max(initial=0)) <= MAX_INDEXED_ID:
        image = Image.fromarray(labels.astype(np.uint8))
        image.putpalette(_PALETTE)
    else:
        image = Image.fromarray(np.ascontiguousarray(labels, np.uint16))
    buffer = io.BytesIO()
    # Level 3 takes half the time of the default and a few percent more bytes on masks.
    image.save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def check_mask_file(path: Path, size: tuple[int, int]) -> None:
    """Look at the first and last bytes of a mask, which is quick enough for a hundred thousand of them.

    Raises UserError when the file is missing, cut short, no PNG, of another size than (width, height), or of
    a kind that projects do not hold.
    """
    try:
        with path.open("rb") as file:
            head = file.read(33)
            file.seek(-len(_END), 2)
            tail = file.read()
    except FileNotFoundError as error:
        raise UserError(f"The mask {path} is missing.") from error
    except OSError as error:
        raise UserError(f"The mask {path} cannot be read ({error.strerror or error}).") from error
    if len(head) < 33 or head[:8] != _SIGNATURE or head[12:16] != b"IHDR":
        raise UserError(f"The mask {path} is no PNG image.")
    if tail != _END:
        raise UserError(f"The mask {path} is cut short.")
    width, height, depth, colour = struct.unpack(">IIBB", head[16:26])
    if (width, height) != size:
        raise UserError(
            f"The mask {path} has {width}x{height} pixels, but the video has {size[0]}x{size[1]}."
        )
    if not ((colour == _INDEXED and depth <= 8) or (colour == _GREY and depth in (8, 16))):
        raise UserError(f"The mask {path} is neither an indexed nor a grey PNG.")


def decode_mask(path: Path) -> np.ndarray:
    """uint16 (H, W) of a project's mask. Raises UserError for a missing or damaged file."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            pixels = np.asarray(image)
            mode = image.mode
    except FileNotFoundError as error:
        raise UserError(f"The mask {path} is missing: put it back, or open without it.") from error
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise UserError(f"The mask {path} is damaged ({error}): restore it, or remove the file.") from error
    if mode == "1" or pixels.ndim != 2 or mode not in ("P", "L", "I", "I;16", "I;16B"):
        raise UserError(f"The mask {path} is neither an indexed nor a grey PNG: replace or remove the file.")
    return pixels.astype(np.uint16)
