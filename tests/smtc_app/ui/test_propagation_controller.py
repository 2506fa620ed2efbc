"""Which frames a propagation computes."""

from __future__ import annotations

import pytest

from smtc_app.ui.propagation_controller import plan_span


@pytest.mark.parametrize(
    ("direction", "frame", "keyframes", "span"),
    [
        ("forward", 0, (0,), (0, 100)),
        ("forward", 30, (10, 50), (10, 100)),
        ("forward", 50, (10, 50), (50, 100)),
        ("forward", 5, (10,), None),
        ("backward", 30, (10, 50), (0, 51)),
        ("backward", 10, (10, 50), (0, 11)),
        ("backward", 60, (10, 50), None),
        ("both", 60, (10, 50), (0, 100)),
        ("both", 60, (), None),
    ],
)
def test_spans(direction, frame, keyframes, span):
    assert plan_span(direction, frame, keyframes, 100) == span


def test_another_direction_is_an_error():
    with pytest.raises(ValueError, match="sideways"):
        plan_span("sideways", 0, (0,), 100)
