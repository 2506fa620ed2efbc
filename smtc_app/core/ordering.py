"""Changing the order of a list by moving some of its entries together."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def moved(order: Sequence[int], chosen: Collection[int], by: int) -> list[int]:
    """The order with the chosen entries one place up (`by` -1) or down (1); those at the end stay there."""
    result = list(order)
    positions = range(len(result)) if by < 0 else range(len(result) - 1, -1, -1)
    for position in positions:
        target = position + by
        inside = 0 <= target < len(result)
        if result[position] in chosen and inside and result[target] not in chosen:
            result[position], result[target] = result[target], result[position]
    return result


def dropped(order: Sequence[int], chosen: Collection[int], row: int) -> list[int]:
    """The order with the chosen entries, as they follow each other, before what stands at `row` (len: at the
    end)."""
    block = [entry for entry in order if entry in chosen]
    before = [entry for entry in order[:row] if entry not in chosen]
    after = [entry for entry in order[row:] if entry not in chosen]
    return [*before, *block, *after]
