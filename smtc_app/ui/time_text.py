"""Times of a video as people write them, and back."""

from __future__ import annotations

import math


def format_time(seconds: float, decimals: int = 2) -> str:
    """`0:01.48`, `12:03.00`, `1:02:03.50`."""
    sign = "-" if seconds < 0 else ""
    units = 10**decimals
    total = round(abs(seconds) * units)
    minutes, rest = divmod(total, 60 * units)
    hours, minutes = divmod(minutes, 60)
    whole, part = divmod(rest, units)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    tail = f".{part:0{decimals}}" if decimals else ""
    return f"{sign}{head}:{whole:02}{tail}"


def parse_time(text: str) -> float | None:
    """Seconds of `12.5`, `1:02.5` or `1:00:02`; None when it is not a time."""
    parts = text.strip().replace(",", ".").split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return None
    if len(numbers) > 3 or any(not math.isfinite(number) or number < 0 for number in numbers):
        return None
    seconds = 0.0
    for number in numbers:
        seconds = 60 * seconds + number
    return seconds
